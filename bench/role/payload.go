package role

import (
	"encoding/binary"
	"fmt"
)

// Line is a record of one cache line.
type Line [8]uint64

// What a record tells.
const (
	Ordinary uint64 = 0
	End      uint64 = 2
)

// head is how long the first two words are.
const head = 16

// fill writes every word of a record, and returns their sum.
func (l *Line) fill(number, tells uint64) uint64 {
	l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7] = number, tells, number, number, number, number, number, number
	return 7*number + tells
}

func (l *Line) sum() uint64 { return l[0] + l[1] + l[2] + l[3] + l[4] + l[5] + l[6] + l[7] }

// sumWords adds the words of a payload, whose length is a multiple of 8.
func sumWords(p []byte) uint64 {
	var a, b, c, d uint64
	for len(p) >= 32 {
		a += binary.LittleEndian.Uint64(p)
		b += binary.LittleEndian.Uint64(p[8:])
		c += binary.LittleEndian.Uint64(p[16:])
		d += binary.LittleEndian.Uint64(p[24:])
		p = p[32:]
	}
	for len(p) >= 8 {
		a += binary.LittleEndian.Uint64(p)
		p = p[8:]
	}
	return a + b + c + d
}

// sumPages adds the head, and the first and last word of every page, of a payload that
// has been copied: enough to tell whether it is the right one.
func sumPages(p []byte) (sum uint64) {
	const page = 4096
	sum = sumWords(p[:head])
	for at := 0; at+page <= len(p); at += page {
		if at > 0 {
			sum += binary.LittleEndian.Uint64(p[at:])
		}
		sum += binary.LittleEndian.Uint64(p[at+page-8:])
	}
	return sum
}

// pattern is a payload of size bytes whose words are all different, with an empty head.
func pattern(size int) []byte {
	p := make([]byte, size)
	for at := head; at+8 <= size; at += 8 {
		binary.LittleEndian.PutUint64(p[at:], uint64(at)*0x9e3779b97f4a7c15)
	}
	return p
}

// payload is what a process sends, and how it reads what it gets.
type payload struct {
	bytes          []byte // what it sends
	rest           uint64 // what a reader finds in it beside its head
	mine           []byte // where records are copied to
	copy           bool   // records are to be copied out
	copied         bool   // the transport has done so
	untouched      bool
	sent, received Tally
}

// newPayload makes it; copied says that the transport copies records out itself.
func newPayload(j *Job, copied bool) *payload {
	p := &payload{bytes: pattern(j.Size), mine: pattern(j.Size), copy: j.Copy, copied: copied, untouched: j.Untouched}
	if !p.untouched && j.Size != len(Line{})*8 {
		p.rest = p.read(p.bytes)
	}
	return p
}

// write returns the next record, and counts it.
func (p *payload) write(number, tells uint64) []byte {
	p.sent.Records++
	if len(p.bytes) == len(Line{})*8 && !p.untouched {
		var l Line
		p.sent.Sum += l.fill(number, tells)
		for i, word := range l {
			binary.LittleEndian.PutUint64(p.bytes[8*i:], word)
		}
		return p.bytes
	}
	p.sent.Sum += p.rest + number + tells
	mark(p.bytes, number, tells)
	return p.bytes
}

// read returns the sum of a record.
func (p *payload) read(b []byte) uint64 {
	switch {
	case p.untouched:
		return sumWords(b[:head])
	case p.copy && p.copied:
		return sumPages(b)
	case p.copy:
		copyOut(p.mine, b)
		return sumPages(p.mine)
	}
	return sumWords(b)
}

// copyOut copies in pieces: Go's copy of a mebibyte or more goes past the caches, and C's does not.
func copyOut(to, from []byte) {
	const piece = 256 << 10
	for at := 0; at < len(from); at += piece {
		copy(to[at:], from[at:min(at+piece, len(from))])
	}
}

// arrived reads a record that has come, and counts it.
func (p *payload) arrived(b []byte) (number, tells uint64, err error) {
	if len(b) != len(p.bytes) {
		return 0, 0, fmt.Errorf("a record of %d bytes has come; want %d", len(b), len(p.bytes))
	}
	p.received.Records++
	p.received.Sum += p.read(b)
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), nil
}

// mark writes the first two words.
func mark(p []byte, number, tells uint64) {
	binary.LittleEndian.PutUint64(p, number)
	binary.LittleEndian.PutUint64(p[8:], tells)
}
