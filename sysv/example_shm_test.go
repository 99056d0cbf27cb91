//go:build linux && (amd64 || arm64)

package sysv_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/sysv"
)

// key is all that the two programs need to agree on.
const key sysv.Key = 0x1234

// writer is what the first program does.
func writer() error {
	// Exclusive: an object that somebody else has made under this key is an
	// error (fs.ErrExist), not a place to write to.
	id, err := sysv.ShmGet(key, 1024, sysv.Create|sysv.Exclusive|0o600)
	if err != nil {
		return err
	}
	b, err := sysv.ShmAt(id, 0, 0)
	if err != nil {
		return err
	}
	copy(b, "Hello, Shared Memory!")
	return sysv.ShmDt(b) // b must not be touched any more; the segment stays
}

// reader is what the second program does, when the first has told it to.
func reader() (string, error) {
	id, err := sysv.ShmGet(key, 0, 0) // the segment as it is, of whatever size
	if err != nil {
		return "", err
	}
	b, err := sysv.ShmAt(id, 0, sysv.ReadOnly)
	if err != nil {
		return "", err
	}
	text, _, _ := bytes.Cut(b, []byte{0}) // up to the NUL, as C has it
	s := string(text)                     // a copy, which outlives the attachment
	return s, errors.Join(sysv.ShmDt(b), id.Remove())
}

// A writer and a reader that share a key. C programs that call shmget(0x1234,
// 1024, 0600) can take either part.
func Example() {
	if err := writer(); err != nil {
		log.Fatal(err)
	}
	text, err := reader()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)

	_, err = reader()
	fmt.Println(err)
	// Output:
	// Hello, Shared Memory!
	// shmget key 0x1234: no such file or directory
}
