package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/seed-247006a4/shoal/schema"
)

// framing cuts bytes into records. rest is where the first record begins that is not
// complete; at the end of the input all are.
type framing func(b []byte, end bool) (records [][]byte, rest int, err error)

// lines are records that end in a newline, which does not belong to them.
func lines(b []byte, end bool) (records [][]byte, rest int, err error) {
	for {
		i := bytes.IndexByte(b[rest:], '\n')
		if i < 0 {
			break
		}
		records = append(records, b[rest:rest+i])
		rest += i + 1
	}
	if end && rest < len(b) {
		records, rest = append(records, b[rest:]), len(b)
	}
	return records, rest, nil
}

// pieces are records of n bytes; the last one may be shorter, unless all must have their
// length.
func pieces(n int, exact bool) framing {
	return func(b []byte, end bool) (records [][]byte, rest int, err error) {
		for len(b)-rest >= n {
			records = append(records, b[rest:rest+n])
			rest += n
		}
		if left := len(b) - rest; end && left > 0 {
			if exact {
				return records, rest, fmt.Errorf("the input ends with %s, a record has %d", count(int64(left), "byte"), n)
			}
			records, rest = append(records, b[rest:]), len(b)
		}
		return records, rest, nil
	}
}

// values are JSON values, with any white space between them.
func values(b []byte, end bool) (records [][]byte, rest int, err error) {
	depth, begin := 0, -1
	quoted, escaped := false, false
	for i, c := range b {
		space := c == ' ' || c == '\t' || c == '\n' || c == '\r'
		switch {
		case quoted:
			if !escaped && c == '"' {
				quoted = false
			}
			escaped = !escaped && c == '\\'
		case begin < 0 && space:
			rest = i + 1
			continue
		case c == '"':
			quoted = true
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		}
		if begin < 0 {
			begin = i
		}
		if depth > 0 || quoted {
			continue
		}
		if closes := c == '}' || c == ']' || c == '"'; closes || space {
			records = append(records, bytes.TrimRight(b[begin:i+1], " \t\r\n"))
			begin, rest, depth = -1, i+1, 0
		}
	}
	if end && begin >= 0 {
		records, rest = append(records, b[begin:]), len(b)
	}
	return records, rest, nil
}

// encoding makes messages of records, and returns how many: all, or those before one
// of which there is something wrong.
type encoding func(records [][]byte) (int, error)

// fromJSON encodes JSON values as messages of a type.
func fromJSON(typ *schema.Schema) encoding {
	return func(records [][]byte) (int, error) {
		size := typ.Size()
		room := make([]byte, size*len(records))
		for i, text := range records {
			message := room[i*size:][:size:size]
			if err := typ.FromJSON(message, text); err != nil {
				return i, err
			}
			records[i] = message
		}
		return len(records), nil
	}
}

// anyJSON checks JSON values that are sent as they are.
func anyJSON(records [][]byte) (int, error) {
	for i, text := range records {
		if !json.Valid(text) {
			return i, fmt.Errorf("%.40q is no JSON", text)
		}
	}
	return len(records), nil
}

// intake is standard input in records.
type intake struct {
	batches chan inputBatch
	free    chan []byte
}

// inputBatch is the records that were there at one time, and then perhaps what was wrong.
type inputBatch struct {
	records [][]byte
	room    []byte // where they stand, to be given back
	err     error  // io.EOF at the end
}

// intakeSize is how much is read at a time.
const intakeSize = 128 << 10

// take begins to read. Reading goes on beside sending, in other buffers; records longer
// than most are an error.
func take(ctx context.Context, r io.Reader, cut framing, most int) *intake {
	in := &intake{batches: make(chan inputBatch, 1), free: make(chan []byte, 3)}
	for range cap(in.free) {
		in.free <- nil
	}
	go in.read(ctx, r, cut, most)
	return in
}

func (in *intake) read(ctx context.Context, r io.Reader, cut framing, most int) {
	var carry []byte
	for {
		var room []byte
		select {
		case room = <-in.free:
		case <-ctx.Done():
			return
		}
		if cap(room) < len(carry)+intakeSize {
			room = make([]byte, 0, 2*len(carry)+intakeSize)
		}
		room = append(room[:0], carry...)
		n, err := r.Read(room[len(room):cap(room)])
		room = room[:len(room)+n]
		records, rest, wrong := cut(room, err != nil)
		carry = bytes.Clone(room[rest:])
		switch {
		case wrong != nil:
			err = wrong
		case err == nil && len(carry) > most:
			err = fmt.Errorf("a record is longer than the %d bytes that fit: %w", most, errTooLong)
		case err != nil && err != io.EOF:
			err = fmt.Errorf("read standard input: %w", err)
		}
		select {
		case in.batches <- inputBatch{records, room, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

var errTooLong = errors.New("cut the input into shorter ones, or make the object for longer ones")
