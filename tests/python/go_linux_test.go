//go:build linux && (amd64 || arm64)

package python

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/topic"
)

// frame is a type with what a dtype can go wrong about.
type frame struct {
	Number int64
	Name   [12]byte `shoal:"name,text"`
	Good   bool
	_      [3]byte
	At     struct{ X, Y float32 }
	Pixels [3][4]uint16
	Phase  complex128
}

// TestFiveLines runs the five lines of the package's README: they receive records from Go as arrays of numpy, where
// they lie.
func TestFiveLines(t *testing.T) {
	readme, err := os.ReadFile("../../python/README.md")
	must(t, err)
	_, rest, _ := strings.Cut(string(readme), "    python3 -c '\n")
	block, _, ok := strings.Cut(rest, "'\n")
	lines := strings.Split(strings.TrimRight(block, " \n"), "\n")
	if !ok || len(lines) != 5 {
		t.Fatalf("python/README.md has %d lines in its first command", len(lines))
	}
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "    ")
	}
	tp, err := topic.OpenOrCreate[frame]("frames", nil)
	must(t, err)
	defer topic.Remove("frames")
	defer tp.Close()
	p, err := tp.Publisher()
	must(t, err)
	python := start(t, "-c", strings.Join(lines, "\n"))
	eventually(t, "it has subscribed", func() bool { return len(tp.Stats().Subscribers) == 1 })
	for i := range 3 {
		f := frame{Number: int64(i)}
		f.Pixels[2][3] = uint16(i * 24)
		must(t, p.Send(context.Background(), f))
		python.Expect(fmt.Sprintf("%d %d.0", i, i*2))
	}
}

// zeroCopy looks where an array lies: within a mapping of the object.
const zeroCopy = `
import sys, numpy, shoal
def inside(array, name):
    at = array.__array_interface__["data"][0]
    for line in open("/proc/self/maps"):
        words = line.split()
        low, high = (int(s, 16) for s in words[0].split("-"))
        if low <= at < high:
            return words[-1] == "/dev/shm/shoal." + name
`

// TestArrays has Go send values of a type, which Python sees field by field, in the memory that Go wrote them to; and
// back.
func TestArrays(t *testing.T) {
	want := frame{Number: -5, Name: [12]byte{'h', 'e', 'l', 'l', 'o'}, Good: true, Phase: 1 + 2i}
	want.At.Y, want.Pixels[2][3] = -0.5, 60000
	r, err := ring.OpenOrCreate[frame]("there", nil)
	must(t, err)
	defer ring.Remove("there")
	defer r.Close()
	back, err := queue.OpenOrCreate[frame]("back", nil)
	must(t, err)
	defer queue.Remove("back")
	defer back.Close()
	w, err := r.Writer()
	must(t, err)
	must(t, w.Send(context.Background(), want))
	python := start(t, "-c", zeroCopy+`
with shoal.Ring("there", create=False) as ring, ring.reader() as reader, shoal.Queue("back", create=False) as queue:
    with reader.peek() as record, queue.loan() as loan:
        values = [record.array[n].tolist() for n in ring.dtype.names]
        print(values, inside(record.array, "there"), inside(loan.array, "back"))
        loan.array[...] = record.array
        loan.array["Number"] += 1
`)
	python.Expect("[-5, b'hello', True, (0.0, -0.5), [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 60000]], (1+2j)] True True")
	m, err := back.Receive(context.Background())
	must(t, err)
	want.Number++
	if *m.Value != want {
		t.Errorf("it comes back as %+v", *m.Value)
	}
	must(t, m.Ack())
}

// TestDtypes compares the dtypes that Python makes of the text of a type with those that Go writes.
func TestDtypes(t *testing.T) {
	var lines []string
	add := func(s *schema.Schema, err error) {
		must(t, err)
		lines = append(lines, fmt.Sprintf("(%q, %s)", s.String(), s.Numpy()))
	}
	add(schema.Of[frame]())
	add(schema.Of[[2]frame]())
	add(schema.Of[int8]())
	add(schema.Of[[2][3]complex64]())
	add(schema.Of[struct {
		A [2][3][4]byte `shoal:",text"`
		B [2]struct{ C uint64 }
	}]())
	python := start(t, "-c", `
import numpy
from shoal import _types
for text, literal in [`+strings.Join(lines, ", ")+`]:
    made = _types.dtype(text)
    if made != numpy.dtype(literal) or _types.text(made) != text:
        print(text, literal, made)
print("compared")
`)
	python.Expect("compared")
}

func init() {
	// Publishes numbers for ever, from the one that is given.
	roles["publish"] = func(args []string) {
		first, err := strconv.ParseUint(args[0], 10, 64)
		rerun.Check(err)
		tp, err := topic.OpenOrCreate[[]byte]("numbers", nil)
		rerun.Check(err)
		p, err := tp.Publisher()
		rerun.Check(err)
		rerun.Say("here")
		for n := first; ; n++ {
			rerun.Check(p.Send(context.Background(), binary.LittleEndian.AppendUint64(make([]byte, 0, 8), n)))
		}
	}
}

// TestPublisherDies kills a publisher in Go in mid-stream: a subscriber in Python gets all that was published, and then
// PeerDied, or the next one's records, as it has asked.
func TestPublisherDies(t *testing.T) {
	tp, err := topic.OpenOrCreate[[]byte]("numbers", nil)
	must(t, err)
	defer topic.Remove("numbers")
	defer func() { tp.Close() }()
	const script = `
import sys, shoal
with shoal.Topic("numbers") as topic, topic.subscriber(on_death=sys.argv[1]) as s:
    print("subscribed")
    n = 0
    try:
        while n < 100000000:
            if int.from_bytes(s.receive(timeout=60), "little") != n:
                sys.exit("lost or torn")
            n += 1
            if n % 1000 == 0:
                print(n)
    except shoal.PeerDied as e:
        print("died", n, e.code)
        while True:
            if int.from_bytes(s.receive(timeout=60), "little") != n:
                sys.exit("lost or torn")
            n += 1
            if n % 1000 == 0:
                print(n)
`
	for _, how := range []string{"raise", "resume"} {
		t.Run(how, func(t *testing.T) {
			python := start(t, "-c", script, how)
			python.Expect("subscribed")
			publisher := rerun.Start(t, "publish", "0")
			publisher.Expect("here")
			python.Expect("1000")
			publisher.Kill()
			n, seen := 0, 1000
			if how == "raise" {
				for line := range python.Lines() {
					if rest, ok := strings.CutPrefix(line, "died "); ok {
						n, err = strconv.Atoi(strings.Fields(rest)[0])
						must(t, err)
						break
					}
				}
			} else {
				eventually(t, "it has received everything", func() bool {
					s := tp.Stats()
					return len(s.Subscribers) == 1 && lag(s) == 0
				})
				s := tp.Stats()
				n = int(s.Subscribers[0].Received)
				seen = n
			}
			if n < seen {
				t.Fatalf("it has received %d records", n)
			}
			next := rerun.Start(t, "publish", strconv.Itoa(n))
			next.Expect("here")
			want := strconv.Itoa(n - n%1000 + 5000)
			for line := range python.Lines() {
				if line == want {
					break
				}
			}
			python.Kill()
			next.Kill()
			must(t, topic.Remove("numbers"))
			must(t, tp.Close())
			tp, err = topic.OpenOrCreate[[]byte]("numbers", nil)
			must(t, err)
		})
	}
}

func lag(s topic.Stats) (records uint64) {
	for _, l := range s.Subscribers[0].Lag {
		records += l.Records
	}
	return records
}

// TestExamples runs the examples in Python, two by two, and beside Go.
func TestExamples(t *testing.T) {
	example := func(name string, args ...string) *rerun.Process {
		path, err := filepath.Abs(filepath.Join("../../examples/python", name+".py"))
		must(t, err)
		return start(t, append([]string{path}, args...)...)
	}
	ends := func(p *rerun.Process, lines ...string) {
		t.Helper()
		for _, line := range lines {
			p.Expect(line)
		}
		for line := range p.Lines() {
			t.Errorf("it says %q, too", line)
		}
	}
	t.Run("topic", func(t *testing.T) {
		defer topic.Remove("example-ticks")
		subscriber := example("subscriber", "example-ticks", "3")
		subscriber.Expect("waiting")
		ends(example("publisher", "example-ticks", "3"), "sent 3")
		ends(subscriber, "0 100.00", "1 100.25", "2 100.50")
	})
	t.Run("queue", func(t *testing.T) {
		q, err := queue.OpenOrCreate[[]byte]("example-jobs", nil)
		must(t, err)
		defer queue.Remove("example-jobs")
		defer q.Close()
		worker := example("worker", "example-jobs")
		for _, job := range []string{"3 4", "nonsense", "", "5 6"} {
			must(t, q.Send(context.Background(), []byte(job)))
		}
		worker.Expect("3 4: 12")
		worker.Expect("nonsense: given up")
		worker.Expect(": given up")
		worker.Expect("5 6: 30")
		eventually(t, "all are done", func() bool { return q.Stats().Acked == 4 })
	})
	t.Run("mutex", func(t *testing.T) {
		defer os.Remove("/dev/shm/example-account")
		first := example("account", "hold")
		first.Expect("holding")
		second := example("account", "add")
		first.Kill()
		ends(second, "the last owner died: mended", "1")
		ends(example("account", "add"), "2")
		ends(example("account", "remove"))
	})
	t.Run("asyncio", func(t *testing.T) {
		r, err := ring.OpenOrCreate[[]byte]("example-lines", nil)
		must(t, err)
		defer ring.Remove("example-lines")
		defer r.Close()
		w, err := r.Writer()
		must(t, err)
		p := example("lines", "example-lines")
		for _, line := range []string{"one", "two"} {
			must(t, w.Send(context.Background(), []byte(line)))
			p.Expect(line)
		}
		must(t, w.Send(context.Background(), nil))
		ends(p, "end")
	})
}
