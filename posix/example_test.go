//go:build linux && (amd64 || arm64)

package posix_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/posix"
)

// What the C calls do, step by step: make an object, give it memory, map it,
// and take its name away.
func Example() {
	f, err := posix.ShmOpen("/my_shm", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.ShmUnlink("/my_shm")
	if err := posix.Fallocate(f, 0, 1024); err != nil {
		log.Fatal(err) // /dev/shm is full
	}
	view, err := posix.Mmap(f, 0, 1024, posix.ProtRead|posix.ProtWrite)
	if err != nil {
		log.Fatal(err)
	}
	f.Close() // the mapping stays
	defer posix.Munmap(view)

	n := copy(view, "Hello, Shared Memory!")
	fmt.Printf("%s\n", view[:n])
	// Output: Hello, Shared Memory!
}

// Errors are those of package os: the call, the object, the cause.
func ExampleShmOpen_errors() {
	_, err := posix.ShmOpen("/nobody-made-it", os.O_RDWR, 0)
	fmt.Println(err, errors.Is(err, fs.ErrNotExist))

	_, err = posix.ShmOpen("/a/b", os.O_RDWR, 0)
	fmt.Println(err, errors.Is(err, syscall.EINVAL))
	// Output:
	// shm_open /nobody-made-it: no such file or directory true
	// shm_open /a/b: invalid argument true
}

// A mapping may allow less than its object.
func ExampleProt() {
	f, err := posix.ShmOpen("/my_shm", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	defer posix.ShmUnlink("/my_shm")
	f.WriteString("written with write(2)")

	view, err := posix.Mmap(f, 0, 21, posix.ProtRead)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.Munmap(view)
	fmt.Printf("%s\n", view)
	// Output: written with write(2)
}

// A queue carries whole messages, the most urgent first.
func ExampleMQ() {
	ctx := context.Background()
	q, err := posix.MQOpen("/orders", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600,
		&posix.MQAttr{MaxMessages: 10, MaxMessageBytes: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer posix.MQUnlink("/orders")
	defer q.Close()

	q.Send(ctx, []byte("tea"), 0)
	q.Send(ctx, []byte("fire!"), 9)

	buf := make([]byte, 64)
	for range 2 {
		n, priority, err := q.Receive(ctx, buf)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s (%d)\n", buf[:n], priority)
	}
	// Output:
	// fire! (9)
	// tea (0)
}

// A wait ends with its context, and TryReceive does not wait at all.
func ExampleMQ_Receive_timeout() {
	q, err := posix.MQOpen("/orders", os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer posix.MQUnlink("/orders")
	defer q.Close()
	attr, err := q.Attr()
	if err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, attr.MaxMessageBytes)

	_, _, err = q.TryReceive(buf)
	fmt.Println(err)

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, _, err = q.Receive(ctx, buf)
	fmt.Println(err)
	// Output:
	// mq_receive /orders: resource temporarily unavailable
	// mq_receive /orders: context deadline exceeded
}
