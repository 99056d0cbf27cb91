//go:build linux && (amd64 || arm64)

// Package keeper gives the process a thread that the kernel speaks for after its
// death.
//
// A keeper is an operating system thread that parks for ever and owns a robust
// list. When the process ends, however it ends, the kernel marks every word in
// the list with FUTEX_OWNER_DIED and wakes a waiter of each. Goroutines move
// between threads, so none of theirs could own such a list; the keeper's thread
// id stands in the words instead.
//
// The mark comes when the keeper thread exits. Other threads of the dying process
// may still run for a moment: the mark is a bell, not a verdict (package member).
package keeper

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// Keeper is one parked thread and its robust list. Its methods may be called
// from any goroutine.
type Keeper struct {
	tid     uint32
	mu      sync.Mutex
	list    *sys.RobustList
	pending *sys.RobustEntry           // what the list announces
	entries map[uint64]*sys.RobustLink // what Add has put into the list, by address
}

// mutexOffset is the distance from the entry in a pthread_mutex_t to the lock
// word: __list.__next lies at 32, __lock at 0 (glibc, both architectures).
const mutexOffset = -32

// The keepers of this process. A thread has one list and a list one distance
// from entry to word, hence one keeper for each distance.
var (
	bells   = lazy(sys.BellOffset)
	mutexes = lazy(mutexOffset)
)

// Bells is the keeper for words in pages that [sys.BellMapping] maps.
func Bells() (*Keeper, error) { return bells() }

// Mutexes is the keeper for robust mutexes in the format of glibc. They are
// taken and given back in transactions: [Keeper.Begin] to [Keeper.End].
func Mutexes() (*Keeper, error) { return mutexes() }

func lazy(offset int64) func() (*Keeper, error) {
	return sync.OnceValues(func() (*Keeper, error) { return start(offset) })
}

// start makes a keeper and waits until its thread owns its list.
func start(offset int64) (*Keeper, error) {
	list, err := sys.NewRobustList(offset)
	if err != nil {
		return nil, fmt.Errorf("keeper: mmap: %w", err)
	}
	k := &Keeper{list: list, entries: map[uint64]*sys.RobustLink{}}
	adopted := make(chan error)
	go k.park(adopted)
	if err := <-adopted; err != nil {
		return nil, fmt.Errorf("keeper: set_robust_list: %w", err)
	}
	return k, nil
}

// park is the keeper thread's life.
func (k *Keeper) park(adopted chan<- error) {
	runtime.LockOSThread()
	k.tid = uint32(sys.Gettid())
	if err := k.list.Adopt(); err != nil {
		adopted <- err
		return // and the thread with it: it is locked
	}
	adopted <- nil
	select {}
}

// TID is the keeper's thread id, in its own pid namespace: what must stand in a
// word for the kernel to mark it.
func (k *Keeper) TID() uint32 { return k.tid }

// Add puts e into the list. It fails at the kernel's limit of entries, beyond
// which it would mark nothing.
func (k *Keeper) Add(e *sys.RobustEntry) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Full() {
		return fmt.Errorf("keeper: %d objects joined already: the kernel follows no more (ROBUST_LIST_LIMIT)", sys.RobustLimit)
	}
	n := sys.NewRobustLink(e)
	k.entries[e.Address()] = n
	k.list.Push(n)
	return nil
}

// Remove takes out of the list what Add has put in.
func (k *Keeper) Remove(e *sys.RobustEntry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := k.entries[e.Address()]; n != nil {
		k.list.Remove(n)
		delete(k.entries, e.Address())
	}
}

// Begin opens a transaction on e's word: until the next one begins, the kernel
// looks at the word if the process dies, whether e is in the list or not. Only one
// transaction is open at a time, of all the process's: between Begin and End a
// goroutine takes or gives back one lock, and never sleeps.
func (k *Keeper) Begin(e *sys.RobustEntry) {
	k.mu.Lock()
	if k.pending != e {
		k.pending = e
		k.list.SetPending(e)
	}
}

// End closes the transaction.
//
// The announcement stays. On a word that names another thread the kernel does
// nothing; on a free one it wakes a sleeper, who looks and sleeps again; and the
// next transaction is most often on the same word. Forget ends it.
func (k *Keeper) End() { k.mu.Unlock() }

// Forget ends the announcement of e, if there is one, before its memory is
// unmapped.
// Preconditions: within a transaction; e is not in the list.
func (k *Keeper) Forget(e *sys.RobustEntry) {
	if k.pending == e {
		k.pending = nil
		k.list.SetPending(nil)
	}
}

// Full tells that the kernel would follow no further entry.
// Preconditions: within a transaction.
func (k *Keeper) Full() bool { return k.list.Len() >= sys.RobustLimit }

// Push puts into the list what has just been taken.
// Preconditions: within a transaction on n's entry; n is not in the list; the
// list is not full.
func (k *Keeper) Push(n *sys.RobustLink) { k.list.Push(n) }

// Drop takes out of the list what is about to be given back.
// Preconditions: within a transaction on n's entry; n is in the list.
func (k *Keeper) Drop(n *sys.RobustLink) { k.list.Remove(n) }
