//go:build linux && (amd64 || arm64)

package ring_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/seed-247006a4/shoal/ring"
)

type line [64]byte

func benchRing(name string) *ring.Ring[line] {
	r, err := ring.OpenOrCreate[line](name, nil)
	check(err)
	return r
}

func init() {
	// drain N: reads so many records, touching each.
	roles["drain"] = func() {
		n, err := strconv.Atoi(os.Args[1])
		check(err)
		rd, err := benchRing("bench").Reader()
		check(err)
		say("ready")
		sum := byte(0)
		for v, err := range rd.All(background) {
			check(err)
			for _, b := range v {
				sum += b
			}
			if n--; n == 0 {
				break
			}
		}
		say("done", sum)
	}
	// echo N: sends so many records back.
	roles["echo"] = func() {
		n, err := strconv.Atoi(os.Args[1])
		check(err)
		rd, err := benchRing("bench").Reader()
		check(err)
		w, err := benchRing("back").Writer()
		check(err)
		say("ready")
		for range n {
			v, err := rd.Receive(background)
			check(err)
			check(w.Send(background, v))
		}
		say("done")
	}
}

// Records of 64 bytes from this process to another, one by one and in batches.
func BenchmarkStream(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(strconv.Itoa(batch), func(b *testing.B) {
			r := benchRing("bench")
			defer ring.Remove("bench")
			defer r.Close()
			w := got(r.Writer())(b)
			p := start(b, "drain", strconv.Itoa((b.N+batch-1)/batch*batch))
			p.expect("ready")
			vs := make([]line, batch)
			b.ResetTimer()
			for i := 0; i < b.N; i += batch {
				if batch == 1 {
					vs[0][0]++
					if err := w.Send(background, vs[0]); err != nil {
						b.Fatal(err)
					}
					continue
				}
				for k := range vs {
					vs[k][0]++
				}
				if _, err := w.SendBatch(background, vs); err != nil {
					b.Fatal(err)
				}
			}
			p.expect("done")
			b.StopTimer()
			p.kill()
		})
	}
}

// A record of 64 bytes to another process and back.
func BenchmarkPingPong(b *testing.B) {
	r, back := benchRing("bench"), benchRing("back")
	defer ring.Remove("bench")
	defer ring.Remove("back")
	defer r.Close()
	defer back.Close()
	w, rd := got(r.Writer())(b), got(back.Reader())(b)
	p := start(b, "echo", strconv.Itoa(b.N))
	p.expect("ready")
	b.ResetTimer()
	for range b.N {
		if err := w.Send(background, line{}); err != nil {
			b.Fatal(err)
		}
		if _, err := rd.Receive(background); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	p.expect("done")
	p.kill()
}
