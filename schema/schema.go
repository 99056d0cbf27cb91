package schema

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
)

// Schema is the structural type of a message. It never changes, and may be used by any number of goroutines. The zero
// Schema is that of untyped bytes.
type Schema struct {
	root        *Type // nil: untyped
	text        string
	fingerprint uint64
}

// Bytes is the schema of untyped messages of any length: what [Of] returns for []byte, and [Parse] for the empty text.
var Bytes = new(Schema)

// newSchema makes the schema of a type that has been checked in all but what concerns the whole.
func newSchema(root *Type) (*Schema, error) {
	if root.Kind == Char {
		return nil, fmt.Errorf("char stands only in arrays")
	}
	s := &Schema{root: root, text: textOf(root)}
	if len(s.text) > MaxText {
		return nil, fmt.Errorf("the text has %d bytes; %d are allowed: shorten names of fields, or use fewer", len(s.text), MaxText)
	}
	s.fingerprint = hash(s.text)
	return s, nil
}

// hash is FNV-1a (Fowler, Noll, Vo), but never 0.
func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return max(h.Sum64(), 1)
}

// Untyped reports whether this is the schema of bytes without a type.
func (s *Schema) Untyped() bool { return s.root == nil }

// Type returns the type; nil if it is untyped. It must not be changed.
func (s *Schema) Type() *Type { return s.root }

// Size returns the size of every message in bytes; 0 if it is untyped, when each has its own.
func (s *Schema) Size() int {
	if s.root == nil {
		return 0
	}
	return s.root.Size
}

// Align returns the alignment of a message in bytes: 1, 2, 4 or 8; 1 if it is untyped.
func (s *Schema) Align() int {
	if s.root == nil {
		return 1
	}
	return s.root.Align
}

// Fingerprint returns the hash of the text, as the package comment defines it; 0 if it is untyped. Types with different
// fingerprints differ; to be certain that two are the same, compare their texts.
func (s *Schema) Fingerprint() uint64 { return s.fingerprint }

// String returns the text, in the grammar of the package comment; "" if it is untyped. [Parse] reads it.
func (s *Schema) String() string { return s.text }

// JSON describes the schema to programs, in one line: its fingerprint in hexadecimal, and its type as a tree of objects
// with the members that [Type] and [Field] have. The type of untyped bytes is null.
func (s *Schema) JSON() string {
	out, err := json.Marshal(struct {
		Fingerprint string `json:"fingerprint"`
		Type        *Type  `json:"type"`
	}{fmt.Sprintf("0x%016x", s.fingerprint), s.root})
	if err != nil {
		panic(err) // a tree of numbers and names
	}
	return string(out)
}
