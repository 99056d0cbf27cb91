package archtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// goVersion is the oldest Go that users of the library may have. The language may move on; it takes them along only on
// purpose.
const goVersion = "1.25.0"

// checkGoMod finds what go.mod asks of users without need: a newer Go, a requirement that nothing imports or that is
// marked wrongly, and lines that make "go install module/cmd/x@version" fail.
func checkGoMod(m *module) (wrong []string) {
	text, err := command(m.dir, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return []string{err.Error()}
	}
	var mod struct {
		Go, Toolchain    string
		Require          []requirement
		Replace, Exclude []any
	}
	if err := json.Unmarshal([]byte(text), &mod); err != nil {
		return []string{err.Error()}
	}
	if mod.Go != goVersion {
		wrong = append(wrong, fmt.Sprintf("go.mod: go %s shuts out users of Go %s: put \"go %[2]s\" back, and take versions of dependencies "+
			"that go with it", mod.Go, goVersion))
	}
	if mod.Toolchain != "" {
		wrong = append(wrong, "go.mod: toolchain "+mod.Toolchain+" makes users download it: remove the line")
	}
	if len(mod.Replace) > 0 {
		wrong = append(wrong, "go.mod: replace makes go install fail, and does nothing for those who import this module")
	}
	if len(mod.Exclude) > 0 {
		wrong = append(wrong, "go.mod: exclude makes go install fail, and does nothing for those who import this module")
	}

	const tidy = ": run go mod tidy"
	user := make(map[string]string) // of each required module, a file that imports it
	missing := make(map[string]string)
	for _, p := range m.packages {
		for _, f := range p.files {
			for _, path := range f.imports() {
				if !foreign(m, path) {
					continue
				}
				if r := provider(mod.Require, path); r != nil {
					user[r.Path] = f.path
				} else {
					missing[path] = f.path
				}
			}
		}
	}
	slices.SortFunc(mod.Require, func(a, b requirement) int { return strings.Compare(a.Path, b.Path) })
	for _, r := range mod.Require {
		switch file := user[r.Path]; {
		case file == "" && !r.Indirect:
			wrong = append(wrong, fmt.Sprintf("go.mod: requires %s, which nothing imports%s", r.Path, tidy))
		case file != "" && r.Indirect:
			wrong = append(wrong, fmt.Sprintf("go.mod: requires %s as // indirect, and %s imports it%s", r.Path, file, tidy))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(missing)) {
		wrong = append(wrong, fmt.Sprintf("go.mod: does not require a module for %s, which %s imports%s", path, missing[path], tidy))
	}
	return wrong
}

// A requirement is one require line of go.mod.
type requirement struct {
	Path     string
	Indirect bool
}

// provider returns the requirement whose module holds the package path, the one with the longest name if there are
// several; nil if there is none.
func provider(required []requirement, path string) (found *requirement) {
	for i, r := range required {
		if (path == r.Path || strings.HasPrefix(path, r.Path+"/")) && (found == nil || len(r.Path) > len(found.Path)) {
			found = &required[i]
		}
	}
	return found
}

// foreign reports whether an import is neither of the standard library nor of m.
func foreign(m *module, path string) bool {
	host, _, _ := strings.Cut(path, "/")
	return strings.Contains(host, ".") && path != m.path && !strings.HasPrefix(path, m.path+"/")
}
