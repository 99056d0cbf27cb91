// Package archtest holds the house's taste as tests: which package may import which (floors_test.go), what the module may
// ask of its users (gomod_test.go), where unsafe may stand, what must be formatted, documented and shown by an example
// (source_test.go), what staticcheck, vet and the compilers of other platforms must accept (tools_test.go).
//
// Every check is a function that takes a module and returns what it found wrong, one line each. TestHouse applies all of
// them to this module; TestChecksCanFail shows each of them a module that breaks its rule.
package archtest
