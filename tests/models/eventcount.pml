/*
 * The event count of package park: nobody sleeps over something that has been
 * published, unless a waker has died between publishing and waking; and then the
 * bound on sleeping helps.
 *
 * Each step below is one atomic operation of the program, or one system call, and
 * the steps of all processes interleave in every order: the operations are
 * sequentially consistent. Every process may die at its start, in its sleep, and
 * after each of its stores (a death after a load is the death before it), up to
 * DEATHS of them in a run.
 *
 * Seeded faults, to show that the model can fail:
 *
 *	-DBUG       the waker stores 0 before it wakes, rather than moving the number
 *	-DNOLOOK    the waiter does not look again after it has set the bit
 *	-DNOBOUND   sleep is not bounded
 *	-DEARLY     the waker reads the word before it publishes
 */

#define WAITERS	2
#define WAKERS	2
#define ITEMS	1	/* published by each waker, wanted by each waiter */

#ifndef DEATHS
#define DEATHS	1
#endif

byte word;		/* sequence << 1 | somebody sleeps */
byte published;		/* only grows; waiter n-th wish is that n are there */
bool asleep[WAITERS];	/* in the kernel's queue */
byte deaths;		/* of any process */
byte wakerDeaths;

/* A store, after which the process may end. */
#define STORE(store, what)	atomic { store; if :: deaths < DEATHS -> deaths++; what; goto dead :: skip fi }

inline wake_all() {
	d_step {
		asleep[0] = false;
		asleep[1] = false
	}
}

proctype Waker() {
	byte v, n;

	do
	:: n == ITEMS -> break
	:: n < ITEMS ->
		STORE(n++, wakerDeaths++);
#ifdef EARLY
		v = word;
#endif
		STORE(published++, wakerDeaths++);
#ifndef EARLY
		v = word;		/* Notify's load */
#endif
		if
		:: v & 1 ->
#ifdef BUG
			STORE(word = 0, wakerDeaths++);
			wake_all()
#else
			v = word;	/* the slow path loads again */
			if
			:: v & 1 ->
				if
				:: atomic { word == v -> STORE(word = v + 1, wakerDeaths++) };	/* compare and swap */
					wake_all()
				:: word != v -> skip	/* another waker has moved it */
				fi
			:: else -> skip
			fi
#endif
		:: else -> skip
		fi
	od;
dead:	skip
}

proctype Waiter(byte me) {
	byte v, wish;

	wish = 1;
again:
	v = word;
	if
	:: published >= wish -> goto found
	:: else -> skip
	fi;
	if
	:: v & 1 -> skip		/* the look above came after the bit */
	:: else ->
#ifdef BUG
		v = 1;
		STORE(word = 1, skip)
#else
		if
		:: atomic { word == v -> v = v | 1; STORE(word = v, skip) }
		:: word != v -> goto again
		fi
#endif
		;
#ifndef NOLOOK
		if
		:: published >= wish -> goto found
		:: else -> skip
		fi
#else
		skip
#endif
	fi;
	if				/* FUTEX_WAIT */
	:: d_step { word == v -> asleep[me] = true }
	:: word != v -> goto again
	fi;
	if
	:: !asleep[me] -> goto again	/* woken */
	:: deaths < DEATHS -> deaths++; asleep[me] = false; goto dead
	:: timeout ->			/* nobody can do anything any more */
		asleep[me] = false;
		if
		:: published >= wish ->
			/* A lost wake-up. */
			assert(wakerDeaths > 0);
#ifdef NOBOUND
			assert(false);
#endif
			goto again
		:: else ->
			/* Nor will anybody publish what we wait for. */
			assert(wakerDeaths > 0);
			goto dead
		fi
	fi;
found:
	if
	:: wish < WAKERS * ITEMS -> wish++; goto again
	:: else -> skip
	fi;
dead:	skip
}

init {
	byte i;

	atomic {
		for (i : 1 .. WAKERS) {
			run Waker()
		}
		for (i : 0 .. WAITERS - 1) {
			run Waiter(i)
		}
	}
}
