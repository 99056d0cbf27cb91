//go:build linux && (amd64 || arm64)

package object_test

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/shm"
)

var spec = object.Spec{Kind: layout.KindOnce, Slots: 2, Size: 64, Fill: func(body []byte) { body[0] = 42 }}

func TestCreateOpen(t *testing.T) {
	if _, err := object.Open("thing", spec); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	a, err := object.Create("thing", spec)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Segment.Close()
	if _, err := object.Create("thing", spec); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	b, created, err := object.OpenOrCreate("thing", spec)
	if err != nil || created {
		t.Fatalf("created %v, %v", created, err)
	}
	defer b.Segment.Close()
	if b.Segment.Bytes()[b.Body] != 42 || b.Body%layout.Line != 0 || b.Header.Kind != layout.KindOnce {
		t.Errorf("body at %d: %d, kind %v", b.Body, b.Segment.Bytes()[b.Body], b.Header.Kind)
	}
	if _, err := object.Open("thing", object.Spec{Kind: layout.KindMutex}); !errors.Is(err, shm.ErrKind) {
		t.Errorf("another kind: %v", err)
	}
	if err := object.Remove("thing", func(k layout.Kind) bool { return k == layout.KindMutex }); !errors.Is(err, shm.ErrKind) {
		t.Errorf("remove another kind: %v", err)
	}
	if err := object.Remove("thing", func(k layout.Kind) bool { return true }); err != nil {
		t.Error(err)
	}
	if err := object.Remove("thing", func(k layout.Kind) bool { return true }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("remove again: %v", err)
	}
}

// Of many who come at once one makes it; all see it complete.
func TestOpenOrCreateRace(t *testing.T) {
	for _, name := range []string{"race", "sysv:0x5352"} {
		for range 30 {
			var made atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					o, created, err := object.OpenOrCreate(name, spec)
					if err != nil {
						t.Error(err)
						return
					}
					defer o.Segment.Close()
					if created {
						made.Add(1)
					}
					if o.Segment.Bytes()[o.Body] != 42 {
						t.Error("not filled")
					}
				})
			}
			wg.Wait()
			if made.Load() != 1 {
				t.Errorf("%s: made %d times", name, made.Load())
			}
			if err := object.Remove(name, func(layout.Kind) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A System V segment shows before it is filled. Whoever finds it empty waits for
// its creator, but not for ever.
func TestEmptySystemV(t *testing.T) {
	const name = "sysv:0x5353"
	seg, err := shm.Create(name, 4096, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()
	begin := time.Now()
	_, err = object.Open(name, spec)
	if !errors.Is(err, shm.ErrCorrupt) || time.Since(begin) < 500*time.Millisecond {
		t.Errorf("its creator is dead: %v after %v", err, time.Since(begin))
	}
	o, err := object.Create("filled", spec)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Segment.Close()
	defer o.Segment.Remove()
	time.AfterFunc(50*time.Millisecond, func() {
		copy(seg.Bytes()[8:], o.Segment.Bytes()[8:])
		copy(seg.Bytes(), o.Segment.Bytes()[:8])
	})
	late, err := object.Open(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	late.Segment.Close()
}

// What is no Shoal object is somebody's all the same: nobody is told to remove it.
func TestForeign(t *testing.T) {
	seg, err := shm.Create("/foreign", 4096, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()
	for content, want := range map[string]string{"": "at offset 0: zeros: ", "a message": "at offset 0: magic is "} {
		clear(seg.Bytes())
		copy(seg.Bytes(), content)
		_, err := object.Open("/foreign", spec)
		if !errors.Is(err, shm.ErrCorrupt) {
			t.Errorf("%q: %v", content, err)
		} else if text := err.Error(); !strings.Contains(text, want) || !strings.Contains(text, "use another name") || strings.Contains(text, "remove") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestAddress(t *testing.T) {
	for name, want := range map[string]string{
		"ticks": "/shoal.ticks", "a.b_c-D9": "/shoal.a.b_c-D9", strings.Repeat("x", 200): "/shoal." + strings.Repeat("x", 200),
		"/posix": "/posix", "sysv:7": "sysv:7", "file:x": "file:x",
		"": "", "a b": "", "é": "", "a\x00": "", strings.Repeat("x", 201): "",
	} {
		got, err := object.Address(name)
		if got != want && want != "" || (err != nil) != (want == "") || want == "" && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}
