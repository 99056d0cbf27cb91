package lane

import (
	"math/bits"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
)

// Each class begins where the one before it ends, and takes what it says.
func TestBuckets(t *testing.T) {
	for i := range layout.LatencyBuckets {
		from, to := bucketStart(i), bucketStart(i+1)
		if from >= to || to-from > from/4+1 {
			t.Errorf("bucket %d: from %d to %d ns", i, from, to)
		}
		for _, ns := range []uint64{from, from + 1, to - 1} {
			if bucket(ns) != i {
				t.Errorf("%d ns are in bucket %d, want %d", ns, bucket(ns), i)
			}
		}
		if i/4+3 > 0 && from != uint64(4+i%4)<<(i/4+3) {
			t.Errorf("bucket %d begins at %d", i, from)
		}
	}
	for ns, want := range map[uint64]int{0: 0, 31: 0, 32: 0, 39: 0, 40: 1, 63: 3, 64: 4, 1 << 62: layout.LatencyBuckets - 1, 1<<64 - 1: layout.LatencyBuckets - 1} {
		if bucket(ns) != want {
			t.Errorf("%d ns are in bucket %d, want %d", ns, bucket(ns), want)
		}
	}
	if end := time.Duration(bucketStart(layout.LatencyBuckets - 1)); end < time.Minute || end > 5*time.Minute {
		t.Errorf("the last bucket begins at %v", end)
	}
}

func TestQuantile(t *testing.T) {
	var l Latency
	if l.Quantile(0.5) != 0 || l.Samples() != 0 {
		t.Errorf("no samples: %v", l.Quantile(0.5))
	}
	for ns := uint64(1); ns <= 10_000; ns++ {
		l.Buckets[bucket(ns)]++
	}
	if l.Samples() != 10_000 {
		t.Errorf("%d samples", l.Samples())
	}
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99, 1} {
		exact := time.Duration(q * 10_000)
		if got := l.Quantile(q); got < exact || got > exact+exact/4+8 {
			t.Errorf("quantile %v: %v, want %v to a quarter more", q, got, exact)
		}
	}
	if l.Quantile(-1) > 40 || l.Quantile(2) != l.Quantile(1) {
		t.Errorf("quantiles -1: %v, 2: %v", l.Quantile(-1), l.Quantile(2))
	}
	earlier := l
	l.Buckets[100]++
	earlier.Buckets[3] = l.Buckets[3] + 1 // it has wrapped round since
	l.Buckets[3]--
	since := l.Since(&earlier)
	if since.Buckets[100] != 1 || since.Buckets[3] != 1<<32-2 || bits.OnesCount32(since.Buckets[5]) != 0 {
		t.Errorf("since: %v", since.Buckets)
	}
}

// One record in stampEvery has a stamp, the first one of each writer, and the one
// after a sleep; each is counted once, however often it is looked at.
func TestStamps(t *testing.T) {
	l, c := on(t, memory(MinSize))
	w := writer(t, l)
	counts := new(layout.Latency)
	r := NewReader(l, c, counts, 0)
	var stamps []uint64
	const records = 4 * stampEvery
	for i := range uint64(records) {
		if i == 100 {
			l.Control.Data.Store(sleeps) // the next one wakes, and the one after it has a stamp
		}
		w.Open(c.Position.Load(), w.Needs(8))
		if w.Reserve(8) == nil {
			t.Fatal("no room")
		}
		w.Add(8)
		w.Commit()
		if l.Data.Word(r.Position()).Load()&layout.RecordStamp != 0 {
			stamps = append(stamps, i)
		}
		for range 3 {
			if _, ok, err := r.Peek(); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		r.Release()
	}
	got := ReadLatency(counts)
	if len(stamps) < 4 || stamps[0] != 0 || stamps[1] != 101 || got.Samples() != uint64(len(stamps)) {
		t.Errorf("stamps in records %v, %d samples", stamps, got.Samples())
	}
	for i := 2; i < len(stamps); i++ {
		if d := stamps[i] - stamps[i-1]; d > stampEvery+1 {
			t.Errorf("stamps in records %v", stamps)
		}
	}
	if l.Control.Wakes.Load() != 1 {
		t.Errorf("%d wakes", l.Control.Wakes.Load())
	}
	// A stamp from the future, or none, is no sample.
	before := got.Samples()
	Sample(counts, 0)
	Sample(counts, now()+uint64(time.Hour))
	Sample(counts, now()-uint64(time.Second))
	got = ReadLatency(counts)
	if got.Samples() != before+1 || got.Buckets[bucket(uint64(time.Second))] == 0 {
		t.Errorf("%d samples, want one more than %d", got.Samples(), before)
	}
}
