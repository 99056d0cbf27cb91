//go:build linux && (amd64 || arm64)

package posix_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/posix"
)

// peerC is the C program at the other end of semaphores and mutexes. It maps a
// shared memory object, obeys one command a line and answers each with one line:
// 0 or the error number of the call, or what was asked for.
const peerC = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
	union { pthread_mutex_t mutex; sem_t sem; char room[64]; };
	volatile long total, target, limit, deaths; /* of the counting below */
	char gap[32];
	volatile long mine[8];
} *shared;

static struct timespec in(long ms)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
	return t;
}

static int mutex_init(int type, int pshared, int robust, int protocol)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	if (type >= 0) pthread_mutexattr_settype(&a, type); /* else the default */
	pthread_mutexattr_setpshared(&a, pshared);
	pthread_mutexattr_setrobust(&a, robust);
	pthread_mutexattr_setprotocol(&a, protocol);
	return pthread_mutex_init(&shared->mutex, &a);
}

static int code(int result) { return result ? errno : 0; }

/* Counts the total up to the target with everybody else, and up to the limit for
   the moment. After a death the sum of what each has done is the truth. */
static int count(int me)
{
	for (;;) {
		int e = pthread_mutex_lock(&shared->mutex);
		if (e == EOWNERDEAD) {
			long sum = 0;
			for (int i = 0; i < 8; i++) sum += shared->mine[i];
			if (shared->total != sum && shared->total != sum + 1) {
				fprintf(stderr, "total %ld of %ld\n", shared->total, sum);
				return 3;
			}
			shared->total = sum;
			shared->deaths++;
			pthread_mutex_consistent(&shared->mutex);
		} else if (e) {
			fprintf(stderr, "lock: %s\n", strerror(e));
			return 3;
		}
		long total = shared->total;
		if (total >= shared->target) {
			pthread_mutex_unlock(&shared->mutex);
			return 0;
		}
		if (total >= shared->limit) {
			pthread_mutex_unlock(&shared->mutex);
			usleep(50);
			continue;
		}
		shared->total = total + 1;
		for (volatile int i = 0; i < 5000; i++) {} /* time to die in */
		shared->mine[me]++;
		pthread_mutex_unlock(&shared->mutex);
	}
}

static double ns_per(struct timespec a, long n)
{
	struct timespec b;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / n;
}

int main(int argc, char **argv)
{
	char line[300], word[32], name[260];
	sem_t *sem = NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);
	int fd = shm_open(argv[1], O_RDWR, 0);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) { perror("mmap"); return 1; }
	sem = &shared->sem;
	while (fgets(line, sizeof line, stdin)) {
		long a = 0, b = 0, c = 0, d = 0;
		sscanf(line, "%31s %ld %ld %ld %ld", word, &a, &b, &c, &d);
#define DO(command) else if (!strcmp(word, command))
		if (0) {}
		DO("init") printf("%d\n", mutex_init(a, b, c, d));
		DO("destroy") printf("%d\n", pthread_mutex_destroy(&shared->mutex));
		DO("lock") printf("%d\n", pthread_mutex_lock(&shared->mutex));
		DO("trylock") printf("%d\n", pthread_mutex_trylock(&shared->mutex));
		DO("timedlock") { struct timespec t = in(a); printf("%d\n", pthread_mutex_timedlock(&shared->mutex, &t)); }
		DO("unlock") printf("%d\n", pthread_mutex_unlock(&shared->mutex));
		DO("consistent") printf("%d\n", pthread_mutex_consistent(&shared->mutex));
		DO("size") printf("%zu %zu\n", sizeof(pthread_mutex_t), sizeof(sem_t));
		DO("tid") printf("%ld\n", syscall(SYS_gettid));
		DO("count") printf("%d\n", count(a));
		DO("die") kill(getpid(), SIGKILL);
		DO("sem_init") printf("%d\n", code(sem_init(&shared->sem, a, b)));
		DO("sem_open") { /* a: flags, b: mode, c: value */
			sscanf(line, "%*s %*d %*d %*d %259s", name);
			sem_t *s = sem_open(strcmp(name, "EMPTY") ? name : "", a, (mode_t)b, (unsigned)c);
			if (s == SEM_FAILED) { printf("%d\n", errno); continue; }
			sem = s;
			puts("0");
		}
		DO("sem_unlink") { sscanf(line, "%*s %259s", name); printf("%d\n", code(sem_unlink(name))); }
		DO("post") printf("%d\n", code(sem_post(sem)));
		DO("wait") printf("%d\n", code(sem_wait(sem)));
		DO("trywait") printf("%d\n", code(sem_trywait(sem)));
		DO("timedwait") { struct timespec t = in(a); printf("%d\n", code(sem_timedwait(sem, &t))); }
		DO("value") { int v; sem_getvalue(sem, &v); printf("%d\n", v); }
		DO("take") { /* takes a times, b of them with a deadline */
			int e = 0;
			for (long i = 0; i < a && !e; i++) {
				struct timespec t = in(10000);
				e = code(i < b ? sem_timedwait(sem, &t) : sem_wait(sem));
			}
			printf("%d\n", e);
		}
		DO("pong") { /* a times: waits in the room's semaphore, posts the named one */
			int e = 0;
			for (long i = 0; i < a && !e; i++) e = code(sem_wait(&shared->sem)) || code(sem_post(sem));
			printf("%d\n", e);
		}
		DO("give") { int e = 0; for (long i = 0; i < a && !e; i++) e = code(sem_post(sem)); printf("%d\n", e); }
		DO("bench_mutex") {
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			for (long i = 0; i < a; i++) { pthread_mutex_lock(&shared->mutex); pthread_mutex_unlock(&shared->mutex); }
			printf("%f\n", ns_per(t, a));
		}
		DO("bench_sem") {
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			for (long i = 0; i < a; i++) { sem_post(sem); sem_wait(sem); }
			printf("%f\n", ns_per(t, a));
		}
		else { fprintf(stderr, "command: %s", line); return 2; }
	}
	return 0;
}
`

// Where things lie in the object that peers share.
const (
	roomSize   = 4096
	totalAt    = 64
	targetAt   = 72
	limitAt    = 80
	deathsAt   = 88
	mineAt     = 128
	mutexOwner = 8 // in a pthread_mutex_t
	waitersBit = 0x80000000
	diedBit    = 0x40000000
	threadMask = 0x3fffffff
	shared     = 1 // PTHREAD_PROCESS_SHARED
	robust     = 1 // PTHREAD_MUTEX_ROBUST
	nameOfRoom = "/room"
)

// newRoom makes the object that peers share, and maps it.
func newRoom(t testing.TB) []byte {
	t.Helper()
	f, err := posix.ShmOpen(nameOfRoom, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	must(t, err)
	t.Cleanup(func() { must(t, posix.ShmUnlink(nameOfRoom)) })
	must(t, posix.Fallocate(f, 0, roomSize))
	must(t, f.Close())
	return enterRoom(t)
}

// enterRoom maps the object once more.
func enterRoom(t testing.TB) []byte {
	t.Helper()
	f, err := posix.ShmOpen(nameOfRoom, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b, err := posix.Mmap(f, 0, roomSize, posix.ProtRead|posix.ProtWrite)
	must(t, err)
	t.Cleanup(func() { must(t, posix.Munmap(b)) })
	return b
}

// A peer is a process that obeys commands: the C program, or this test binary in
// a role.
type peer struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string
	ended bool
}

// buildPeer compiles the C program.
func buildPeer(t testing.TB) (program string) {
	t.Helper()
	dir := t.TempDir()
	file, program := filepath.Join(dir, "peer.c"), filepath.Join(dir, "peer")
	must(t, os.WriteFile(file, []byte(peerC), 0o600))
	if out, err := exec.Command("cc", "-Wall", "-Werror", "-O2", "-pthread", "-o", program, file, "-lrt").CombinedOutput(); err != nil {
		t.Fatalf("cc (make setup installs it): %v\n%s", err, out)
	}
	return program
}

// startC starts the C program in the room.
func startC(t testing.TB, program string) *peer {
	t.Helper()
	return start(t, exec.Command(program, nameOfRoom))
}

// startGo starts this test binary in a role.
func startGo(t testing.TB, role string, env ...string) *peer {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, roleVariable+"="+role)...)
	return start(t, cmd)
}

func start(t testing.TB, cmd *exec.Cmd) *peer {
	t.Helper()
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = os.Stderr
	must(t, cmd.Start())
	p := &peer{t: t, cmd: cmd, in: in, lines: make(chan string, 1)}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// send gives a command.
func (p *peer) send(format string, args ...any) {
	p.t.Helper()
	_, err := fmt.Fprintf(p.in, format+"\n", args...)
	must(p.t, err)
}

// answer returns the next line that the peer prints; "dead" if it ends instead.
func (p *peer) answer() string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "dead"
		}
		return line
	case <-time.After(patience):
		p.t.Fatal("the peer does not answer")
		return ""
	}
}

// do gives a command and returns the answer.
func (p *peer) do(format string, args ...any) string {
	p.t.Helper()
	p.send(format, args...)
	return p.answer()
}

// want gives a command and fails the test unless the call returns the error
// number, 0 for success.
func (p *peer) want(e syscall.Errno, format string, args ...any) {
	p.t.Helper()
	if got, want := p.do(format, args...), fmt.Sprint(int(e)); got != want {
		p.t.Fatalf("C: "+format+": returned %s, want %s (%v)", append(args, got, want, e)...)
	}
}

// silent fails the test if the peer has answered already.
func (p *peer) silent() {
	p.t.Helper()
	select {
	case line := <-p.lines:
		p.t.Fatalf("the peer should wait, but says %q", line)
	default:
	}
}

// kill ends the peer with SIGKILL, and waits.
func (p *peer) kill() {
	if p.ended {
		return
	}
	p.ended = true
	p.cmd.Process.Kill()
	for range p.lines {
	}
	p.cmd.Wait()
}

// word reads the 32-bit word at an offset of shared memory.
func word(b []byte, offset int) uint32 { return binary.LittleEndian.Uint32(b[offset:]) }

// eventually waits until a state can be observed.
func eventually(t testing.TB, what string, state func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !state(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// sleepers waits until n threads, of any process, sleep on the word at offset 0.
// To count them it moves them to another word and back, which keeps their order.
func sleepers(t testing.TB, room []byte, n int) {
	t.Helper()
	const requeue = 3 // FUTEX_REQUEUE
	at := func(offset int) uintptr {
		w, err := mem.At[mem.Uint32](room, offset)
		must(t, err)
		return uintptr(w.Pointer())
	}
	move := func(from, to int) int {
		moved, _, errno := unix.Syscall6(unix.SYS_FUTEX, at(from), requeue, 0, 1<<31-1, at(to), 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return int(moved)
	}
	eventually(t, fmt.Sprintf("%d sleep", n), func() bool {
		found := move(0, roomSize-8)
		move(roomSize-8, 0)
		return found == n
	})
}

// hex shows bytes as words.
func hex(b []byte) string {
	var s strings.Builder
	for i := 0; i+4 <= len(b); i += 4 {
		fmt.Fprintf(&s, "%08x ", word(b, i))
	}
	return s.String()
}
