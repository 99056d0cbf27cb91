package main

import (
	"strings"
	"testing"
)

// TestMatrix prints what a run has said that passes, fails, and leaves a pair out.
func TestMatrix(t *testing.T) {
	const run = `# a word of go itself
{"Action":"run","Test":"TestCases"}
{"Action":"run","Test":"TestCases/go,go"}
{"Action":"run","Test":"TestCases/go,go/ring:_ports"}
{"Action":"output","Test":"TestCases/go,go/ring:_ports","Output":"all is well\n"}
{"Action":"pass","Test":"TestCases/go,go/ring:_ports"}
{"Action":"pass","Test":"TestCases/go,go"}
{"Action":"run","Test":"TestCases/go,c"}
{"Action":"run","Test":"TestCases/go,c/ring:_ports"}
{"Action":"output","Test":"TestCases/go,c/ring:_ports","Output":"it answers \"torn\"\n"}
{"Action":"fail","Test":"TestCases/go,c/ring:_ports"}
{"Action":"fail","Test":"TestCases/go,c"}
{"Action":"fail","Test":"TestCases"}
{"Action":"run","Test":"TestKill/c,go"}
{"Action":"pass","Test":"TestKill/c,go"}
{"Action":"run","Test":"TestSchema"}
{"Action":"skip","Test":"TestSchema"}
{"Action":"fail"}
`
	const want = `# a word of go itself
it answers "torn"
                       go,go  go,c  c,go
TestCases/ring: ports  ok     FAIL  -
TestKill               -      -     ok

skip TestSchema

2 passed, 1 failed, in 3 pairs of languages
`
	var m matrix
	var got strings.Builder
	m.read(strings.NewReader(run), &got)
	m.print(&got)
	if got.String() != want || m.failed != 1 {
		t.Errorf("%d failed:\n%s\nwant:\n%s", m.failed, got.String(), want)
	}
}
