/*
 * The slot protocol of package queue: every message that was sent is received, and no
 * other, whoever dies where or stops for good. There are two slots, and a few producers
 * and consumers.
 *
 * Each step below is one atomic operation of the program, and the steps of all processes
 * interleave in every order. Who is mortal is chosen before: a mortal process may die
 * after each of its stores, or stop there for ever. What a dead one has is taken back
 * by a survivor (in the program, under the lock of its member slot); what a stopped one
 * has stays with it. Consumers end when every message has been accounted for, so a
 * message that nobody can find is a process that never ends: an invalid end state.
 *
 * Positions count from SLOTS. Messages are named by their producer; each sends SENDS.
 *
 * Seeded faults, to show that the model can fail:
 *
 *	-DFAULT=1	a consumer does not flag the claims that it passes
 *	-DFAULT=2	a producer does not look whether the head has gone past since it began
 *	-DFAULT=3	a message that is returned is made ready before it is marked
 *	-DFAULT=4	the flag of the marks is cleared whatever has been marked since
 *	-DFAULT=5	the head is raised past a position without having been counted
 *	-DFAULT=6	what the dead had is not taken back
 */

#define SLOTS		2
#ifndef PRODUCERS
#define PRODUCERS	2
#endif
#ifndef CONSUMERS
#define CONSUMERS	1
#endif
#ifndef FAULT
#define FAULT		0
#endif
#ifndef RETURNS
#define RETURNS		1	/* the consumer that returns its first message; 0 for none */
#endif
#ifndef SENDS
#define SENDS		1
#endif

#define LAST		(PRODUCERS + CONSUMERS)

#define FREE		0
#define CLAIMED		1
#define PASSED		2	/* claimed, and passed */
#define READY		3
#define MARKED		4	/* ready, and marked */
#define TAKEN		5

/* The state word of a slot: a kind, and a position or an owner. */
byte kind[SLOTS];
byte val[SLOTS];
byte posn[SLOTS];	/* beside it */
bool mark[SLOTS];
byte tail = SLOTS;
byte head = SLOTS;
bool some;		/* the flag of returned */

/* The counts of skips and of returned: whether they have changed since somebody looked. */
bool skipped[LAST + 1];
bool returned[LAST + 1];

byte sent;		/* publications */
byte received;		/* acknowledgements */
byte held;		/* messages with somebody who has stopped */
byte working = PRODUCERS;

byte mortal;		/* the process that may die or stop; 0 for none */
bool dead;
bool stopped;

/* A store has been made: the mortal one may die now, or stop for ever. */
#define END	if :: me == mortal -> if :: dead = true; goto gone :: stopped = true; goto gone :: skip fi :: else -> skip fi

#define MESSAGE(j)	(kind[j] == READY || kind[j] == MARKED)
/* There is something that take would find. */
#define WORK		(some || (MESSAGE(0) && val[0] >= head && val[0] < tail) || (MESSAGE(1) && val[1] >= head && val[1] < tail))
#define OVER		(working == 0 && received + held == sent)

inline set_mark(i) {
	atomic { mark[i] = true; END };
	atomic { some = true; returned[LAST] = true; returned[LAST - 1] = true; END }
}

inline raise_head(h) {
	atomic { if :: head < h -> head = h; END :: else -> skip fi }
}

proctype Producer(byte me) {
	byte n, t, p, i;

	do
	:: n == SENDS -> break
	:: n < SENDS ->
		atomic { skipped[me] = false; t = 0; p = 0; i = 0 };
again:		atomic { t = tail; p = t };
look:		i = p % SLOTS;
		if
		:: atomic { kind[i] == FREE && val[i] <= p -> kind[i] = CLAIMED; val[i] = me; END }
		:: kind[i] == FREE && val[i] > p -> goto again
		:: kind[i] != FREE ->
			p++;
			if
			:: p < t + SLOTS -> goto look
			:: else ->	/* full */
				kind[0] == FREE || kind[1] == FREE;
				goto again
			fi
		fi;
		atomic { if :: tail < p + 1 -> tail = p + 1; END :: else -> skip fi };
		atomic { posn[i] = p; END };
#if FAULT != 2
		if
		:: skipped[me] -> atomic { kind[i] = PASSED; END }
		:: !skipped[me]
		fi;
#endif
		/* publish */
		if
		:: atomic { kind[i] == CLAIMED -> kind[i] = READY; val[i] = p; sent++; END }
		:: kind[i] == PASSED ->
			set_mark(i);
			atomic { kind[i] = MARKED; val[i] = p; sent++; END }
		fi;
		n++
	od;
gone:	atomic { working--; skipped[me] = false; t = 0; p = 0; i = 0 }
}

/* What is not used any more tells no states apart. */
#define CLEAR	h = 0; i = 0; j = 0; k = 0; v = 0; any = false

proctype Consumer(byte me) {
	byte h, i, j, k, v;
	bool any, tried;

again:	/* the marks */
	atomic { returned[me] = false; CLEAR };
	if
	:: some ->
		atomic { h = head; v = h; j = 0; any = false };
		do
		:: j == SLOTS -> break
		:: j < SLOTS ->
			if
			:: mark[j] ->
				any = true;
				atomic {
					if
					:: kind[j] == MARKED && val[j] < v -> v = val[j]; i = j
					:: else -> skip
					fi
				}
			:: !mark[j]
			fi;
			j++
		od;
		if
		:: v < h ->
			if
			:: atomic { kind[i] == MARKED && val[i] == v -> kind[i] = TAKEN; val[i] = me; END };
				atomic { mark[i] = false; END };
				goto have
			:: else -> goto again
			fi
		:: v == h && !any ->
#if FAULT == 4
			some = false
#else
			atomic { if :: !returned[me] -> some = false; END :: else -> skip fi }
#endif
		:: else -> skip
		fi
	:: !some
	fi;
	/* the head */
	atomic { CLEAR; h = head; i = h % SLOTS };
	atomic { k = kind[i]; v = val[i] };
	if
	:: (k == READY || k == MARKED) && v == h ->
		if
		:: atomic { kind[i] == k && val[i] == v -> kind[i] = TAKEN; val[i] = me; END };
			if
			:: k == MARKED -> atomic { mark[i] = false; END }
			:: else -> skip
			fi;
			raise_head(h + 1);
			goto have
		:: else -> goto again
		fi
	:: else -> skip
	fi;
	if
	:: h >= tail -> goto nothing
	:: else -> skip
	fi;
	/* done */
	j = posn[i];
	if
	:: j > h || j == h && k == FREE && v > h -> raise_head(h + 1); goto again
	:: j == h && k == TAKEN ->
		if
		:: kind[i] == k && val[i] == v -> raise_head(h + 1); goto again
		:: else -> skip
		fi
	:: else -> skip
	fi;
	/* ahead: v is the first message from the head on */
	atomic { v = tail; j = h };
	do
	:: j < h + SLOTS ->
		atomic {
			if
			:: MESSAGE(j % SLOTS) && val[j % SLOTS] >= h && val[j % SLOTS] < v -> v = val[j % SLOTS]
			:: else -> skip
			fi;
			j++
		}
	:: else -> break
	od;
	if
	:: v >= tail -> goto nothing
	:: v == h -> goto again
	:: else -> skip
	fi;
	/* pass */
#if FAULT != 5
	atomic { skipped[1] = true; skipped[PRODUCERS] = true; END };
#endif
	j = h;
	do
	:: j < v && j < h + SLOTS ->
		atomic {
			if
			:: MESSAGE(j % SLOTS) && val[j % SLOTS] >= h && val[j % SLOTS] < v -> goto again
#if FAULT != 1
			:: kind[j % SLOTS] == CLAIMED -> kind[j % SLOTS] = PASSED; END
#endif
			:: else -> skip
			fi;
			j++
		}
	:: else -> break
	od;
	atomic { if :: head == h -> head = v; END :: else -> skip fi };
	goto again;
have:	atomic { h = 0; j = 0; k = 0; v = 0; any = false };
	/* One of them returns its first message. */
	if
	:: me == PRODUCERS + RETURNS && !tried ->
		tried = true;
#if FAULT == 3
		atomic { kind[i] = MARKED; val[i] = posn[i]; END };
		set_mark(i)
#else
		set_mark(i);
		atomic { kind[i] = MARKED; val[i] = posn[i]; END }
#endif
	:: else -> atomic { kind[i] = FREE; val[i] = posn[i] + 1; received++; END }
	fi;
	goto again;
nothing:
	atomic { CLEAR; returned[me] = false };
	if
	:: OVER -> skip
	:: WORK && !OVER -> goto again
	fi;
gone:	atomic { CLEAR; returned[me] = false }
}

/* Takes back what the dead one had, or counts what the stopped one keeps. */
proctype Survivor() {
	byte j;

end:	if
	:: dead ->
#if FAULT != 6
		do
		:: j == SLOTS -> break
		:: j < SLOTS ->
			if
			:: kind[j] == TAKEN && val[j] == mortal ->
				mark[j] = true;
				atomic { some = true; returned[LAST] = true; returned[LAST - 1] = true };
				atomic { kind[j] = MARKED; val[j] = posn[j] }
			:: (kind[j] == CLAIMED || kind[j] == PASSED) && val[j] == mortal ->
				mark[j] = false;
				atomic { kind[j] = FREE; val[j] = posn[j] + 1 }
			:: else -> skip
			fi;
			j++
		od
#endif
		skip
	:: stopped ->
		atomic {
			do
			:: j == SLOTS -> break
			:: j < SLOTS ->
				if
				:: kind[j] == TAKEN && val[j] == mortal -> held++
				:: else -> skip
				fi;
				j++
			od
		}
	fi
}

init {
	byte i;

	atomic {
		/* Chosen before: dying is no way out of a state that should not be. */
#ifdef MORTAL
		mortal = MORTAL;
#else
		select (mortal : 0 .. LAST);
#endif
		for (i : 1 .. PRODUCERS) {
			run Producer(i)
		}
		for (i : PRODUCERS + 1 .. LAST) {
			run Consumer(i)
		}
		run Survivor();
		i = 0
	}
}
