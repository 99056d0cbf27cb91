//go:build linux && (amd64 || arm64)

package demo

import (
	"encoding/binary"

	"github.com/seed-247006a4/shoal/pshared"
)

// parties are the processes that keep the ledger: the victim and two workers.
const parties = 3

// Where things lie in the ledger's segment, in bytes.
var (
	mutexAt   = pshared.MembersFootprint(0)
	barrierAt = mutexAt + pshared.MutexFootprint
	ledgerAt  = barrierAt + pshared.BarrierFootprint(parties)

	ledgerSegmentSize = int64(ledgerAt + ledgerSize)
)

// A ledger is the data that the mutex guards: plain numbers in shared memory,
// without atomics. Every booking adds one to the debits, then one to the credits.
// They are equal whenever nobody is inside the lock; a process that dies between
// the two stores leaves them torn.
type ledger []byte

// What is in a ledger: 64-bit numbers, at these offsets in bytes.
const (
	debits     = 0
	credits    = 8
	inherited  = 16 // how many owners have died
	ledgerSize = 64
)

func (l ledger) get(at int) uint64    { return binary.LittleEndian.Uint64(l[at:]) }
func (l ledger) set(at int, v uint64) { binary.LittleEndian.PutUint64(l[at:], v) }
func (l ledger) add(at int)           { l.set(at, l.get(at)+1) }
