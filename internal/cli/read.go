package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/shm"
)

// reading is one shoal read.
type reading struct {
	offset, length size
	limited        bool // --length was given
	asText, asHex  bool
}

func (c *command) readCommand() *cobra.Command {
	var r reading
	cmd := &cobra.Command{
		Use:   "read ADDR [--offset N] [--length N] [--string | --hex]",
		Short: "Copy an object's bytes to standard output",
		Long: `The bytes come raw. With --string only those before the first NUL come, and a
newline; with --hex as hexdump -C shows them. With --json raw bytes are
base64, in lines of at most 64 KiB of data.`,
		Example: indented(
			"shoal read sysv:0x1234 --string",
			"shoal read /my_shm --hex --length 64",
			"shoal read /table > table.bin"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFirst,
		RunE: func(cmd *cobra.Command, args []string) error {
			r.limited = cmd.Flags().Changed("length")
			return c.read(r, args[0])
		},
	}
	f := cmd.Flags()
	f.Var(&r.offset, "offset", "begin at this `offset`")
	f.Var(&r.length, "length", "so many `bytes` (default all)")
	f.BoolVarP(&r.asText, "string", "z", false, "stop at the first NUL, add a newline")
	f.BoolVar(&r.asHex, "hex", false, "print as hexdump -C does")
	cmd.MarkFlagsMutuallyExclusive("string", "hex")
	noCompletion(cmd, "offset", "length")
	return cmd
}

func (c *command) read(r reading, addr string) error {
	if c.json && r.asHex {
		return usageError{errors.New("--hex and --json do not go together")}
	}
	addr, err := c.memory(addr)
	if err != nil {
		return err
	}
	seg, err := shm.Open(addr, &shm.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer seg.Close()
	offset, length := int64(r.offset), int64(r.length)
	rest := int64(seg.Size()) - offset
	switch {
	case rest < 0:
		return fmt.Errorf("read %s: offset %d lies behind its %s", c.shown(addr), offset, count(int64(seg.Size()), "byte"))
	case !r.limited:
		length = rest
	case length > rest:
		return fmt.Errorf("read %s: %s asked from offset %d, it has %d there", c.shown(addr), count(length, "byte"), offset, rest)
	}
	section := io.NewSectionReader(seg, offset, length)
	switch {
	case r.asText:
		return c.readString(seg, section, offset)
	case c.json:
		return c.readJSON(seg, section, offset)
	case r.asHex:
		return hexDump(c.stdout, section, offset)
	}
	// Hidden: neither side may choose a shortcut around the guarded ReadAt.
	_, err = io.CopyBuffer(struct{ io.Writer }{c.stdout}, struct{ io.Reader }{section}, make([]byte, chunk))
	return err
}

// readString prints what a C program would take for the string.
func (c *command) readString(seg *shm.Segment, section io.Reader, offset int64) error {
	var text bytes.Buffer // for JSON alone, which cannot be written in parts
	out := c.stdout
	if c.json {
		out = &text
	}
	buf := make([]byte, chunk)
	for ended := false; !ended; {
		n, err := io.ReadFull(section, buf)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
		part := buf[:n]
		if i := bytes.IndexByte(part, 0); i >= 0 {
			part, ended = part[:i], true
		}
		if _, err := out.Write(part); err != nil {
			return err
		}
		ended = ended || err != nil
	}
	if c.json {
		return c.printJSON(map[string]any{"address": seg.Address().String(), "offset": offset, "string": text.String()})
	}
	_, err := io.WriteString(out, "\n")
	return err
}

// jsonChunk is how many bytes one line of --json holds.
const jsonChunk = 64 << 10

func (c *command) readJSON(seg *shm.Segment, section io.Reader, offset int64) error {
	buf := make([]byte, jsonChunk)
	for {
		n, err := io.ReadFull(section, buf)
		if n > 0 {
			line := map[string]any{"address": seg.Address().String(), "offset": offset, "data": buf[:n]}
			if err := c.printJSON(line); err != nil {
				return err
			}
			offset += int64(n)
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}
