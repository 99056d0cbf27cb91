//go:build linux && (amd64 || arm64)

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/bench/role"
)

// process plays a role.
type process struct {
	who    string
	server string // what it has said it is to be reached at
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	ending sync.Once
}

// ours is for processes that are not to outlive the thread that starts them, in a
// process group of their own: Ctrl-C is for us.
func ours() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// start starts a program. It is killed when ctx is done, and runs on the given
// processors from its first instruction, since it inherits them from this thread.
func start(ctx context.Context, who string, command []string, cpus []int) (p *process, err error) {
	p = &process{who: who, cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = ours()
	p.cmd.WaitDelay = time.Second
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if len(cpus) > 0 {
		var before, set unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			return nil, os.NewSyscallError("sched_getaffinity", err)
		}
		for _, cpu := range cpus {
			set.Set(cpu)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return nil, os.NewSyscallError("sched_setaffinity", err)
		}
		defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", who, err)
	}
	return p, nil
}

// ready waits until the process has all it needs.
func (p *process) ready() error {
	line, err := p.out.ReadString('\n')
	said, server, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || said != "ready" {
		return p.failed(fmt.Errorf("it says %q instead of that it is ready", strings.TrimSpace(line)))
	}
	p.server = server
	return nil
}

func (p *process) begin() error {
	if _, err := io.WriteString(p.in, "go\n"); err != nil {
		return p.failed(err)
	}
	return nil
}

// dismiss tells a process that nobody needs it any more.
func (p *process) dismiss() { p.in.Close() }

// outcome waits for what the process has found.
func (p *process) outcome() (o role.Outcome, err error) {
	if err := json.NewDecoder(p.out).Decode(&o); err != nil {
		return o, p.failed(fmt.Errorf("its result: %w", err))
	}
	return o, nil
}

// failed says why: with what the process itself has said.
func (p *process) failed(err error) error {
	p.end()
	if said := firstLine(p.stderr.String()); said != "" {
		return fmt.Errorf("%s: %s", p.who, said)
	}
	return fmt.Errorf("%s: %w", p.who, err)
}

// end ends the process, if it has not ended.
func (p *process) end() {
	p.ending.Do(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
}
