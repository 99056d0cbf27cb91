// Package queue is a work queue: each message goes to exactly one of any number of
// consumers, in any number of processes, and comes again if that one dies before it has
// acknowledged it.
//
//	jobs, err := queue.OpenOrCreate[Job]("jobs", nil)
//	err = jobs.Send(ctx, Job{ID: 7})            // any goroutine of any process
//
//	jobs, err := queue.OpenOrCreate[Job]("jobs", nil)
//	m, err := jobs.Receive(ctx)                 // any other
//	work(m.Value)                               // where it lies
//	err = m.Ack()
//
// T is []byte, for messages of any length up to [Queue.MaxMessage], or a type without
// pointers (package schema says which), whose description is stored in the queue: who
// opens it with another type is told what differs.
//
// # Promises
//
// A message that Send has returned nil for is not lost, whoever dies. It is delivered at
// least once: again, with a higher count, after Nack, and when the process that has it
// dies or closes the queue. Who acknowledges before acting gets each exactly once, or,
// dying in between, not at all.
//
// A process that is stopped keeps what it has, however long, and hinders nobody: the
// queue is full only when every slot is in use, and consumers go past whoever is slow.
//
// Messages come in the order of sending. Those that have been given back come before all
// that are newer. There are no priorities: they would be a second order that every
// Receive has to look at. Use a queue for each.
//
// # Slots
//
// A message lies in a slot, and the slot's state is one word, so that every step is one
// compare-and-swap:
//
//	         claim               publish              take                Ack
//	free ──────────▶ claimed ──────────────▶ ready ──────────▶ taken ──────────────▶ free
//	 ▲                  │                      ▲                 │
//	 └──Cancel, death───┘                      └──Nack, death────┘
//
// Free and ready words have the message's position: positions count up for ever, so such
// a word never comes twice. Claimed and taken words have the owner, a member and its epoch,
// in its place; only that one changes the slot, and what stands beside the word. When
// the owner has died, its slots are taken back before its epoch ends, by who buries
// it (member.Options), under the lock that proves the death.
//
// # Order
//
// The message of position p stands in slot p modulo their number. A producer claims the
// first free slot from the tail on, which may be some slots ahead if those in between are
// still in somebody's hands, and raises the tail behind it. A consumer takes the message
// at the head and raises the head. Both words only follow: whoever finds them behind goes
// on from there, and raises them.
//
// At the head there may be nothing to take: a producer has claimed the slot and is not yet
// done, or the slot was in use when the tail came by. If there is a message further on,
// consumers go past. What is published below the head would be found by nobody; so it is
// marked, by a bit for the slot, and a flag says that there are marks. A message that is
// given back is marked as well, and consumers take the first one that is marked, if there
// are any, before they look at the head. For this to be safe:
//
//   - Who goes past raises skips first and then looks once more. It flags claims that it
//     goes past: their producers mark before they publish. A producer reads skips before
//     it reads the tail, and again when it has claimed. If it has changed, it flags its
//     claim itself. So a consumer that did not see the claim is seen by the producer: it
//     has looked before the claim, thus raised skips before that, and after the producer
//     had read it, since the tail was below.
//   - Only who has a slot sets or clears its mark: before the message is ready, and after
//     it is taken. So no mark is lost, and no process that stops in between leaves
//     a message that is ready and not found.
//   - The flag has a sequence number that every mark raises. Who finds no marks clears it
//     only if it has not changed since.
//
// tests/models/queue.pml has all this, with deaths and with processes that stop, and with
// seeded faults that make it fail.
//
// An empty queue is known by head and tail, a full one by a word that says that all slots
// have been seen in use and none has been given back since.
//
// # Waking
//
// A message wakes one consumer, a free slot one producer, if any sleep. If the one that
// was woken dies before it can act, all look again, as after every death; if it is stopped
// in that moment, others look when their sleep ends by itself, within 100 ms for the first
// few of a process.
//
// # Deaths
//
// What survivors find when a process has died after each of its stores; what is not listed
// are counters, which may lack the last message:
//
//	Send          claimed        taken back: free. Nothing was sent
//	              tail           the same
//	              position       the same
//	              passed ?       the same
//	              message        the same
//	              meta           the same
//	              mark ?         the mark is cleared first, the slot is free then
//	              returned ?     the same
//	              ready          sent. If nobody has been woken, who sleeps looks after the death
//	Loan          as Send up to position; Commit goes on with meta
//	Cancel        free           cancelled
//	Receive       taken          taken back: ready, and marked. The delivery does not count:
//	                             nobody has seen the message
//	              mark ?         the same (the mark of a message that was given back)
//	              head           the same
//	              meta           the same, and the delivery counts
//	              stamp          the same
//	going past    skips          nothing, but that producers at work mark what they publish
//	              passed ?       that producer marks what it publishes
//	              head           done
//	Ack           free           acknowledged. If nobody has been woken, who sleeps looks
//	              full ?         the same
//	Nack          returning      taken back as if it had not begun
//	              mark           the same
//	              returned       the same
//	              ready          given back. If nobody has been woken, who sleeps looks
//	burial        mark           the next one does it again: the word still names the dead
//	              returned       the same
//	              ready          that message is done; the next one goes on with the rest
//	              free           that claim is done; likewise
//	Close         as Cancel and Nack for all that it has, without returning; then as burial
//
// # Closing
//
// To count who is inside would cost as much as a third of the work: each count is a
// locked instruction, which lets nothing behind it begin. Instead the operations work in
// an alias, a second mapping of the object, and Close replaces that by private memory that
// is zero, in one step. Whoever is at work meets zeros from then on: no message, no claim
// and no slot in hand, so that no compare-and-swap on the state of one succeeds; and the
// number of slots is 0, by which a claim of a slot, or a message taken, is known to be
// void. Close then gives back, in the object's own mapping, what the process had. Only who
// waits, or needs the member table, is counted and waited for.
//
// # Cost
//
// Sending, receiving and acknowledging make no system call and no allocation as long as
// nobody has to wait. Who has to wait spins a while, then sleeps. Each process counts in
// a row of its own.
package queue
