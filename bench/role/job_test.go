package role

import (
	"strings"
	"testing"
	"time"
)

func TestArgs(t *testing.T) {
	j := Job{Participant: "p", Side: Far, Measure: Ping, Wait: Cold, Size: 64, Batch: 2, Area: 1 << 20, There: "a", Server: "x:1",
		Time: 120 * time.Millisecond, Ends: 3, Count: 4, Number: 5, Copy: true}
	got, err := ParseJob(j.Args())
	if err != nil || got != j {
		t.Errorf("%+v, %v; want %+v", got, err, j)
	}
	for _, bad := range []string{"size", "size=x", "colour=red", "seconds=", "copy=yes"} {
		if _, err := ParseJob([]string{bad}); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What one side counts as sent the other counts as received, however it reads; and a
// word that has changed is noticed where the scenario reads it.
func TestPayload(t *testing.T) {
	for _, j := range []Job{{Size: 64}, {Size: 1024}, {Size: 8192, Copy: true}, {Size: 8192, Untouched: true}, {Size: 64, Untouched: true}} {
		for _, copied := range []bool{false, true} {
			out, in := newPayload(&j, copied), newPayload(&j, copied)
			for n := range uint64(3) {
				b := append([]byte(nil), out.write(n, Ordinary)...)
				if number, tells, err := in.arrived(b); err != nil || number != n || tells != Ordinary {
					t.Fatalf("%+v: %d, %d, %v", j, number, tells, err)
				}
			}
			b := append([]byte(nil), out.write(7, End)...)
			if _, tells, _ := in.arrived(b); tells != End {
				t.Errorf("%+v: it tells %d", j, tells)
			}
			if out.sent != in.received || in.received.Records != 4 {
				t.Errorf("%+v: %+v was sent, %+v received", j, out.sent, in.received)
			}
			b = append([]byte(nil), out.write(8, Ordinary)...)
			b[len(b)-1]++
			_, _, _ = in.arrived(b)
			if (out.sent == in.received) != j.Untouched {
				t.Errorf("%+v: a changed word: %+v was sent, %+v received", j, out.sent, in.received)
			}
			if _, _, err := in.arrived(b[:8]); err == nil {
				t.Errorf("%+v: a short record is none", j)
			}
		}
	}
}
