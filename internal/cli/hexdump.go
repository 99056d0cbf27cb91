package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// hexDump prints what r reads as hexdump -C does, counting from offset:
//
//	00000000  48 65 6c 6c 6f 2c 20 53  68 61 72 65 64 20 4d 65  |Hello, Shared Me|
//	00000010  6d 6f 72 79 21 00 00 00  00 00 00 00 00 00 00 00  |mory!...........|
//	00000020  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
//	*
//	00000400
//
// A line like the one before it is not printed; a star stands for one or more.
func hexDump(w io.Writer, r io.Reader, offset int64) error {
	const width = 16
	size := chunk
	if known, ok := r.(interface{ Len() int }); ok {
		size = min(size, max(known.Len(), width))
	}
	in := bufio.NewReaderSize(r, size)
	out := bufio.NewWriter(w)
	var line, last [width]byte
	starred := false
	for first := true; ; first = false {
		n, err := io.ReadFull(in, line[:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			out.Flush()
			return err
		}
		switch {
		case n == width && !first && bytes.Equal(line[:], last[:]):
			if !starred {
				out.WriteString("*\n")
			}
			starred = true
		case n > 0:
			hexLine(out, offset, line[:n])
			last, starred = line, false
		}
		offset += int64(n)
		if n < width {
			break
		}
	}
	if offset > 0 {
		fmt.Fprintf(out, "%08x\n", offset)
	}
	return out.Flush()
}

func hexLine(out *bufio.Writer, offset int64, b []byte) {
	const digits = "0123456789abcdef"
	fmt.Fprintf(out, "%08x", offset)
	for i := range 16 {
		if i%8 == 0 {
			out.WriteByte(' ')
		}
		out.WriteByte(' ')
		if i < len(b) {
			out.WriteByte(digits[b[i]>>4])
			out.WriteByte(digits[b[i]&15])
		} else {
			out.WriteString("  ")
		}
	}
	out.WriteString("  |")
	for _, c := range b {
		if c < ' ' || c > '~' {
			c = '.'
		}
		out.WriteByte(c)
	}
	out.WriteString("|\n")
}
