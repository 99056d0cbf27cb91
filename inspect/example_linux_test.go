package inspect_test

import (
	"fmt"
	"os"
	"time"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

// What exists, and what has become of it.
func ExampleTake() {
	seg, err := shm.Create("/shoal.example", 4096, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shm.Remove("/shoal.example")
	defer seg.Close()

	s, err := inspect.Take()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range s.Objects {
		if o.Address == "/shoal.example" {
			fmt.Println(o.Type, o.Size, o.State, len(o.Holders))
		}
	}
	// Output: memory 4096 in use 1
}

// A System V segment tells who made it, and whether that process lives.
func ExampleFind() {
	seg, err := shm.Create("sysv:0x51a1", 1024, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	seg.Close()
	defer shm.Remove("sysv:0x51a1")

	o, _, err := inspect.Find("sysv:0x51a1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(o.Creator.PID == os.Getpid(), o.Creator.Life, o.State)
	// Output: true alive idle
}

// Would gc take it, and why?
func ExampleJudge() {
	seg, err := shm.Create("/shoal.example", 1, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shm.Remove("/shoal.example")

	verdict := func(p inspect.Policy) inspect.Verdict {
		o, _, _ := inspect.Find("/shoal.example")
		return inspect.Judge(o, p)
	}
	fmt.Println("mapped: remove", verdict(inspect.Policy{Age: -1}).Remove)
	seg.Close()
	fmt.Println("unused: remove", verdict(inspect.Policy{Age: -1}).Remove)
	fmt.Println("too young:     ", verdict(inspect.Policy{Age: time.Hour}).Remove)
	// Output:
	// mapped: remove false
	// unused: remove true
	// too young:      false
}
