package inspect

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/shm"
)

// variable selects what this binary does when a test starts it.
const variable = "SHOAL_INSPECT_ROLE"

func TestMain(m *testing.M) {
	if addr := os.Getenv(variable); addr != "" {
		if strings.HasPrefix(addr, "lock:") {
			lockAndWait(addr)
		} else {
			create(addr)
		}
		return
	}
	isolate.Main(m)
}

// create makes an object of 1000 bytes, keeps it mapped, says so and lives until
// its standard input ends.
func create(addr string) {
	seg, err := shm.Create(addr, 1000, nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	seg.Close()
}

// creatorProcess is a process that runs create.
type creatorProcess struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func startCreator(t *testing.T, addr string) *creatorProcess {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), variable+"="+addr)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &creatorProcess{cmd, stdin}
	t.Cleanup(func() {
		p.kill()
		shm.Remove(addr)
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	return p
}

// kill ends the process without warning, and waits until it is gone.
func (p *creatorProcess) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.stdin.Close()
}
