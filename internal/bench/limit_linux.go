//go:build linux && (amd64 || arm64)

package bench

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// limitsC is the program that measures the limits.
//
//go:embed c/limits.c
var limitsC []byte

// limiter measures the limits with a C program, or, without one, in Go.
type limiter struct {
	program *os.File // has no name any more
	found   string   // what the limits are measured in, and why
}

// newLimiter compiles the program. Where that is not possible it says so, and the
// limits are measured in Go.
func newLimiter(ctx context.Context, compiler string) (*limiter, error) {
	if compiler == "none" {
		return &limiter{found: "Go, as was asked for"}, nil
	}
	wanted := []string{compiler}
	if compiler == "" {
		wanted = []string{os.Getenv("CC"), "cc", "gcc", "clang"}
	}
	for _, name := range wanted {
		command := strings.Fields(name) // CC may have arguments
		if len(command) == 0 {
			continue
		}
		if _, err := exec.LookPath(command[0]); err != nil {
			if compiler != "" {
				return nil, err
			}
			continue
		}
		program, err := compile(ctx, command)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return &limiter{found: fmt.Sprintf("Go, as %s does not compile: %v", name, err)}, nil
		}
		return &limiter{program: program, found: "C, by " + name}, nil
	}
	return &limiter{found: "Go, as there is no C compiler"}, nil
}

// compile makes the program, and takes away its name and all files: a process that
// is killed leaves none.
func compile(ctx context.Context, command []string) (program *os.File, err error) {
	dir, err := os.MkdirTemp("", "shoal-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	source, binary := filepath.Join(dir, "limits.c"), filepath.Join(dir, "limits")
	if err := os.WriteFile(source, limitsC, 0o600); err != nil {
		return nil, err
	}
	args := append(command[1:], "-O2", "-std=gnu11", "-o", binary, source)
	if out, err := exec.CommandContext(ctx, command[0], args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, firstLine(string(out)))
	}
	if program, err = os.Open(binary); err != nil {
		return nil, err
	}
	// Without arguments it complains; where it cannot be run at all, that is found
	// out here.
	if err := exec.CommandContext(ctx, nameless(program)).Run(); !errors.As(err, new(*exec.ExitError)) {
		program.Close()
		return nil, fmt.Errorf("%w: the program cannot be run", err)
	}
	return program, nil
}

// nameless is how a file without a name is executed.
func nameless(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

func (l *limiter) language() string {
	if l.program != nil {
		return "C"
	}
	return "Go"
}

func (l *limiter) close() {
	if l.program != nil {
		l.program.Close()
	}
}

// measure runs the C program once.
func (l *limiter) measure(ctx context.Context, s Scenario, d time.Duration, cpus []int) (f figures, err error) {
	cpu := func(i int) string {
		if len(cpus) == 0 {
			return "-1"
		}
		return strconv.Itoa(cpus[i%len(cpus)])
	}
	cmd := exec.CommandContext(ctx, nameless(l.program),
		string(s.measure), strconv.Itoa(s.size), strconv.Itoa(s.area), fmt.Sprint(d.Seconds()), cpu(0), cpu(1))
	cmd.SysProcAttr = diesWithUs()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return f, fmt.Errorf("%s: %w: %s", s.Name, err, firstLine(stderr.String()))
	}
	if _, err := fmt.Sscan(string(out), &f.P50, &f.P99, &f.P999, &f.Max, &f.Count); err != nil {
		return f, fmt.Errorf("%s: it printed %q: %w", s.Name, out, err)
	}
	if s.measure == memcpy {
		f.Rate = 1e9 / max(f.P50, 0.1)
	}
	return f, nil
}
