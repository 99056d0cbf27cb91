package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// unsafeFile matches the names of files that may import unsafe: x_unsafe.go, x_unsafe_linux.go, x_unsafe_amd64_test.go.
var unsafeFile = regexp.MustCompile(`_unsafe(_(linux|unix|darwin|windows|other))?(_(amd64|arm64))?(_test)?\.go$`)

// checkUnsafe finds files that import unsafe elsewhere than the design allows, or without a comment on why.
func checkUnsafe(m *module) (wrong []string) {
	for _, p := range m.packages {
		home := slices.Contains([]string{"internal/mem", "internal/sys", "internal/layout"}, p.path)
		for _, f := range p.files {
			if home || !slices.Contains(f.imports(), "unsafe") {
				continue
			}
			if !unsafeFile.MatchString(f.path) {
				wrong = append(wrong, f.path+": imports unsafe: move that code to internal/mem, internal/sys or internal/layout, "+
					"or to a file named *_unsafe.go")
				continue
			}
			reason := slices.ContainsFunc(f.Comments, func(c *ast.CommentGroup) bool {
				return strings.Contains(strings.ToLower(c.Text()), "unsafe")
			})
			if !reason {
				wrong = append(wrong, f.path+": imports unsafe without a comment that says why it must")
			}
		}
	}
	return wrong
}

// checkFormat finds Go files that gofmt would change.
func checkFormat(m *module) (wrong []string) {
	for _, name := range m.files {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		source, err := m.read(name)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		formatted, err := format.Source(source)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
		} else if !bytes.Equal(source, formatted) {
			wrong = append(wrong, name+": not formatted: run gofmt -w "+name)
		}
	}
	return wrong
}

// checkPackageNames finds packages named for nothing in particular.
func checkPackageNames(m *module) (wrong []string) {
	vague := regexp.MustCompile(`^(.*util|.*utils|.*common|.*helpers?|.*managers?|misc|base)$`)
	for _, p := range m.packages {
		if vague.MatchString(p.name) {
			wrong = append(wrong, fmt.Sprintf("%s: a package is named for what it provides; %q says nothing", p.path, p.name))
		}
	}
	return wrong
}

// checkTestsOnly finds code, not tests, under tests/: what tests share between packages belongs to internal. A file that
// declares nothing may hold a package comment.
func checkTestsOnly(m *module) (wrong []string) {
	for _, p := range m.packages {
		if !match("tests/...", p.path) {
			continue
		}
		for _, f := range p.files {
			if !f.test && len(f.Decls) > 0 {
				wrong = append(wrong, f.path+": only tests stand under tests/")
			}
		}
	}
	return wrong
}

// checkDocs finds packages and exported names without a doc comment; in packages that others may import also exported
// fields and interface methods. A name declared once for each platform needs one comment.
func checkDocs(m *module) (wrong []string) {
	for _, p := range m.packages {
		// A package x_test speaks for x only where there is no other.
		external := !slices.ContainsFunc(p.files, func(f *file) bool { return !strings.HasSuffix(f.Name.Name, "_test") })
		documented := slices.ContainsFunc(p.files, func(f *file) bool {
			return f.Doc.Text() != "" && (external || !strings.HasSuffix(f.Name.Name, "_test"))
		})
		if !documented {
			wrong = append(wrong, fmt.Sprintf("%s: package %s has no package comment", p.path, p.name))
		}
		if p.name == "main" {
			continue
		}
		bare := make(map[string]token.Pos) // what has no comment so far, and where it is declared
		has := make(map[string]bool)
		note := func(name string, pos token.Pos, docs ...*ast.CommentGroup) {
			if slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d.Text() != "" }) {
				has[name] = true
			} else {
				bare[name] = pos
			}
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, d := range f.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					name := d.Name.Name
					if d.Recv != nil {
						receiver := receiverType(d)
						if !ast.IsExported(receiver) {
							continue
						}
						name = receiver + "." + name
					}
					if d.Name.IsExported() {
						note(name, d.Pos(), d.Doc)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						switch spec := spec.(type) {
						case *ast.ValueSpec:
							for _, name := range spec.Names {
								if name.IsExported() {
									note(name.Name, name.Pos(), d.Doc, spec.Doc, spec.Comment)
								}
							}
						case *ast.TypeSpec:
							if !spec.Name.IsExported() {
								continue
							}
							docs := []*ast.CommentGroup{spec.Doc, spec.Comment}
							if !d.Lparen.IsValid() {
								docs = append(docs, d.Doc)
							}
							note(spec.Name.Name, spec.Pos(), docs...)
							if p.library() {
								for name, field := range members(spec.Type) {
									note(spec.Name.Name+"."+name, field.Pos(), field.Doc, field.Comment)
								}
							}
						}
					}
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(bare)) {
			if !has[name] {
				wrong = append(wrong, fmt.Sprintf("%s: %s.%s has no doc comment", m.at(bare[name]), p.name, name))
			}
		}
	}
	return wrong
}

// receiverType returns the name of the type of which d is a method.
func receiverType(d *ast.FuncDecl) (name string) {
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" { // the first; type parameters follow it
			name = id.Name
		}
		return name == ""
	})
	return name
}

// members returns the exported fields and interface methods declared in a type, those of nested types included.
// Embedded ones are documented where they are declared.
func members(t ast.Expr) map[string]*ast.Field {
	found := make(map[string]*ast.Field)
	ast.Inspect(t, func(n ast.Node) bool {
		var fields *ast.FieldList
		switch n := n.(type) {
		case *ast.StructType:
			fields = n.Fields
		case *ast.InterfaceType:
			fields = n.Methods
		case *ast.FuncType:
			return false
		default:
			return true
		}
		for _, f := range fields.List {
			for _, name := range f.Names {
				if name.IsExported() {
					found[name.Name] = f
				}
			}
		}
		return true
	})
	return found
}

// checkExamples finds exported types of libraries that no runnable example shows. An example shows a type if its name
// has the type's (ExampleSegment, ExampleSegment_Grow) or its body uses the type: by name, or through a function that
// returns it, a constant or variable of it, or a field that holds it. It is runnable if it has an output to compare.
func checkExamples(m *module) (wrong []string) {
	for _, p := range m.packages {
		if !p.library() {
			continue
		}
		types := make(map[string]token.Pos)
		var tests []*ast.File
		for _, f := range p.files {
			if f.test {
				tests = append(tests, f.File)
				continue
			}
			for _, d := range f.Decls {
				if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.TYPE {
					for _, spec := range d.Specs {
						if spec := spec.(*ast.TypeSpec); spec.Name.IsExported() {
							types[spec.Name.Name] = spec.Pos()
						}
					}
				}
			}
		}
		shown := make(map[string]bool) // every name that an example uses
		for _, e := range doc.Examples(tests...) {
			if e.Output == "" && !e.EmptyOutput {
				continue
			}
			for _, part := range strings.Split(e.Name, "_") {
				shown[part] = true
			}
			names(e.Code, shown)
		}
		gives := givers(p)
		for _, name := range slices.Sorted(maps.Keys(types)) {
			if !shown[name] && !slices.ContainsFunc(gives[name], func(giver string) bool { return shown[giver] }) {
				wrong = append(wrong, fmt.Sprintf("%s: no runnable example shows %s.%s: write Example%s, or use it in another one",
					m.at(types[name]), p.name, name, name))
			}
		}
	}
	return wrong
}

// names adds every identifier in n to set.
func names(n ast.Node, set map[string]bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			set[id.Name] = true
		}
		return true
	})
}

// givers maps each type to the exported names of p that yield a value of it.
func givers(p *pkg) map[string][]string {
	gives := make(map[string][]string)
	give := func(giver *ast.Ident, types ...ast.Node) {
		if !giver.IsExported() {
			return
		}
		named := make(map[string]bool)
		for _, t := range types {
			names(t, named)
		}
		for t := range named {
			gives[t] = append(gives[t], giver.Name)
		}
	}
	for _, f := range p.files {
		if f.test {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Type.Results != nil {
					give(d.Name, d.Type.Results)
				}
			case *ast.GenDecl:
				var implied ast.Expr // the type of the constants that follow a typed one
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						if spec.Type != nil || len(spec.Values) > 0 {
							implied = spec.Type
						}
						for _, name := range spec.Names {
							if implied != nil {
								give(name, implied)
							}
						}
					case *ast.TypeSpec:
						if s, ok := spec.Type.(*ast.StructType); ok {
							for _, field := range s.Fields.List {
								for _, name := range field.Names {
									give(name, field.Type)
								}
							}
						}
					}
				}
			}
		}
	}
	return gives
}

// machinePath matches paths that exist on one machine only.
var machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9_./~-])/(home|root|work)/`)

// checkText finds, in all files under version control, traces of the machine on which they were written, and white
// space at the ends of lines.
func checkText(m *module) (wrong []string) {
	for _, name := range m.files {
		text, err := m.read(name)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
			continue // not text
		}
		line := 0
		for l := range bytes.Lines(text) {
			line++
			l = bytes.TrimSuffix(l, []byte("\n"))
			if path := machinePath.Find(l); path != nil {
				wrong = append(wrong, fmt.Sprintf("%s:%d: names a path of one machine: %s", name, line, path))
			}
			if len(bytes.TrimRight(l, " \t\r")) != len(l) {
				wrong = append(wrong, fmt.Sprintf("%s:%d: white space at the end of the line", name, line))
			}
		}
	}
	return wrong
}
