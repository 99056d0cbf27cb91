package shm

// object is one open object of some backend, as the rest of the package needs
// it. Its methods return bare causes; callers add operation and address.
type object interface {
	// size is the object's length in bytes now.
	size() (int64, error)
	// attach maps the first n bytes; detach takes exactly what attach gave.
	attach(n int64, s settings) ([]byte, error)
	detach([]byte) error
	// grow makes the object at least n bytes long, with its memory reserved.
	grow(n int64) error
	flush([]byte) error
	stat() (Info, error)
	// publish gives a new object its name: the moment from which others can open
	// it. Until then, close leaves nothing behind. No-op where there is no name.
	publish() error
	// remove takes the object's name away, if that still means this object.
	remove() error
	close() error
}

// opened is an object as it comes from its backend.
type opened struct {
	object
	addr Address // not the one asked for, if that was IPC_PRIVATE
	size int64   // bytes; not the size asked for, if that was rounded up
}
