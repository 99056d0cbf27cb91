// Testrun runs go test and reports so that nothing is skipped in silence.
//
// Usage:
//
//	testrun [NAME=VALUE...] [-C DIR] GO-TEST-ARGUMENT... [-- [NAME=VALUE...] [-C DIR] GO-TEST-ARGUMENT...]...
//
// It calls go test once for each group of arguments, with the given environment added, in the directory of another module if
// there is one. It prints one line for each
// package as it ends, the output of failing tests in full, and whatever a passing test binary said outside its tests.
// At the end come the packages without tests, every skipped test with its reason, and as the last line
//
//	N passed, N failed, N skipped
//
// A test with subtests counts by its subtests. The exit code is 0 if nothing has failed, 1 if something has, 2 if there
// was nothing to run.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

func main() {
	r := &report{out: os.Stdout}
	for pass := range split(os.Args[1:], "--") {
		r.run(pass)
	}
	r.summary()
	switch {
	case r.failed > 0:
		os.Exit(1)
	case r.passed+r.skipped == 0:
		os.Exit(2)
	}
}

// split yields the parts of args between separators.
func split(args []string, separator string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for {
			i := slices.Index(args, separator)
			if i < 0 {
				yield(args)
				return
			}
			if !yield(args[:i]) {
				return
			}
			args = args[i+1:]
		}
	}
}

// An event is one line of go test -json.
type event struct {
	Action      string  // run, output, pass, fail, skip and others; build-output, build-fail
	Package     string  // of the test
	ImportPath  string  // of what is being built
	Test        string  // empty for what concerns the whole package
	Output      string  // one line, or part of one
	Elapsed     float64 // in seconds
	FailedBuild string  // the ImportPath that could not be built
}

// A report collects results and prints them.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	skips                   []string // "package Test: reason", one a line
	untested                []string // packages without tests
}

// A result is what is known of a package whose tests are running.
type result struct {
	output  []event           // all that was said
	verdict map[string]string // by test: run, pass, fail or skip
	parent  map[string]bool   // tests with subtests
	blamed  map[string]bool   // tests with a failed subtest; "" stands for the package
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// run calls go test with the arguments of one pass.
func (r *report) run(args []string) {
	var env []string
	for len(args) > 0 && assignment.MatchString(args[0]) {
		env, args = append(env, args[0]), args[1:]
	}
	fmt.Fprintf(r.out, "# %s\n", strings.Join(slices.Concat(env, []string{"go test"}, args), " "))
	call := []string{"test"}
	if len(args) > 1 && args[0] == "-C" { // the go command wants it first
		call, args = append(call, args[:2]...), args[2:]
	}
	cmd := exec.Command("go", slices.Concat(call, []string{"-json"}, args)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.fail("%v", err)
		return
	}
	before := r.failed
	label := ""
	if slices.Contains(args, "-race") {
		label = " (with -race)"
	}
	r.read(stdout, label)
	if err := cmd.Wait(); err != nil && r.failed == before {
		r.fail("go test: %v", err)
	}
}

// fail reports and counts a failure of no test in particular.
func (r *report) fail(format string, args ...any) {
	fmt.Fprintf(r.out, "FAIL\t"+format+"\n", args...)
	r.failed++
}

// read reports the events of one go test. The label is put behind the names of skipped tests.
func (r *report) read(events io.Reader, label string) {
	running := make(map[string]*result) // by package
	builds := make(map[string]string)   // compiler output, by import path
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				r.out.Write(line) // not ours, but somebody wanted it to be read
			} else if e.ImportPath != "" {
				builds[e.ImportPath] += e.Output
			} else {
				r.event(e, running, builds, label)
			}
		}
		if err != nil {
			break
		}
	}
	for name := range running {
		r.fail("%s: go test ended before its result", name)
	}
}

func (r *report) event(e event, running map[string]*result, builds map[string]string, label string) {
	p := running[e.Package]
	if p == nil {
		p = &result{verdict: make(map[string]string), parent: make(map[string]bool), blamed: make(map[string]bool)}
		running[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.verdict[e.Test] = "run"
		if up := parent(e.Test); up != "" {
			p.parent[up] = true
		}
	case "output":
		p.output = append(p.output, e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			delete(running, e.Package)
			r.finish(e, p, builds)
			return
		}
		p.verdict[e.Test] = e.Action
		up := parent(e.Test)
		switch {
		case e.Action == "fail":
			p.blamed[up] = true
			if !p.blamed[e.Test] {
				r.failed++
			}
		case e.Action == "skip":
			r.skipped++
			r.skips = append(r.skips, fmt.Sprintf("%s %s%s: %s", e.Package, e.Test, label, p.reason(e.Test)))
		case !p.parent[e.Test]:
			r.passed++
		}
	}
}

// finish reports a package of which the last event is e.
func (r *report) finish(e event, p *result, builds map[string]string) {
	if e.Action == "skip" && len(p.verdict) == 0 {
		r.untested = append(r.untested, e.Package)
		return
	}
	if e.Action == "fail" {
		if len(p.blamed) == 0 {
			r.failed++ // it does not build, or ended before its tests did, or left something behind
		}
		io.WriteString(r.out, builds[e.FailedBuild])
	}
	for _, o := range p.output {
		verdict := p.verdict[o.Test]
		switch {
		case e.Action == "fail" && verdict != "pass" && verdict != "skip",
			o.Test == "" && !ceremony.MatchString(o.Output):
			io.WriteString(r.out, o.Output)
		}
	}
	if e.Action != "fail" {
		fmt.Fprintf(r.out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	}
}

// ceremony matches what every test binary says, beside its tests, when all is well.
var ceremony = regexp.MustCompile(`^(PASS|ok  \t|\?   \t|coverage: |testing: warning: no tests to run|goos: |goarch: |pkg: |cpu: |\s*$)`)

// frame matches what the testing package says about a test, as opposed to what the test itself says.
var frame = regexp.MustCompile(`^\s*(=== |--- )`)

// position matches the place in the source that precedes a logged text.
var position = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason returns what a test said before it was skipped.
func (p *result) reason(test string) string {
	var text strings.Builder
	for _, o := range p.output {
		if o.Test == test && !frame.MatchString(o.Output) {
			text.WriteString(position.ReplaceAllString(o.Output, ""))
		}
	}
	if said := strings.Join(strings.Fields(text.String()), " "); said != "" {
		return said
	}
	return "no reason given"
}

// parent returns the test of which test is a subtest, or "".
func parent(test string) string {
	if i := strings.LastIndexByte(test, '/'); i >= 0 {
		return test[:i]
	}
	return ""
}

// summary prints what must not be overlooked.
func (r *report) summary() {
	slices.Sort(r.untested)
	if untested := slices.Compact(r.untested); len(untested) > 0 {
		fmt.Fprintf(r.out, "no tests in:\n\t%s\n", strings.Join(untested, "\n\t"))
	}
	if len(r.skips) > 0 {
		fmt.Fprintf(r.out, "skipped:\n\t%s\n", strings.Join(r.skips, "\n\t"))
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}
