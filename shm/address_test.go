package shm_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/shm"
)

func TestAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"/x": "/x", "posix:/x": "/x", "posix:///x": "/x", "sysv:0x1234": "sysv:0x1234",
		"sysv:4660": "sysv:0x1234", "sysv-id:7": "sysv-id:7", "file:a//b": "file:a/b", "memfd:m": "memfd:m",
	} {
		a, err := shm.ParseAddress(in)
		if err != nil || a.String() != want {
			t.Errorf("%q: %v, %v", in, a, err)
		}
	}
	for _, in := range []string{"", "/", "ticks", "/a/b", "posix:..", "sysv:zz", "sysv-id:-1", "file:", "http://x", "/" + string(make([]byte, 3)), "/" + string(bytes.Repeat([]byte("n"), 300))} {
		if a, err := shm.ParseAddress(in); err == nil {
			t.Errorf("%q: parsed as %v", in, a)
		}
	}
}

// TestAddressErrors: what is wrong comes before the errno, and no name is proposed that would be refused, too.
func TestAddressErrors(t *testing.T) {
	for in, want := range map[string]string{
		"ticks":                        `parse "ticks": not an address (did you mean "/ticks"?): invalid argument; `,
		"a/b":                          `parse "a/b": not an address: invalid argument; `,
		"..":                           `parse "..": not an address: invalid argument; `,
		"/a/b":                         "or has an inner slash or NUL: invalid argument; ",
		"/" + strings.Repeat("x", 256): "POSIX name is longer than 255 bytes: file name too long; ",
		"sysv-id:-1":                   `id "-1" is not a number from 0 to 2147483647: invalid argument; `,
	} {
		if _, err := shm.ParseAddress(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v; want %q in it", in, err, want)
		}
	}
}
