package shm_test

import (
	"bytes"
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
