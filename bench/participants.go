//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/bench/role"
)

// A participant is something that can be measured: a program, and how it is got.
type participant struct {
	name  string
	about string
	// program returns the command that plays a job. It builds what it needs the first
	// time.
	program func(ctx context.Context, b *builder, j *role.Job) ([]string, error)
	server  bool // it has a third process, which is there first
	alone   bool // one process plays both sides
	files   bool // the names of what connects both sides are paths
}

func (p *participant) ours() bool { return strings.HasPrefix(p.name, "shoal-") }

func (p *participant) limit() bool { return strings.HasPrefix(p.name, "limit-") }

// self is a participant in Go, that is part of this program.
func self(context.Context, *builder, *role.Job) ([]string, error) {
	return []string{"/proc/self/exe", "role"}, nil
}

// servers are participants in Go that need modules which nothing else here does: they are part of this program too, if
// it is built with a tag. Without these modules all the rest can be measured.
func servers(needs string) func(context.Context, *builder, *role.Job) ([]string, error) {
	return func(ctx context.Context, b *builder, _ *role.Job) ([]string, error) {
		if _, err := exec.LookPath(needs); needs != "" && err != nil {
			return nil, fmt.Errorf("there is no %s", needs)
		}
		path := filepath.Join(b.to, "servers")
		err := b.once(ctx, b.dir, "the program for Redis and NATS", []string{"go", "build", "-tags", "servers", "-o", path, "."})
		return []string{path, "role"}, err
	}
}

// inC is a program in C.
func inC(source string, defines ...string) func(context.Context, *builder, *role.Job) ([]string, error) {
	return func(ctx context.Context, b *builder, j *role.Job) ([]string, error) {
		d := append([]string{}, defines...)
		for i := range d {
			d[i] = strings.NewReplacer("{size}", fmt.Sprint(j.Size), "{area}", fmt.Sprint(j.Area)).Replace(d[i])
		}
		path, err := b.compile(ctx, source, d)
		return []string{path}, err
	}
}

var participants = []*participant{
	{name: "limit-line", about: "ping-pong of two cache lines, C", program: inC("../internal/bench/c/limits.c"), alone: true},
	{name: "limit-futex", about: "ping-pong of two futexes, C", program: inC("../internal/bench/c/limits.c"), alone: true},
	{name: "limit-memcpy", about: "memcpy in and out of shared memory, C", program: inC("../internal/bench/c/limits.c"), alone: true},
	{name: "shoal-ring", about: "Shoal, package ring, Go", program: self},
	{name: "shoal-topic", about: "Shoal, package topic, Go", program: self},
	{name: "shoal-queue", about: "Shoal, package queue, Go", program: self},
	{name: "shoal-mutex", about: "Shoal, pshared.Mutex, Go", program: self},
	{name: "shoal-event", about: "Shoal, pshared.Event, Go", program: self, alone: true},
	{name: "shoal-event-waitv", about: "Shoal, pshared.Event without io_uring, Go", program: self, alone: true},
	{name: "shoal-c-ring", about: "Shoal, ring of shoal.h, C", program: inC("c/shoal.c", "RING")},
	{name: "shoal-c-topic", about: "Shoal, topic of shoal.h, C", program: inC("c/shoal.c", "TOPIC")},
	{name: "shoal-c-queue", about: "Shoal, queue of shoal.h, C", program: inC("c/shoal.c", "QUEUE")},
	{name: "shoal-py-ring", about: "Shoal, ring, Python", program: python},
	{name: "c-pipe", about: "pipe, C", program: inC("c/kernel.c", "PIPE"), files: true},
	{name: "c-unix", about: "unix stream socket, C", program: inC("c/kernel.c", "UNIX_SOCKET")},
	{name: "c-mqueue", about: "POSIX message queue, C", program: inC("c/kernel.c", "MQUEUE")},
	{name: "boost-mq", about: "Boost.Interprocess message_queue, C++", program: inC("c/boost.cpp", "MESSAGE_QUEUE")},
	{name: "boost-spsc", about: "Boost.Lockfree spsc_queue in shared memory, C++",
		program: inC("c/boost.cpp", "SPSC_QUEUE", "SIZE={size}", "AREA={area}")},
	{name: "iceoryx2", about: "iceoryx2, Rust", program: iceoryx2},
	{name: "iceoryx2-threads", about: "iceoryx2, Rust, by its own method: two threads", program: iceoryx2, alone: true},
	{name: "aeron", about: "Aeron IPC, Java, its media driver a process of its own", program: aeron, server: true},
	{name: "go-pipe", about: "pipe, Go", program: self, files: true},
	{name: "go-unix", about: "unix stream socket, Go", program: self},
	{name: "go-channel", about: "channel between goroutines of one process, Go", program: self, alone: true},
	{name: "redis", about: "Redis over TCP on loopback, Go client", program: servers("redis-server"), server: true},
	{name: "nats", about: "NATS over TCP on loopback, Go client", program: servers(""), server: true},
}

func byName(name string) *participant {
	for _, p := range participants {
		if p.name == name {
			return p
		}
	}
	return nil
}

// A builder builds programs, each once, in a directory outside the tree that is kept.
type builder struct {
	dir string // of this module
	to  string // what is built
	say func(format string, args ...any)

	mu   sync.Mutex
	done map[string]error
}

func newBuilder(dir string, say func(string, ...any)) (*builder, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	b := &builder{dir: dir, to: filepath.Join(cache, "shoal-bench"), say: say, done: map[string]error{}}
	return b, os.MkdirAll(b.to, 0o755)
}

var errNoProgram = errors.New("there is no")

// once runs a command, unless it has been run before.
func (b *builder) once(ctx context.Context, dir, what string, command []string, env ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err, ok := b.done[what]; ok {
		return err
	}
	b.say("building %s", what)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr, cmd.WaitDelay = ours(), time.Second
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with the compilers that it runs
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		err = fmt.Errorf("%w %s", errNoProgram, command[0])
	case err != nil:
		err = fmt.Errorf("%s does not build: %w: %s", what, err, firstLine(string(out)))
	}
	if ctx.Err() == nil {
		b.done[what] = err
	}
	return err
}

// firstLine is the first line that tells of an error, or else the first.
func firstLine(s string) string {
	first := ""
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "go: downloading ") {
			continue
		}
		if first == "" {
			first = line
		}
		if low := strings.ToLower(line); strings.Contains(low, "error") || strings.Contains(low, "exception") ||
			strings.Contains(low, "panic") {
			return line
		}
	}
	return first
}

// compile compiles a program in C or C++.
func (b *builder) compile(ctx context.Context, source string, defines []string) (string, error) {
	compiler, standard := "cc", "-std=gnu11"
	if strings.HasSuffix(source, ".cpp") {
		compiler, standard = "c++", "-std=c++17"
	}
	// What it is made of is part of its name.
	h := sha256.New()
	for _, name := range []string{source, "c/roles.h", "c/job.h", "../include/shoal.h"} {
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil {
			return "", err
		}
		h.Write(text)
	}
	base := strings.TrimSuffix(filepath.Base(source), filepath.Ext(source))
	name := strings.ToLower(strings.Join(append([]string{base}, defines...), "-")) + fmt.Sprintf("-%x", h.Sum(nil)[:4])
	path := filepath.Join(b.to, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	args := []string{compiler, "-O2", standard, "-I../include"}
	for _, d := range defines {
		args = append(args, "-D"+d)
	}
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	args = append(args, "-o", temporary, source, "-lrt", "-pthread")
	if err := b.once(ctx, b.dir, strings.Join(append([]string{source}, defines...), " "), args); err != nil {
		os.Remove(temporary)
		return "", err
	}
	return path, os.Rename(temporary, path)
}

// iceoryx2 is built by Cargo, without the network if what it needs is there. Cargo writes beside its sources, and so gets
// a copy of them.
func iceoryx2(ctx context.Context, b *builder, _ *role.Job) ([]string, error) {
	source, to := filepath.Join(b.to, "iceoryx2-source"), filepath.Join(b.to, "iceoryx2")
	for _, name := range []string{"Cargo.toml", "src/main.rs"} {
		if err := replace(filepath.Join(b.dir, "iceoryx2", name), filepath.Join(source, name)); err != nil {
			return nil, err
		}
	}
	build := []string{"cargo", "build", "--release", "--quiet"}
	err := b.once(ctx, source, "iceoryx2", append(build, "--offline"), "CARGO_TARGET_DIR="+to)
	if err != nil && !errors.Is(err, errNoProgram) && ctx.Err() == nil {
		err = b.once(ctx, source, "iceoryx2, from the registry", build, "CARGO_TARGET_DIR="+to)
	}
	return []string{filepath.Join(to, "release", "shoal-bench-iceoryx2")}, err
}

// replace copies a file, unless it is there already: what is built of it is not built again then.
func replace(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(to); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// python is the package for Python of this tree, on its C header.
func python(ctx context.Context, b *builder, _ *role.Job) ([]string, error) {
	source, to := filepath.Join(b.dir, "..", "python"), filepath.Join(b.to, "python")
	if _, err := os.Stat(filepath.Join(source, "setup.py")); err != nil {
		return nil, errors.New("there is no package for Python in this tree")
	}
	err := b.once(ctx, source, "the package for Python", []string{"python3", "setup.py", "-q", "egg_info", "-e", b.to,
		"build", "--build-base", to + "-build", "--build-lib", to})
	return []string{"env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=" + to, "python3", filepath.Join(b.dir, "python", "roles.py")}, err
}

// aeron is got by Maven, and compiled.
func aeron(ctx context.Context, b *builder, _ *role.Job) ([]string, error) {
	to := filepath.Join(b.to, "aeron")
	source := filepath.Join(b.dir, "aeron")
	err := b.once(ctx, source, "Aeron", []string{"mvn", "-q", "-B", "-o", "dependency:copy-dependencies", "-DoutputDirectory=" + to})
	if err != nil && !errors.Is(err, errNoProgram) && ctx.Err() == nil { // what is not there yet has to be asked for
		err = b.once(ctx, source, "Aeron, from the registry",
			[]string{"mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=" + to})
	}
	if err == nil {
		err = b.once(ctx, source, "the program for Aeron", []string{"javac", "-d", to, "-cp", to + "/*", "Roles.java"})
	}
	return []string{"java", "-Xms256m", "-Xmx1g", "-XX:+UseParallelGC", "-Djava.io.tmpdir=/dev/shm",
		"--add-opens=java.base/sun.nio.ch=ALL-UNNAMED", "--add-opens=java.base/jdk.internal.misc=ALL-UNNAMED",
		"--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED", "-Daeron.event.log=", "-cp", to + ":" + to + "/*", "Roles"}, err
}
