// Package ring is a buffer of records between one writer and one reader, in two
// processes or one: a pipe in shared memory, which keeps records apart, and whose
// ends may be killed and started again.
//
//	r, err := ring.OpenOrCreate[Tick]("ticks", nil)
//	w, err := r.Writer()                    // in one process
//	err = w.Send(ctx, Tick{Price: 101.5})
//
//	r, err := ring.OpenOrCreate[Tick]("ticks", nil)
//	rd, err := r.Reader()                   // in the other
//	for tick, err := range rd.All(ctx) { … }
//
// T is []byte, for records of any length up to [Ring.MaxRecord], or a type without
// pointers (package schema says which), whose description is stored in the ring:
// who opens it with another type is told what differs.
//
// # Terms
//
// A ring has two ports, a [Writer] and a [Reader], and each belongs to at most one
// process at a time. A record is committed when the reader can see it, and released
// when the reader has done with it.
//
// # Deaths
//
// A process may be killed at any instruction. A committed record is never lost or
// torn; one that was not committed was never there. Its port is free as soon as the
// kernel says that the process is gone: the next one that asks gets it, and goes on
// behind the last record that was committed, or with the first one that was not
// released. So a record that was being used when its reader died is delivered again.
// A reader whose writer has gone waits for the next writer, and a writer whose
// reader has gone fills the ring and then waits for the next reader: give the context
// a deadline to notice. A stopped process keeps its port.
//
// # Ports and goroutines
//
// A port is used by one goroutine at a time; it notices if it is not, and says
// [ErrBusy]. Close may be called at any time, by anybody: who waits in the port
// returns with shm.ErrClosed.
//
// # Looking from outside
//
// An [Observer] maps a ring for reading alone and is no member of it: it shows the
// counters, finds what is damaged, and copies records that have not been released.
//
// # Cost
//
// Sending and receiving make no system call and no allocation (but Receive makes a
// []byte) as long as the other side keeps up; who has to wait spins a while, then
// sleeps. The reader tells a waiting writer of room not record by record but when
// an eighth of the ring has become free, or the reader has nothing to read.
//
// A reader that gets each record as soon as it is written and a writer that is about
// to write the next one slow each other down. So a reader that has run dry again and
// again, close behind its writer, looks only every 1.5 to 6 µs, and finds many. As
// soon as it does not it looks at once again. Nor does one that goes on close behind a
// dense writer without running dry: it lets the writer get some KiB ahead. Try calls
// never wait for that. [Reader.Runs], ReceiveBatch, SendBatch and [Writer.Reserve] share
// what synchronisation costs between many records.
package ring
