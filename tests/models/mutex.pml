/*
 * The lock word of pshared.Mutex (pshared/lockword.go), with owners and waiters
 * that may die between any two steps.
 *
 * Three processes lock and unlock, the last one twice. Which of the others are
 * mortal, and whether the last one gives up a sleep, is chosen first; a mortal one
 * may die at any step. (An immortal one that sleeps for ever must not escape by
 * dying.) The kernel takes a dead one from the futex queue; a survivor retires its
 * epoch and rechecks the word (member.Place). Checked: mutual exclusion, and that
 * every survivor finishes: one that sleeps for ever is an invalid end state.
 *
 * Seeded defects, each of which must make the model fail:
 *   BUG=1  who has slept takes the lock without the waiters' flag
 *   BUG=2  a recheck frees a dead owner's lock but wakes nobody otherwise
 *   BUG=3  unlock stores 0 and wakes only if it saw the flag before
 *   BUG=4  a cancelled waiter leaves without passing the wake-up on
 */
#ifndef BUG
#define BUG 0
#endif
#define N 3

byte owner;      /* 0, or process + 1: the Owner in the word */
bool flag;       /* LockWaiters */
bool asleep[N];  /* in the kernel's futex queue */
bool dead[N];    /* the kernel knows */
bool gone[N];    /* its epoch is retired: its claims are void */
bool mortal[N];
bool impatient;  /* the last process gives up its first sleep */
byte inside;     /* processes that believe to hold the lock, and live */

/* Between any two steps a mortal process may die. */
#define STEP if :: true :: mortal[me] -> goto die fi

inline wake_one() {
	atomic {
		if
		:: asleep[0] -> asleep[0] = false
		:: asleep[1] -> asleep[1] = false
		:: asleep[2] -> asleep[2] = false
		:: else
		fi
	}
}

inline wake_all() {
	atomic { asleep[0] = false; asleep[1] = false; asleep[2] = false }
}

proctype Process(byte me) {
	byte o, round;
	bool f, slept, took;

again:	STEP;
	atomic { o = owner; f = flag }
	if
	:: o == 0 || gone[o - 1] ->
		STEP;
		atomic { /* compare-and-swap from exactly what was judged */
			took = (owner == o && flag == f);
			if
			:: took ->
				owner = me + 1;
#if BUG == 1
				flag = f
#else
				flag = f || slept
#endif
			:: else
			fi
		};
		if
		:: took -> goto inside_
		:: else -> goto again
		fi
	:: else
	fi;
	if
	:: !f ->
		STEP;
		atomic {
			took = (owner == o && flag == f);
			if
			:: took -> flag = true
			:: else
			fi
		};
		if
		:: !took -> goto again
		:: else
		fi
	:: else
	fi;
	STEP;
	atomic { /* FUTEX_WAIT compares and sleeps in one step */
		if
		:: owner == o && flag -> asleep[me] = true
		:: else
		fi
	};
	if /* woken; dead while asleep; cancelled */
	:: !asleep[me]
	:: mortal[me] -> goto die
	:: me == 2 && impatient ->
		atomic { asleep[me] = false; impatient = false };
#if BUG != 4
		STEP;
		wake_one();
#endif
		goto done
	fi;
	slept = true;
	goto again;

inside_:
	inside++;
	assert(inside == 1);
	if
	:: true
	:: mortal[me] -> atomic { inside--; goto die }
	fi;
	inside--;

#if BUG == 3
	f = flag;
	STEP;
	atomic { owner = 0; flag = false };
#else
	atomic { f = flag; owner = 0; flag = false };
#endif
	STEP;
	if
	:: f -> wake_one()
	:: else
	fi;
	slept = false;
	round++;
	if
	:: me == 2 && round < 2 -> goto again
	:: else -> goto done
	fi;

die:	atomic { dead[me] = true; asleep[me] = false };
done:	skip
}

/* Whoever buries the dead: the survivors' side of package member. */
proctype Burier() {
	byte v;
end:	do
	:: atomic { dead[0] && !gone[0] -> v = 0 }; goto bury
	:: atomic { dead[1] && !gone[1] -> v = 1 }; goto bury
	:: atomic { dead[2] && !gone[2] -> v = 2 }; goto bury
	od;
bury:	gone[v] = true;
	/* Recheck: the word may name the dead; whatever it says, wake everybody. */
	atomic {
		if
		:: owner == v + 1 -> owner = 0
#if BUG == 2
			; wake_all()
#endif
		:: else
		fi
	};
#if BUG != 2
	wake_all();
#endif
	goto end
}

init {
	if :: mortal[0] = true :: skip fi;
	if :: mortal[1] = true :: skip fi;
	if :: impatient = true :: skip fi;
	atomic { run Process(0); run Process(1); run Process(2); run Burier() }
}
