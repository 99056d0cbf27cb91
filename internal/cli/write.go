package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/shm"
)

// writing is one shoal write.
type writing struct {
	offset size
	create bool
	size   positiveSize
	mode   mode
	asText bool // --string: a NUL follows the data
}

func (c *command) writeCommand() *cobra.Command {
	w := writing{mode: mode(shm.DefaultMode)}
	cmd := &cobra.Command{
		Use:   "write ADDR [DATA | -] [--offset N] [--create [--size N] [--mode M]]",
		Short: "Write bytes to an object, from the command line or standard input",
		Long: `The bytes are written as they are; nothing is added, and what stands behind
them stays. With --string a NUL follows them, as C expects at the end of a
string: in a new object there is one anyway, for it is all zero.

With --create the object is made if it is not there; it needs --size where the
length of the input is not known beforehand. An existing object keeps its size
and mode, and must have at least --size bytes.

Data from the command line, or a file, that does not fit is refused before a
byte is written. From a pipe, what fits is written and the rest refused. An
object that --create made for a write that failed, or was interrupted, is
removed again.`,
		Example: indented(
			`shoal write sysv:0x1234 --create --size 1024 "Hello, Shared Memory!"`,
			"shoal write /table --create < table.bin",
			"zcat big.gz | shoal write /big --create --size 8GiB",
			"shoal write /my_shm --string --offset 16 ready"),
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeFirst,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !w.create && (cmd.Flags().Changed("size") || cmd.Flags().Changed("mode")) {
				return usageError{errors.New("--size and --mode are for a new object: add --create")}
			}
			return c.write(w, args)
		},
	}
	f := cmd.Flags()
	f.Var(&w.offset, "offset", "begin at this `offset` in the object")
	f.BoolVar(&w.create, "create", false, "make the object if it is not there")
	f.Var(&w.size, "size", "`size` of a new object in bytes: 1024, 64KiB, 1GiB")
	f.Var(&w.mode, "mode", "permissions of a new object, in `octal`")
	f.BoolVarP(&w.asText, "string", "z", false, "write a NUL behind the data")
	noCompletion(cmd, "offset", "size", "mode")
	return cmd
}

func (c *command) write(w writing, args []string) error {
	resolve := c.memory
	if w.create {
		resolve = c.plain
	}
	addr, err := resolve(args[0])
	if err != nil {
		return err
	}
	input, length := c.stdin, int64(-1)
	if len(args) == 2 && args[1] != "-" {
		input, length = strings.NewReader(args[1]), int64(len(args[1]))
	} else if f, ok := c.stdin.(*os.File); ok {
		length = fileRest(f)
	}
	if w.asText {
		input = io.MultiReader(input, strings.NewReader("\x00"))
		if length >= 0 {
			length++
		}
	}

	interrupted := make(chan os.Signal, 1)
	if w.create {
		// From before there is anything to remove.
		signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer signal.Stop(interrupted)
	}
	seg, created, err := w.open(addr, length)
	if err != nil {
		return err
	}
	defer seg.Close()
	finished := make(chan struct{})
	defer close(finished)
	if w.create {
		go func() {
			select {
			case s := <-interrupted:
				if created {
					seg.Remove()
				}
				number, _ := s.(syscall.Signal)
				os.Exit(128 + int(number)) // as a shell says it
			case <-finished:
			}
		}()
	}
	n, err := c.fill(seg, int64(w.offset), input, length)
	if err != nil {
		if created {
			seg.Remove()
		}
		return err
	}
	if c.json {
		return c.printJSON(map[string]any{
			"address": seg.Address().String(), "offset": int64(w.offset), "written": n,
			"size": seg.Size(), "created": created,
		})
	}
	made := ""
	if created {
		made = ", which is new"
	}
	c.say("wrote %s to %s%s", count(n, "byte"), strings.Replace(seg.String(), addr, c.shown(addr), 1), made)
	return nil
}

// open opens or makes the object for length bytes of input; -1 if not known.
func (w writing) open(addr string, length int64) (seg *shm.Segment, created bool, err error) {
	if !w.create {
		seg, err = shm.Open(addr, nil)
		if e := (*shm.Error)(nil); errors.Is(err, fs.ErrNotExist) && errors.As(err, &e) && e.Advice == "" {
			e.Advice = "to make it add --create --size N"
		}
		return seg, false, err
	}
	size := int64(w.size.size)
	if size == 0 {
		if length < 0 {
			return nil, false, usageError{errors.New("the length of the input is not known: say how large the object shall be with --size")}
		}
		size = int64(w.offset) + length
		if size <= 0 {
			return nil, false, usageError{errors.New("the input is empty: say how large the object shall be with --size")}
		}
	}
	if rest := size - int64(w.offset); rest < 0 || length > rest {
		return nil, false, usageError{fmt.Errorf("%s at offset %d do not fit into --size %d", count(max(length, 0), "byte"), w.offset, size)}
	}
	return shm.OpenOrCreate(addr, size, &shm.Options{Mode: fs.FileMode(w.mode)})
}

// chunk is how many bytes are copied at a time.
const chunk = 1 << 20

// fill copies input to the segment. length is how long the input is, or -1.
func (c *command) fill(seg *shm.Segment, offset int64, input io.Reader, length int64) (written int64, err error) {
	space := int64(seg.Size()) - offset
	if space < 0 || length > space {
		return 0, c.tooLong(seg, max(length, 0), offset)
	}
	bar := c.progress(length)
	defer bar.done()
	buf := make([]byte, chunk)
	for {
		n, err := input.Read(buf)
		fits := int(min(int64(n), space-written))
		if fits > 0 {
			if _, err := seg.WriteAt(buf[:fits], offset+written); err != nil {
				return written, err
			}
			written += int64(fits)
			bar.at(written)
		}
		switch {
		case fits < n:
			return written, fmt.Errorf("write %s: %w: the input is longer than the %s from offset %d; they are written, the rest is not",
				c.shown(seg.Address().String()), io.ErrShortWrite, count(space, "byte"), offset)
		case err == io.EOF:
			return written, nil
		case err != nil:
			return written, fmt.Errorf("read standard input: %w", err)
		}
	}
}

func (c *command) tooLong(seg *shm.Segment, length, offset int64) error {
	return fmt.Errorf("write %s: %w: %s at offset %d do not fit into %d",
		c.shown(seg.Address().String()), io.ErrShortWrite, count(length, "byte"), offset, seg.Size())
}

// fileRest returns how many bytes are left to read of a regular file, -1 for
// anything else.
func fileRest(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return -1
	}
	return max(info.Size()-at, 0)
}

// count writes a number with its noun.
func count(n int64, noun string) string {
	if n != 1 {
		if noun == "process" {
			noun += "e"
		}
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
