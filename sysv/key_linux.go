//go:build linux && (amd64 || arm64)

package sysv

import "syscall"

// fileIdentity is stat(2): the inode, and the device as user space encodes it.
func fileIdentity(path string) (ino, dev uint64, err error) {
	var st syscall.Stat_t
	err = retry(func() error { return syscall.Stat(path, &st) })
	return st.Ino, st.Dev, err
}
