package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// floors are the packages of the house from the ground up. A package may import those on floors below its own, and no
// others. "name/..." stands for name and all packages under it, as in Go's own tools.
//
// The list names rooms that are still to be built, too: the order was there first. If it seems to need a new edge, it is
// the code that is in the wrong place.
var floors = [][]string{
	{"internal/crash"},
	{"internal/mem"},
	{"internal/layout", "internal/sys", "schema"},
	{"internal/keeper", "internal/park"},
	{"sysv", "posix"},
	{"shm"},
	{"internal/member"},
	{"internal/object"},
	{"internal/lane", "internal/port"},
	{"pshared"},
	{"ring", "topic", "queue", "cell", "table", "blob"},
	{"stream", "rpc"},
	{"inspect", "record", "bridge"},
	{"internal/demo", "internal/bench"},
	{"internal/cli", "internal/monitor", "shmtest"},
	{"cmd/...", "examples/...", "tests/...", "internal/isolate", "internal/rerun", "internal/pyext", "internal/archtest", "internal/matrix", "internal/testrun"},
}

// neighbours are the imports that are allowed on one floor.
var neighbours = map[string][]string{
	"internal/cli": {"internal/monitor"}, // the monitor is one of the commands
}

// dependencies are the modules, beside golang.org/x/sys, that code other than tests may import, by package.
// "..." stands for any module.
var dependencies = map[string][]string{
	"record":           {"..."},
	"bridge":           {"..."},
	"internal/cli":     {"..."},
	"internal/monitor": {"..."},
	"cmd/...":          {"..."},
	"internal/isolate": {"go.uber.org/goleak"}, // itself for tests only
}

// match reports whether pattern, as it stands in the tables above, covers the package path.
func match(pattern, path string) bool {
	prefix, wild := strings.CutSuffix(pattern, "/...")
	return pattern == "..." || path == prefix || wild && strings.HasPrefix(path, prefix+"/")
}

// floor returns the floor of a package, or -1.
func floor(path string) int {
	return slices.IndexFunc(floors, func(floor []string) bool {
		return slices.ContainsFunc(floor, func(pattern string) bool { return match(pattern, path) })
	})
}

// checkFloors finds packages without a floor and imports that go up or sideways. Tests may import what they like.
func checkFloors(m *module) (wrong []string) {
	for _, p := range m.packages {
		level := floor(p.path)
		if level < 0 {
			wrong = append(wrong, fmt.Sprintf("package %s/%s has no floor: add %q to floors in internal/archtest/floors_test.go, "+
				"above all that it imports and below all that imports it", m.path, p.path, p.path))
			continue
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, path := range f.imports() {
				path, ours := strings.CutPrefix(path, m.path+"/")
				if !ours || floor(path) < level || slices.Contains(neighbours[p.path], path) {
					continue
				}
				wrong = append(wrong, fmt.Sprintf("%s: %s (floor %d) imports %s (floor %d): imports go down only",
					f.path, p.path, level, path, floor(path)))
			}
		}
	}
	return wrong
}

// checkDependencies finds code, tests aside, that imports what its package may not ask of its users: a foreign module, or cgo.
func checkDependencies(m *module) (wrong []string) {
	for _, p := range m.packages {
		allowed := []string{"golang.org/x/sys/..."}
		for pattern, modules := range dependencies {
			if match(pattern, p.path) {
				allowed = append(allowed, modules...)
			}
		}
		for _, f := range p.files {
			for _, path := range f.imports() {
				if path == "C" {
					wrong = append(wrong, fmt.Sprintf("%s: imports C: this module is pure Go", f.path))
				}
				if f.test || !foreign(m, path) {
					continue
				}
				if !slices.ContainsFunc(allowed, func(pattern string) bool { return match(pattern, path) }) {
					wrong = append(wrong, fmt.Sprintf("%s: imports %s: %s depends on the standard library and golang.org/x/sys alone "+
						"(dependencies in internal/archtest/floors_test.go)", f.path, path, p.path))
				}
			}
		}
	}
	return wrong
}
