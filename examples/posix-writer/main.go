// Posix-writer puts a message into a POSIX shared memory object, and removes its name at the end, as the classic C program
// with shm_open, ftruncate, mmap and shm_unlink does: its reader has to be quick. Careful is -exclusive -mode 0600 -hold.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/seed-247006a4/shoal/posix"
)

func main() {
	flags := os.O_CREATE | os.O_RDWR
	flag.BoolFunc("exclusive", "fail if the object exists already", func(string) error { flags |= os.O_EXCL; return nil })
	mode := flag.Uint("mode", 0o666, "permissions of a new object, such as 0600, less the umask")
	hold := flag.Bool("hold", false, "let readers in until Enter is pressed")
	flag.Parse()

	f, err := posix.ShmOpen("/my_shm", flags, os.FileMode(*mode))
	check(err)
	check(posix.Fallocate(f, 0, 1024)) // ftruncate would only promise the memory
	b, err := posix.Mmap(f, 0, 1024, posix.ProtRead|posix.ProtWrite)
	check(err)
	n := copy(b, "Hello, Shared Memory!\x00")
	fmt.Printf("Message written to shared memory: %s\n", b[:n-1])
	if *hold {
		fmt.Scanln()
	}
	check(posix.Munmap(b))
	check(posix.ShmUnlink("/my_shm"))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
