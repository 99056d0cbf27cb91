// Package rerun starts a test binary again, as another process that plays a role in the test. It is test support: only
// _test.go files import it.
//
// The roles are a table, filled by the files that need them. TestMain plays the one that this process was started for,
// if any, and runs the tests otherwise:
//
//	var roles = rerun.Roles{}
//
//	func init() {
//		roles["hold"] = func(args []string) {
//			mu, err := pshared.OpenMutex(args[0])
//			rerun.Check(err)
//			rerun.Check(mu.Lock())
//			rerun.Say("held")
//			rerun.Hear() // until the test kills it, or ends
//		}
//	}
//
//	func TestMain(m *testing.M) {
//		roles.Play()
//		isolate.Main(m)
//	}
//
// A test talks with it by lines, through the standard input and output of the role (on Linux):
//
//	p := rerun.Start(t, "hold", name)
//	p.Expect("held")
//	p.Kill()
//
// Roles live in the namespaces of the test that started them (package isolate), write errors to its standard error and
// are killed at its end.
package rerun

import (
	"bufio"
	"fmt"
	"os"
)

// variable is the environment variable that tells a test binary its role.
const variable = "SHOAL_TEST_ROLE"

// Roles are the parts that a test binary can play, by name. A role gets the arguments of [Start]. Its process ends, with
// exit code 0, when it returns.
//
// A role that has nothing to do but to be there calls [Hear], and does not block in a select without cases, for which the
// runtime may end the process. A process that a role starts must not keep the role's standard output: [Process.Kill] waits
// until nobody has it any more.
type Roles map[string]func(args []string)

// Play plays the role that this process was started for and exits. It returns if this process is to run tests. TestMain
// calls it first: a role needs no namespaces of its own and leaves things behind on purpose.
func (r Roles) Play() {
	name, is := os.LookupEnv(variable)
	if !is {
		return
	}
	os.Unsetenv(variable) // what a role starts has no role
	role := r[name]
	if role == nil {
		fmt.Fprintf(os.Stderr, "rerun: this test binary has no role %q\n", name)
		os.Exit(2)
	}
	role(os.Args[1:])
	os.Exit(0)
}

// Say is for roles: it writes a line to the test, its operands set apart by spaces.
func Say(line ...any) { fmt.Println(line...) }

// input is what the test says.
var input = bufio.NewReader(os.Stdin)

// Hear is for roles: it waits for the next line of the test and returns it. When the test has nothing more to say
// ([Process.Wait]), or is over, the process ends with exit code 0. One goroutine at a time may call it.
func Hear() string {
	line, err := input.ReadString('\n')
	if err != nil {
		os.Exit(0)
	}
	return line[:len(line)-1]
}

// Check is for roles: it ends the process with exit code 1 if there is an error, which it writes to standard error.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "role:", err)
		os.Exit(1)
	}
}
