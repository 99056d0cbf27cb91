//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"syscall"

	"github.com/seed-247006a4/shoal/shm"
)

// Two segments of one object are the same memory. Here they are in one process;
// in two it is no different.
func Example() {
	writer, err := shm.Create("/ticks", 1<<20, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer shm.Remove("/ticks") // objects stay until somebody removes them
	defer writer.Close()
	n := copy(writer.Bytes(), "Hello, Shared Memory!")

	reader, err := shm.Open("/ticks", &shm.Options{ReadOnly: true})
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	fmt.Printf("%s\n%v\n", reader.Bytes()[:n], reader)
	// Output:
	// Hello, Shared Memory!
	// /ticks (1 MiB)
}

// Whoever comes first creates.
func ExampleOpenOrCreate() {
	defer shm.Remove("/counter")
	for range 2 {
		seg, created, err := shm.OpenOrCreate("/counter", 8, nil)
		if err != nil {
			log.Fatal(err)
		}
		seg.Bytes()[0]++
		fmt.Println("created:", created, "count:", seg.Bytes()[0])
		seg.Close()
	}
	// Output:
	// created: true count: 1
	// created: false count: 2
}

// A segment for the group, too, whatever the umask, with every page in place
// before the first access.
func ExampleOptions() {
	seg, err := shm.Create("sysv:0x1234", 1024, &shm.Options{
		Mode:     0o660,
		Populate: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()

	info, err := seg.Stat()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Address, info.Size, info.Mode)
	// Output: sysv:0x1234 1024 -rw-rw----
}

// A borrowed view stays mapped though another goroutine closes the segment
// meanwhile.
func ExampleSegment_Borrow() {
	seg, err := shm.Create("memfd:frames", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	view, err := seg.Borrow()
	if err != nil {
		log.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- seg.Close() }() // waits for the view

	view.Bytes()[0] = 1
	view.Release()
	fmt.Println("closed:", <-closed)

	_, err = seg.Borrow()
	fmt.Println(errors.Is(err, os.ErrClosed))
	// Output:
	// closed: <nil>
	// true
}

// Bytes are memory, and memory can go away: any process that may write an
// object may cut it short. Guard makes of that an error.
func ExampleSegment_Guard() {
	seg, err := shm.Create("/ticks", 64<<10, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer shm.Remove("/ticks")
	defer seg.Close()

	os.Truncate("/dev/shm/ticks", 4096) // what a careless peer does

	err = seg.Guard(func() error {
		seg.Bytes()[8192]++
		return nil
	})
	fmt.Println(errors.Is(err, shm.ErrFault))
	fmt.Println(err)
	// Output:
	// true
	// access /ticks: memory fault; at offset 8192 of 65536 mapped: another process has cut the object down to 4096 bytes
}

// A memfd has no name: its holder hands it to the process at the other end of a
// unix socket. Nobody can make it shorter.
func ExampleReceive() {
	here, there, err := socketpair()
	if err != nil {
		log.Fatal(err)
	}
	defer here.Close()
	defer there.Close()

	seg, err := shm.Create("memfd:frames", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Close()
	copy(seg.Bytes(), "frame 1")
	if err := seg.Send(here); err != nil {
		log.Fatal(err)
	}

	got, err := shm.Receive(there, nil) // in the other process
	if err != nil {
		log.Fatal(err)
	}
	defer got.Close()
	info, err := got.Stat()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v: %s, sealed %v\n", got.Address(), got.Bytes()[:7], info.Sealed)
	// Output: memfd:frames: frame 1, sealed true
}

// socketpair returns both ends of a new unix socket.
func socketpair() (a, b *net.UnixConn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, nil, err
		}
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1], nil
}

// List sees every System V and POSIX object, whoever made it.
func ExampleInfo() {
	seg, err := shm.Create("/ticks", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()

	objects, err := shm.List()
	if err != nil {
		log.Fatal(err)
	}
	for _, info := range objects {
		if info.Address.String() == "/ticks" {
			fmt.Println(info.Address.Kind(), info.Size, "bytes,", info.Resident, "in memory,", info.Mode)
		}
	}
	// Output: posix 4096 bytes, 4096 in memory, -rw-------
}

// Addresses come from users and configuration files.
func ExampleParseAddress() {
	for _, s := range []string{"/ticks", "posix:ticks", "sysv:4660", "file:data/../log", "ticks"} {
		a, err := shm.ParseAddress(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(a.Kind(), a)
	}
	// Output:
	// posix /ticks
	// posix /ticks
	// sysv sysv:0x1234
	// file file:log
	// parse "ticks": not an address (did you mean "/ticks"?): invalid argument; addresses are /name, posix:/name, sysv:0x1234, sysv-id:7, file:PATH, memfd:NAME
}

// A census tells who holds what: for one object its holders, for one process
// its objects.
func ExampleCensus() {
	seg, err := shm.Create("/ticks", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()

	census, err := shm.TakeCensus()
	if err != nil {
		log.Fatal(err)
	}
	info, err := seg.Stat()
	if err != nil {
		log.Fatal(err)
	}
	var holders []shm.Holder = census.Holders(info)
	for _, h := range holders {
		fmt.Println("me:", h.PID == os.Getpid(), "mapped:", h.Mapped, "descriptors:", h.Descriptors)
	}
	var objects []shm.Held = census.Objects(os.Getpid())
	for _, o := range objects {
		if o.Address == seg.Address() {
			fmt.Println(o.Address, o.Mapped)
		}
	}
	// Output:
	// me: true mapped: 4096 descriptors: 1
	// /ticks 4096
}

// Errors say what to do, to a program with errors.Is and to a person in words.
func ExampleError() {
	seg, err := shm.Create("/ticks", 4096, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer shm.Remove("/ticks")
	defer seg.Close()

	_, err = shm.Create("/ticks", 4096, nil)
	fmt.Println(errors.Is(err, fs.ErrExist), err)

	err = shm.RemoveUnused("/ticks")
	fmt.Println(errors.Is(err, shm.ErrInUse), err)

	_, err = shm.Open("sysv:0x777", nil)
	var e *shm.Error
	fmt.Println(errors.Is(err, fs.ErrNotExist), errors.As(err, &e), e.Op, e.Object)
	// Output:
	// true create /ticks: file exists
	// true remove /ticks: object is in use; see who uses it with: shoal who /ticks
	// true true open sysv:0x777
}
