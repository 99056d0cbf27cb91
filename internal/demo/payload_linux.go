//go:build linux && (amd64 || arm64)

package demo

import (
	"encoding/binary"
	"hash/crc32"
)

// A payload makes bytes of which no two chunks are alike, so that a chunk that is
// missing, stale or in the wrong place changes the sum.
type payload struct {
	seed uint64
	sum  uint32 // CRC-32C of all bytes made
}

// next fills b, whose length is a multiple of 8.
//
// The numbers are a Weyl sequence, mixed by one round of the finalizer of
// SplitMix64 (Steele, Lea, Flood 2014): cheap, so that the transfer is what
// takes the time. (Watched by the race detector, which has nothing to see in a
// buffer that only this process knows, it would take fifty times as long.)
//
//go:norace
func (p *payload) next(b []byte) {
	x := p.seed
	for i := 0; i+8 <= len(b); i += 8 {
		x += 0x9e3779b97f4a7c15
		binary.LittleEndian.PutUint64(b[i:], (x^x>>30)*0xbf58476d1ce4e5b9)
	}
	p.seed = x
	p.sum = sum(p.sum, b)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum adds b to a CRC-32C, for which processors have an instruction.
func sum(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }
