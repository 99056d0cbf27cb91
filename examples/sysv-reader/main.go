// Sysv-reader prints the message that sysv-writer, or its C original, has left in a System V segment. The careful way is
// -remove: a segment stays until somebody removes it, and after the reader nobody needs this one.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/sysv"
)

func main() {
	remove := flag.Bool("remove", false, "remove the segment when it has been read")
	flag.Parse()

	id, err := sysv.ShmGet(0x1234, 1024, 0o400)
	check(err)
	b, err := sysv.ShmAt(id, 0, sysv.ReadOnly)
	check(err)
	text, _, _ := bytes.Cut(b, []byte{0})
	fmt.Printf("Data read from shared memory: %s\n", text)
	check(sysv.ShmDt(b))
	if *remove {
		check(id.Remove())
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
