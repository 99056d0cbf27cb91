//go:build linux && (amd64 || arm64)

package conformance

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
)

// TestGolden has every language make the same objects: their bytes are the same, but for who made them and when.
func TestGolden(t *testing.T) {
	all := languages(t)
	for _, words := range []string{
		"mutex open object", "event open object manual", "event open object auto",
		"semaphore open object plain 5", "semaphore open object undo 3",
	} {
		t.Run(words, func(t *testing.T) {
			var first []byte
			for _, l := range all {
				got := made(t, l, words)
				if first == nil {
					first = got
				} else if !bytes.Equal(first, got) {
					t.Errorf("%s differs from %s:\n%s", l.name, all[0].name, differences(first, got))
				}
			}
		})
	}
}

// made returns the bytes of an object after one member has made and closed it, without those that are for people.
func made(t *testing.T, l language, words string) []byte {
	t.Helper()
	p := l.start(t)
	say(p, "ok", words, strings.Fields(words)[0]+" close")
	p.Kill()
	defer object.Remove("object", func(layout.Kind) bool { return true })
	b, err := os.ReadFile("/dev/shm/shoal.object")
	must(t, err)
	clear(b[52:64]) // creator, created
	slot := layout.HeaderSize + layout.SlotOffset(options.Members, 0)
	for _, c := range b[slot+8 : slot+12] {
		if c != 0 {
			clear(b[slot+8 : slot+56])
			return b
		}
	}
	t.Errorf("%s does not say who it is", l.name)
	return b
}

func differences(a, b []byte) string {
	var s strings.Builder
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			fmt.Fprintf(&s, "%d and %d bytes\n", len(a), len(b))
			break
		}
		if a[i] != b[i] {
			fmt.Fprintf(&s, "at %#x: %#02x and %#02x\n", i, a[i], b[i])
		}
	}
	return s.String()
}
