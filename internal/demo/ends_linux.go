//go:build linux && (amd64 || arm64)

package demo

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/shm"
)

const (
	// chunk is how many bytes are made, passed on and summed at a time: little
	// enough to stay in a processor's cache meanwhile, and as good for the pipe
	// as any (64 KiB to 256 KiB differ little).
	chunk  = 128 << 10
	chunks = transferred / chunk
)

// An end is one end of the transfer, in a process of its own.
type end struct {
	*actor
	handover
	window []byte   // the shared memory: a slot for each chunk that is under way
	pipe   *os.File // reading or writing
	buf    []byte   // the chunk that goes through, or came out of, the pipe
}

// newEnd makes an end out of what its process was started with. It lacks the
// window.
func newEnd(a *actor) (*end, error) {
	h, err := a.handover()
	return &end{actor: a, handover: h, pipe: os.NewFile(firstFile+1, "pipe"), buf: make([]byte, chunk)}, err
}

// send is the role of the end that sends.
func send(a *actor) error {
	e, err := newEnd(a)
	if err != nil {
		return err
	}
	size, err := a.arg(0)
	if err != nil {
		return err
	}
	addr := objectPrefix + strconv.Itoa(os.Getpid())
	seg, err := a.create(addr, int64(size))
	if err != nil {
		return err
	}
	defer seg.Close()
	e.window = seg.Bytes()
	a.say("created %s: %s, reserved", addr, formatSize(int64(size)))
	if err := e.post(written); err != nil {
		return err
	}
	if err := e.wait(read); err != nil {
		return err
	}
	a.say("removed its name: the memory lasts while it is mapped")
	if err := seg.Remove(); err != nil {
		return err
	}
	return e.passes(func(p *pass, round int) error {
		p.Start = now()
		made := payload{seed: uint64(round)}
		defer func() { p.Sum = made.sum }()
		if p.Way == byPipe {
			return e.sendByPipe(&made)
		}
		return e.sendByMemory(&made)
	})
}

// receive is the role of the end that receives.
func receive(a *actor) error {
	e, err := newEnd(a)
	if err != nil {
		return err
	}
	if err := e.wait(written); err != nil {
		return err
	}
	seg, err := shm.Open(a.args[0], &shm.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer seg.Close()
	e.window = seg.Bytes()
	a.say("opened it: the same memory")
	if err := e.post(read); err != nil {
		return err
	}
	return e.passes(func(p *pass, _ int) (err error) {
		if p.Way == byPipe {
			p.Sum, err = e.receiveByPipe()
		} else {
			p.Sum, err = e.receiveByMemory()
		}
		p.End = now()
		return err
	})
}

// passes makes and reports every pass. One begins when the receiver is through
// with the last, for which the senders below wait.
func (e *end) passes(do func(p *pass, round int) error) error {
	for round := range rounds {
		for _, way := range ways {
			p := pass{Way: way}
			if err := do(&p, round); err != nil {
				return err
			}
			e.report(event{Pass: &p})
		}
	}
	return nil
}

// sendByMemory makes each chunk in place: in the slot that was read the longest
// time ago.
func (e *end) sendByMemory(made *payload) error {
	slots := len(e.window) / chunk
	for i := range chunks {
		if i >= slots {
			if err := e.wait(read); err != nil {
				return err
			}
		}
		slot := i % slots * chunk
		made.next(e.window[slot : slot+chunk])
		if err := e.post(written); err != nil {
			return err
		}
	}
	for range slots {
		if err := e.wait(read); err != nil {
			return err
		}
	}
	return nil
}

// receiveByMemory sums each chunk in place, and gives its slot back.
func (e *end) receiveByMemory() (crc uint32, err error) {
	slots := len(e.window) / chunk
	for i := range chunks {
		if err := e.wait(written); err != nil {
			return 0, err
		}
		slot := i % slots * chunk
		crc = sum(crc, e.window[slot:slot+chunk])
		if err := e.post(read); err != nil {
			return 0, err
		}
	}
	return crc, nil
}

// sendByPipe makes each chunk in its own memory; the kernel copies it.
func (e *end) sendByPipe(made *payload) error {
	for range chunks {
		made.next(e.buf)
		if _, err := e.pipe.Write(e.buf); err != nil {
			return err
		}
	}
	return e.wait(read)
}

// receiveByPipe has each chunk copied into its own memory, and sums it there.
func (e *end) receiveByPipe() (crc uint32, err error) {
	for range chunks {
		if _, err := io.ReadFull(e.pipe, e.buf); err != nil {
			return 0, err
		}
		crc = sum(crc, e.buf)
	}
	return crc, e.post(read)
}

// now is the time that all processes of the machine share, in nanoseconds.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // of a clock that every Linux has
	}
	return t.Nano()
}
