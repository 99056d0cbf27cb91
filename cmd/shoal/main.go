// Command shoal makes, reads, lists, explains and removes shared memory. See
// shoal --help.
package main

import (
	"os"

	"github.com/seed-247006a4/shoal/internal/bench"
	"github.com/seed-247006a4/shoal/internal/cli"
	"github.com/seed-247006a4/shoal/internal/demo"
)

func main() {
	demo.Role()  // does not return in a process that the demo started
	bench.Role() // nor does this in one that bench started
	os.Exit(cli.Main())
}
