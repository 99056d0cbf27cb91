//go:build linux && (amd64 || arm64)

package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/ring"
)

// example compiles a program of examples/c, with the command that stands in it but for the names of files.
func example(t *testing.T, name string) string {
	t.Helper()
	source := filepath.Join("../../examples/c", name+".c")
	text, err := os.ReadFile(source)
	must(t, err)
	command := regexp.MustCompile(`(?m)^ \*\t(cc .* -pthread)$`).FindSubmatch(text)
	if command == nil {
		t.Fatalf("%s does not say how to compile it", source)
	}
	path := filepath.Join(t.TempDir(), name)
	here := strings.NewReplacer("-Iinclude", "-I../../include", "examples/c/"+name+".c", source, "-o "+name, "-o "+path)
	line := here.Replace(string(command[1]))
	run(t, append(strings.Fields(line), "-Werror")...)
	return path
}

// TestExampleEvent has Go ring for the C example.
func TestExampleEvent(t *testing.T) {
	path := example(t, "event")
	bell, err := pshared.OpenEvent("example-bell", pshared.AutoReset)
	must(t, err)
	defer run(t, path, "remove")
	defer bell.Close()
	p := startC(t, path, "wait")
	eventually(t, "it has joined", func() bool { return bell.Stats().Members == 2 })
	bell.Set()
	p.Expect("it rings")
	run(t, path, "ring")
	must(t, bell.Wait())
}

// TestExampleMutex kills processes of the C example: the number in its file never goes back.
func TestExampleMutex(t *testing.T) {
	path := example(t, "mutex")
	defer pshared.Remove("example-count")
	file := filepath.Join(t.TempDir(), "count")
	if got := run(t, path, file, "100"); got != "100\n" {
		t.Fatalf("it prints %q", got)
	}
	for range 20 {
		cmd := exec.Command(path, file, "1000000")
		must(t, cmd.Start())
		time.Sleep(3 * time.Millisecond) // anything does
		must(t, cmd.Process.Kill())
		cmd.Wait()
	}
	out, err := exec.Command(path, file, "100").Output()
	must(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || n < 200 {
		t.Errorf("in the end the number is %q", out)
	}
}

// TestManual checks that the manual page knows every function that the header offers, and no other.
func TestManual(t *testing.T) {
	header, err := os.ReadFile("../../include/shoal.h")
	must(t, err)
	page, err := os.ReadFile("../../docs/man/shoal.h.3")
	must(t, err)
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^static inline .*?\b(shoal_\w*[a-z])\(`)
	for _, m := range declared.FindAllSubmatch(header, -1) {
		there[string(m[1])] = true
	}
	if len(there) < 50 {
		t.Fatalf("the header has %d functions?", len(there))
	}
	for _, m := range regexp.MustCompile(`\b(shoal_\w*[a-z])\(`).FindAllSubmatch(page, -1) {
		if !there[string(m[1])] {
			t.Errorf("the page knows %s, the header does not", m[1])
		}
	}
	for name := range there {
		stem := regexp.MustCompile(`_(why|check|stats|init|join|mark_consistent)$`).ReplaceAllString(name, "")
		if !strings.Contains(string(page), name) && !strings.Contains(string(page), stem) && name != "shoal_fingerprint" {
			t.Errorf("the page does not know %s", name)
		}
	}
	if _, err := exec.LookPath("groff"); err == nil {
		if got := run(t, "groff", "-man", "-Tutf8", "-ww", "-z", "../../docs/man/shoal.h.3"); got != "" {
			t.Errorf("groff: %s", got)
		}
	}
}

// run runs a program that must succeed.
func run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// TestExampleRing has the C example print what Go sends.
func TestExampleRing(t *testing.T) {
	path := example(t, "ring")
	r, err := ring.OpenOrCreate[[]byte]("example-lines", nil)
	must(t, err)
	defer run(t, path, "remove")
	defer r.Close()
	w, err := r.Writer()
	must(t, err)
	must(t, w.Send(t.Context(), []byte("one\n")))
	p := startC(t, path, "receive")
	p.Expect("one")
	must(t, w.Send(t.Context(), []byte("two\n")))
	p.Expect("two")
}
