// Sysv-writer puts a message into a System V segment and leaves it there: the classic C program with shmget, shmat,
// strcpy and shmdt. The careful way is -exclusive -mode 0600: nobody else's segment, and nobody else in it.
package main

import (
	"flag"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/sysv"
)

func main() {
	flags := sysv.Create
	flag.BoolFunc("exclusive", "fail if the key has a segment already", func(string) error { flags |= sysv.Exclusive; return nil })
	mode := flag.Uint("mode", 0o666, "permissions of a new segment, such as 0600")
	flag.Parse()
	if *mode > 0o777 {
		log.Fatalf("mode %#o has more than permission bits: write it in octal, 0600", *mode)
	}

	id, err := sysv.ShmGet(0x1234, 1024, flags|sysv.Flag(*mode))
	check(err)
	b, err := sysv.ShmAt(id, 0, 0)
	check(err)
	n := copy(b, "Hello, Shared Memory!\x00")
	fmt.Printf("Data written to shared memory: %s\n", b[:n-1])
	check(sysv.ShmDt(b))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
