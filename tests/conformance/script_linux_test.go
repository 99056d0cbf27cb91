//go:build linux && (amd64 || arm64)

package conformance

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/internal/sys"
	"github.com/seed-247006a4/shoal/shm"
)

// A script is one case, in lines. Parties are A to I; A, C, E … speak one language of a pair and B, D, F … the
// other. Each is a process that starts when it is first spoken to, and anew after it was killed.
//
//	# text               nothing
//	== name              begins the next script
//	A words -> answer    says the words to A, which must answer so; * is any text
//	A words ...          says the words; the answer comes later,
//	A -> answer          here
//	any B C -> answer    from one of those who still owe one
//	kill A               SIGKILL, and waits until it is gone
//	stop A, continue A   SIGSTOP, SIGCONT
//	create ADDRESS SIZE  makes a segment
//	asleep N             waits until the lowest bit of the word at N of the body of "object" is set: somebody sleeps
//	asleep N K           waits until K threads sleep on that word
//	word N = VALUE       checks 64 bits at N of the body of "object"
//	claim N = E S        checks the claim of slot N of "object": epoch and state
//	poke N V, poke32 N V writes the word at N of the body of "object"
//	version N.M          makes it an object of that version
//	table N.M            gives its member table that version
//	ring N               sets FUTEX_OWNER_DIED in the bell of slot N of "object", as the kernel does, and wakes one
//
// DIR stands for a directory of the test.
type script struct {
	name  string
	lines []string
	first int // number of the first line
}

func scripts(t *testing.T, path string) (list []script) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			list = append(list, script{name: name, first: i + 2})
		} else if len(list) > 0 {
			s := &list[len(list)-1]
			s.lines = append(s.lines, line)
		}
	}
	return list
}

// TestCases performs every script with every pair of languages.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	all := languages(t)
	for _, a := range all {
		for _, b := range all {
			for _, file := range files {
				for _, s := range scripts(t, file) {
					name := strings.TrimSuffix(filepath.Base(file), ".txt")
					t.Run(fmt.Sprintf("%s,%s/%s: %s", a.name, b.name, name, s.name), func(t *testing.T) {
						perform(t, s, file, []language{a, b})
					})
				}
			}
		}
	}
}

// stage is a script that is being performed.
type stage struct {
	*testing.T
	at        string // file and line
	languages []language
	parties   map[string]*rerun.Process
	object    *object.Object
}

func perform(t *testing.T, s script, file string, languages []language) {
	st := &stage{T: t, languages: languages, parties: map[string]*rerun.Process{}}
	dir := t.TempDir()
	var made []string
	t.Cleanup(func() {
		for _, p := range st.parties {
			p.Kill()
		}
		if st.object != nil {
			st.object.Segment.Close()
		}
		for _, name := range append(made, "object", "sysv:0x5106") {
			if err := object.Remove(name, func(layout.Kind) bool { return true }); errors.Is(err, shm.ErrCorrupt) {
				shm.Remove(name)
			}
		}
		companions(t)
	})
	for i, line := range s.lines {
		st.at = fmt.Sprintf("%s:%d: %s", file, s.first+i, line)
		words := strings.Fields(strings.ReplaceAll(line, "DIR", dir))
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "create" {
			size, err := strconv.ParseInt(words[2], 0, 64)
			st.must(err)
			seg, err := shm.Create(words[1], size, nil)
			st.must(err)
			st.must(seg.Close())
			made = append(made, words[1])
			continue
		}
		st.step(words)
	}
}

// companions removes the lock files of System V segments that a case has made.
func companions(t *testing.T) {
	files, err := filepath.Glob("/dev/shm/shoal.sysv-*")
	if err != nil {
		t.Error(err)
	}
	for _, f := range files {
		os.Remove(f)
	}
}

func (st *stage) must(err error) {
	st.Helper()
	if err != nil {
		st.Fatalf("%s: %v", st.at, err)
	}
}

// party is the process of that name.
func (st *stage) party(name string) *rerun.Process {
	p := st.parties[name]
	if p == nil {
		p = st.languages[int(name[0]-'A')%2].start(st)
		st.parties[name] = p
	}
	return p
}

func (st *stage) step(words []string) {
	st.Helper()
	switch words[0] {
	case "kill":
		st.party(words[1]).Kill()
		delete(st.parties, words[1])
	case "stop":
		st.party(words[1]).Stop()
	case "continue":
		st.party(words[1]).Continue()
	case "asleep":
		w := st.word32(words[1])
		asleep := func() bool { return w.Load()&1 != 0 }
		if len(words) > 2 {
			asleep = func() bool { return sleepers(st, w) >= st.number(words[2]) }
		}
		eventually(st, st.at, asleep)
	case "word":
		if got := st.word64(words[1]).Load(); got != st.number(words[3]) {
			st.Errorf("%s: it is %#x", st.at, got)
		}
	case "poke":
		st.word64(words[1]).Store(st.number(words[2]))
	case "poke32":
		st.word32(words[1]).Store(uint32(st.number(words[2])))
	case "version", "table":
		major, minor, _ := strings.Cut(words[1], ".")
		at := 8
		if words[0] == "table" {
			at = st.named().Members() + 4
		}
		w, err := mem.At[mem.Uint32](st.named().Segment.Bytes(), at)
		st.must(err)
		w.Store(uint32(st.number(major)<<16 | st.number(minor)))
	case "claim":
		at := st.named().Members() + layout.SlotOffset(int(st.named().Header.Slots), int(st.number(words[1])))
		w, err := mem.At[mem.Uint64](st.named().Segment.Bytes(), at)
		st.must(err)
		if got, want := w.Load(), layout.SlotClaim(uint32(st.number(words[3])), uint32(st.number(words[4]))); got != want {
			st.Errorf("%s: it is %#x", st.at, got)
		}
	case "ring":
		at := st.named().Members() + layout.BellOffset(int(st.number(words[1])))
		w, err := mem.At[mem.Uint32](st.named().Segment.Bytes(), at)
		st.must(err)
		w.Store(w.Load()&^sys.FUTEX_TID_MASK | sys.FUTEX_OWNER_DIED)
		park.Wake(w, 1)
	case "any":
		st.any(words[1:len(words)-2], words[len(words)-1])
	default:
		st.talk(words[0], words[1:])
	}
}

// futexRequeue is FUTEX_REQUEUE of <linux/futex.h>.
const futexRequeue = 3

// sleepers returns how many threads of all processes sleep on the word, and wakes none: the kernel moves them from it
// to itself, and says how many it has moved.
func sleepers(t testing.TB, w *mem.Uint32) uint64 {
	t.Helper()
	address := uintptr(w.Pointer())
	moved, _, errno := syscall.Syscall6(syscall.SYS_FUTEX, address, futexRequeue, 0, math.MaxInt32, address, 0)
	if errno != 0 {
		t.Fatalf("FUTEX_REQUEUE: %v", errno)
	}
	return uint64(moved)
}

// talk says words to a party, and hears its answer.
func (st *stage) talk(name string, words []string) {
	st.Helper()
	p := st.party(name)
	said := strings.Join(words, " ")
	said, want, answers := strings.Cut(said, "->")
	if !answers {
		said = strings.TrimSuffix(said, "...")
	}
	if said = strings.TrimSpace(said); said != "" {
		p.Say(said)
	}
	if answers {
		st.answer(p.Expect(""), strings.TrimSpace(want))
	}
}

func (st *stage) answer(got, want string) {
	st.Helper()
	parts := strings.Split(want, "*")
	rest, ok := strings.CutPrefix(got, parts[0])
	for _, part := range parts[1:] {
		at := strings.Index(rest, part)
		if part == "" {
			at = len(rest)
		}
		if ok = ok && at >= 0; ok {
			rest = rest[at+len(part):]
		}
	}
	if !ok || rest != "" {
		st.Fatalf("%s: it answers %q", st.at, got)
	}
}

// any hears the answer of whoever of them is first.
func (st *stage) any(names []string, want string) {
	st.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, name := range names {
			select {
			case line := <-st.party(name).Lines():
				st.answer(line, want)
				return
			default:
			}
		}
	}
	st.Fatalf("%s: nobody answers", st.at)
}

// named is the object "object", as somebody sees it who has not joined.
func (st *stage) named() *object.Object {
	st.Helper()
	if st.object == nil {
		o, err := object.Open("object", object.Spec{})
		st.must(err)
		st.object = o
	}
	return st.object
}

func (st *stage) number(s string) uint64 {
	st.Helper()
	n, err := strconv.ParseUint(s, 0, 64)
	st.must(err)
	return n
}

func (st *stage) word64(at string) *mem.Uint64 {
	st.Helper()
	w, err := mem.At[mem.Uint64](st.named().Segment.Bytes(), st.named().Body+int(st.number(at)))
	st.must(err)
	return w
}

func (st *stage) word32(at string) *mem.Uint32 {
	st.Helper()
	w, err := mem.At[mem.Uint32](st.named().Segment.Bytes(), st.named().Body+int(st.number(at)))
	st.must(err)
	return w
}
