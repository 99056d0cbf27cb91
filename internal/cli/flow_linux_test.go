package cli

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/topic"
)

// process is shoal in a process of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout output
	stderr output
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) lines() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.text.Bytes(), []byte("\n"))
}

// start starts shoal.
func start(t *testing.T, input io.Reader, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(self)}
	p.cmd.Args = append([]string{"shoal"}, args...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = input, &p.stdout, &p.stderr
	p.cmd.WaitDelay = time.Second // of who feeds one that has been killed
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return p
}

// wait waits for its own end.
func (p *process) wait() Code {
	p.t.Helper()
	p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// kill ends it with SIGKILL.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// interrupt is Ctrl-C.
func (p *process) interrupt() Code {
	p.cmd.Process.Signal(os.Interrupt)
	return p.wait()
}

// until waits until something has happened.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("this does not happen: %s", what)
		}
	}
}

// subscribed reports whether a topic has so many live subscribers.
func subscribed(name string, n int) func() bool {
	return func() bool {
		s, err := inspect.Look(name)
		if err != nil || s == nil || s.Flow == nil {
			return false
		}
		_, live := s.Flow.Live()
		return live >= n
	}
}

// numbers are the lines of seq.
func numbers(from, to int) *bytes.Reader {
	var b bytes.Buffer
	for i := from; i <= to; i++ {
		fmt.Fprintln(&b, i)
	}
	return bytes.NewReader(b.Bytes())
}

// clean wants shoal check to say so.
func clean(t *testing.T, name string) {
	t.Helper()
	if code, out, words := run(t, "check", name); code != OK || out != name+": clean\n" {
		t.Errorf("check: code %d, %q, %q", code, out, words)
	}
}

// TestMillionLines: what one process reads another one prints.
func TestMillionLines(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines") })
	const n = 1000000
	input := numbers(1, n)
	want := sha256.New()
	input.WriteTo(want)
	input.Seek(0, io.SeekStart)
	began := time.Now()
	pub := start(t, input, "pub", "lines", "--create", "--wait-subscribers", "1")
	sub := start(t, nil, "sub", "lines", "--wait", "--reliable", "--count", strconv.Itoa(n))
	if code := sub.wait(); code != OK {
		t.Fatalf("sub: code %d, %s", code, sub.stderr.String())
	}
	if code := pub.wait(); code != OK {
		t.Fatalf("pub: code %d, %s", code, pub.stderr.String())
	}
	t.Logf("%d lines in %v", n, time.Since(began))
	if got := sha256.Sum256([]byte(sub.stdout.String())); !bytes.Equal(got[:], want.Sum(nil)) {
		t.Errorf("%d lines, not the ones that were sent", sub.stdout.lines())
	}
	clean(t, "lines")
}

// TestKilledSubscriber kills the one that prints, again and again, and starts it anew:
// no number is torn, none is lost, none comes in the wrong place.
func TestKilledSubscriber(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines") })
	const n, kills = 300000, 5
	pub := start(t, numbers(1, n), "pub", "lines", "--create", "--wait-subscribers", "1", "--lane-size", "4096")
	last, printed := 0, 0
	for i := 0; last < n; i++ {
		sub := start(t, nil, "sub", "lines", "--wait", "--name", "ledger", "--count", strconv.Itoa(n-last))
		if i < kills {
			until(t, "it prints", func() bool { return sub.stdout.lines() > 1000 })
			sub.kill()
			clean(t, "lines")
		} else if code := sub.wait(); code != OK {
			t.Fatalf("code %d, %s", code, sub.stderr.String())
		}
		for j, line := range strings.Split(strings.TrimSuffix(sub.stdout.String(), "\n"), "\n") {
			got, err := strconv.Atoi(line)
			again := j == 0 && got == last // it was printed, and not released any more
			if err != nil || got != last+1 && !again {
				t.Fatalf("%q after %d in life %d", line, last, i)
			}
			last = got
			printed++
		}
	}
	if code := pub.wait(); code != OK {
		t.Errorf("pub: code %d, %s", code, pub.stderr.String())
	}
	if printed > n+kills {
		t.Errorf("%d numbers were printed, of %d", printed, n)
	}
	clean(t, "lines")
}

// TestKilledPublisher kills the one that sends: all that it has sent arrives, whole and
// in order, and the next one goes on behind it.
func TestKilledPublisher(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines") })
	const n, kills = 300000, 5
	if code, _, words := run(t, "pub", "lines", "--create"); code != OK {
		t.Fatal(words)
	}
	sub := start(t, nil, "sub", "lines", "--reliable")
	until(t, "it subscribes", subscribed("lines", 1))
	sent := 0
	for i := range kills + 1 {
		pub := start(t, numbers(1, n), "pub", "lines")
		if i == kills {
			if code := pub.wait(); code != OK {
				t.Fatalf("pub: code %d, %s", code, pub.stderr.String())
			}
		} else {
			before := sub.stdout.lines()
			until(t, "something arrives", func() bool { return sub.stdout.lines() > before+1000 })
			pub.kill()
		}
		s, err := inspect.Look("lines")
		if err != nil {
			t.Fatal(err)
		}
		sent = int(s.Flow.Sent) // at least so much has been committed
		clean(t, "lines")
	}
	until(t, "all arrives", func() bool { return sub.stdout.lines() >= sent })
	if code := sub.interrupt(); code != OK {
		t.Errorf("sub: code %d, %s", code, sub.stderr.String())
	}
	if words := sub.stderr.String(); !strings.HasPrefix(words, "received ") || strings.Contains(words, "missed") {
		t.Errorf("sub: %q", words)
	}
	last, lives := 0, 1
	for _, line := range strings.Split(strings.TrimSuffix(sub.stdout.String(), "\n"), "\n") {
		got, err := strconv.Atoi(line)
		if err != nil || got != last+1 && got != 1 {
			t.Fatalf("%q after %d in life %d", line, last, lives)
		}
		if got == 1 && last > 0 {
			lives++
		}
		last = got
	}
	if lives != kills+1 || last != n {
		t.Errorf("the end of life %d is %d", lives, last)
	}
}

// TestKilledConsumer kills one that receives: what it had not acknowledged another one
// gets.
func TestKilledConsumer(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { queue.Remove("jobs") })
	const n = 20000
	send := start(t, numbers(1, n), "send", "jobs", "--create", "--slots", "256")
	seen := map[int]int{}
	count := func(p *process) {
		for line := range strings.Lines(p.stdout.String()) {
			got, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
			if err != nil || got < 1 || got > n {
				t.Fatalf("%q", line)
			}
			seen[got]++
		}
	}
	for range 3 {
		recv := start(t, nil, "recv", "jobs", "--wait")
		until(t, "it prints", func() bool { return recv.stdout.lines() > 100 })
		recv.kill()
		count(recv)
	}
	other := start(t, nil, "recv", "jobs", "--wait")
	if code := send.wait(); code != OK {
		t.Errorf("send: code %d, %s", code, send.stderr.String())
	}
	until(t, "all is acknowledged", func() bool {
		s, err := inspect.Look("jobs")
		return err == nil && s.Flow.Unread == 0
	})
	if code := other.interrupt(); code != OK {
		t.Errorf("recv: code %d, %s", code, other.stderr.String())
	}
	count(other)
	again := 0
	for i := 1; i <= n; i++ {
		if seen[i] == 0 {
			t.Fatalf("%d is lost", i)
		}
		again += seen[i] - 1
	}
	if again > 3*handful {
		t.Errorf("%d came again", again)
	}
	clean(t, "jobs")
}

// TestInterrupted: Ctrl-C ends what goes on without an end, with words, and 130 what was
// not done yet.
func TestInterrupted(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines"); queue.Remove("jobs") })
	input, feed := io.Pipe()
	t.Cleanup(func() { feed.Close() })
	pub := start(t, input, "pub", "lines", "--create")
	sub := start(t, nil, "sub", "lines", "--wait", "--reliable")
	until(t, "it subscribes", subscribed("lines", 1))
	watch := start(t, nil, "watch", "lines", "--interval", "10ms")
	until(t, "it watches", func() bool { return watch.stdout.lines() > 2 })
	fmt.Fprintln(feed, "a line, at once")
	until(t, "it arrives", func() bool { return sub.stdout.String() == "a line, at once\n" })
	if code := watch.interrupt(); code != OK || !strings.Contains(watch.stderr.String(), " records sent, ") && !strings.Contains(watch.stderr.String(), " record sent, ") {
		t.Errorf("watch: code %d, %q", code, watch.stderr.String())
	}
	if code := sub.interrupt(); code != OK || sub.stderr.String() != "received 1 record, 15 B\n" {
		t.Errorf("sub: code %d, %q", code, sub.stderr.String())
	}
	pub.cmd.Process.Signal(os.Interrupt)
	until(t, "it says so", func() bool { return pub.stderr.String() == "sent 1 record, 15 B\n" })
	feed.Close()
	if code := pub.wait(); code != 128+int(syscall.SIGINT) {
		t.Errorf("pub: code %d, %q", code, pub.stderr.String())
	}
	counted := start(t, nil, "sub", "lines", "--reliable", "--count", "7")
	until(t, "it subscribes", subscribed("lines", 1))
	if code := counted.interrupt(); code != 128+int(syscall.SIGINT) {
		t.Errorf("sub --count: code %d, %q", code, counted.stderr.String())
	}
	s, err := inspect.Look("lines")
	if err != nil || len(s.Members.Members) != 0 || s.Members.Deaths != 0 {
		t.Errorf("they have not left in order: %+v, %v", s.Members, err)
	}
}

// TestReaderHasSeenEnough: the end of a pipe's reader is no error, and no death.
func TestReaderHasSeenEnough(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines"); queue.Remove("jobs") })
	run(t, "pub", "lines", "--create")
	run(t, "send", "jobs", "--create")
	for name, args := range map[string][]string{
		"lines": {"sub", "lines", "--reliable"}, "lines by name": {"sub", "lines", "--name", "x"}, "jobs": {"recv", "jobs"},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		p := &process{t: t, cmd: exec.Command(self)}
		p.cmd.Args = append([]string{"shoal"}, args...)
		p.cmd.Stdout, p.cmd.Stderr = w, &p.stderr
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		r.Close()
		object, verb := strings.Fields(name)[0], "pub"
		if object == "jobs" {
			verb = "send"
		}
		until(t, "it joins", func() bool {
			s, err := inspect.Look(object)
			_, live := s.Flow.Live()
			return err == nil && len(s.Members.Members) == 1 && (live == 1 || object == "jobs")
		})
		if code := Run([]string{verb, object, "-q"}, strings.NewReader("1\n2\n3\n"), io.Discard, io.Discard); code != OK {
			t.Errorf("%s: code %d", verb, code)
		}
		if code := p.wait(); code != OK || strings.Contains(p.stderr.String(), "shoal:") {
			t.Errorf("%s: code %d, %q", name, code, p.stderr.String())
		}
		s, err := inspect.Look(object)
		if err != nil || s.Members.Deaths != 0 || len(s.Members.Members) != 0 {
			t.Errorf("%s: %+v, %v", name, s.Members, err)
		}
		if name != "lines" && s.Flow.Unread == 0 {
			t.Errorf("%s: what nobody has seen counts as read", name)
		}
	}
}

// TestMissed: who only looks is told what it has missed, and holds nobody up.
func TestMissed(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines") })
	if code := Run([]string{"pub", "lines", "--create", "--lane-size", "4096", "-q"}, numbers(1, 10), io.Discard, io.Discard); code != OK {
		t.Fatal(code)
	}
	published := false
	stall := writerFunc(func(p []byte) (int, error) {
		if !published {
			published = true
			if code := Run([]string{"pub", "lines", "-q"}, numbers(1, 100000), io.Discard, io.Discard); code != OK {
				t.Errorf("pub: code %d", code)
			}
		}
		return len(p), nil
	})
	var words bytes.Buffer
	code := Run([]string{"sub", "lines", "--from", "oldest", "--raw", "--timeout", "2s"}, nil, stall, &words)
	if code != OK || !strings.Contains(words.String(), "missed ") || !strings.Contains(words.String(), "which were overwritten before they were read") {
		t.Errorf("code %d, %q", code, words.String())
	}
	var received, missed, bytes int
	last := words.String()[strings.LastIndex(words.String(), "received"):]
	if i := strings.Index(last, "; missed "); i < 0 {
		t.Fatalf("%q", last)
	} else if _, err := fmt.Sscanf(last[i:], "; missed %d", &missed); err != nil {
		t.Fatal(err)
	}
	fmt.Sscanf(last, "received %d records, %d", &received, &bytes)
	if received+missed != 100010 {
		t.Errorf("%d received and %d missed, of 100010", received, missed)
	}
}

// TestRate: no more than so many a second.
func TestRate(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines") })
	began := time.Now()
	if code := Run([]string{"pub", "lines", "--create", "--rate", "1k", "-q"}, numbers(1, 200), io.Discard, io.Discard); code != OK {
		t.Fatal(code)
	}
	if d := time.Since(began); d < 190*time.Millisecond {
		t.Errorf("200 records at 1000 a second took %v", d)
	}
}

// TestWatchOnATerminal: a picture that fits, drawn anew in its place.
func TestWatchOnATerminal(t *testing.T) {
	isolate.Require(t)
	t.Cleanup(func() { topic.Remove("lines") })
	run(t, "pub", "lines", "--create")
	sub := start(t, nil, "sub", "lines", "--reliable")
	named := start(t, nil, "sub", "lines", "--name", "books")
	until(t, "they subscribe", subscribed("lines", 2))
	for _, flag := range []string{"--count=1", "--forget"} { // it is somebody's
		code, _, words := run(t, "sub", "lines", "--name", "books", flag)
		if code != WouldBlock || !strings.Contains(words, strconv.Itoa(named.cmd.Process.Pid)) {
			t.Errorf("%s: code %d, %q", flag, code, words)
		}
	}
	for _, columns := range []uint16{60, 80, 120} {
		for _, verb := range []string{"watch lines --count 2 --interval 50ms", "ls", "stat lines"} {
			code, screen := onTerminal(t, columns, []string{"NO_COLOR=1"}, strings.Fields(verb)...).finish()
			if code != OK {
				t.Errorf("%s: code %d", verb, code)
			}
			for line := range strings.Lines(screen) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "partial: ") {
					continue // words wrap as they come
				}
				if w := ansi.StringWidth(line); w > int(columns) {
					t.Errorf("%s on %d columns: a line of %d: %q", verb, columns, w, line)
				}
			}
			want := []string{"topic"}
			switch {
			case verb == "ls" && columns >= 80:
				want = []string{"FILL", "RATE", "PUB/SUB", "0/2", "in use"}
			case verb == "stat lines":
				want = []string{"subscriber 1", "reliable as", `"books"`}
			case verb != "ls":
				want = []string{"\x1b[", "SUBSCRIBER", "books", "BEHIND", "P50", "[----------] 0%", "0 received, 0 missed"}
			}
			for _, w := range want {
				if !strings.Contains(screen, w) {
					t.Errorf("%s on %d columns: no %q in\n%s", verb, columns, w, screen)
				}
			}
		}
	}
	sub.interrupt()
	named.interrupt()
}

func TestValues(t *testing.T) {
	const text = " {\"a\":[1,\"}\\\"\"]} [2]\n3 \"x y\" true"
	want := []string{`{"a":[1,"}\""]}`, "[2]", "3", `"x y"`, "true"}
	for cut := range len(text) + 1 { // wherever the input is cut
		var got []string
		records, rest, err := values([]byte(text[:cut]), false)
		for _, r := range records {
			got = append(got, string(r))
		}
		more, _, err2 := values([]byte(text[rest:]), true)
		for _, r := range more {
			got = append(got, string(r))
		}
		if err != nil || err2 != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatalf("cut at %d: %q, %v, %v", cut, got, err, err2)
		}
	}
}

func TestParseReply(t *testing.T) {
	for line, want := range map[string]reply{
		"7": {token: 7}, "7\tsome text": {token: 7}, "ack 8": {token: 8}, "nack 9": {token: 9, nack: true},
		`{"token":3,"text":"x"}`: {token: 3}, `{"token":3,"nack":true}`: {token: 3, nack: true},
		"": {wrong: ""}, "x": {wrong: "x"}, "0": {wrong: "0"}, "nack": {wrong: "nack"}, "{}": {wrong: "{}"},
	} {
		got := parseReply(line)
		if got.token != want.token && want.token != 0 || got.nack != want.nack && want.token != 0 || got.wrong != want.wrong {
			t.Errorf("%q: %+v; want %+v", line, got, want)
		}
	}
}

func TestRateFlag(t *testing.T) {
	for text, want := range map[string]decimal{"10": 10, "0.5": 0.5, "20k": 20000, "1M": 1e6} {
		var d decimal
		if err := d.Set(text); err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "0", "fast", "1 2", "NaN", "1e300"} {
		if err := new(decimal).Set(text); err == nil {
			t.Errorf("%q is a rate", text)
		}
	}
}
