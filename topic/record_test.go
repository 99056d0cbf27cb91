package topic_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// message is a numbered and checksummed record of mixed size.
//
//	0        8      16     24         28
//	+--------+------+------+----------+---------
//	| number | from | base | checksum | filling
//	+--------+------+------+----------+---------
type message struct {
	number uint64
	from   uint64 // which writer, counted from 1
	base   uint64 // the first number of that writer
}

const messageHead = 28

// filling is how many bytes follow, by number: mostly few.
func filling(number uint64) int {
	if number%50 == 0 {
		return int(number/50*131) % 1500
	}
	return int(number*37) % 150
}

func (m message) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, m.number)
	b = binary.LittleEndian.AppendUint64(b, m.from)
	b = binary.LittleEndian.AppendUint64(b, m.base)
	b = append(b, 0, 0, 0, 0)
	for range filling(m.number) {
		b = append(b, byte(m.number))
	}
	binary.LittleEndian.PutUint32(b[24:], crc32.ChecksumIEEE(b))
	return b
}

// parse says what is torn.
func parse(b []byte) (m message, err error) {
	if len(b) < messageHead {
		return m, fmt.Errorf("torn: %d bytes", len(b))
	}
	m.number, m.from, m.base = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	sum := crc32.ChecksumIEEE(b[:24])
	sum = crc32.Update(sum, crc32.IEEETable, make([]byte, 4))
	sum = crc32.Update(sum, crc32.IEEETable, b[messageHead:])
	if got := binary.LittleEndian.Uint32(b[24:]); got != sum || len(b) != messageHead+filling(m.number) {
		return m, fmt.Errorf("torn: number %d in %d bytes with checksum %#x; want %d bytes and %#x", m.number, len(b), got, messageHead+filling(m.number), sum)
	}
	return m, nil
}
