package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestHexDump(t *testing.T) {
	zeros := make([]byte, 100)
	tests := map[string]struct {
		data   []byte
		offset int64
		want   string
	}{
		"empty":             {nil, 0, ""},
		"empty, further on": {nil, 16, "00000010\n"},
		"one":               {[]byte("x"), 0, "00000000  78                                                |x|\n00000001\n"},
		"nine":              {[]byte("123456789"), 0, "00000000  31 32 33 34 35 36 37 38  39                       |123456789|\n00000009\n"},
		"repeated, then a part": {zeros[:40], 0, "" +
			"00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n" +
			"00000020  00 00 00 00 00 00 00 00                           |........|\n00000028\n"},
		"two stars": {append(append(bytes.Clone(zeros[:48]), "0123456789abcdef"...), zeros[:48]...), 0x100000000, "" +
			"100000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n" +
			"100000030  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n" +
			"100000040  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n" +
			"100000070\n"},
		"bytes of all kinds": {[]byte("\x1b\x7f\x80\xff ~"), 0, "00000000  1b 7f 80 ff 20 7e                                 |.... ~|\n00000006\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			// A reader that gives one byte at a time must make no difference.
			if err := hexDump(&out, iotest.OneByteReader(bytes.NewReader(tt.data)), tt.offset); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got:\n%swant:\n%s", out.String(), tt.want)
			}
		})
	}
	var out strings.Builder
	if err := hexDump(&out, iotest.ErrReader(os.ErrClosed), 0); err != os.ErrClosed {
		t.Errorf("a reader that fails: %v", err)
	}
}
