package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FromJSON encodes one JSON value as a message, and fills the whole of dst with it. It takes what [Schema.AppendJSON]
// writes, in any order of fields and with any white space between; a field that is missing is zero, and so is all padding.
//
// It refuses what would not come back the same, with an error that names the field: a field that the type has not, or that
// comes twice; null; a number out of range, or an integer with a fraction or exponent; an array with more or fewer elements;
// text that is too long for its bytes, holds a zero byte or is not UTF-8. Floating-point numbers are rounded to the nearest.
// It is an error, too, if dst has not exactly [Schema.Size] bytes, or the schema is untyped. After an error, what is in dst
// is unspecified.
func (s *Schema) FromJSON(dst, json []byte) error {
	if s.root == nil {
		return errUntyped
	}
	if len(dst) != s.root.Size {
		return fmt.Errorf("schema: room of %d bytes for a message; the type has %d", len(dst), s.root.Size)
	}
	clear(dst)
	d := &decoder{in: json}
	err := d.value(s.root, dst)
	if err == nil {
		if d.space(); d.pos < len(d.in) {
			err = d.expected("nothing more")
		}
	}
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	return nil
}

// A decoder reads JSON that must fit a type. It recurses no deeper than the type.
type decoder struct {
	in  []byte
	pos int
}

// value reads a value of type t to the start of dst.
func (d *decoder) value(t *Type, dst []byte) error {
	le := binary.LittleEndian
	switch t.Kind {
	case Bool:
		switch d.space(); {
		case d.word("true"):
			dst[0] = 1
		case d.word("false"):
			dst[0] = 0
		default:
			return d.expected("true or false")
		}
		return nil
	case Int8, Int16, Int32, Int64:
		n, err := d.integer(t)
		if err != nil {
			return err
		}
		v, err := strconv.ParseInt(string(n), 10, t.Size*8)
		if err != nil {
			bound := uint64(1) << (t.Size*8 - 1)
			return at(fmt.Errorf("%s is out of range of %v, which is -%d to %d", short(n), t.Kind, bound, bound-1))
		}
		store(dst, t.Size, uint64(v))
		return nil
	case Uint8, Uint16, Uint32, Uint64:
		n, err := d.integer(t)
		if err != nil {
			return err
		}
		v, err := strconv.ParseUint(string(n), 10, t.Size*8)
		if err != nil {
			return at(fmt.Errorf("%s is out of range of %v, which is 0 to %d", short(n), t.Kind, ^uint64(0)>>(64-t.Size*8)))
		}
		store(dst, t.Size, v)
		return nil
	case Float32:
		f, err := d.float(t)
		le.PutUint32(dst, math.Float32bits(float32(f)))
		return err
	case Float64:
		f, err := d.float(t)
		le.PutUint64(dst, math.Float64bits(f))
		return err
	case Complex64, Complex128:
		return d.array(2, complexPart(t), dst)
	case Array:
		if t.isText() {
			return d.text(dst[:t.Size])
		}
		return d.array(t.Count, t.Elem, dst)
	default: // Struct; Char stands only in arrays
		return d.object(t, dst)
	}
}

// store writes the low size bytes of v.
func store(dst []byte, size int, v uint64) {
	for i := range size {
		dst[i] = byte(v >> (8 * i))
	}
}

// array reads an array of exactly count elements.
func (d *decoder) array(count int, elem *Type, dst []byte) error {
	if err := d.punct('['); err != nil {
		return err
	}
	for i := range count {
		if i > 0 {
			if d.space(); d.word("]") {
				return at(fmt.Errorf("%d elements; the array has %d", i, count))
			}
			if err := d.punct(','); err != nil {
				return err
			}
		} else if d.space(); d.word("]") {
			return at(fmt.Errorf("no elements; the array has %d", count))
		}
		if err := d.value(elem, dst[i*elem.Size:]); err != nil {
			return within("["+strconv.Itoa(i)+"]", err)
		}
	}
	switch d.space(); {
	case d.word("]"):
		return nil
	case d.word(","):
		return at(fmt.Errorf("more than %d elements, which is what the array has", count))
	}
	return d.expected(`"]"`)
}

// object reads an object with fields of t, each at most once.
func (d *decoder) object(t *Type, dst []byte) error {
	if err := d.punct('{'); err != nil {
		return err
	}
	if d.space(); d.word("}") {
		return nil
	}
	var few [8]uint64
	seen := few[:]
	if len(t.Fields) > 64*len(few) {
		seen = make([]uint64, (len(t.Fields)+63)/64)
	}
	for next := 0; ; {
		name, err := d.str()
		if err != nil {
			return err
		}
		i := t.field(name, next)
		switch {
		case i < 0:
			return t.unknown(name)
		case seen[i/64]&(1<<(i%64)) != 0:
			return within(t.Fields[i].Name, at(errors.New("the field comes twice")))
		}
		seen[i/64] |= 1 << (i % 64)
		next = i + 1
		if err := d.punct(':'); err != nil {
			return within(t.Fields[i].Name, err)
		}
		f := &t.Fields[i]
		if err := d.value(f.Type, dst[f.Offset:]); err != nil {
			return within(f.Name, err)
		}
		switch d.space(); {
		case d.word("}"):
			return nil
		case d.word(","):
		default:
			return d.expected(`"," or "}"`)
		}
	}
}

// field returns the index of the field of that name, most likely next; -1 if there is none.
func (t *Type) field(name []byte, next int) int {
	if next < len(t.Fields) && t.Fields[next].Name == string(name) {
		return next
	}
	for i := range t.Fields {
		if t.Fields[i].Name == string(name) {
			return i
		}
	}
	return -1
}

// unknown is the error of a field that t has not.
func (t *Type) unknown(name []byte) error {
	for _, f := range t.Fields {
		if strings.EqualFold(f.Name, string(name)) {
			return at(fmt.Errorf("field %q: the type has none of this name, but %q", short(name), f.Name))
		}
	}
	return at(fmt.Errorf("field %q: the type has none of this name", short(name)))
}

// text reads a string into dst, which is zero.
func (d *decoder) text(dst []byte) error {
	s, err := d.str()
	switch {
	case err != nil:
		return err
	case len(s) > len(dst):
		return at(fmt.Errorf("text of %d bytes; there is room for %d", len(s), len(dst)))
	case bytes.IndexByte(s, 0) >= 0:
		return at(errors.New("text ends at a zero byte, and so cannot hold one"))
	}
	copy(dst, s)
	return nil
}

// float reads a floating-point number of the size of t.
func (d *decoder) float(t *Type) (float64, error) {
	if d.space(); d.pos < len(d.in) && d.in[d.pos] == '"' {
		s, err := d.str()
		if err != nil {
			return 0, err
		}
		switch string(s) {
		case nan:
			return math.NaN(), nil
		case infinity:
			return math.Inf(1), nil
		case negInfinity:
			return math.Inf(-1), nil
		}
		return 0, at(fmt.Errorf("%q is no number: want one, or %q, %q or %q", short(s), nan, infinity, negInfinity))
	}
	n, _, err := d.number(t)
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(string(n), t.Size*8)
	if err != nil {
		return 0, at(fmt.Errorf("%s is out of range of %v", short(n), t.Kind))
	}
	return f, nil
}

// integer reads a number without fraction and exponent.
func (d *decoder) integer(t *Type) ([]byte, error) {
	n, whole, err := d.number(t)
	if err == nil && !whole {
		err = at(fmt.Errorf("%s has a fraction or an exponent; want %v", short(n), t.Kind))
	}
	return n, err
}

// number reads a number as JSON writes it; t is what is wanted. Whole says that it has neither fraction nor exponent.
func (d *decoder) number(t *Type) (n []byte, whole bool, err error) {
	d.space()
	start := d.pos
	d.word("-")
	zero := d.word("0")
	if !zero && d.digits() == 0 {
		d.pos = start
		return nil, false, d.expected(t.Kind.String())
	}
	whole = true
	if d.word(".") {
		whole = false
		if d.digits() == 0 {
			return nil, false, d.expected("a digit")
		}
	}
	if d.word("e") || d.word("E") {
		whole = false
		if !d.word("+") {
			d.word("-")
		}
		if d.digits() == 0 {
			return nil, false, d.expected("a digit")
		}
	}
	return d.in[start:d.pos], whole, nil
}

// digits skips digits and returns how many.
func (d *decoder) digits() (n int) {
	for d.pos < len(d.in) && '0' <= d.in[d.pos] && d.in[d.pos] <= '9' {
		d.pos++
		n++
	}
	return n
}

// str reads a string and returns what it stands for.
func (d *decoder) str() ([]byte, error) {
	if d.space(); d.pos == len(d.in) || d.in[d.pos] != '"' {
		return nil, d.expected("a string")
	}
	start := d.pos
	escaped := false
	for d.pos++; d.pos < len(d.in); d.pos++ {
		switch c := d.in[d.pos]; {
		case c == '"':
			d.pos++
			whole := d.in[start:d.pos]
			if !utf8.Valid(whole) {
				return nil, at(errors.New("a string that is not UTF-8"))
			}
			if !escaped {
				return whole[1 : len(whole)-1], nil
			}
			var s string
			if err := json.Unmarshal(whole, &s); err != nil {
				return nil, at(fmt.Errorf("string %s: %w", short(whole), err))
			}
			return []byte(s), nil
		case c == '\\':
			escaped = true
			d.pos++
		case c < ' ':
			return nil, d.expected("a string without control characters")
		}
	}
	return nil, at(fmt.Errorf("byte %d: a string without an end", start))
}

// punct reads one mark after white space.
func (d *decoder) punct(c byte) error {
	if d.space(); d.pos < len(d.in) && d.in[d.pos] == c {
		d.pos++
		return nil
	}
	return d.expected(strconv.Quote(string(rune(c))))
}

// word reads exactly w if it is there.
func (d *decoder) word(w string) bool {
	if len(d.in)-d.pos < len(w) || string(d.in[d.pos:d.pos+len(w)]) != w {
		return false
	}
	d.pos += len(w)
	return true
}

// space skips white space.
func (d *decoder) space() {
	for d.pos < len(d.in) {
		switch d.in[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// expected is the error of finding something else.
func (d *decoder) expected(what string) error {
	if d.pos >= len(d.in) {
		return at(fmt.Errorf("want %s, found the end of the JSON", what))
	}
	return at(fmt.Errorf("byte %d of the JSON: want %s, found %q", d.pos, what, short(d.in[d.pos:])))
}

// short returns the start of a piece of the input for an error.
func short(b []byte) string {
	if len(b) > 24 {
		return string(b[:24]) + "…"
	}
	return string(b)
}
