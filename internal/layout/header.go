package layout

import (
	"fmt"
	"structs"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Magic is the first word of every Shoal object: "SHOALobj" in memory. It is
// written last when an object is made.
const Magic uint64 = 0x6a626f4c414f4853

// The version of the format. A reader refuses another Major, and accepts a
// higher Minor: what a minor version adds, older readers may ignore.
const (
	Major = 1
	Minor = 0
)

// Kind is the kind of structure that an object holds.
type Kind uint32

// The kinds. Numbers are part of the format and never reused.
const (
	KindMutex     Kind = 1
	KindRWMutex   Kind = 2
	KindCond      Kind = 3
	KindSemaphore Kind = 4
	KindEvent     Kind = 5
	KindBarrier   Kind = 6
	KindOnce      Kind = 7
	KindRing      Kind = 16
	KindTopic     Kind = 17
	KindQueue     Kind = 18
)

var kindNames = map[Kind]string{
	KindMutex: "mutex", KindRWMutex: "rwmutex", KindCond: "cond", KindSemaphore: "semaphore",
	KindEvent: "event", KindBarrier: "barrier", KindOnce: "once",
	KindRing: "ring", KindTopic: "topic", KindQueue: "queue",
}

// String returns the kind's name: "mutex".
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// Header stands at offset 0 of every Shoal object.
//
//	0        8         12     16     24            32     40         44         48      52      56
//	+--------+---------+------+------+-------------+------+----------+----------+-------+-------+---------+
//	| magic  | version | kind | size | fingerprint | body | schema   | schema   | slots | crea- | created |
//	|        |  M<<16|m|      |      |             |      | offset   | length   |       | tor   |         |
//	+--------+---------+------+------+-------------+------+----------+----------+-------+-------+---------+  64
//
// All but Magic is written before the object can be found by its name, and
// never changes.
type Header struct {
	_            structs.HostLayout
	Magic        mem.Uint64 // stored last: pairs with the load that precedes every other access
	Version      uint32     // Major<<16 | Minor
	Kind         Kind
	Size         uint64 // bytes of the whole object
	Fingerprint  uint64 // of the type of its contents; 0 for none
	Body         uint64 // offset of the structure itself
	SchemaOffset uint32 // text of the type; 0 for none
	SchemaLength uint32
	Slots        uint32 // of the member table behind the header
	Creator      uint32 // process id, as the creator saw itself
	Created      int64  // nanoseconds since 1970
}

// HeaderSize is the size of a Header in bytes, and the offset of the member
// table behind it.
const HeaderSize = 64

const (
	_ = uint(unsafe.Sizeof(Header{}) - HeaderSize)
	_ = uint(HeaderSize - unsafe.Sizeof(Header{}))
	_ = uint(unsafe.Offsetof(Header{}.Version)-8) + uint(8-unsafe.Offsetof(Header{}.Version))
	_ = uint(unsafe.Offsetof(Header{}.Size)-16) + uint(16-unsafe.Offsetof(Header{}.Size))
	_ = uint(unsafe.Offsetof(Header{}.Fingerprint)-24) + uint(24-unsafe.Offsetof(Header{}.Fingerprint))
	_ = uint(unsafe.Offsetof(Header{}.Body)-32) + uint(32-unsafe.Offsetof(Header{}.Body))
	_ = uint(unsafe.Offsetof(Header{}.SchemaOffset)-40) + uint(40-unsafe.Offsetof(Header{}.SchemaOffset))
	_ = uint(unsafe.Offsetof(Header{}.Slots)-48) + uint(48-unsafe.Offsetof(Header{}.Slots))
	_ = uint(unsafe.Offsetof(Header{}.Created)-56) + uint(56-unsafe.Offsetof(Header{}.Created))
)
