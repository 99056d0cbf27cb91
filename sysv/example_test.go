//go:build linux && (amd64 || arm64)

package sysv_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/sysv"
)

// A semaphore whose value is 1 is a lock between processes. With Undo the
// kernel opens it again when the process that holds it dies.
func ExampleSemID_Op() {
	lock, err := sysv.SemGet(sysv.Private, 1, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer lock.Remove()
	// A new semaphore is 0: the lock is closed to all until its creator opens it.
	// This one is not undone: the creator may go, the lock stays.
	if err := lock.Op(sysv.SemBuf{Op: 1}); err != nil {
		log.Fatal(err)
	}

	acquire := sysv.SemBuf{Op: -1, Flags: sysv.Undo}
	release := sysv.SemBuf{Op: 1, Flags: sysv.Undo} // Undo here too, or the first one stays to be undone

	if err := lock.Op(acquire); err != nil {
		log.Fatal(err)
	}
	try := acquire
	try.Flags |= sysv.NoWait
	fmt.Println("taken by somebody:", errors.Is(lock.Op(try), syscall.EAGAIN))
	if err := lock.Op(release); err != nil {
		log.Fatal(err)
	}
	value, err := lock.Value(0)
	fmt.Println("value:", value, err)
	// Output:
	// taken by somebody: true
	// value: 1 <nil>
}

// Waiting for an operation ends with a context, or when the set is removed.
func ExampleSemID_OpContext() {
	set, err := sysv.SemGet(sysv.Private, 2, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()

	// One of each, or none: both semaphores are 0.
	both := []sysv.SemBuf{{Num: 0, Op: -1}, {Num: 1, Op: -1}}
	fmt.Println(errors.Is(set.OpContext(ctx, both...), context.DeadlineExceeded))

	done := make(chan error)
	go func() { done <- set.OpContext(context.Background(), both...) }()
	if err := set.SetAll([]uint16{1, 1}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-done)
	fmt.Println(set.Remove())
	// Output:
	// true
	// <nil>
	// <nil>
}

// Messages are taken in the order of sending, or by type: here low types are
// urgent.
func ExampleMsgID_Receive() {
	queue, err := sysv.MsgGet(sysv.Private, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Remove()
	const urgent, ordinary = 1, 2
	for _, m := range []struct {
		typ  int64
		text string
	}{{ordinary, "water the plants"}, {urgent, "put out the fire"}, {ordinary, "feed the cat"}} {
		if err := queue.Send(m.typ, []byte(m.text), sysv.NoWait); err != nil {
			log.Fatal(err) // EAGAIN: the queue is full
		}
	}

	buf := make([]byte, 100)
	for {
		n, typ, err := queue.Receive(buf, -ordinary, sysv.NoWait) // the lowest type, up to this one
		if errors.Is(err, syscall.ENOMSG) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %s\n", typ, buf[:n])
	}
	// Output:
	// 1 put out the fire
	// 2 water the plants
	// 2 feed the cat
}

// Set changes everything at once, so it starts from what is there.
func ExampleMsgID_Set() {
	queue, err := sysv.MsgGet(sysv.Private, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Remove()

	info, err := queue.Stat()
	if err != nil {
		log.Fatal(err)
	}
	perm := info.Perm()
	perm.Mode |= 0o040 // the group may read
	if err := queue.Set(perm, 4096); err != nil {
		log.Fatal(err)
	}
	info, err = queue.Stat()
	fmt.Println(info.Mode, info.MaxBytes, info.UID == uint32(os.Geteuid()), err)
	// Output: rw-r----- 4096 true <nil>
}

// Programs that share a path share keys, one for each project number.
func ExampleFtok() {
	dir, err := os.MkdirTemp("", "ftok")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		log.Fatal(err)
	}

	mine, err := sysv.Ftok(path, 'A')
	if err != nil {
		log.Fatal(err)
	}
	theirs, _ := sysv.Ftok(filepath.Join(dir, ".", "server.conf"), 'A')
	other, _ := sysv.Ftok(path, 'B')
	fmt.Println(mine == theirs, mine == other)

	_, err = sysv.Ftok("/no/such/file", 'A')
	fmt.Println(err)
	// Output:
	// true false
	// ftok /no/such/file: no such file or directory
}

// An Error names the call and the object, wraps the system's error number, and
// says what to do next.
func ExampleError() {
	_, err := sysv.ShmGet(0x1235, 0, sysv.Create|0o600)
	fmt.Println(err)

	var e *sysv.Error
	if errors.As(err, &e) {
		fmt.Println(e.Call, "-", e.Object, "-", e.Err == syscall.EINVAL)
	}
	// Output:
	// shmget key 0x1235: invalid argument; 0 bytes asked: a new segment has at least 1
	// shmget - key 0x1235 - true
}

// Everything that exists in the IPC namespace, as ipcs(1) shows it: other
// users' objects too, whatever their permissions, beside what the kernel allows.
func Example_inventory() {
	const key = 0x1236 // so as to show these three alone
	segment, err1 := sysv.ShmGet(key, 5000, sysv.Create|sysv.Exclusive|0o640)
	set, err2 := sysv.SemGet(key, 3, sysv.Create|sysv.Exclusive|0o600)
	queue, err3 := sysv.MsgGet(key, sysv.Create|sysv.Exclusive|0o622)
	if err := errors.Join(err1, err2, err3); err != nil {
		log.Fatal(err)
	}
	defer func() { fmt.Println(errors.Join(segment.Remove(), set.Remove(), queue.Remove())) }()

	segments, err := sysv.ShmList()
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range segments {
		if s.Key == key {
			fmt.Printf("segment %v: %d bytes, %v, attached %d times, made by this process: %v\n",
				s.Key, s.Size, s.Mode, s.Attached, s.CreatorPID == os.Getpid())
		}
	}
	sets, err := sysv.SemList()
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range sets {
		if s.Key == key {
			fmt.Printf("set %v: %d semaphores, %v, in use: %v\n", s.Key, s.Count, s.Mode, !s.OTime.IsZero())
		}
	}
	queues, err := sysv.MsgList()
	if err != nil {
		log.Fatal(err)
	}
	for _, q := range queues {
		if q.Key == key {
			fmt.Printf("queue %v: %d messages, %v\n", q.Key, q.Messages, q.Mode)
		}
	}

	shmUse, err1 := sysv.ShmUsage()
	semUse, err2 := sysv.SemUsage()
	msgUse, err3 := sysv.MsgUsage()
	shmMax, err4 := sysv.ShmLimits()
	semMax, err5 := sysv.SemLimits()
	msgMax, err6 := sysv.MsgLimits()
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		log.Fatal(err)
	}
	fmt.Println("room for more:", uint64(shmUse.Segments) < shmMax.MaxSegments, semUse.Sets < semMax.MaxSets, msgUse.Queues < msgMax.MaxQueues)
	// Output:
	// segment 0x1236: 5000 bytes, rw-r-----, attached 0 times, made by this process: true
	// set 0x1236: 3 semaphores, rw-------, in use: false
	// queue 0x1236: 0 messages, rw--w--w-
	// room for more: true true true
	// <nil>
}
