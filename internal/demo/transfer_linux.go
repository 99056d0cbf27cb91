//go:build linux && (amd64 || arm64)

package demo

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// transferred is how many bytes each pass moves.
const transferred = 256 << 20

// rounds is how often each way of the transfer is taken. The best counts: the
// others were disturbed by whatever else the machine does.
const rounds = 3

// The ways of a transfer.
const (
	byMemory = "shared memory"
	byPipe   = "pipe"
)

// ways is a round, in order.
var ways = []string{byMemory, byPipe}

// A pass is one transfer, as one of its ends knows it.
type pass struct {
	Way   string
	Start int64  // sender: before the first byte was made; nanoseconds, CLOCK_MONOTONIC
	End   int64  // receiver: after the last byte was summed
	Sum   uint32 // CRC-32C of what was made, of what has arrived
}

// tellTransfer is the third chapter. Shared memory and pipe do the same work: the
// sender makes the payload and sums it, the receiver sums what it gets, both at
// the same time, a chunk at a time, with as many bytes under way at most. Through
// memory the payload is made in place and read in place; through the pipe the
// kernel copies it in and out.
func tellTransfer(s *story) error {
	window, why, err := windowSize()
	if err != nil {
		return err
	}
	if why != "" {
		s.note("%s", why)
	}
	h, err := newHandover()
	if err != nil {
		return err
	}
	defer h.Close()
	sender, receiver, err := s.startTransfer(h, window)
	if err != nil {
		return err
	}
	if err := s.finish(sender, receiver); err != nil {
		return err
	}
	best, err := verify(sender.passes, receiver.passes)
	if err != nil {
		return err
	}
	s.print("\n")
	for _, way := range ways {
		b := best[way]
		s.print("  %-13s  %s in %7.2f ms  %5.2f GiB/s  CRC-32C %08x, verified\n", way, formatSize(transferred),
			b.took.Seconds()*1e3, float64(transferred)/(1<<30)/b.took.Seconds(), b.sum)
	}
	s.print("\n  Shared memory: %.1f times the pipe's rate. The best of %d passes each, in turns;\n"+
		"  made anew and summed at both ends every time; up to %s under way.\n",
		best[byPipe].took.Seconds()/best[byMemory].took.Seconds(), rounds, formatSize(window))
	return nil
}

// startTransfer starts both ends, with the semaphores, and a pipe between them.
func (s *story) startTransfer(h *os.File, window int64) (sender, receiver *process, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	defer w.Close()
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, int(window)); err != nil {
		// fs.pipe-max-size and fs.pipe-user-pages-soft are for users without privilege.
		n, _ := unix.FcntlInt(w.Fd(), unix.F_GETPIPE_SZ, 0)
		s.note("the system grants the pipe no more than %s: %v", formatSize(int64(n)), err)
	}
	sender, err = s.cast.start("sender", "sender", []string{strconv.FormatInt(window, 10)}, h, w)
	if err != nil {
		return nil, nil, err
	}
	receiver, err = s.cast.start("receiver", "receiver", []string{objectPrefix + strconv.Itoa(sender.pid)}, h, r)
	return sender, receiver, err
}

// A result is the shortest pass of one way.
type result struct {
	took time.Duration
	sum  uint32
}

// verify compares what was sent with what has arrived, and returns the best pass
// of each way.
func verify(sent, arrived []pass) (best map[string]result, err error) {
	if want := rounds * len(ways); len(sent) != want || len(arrived) != want {
		return nil, fmt.Errorf("%d passes sent, %d arrived, expected %d", len(sent), len(arrived), want)
	}
	best = make(map[string]result)
	for i, from := range sent {
		to := arrived[i]
		if from.Way != to.Way || from.Sum != to.Sum {
			return nil, fmt.Errorf("pass %d: sent by %s with checksum %08x, arrived by %s with %08x: the bytes differ",
				i+1, from.Way, from.Sum, to.Way, to.Sum)
		}
		took := time.Duration(to.End - from.Start)
		if old, ok := best[from.Way]; !ok || took < old.took {
			best[from.Way] = result{took, from.Sum}
		}
	}
	return best, nil
}
