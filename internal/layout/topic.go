package layout

import (
	"structs"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Topic is the head of the body of a topic; what it counts follows it.
//
//	0       4             8           16       20                            128
//	+-------+-------------+-----------+--------+------------------------------+
//	| lanes | subscribers | lane size | policy | -                            |
//	+-------+-------------+-----------+--------+------------------------------+
//	128    132                                                               256
//	+------+------+-----------------------------------------------------------+
//	| data | rest | -                                                         |
//	+------+------+-----------------------------------------------------------+
//	256          260           264                                           384
//	+------------+-------------+-------+--------------------------------------+
//	| used lanes | used places | joins | -                                    |
//	+------------+-------------+-------+--------------------------------------+
//
//	TopicSize     Lane for each lane
//	PlacesAt      place word for each subscriber, padded to a line
//	SubscribersAt Subscriber for each
//	CursorsAt     Cursor for each lane and subscriber: those of lane 0 first
//	DataAt        the data of each lane
//
// Subscribers sleep at Data, not at the Data of a Lane. Who wakes them moves Data to
// its next number, stores that in Rest, and wakes a few; these wake all others, and
// then clear Rest if it is still the same.
//
// Lanes from UsedLanes on have never had a publisher, places from UsedPlaces on
// never a subscriber. Both only grow. Joins is raised when there is another cursor
// that publishers have to look at, before its owner looks whether they have seen it.
type Topic struct {
	_           structs.HostLayout
	Lanes       uint32 // how many publishers there can be
	Subscribers uint32
	LaneSize    uint64 // bytes: a power of two
	Policy      uint32 // what publishers do when a subscriber is slow
	_           [Line - 20]byte
	Data        eventCount
	Rest        mem.Uint32 // number of Data of whose sleepers only a few have been woken; 0 for none
	_           [Line - 8]byte
	UsedLanes   mem.Uint32
	UsedPlaces  mem.Uint32
	Joins       mem.Uint64
	_           [Line - 16]byte
}

// Policies of a topic.
const (
	TopicWait   = 0 // wait for slow subscribers
	TopicRefuse = 1 // fail
	TopicDrop   = 2 // do not wait for them any more
)

// The place word of a subscriber is an Owner with flags: all that is decided about
// a subscription is decided by one compare-and-swap of it. 0 is a free place.
//
//	SubReliable  publishers do not overwrite what lies behind its cursors
//	SubJoining   its cursors are being set: they may lie behind what a lane holds
//	SubNamed     it has a name, and stays without a process: then the owner is nobody
//	SubDropped   publishers were to wait for it, and do not any more
const (
	SubReliable = 1 << 0
	SubJoining  = 1 << 1
	SubNamed    = 1 << 2
	SubDropped  = 1 << 3

	SubFlags = SubReliable | SubJoining | SubNamed | SubDropped
)

// Subscriber is what there is of a subscription beside its place word and its
// cursors: name and counters.
//
//	0      16       24      32          40      48      56        64             128
//	+------+--------+-------+-----------+-------+-------+---------+---------------+
//	| name | block- | wakes | lost      | re-   | drops | joined  | -             |
//	|      | ed     |       | wakes     | pairs |       |         |               |
//	+------+--------+-------+-----------+-------+-------+---------+---------------+
//	| latency                                                                     |
//	+-----------------------------------------------------------------------------+  640
//
// In its cursors, Flags is a number: that of the record at Position, less Messages
// and Missed.
type Subscriber struct {
	_         structs.HostLayout
	Name      [2]mem.Uint64 // up to 16 bytes, padded with 0
	Blocked   mem.Uint64    // nanoseconds that it waited asleep
	Wakes     mem.Uint64    // times that it woke others who slept beside it
	LostWakes mem.Uint64    // sleeps that ended by time although there was something
	Repairs   mem.Uint64    // times that the place was taken back from the dead
	Drops     mem.Uint64    // times that publishers gave up waiting for it
	Joined    mem.Uint64    // nanoseconds since 1970
	_         [8]uint64
	Latency   Latency
}

// Sizes in bytes, and offsets from the body.
const (
	TopicSize      = 3 * Line
	SubscriberSize = Line + LatencySize
)

// PlacesAt is where the place words of a topic with so many lanes stand.
func PlacesAt(lanes int) int { return TopicSize + lanes*LaneSize }

// SubscribersAt is where its Subscribers stand, of which there can be n.
func SubscribersAt(lanes, n int) int { return PlacesAt(lanes) + (8*n+Line-1)&^(Line-1) }

// CursorsAt is where its Cursors stand: the one of lane l and subscriber s is number
// l*n + s.
func CursorsAt(lanes, n int) int { return SubscribersAt(lanes, n) + n*SubscriberSize }

// DataAt is where the data of its lanes stands.
func DataAt(lanes, n int) int { return CursorsAt(lanes, n) + lanes*n*CursorSize }

const (
	_ = uint(unsafe.Sizeof(Topic{})-TopicSize) + uint(TopicSize-unsafe.Sizeof(Topic{}))
	_ = uint(unsafe.Offsetof(Topic{}.LaneSize)-8) + uint(8-unsafe.Offsetof(Topic{}.LaneSize))
	_ = uint(unsafe.Offsetof(Topic{}.Policy)-16) + uint(16-unsafe.Offsetof(Topic{}.Policy))
	_ = uint(unsafe.Offsetof(Topic{}.Data)-Line) + uint(Line-unsafe.Offsetof(Topic{}.Data))
	_ = uint(unsafe.Offsetof(Topic{}.Rest)-Line-4) + uint(Line+4-unsafe.Offsetof(Topic{}.Rest))
	_ = uint(unsafe.Offsetof(Topic{}.UsedLanes)-2*Line) + uint(2*Line-unsafe.Offsetof(Topic{}.UsedLanes))
	_ = uint(unsafe.Offsetof(Topic{}.UsedPlaces)-2*Line-4) + uint(2*Line+4-unsafe.Offsetof(Topic{}.UsedPlaces))
	_ = uint(unsafe.Offsetof(Topic{}.Joins)-2*Line-8) + uint(2*Line+8-unsafe.Offsetof(Topic{}.Joins))
	_ = uint(unsafe.Sizeof(Subscriber{})-SubscriberSize) + uint(SubscriberSize-unsafe.Sizeof(Subscriber{}))
	_ = uint(unsafe.Offsetof(Subscriber{}.Blocked)-16) + uint(16-unsafe.Offsetof(Subscriber{}.Blocked))
	_ = uint(unsafe.Offsetof(Subscriber{}.Joined)-56) + uint(56-unsafe.Offsetof(Subscriber{}.Joined))
	_ = uint(unsafe.Offsetof(Subscriber{}.Latency)-Line) + uint(Line-unsafe.Offsetof(Subscriber{}.Latency))
)
