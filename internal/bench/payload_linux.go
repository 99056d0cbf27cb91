//go:build linux && (amd64 || arm64)

package bench

import (
	"encoding/binary"
	"fmt"
)

// A record begins with two words: its number, and what it tells the other side.
// The others hold the number, if the record is as short as record, else a pattern
// that stays.
type record [8]uint64

// What a record tells.
const (
	ordinary uint64 = iota
	begin           // what follows is measured
	end             // it is the last one
)

// head is how long the first two words are.
const head = 16

// fill writes every word of a record, and returns their sum.
func (r *record) fill(number, tells uint64) uint64 {
	r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7] = number, tells, number, number, number, number, number, number
	return 7*number + tells
}

// sum adds the words of a record.
func (r *record) sum() uint64 {
	return r[0] + r[1] + r[2] + r[3] + r[4] + r[5] + r[6] + r[7]
}

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

// sumPages adds the first two words, and the first and last word of every page of a
// payload that has been copied: enough to tell whether it is the right one.
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

// pattern makes a payload of size bytes whose words are all different, with an
// empty head.
func pattern(size int) []byte {
	p := make([]byte, size)
	for at := head; at+8 <= size; at += 8 {
		binary.LittleEndian.PutUint64(p[at:], uint64(at)*0x9e3779b97f4a7c15)
	}
	return p
}

// mark writes the first two words.
func mark(p []byte, number, tells uint64) {
	binary.LittleEndian.PutUint64(p, number)
	binary.LittleEndian.PutUint64(p[8:], tells)
}

// heads reads the first two words.
func heads(p []byte) (number, tells uint64, err error) {
	if len(p) < head {
		return 0, 0, fmt.Errorf("a record of %d bytes has come", len(p))
	}
	return binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:]), nil
}

// tally is what one side has sent or received.
type tally struct {
	Records uint64
	Sum     uint64
}

func (t *tally) count(sum uint64) {
	t.Records++
	t.Sum += sum
}
