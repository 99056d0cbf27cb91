//go:build linux && (amd64 || arm64)

package pshared_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"sync"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// A mutex by name, as every process opens it. Whoever gets it after an owner has
// died is told, puts the data right, and says so.
func ExampleMutex() {
	mu, err := pshared.OpenMutex("accounts")
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("accounts") // objects stay until somebody removes them
	defer mu.Close()

	// Another process would have its own. It goes without unlocking; here it leaves,
	// and being killed is no different.
	other, err := pshared.OpenMutex("accounts")
	if err != nil {
		log.Fatal(err)
	}
	if err := other.Lock(); err != nil {
		log.Fatal(err)
	}
	other.Close()

	switch err := mu.Lock(); {
	case errors.Is(err, pshared.ErrOwnerDied): // we hold the lock
		fmt.Println("mending")
		if err := mu.MarkConsistent(); err != nil {
			log.Fatal(err)
		}
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("in the lock")
	if err := mu.Unlock(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// mending
	// in the lock
}

// A Lock that gives up.
func ExampleMutex_LockContext() {
	mu, err := pshared.OpenMutex("busy")
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("busy")
	defer mu.Close()
	mu.Lock() // somebody has it, and keeps it

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err = mu.LockContext(ctx)
	fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	// Output:
	// lock busy: context deadline exceeded true
}

// A mutex in a segment, beside the data that it guards. Each process does this.
func ExampleMembers() {
	seg, _, err := shm.OpenOrCreate("/ledger", 64<<10, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer shm.Remove("/ledger")
	defer seg.Close()

	// The member table at 0, a mutex behind it, then the data.
	m, err := pshared.Join(seg, 0, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Leave()
	at := pshared.MembersFootprint(0)
	mu, err := pshared.InitMutex(m, at)
	if errors.Is(err, fs.ErrExist) { // another process was first
		mu, err = pshared.JoinMutex(m, at)
	}
	if err != nil {
		log.Fatal(err)
	}
	balance := seg.Bytes()[at+pshared.MutexFootprint:]

	if err := mu.Lock(); err != nil {
		log.Fatal(err)
	}
	binary.LittleEndian.PutUint64(balance, binary.LittleEndian.Uint64(balance)+100)
	fmt.Println("balance:", binary.LittleEndian.Uint64(balance))
	if err := mu.Unlock(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// balance: 100
}

// A lock for the whole group, for up to 200 processes at a time.
func ExampleOptions() {
	mu, err := pshared.Options{Mode: 0o660, Members: 200}.OpenMutex("group")
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("group")
	defer mu.Close()
	info, err := shm.Stat("/shoal.group")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Mode)
	// Output:
	// -rw-rw----
}

// Counters tell how an object has fared.
func ExampleStats() {
	mu, err := pshared.OpenMutex("counted")
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("counted")
	defer mu.Close()
	fmt.Printf("%+v\n", mu.Stats())
	// Output:
	// {Members:1 Deaths:0 Repairs:0 LostWakes:0}
}

// Many readers, one writer.
func ExampleRWMutex() {
	rw, err := pshared.OpenRWMutex("routes")
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("routes")
	defer rw.Close()

	for range 2 { // two readers at the same time
		if err := rw.RLock(); err != nil {
			// ErrOwnerDied: a writer died. Lock, mend, MarkConsistent.
			log.Fatal(err)
		}
	}
	written, err := rw.TryLock()
	fmt.Println("a writer beside readers:", written, err)
	rw.RUnlock()
	rw.RUnlock()
	written, err = rw.TryLock()
	fmt.Println("a writer alone:", written, err)
	rw.Unlock()
	// Output:
	// a writer beside readers: false <nil>
	// a writer alone: true <nil>
}

// A condition is looked at in a loop, under the mutex.
func ExampleCond() {
	seg, err := shm.Create("/mailbox", 64<<10, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer shm.Remove("/mailbox")
	defer seg.Close()
	m, err := pshared.Join(seg, 0, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Leave()
	at := pshared.MembersFootprint(0)
	mu, err := pshared.InitMutex(m, at)
	if err != nil {
		log.Fatal(err)
	}
	arrived, err := pshared.InitCond(m, at+pshared.MutexFootprint)
	if err != nil {
		log.Fatal(err)
	}
	mailbox := seg.Bytes()[at+pshared.MutexFootprint+pshared.CondFootprint:]

	go func() {
		mu.Lock()
		mailbox[0] = 42
		mu.Unlock()
		arrived.Signal()
	}()

	if err := mu.Lock(); err != nil {
		log.Fatal(err)
	}
	for mailbox[0] == 0 {
		if err := arrived.Wait(context.Background(), mu); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("mail:", mailbox[0])
	mu.Unlock()
	// Output:
	// mail: 42
}

// A semaphore with undo limits how many do something at the same time. What a
// member held is free again when the member has gone.
func ExampleSemaphore() {
	config := pshared.SemaphoreConfig{Value: 2, Undo: true}
	licences, err := pshared.OpenSemaphore("licences", config)
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("licences")
	defer licences.Close()

	other, err := pshared.OpenSemaphore("licences", config) // in another process
	if err != nil {
		log.Fatal(err)
	}
	other.Acquire()
	other.Acquire()
	ok, err := licences.TryAcquire()
	fmt.Println("both are taken:", ok, err)

	other.Close() // or kill -9
	if err := licences.Acquire(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("free:", licences.Value())
	// Output:
	// both are taken: false <nil>
	// free: 1
}

// A plain semaphore counts things that one makes and another takes.
func ExampleSemaphoreConfig() {
	items, err := pshared.OpenSemaphore("items", pshared.SemaphoreConfig{Value: 0})
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("items")
	defer items.Close()
	go func() {
		for range 3 {
			items.Release() // made one
		}
	}()
	for i := range 3 {
		if err := items.Acquire(); err != nil {
			log.Fatal(err)
		}
		fmt.Println("took", i+1)
	}
	// Output:
	// took 1
	// took 2
	// took 3
}

// A door: shut until somebody opens it, then open for all.
func ExampleEvent() {
	ready, err := pshared.OpenEvent("ready", pshared.ManualReset)
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("ready")
	defer ready.Close()
	fmt.Println(ready.TryWait())
	go ready.Set()
	for range 3 {
		if err := ready.Wait(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(ready.TryWait())
	// Output:
	// false
	// true
}

// A bell: each ring lets one pass.
func ExampleEventReset() {
	bell, err := pshared.OpenEvent("bell", pshared.AutoReset)
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("bell")
	defer bell.Close()
	bell.Set()
	fmt.Println(bell.TryWait(), bell.TryWait())
	// Output:
	// true false
}

// Three parties, in three processes as a rule, go through the phases together.
func ExampleBarrier() {
	var parties []*pshared.Barrier
	for range 3 {
		b, err := pshared.OpenBarrier("steps", 3)
		if err != nil {
			log.Fatal(err)
		}
		defer b.Close()
		parties = append(parties, b)
	}
	defer pshared.Remove("steps")

	var mu sync.Mutex
	steps := make([]int, 2)
	var wg sync.WaitGroup
	for _, b := range parties {
		wg.Go(func() {
			for step := range steps {
				mu.Lock()
				steps[step]++
				mu.Unlock()
				// ErrPeerDied would say that all who live have come.
				if err := b.Wait(); err != nil {
					log.Fatal(err)
				}
			}
		})
	}
	wg.Wait()
	fmt.Println(steps)
	// Output:
	// [3 3]
}

// Something that one process does for all, once.
func ExampleOnce() {
	once, err := pshared.OpenOnce("schema")
	if err != nil {
		log.Fatal(err)
	}
	defer pshared.Remove("schema")
	defer once.Close()
	for range 3 {
		err := once.Do(func() error {
			fmt.Println("loading")
			return nil // an error, or death, would leave it to the next one
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("done:", once.Done())
	// Output:
	// loading
	// done: true
}
