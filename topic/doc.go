// Package topic is publish and subscribe in shared memory: every record of every
// publisher goes to every subscriber, in any number of processes, each of which may
// be killed and started again.
//
//	t, err := topic.OpenOrCreate[Tick]("ticks", nil)
//	pub, err := t.Publisher()
//	err = pub.Send(ctx, Tick{Price: 101.5})
//
//	t, err := topic.OpenOrCreate[Tick]("ticks", nil)   // in another process
//	sub, err := t.Subscribe(nil)                       // reliable, from now on
//	for tick, err := range sub.All(ctx) { … }
//
// T is []byte, for records of any length up to [Topic.MaxRecord], or a type without
// pointers (package schema says which), whose description is stored in the topic:
// who opens it with another type is told what differs. As in all packages of the
// house, Create makes, Open opens what is there, and OpenOrCreate does either.
//
// # Terms
//
// Each publisher appends to a lane of its own, so publishers never wait for each
// other, and records are in order for each publisher. A subscriber has a cursor in
// every lane, used or not; who publishes later is heard, too. A record is committed
// when subscribers can see it, and released when a subscriber has done with it.
//
// A reliable subscriber gets every record that is committed after Subscribe has
// returned, and some before if it asks for them. Publishers do not overwrite what it
// has not released; when they have no room for that reason the [Policy] of the topic
// says what happens: they wait, they fail, or they drop the subscriber, which is lossy
// from then on. A lossy subscriber never holds anybody up. It is told how many records
// it has missed, exactly, by a [MissedError] in between.
//
// # Names
//
// A subscription with a name outlives its process. Publishers go on waiting for it, as
// the policy says, and who subscribes by that name goes on behind the last record that
// was released: a process that is killed and started again loses nothing.
// [Topic.Forget] ends it.
//
// # Deaths
//
// A process may be killed at any instruction. A committed record is never lost or
// torn; one that was not committed was never there. What the process had is free as
// soon as the kernel says that it is gone: its lane for the next publisher, which goes
// on behind the last committed record, its place for the next subscriber. Publishers
// do not wait for the dead, only for named subscriptions. A stopped process keeps what
// it has. What survivors see after each store:
//
//	Publisher   owner of the lane: ours         a lane whose owner has gone: the next one takes it
//	            used lanes                      the same; subscribers look at one lane more
//	Send        see package lane: nothing, then all of the run
//	            claim                           lossy readers believe that a part is overwritten which is not
//	            Rest, and waking a few          those wake the others; if none of them lives, the death wakes all
//	Subscribe   used places                     publishers look at one place more
//	            place: ours, joining            a free place, as soon as somebody looks
//	            name                            the same
//	            place: + named                  the same: who died joining has not subscribed
//	            counters, cursors               the same
//	            place: + reliable               publishers wait for the death, no longer
//	            joins                           the same
//	            cursors, to where it begins     the same
//	            place: not joining any more     a subscription: free if it has no name, else waiting for its process
//	by name     place: nobody's -> ours         a subscription without a process, as before
//	Receive     nothing
//	Release     position of the cursor          the record is released, perhaps not counted
//	Close       place: 0, or nobody's           as if it had died afterwards; publishers are woken by the death
//	Drop        place: dropped, not reliable    the subscription is lossy, perhaps not counted
//	Repair      place or owner: 0, or nobody's  nothing more to repair, perhaps not counted
//
// # Ports and goroutines
//
// A [Publisher] and a [Subscription] are used by one goroutine at a time each; they
// notice if they are not, and say [ErrBusy]. A topic can have many of both, in one
// process, too. Close may be called at any time, by anybody: who waits in the port
// returns with shm.ErrClosed.
//
// # Cost
//
// Sending and receiving make no system call and no allocation (but Receive makes a
// []byte) as long as the other side keeps up. A publisher looks at the cursors once for
// each time round its lane, not for each record, and wakes at most eight sleepers
// itself, who wake the others: sending costs the same with one subscriber and with a
// thousand. Reliable subscribers read in place; lossy ones, and all in a topic that
// may drop them, read copies, since what they read may be overwritten.
package topic
