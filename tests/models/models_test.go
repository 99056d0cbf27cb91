// Package models checks the protocols of Shoal, as small Promela models, with the
// model checker spin: every interleaving, with deaths.
package models

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// check explores all states of a model, with macros (-DNAME) defined, and returns
// how many errors there are, 0 or 1, and what the checker says.
func check(t *testing.T, model string, macros ...string) (errors string, report string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the models are the same everywhere: checked on Linux")
	}
	for _, program := range []string{"spin", "cc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run scripts/setup, or: apt-get install spin gcc libc6-dev", err)
		}
	}
	source, err := filepath.Abs(model)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
		}
		return string(out)
	}
	run("spin", append(macros, "-a", source)...)
	// Safety: assertions and invalid end states.
	options := []string{"-O2", "-w", "-DSAFETY", "-DMEMLIM=1024", "-o", "pan", "pan.c"}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "timeout") { // which the reduction of states does not respect
		options = append(options, "-DNOREDUCE")
	}
	run("cc", options...)
	report = run(filepath.Join(dir, "pan"), "-m100000")
	found := regexp.MustCompile(`errors: (\d+)`).FindStringSubmatch(report)
	if found == nil || strings.Contains(report, "max search depth too small") || strings.Contains(report, "Search not completed") && found[1] == "0" {
		t.Fatalf("not all states were explored:\n%s", report)
	}
	return found[1], report
}

// states finds how many states the checker has seen.
var states = regexp.MustCompile(`\d+ states, stored`)

func TestEventCount(t *testing.T) {
	for _, deaths := range []string{"0", "1", "2"} {
		t.Run("deaths="+deaths, func(t *testing.T) {
			errors, report := check(t, "eventcount.pml", "-DDEATHS="+deaths)
			if errors != "0" {
				t.Errorf("%s", report)
			}
			t.Log(states.FindString(report))
		})
	}
}

// The model can fail: each of the faults that it can be given is found.
func TestEventCountFaults(t *testing.T) {
	for _, fault := range []string{"BUG", "NOLOOK", "NOBOUND", "EARLY"} {
		t.Run(fault, func(t *testing.T) {
			errors, report := check(t, "eventcount.pml", "-D"+fault)
			if errors != "1" || !strings.Contains(report, "assertion violated") {
				t.Errorf("the fault was not found:\n%s", report)
			}
		})
	}
	// All but one need no death to lose a wake-up.
	for _, fault := range []string{"BUG", "NOLOOK", "EARLY"} {
		t.Run(fault+" without deaths", func(t *testing.T) {
			if errors, report := check(t, "eventcount.pml", "-DDEATHS=0", "-D"+fault); errors != "1" {
				t.Errorf("the fault was not found:\n%s", report)
			}
		})
	}
}
