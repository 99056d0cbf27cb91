//go:build linux && (amd64 || arm64)

package demo

import (
	"fmt"
	"os"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
)

// handover is two POSIX semaphores with which one process tells another that
// there is something to read, and learns that it has been read.
//
//	         writer                      reader
//	written  +1 when written             -1: sleeps until there is something
//	read     -1: sleeps until it was     +1 when read
//
// Nothing is undone at exit: what was written stays written when its writer has
// ended. A lock would be another matter.
//
// They lie in memory without a name, which both processes inherit: the kernel
// frees it when the last of them has ended, whatever the cause.
type handover [handoverSize]*posix.Sem

// The semaphores of a handover, both 0 at first.
const (
	written = iota
	read
	handoverSize
)

// semaphoreStride is the distance of the semaphores in bytes: a cache line each.
const semaphoreStride = 64

// newHandover makes the semaphores. Who is started with the file shares them.
func newHandover() (*os.File, error) {
	seg, err := shm.Create("memfd:shoal-demo-handover", handoverSize*semaphoreStride, nil)
	if err != nil {
		return nil, err
	}
	defer seg.Close()
	for i := range handoverSize {
		sem, err := posix.SemInit(seg.Bytes(), i*semaphoreStride, 0)
		if err != nil {
			return nil, err
		}
		sem.Close() // the handle; the semaphore stays
	}
	return seg.File()
}

// handover takes the semaphores from the first file that the process was started
// with. They stay mapped until it ends.
func (a *actor) handover() (h handover, err error) {
	f := os.NewFile(firstFile, "handover")
	defer f.Close()
	seg, err := shm.FromFile(f, nil)
	if err != nil {
		return h, fmt.Errorf("the semaphores that this process was to inherit: %w", err)
	}
	for i := range h {
		if h[i], err = posix.SemAt(seg.Bytes(), i*semaphoreStride); err != nil {
			return h, err
		}
	}
	return h, nil
}

// post counts one thing more that was written, or read.
func (h *handover) post(semaphore int) error { return h[semaphore].Post() }

// wait sleeps until there is one, and takes it.
func (h *handover) wait(semaphore int) error { return h[semaphore].Wait() }
