//go:build linux && (amd64 || arm64)

package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
)

// TestGolden has every language make the same objects: their bytes are the same, but for who made them and when.
func TestGolden(t *testing.T) {
	all := languages(t)
	for _, words := range []string{
		"mutex open object", "event open object manual", "event open object auto",
		"semaphore open object plain 5", "semaphore open object undo 3",
		"ring open object 8192", "topic open object", "topic open object drop 8192",
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
	t.Run("a topic that was used", func(t *testing.T) { goldenTopic(t, all) })
}

// made returns the bytes of an object after one member has made and closed it, without those that are for people.
func made(t *testing.T, l language, words string) []byte {
	t.Helper()
	return madeBy(t, l, words, strings.Fields(words)[0]+" close")
}

// madeBy returns the same after somebody has said these words, each of which is answered by ok.
func madeBy(t *testing.T, l language, lines ...string) []byte {
	t.Helper()
	p := l.start(t)
	say(p, "ok", lines...)
	p.Kill()
	defer object.Remove("object", func(layout.Kind) bool { return true })
	b, err := os.ReadFile("/dev/shm/shoal.object")
	must(t, err)
	clear(b[52:64]) // creator, created
	slot := layout.HeaderSize + layout.SlotOffset(int(binary.LittleEndian.Uint32(b[48:])), 0)
	for _, c := range b[slot+8 : slot+12] {
		if c != 0 {
			clear(b[slot+8 : slot+56])
			return b
		}
	}
	t.Errorf("%s does not say who it is", l.name)
	return b
}

var update = flag.Bool("update", false, "write the golden objects anew")

// TestGoldenRing has every language make a ring with records in it, a time, a pad, marks, and a reader in the middle:
// its bytes are those of testdata/golden/ring.hex, but for times. And every language reads what is in there.
func TestGoldenRing(t *testing.T) {
	const file = "testdata/golden/ring.hex"
	all := languages(t)
	for _, l := range all {
		t.Run(l.name+" makes it", func(t *testing.T) {
			b := madeBy(t, l, "ring open object 4096", "ring writer", "ring reader", "ring send 1 8", "ring send 2 0",
				"ring place 3 1000", "ring unwriter", "ring writer", "ring batch 4 40", "ring drain 1 1", "ring skip",
				"ring drain 3 1", "ring send 44 1500", "ring send 45 1000", "ring unwriter", "ring unreader", "ring close")
			ring := b[binary.LittleEndian.Uint64(b[32:]):]
			stamp := ring[layout.RingSize+1040+24:] // of record 4
			if now := uint64(time.Now().UnixNano()); now-binary.LittleEndian.Uint64(stamp) > uint64(time.Hour) {
				t.Errorf("record 4 has no time, or a wrong one")
			}
			clear(stamp[:8])
			clear(ring[layout.RingLane+88:][:8])                 // active
			clear(ring[layout.RingLane+layout.LaneSize+88:][:8]) // the same of the cursor
			clear(ring[layout.RingLane+layout.LaneSize+layout.CursorSize:][:layout.LatencySize])
			got := hexOf(b)
			if *update {
				must(t, os.WriteFile(file, []byte(got), 0o644))
			}
			want, err := os.ReadFile(file)
			must(t, err)
			if got != string(want) {
				t.Errorf("the format has changed: raise its version, say so in docs/FORMAT.md, and write %s anew with -update:\n%s",
					file, differences(bytesOf(t, string(want)), b))
			}
		})
		t.Run(l.name+" reads it", func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			must(t, os.WriteFile("/dev/shm/shoal.object", bytesOf(t, string(text)), 0o600))
			defer object.Remove("object", func(layout.Kind) bool { return true })
			p := l.start(t)
			for _, line := range [][2]string{
				{"ring open object", "ok"}, {"ring check", "ok"}, {"ring reader", "ok"}, {"ring peek", "4 16"},
				{"ring drain 4 40", "ok"}, {"ring receive", "44 1500"}, {"ring receive", "45 1000"}, {"ring tryreceive", "busy"},
				{"ring writer", "ok"}, {"ring stats", "sent 45 received 45 repairs 0 0"},
				{"ring send 46 2024", "ok"}, {"ring receive", "46 2024"}, {"ring check", "ok"},
			} {
				p.Say(line[0])
				if got := p.Expect(""); got != line[1] {
					t.Fatalf("%s: %q, want %q", line[0], got, line[1])
				}
			}
			p.Kill()
		})
	}
}

// hexOf is b in lines of 16 bytes, each with its offset; lines of zeros are left out, but for the last one.
func hexOf(b []byte) string {
	var s strings.Builder
	for i := 0; i < len(b); i += 16 {
		line := b[i:min(i+16, len(b))]
		if i+16 >= len(b) || !bytes.Equal(line, make([]byte, len(line))) {
			fmt.Fprintf(&s, "%04x  % x\n", i, line)
		}
	}
	return s.String()
}

// bytesOf is the inverse of hexOf.
func bytesOf(t *testing.T, text string) (b []byte) {
	t.Helper()
	for line := range strings.Lines(text) {
		at, rest, _ := strings.Cut(strings.TrimSpace(line), "  ")
		n, err := strconv.ParseUint(at, 16, 32)
		must(t, err)
		p, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		must(t, err)
		b = append(b, make([]byte, int(n)-len(b))...)
		b = append(b, p...)
	}
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
