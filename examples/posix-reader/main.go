// Posix-reader prints the message that posix-writer, or its C original, has put into a POSIX shared memory object. The
// careful way is -unlink, if the writer has been killed and nobody else will remove the name.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/seed-247006a4/shoal/posix"
)

func main() {
	unlink := flag.Bool("unlink", false, "remove the object's name when it has been read")
	flag.Parse()

	f, err := posix.ShmOpen("/my_shm", os.O_RDONLY, 0)
	check(err)
	info, err := f.Stat() // a writer may not have come to ftruncate: touching the memory would be SIGBUS
	check(err)
	b, err := posix.Mmap(f, 0, int(info.Size()), posix.ProtRead)
	check(err)
	text, _, _ := bytes.Cut(b, []byte{0})
	fmt.Printf("Message read from shared memory: %s\n", text)
	check(posix.Munmap(b))
	if *unlink {
		check(posix.ShmUnlink("/my_shm"))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
