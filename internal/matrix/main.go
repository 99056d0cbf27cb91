// Matrix runs the tests of package conformance and prints which pairs of languages have passed which case.
//
// Usage:
//
//	matrix [GO-TEST-ARGUMENT...]
//
// A column is a pair, the one who begins first: the writer, or who dies. A row is a case; "-" means that it is not for
// that pair. Below come the tests that are for no pair. What failing tests say is printed in full. The exit code is 1
// if anything has failed.
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
	args := append([]string{"test", "-json", "-count=1", "./tests/conformance"}, os.Args[1:]...)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
	var m matrix
	m.read(out, os.Stdout)
	err = cmd.Wait()
	m.print(os.Stdout)
	if err != nil || m.failed > 0 || len(m.rows) == 0 {
		os.Exit(1)
	}
}

// matrix is the results.
type matrix struct {
	pairs          []string // in the order in which they appear
	rows           []*row
	alone          []string // lines for tests of no pair
	passed, failed int
}

// row is a case, with a result for each pair.
type row struct {
	name    string
	results map[string]string
}

// event is one line of go test -json.
type event struct {
	Action, Test, Output string
}

var pair = regexp.MustCompile(`^[a-z+]+,[a-z+]+$`)

// words are those for how a test has ended.
var words = map[string]string{"pass": "ok", "fail": "FAIL", "skip": "skip"}

// read takes the output of go test -json. What failing tests have said goes to out.
func (m *matrix) read(from io.Reader, out io.Writer) {
	said := map[string]string{} // by test
	parents := map[string]bool{}
	in := bufio.NewReader(from)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var e event
		if json.Unmarshal([]byte(line), &e) != nil {
			fmt.Fprint(out, line) // of go itself
			continue
		}
		switch e.Action {
		case "run":
			for i, c := range e.Test {
				if c == '/' {
					parents[e.Test[:i]] = true
				}
			}
		case "output", "build-output":
			said[e.Test] += e.Output
		case "pass", "fail", "skip":
			if e.Action == "fail" {
				fmt.Fprint(out, said[e.Test])
			}
			if e.Test != "" && !parents[e.Test] {
				m.add(e.Test, words[e.Action])
			}
			delete(said, e.Test)
		}
	}
}

// add notes how a test without subtests has ended.
func (m *matrix) add(test, result string) {
	switch result {
	case "ok":
		m.passed++
	case "FAIL":
		m.failed++
	}
	parts := strings.Split(test, "/")
	at := slices.IndexFunc(parts, pair.MatchString)
	if at < 0 {
		m.alone = append(m.alone, fmt.Sprintf("%-4s %s", result, test))
		return
	}
	p := parts[at]
	name := strings.ReplaceAll(strings.Join(slices.Delete(parts, at, at+1), "/"), "_", " ")
	if !slices.Contains(m.pairs, p) {
		m.pairs = append(m.pairs, p)
	}
	i := slices.IndexFunc(m.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		i = len(m.rows)
		m.rows = append(m.rows, &row{name, map[string]string{}})
	}
	m.rows[i].results[p] = result
}

func (m *matrix) print(out io.Writer) {
	width := 0
	for _, r := range m.rows {
		width = max(width, len(r.name))
	}
	line := func(name string, cell func(pair string) string) {
		s := fmt.Sprintf("%-*s", width, name)
		for _, p := range m.pairs {
			s += fmt.Sprintf("  %-*s", max(len(p), len("FAIL")), cell(p))
		}
		fmt.Fprintln(out, strings.TrimRight(s, " "))
	}
	line("", func(pair string) string { return pair })
	for _, r := range m.rows {
		line(r.name, func(pair string) string {
			if result := r.results[pair]; result != "" {
				return result
			}
			return "-"
		})
	}
	if len(m.alone) > 0 {
		fmt.Fprintln(out)
	}
	for _, line := range m.alone {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, in %d pairs of languages\n", m.passed, m.failed, len(m.pairs))
}
