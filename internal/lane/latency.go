package lane

import (
	"math/bits"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
)

// Latency is how long records took from being sent to being received, in those of
// them that were sampled. The zero value is of none.
type Latency struct {
	// Buckets has the number of samples in each class of durations: four for each
	// power of two. Class 4*i+j begins at (4+j) * 2^(i+3) ns; the first one takes what
	// is shorter, too, the last one what is longer.
	Buckets [layout.LatencyBuckets]uint32
}

// Samples returns how many samples there are.
func (l *Latency) Samples() (n uint64) {
	for _, b := range l.Buckets {
		n += uint64(b)
	}
	return n
}

// Quantile returns the duration that the part q, from 0 to 1, of the samples did
// not exceed, rounded up to the end of its class: up to a quarter too much. Without
// samples it is 0.
func (l *Latency) Quantile(q float64) time.Duration {
	total := l.Samples()
	if total == 0 {
		return 0
	}
	rank := min(max(uint64(max(q, 0)*float64(total)+0.5), 1), total)
	for i, b := range l.Buckets {
		if rank <= uint64(b) {
			return time.Duration(bucketStart(i + 1))
		}
		rank -= uint64(b)
	}
	panic("unreachable: rank is at most the total")
}

// Since returns the samples that were added after those of an earlier look.
func (l *Latency) Since(earlier *Latency) (since Latency) {
	for i := range since.Buckets {
		since.Buckets[i] = l.Buckets[i] - earlier.Buckets[i] // they wrap
	}
	return since
}

// ReadLatency reads the counters, which change meanwhile.
func ReadLatency(from *layout.Latency) (l Latency) {
	for i := range l.Buckets {
		l.Buckets[i] = from.Buckets[i].Load()
	}
	return l
}

// Sample counts a record with that stamp, received now, and returns when that is. A
// clock that was set back in between spoils no more than one sample.
func Sample(in *layout.Latency, stamp uint64) (at uint64) {
	at = now()
	if stamp != 0 && stamp <= at {
		in.Buckets[bucket(at-stamp)].Add(1)
	}
	return at
}

func bucket(ns uint64) int {
	if ns < 1<<5 {
		return 0
	}
	e := bits.Len64(ns) - 1
	return min(4*(e-5)+int(ns>>(e-2)&3), layout.LatencyBuckets-1)
}

func bucketStart(i int) uint64 { return uint64(4+i%4) << (i/4 + 3) }

// now is the time as counters and stamps have it.
func now() uint64 { return uint64(time.Now().UnixNano()) }
