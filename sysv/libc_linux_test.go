//go:build linux && (amd64 || arm64)

package sysv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// compile builds a C program and returns its path.
func compile(t *testing.T, source string) string {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skipf("needs a C compiler: %v", err)
	}
	program := filepath.Join(t.TempDir(), "program")
	cc := exec.Command("cc", "-Wall", "-Werror", "-o", program, "-x", "c", "-")
	cc.Stdin = strings.NewReader(source)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return program
}

// TestHeaders holds the numbers in this package and in internal/sys against those of the C headers.
func TestHeaders(t *testing.T) {
	constants := []struct {
		c     string
		value int
	}{
		{"IPC_PRIVATE", int(Private)},
		{"IPC_CREAT", int(Create)}, {"IPC_EXCL", int(Exclusive)}, {"IPC_NOWAIT", int(NoWait)},
		{"SHM_HUGETLB", int(HugeTLB)}, {"SHM_NORESERVE", int(NoReserve)},
		{"SHM_HUGETLB|HUGETLB_FLAG_ENCODE_2MB", int(HugePage(2 << 20))}, {"SHM_HUGETLB|HUGETLB_FLAG_ENCODE_1GB", int(HugePage(1 << 30))},
		{"SHM_RDONLY", int(ReadOnly)}, {"SHM_RND", int(Round)}, {"SHM_REMAP", int(Remap)}, {"SHM_EXEC", int(Exec)},
		{"SHM_DEST", int(modeDest)}, {"SHM_LOCKED", int(modeLocked)},
		{"SEM_UNDO", int(Undo)},
		{"MSG_NOERROR", int(MsgNoError)}, {"MSG_EXCEPT", int(MsgExcept)}, {"MSG_COPY", int(MsgCopy)},
		{"IPC_RMID", sys.IPC_RMID}, {"IPC_SET", sys.IPC_SET}, {"IPC_STAT", sys.IPC_STAT}, {"IPC_INFO", sys.IPC_INFO},
		{"SHM_LOCK", sys.SHM_LOCK}, {"SHM_UNLOCK", sys.SHM_UNLOCK},
		{"SHM_STAT", sys.SHM_STAT}, {"SHM_INFO", sys.SHM_INFO}, {"SHM_STAT_ANY", sys.SHM_STAT_ANY},
		{"GETPID", sys.GETPID}, {"GETVAL", sys.GETVAL}, {"GETALL", sys.GETALL}, {"GETNCNT", sys.GETNCNT},
		{"GETZCNT", sys.GETZCNT}, {"SETVAL", sys.SETVAL}, {"SETALL", sys.SETALL},
		{"SEM_STAT", sys.SEM_STAT}, {"SEM_INFO", sys.SEM_INFO}, {"SEM_STAT_ANY", sys.SEM_STAT_ANY},
		{"MSG_STAT", sys.MSG_STAT}, {"MSG_INFO", sys.MSG_INFO}, {"MSG_STAT_ANY", sys.MSG_STAT_ANY},
	}
	var source strings.Builder
	source.WriteString("#define _GNU_SOURCE\n#include <stdio.h>\n#include <sys/ipc.h>\n#include <sys/shm.h>\n#include <sys/sem.h>\n#include <sys/msg.h>\n#include <asm-generic/hugetlb_encode.h>\nint main(void) {\n")
	for _, c := range constants {
		fmt.Fprintf(&source, "printf(\"%%d\\n\", (int)(%s));\n", c.c)
	}
	source.WriteString("return 0; }\n")
	out, err := exec.Command(compile(t, source.String())).Output()
	must(t, err)
	values := strings.Fields(string(out))
	if len(values) != len(constants) {
		t.Fatalf("%d values of %d:\n%s", len(values), len(constants), out)
	}
	for i, c := range constants {
		if values[i] != fmt.Sprint(c.value) {
			t.Errorf("%s is %s in C, %d in Go", c.c, values[i], c.value)
		}
	}
}

// TestFtok asks the C library for the same keys.
func TestFtok(t *testing.T) {
	program := compile(t, `
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
int main(int n, char **arg) {
	for (int i = 1; i + 1 < n; i += 2)
		printf("%d\n", ftok(arg[i], atoi(arg[i + 1])));
	return 0;
}`)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	must(t, os.Symlink(dir, link))
	paths := []string{dir, link, "/", "/proc/version", "/dev/null", program}
	var args []string
	var keys []Key
	for _, path := range paths {
		for _, proj := range []byte{0, 1, 'A', 127, 255} {
			key, err := Ftok(path, proj)
			must(t, err)
			args, keys = append(args, path, fmt.Sprint(proj)), append(keys, key)
		}
	}
	out, err := exec.Command(program, args...).Output()
	must(t, err)
	for i, value := range strings.Fields(string(out)) {
		if value != fmt.Sprint(int32(keys[i])) {
			t.Errorf("ftok(%s, %s) is %s in C, %d in Go", args[2*i], args[2*i+1], value, int32(keys[i]))
		}
	}
	if n := strings.Count(string(out), "\n"); n != len(keys) {
		t.Errorf("%d keys from C, want %d", n, len(keys))
	}
}

func TestFtokErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]syscall.Errno{
		file + "-missing":        syscall.ENOENT,
		"":                       syscall.ENOENT,
		file + "/below":          syscall.ENOTDIR,
		strings.Repeat("x", 300): syscall.ENAMETOOLONG,
		"zero\x00byte":           syscall.EINVAL,
	} {
		key, err := Ftok(path, 'A')
		wantErr(t, err, want)
		if key != Private {
			t.Errorf("Ftok(%q) = %v with an error", path, key)
		}
	}
}
