package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// errUntyped is the error of asking for fields where there are none.
var errUntyped = errors.New("schema: untyped: the messages are bytes of which nothing is known")

// AppendJSON decodes a message and appends it to dst as JSON in one line. Whatever is in the message, the result is valid.
//
// Structs are objects, with their fields in order; arrays are arrays. Integers are numbers with all their digits, of which
// a reader that takes them for float64, as JavaScript does, keeps 53 bits. Floating-point numbers have the fewest digits
// that give the same number back; what JSON has no number for is the string "NaN", "Infinity" or "-Infinity". A complex
// number is an array of its two parts. A bool is true unless its byte is 0. Text is a string up to the first zero byte; bytes
// that are not UTF-8 become U+FFFD.
//
// It is an error if the message has not exactly [Schema.Size] bytes, or the schema is untyped; dst is then returned as it was.
// AppendJSON allocates only to grow dst.
func (s *Schema) AppendJSON(dst, message []byte) ([]byte, error) {
	if s.root == nil {
		return dst, errUntyped
	}
	if len(message) != s.root.Size {
		return dst, fmt.Errorf("schema: a message of %d bytes; the type has %d", len(message), s.root.Size)
	}
	return appendValue(dst, s.root, message), nil
}

// appendValue appends the value of type t that b begins with.
func appendValue(dst []byte, t *Type, b []byte) []byte {
	le := binary.LittleEndian
	switch t.Kind {
	case Bool:
		return strconv.AppendBool(dst, b[0] != 0)
	case Int8:
		return strconv.AppendInt(dst, int64(int8(b[0])), 10)
	case Int16:
		return strconv.AppendInt(dst, int64(int16(le.Uint16(b))), 10)
	case Int32:
		return strconv.AppendInt(dst, int64(int32(le.Uint32(b))), 10)
	case Int64:
		return strconv.AppendInt(dst, int64(le.Uint64(b)), 10)
	case Uint8:
		return strconv.AppendUint(dst, uint64(b[0]), 10)
	case Uint16:
		return strconv.AppendUint(dst, uint64(le.Uint16(b)), 10)
	case Uint32:
		return strconv.AppendUint(dst, uint64(le.Uint32(b)), 10)
	case Uint64:
		return strconv.AppendUint(dst, le.Uint64(b), 10)
	case Float32:
		return appendFloat(dst, float64(math.Float32frombits(le.Uint32(b))), 32)
	case Float64:
		return appendFloat(dst, math.Float64frombits(le.Uint64(b)), 64)
	case Complex64, Complex128:
		part := complexPart(t)
		dst = appendValue(append(dst, '['), part, b)
		dst = appendValue(append(dst, ','), part, b[part.Size:])
		return append(dst, ']')
	case Array:
		if t.isText() {
			return appendText(dst, b[:t.Size])
		}
		dst = append(dst, '[')
		for i := range t.Count {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, t.Elem, b[i*t.Elem.Size:])
		}
		return append(dst, ']')
	default: // Struct; Char stands only in arrays
		dst = append(dst, '{')
		for i := range t.Fields {
			f := &t.Fields[i]
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			dst = append(dst, f.Name...)
			dst = append(dst, '"', ':')
			dst = appendValue(dst, f.Type, b[f.Offset:])
		}
		return append(dst, '}')
	}
}

// complexPart returns the type of the real and the imaginary part of a complex number.
func complexPart(t *Type) *Type {
	if t.Kind == Complex64 {
		return &kinds[Float32].plain
	}
	return &kinds[Float64].plain
}

// The strings for what JSON has no number for: those of JavaScript and of JSON in protocol buffers. Python's float takes
// them, too.
const (
	nan         = "NaN"
	infinity    = "Infinity"
	negInfinity = "-Infinity"
)

// appendFloat appends a number as encoding/json and JavaScript write it: with an exponent only if it is very small or large.
func appendFloat(dst []byte, f float64, bits int) []byte {
	var special string
	switch {
	case math.IsNaN(f):
		special = nan
	case math.IsInf(f, 1):
		special = infinity
	case math.IsInf(f, -1):
		special = negInfinity
	}
	if special != "" {
		dst = append(dst, '"')
		dst = append(dst, special...)
		return append(dst, '"')
	}
	abs := math.Abs(f)
	// Compared in the precision of the number: float32(1e-6) is a little less than 1e-6.
	if abs == 0 || bits == 64 && abs >= 1e-6 && abs < 1e21 || bits == 32 && float32(abs) >= 1e-6 && float32(abs) < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is written e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

const hex = "0123456789abcdef"

// appendText appends the text in b as a string. Control characters are escaped, those above 0x7f too: the result may end up
// on a terminal.
func appendText(dst, b []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(b); {
		c := b[i]
		if c == 0 {
			break
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(b[i:])
			if r <= 0x9f || r == '\u2028' || r == '\u2029' { // the last two are line ends in JavaScript
				dst = append(dst, '\\', 'u', hex[r>>12], hex[r>>8&15], hex[r>>4&15], hex[r&15])
			} else {
				dst = utf8.AppendRune(dst, r)
			}
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
		i++
	}
	return append(dst, '"')
}
