//go:build linux && (amd64 || arm64)

package queue_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/queue"
)

// message is what tests send: a number, who sent it, a filling whose length follows
// from both, and a checksum.
type message struct{ from, number uint64 }

// filling is the length of a message's filling in bytes.
func filling(m message) int { return int(m.number*37+m.from*11) % 300 }

func (m message) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, m.from)
	b = binary.LittleEndian.AppendUint64(b, m.number)
	for i := range filling(m) {
		b = append(b, byte(m.number)+byte(i)*3)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func (m message) size() int { return 20 + filling(m) }

func parse(b []byte) (m message, err error) {
	if len(b) < 20 {
		return m, fmt.Errorf("message of %d bytes", len(b))
	}
	m.from, m.number = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if len(b) != m.size() || sum != crc32.ChecksumIEEE(body) {
		return m, fmt.Errorf("torn: number %d of %d with %d bytes", m.number, m.from, len(b))
	}
	return m, nil
}

func openBytes(name string) *queue.Queue[[]byte] {
	q, err := queue.Open[[]byte](name, nil)
	rerun.Check(err)
	return q
}

func init() {
	// hold NAME: receives a message and keeps it.
	roles["hold"] = func(args []string) {
		q := openBytes(args[0])
		m, err := q.Receive(background)
		rerun.Check(err)
		rerun.Say("holds", m.Deliveries)
		for rerun.Hear() == "ack" {
			rerun.Say("acked", m.Ack())
		}
	}
	// fill NAME: takes a loan and keeps it.
	roles["fill"] = func(args []string) {
		q := openBytes(args[0])
		m := message{from: 99, number: 1}
		l, err := q.LoanBytes(background, m.size())
		rerun.Check(err)
		m.append((*l.Value)[:0])
		rerun.Say("fills")
		rerun.Hear()
		rerun.Check(l.Commit())
		rerun.Say("committed")
		rerun.Hear()
	}
}
