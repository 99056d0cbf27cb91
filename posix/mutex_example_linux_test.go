//go:build linux && (amd64 || arm64)

package posix_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"

	"github.com/seed-247006a4/shoal/posix"
)

// A counter behind a mutex, in memory that C programs share: a pthread_mutex_t,
// and at 64 the counter.
func ExampleMutex() {
	f, err := posix.ShmOpen("/counter", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.ShmUnlink("/counter")
	if err := posix.Fallocate(f, 0, 4096); err != nil {
		log.Fatal(err)
	}
	view, err := posix.Mmap(f, 0, 4096, posix.ProtRead|posix.ProtWrite)
	if err != nil {
		log.Fatal(err)
	}
	f.Close()
	defer posix.Munmap(view)

	// Whoever makes the object initialises the mutex; others call MutexAt.
	m, err := posix.MutexInit(view, 0, posix.MutexNormal)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close() // before Munmap

	switch err := m.Lock(); {
	case errors.Is(err, posix.ErrOwnerDied):
		// Somebody died in the middle of the lines below: put it right.
		if err := m.MarkConsistent(); err != nil {
			log.Fatal(err)
		}
	case err != nil:
		log.Fatal(err)
	}
	view[64]++
	fmt.Println("counter:", view[64])
	fmt.Println(m.TryLock()) // a goroutine has it: this one
	m.Unlock()

	fmt.Println(errors.Is(m.Unlock(), syscall.EPERM))
	// Output:
	// counter: 1
	// pthread_mutex_trylock offset 0: device or resource busy
	// true
}
