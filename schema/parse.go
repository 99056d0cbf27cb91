package schema

import (
	"fmt"
	"strings"
)

// Parse reads a text. It accepts exactly what [Schema.String] returns: for the schema that it makes, String returns the
// same text. The empty text is that of [Bytes].
//
// The text may come from anybody: whatever it is, Parse takes time and memory in proportion to its length, and refuses one
// longer than [MaxText] unread. Its errors name the line and what was expected.
func Parse(text string) (*Schema, error) {
	if text == "" {
		return Bytes, nil
	}
	if len(text) > MaxText {
		return nil, fmt.Errorf("schema: the text has %d bytes; %d are allowed", len(text), MaxText)
	}
	p := &parser{rest: text, line: 1}
	root, err := p.schema()
	if err != nil {
		return nil, fmt.Errorf("schema: line %d of the text: %w", p.line, err)
	}
	s, err := newSchema(root)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return s, nil
}

// A parser reads a text from its front.
type parser struct {
	rest string
	line int // where rest begins
}

// schema reads the production Schema.
func (p *parser) schema() (*Type, error) {
	if err := p.word(version); err != nil {
		if strings.HasPrefix(p.rest, "shoal schema ") {
			return nil, fmt.Errorf("%w; a newer version of shoal may read it", err)
		}
		return nil, err
	}
	t, err := p.typ(0, 0)
	if err != nil {
		return nil, err
	}
	if err := p.word("\n"); err != nil {
		return nil, err
	}
	if p.rest != "" {
		return nil, p.expected("the end")
	}
	return t, nil
}

// typ reads the production Type: structs stand around it, depth arrays and structs together.
func (p *parser) typ(structs, depth int) (*Type, error) {
	var counts []int
	for p.skip("[") {
		n, err := p.number()
		if err != nil {
			return nil, err
		}
		if err := p.word("]"); err != nil {
			return nil, err
		}
		if depth++; depth > maxDepth {
			return nil, errDeep
		}
		counts = append(counts, n)
	}
	t, err := p.element(structs, depth)
	if err != nil {
		return nil, err
	}
	for len(counts) > 0 {
		last := len(counts) - 1
		if t, err = arrayOf(counts[last], t); err != nil {
			return nil, err
		}
		counts = counts[:last]
	}
	return t, nil
}

// element reads the productions Kind and Struct.
func (p *parser) element(structs, depth int) (*Type, error) {
	if p.skip("struct") {
		if depth++; depth > maxDepth {
			return nil, errDeep
		}
		return p.structure(structs, depth)
	}
	n := 0
	for n < len(p.rest) && isNameByte(p.rest[n], n == 0) {
		n++
	}
	kind, ok := plain[p.rest[:n]]
	if !ok {
		return nil, p.expected("a type")
	}
	p.rest = p.rest[n:]
	return &kinds[kind].plain, nil
}

// structure reads the production Struct from behind its first word. It counts itself in depth, not in structs.
func (p *parser) structure(structs, depth int) (*Type, error) {
	if err := p.word(" size "); err != nil {
		return nil, err
	}
	size, err := p.number()
	if err != nil {
		return nil, err
	}
	if err := p.word(" align "); err != nil {
		return nil, err
	}
	align, err := p.number()
	if err != nil {
		return nil, err
	}
	if err := p.word(" {\n"); err != nil {
		return nil, err
	}
	var fields []Field
	for indent := strings.Repeat("\t", structs+1); p.skip(indent); {
		f, err := p.field(structs+1, depth)
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	if err := p.word(strings.Repeat("\t", structs) + "}"); err != nil {
		return nil, err
	}
	return structOf(size, align, fields)
}

// field reads the production Field from behind its indent.
func (p *parser) field(structs, depth int) (f Field, err error) {
	if f.Offset, err = p.number(); err != nil {
		return f, err
	}
	if err := p.word(" "); err != nil {
		return f, err
	}
	n := 0
	for n < len(p.rest) && isNameByte(p.rest[n], n == 0) {
		n++
	}
	f.Name = p.rest[:n]
	if n == 0 {
		return f, p.expected("a name")
	}
	if err := checkName(f.Name); err != nil {
		return f, err
	}
	p.rest = p.rest[n:]
	if err := p.word(" "); err != nil {
		return f, err
	}
	if f.Type, err = p.typ(structs, depth); err != nil {
		return f, err
	}
	return f, p.word("\n")
}

// number reads the production Number, of at most MaxSize.
func (p *parser) number() (int, error) {
	n, digits := 0, 0
	for ; digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9'; digits++ {
		d := int(p.rest[digits] - '0')
		if n > (MaxSize-d)/10 {
			return 0, p.expected(fmt.Sprintf("a number of at most %d", MaxSize))
		}
		n = n*10 + d
	}
	if digits == 0 || digits > 1 && p.rest[0] == '0' {
		return 0, p.expected("a number")
	}
	p.rest = p.rest[digits:]
	return n, nil
}

// word reads exactly want.
func (p *parser) word(want string) error {
	if !p.skip(want) {
		return p.expected(fmt.Sprintf("%q", want))
	}
	return nil
}

// skip reads want if it is there.
func (p *parser) skip(want string) bool {
	rest, found := strings.CutPrefix(p.rest, want)
	if found {
		p.rest = rest
		p.line += strings.Count(want, "\n")
	}
	return found
}

// expected is the error of finding something else.
func (p *parser) expected(what string) error {
	if p.rest == "" {
		return fmt.Errorf("want %s, found the end", what)
	}
	return fmt.Errorf("want %s, found %q", what, p.rest[:min(len(p.rest), 24)])
}
