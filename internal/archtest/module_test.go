package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A module is the source that checks look at.
type module struct {
	dir      string // where go.mod stands
	path     string // the module path
	fset     *token.FileSet
	packages []*pkg
	files    []string // every file under version control, relative to dir
}

// A pkg is one directory of a module with all its Go files, whatever platform they are for.
type pkg struct {
	path  string // relative to the module's path; "" for the root
	name  string
	files []*file
}

// A file is one Go file.
type file struct {
	*ast.File
	path string // relative to the module's directory
	test bool   // *_test.go
}

func (p *pkg) internal() bool { return slices.Contains(strings.Split(p.path, "/"), "internal") }

// library reports whether programs outside this module may import p.
func (p *pkg) library() bool { return !p.internal() && p.name != "main" }

// imports returns the paths that f imports.
func (f *file) imports() (paths []string) {
	for _, spec := range f.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "`\""))
	}
	return paths
}

// load reads the module in dir.
func load(t *testing.T, dir string) *module {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	path, err := command(dir, nil, "go", "list", "-m")
	if err != nil {
		t.Fatal(err)
	}
	m := &module{dir: dir, path: strings.TrimSpace(path), fset: token.NewFileSet()}
	// With cgo, or packages that use it would be left out.
	list, err := command(dir, []string{"CGO_ENABLED=1"}, "go", "list", "-e",
		"-json=ImportPath,Name,Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(list)); ; {
		var p struct {
			ImportPath, Name, Dir                                        string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, m.path), "/")
		found := &pkg{path: path, name: p.Name}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
			rel := filepath.Join(filepath.FromSlash(path), name)
			source, err := parser.ParseFile(m.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if found.name == "" { // only tests
				found.name = strings.TrimSuffix(source.Name.Name, "_test")
			}
			if source.Name.Name == "main" && found.name != "main" {
				continue // a generator, behind a build tag
			}
			found.files = append(found.files, &file{File: source, path: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go")})
		}
		m.packages = append(m.packages, found)
	}
	m.files, err = versioned(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// versioned lists the files under dir that are, or would be, under version control.
func versioned(dir string) (files []string, err error) {
	out, err := command(dir, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err == nil {
		for _, name := range strings.Split(strings.TrimSuffix(out, "\x00"), "\x00") {
			// Deleted but not yet committed files are listed too, and so are links and submodules.
			if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
				files = append(files, name)
			}
		}
		return files, nil
	}
	// Not a repository: an unpacked archive.
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	return files, err
}

// read returns the contents of a file of m.
func (m *module) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(name)))
}

// at returns where in the module pos is.
func (m *module) at(pos token.Pos) string {
	p := m.fset.Position(pos)
	rel, err := filepath.Rel(m.dir, p.Filename)
	if err != nil {
		rel = p.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(rel), p.Line)
}

// command runs a program in dir, without cgo, and returns its standard output. Its error holds what the program said.
func command(dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if said := strings.TrimSpace(stdout.String() + stderr.String()); errors.As(err, &exit) && said != "" {
			return "", errors.New(said)
		}
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return stdout.String(), nil
}
