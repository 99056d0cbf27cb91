//go:build linux && (amd64 || arm64)

package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
)

// tell runs the demo in this process.
func tell(t *testing.T) (story string, err error) {
	t.Helper()
	var out, stderr bytes.Buffer
	err = Run(t.Context(), Options{Stdout: &out, Stderr: &stderr})
	if stderr.Len() > 0 {
		t.Errorf("processes said on standard error: %s", &stderr)
	}
	return out.String(), err
}

// plot is the story: these lines in this order, others between them.
var plot = []string{
	`Shoal demo: .* process \d+\.`,
	`Shared memory on this machine before:`,
	`  none`,
	`  warden +(\d+)  removes`,
	`1\. System V: key 0x1234, 1024 bytes`,
	`  writer +(\d+)  shmget\(0x1234, 1024, IPC_CREAT\|IPC_EXCL\|0600\) = \d+`,
	`  writer +(\d+)  Data written to shared memory: Hello, Shared Memory!`,
	`  demo +(\d+)  The writer has ended\. The segment stays: 0 attached\.`,
	`  reader +(\d+)  Data read from shared memory: Hello, Shared Memory!`,
	`  demo +(\d+)  shmctl\(\d+, IPC_RMID\).*`,
	`2\. POSIX: /my_shm, .*`,
	`  reader +(\d+)  sem_wait\(written\): sleeps .*`,
	`  writer +(\d+)  created /my_shm: 1 KiB, reserved`,
	`  writer +(\d+)  Message written to shared memory: Hello, Shared Memory!`,
	`  reader +(\d+)  Message read from shared memory: Hello, Shared Memory!`,
	`  writer +(\d+)  shm_unlink\("/my_shm"\).*`,
	`3\. 256 MiB through shared memory, and through a pipe`,
	`  sender +(\d+)  created /shoal-demo-\d+: 1 MiB, reserved`,
	`  receiver +(\d+)  opened it: the same memory`,
	`  shared memory  256 MiB in +[\d.]+ ms +[\d.]+ GiB/s  CRC-32C [0-9a-f]{8}, verified`,
	`  pipe           256 MiB in +[\d.]+ ms +[\d.]+ GiB/s  CRC-32C [0-9a-f]{8}, verified`,
	`  Shared memory: [\d.]+ times the pipe's rate\..*`,
	`4\. kill -9 inside a lock`,
	`  victim +(\d+)  created /shoal-demo-\d+: a mutex, debits 0, credits 0`,
	`  worker +(\d+)  books: Lock, .*`,
	`  worker +(\d+)  books: Lock, .*`,
	`  victim +(\d+)  stops inside the lock \(SIGSTOP\): debits \+ 1, credits not yet`,
	`  demo +(\d+)  300 ms later: stopped is not dead, nobody has taken the lock`,
	`  demo +(\d+)  kill -9 \d+: .*`,
	`  worker +(\d+)  Lock: ErrOwnerDied, \d+ microseconds after the kill`,
	`  worker +(\d+)  debits \d+, credits \d+: a booking is torn`,
	`  worker +(\d+)  completes the booking; MarkConsistent`,
	`  worker +(\d+)  has made \d+ bookings, 10000 of them since`,
	`  worker +(\d+)  has made \d+ bookings, 10000 of them since`,
	`  demo +(\d+)  shm_unlink\("/shoal-demo-\d+"\)`,
	`  Debits \d+, credits \d+: .*`,
	`5\. A topic: three subscribers, two kills in full flow`,
	`  reader +(\d+)  subscribes: the sender waits for it, while it lives`,
	`  reader +(\d+)  subscribes: .*`,
	`  ledger +(\d+)  subscribes: the sender waits for it, dead or alive`,
	`  sender +(\d+)  publishes from 1 on`,
	`  demo +(\d+)  kill -9 \d+: the ledger, in full flow`,
	`  ledger +(\d+)  subscribes: .*`,
	`  demo +(\d+)  kill -9 \d+: the sender, in full flow`,
	`  sender +(\d+)  publishes from \d+ on`,
	`  300000 records of 64 bytes, .*`,
	`Shared memory on this machine after:`,
	`  none`,
	`Nothing left: all that the demo made is gone\.`,
}

func TestStory(t *testing.T) {
	begun := time.Now()
	work := processorTime(t)
	story, err := tell(t)
	must(t, err)
	work = processorTime(t) - work
	t.Logf("%v, %v of processors\n%s", time.Since(begun), work, story)
	rest := story
	pids := make(map[string]bool)
	for _, want := range plot {
		m := regexp.MustCompile(`(?m)^` + want + `.*\n`).FindStringSubmatchIndex(rest)
		if m == nil {
			t.Fatalf("no line %q in the rest of the story:\n%s", want, rest)
		}
		if len(m) > 2 {
			pids[rest[m[2]:m[3]]] = true
		}
		rest = rest[m[1]:]
	}
	// The demo, the warden, two processes for each of three chapters, three for the fourth, six for the last: real
	// ones, none in two parts.
	if len(pids) != 17 || !pids[strconv.Itoa(os.Getpid())] {
		t.Errorf("%d processes, want 17, this one among them: %v", len(pids), pids)
	}
	for line := range strings.SplitSeq(story, "\n") {
		if len(line) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	// Promised are a few seconds. How long they last depends on what else the machine does; how much there is to do does not.
	if work > 10*time.Second {
		t.Errorf("took %v of processors, want a few seconds", work)
	}
	nothingLeft(t)
}

// TestOtherObjects checks that the demo shows what is there already, and leaves it.
func TestOtherObjects(t *testing.T) {
	for i := range maxListed + 2 {
		seg, err := shm.Create(fmt.Sprintf("/other-%02d", i), 4096, nil)
		must(t, err)
		defer seg.Close()
		defer seg.Remove()
	}
	story, err := tell(t)
	must(t, err)
	if n := strings.Count(story, "  /other-0"); n != 2*maxListed {
		t.Errorf("%d lines of others' objects, want %d", n, 2*maxListed)
	}
	if n := strings.Count(story, "  and 2 more\n"); n != 2 {
		t.Errorf("%d cut lists, want 2", n)
	}
	if n := len(objects(t)); n != maxListed+2 {
		t.Errorf("%d objects now, want %d", n, maxListed+2)
	}
}

// TestTaken checks that names which exist are neither used nor damaged.
func TestTaken(t *testing.T) {
	for _, addr := range []string{sysvAddress, posixName} {
		t.Run(addr, func(t *testing.T) {
			seg, err := shm.Create(addr, 100, &shm.Options{Mode: 0o666})
			must(t, err)
			defer seg.Close()
			defer seg.Remove()
			copy(seg.Bytes(), "precious")
			story, err := tell(t)
			if !errors.Is(err, fs.ErrExist) || story != "" {
				t.Fatalf("error %v, story %q", err, story)
			}
			for _, want := range []string{
				addr + " is not the demo's", "100 bytes, mode 0666, of user root", "shoal rm " + addr,
				fmt.Sprintf("in use by process %d (demo.test)", os.Getpid()),
			} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if made := fmt.Sprintf("made by process %d (", os.Getpid()); addr == sysvAddress && !strings.Contains(err.Error(), made) {
				t.Errorf("%q is not in: %v", made, err)
			}
			again, err := shm.Open(addr, nil)
			must(t, err)
			defer again.Close()
			if text(again.Bytes()) != "precious" {
				t.Errorf("now it holds %q", again.Bytes())
			}
		})
	}
	t.Run("directory", func(t *testing.T) {
		isolate.Require(t)
		dir := "/dev/shm" + posixName
		must(t, os.Mkdir(dir, 0o700))
		defer os.Remove(dir)
		if story, err := tell(t); !errors.Is(err, syscall.EISDIR) || story != "" {
			t.Fatalf("error %v, story %q", err, story)
		}
	})
}

// TestTakenMeanwhile has the names taken after the demo has looked: the writers
// must find out themselves.
func TestTakenMeanwhile(t *testing.T) {
	for addr, before := range map[string]string{sysvAddress: "1. System V", posixName: "2. POSIX"} {
		t.Run(addr, func(t *testing.T) {
			thief := &thief{before: before, steal: func() {
				seg, err := shm.Create(addr, 100, nil)
				must(t, err)
				copy(seg.Bytes(), "precious")
				t.Cleanup(func() {
					if text(seg.Bytes()) != "precious" {
						t.Errorf("now it holds %q", seg.Bytes())
					}
					must(t, seg.Remove())
					must(t, seg.Close())
				})
			}}
			err := Run(t.Context(), Options{Stdout: thief, Stderr: os.Stderr})
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "shoal rm "+addr) {
				t.Errorf("error %v", err)
			}
			if found := objects(t); len(found) != 1 {
				t.Errorf("objects: %v, want the thief's alone", found)
			}
		})
	}
}

// A thief takes a name when a line is written.
type thief struct {
	before string
	steal  func()
}

func (th *thief) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(th.before)) {
		th.steal()
	}
	return len(b), nil
}

// TestSmallRoom checks that the transfer makes do with less memory, and says so.
func TestSmallRoom(t *testing.T) {
	for _, c := range []struct {
		room int64
		want string // in the story
		err  string // in the error
	}{
		{1 << 20, "/dev/shm has 1 MiB to spare: 512 KiB of it instead of 1 MiB\n", ""},
		{132 << 10, "/dev/shm has 132 KiB to spare: 128 KiB of it instead of 1 MiB\n", ""},
		{64 << 10, "", "no space left on device: 128 KiB asked, 64 KiB free in /dev/shm"},
	} {
		t.Run(formatSize(c.room), func(t *testing.T) {
			isolate.Tmpfs(t, c.room, "/dev/shm")
			story, err := tell(t)
			if c.err == "" {
				must(t, err)
				if !strings.Contains(story, c.want) || !strings.Contains(story, "Nothing left") {
					t.Errorf("%q is not in:\n%s", c.want, story)
				}
			} else if err == nil || !strings.Contains(err.Error(), "sender") || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v; want the sender's, with %q", err, c.err)
			}
			nothingLeft(t)
		})
	}
}

// stations are the lines of the story at which something may have changed since the last: who speaks, and headings.
var stations = regexp.MustCompile(`^(Shoal demo|Shared memory on|Nothing left|\d\.|  [a-z]+ +\d+|  shared memory)  ?`)

// eachStation runs the demo once, and calls f with the number and text of each station, in order.
func eachStation(t *testing.T, f func(at int, line string)) {
	t.Helper()
	story, err := tell(t)
	must(t, err)
	n := 0
	for i, line := range strings.Split(story, "\n") {
		if stations.MatchString(line) {
			f(i+1, line)
			n++
		}
	}
	if n < len(plot)-5 {
		t.Errorf("only %d stations in the story:\n%s", n, story)
	}
}

// TestInterrupt stops the demo at every station, as a terminal does it: by a signal to its process group. Nothing may be
// left, and the error must say what happened.
func TestInterrupt(t *testing.T) {
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	ended := false // the last lines come when it has ended well
	eachStation(t, func(at int, line string) {
		if ended = ended || strings.HasPrefix(line, "Shared memory on this machine after"); ended {
			return
		}
		d := tellUntil(t, at)
		code := d.end(t, signals[at%len(signals)])
		// Were the signal the processes' as well, "ended early" would come first now and then.
		if code != 1 || !strings.Contains(d.stderr.String(), "stopped, and all that it had made removed") ||
			strings.Contains(d.stderr.String(), "ended early") {
			t.Errorf("after %q: exit code %d, %s", line, code, d.stderr.String())
		}
		if nothingLeft(t); t.Failed() {
			t.Fatalf("stopped after line %d, %q", at, line)
		}
	})
}

// TestKill kills the demo at every station: its processes must die, and whatever it has made must go.
func TestKill(t *testing.T) {
	adopt(t)
	eachStation(t, func(at int, line string) {
		tellUntil(t, at).end(t, syscall.SIGKILL)
		eventually(t, "processes", others)
		if found := objects(t); len(found) > 0 {
			t.Fatalf("killed after line %d, %q: left %s", at, line, strings.Join(found, ", "))
		}
	})
}

// TestKillActor kills a process of the story when a line is written: the demo must end, and clean up.
func TestKillActor(t *testing.T) {
	for _, c := range []struct{ role, line string }{
		{"warden", "warden "}, {"warden", "Data written"}, {"warden", "demo "}, {"warden", "created /my_shm"}, {"warden", "created /shoal-demo-"},
		{"reader", "sleeps until"}, {"sender", "created /shoal-demo-"}, {"receiver", "opened it"},
		{"victim", "a mutex, "}, {"victim", "books: Lock"}, {"victim", "stops inside"}, {"worker", "books: Lock"},
		{"worker", "stops inside"}, {"worker", "kernel wakes"}, {"warden", "stops inside"}, {"warden", "kernel wakes"},
		{"warden", "  Debits "}, // nobody listens any more
	} {
		t.Run(c.role+" at "+c.line, func(t *testing.T) {
			speaker := regexp.MustCompile(`(?m)^  ([a-z]+) +(\d+)  `)
			pids := make(map[string]int)
			killed := false
			out := writerFunc(func(b []byte) {
				if m := speaker.FindSubmatch(b); m != nil {
					pids[string(m[1])], _ = strconv.Atoi(string(m[2]))
				}
				if bytes.Contains(b, []byte(c.line)) && !killed {
					killed = true
					if pids[c.role] == 0 { // kill(2) would take the whole process group
						t.Fatalf("no %s has spoken before %q", c.role, b)
					}
					must(t, syscall.Kill(pids[c.role], syscall.SIGKILL))
				}
			})
			err := Run(t.Context(), Options{Stdout: out, Stderr: os.Stderr})
			if want := regexp.MustCompile(c.role + ` \(process \d+\) ended early: signal: killed`); err == nil || !want.MatchString(err.Error()) {
				t.Errorf("error %v; want %v", err, want)
			}
			nothingLeft(t)
		})
	}
}

// writerFunc is a writer that does what it is.
type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

// TestClosedOutput checks that a reader who leaves, like head(1), is as good as
// an interruption.
func TestClosedOutput(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	var stderr bytes.Buffer
	cmd := rerun.Command("tell", "0")
	cmd.Stdout, cmd.Stderr = w, &stderr
	r.Close()
	err = cmd.Run()
	w.Close()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "removed") {
		t.Errorf("%v: %s", err, &stderr)
	}
	nothingLeft(t)
}

// TestContext checks that a cancelled context ends the demo before it begins.
func TestContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Run(ctx, Options{Stdout: &bytes.Buffer{}, Stderr: os.Stderr})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	nothingLeft(t)
}

// TestUnknownRole checks that a role that nobody wrote is refused.
func TestUnknownRole(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=understudy")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !bytes.Contains(out, []byte(`"understudy": no such role`)) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCompare checks that the last chapter tells the demo's litter from what others do.
func TestCompare(t *testing.T) {
	info := func(addr string) shm.Info {
		a, err := shm.ParseAddress(addr)
		must(t, err)
		return shm.Info{Address: a}
	}
	before := []shm.Info{info("/old"), info("/gone")}
	for _, c := range []struct {
		after []shm.Info
		says  string
		err   string
	}{
		{nil, "\nNothing left: all that the demo made is gone.\n", ""},
		{[]shm.Info{info("/old"), info("/new")}, "(1 objects are new, but not the demo's: other programs run, too.)\n", ""},
		{[]shm.Info{info("/old"), info(posixName)}, "", "left behind, or made by somebody else meanwhile: /my_shm;"},
		{[]shm.Info{info(sysvAddress), info(objectPrefix + "1")}, "", "sysv:0x1234, /shoal-demo-1;"},
	} {
		var out bytes.Buffer
		s := &story{opts: Options{Stdout: &out}, ctx: t.Context()}
		err := s.compare(before, c.after)
		if c.err == "" && (err != nil || !strings.HasSuffix(out.String(), c.says)) {
			t.Errorf("%v: %v, %q; want %q", c.after, err, &out, c.says)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || out.Len() > 0) {
			t.Errorf("%v: %v, %q; want the error %q", c.after, err, &out, c.err)
		}
	}
}

// TestVerify checks that a transfer which went wrong is noticed.
func TestVerify(t *testing.T) {
	var sent []pass
	for i := range rounds * len(ways) {
		sent = append(sent, pass{Way: ways[i%len(ways)], Start: int64(i) * 100, Sum: uint32(i)})
	}
	good := func() (arrived []pass) {
		for i, p := range sent {
			arrived = append(arrived, pass{Way: p.Way, End: p.Start + 10 - int64(i), Sum: p.Sum})
		}
		return arrived
	}
	best, err := verify(sent, good())
	last := len(sent) - 1
	if err != nil || best[byPipe].took != time.Duration(10-last) || best[byMemory].took != time.Duration(11-last) ||
		best[byPipe].sum != uint32(last) {
		t.Errorf("%v, %v", best, err)
	}
	wrong := good()
	wrong[3].Sum++
	if _, err := verify(sent, wrong); err == nil || !strings.Contains(err.Error(), "pass 4") {
		t.Errorf("another checksum: %v", err)
	}
	if _, err := verify(sent, good()[1:]); err == nil {
		t.Error("a pass is missing, and no error")
	}
}

// TestPayload checks that what the checksum is to find does change it.
func TestPayload(t *testing.T) {
	p := payload{seed: 1}
	var all []byte
	seen := make(map[string]bool)
	for range 8 {
		b := make([]byte, 512)
		p.next(b)
		if seen[string(b)] {
			t.Error("two chunks are alike")
		}
		seen[string(b)] = true
		all = append(all, b...)
	}
	if sum(0, all) != p.sum {
		t.Error("the sum is not the sum of the bytes")
	}
	all[1000] ^= 1
	if sum(0, all) == p.sum {
		t.Error("a flipped bit does not change the sum")
	}
}
