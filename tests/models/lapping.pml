/*
 * Lapping: a publisher goes round a lane that holds N records, and those who
 * follow it must not take for a record what is being overwritten. Model of
 * topic/gate.go, topic/subscribe.go and internal/lane/{writer,follower,mark}.go,
 * for spin (https://spinroot.com).
 *
 * Positions are numbers of records, each of which has one place. A record is two
 * words, stored one after the other, between the clearing of the header behind it
 * and the store of its own header, which is the commit. Before it overwrites
 * anything the publisher raises the claim, and then looks again whether somebody
 * has joined.
 *
 *   lossy     copies, and then looks at the claim. It accepts no mixture, and what
 *             it has accepted and what it knows to have missed are all there were.
 *   reliable  joins at some mark while the publisher is at full speed: cursor, place,
 *             joins, and then a look at the claim. From then on nothing that it has
 *             not released is overwritten.
 *   the publisher may die after any of its stores, which is chosen beforehand; the
 *             next one goes on behind what was committed.
 *
 * The two never touch each other's state, so one is there at a time: -DLOSSY or
 * -DJOINER.
 *
 * Defects: -DNOLOOK the publisher does not look again, -DLATE it claims behind the
 * overwriting, -DTRUST the lossy reader does not look at the claim, -DEARLY the
 * reliable one looks before it has stored.
 */

#define N     3         /* records that a lane holds */
#ifndef TOTAL
#define TOTAL 6         /* that are published */
#endif
#ifndef STORES
#define STORES 24       /* within so many stores the publisher may die */
#endif

bit  header[N];         /* 1: there is a record */
byte one[N], two[N];    /* its words: both are its number */
byte claim;             /* what lies below claim - N may have been overwritten */
byte mark;              /* where a record begins, and its number */
byte joins, cursor;
bit  reliable;

#define INTACT(at) (claim <= (at) + N)

/* a store of the publisher's, and its death behind it */
#define STORE(what) what; stores++; if :: stores == death -> goto dead :: else fi

active proctype publisher()
{
	byte n, limit, gate, seen, stores, death;

	if :: death = 0 :: death = STORES fi; /* 0: it lives */
	do
	:: death > 1 -> death--
	:: break
	od;
	goto begin;
dead:
	death = 0;
begin:
	/* whoever begins walks from the mark to the end */
	n = mark; limit = 0; gate = 0; seen = 0;
	do
	:: header[n % N] && n < TOTAL -> n++
	:: else -> break
	od;
	do
	:: n == TOTAL -> break
	:: else ->
		do
		:: n + 2 <= limit -> break
		:: else ->
scan:			atomic { seen = joins; gate = n + N };
			if
			:: reliable ->
				atomic { if :: cursor + N < gate -> gate = cursor + N :: else fi }
			:: else
			fi;
			if
			:: n + 2 > gate -> /* wait for room, or for who may have gone on */
				(!reliable || cursor + N >= n + 2 || joins != seen);
				goto scan
			:: else
			fi;
#ifndef LATE
			if :: claim < n + 2 -> STORE(claim = n + 2) :: else fi;
#endif
			limit = n + 2;
#ifndef NOLOOK
			if :: joins != seen -> limit = 0; goto scan :: else fi
#endif
		od;
		STORE(header[(n + 1) % N] = 0);
		STORE(one[n % N] = n);
		STORE(two[n % N] = n);
		STORE(header[n % N] = 1); /* the commit */
#ifdef LATE
		STORE(claim = n + 2);
#endif
		n++;
		STORE(mark = n)
	od
}

#ifdef LOSSY
active proctype lossy()
{
	byte at, a, b, to, accepted, missed;
	bit there, intact;

	do
	:: at == TOTAL -> break
	:: else ->
		there = header[at % N];
		a = one[at % N];
		b = two[at % N];
#ifdef TRUST
		intact = 1;
#else
		intact = INTACT(at);
#endif
		if
		:: !intact -> /* goes on at the mark */
			to = mark;
			assert(to >= at);
			missed = missed + (to - at);
			at = to;
			(header[at % N] || !INTACT(at) || at == TOTAL)
		:: intact && there ->
			assert(a == at && b == at);
			accepted++;
			at++
		:: else -> (header[at % N] || !INTACT(at))
		fi;
		a = 0; b = 0; to = 0
	od;
	assert(accepted + missed == TOTAL)
}
#endif

#ifdef JOINER
active proctype joiner()
{
	byte at, a;

	/* from now, or from some record that is still there, perhaps */
	at = mark;
	do
	:: at > 0 && at + 2 > mark -> at--
	:: break
	od;
	do
	::
#ifdef EARLY
		if :: !INTACT(at) -> at = mark :: else -> cursor = at; reliable = 1; joins++; break fi
#else
		cursor = at;
		reliable = 1;
		joins++;
		if :: INTACT(at) -> break :: else -> at = mark fi
#endif
	od;
	do
	:: at == TOTAL -> break
	:: else ->
		(header[at % N]);
		a = one[at % N];
		assert(a == at);
		a = two[at % N];
		assert(a == at);
		at++;
		cursor = at /* the release */
	od;
	reliable = 0
}
#endif
