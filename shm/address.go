package shm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/sysv"
)

// Kind is the kind of an object: which part of the system keeps it.
type Kind uint8

// The kinds of objects.
const (
	KindInvalid Kind = iota
	POSIX            // shm_open(3): a name in /dev/shm
	SysV             // shmget(2): a key or an id in the IPC namespace
	File             // a regular file, mapped
	Memfd            // memfd_create(2): no name; lives while somebody holds it
)

// String returns the address prefix of the kind: "posix", "sysv", "file", "memfd".
func (k Kind) String() string {
	switch k {
	case POSIX:
		return "posix"
	case SysV:
		return "sysv"
	case File:
		return "file"
	case Memfd:
		return "memfd"
	}
	return "invalid"
}

// Address names an object. The zero Address is invalid; [ParseAddress] makes
// the others.
type Address struct {
	kind Kind
	byID bool   // System V: number is an id, not a key
	num  int32  // System V: key or id
	name string // POSIX and file: path; memfd: name
}

// ParseAddress reads an address:
//
//	/name, posix:/name   a POSIX object
//	sysv:0x1234          a System V key (hexadecimal, decimal or octal)
//	sysv-id:7            a System V id, as ipcs(1) and shoal ls show it
//	file:PATH            a regular file
//	memfd:NAME           an anonymous object (to create it; NAME is a label)
func ParseAddress(s string) (Address, error) {
	a, err := parseAddress(s)
	if err != nil {
		return Address{}, &Error{Op: "parse", Object: strconv.Quote(s), Err: err,
			Advice: "addresses are /name, posix:/name, sysv:0x1234, sysv-id:7, file:PATH, memfd:NAME"}
	}
	return a, nil
}

func parseAddress(s string) (Address, error) {
	if strings.HasPrefix(s, "/") {
		return posixAddress(s)
	}
	scheme, rest, found := strings.Cut(s, ":")
	if !found {
		hint := ""
		if _, err := posix.ShmPath(s); err == nil {
			hint = fmt.Sprintf(" (did you mean %q?)", "/"+s)
		}
		return Address{}, fmt.Errorf("not an address%s: %w", hint, syscall.EINVAL)
	}
	switch scheme {
	case "posix":
		return posixAddress(rest)
	case "sysv":
		key, err := sysv.ParseKey(rest)
		if err != nil {
			return Address{}, err
		}
		return Address{kind: SysV, num: int32(key)}, nil
	case "sysv-id":
		id, err := strconv.ParseInt(rest, 10, 32)
		if err != nil || id < 0 {
			return Address{}, fmt.Errorf("id %q is not a number from 0 to 2147483647: %w", rest, syscall.EINVAL)
		}
		return Address{kind: SysV, byID: true, num: int32(id)}, nil
	case "file":
		if rest == "" || strings.ContainsRune(rest, 0) {
			return Address{}, fmt.Errorf("file path is empty or has a NUL byte: %w", syscall.EINVAL)
		}
		return Address{kind: File, name: filepath.Clean(rest)}, nil
	case "memfd":
		// The kernel's limit (memfd_create(2)) is 249 bytes.
		if strings.ContainsRune(rest, 0) || len(rest) > 249 {
			return Address{}, fmt.Errorf("memfd label has over 249 bytes or a NUL byte: %w", syscall.EINVAL)
		}
		return Address{kind: Memfd, name: rest}, nil
	}
	return Address{}, fmt.Errorf("unknown kind of object %q: %w", scheme, syscall.EINVAL)
}

func posixAddress(name string) (Address, error) {
	path, err := posix.ShmPath(name)
	if err != nil {
		why := "is no object name: it is empty, a directory, or has an inner slash or NUL"
		if errors.Is(err, syscall.ENAMETOOLONG) {
			why = "is longer than 255 bytes"
		}
		return Address{}, fmt.Errorf("POSIX name %s: %w", why, err)
	}
	return Address{kind: POSIX, name: path}, nil
}

// KeyAddress is the address of the System V key.
func KeyAddress(key sysv.Key) Address { return Address{kind: SysV, num: int32(key)} }

// IDAddress is the address of the System V id.
func IDAddress(id sysv.ShmID) Address { return Address{kind: SysV, byID: true, num: int32(id)} }

// Kind returns the kind of object that the address names.
func (a Address) Kind() Kind { return a.kind }

// String returns the address in the form that [ParseAddress] reads: "/name",
// "sysv:0x1234", "sysv-id:7", "file:path", "memfd:name".
func (a Address) String() string {
	switch a.kind {
	case POSIX:
		return a.name[len(posix.ShmDir):]
	case SysV:
		if a.byID {
			return fmt.Sprintf("sysv-id:%d", a.num)
		}
		return fmt.Sprintf("sysv:0x%x", uint32(a.num))
	case File, Memfd:
		return a.kind.String() + ":" + a.name
	}
	return "invalid"
}

// path is the file of a POSIX or file address.
func (a Address) path() string { return a.name }
