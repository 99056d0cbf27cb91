//go:build linux && (amd64 || arm64)

package posix_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/seed-247006a4/shoal/posix"
)

// A named semaphore that any program on the machine can post.
func ExampleSem() {
	tickets, err := posix.SemOpen("/tickets", os.O_CREATE|os.O_EXCL, 0o600, 2)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.SemUnlink("/tickets")
	defer tickets.Close()

	for range 2 {
		if err := tickets.Wait(); err != nil {
			log.Fatal(err)
		}
	}
	err = tickets.TimedWait(time.Now().Add(time.Millisecond))
	fmt.Println(err, errors.Is(err, os.ErrDeadlineExceeded))

	tickets.Post()
	value, err := tickets.Value()
	fmt.Println(value, err)
	// Output:
	// sem_timedwait /tickets: deadline exceeded true
	// 1 <nil>
}
