//go:build linux && (amd64 || arm64)

// Package format tests that the three descriptions of the format agree: internal/layout, include/shoal.h and
// docs/FORMAT.md. Its other half is tests/conformance, which tests that programs do.
package format

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/topic"
)

// description is what one of them says: "header.magic" has place 0 and size 8, "header" has size 64; and constants.
type description struct {
	places    map[string]place
	constants map[string]uint64
}

type place struct{ offset, size int }

func newDescription() description {
	return description{map[string]place{}, map[string]uint64{}}
}

// structs are the structures of the format, as Go has them.
var structs = map[string]reflect.Type{
	"header":     reflect.TypeFor[layout.Header](),
	"members":    reflect.TypeFor[layout.Members](),
	"bell":       reflect.TypeFor[layout.Bell](),
	"slot":       reflect.TypeFor[layout.Slot](),
	"mutex":      reflect.TypeFor[layout.Mutex](),
	"event":      reflect.TypeFor[layout.Event](),
	"semaphore":  reflect.TypeFor[layout.Semaphore](),
	"mark":       reflect.TypeFor[layout.Mark](),
	"lane":       reflect.TypeFor[layout.Lane](),
	"cursor":     reflect.TypeFor[layout.Cursor](),
	"latency":    reflect.TypeFor[layout.Latency](),
	"ring":       reflect.TypeFor[layout.Ring](),
	"topic":      reflect.TypeFor[layout.Topic](),
	"subscriber": reflect.TypeFor[layout.Subscriber](),

	"queue":      reflect.TypeFor[layout.Queue](),
	"queue_row":  reflect.TypeFor[layout.QueueRow](),
	"queue_slot": reflect.TypeFor[layout.QueueSlot](),
}

// constants are those that Go has under a name that can be reached, beside the kinds.
var constants = map[string]uint64{
	"MAGIC":                     layout.Magic,
	"MAJOR":                     layout.Major,
	"MINOR":                     layout.Minor,
	"LINE":                      layout.Line,
	"SCHEMA_MAX":                schema.MaxText,
	"MEMBERS_MAGIC":             uint64(layout.MembersMagic),
	"DEFAULT_SLOTS":             layout.DefaultSlots,
	"MAX_SLOTS":                 layout.MaxSlots,
	"SLOT_FREE":                 layout.SlotFree,
	"SLOT_ACTIVE":               layout.SlotActive,
	"OWNER_FLAGS":               layout.OwnerFlags,
	"MUTEX_MAGIC":               uint64(layout.MutexMagic),
	"LOCK_WAITERS":              layout.LockWaiters,
	"LOCK_INCONSISTENT":         layout.LockInconsistent,
	"LOCK_NOT_RECOVERABLE":      layout.LockNotRecoverable,
	"EVENT_MAGIC":               uint64(layout.EventMagic),
	"SEMAPHORE_MAGIC":           uint64(layout.SemaphoreMagic),
	"SEMAPHORE_MAX":             pshared.MaxSemaphore,
	"SEMAPHORE_MAX_PERMITS":     pshared.MaxPermits,
	"MARKS":                     layout.Marks,
	"LATENCY_BUCKETS":           layout.LatencyBuckets,
	"RECORD_THERE":              layout.RecordThere,
	"RECORD_PAD":                layout.RecordPad,
	"RECORD_STAMP":              layout.RecordStamp,
	"RECORD_LENGTH":             layout.RecordLength,
	"RECORD_HEADER":             layout.RecordHeader,
	"RECORD_STAMP_SIZE":         layout.RecordStampSize,
	"RING_SIZE_MIN":             ring.MinSize,
	"RING_SIZE_MAX":             ring.MaxSize,
	"RING_SIZE_DEFAULT":         ring.DefaultSize,
	"SUB_RELIABLE":              layout.SubReliable,
	"SUB_JOINING":               layout.SubJoining,
	"SUB_NAMED":                 layout.SubNamed,
	"SUB_DROPPED":               layout.SubDropped,
	"SUB_FLAGS":                 layout.SubFlags,
	"TOPIC_WAIT":                layout.TopicWait,
	"TOPIC_REFUSE":              layout.TopicRefuse,
	"TOPIC_DROP":                layout.TopicDrop,
	"TOPIC_PUBLISHERS_MAX":      topic.MaxPublishers,
	"TOPIC_PUBLISHERS_DEFAULT":  topic.DefaultPublishers,
	"TOPIC_SUBSCRIBERS_MAX":     topic.MaxSubscribers,
	"TOPIC_SUBSCRIBERS_DEFAULT": topic.DefaultSubscribers,
	"TOPIC_LANE_SIZE_DEFAULT":   topic.DefaultLaneSize,
	"TOPIC_NAME_MAX":            topic.MaxName,
	"QUEUE_FREE":                layout.QueueFree,
	"QUEUE_CLAIMED":             layout.QueueClaimed,
	"QUEUE_READY":               layout.QueueReady,
	"QUEUE_TAKEN":               layout.QueueTaken,
	"QUEUE_KIND":                layout.QueueKind,
	"QUEUE_MARKED":              layout.QueueMarked,
	"QUEUE_STAMPED":             layout.QueueStamped,
	"QUEUE_PASSED":              layout.QueuePassed,
	"QUEUE_RETURNING":           layout.QueueReturning,
	"QUEUE_POSITION":            layout.QueuePosition,
	"QUEUE_SLOTS_MAX":           queue.MaxSlots,
	"QUEUE_SLOTS_DEFAULT":       queue.DefaultSlots,
	"QUEUE_MESSAGE_MAX":         queue.MaxMaxMessage,
	"QUEUE_MESSAGE_DEFAULT":     queue.DefaultMaxMessage,
}

// elsewhere are the constants that Go keeps to itself; C and the document have them, and tests/conformance tries them.
var elsewhere = []string{"NAME_MAX", "EVENT_SLEEPS", "EVENT_SET", "EVENT_NEXT", "SEMAPHORE_SLEEPS",
	"QUEUE_FULL_LOOKING", "QUEUE_FULL_ALL"}

// inGo is what internal/layout says.
func inGo() description {
	d := newDescription()
	for name, t := range structs {
		d.places[name] = place{0, int(t.Size())}
		d.fields(name, t, 0)
	}
	maps.Copy(d.constants, constants)
	for k := layout.Kind(1); k < 1000; k++ {
		if name := k.String(); !strings.HasPrefix(name, "kind ") {
			d.constants["KIND_"+strings.ToUpper(name)] = uint64(k)
		}
	}
	return d
}

func (d description) fields(name string, t reflect.Type, base int) {
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Name == "_":
		case f.Anonymous:
			d.fields(name, f.Type, base+int(f.Offset))
		default:
			d.places[name+"."+snake(f.Name)] = place{base + int(f.Offset), int(f.Type.Size())}
		}
	}
}

// snake is a Go name as C writes it: LostWakes is lost_wakes, PIDNS is pidns.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 && unicode.IsLower(rune(name[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// inC is what a program that includes the header prints, and its last lines.
func inC(t *testing.T) (d description, computed string) {
	t.Helper()
	out := run(t, "", compile(t, "cc", "layout", "-std=c11"))
	d = newDescription()
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		switch f[0] {
		case "size":
			d.places[f[1]] = place{0, number(t, f[2])}
		case "field":
			d.places[f[1]+"."+f[2]] = place{number(t, f[3]), number(t, f[4])}
		case "constant":
			n, err := strconv.ParseUint(f[2], 0, 64)
			if err != nil {
				t.Fatal(err)
			}
			d.constants[f[1]] = n
		default:
			computed += line
		}
	}
	return d, computed
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var (
	section  = regexp.MustCompile("^### `([a-z_]+)`$")
	fieldRow = regexp.MustCompile(`^\| (\d+) \| (\d+) \| ([a-z_]+) \|`)
	constRow = regexp.MustCompile(`^\| ([A-Z_]+) \| (0x[0-9a-f]+|\d+) \|`)
)

// inDocument is what the tables of docs/FORMAT.md say. Sizes of whole structures are not in tables.
func inDocument(t *testing.T) description {
	t.Helper()
	text, err := os.ReadFile("../../docs/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	d := newDescription()
	name := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			name = ""
			if m := section.FindStringSubmatch(line); m != nil {
				name = m[1]
			}
		case fieldRow.MatchString(line):
			m := fieldRow.FindStringSubmatch(line)
			if name == "" {
				t.Errorf("a row of fields outside of a section: %s", line)
			}
			d.places[name+"."+m[3]] = place{number(t, m[1]), number(t, m[2])}
		case constRow.MatchString(line):
			m := constRow.FindStringSubmatch(line)
			if d.constants[m[1]], err = strconv.ParseUint(m[2], 0, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

// TestAgree compares all three.
func TestAgree(t *testing.T) {
	g := inGo()
	c, _ := inC(t)
	doc := inDocument(t)
	for name := range structs { // the document draws them: the end of a picture is not looked at
		doc.places[name] = g.places[name]
	}
	compare(t, "places", "Go", g.places, "C", c.places)
	compare(t, "places", "Go", g.places, "docs/FORMAT.md", doc.places)
	compare(t, "constants", "C", c.constants, "docs/FORMAT.md", doc.constants)
	for _, name := range elsewhere {
		g.constants[name] = c.constants[name]
	}
	compare(t, "constants", "Go", g.constants, "C", c.constants)
}

func compare[V comparable](t *testing.T, what, a string, as map[string]V, b string, bs map[string]V) {
	t.Helper()
	names := maps.Clone(as)
	maps.Copy(names, bs)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		av, inA := as[name]
		bv, inB := bs[name]
		switch {
		case !inA:
			t.Errorf("%s: %s has %s: %v, %s has none", what, b, name, bv, a)
		case !inB:
			t.Errorf("%s: %s has %s: %v, %s has none", what, a, name, av, b)
		case av != bv:
			t.Errorf("%s: %s is %v in %s and %v in %s", what, name, av, a, bv, b)
		}
	}
}

// TestComputed compares what functions compute.
func TestComputed(t *testing.T) {
	_, got := inC(t)
	want := fmt.Sprintf("topic places %d rows %d cursors %d data %d\n", layout.PlacesAt(3), layout.SubscribersAt(3, 17),
		layout.CursorsAt(3, 17), layout.DataAt(3, 17))
	want += fmt.Sprintf("table %d slot %d owner %#x claim %#x marks %d slots %d\n", layout.MembersFootprint(48),
		layout.SlotOffset(48, 3), uint64(layout.MakeOwner(3, 17)), layout.SlotClaim(17, layout.SlotActive),
		layout.QueueMarksOffset(5), layout.QueueSlotsOffset(5, 2048))
	if got != want {
		t.Errorf("C: %s\nGo: %s", got, want)
	}
}
