//go:build linux && (amd64 || arm64)

package conformance

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/topic"
)

func init() {
	roles["count"] = func(args []string) {
		t, err := topic.Open[[]byte]("rate", nil)
		rerun.Check(err)
		s, err := t.Subscribe(nil)
		rerun.Check(err)
		n, want, sum := 0, offset(args[0]), 0
		for p, err := range s.Runs(context.Background()) {
			rerun.Check(err)
			sum += int((*p)[0])
			if n++; n == want {
				break
			}
		}
		rerun.Say(strconv.Itoa(n) + " records " + strconv.Itoa(sum))
		rerun.Check(t.Close())
	}
}

// BenchmarkSubscriber publishes records of 64 bytes, one by one, from Go, and measures how fast they are read by Go, and
// by examples/c/subscriber.c, compiled without and with optimization.
func BenchmarkSubscriber(b *testing.B) {
	for _, reader := range []struct{ name, flags string }{
		{"go", ""}, {"c", "-std=c11"}, {"c -O2", "-std=c11 -O2"},
	} {
		b.Run(reader.name, func(b *testing.B) {
			tp, err := topic.Create[[]byte]("rate", nil)
			must(b, err)
			defer topic.Remove("rate")
			defer tp.Close()
			p, err := tp.Publisher()
			must(b, err)
			count := strconv.Itoa(b.N)
			var c *rerun.Process
			if reader.flags == "" {
				c = rerun.Start(b, "count", count)
			} else {
				path := filepath.Join(b.TempDir(), "subscriber")
				args := append(strings.Fields(reader.flags), "-o", path, "../../examples/c/subscriber.c", "-I../../include",
					"-lpthread")
				if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				c = startC(b, path, "rate", "-", count)
			}
			defer c.Kill()
			eventually(b, "it subscribes", func() bool {
				s := tp.Stats().Subscribers
				return len(s) == 1 && s[0].State == topic.Reliable
			})
			record := make([]byte, 64)
			b.SetBytes(64)
			b.ResetTimer()
			for range b.N {
				if err := p.Send(b.Context(), record); err != nil {
					b.Fatal(err)
				}
			}
			c.Expect("")
			b.StopTimer()
		})
	}
}
