//go:build linux && (amd64 || arm64)

package ring_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
)

// A word that cannot be what it says is an error that names it, wherever it is met.
func TestDamage(t *testing.T) {
	for _, d := range []struct {
		name  string
		at    func(body int) int
		value uint64
		says  string
	}{
		{"schema", func(int) int { return 40 }, 1<<40 | 60, "at offset 40"},
		{"schema text", func(int) int { return 24 }, 77, "fingerprint"},
		{"size", func(body int) int { return body }, 5000, "5000 bytes"},
		{"larger size", func(body int) int { return body }, 8192, "8192 bytes"},
		{"writer", func(body int) int { return body + 128 }, 999 << 16, "owner of its writer"},
		{"mark", func(body int) int { return body + 256 }, 4, "mark 0 at position 4"},
		{"reader", func(body int) int { return body + 768 }, 999 << 16, "owner of its reader"},
		{"position", func(body int) int { return body + 776 }, 1 << 30, "read from 1073741824"},
		{"record", func(body int) int { return body + 1536 }, 12345, "record header 0x3039"},
	} {
		t.Run(d.name, func(t *testing.T) {
			r := got(ring.Create[tick]("d", small))(t)
			must(t, r.Close())
			defer shm.Remove("/shoal.d")
			seg := got(shm.Open("/shoal.d", nil))(t)
			defer seg.Close()
			body := int(binary.LittleEndian.Uint64(seg.Bytes()[32:]))
			binary.LittleEndian.PutUint64(seg.Bytes()[d.at(body):], d.value)
			says := func(err error) bool { return errors.Is(err, shm.ErrCorrupt) && strings.Contains(err.Error(), d.says) }
			r, err := ring.Open[tick]("d", nil)
			if err != nil {
				if !says(err) {
					t.Error(err)
				}
				return
			}
			defer r.Close()
			w, err := r.Writer()
			met := says(err)
			if err == nil {
				for range 1000 {
					ok, err := w.TrySend(tick{})
					if met = met || says(err); !ok {
						break
					}
				}
			}
			_, err = r.Reader()
			if met = met || says(err); !met {
				t.Errorf("nobody has noticed; Check: %v", r.Check())
			}
		})
	}
}
