/*
 * shoal.h - Shoal objects for C: shared memory that any process may leave at any
 * instruction, and nothing is lost, torn or stuck.
 *
 * This one header is all there is. It needs libc and pthreads, C11 or C++17, and
 * Linux on x86-64 or arm64:
 *
 *	cc -std=c11 -Iinclude program.c -pthread
 *
 * It may be included at any place, whatever was included before.
 *
 * WHAT IT HAS
 *
 *	struct shoal            an object with a name, that this process takes part in
 *	struct shoal_mutex      a lock between processes
 *	struct shoal_event      a flag to wait for
 *	struct shoal_semaphore  a number, or permits, to wait for
 *	struct shoal_ring       records from one writer to one reader
 *	struct shoal_queue      messages, each for one of many consumers
 *	struct shoal_topic      records from publishers to all subscribers
 *	struct shoal_segment    memory of your own, with struct shoal_members in it
 *
 * The same objects are used by Go programs (module github.com/seed-247006a4/shoal)
 * and by the command shoal: "shoal ls" lists what "struct shoal_mutex" has made.
 * Every byte of them is specified in docs/FORMAT.md.
 *
 *	struct shoal_mutex mu;
 *	int err = shoal_mutex_open(&mu, "accounts", NULL);   // opens it, or makes it
 *	if (err < 0)
 *		return puts(shoal_strerror(err));
 *
 *	err = shoal_mutex_lock(&mu);
 *	if (err == SHOAL_EOWNERDEAD) {                       // we hold it all the same
 *		mend();                                      // what the dead owner left half-done
 *		shoal_mutex_mark_consistent(&mu);
 *	} else if (err < 0) {
 *		return puts(shoal_strerror(err));
 *	}
 *	...
 *	shoal_mutex_unlock(&mu);
 *	shoal_mutex_close(&mu);
 *
 * ERRORS
 *
 * A function that can fail returns 0, or an error, which is negative: a system
 * error is its errno, negated (-ENOENT), and those of Shoal have names that begin
 * with SHOAL_E. shoal_strerror() has words for all of them. Nothing here aborts,
 * whatever stands in shared memory. (Memory that is not there any more, because a
 * peer has made the file shorter, is another matter: that is SIGBUS.)
 *
 * HANDLES
 *
 * A handle (struct shoal and so on) is memory of the caller's. It is used where it
 * was opened: it must not be copied or moved. All functions on an open handle may
 * be called by any thread, except that close must be the last; threads that still
 * wait then return SHOAL_ECLOSED, and close waits for them. Signals do not end a
 * wait, and nothing here is a cancellation point (pthreads(7)). The members of the
 * structs are not for programs.
 *
 * DEATH
 *
 * A process that ends, however it ends, gives back what it held: a mutex passes to
 * the next one who asks, with SHOAL_EOWNERDEAD; permits are free again; messages that
 * it had from a queue come to another consumer. The kernel says who has died; a
 * process that is only stopped keeps everything. Waiting threads learn of a death
 * within about a millisecond.
 *
 * A child made by fork(2) is another process, and no member: what it inherited
 * says SHOAL_EFORK until the child closes it and opens it anew. It neither holds
 * what its parent holds nor keeps it from being taken when the parent dies.
 *
 * The first object that a process joins starts a thread that sleeps for ever, the
 * keeper, for which the kernel speaks when the process dies. So a process ends by
 * exit(3), by returning from main or by a signal; not when all threads but the
 * keeper have ended by pthread_exit(3). What contains this header must not be
 * unloaded by dlclose(3).
 *
 * READING THIS FILE
 *
 * Each section needs those before it, and begins with what it is about:
 *
 *	Errors, Format, Words, System calls
 *	Segments       memory that processes share, complete or not there
 *	Keeper         the thread that the kernel speaks for
 *	Members        who takes part, and who has died
 *	Spinning, Waiting, Event count
 *	Objects        header, member table, body
 *	Mutex, Event, Semaphore, Ring, Queue, Topic
 *
 * Names that end in an underscore are not for programs. SHOAL_SLOW_ marks slow paths:
 * functions of their own, so that fast ones stay small where they are inlined.
 */
#ifndef SHOAL_H
#define SHOAL_H

#if !defined __linux__ || !(defined __x86_64__ || defined __aarch64__)
#error "shoal.h is for Linux on x86-64 and arm64"
#endif
#if defined __cplusplus ? __cplusplus < 201703L : __STDC_VERSION__ < 201112L
#error "shoal.h needs C11 or C++17"
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
#define SHOAL_ASSERT_(what, text) static_assert(what, text)
extern "C" {
#else
#define SHOAL_ASSERT_(what, text) _Static_assert(what, text)
/* With -std=c11 the C library hides these two; it has them all the same. */
extern long syscall(long number, ...);
extern int clock_gettime(int clock, struct timespec *now);
#endif

#define SHOAL_SLOW_ __attribute__((noinline, unused)) static

/* ============================================================== Errors ==
 *
 * Values never change.
 */

/* The previous owner has died, or left, while it held the lock. The caller holds
 * the lock now. See shoal_mutex_lock. */
#define SHOAL_EOWNERDEAD (-EOWNERDEAD)
/* A lock that was SHOAL_EOWNERDEAD has been unlocked without
 * shoal_mutex_mark_consistent. Remove the object and make a new one. */
#define SHOAL_ENOTRECOVERABLE (-ENOTRECOVERABLE)
/* The time given is over. */
#define SHOAL_ETIMEDOUT (-ETIMEDOUT)
/* It cannot be had without waiting. */
#define SHOAL_EBUSY (-EBUSY)

/* The bytes of the object contradict its format; shoal_why says where. */
#define SHOAL_ECORRUPT (-5001)
/* The object is of a major version that this header does not know. */
#define SHOAL_EVERSION (-5002)
/* There is such an object, but of another kind. */
#define SHOAL_EKIND (-5003)
/* The object holds values of another type; shoal_why says where they differ. */
#define SHOAL_ETYPE (-5004)
/* There is nothing but zeros yet: its creator is at work, or has died. */
#define SHOAL_EUNFINISHED (-5005)
/* All member slots belong to live processes. */
#define SHOAL_ENOSLOT (-5006)
/* What is to be given back is not held by this process. */
#define SHOAL_ENOTOWNER (-5007)
/* The handle has been closed, or never was opened. */
#define SHOAL_ECLOSED (-5008)
/* The handle was opened before fork, by the parent: close it and open it anew. */
#define SHOAL_EFORK (-5009)
/* Records of a topic were overwritten before they were read. See shoal_topic_peek_for. */
#define SHOAL_EMISSED (-5010)
/* The subscriber was too slow, and is lossy from now on. See shoal_topic_peek_for. */
#define SHOAL_EDROPPED (-5011)

/* shoal_strerror returns words for an error of this header: a constant. */
static inline const char *shoal_strerror(int err)
{
	switch (err) {
	case SHOAL_ECORRUPT:
		return "object is damaged";
	case SHOAL_EVERSION:
		return "object has another version";
	case SHOAL_EKIND:
		return "object is of another kind";
	case SHOAL_ETYPE:
		return "object holds values of another type";
	case SHOAL_EUNFINISHED:
		return "object holds nothing yet";
	case SHOAL_ENOSLOT:
		return "all member slots are taken by live processes";
	case SHOAL_ENOTOWNER:
		return "not held by this process";
	case SHOAL_ECLOSED:
		return "already closed";
	case SHOAL_EFORK:
		return "opened before fork: close and open it in the child";
	case SHOAL_EMISSED:
		return "records were overwritten before they were read";
	case SHOAL_EDROPPED:
		return "too slow, and lossy from now on";
	case SHOAL_EOWNERDEAD:
		return "the previous owner died";
	case SHOAL_ENOTRECOVERABLE:
		return "state not recoverable";
	}
	return err <= 0 ? strerror(-err) : "no error";
}

/* ============================================================== Format ==
 *
 * What lies in shared memory: little-endian, naturally aligned, padding explicit,
 * offsets for pointers. Words that change after creation are read and written by
 * shoal_load64_ and its sisters (Words, below) alone. docs/FORMAT.md draws and explains all of it;
 * here stand the sizes, which a test compares with that page and with Go's.
 */

#define SHOAL_MAJOR 1 /* a reader refuses another one */
#define SHOAL_MINOR 0 /* and accepts a higher one of these */

#define SHOAL_MAGIC UINT64_C(0x6a626f4c414f4853) /* "SHOALobj" */

/* Kinds of objects. */
#define SHOAL_KIND_MUTEX 1
#define SHOAL_KIND_RWMUTEX 2
#define SHOAL_KIND_COND 3
#define SHOAL_KIND_SEMAPHORE 4
#define SHOAL_KIND_EVENT 5
#define SHOAL_KIND_BARRIER 6
#define SHOAL_KIND_ONCE 7
#define SHOAL_KIND_RING 16
#define SHOAL_KIND_TOPIC 17
#define SHOAL_KIND_QUEUE 18

#define SHOAL_LINE 128 /* distance of words that different processes write */

/* At offset 0 of every object; the member table follows. Only magic is written
 * while others can see the object: last. */
struct shoal_format_header {
	uint64_t magic;
	uint32_t version; /* SHOAL_MAJOR << 16 | SHOAL_MINOR */
	uint32_t kind;
	uint64_t size;        /* bytes of the whole object */
	uint64_t fingerprint; /* of the type of its contents; 0: none */
	uint64_t body;        /* offset of the structure itself */
	uint32_t schema_offset;
	uint32_t schema_length;
	uint32_t slots;
	uint32_t creator; /* process id */
	int64_t created;  /* nanoseconds since 1970 */
};

/* The head of a member table; bells and slots follow. */
struct shoal_format_members {
	uint32_t magic; /* stored last */
	uint32_t version;
	uint32_t slots;
	uint32_t changes;    /* raised, and woken, whenever a slot is claimed or retired */
	uint64_t retired;    /* epochs that have ended */
	uint64_t deaths;     /* of those, without leaving */
	uint64_t repairs;    /* claims of the dead that survivors took back */
	uint64_t lost_wakes; /* sleeps that ended by time although there was something to do */
	uint64_t lock;       /* inode of the file with the locks; 0: the object itself */
	uint64_t unused;
};

/* What the kernel rings: keeper thread | FUTEX_WAITERS, then FUTEX_OWNER_DIED. */
struct shoal_format_bell {
	uint32_t word;
	uint32_t unused;
};

/* A place for one member. Its first byte is locked by the owner. */
struct shoal_format_slot {
	uint64_t claim; /* epoch << 32 | SHOAL_SLOT_FREE or SHOAL_SLOT_ACTIVE */
	uint32_t pid;   /* from here on: for people */
	uint32_t role;
	uint64_t pidns;
	uint64_t start;
	uint64_t joined;
	uint64_t name[2];
	uint64_t unused;
};

#define SHOAL_MEMBERS_MAGIC UINT32_C(0x424d454d) /* "MEMB" */
#define SHOAL_DEFAULT_SLOTS 48
#define SHOAL_MAX_SLOTS 1024
#define SHOAL_SLOT_FREE 0
#define SHOAL_SLOT_ACTIVE 1

/* Who holds something: epoch << 32 | (slot + 1) << 16 | flags. 0 is nobody. */
#define SHOAL_OWNER_FLAGS UINT64_C(0xff)

/* Flags of a lock's owner word. */
#define SHOAL_LOCK_WAITERS UINT64_C(1)
#define SHOAL_LOCK_INCONSISTENT UINT64_C(2)
#define SHOAL_LOCK_NOT_RECOVERABLE UINT64_C(4)

struct shoal_format_mutex {
	uint32_t magic; /* stored last */
	uint32_t config;
	uint64_t state; /* owner | flags */
	uint64_t unused[6];
};

struct shoal_format_semaphore {
	uint32_t magic;
	uint32_t config; /* permits that follow; 0: value counts */
	uint32_t value;  /* count << 1 | somebody sleeps */
	uint32_t free;   /* event count: raised when a permit is given back */
	uint64_t unused[6];
};

struct shoal_format_event {
	uint32_t magic;
	uint32_t config; /* 1: resets itself */
	uint32_t state;  /* sequence << 2 | set << 1 | somebody sleeps */
	uint32_t unused[13];
};

#define SHOAL_MUTEX_MAGIC UINT32_C(0x5854554d)     /* "MUTX" */
#define SHOAL_SEMAPHORE_MAGIC UINT32_C(0x414d4553) /* "SEMA" */
#define SHOAL_EVENT_MAGIC UINT32_C(0x544e5645)     /* "EVNT" */

#define SHOAL_EVENT_SLEEPS 1u
#define SHOAL_EVENT_SET 2u
#define SHOAL_EVENT_NEXT 4u
#define SHOAL_SEMAPHORE_SLEEPS 1u

/* The largest value of a plain semaphore, and the most permits of one with undo. */
#define SHOAL_SEMAPHORE_MAX 2147483646u
#define SHOAL_SEMAPHORE_MAX_PERMITS 4096u

/* The lane of a ring: a log of records in a power of two of bytes. */
struct shoal_format_mark {
	uint64_t position; /* where a record begins, or the end */
	uint64_t number;   /* records that lie before it */
};

#define SHOAL_MARKS 16

struct shoal_format_lane {
	uint64_t owner; /* the writer's; all of this line and the marks are */
	uint64_t claim; /* what lies a lane's size below may be overwritten */
	uint64_t marked;
	uint64_t messages, bytes, full, blocked, high_water, wakes, lost_wakes, repairs, active;
	uint64_t unused[4];
	struct shoal_format_mark marks[SHOAL_MARKS];
	uint32_t data;  /* event count: readers sleep here */
	uint32_t hurry; /* the reader's: fences may be left out */
	unsigned char unused1[SHOAL_LINE - 8];
	uint32_t space; /* event count: the writer sleeps here */
	unsigned char unused2[SHOAL_LINE - 4];
};

struct shoal_format_cursor {
	uint64_t owner;    /* the reader's, as all of this */
	uint64_t position; /* all below has been released */
	uint64_t flags;
	uint64_t messages, bytes, missed, lapped, blocked, wakes, lost_wakes, repairs, active;
	uint64_t unused[4];
};

#define SHOAL_LATENCY_BUCKETS 128

struct shoal_format_latency {
	uint32_t buckets[SHOAL_LATENCY_BUCKETS];
};

struct shoal_format_ring {
	uint64_t size; /* bytes of data, which follow */
	unsigned char unused[SHOAL_LINE - 8];
	struct shoal_format_lane lane;
	struct shoal_format_cursor cursor;
	struct shoal_format_latency latency;
	unsigned char unused1[SHOAL_LINE];
};

/* Headers of records: flags and the length of the payload. */
#define SHOAL_RECORD_THERE (UINT64_C(1) << 63)
#define SHOAL_RECORD_PAD (UINT64_C(1) << 62)
#define SHOAL_RECORD_STAMP (UINT64_C(1) << 61)
#define SHOAL_RECORD_LENGTH UINT64_C(0xffffffff)
#define SHOAL_RECORD_HEADER 8
#define SHOAL_RECORD_STAMP_SIZE 8

/* Bytes of data that a ring can have, powers of two. */
#define SHOAL_RING_SIZE_MIN UINT64_C(4096)
#define SHOAL_RING_SIZE_MAX UINT64_C(4294967296)
#define SHOAL_RING_SIZE_DEFAULT UINT64_C(1048576)

/* A queue. Behind it stand a row for each member slot, the marks, one bit for each
 * slot, and the slots, which begin at a multiple of SHOAL_LINE. */
struct shoal_format_queue {
	uint64_t slots;  /* a power of two */
	uint64_t stride; /* bytes from slot to slot: a multiple of SHOAL_LINE */
	unsigned char unused[SHOAL_LINE - 16];
	uint64_t tail; /* where the next message goes; it and head may lag behind */
	unsigned char unused1[SHOAL_LINE - 8];
	uint64_t head; /* nothing is left to be found in order below it */
	unsigned char unused2[SHOAL_LINE - 8];
	uint64_t skips;    /* times that head went past positions without a message */
	uint64_t returned; /* sequence << 1 | some slot is marked */
	unsigned char unused3[SHOAL_LINE - 16];
	uint32_t items; /* event count: consumers sleep here */
	unsigned char unused4[SHOAL_LINE - 4];
	uint32_t space; /* event count: producers sleep here */
	uint32_t full;  /* sequence << 2 | SHOAL_QUEUE_FULL_... */
	uint64_t high_water;
	unsigned char unused5[SHOAL_LINE - 16];
	struct shoal_format_latency latency;
};

/* The counters of one member slot. */
struct shoal_format_queue_row {
	uint64_t sent, sent_bytes, acked, nacked, redelivered, full, send_blocked, receive_blocked, wakes, lost_wakes;
	uint64_t returned, freed; /* of members that died in this slot */
	uint64_t last_sent, last_received;
	uint64_t unused[2];
};

/* The place of one message, whose bytes follow. What stands beside the state is the
 * owner's, and does not change while it is ready. */
struct shoal_format_queue_slot {
	uint64_t state;
	uint64_t position; /* of the message that is, or was last, in the slot */
	uint64_t meta;     /* deliveries << 32 | length */
	uint64_t stamp;    /* nanoseconds since 1970: when sent, or, while taken, since when */
};

/* Kinds of a slot's state, and its flags:
 *
 *	free      position << 8 | kind            may be claimed for that position and later ones
 *	claimed   owner | PASSED | kind           a producer fills it
 *	ready     position << 8 | flags | kind    a message
 *	taken     owner | RETURNING | kind        a consumer has it
 */
#define SHOAL_QUEUE_FREE UINT64_C(0)
#define SHOAL_QUEUE_CLAIMED UINT64_C(1)
#define SHOAL_QUEUE_READY UINT64_C(2)
#define SHOAL_QUEUE_TAKEN UINT64_C(3)
#define SHOAL_QUEUE_KIND UINT64_C(3)      /* mask */
#define SHOAL_QUEUE_MARKED UINT64_C(4)    /* ready: its bit is set in the marks */
#define SHOAL_QUEUE_STAMPED UINT64_C(8)   /* ready: its stamp says when it was sent */
#define SHOAL_QUEUE_PASSED UINT64_C(4)    /* claimed: the head has passed it, or may have */
#define SHOAL_QUEUE_RETURNING UINT64_C(4) /* taken: it is being given back */
#define SHOAL_QUEUE_POSITION 8            /* shift */

#define SHOAL_QUEUE_FULL_LOOKING UINT32_C(1) /* somebody is about to see */
#define SHOAL_QUEUE_FULL_ALL UINT32_C(2)     /* all slots were seen in use, and none has been given back since */

/* How many messages a queue can hold, and of how many bytes. */
#define SHOAL_QUEUE_SLOTS_MAX 1048576
#define SHOAL_QUEUE_SLOTS_DEFAULT 1024
#define SHOAL_QUEUE_MESSAGE_MAX 1073741824
#define SHOAL_QUEUE_MESSAGE_DEFAULT 992

/* The head of a topic. Behind it: a lane for each publisher, a place word for each
 * subscriber, padded to a line, a struct shoal_format_subscriber for each, a cursor for
 * each lane and subscriber, those of lane 0 first, and the data of each lane. */
struct shoal_format_topic {
	uint32_t lanes;       /* how many publishers there can be */
	uint32_t subscribers; /* and subscribers */
	uint64_t lane_size;   /* bytes of data of each lane */
	uint32_t policy;
	unsigned char unused[SHOAL_LINE - 20];
	uint32_t data; /* event count: subscribers sleep here */
	uint32_t rest; /* number of data of whose sleepers only a few have been woken; 0: none */
	unsigned char unused1[SHOAL_LINE - 8];
	uint32_t used_lanes;  /* from there on there has never been a publisher */
	uint32_t used_places; /* nor a subscriber */
	uint64_t joins;       /* raised when there are other cursors for publishers to look at */
	unsigned char unused2[SHOAL_LINE - 16];
};

struct shoal_format_subscriber {
	uint64_t name[2];
	uint64_t blocked, wakes, lost_wakes, repairs, drops, joined;
	uint64_t unused[8];
	struct shoal_format_latency latency;
};

/* Flags of a place word, beside the owner. 0 is a free place. */
#define SHOAL_SUB_RELIABLE UINT64_C(1) /* publishers do not overwrite what lies behind its cursors */
#define SHOAL_SUB_JOINING UINT64_C(2)  /* its cursors are being set */
#define SHOAL_SUB_NAMED UINT64_C(4)    /* it has a name, and stays without a process */
#define SHOAL_SUB_DROPPED UINT64_C(8)  /* publishers were to wait for it, and do not any more */
#define SHOAL_SUB_FLAGS UINT64_C(15)

/* What publishers do when a reliable subscriber leaves no room. */
#define SHOAL_TOPIC_WAIT 0   /* wait for it */
#define SHOAL_TOPIC_REFUSE 1 /* fail: SHOAL_EBUSY, whatever the timeout */
#define SHOAL_TOPIC_DROP 2   /* make it lossy; it is told, by SHOAL_EDROPPED */

/* How many there can be; a lane has as many bytes as a ring, and a default of its own. */
#define SHOAL_TOPIC_PUBLISHERS_MAX 1024
#define SHOAL_TOPIC_PUBLISHERS_DEFAULT 8
#define SHOAL_TOPIC_SUBSCRIBERS_MAX 16384
#define SHOAL_TOPIC_SUBSCRIBERS_DEFAULT 64
#define SHOAL_TOPIC_LANE_SIZE_DEFAULT UINT64_C(131072)
#define SHOAL_TOPIC_NAME_MAX 16 /* bytes */

/* The longest name of an object, and the longest text of a type, in bytes. */
#define SHOAL_NAME_MAX 200
#define SHOAL_SCHEMA_MAX 65536

#define SHOAL_AT_(type, field, at) \
	SHOAL_ASSERT_(offsetof(struct shoal_format_##type, field) == (at), "offset of " #field " in " #type)
#define SHOAL_SIZE_(type, size) SHOAL_ASSERT_(sizeof(struct shoal_format_##type) == (size), "size of " #type)

SHOAL_SIZE_(header, 64);
SHOAL_AT_(header, magic, 0);
SHOAL_AT_(header, version, 8);
SHOAL_AT_(header, kind, 12);
SHOAL_AT_(header, size, 16);
SHOAL_AT_(header, fingerprint, 24);
SHOAL_AT_(header, body, 32);
SHOAL_AT_(header, schema_offset, 40);
SHOAL_AT_(header, schema_length, 44);
SHOAL_AT_(header, slots, 48);
SHOAL_AT_(header, creator, 52);
SHOAL_AT_(header, created, 56);
SHOAL_SIZE_(members, 64);
SHOAL_AT_(members, magic, 0);
SHOAL_AT_(members, version, 4);
SHOAL_AT_(members, slots, 8);
SHOAL_AT_(members, changes, 12);
SHOAL_AT_(members, retired, 16);
SHOAL_AT_(members, deaths, 24);
SHOAL_AT_(members, repairs, 32);
SHOAL_AT_(members, lost_wakes, 40);
SHOAL_AT_(members, lock, 48);
SHOAL_SIZE_(bell, 8);
SHOAL_AT_(bell, word, 0);
SHOAL_SIZE_(slot, 64);
SHOAL_AT_(slot, claim, 0);
SHOAL_AT_(slot, pid, 8);
SHOAL_AT_(slot, role, 12);
SHOAL_AT_(slot, pidns, 16);
SHOAL_AT_(slot, start, 24);
SHOAL_AT_(slot, joined, 32);
SHOAL_AT_(slot, name, 40);
SHOAL_SIZE_(mutex, 64);
SHOAL_AT_(mutex, magic, 0);
SHOAL_AT_(mutex, config, 4);
SHOAL_AT_(mutex, state, 8);
SHOAL_SIZE_(semaphore, 64);
SHOAL_AT_(semaphore, magic, 0);
SHOAL_AT_(semaphore, config, 4);
SHOAL_AT_(semaphore, value, 8);
SHOAL_AT_(semaphore, free, 12);
SHOAL_SIZE_(event, 64);
SHOAL_AT_(event, magic, 0);
SHOAL_AT_(event, config, 4);
SHOAL_AT_(event, state, 8);
SHOAL_SIZE_(mark, 16);
SHOAL_AT_(mark, position, 0);
SHOAL_AT_(mark, number, 8);
SHOAL_SIZE_(lane, 640);
SHOAL_AT_(lane, owner, 0);
SHOAL_AT_(lane, claim, 8);
SHOAL_AT_(lane, marked, 16);
SHOAL_AT_(lane, messages, 24);
SHOAL_AT_(lane, bytes, 32);
SHOAL_AT_(lane, full, 40);
SHOAL_AT_(lane, blocked, 48);
SHOAL_AT_(lane, high_water, 56);
SHOAL_AT_(lane, wakes, 64);
SHOAL_AT_(lane, lost_wakes, 72);
SHOAL_AT_(lane, repairs, 80);
SHOAL_AT_(lane, active, 88);
SHOAL_AT_(lane, marks, 128);
SHOAL_AT_(lane, data, 384);
SHOAL_AT_(lane, hurry, 388);
SHOAL_AT_(lane, space, 512);
SHOAL_SIZE_(cursor, 128);
SHOAL_AT_(cursor, owner, 0);
SHOAL_AT_(cursor, position, 8);
SHOAL_AT_(cursor, flags, 16);
SHOAL_AT_(cursor, messages, 24);
SHOAL_AT_(cursor, bytes, 32);
SHOAL_AT_(cursor, missed, 40);
SHOAL_AT_(cursor, lapped, 48);
SHOAL_AT_(cursor, blocked, 56);
SHOAL_AT_(cursor, wakes, 64);
SHOAL_AT_(cursor, lost_wakes, 72);
SHOAL_AT_(cursor, repairs, 80);
SHOAL_AT_(cursor, active, 88);
SHOAL_SIZE_(latency, 512);
SHOAL_AT_(latency, buckets, 0);
SHOAL_SIZE_(ring, 1536);
SHOAL_AT_(ring, size, 0);
SHOAL_AT_(ring, lane, 128);
SHOAL_AT_(ring, cursor, 768);
SHOAL_AT_(ring, latency, 896);
SHOAL_SIZE_(queue, 1280);
SHOAL_AT_(queue, slots, 0);
SHOAL_AT_(queue, stride, 8);
SHOAL_AT_(queue, tail, 128);
SHOAL_AT_(queue, head, 256);
SHOAL_AT_(queue, skips, 384);
SHOAL_AT_(queue, returned, 392);
SHOAL_AT_(queue, items, 512);
SHOAL_AT_(queue, space, 640);
SHOAL_AT_(queue, full, 644);
SHOAL_AT_(queue, high_water, 648);
SHOAL_AT_(queue, latency, 768);
SHOAL_SIZE_(queue_row, 128);
SHOAL_AT_(queue_row, sent, 0);
SHOAL_AT_(queue_row, sent_bytes, 8);
SHOAL_AT_(queue_row, acked, 16);
SHOAL_AT_(queue_row, nacked, 24);
SHOAL_AT_(queue_row, redelivered, 32);
SHOAL_AT_(queue_row, full, 40);
SHOAL_AT_(queue_row, send_blocked, 48);
SHOAL_AT_(queue_row, receive_blocked, 56);
SHOAL_AT_(queue_row, wakes, 64);
SHOAL_AT_(queue_row, lost_wakes, 72);
SHOAL_AT_(queue_row, returned, 80);
SHOAL_AT_(queue_row, freed, 88);
SHOAL_AT_(queue_row, last_sent, 96);
SHOAL_AT_(queue_row, last_received, 104);
SHOAL_SIZE_(queue_slot, 32);
SHOAL_AT_(queue_slot, state, 0);
SHOAL_AT_(queue_slot, position, 8);
SHOAL_AT_(queue_slot, meta, 16);
SHOAL_AT_(queue_slot, stamp, 24);
SHOAL_SIZE_(topic, 384);
SHOAL_AT_(topic, lanes, 0);
SHOAL_AT_(topic, subscribers, 4);
SHOAL_AT_(topic, lane_size, 8);
SHOAL_AT_(topic, policy, 16);
SHOAL_AT_(topic, data, 128);
SHOAL_AT_(topic, rest, 132);
SHOAL_AT_(topic, used_lanes, 256);
SHOAL_AT_(topic, used_places, 260);
SHOAL_AT_(topic, joins, 264);
SHOAL_SIZE_(subscriber, 640);
SHOAL_AT_(subscriber, name, 0);
SHOAL_AT_(subscriber, blocked, 16);
SHOAL_AT_(subscriber, wakes, 24);
SHOAL_AT_(subscriber, lost_wakes, 32);
SHOAL_AT_(subscriber, repairs, 40);
SHOAL_AT_(subscriber, drops, 48);
SHOAL_AT_(subscriber, joined, 56);
SHOAL_AT_(subscriber, latency, 128);

/* The size of a member table of so many slots. */
static inline uint64_t shoal_members_size_(uint64_t slots) { return 64 + slots * (8 + 64); }

/* Where slot i stands in it. */
static inline uint64_t shoal_slot_at_(uint64_t slots, uint64_t i) { return 64 + slots * 8 + i * 64; }

static inline uint64_t shoal_owner_(uint32_t slot, uint32_t epoch)
{
	return (uint64_t)epoch << 32 | (uint64_t)(slot + 1) << 16;
}

/* The owner in a word, without the flags; its slot, -1 for nobody, and perhaps
 * out of range in a damaged word; its epoch. */
static inline uint64_t shoal_owner_of_(uint64_t word) { return word & ~SHOAL_OWNER_FLAGS; }
static inline int shoal_owner_slot_(uint64_t owner) { return (int)(owner >> 16 & 0xffff) - 1; }
static inline uint32_t shoal_owner_epoch_(uint64_t owner) { return (uint32_t)(owner >> 32); }

static inline uint64_t shoal_claim_(uint32_t epoch, uint32_t state) { return (uint64_t)epoch << 32 | state; }
static inline bool shoal_active_(uint64_t claim) { return (uint32_t)claim == SHOAL_SLOT_ACTIVE; }

/* shoal_fingerprint returns the fingerprint of the text of a type (FNV-1a). The
 * text is what "shoal schema NAME --c" prints as NAME_SCHEMA. */
static inline uint64_t shoal_fingerprint(const char *text, size_t length)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t i;

	for (i = 0; i < length; i++)
		h = (h ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return h == 0 ? 1 : h; /* 0 is the fingerprint of untyped bytes */
}

/* =============================================================== Words ==
 *
 * Everything that others may change meanwhile is read once into a local, and
 * written by these. All of them are sequentially consistent, as those of Go are:
 * the argument why the event count loses no wake-up needs it (below), and the
 * others lose nothing by it on x86-64.
 */

/* Called after every store to shared memory. Crash tests define it, and die there. */
#ifndef SHOAL_STORED_
#define SHOAL_STORED_() ((void)0)
#endif

static inline uint32_t shoal_load32_(const uint32_t *w) { return __atomic_load_n(w, __ATOMIC_SEQ_CST); }
static inline uint64_t shoal_load64_(const uint64_t *w) { return __atomic_load_n(w, __ATOMIC_SEQ_CST); }

static inline void shoal_store32_(uint32_t *w, uint32_t x)
{
	__atomic_store_n(w, x, __ATOMIC_SEQ_CST);
	SHOAL_STORED_();
}

static inline void shoal_store64_(uint64_t *w, uint64_t x)
{
	__atomic_store_n(w, x, __ATOMIC_SEQ_CST);
	SHOAL_STORED_();
}

static inline void shoal_add32_(uint32_t *w, uint32_t d)
{
	__atomic_fetch_add(w, d, __ATOMIC_SEQ_CST);
	SHOAL_STORED_();
}

static inline void shoal_add64_(uint64_t *w, uint64_t d)
{
	__atomic_fetch_add(w, d, __ATOMIC_SEQ_CST);
	SHOAL_STORED_();
}

/* Stores x if the word is old, and reports whether it did. */
static inline bool shoal_cas32_(uint32_t *w, uint32_t old, uint32_t x)
{
	if (!__atomic_compare_exchange_n(w, &old, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	SHOAL_STORED_();
	return true;
}

static inline bool shoal_cas64_(uint64_t *w, uint64_t old, uint64_t x)
{
	if (!__atomic_compare_exchange_n(w, &old, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	SHOAL_STORED_();
	return true;
}

/* The low half of a word, on which the kernel can sleep. */
static inline uint32_t *shoal_low_(uint64_t *w) { return (uint32_t *)(void *)w; }

/* ======================================================== System calls ==
 *
 * One function makes them and returns what the kernel does: the result, or an
 * errno, negated. Constants are the kernel's, under names of our own, because the
 * C library hides some of them unless asked beforehand.
 */

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* Linux 5.16 */
#endif

#define SHOAL_AT_FDCWD_ (-100)
#define SHOAL_AT_SYMLINK_NOFOLLOW_ 0x100
#define SHOAL_AT_SYMLINK_FOLLOW_ 0x400
#define SHOAL_AT_EMPTY_PATH_ 0x1000
#define SHOAL_O_NONBLOCK_ 04000
#define SHOAL_O_CLOEXEC_ 02000000
#define SHOAL_O_PATH_ 010000000
#ifdef __x86_64__
#define SHOAL_O_NOFOLLOW_ 0400000
#define SHOAL_O_TMPFILE_ 020200000
#else
#define SHOAL_O_NOFOLLOW_ 0100000
#define SHOAL_O_TMPFILE_ 020040000
#endif
#define SHOAL_F_OFD_GETLK_ 36
#define SHOAL_F_OFD_SETLK_ 37
#define SHOAL_F_OFD_SETLKW_ 38
#define SHOAL_S_IFMT_ 0170000
#define SHOAL_S_IFREG_ 0100000
#define SHOAL_S_IFDIR_ 0040000
#define SHOAL_S_IFLNK_ 0120000
#define SHOAL_MAP_ANONYMOUS_ 0x20
#define SHOAL_MADV_DONTFORK_ 10
#define SHOAL_MADV_WIPEONFORK_ 18
#define SHOAL_CLOCK_REALTIME_ 0
#define SHOAL_CLOCK_MONOTONIC_ 1
#define SHOAL_FUTEX_WAKE_ 1
#define SHOAL_FUTEX_WAIT_BITSET_ 9
#define SHOAL_FUTEX_PRIVATE_ 128
#define SHOAL_FUTEX_OWNER_DIED UINT32_C(0x40000000)
#define SHOAL_FUTEX_WAITERS UINT32_C(0x80000000)
#define SHOAL_FUTEX2_U32_ 2
#define SHOAL_WAITV_MAX_ 128
#define SHOAL_ROBUST_LIMIT_ 2048 /* entries of a list that the kernel follows */
#define SHOAL_PAGE_ 4096

static inline long shoal_call_(long number, long a, long b, long c, long d, long e, long f)
{
	long r = syscall(number, a, b, c, d, e, f);

	return r == -1 ? -(long)errno : r;
}

/* The same, until no signal interrupts it. */
static inline long shoal_call_again_(long number, long a, long b, long c, long d, long e)
{
	long r;

	do
		r = shoal_call_(number, a, b, c, d, e, 0);
	while (r == -EINTR);
	return r;
}

#define SHOAL_WORD_(p) ((long)(intptr_t)(p))

static inline int shoal_openat_(const char *path, int flags, unsigned mode)
{
	return (int)shoal_call_again_(SYS_openat, SHOAL_AT_FDCWD_, SHOAL_WORD_(path), flags | SHOAL_O_CLOEXEC_,
	                              (long)mode, 0);
}

static inline void shoal_close_fd_(int fd) { shoal_call_(SYS_close, fd, 0, 0, 0, 0, 0); }

static inline int shoal_stat_(const char *path, struct stat *st, int flags)
{
	return (int)shoal_call_(SYS_newfstatat, SHOAL_AT_FDCWD_, SHOAL_WORD_(path), SHOAL_WORD_(st), flags, 0, 0);
}

static inline int64_t shoal_clock_(int clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts); /* neither of the two clocks can fail */
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t shoal_now_(void) { return shoal_clock_(SHOAL_CLOCK_MONOTONIC_); }

/* Sleeps so many nanoseconds, or less. */
static inline void shoal_nap_(int64_t ns)
{
	struct timespec ts;

	ts.tv_sec = (time_t)(ns / 1000000000);
	ts.tv_nsec = (long)(ns % 1000000000);
	shoal_call_(SYS_nanosleep, SHOAL_WORD_(&ts), 0, 0, 0, 0, 0);
}

/* Wakes at most n who sleep on w, in any process. */
static inline void shoal_wake_(uint32_t *w, int n)
{
	shoal_call_(SYS_futex, SHOAL_WORD_(w), SHOAL_FUTEX_WAKE_, n, 0, 0, 0);
}

static inline void shoal_wake_all_(uint32_t *w) { shoal_wake_(w, INT32_MAX); }

/* Sleeps while w is val, until the instant (of CLOCK_MONOTONIC): 0 when woken,
 * -EAGAIN, -EINTR, -ETIMEDOUT. */
static inline int shoal_futex_wait_(uint32_t *w, uint32_t val, int64_t until, int flags)
{
	struct timespec ts;

	ts.tv_sec = (time_t)(until / 1000000000);
	ts.tv_nsec = (long)(until % 1000000000);
	return (int)shoal_call_(SYS_futex, SHOAL_WORD_(w), SHOAL_FUTEX_WAIT_BITSET_ | flags, (long)val,
	                        until == INT64_MAX ? 0 : SHOAL_WORD_(&ts), 0, (long)UINT32_MAX);
}

/* A lock between the threads of this process, for what is short and rare. 0 is
 * open, 1 is taken, 2 is taken and somebody waits. */
static inline void shoal_gate_enter_(uint32_t *gate)
{
	uint32_t is = 0;

	if (__atomic_compare_exchange_n(gate, &is, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(gate, 2, __ATOMIC_ACQUIRE) != 0)
		shoal_futex_wait_(gate, 2, INT64_MAX, SHOAL_FUTEX_PRIVATE_);
}

static inline void shoal_gate_leave_(uint32_t *gate)
{
	if (__atomic_exchange_n(gate, 0, __ATOMIC_RELEASE) == 2)
		shoal_call_(SYS_futex, SHOAL_WORD_(gate), SHOAL_FUTEX_WAKE_ | SHOAL_FUTEX_PRIVATE_, 1, 0, 0, 0);
}

/* Locks of bytes of a file. They belong to the open file description, and so to
 * the process that has it; the kernel drops them when its last thread is gone. */
static inline int shoal_lock_byte_(int fd, int command, short type, uint64_t at, short *found)
{
	struct flock lock;
	long r;

	memset(&lock, 0, sizeof lock); /* l_pid must be 0 */
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	lock.l_start = (off_t)at;
	lock.l_len = 1;
	r = shoal_call_again_(SYS_fcntl, fd, command, SHOAL_WORD_(&lock), 0, 0);
	if (found != NULL)
		*found = lock.l_type;
	return (int)r;
}

/* Takes the lock: 1 if it could, 0 if another description has it, or an error. */
static inline int shoal_byte_try_(int fd, uint64_t at)
{
	int r = shoal_lock_byte_(fd, SHOAL_F_OFD_SETLK_, F_WRLCK, at, NULL);

	if (r == -EAGAIN || r == -EACCES)
		return 0;
	return r < 0 ? r : 1;
}

static inline int shoal_byte_wait_(int fd, uint64_t at)
{
	return shoal_lock_byte_(fd, SHOAL_F_OFD_SETLKW_, F_WRLCK, at, NULL);
}

static inline void shoal_byte_unlock_(int fd, uint64_t at)
{
	shoal_lock_byte_(fd, SHOAL_F_OFD_SETLK_, F_UNLCK, at, NULL);
}

/* Reports whether another description has the byte locked. Who cannot tell says yes. */
static inline bool shoal_byte_taken_(int fd, uint64_t at)
{
	short type = F_UNLCK;

	return shoal_lock_byte_(fd, SHOAL_F_OFD_GETLK_, F_WRLCK, at, &type) < 0 || type != F_UNLCK;
}

/* ============================================================ Segments ==
 *
 * Memory that processes share, whatever the system calls it:
 *
 *	/name, posix:/name   a POSIX object, in /dev/shm
 *	file:PATH            a regular file
 *	sysv:0x1234          a System V key
 *	sysv-id:7            a System V id
 *
 * An object appears complete or not at all. It is made without a name (O_TMPFILE),
 * its memory reserved (fallocate: a bare ftruncate would promise memory that is
 * not there, and the first touch would be SIGBUS), its mode set exactly as asked
 * whatever the umask, its bytes written; then link(2) gives it its name. Whoever
 * dies before has made nothing. System V memory alone is visible, as zeros, while
 * it is filled.
 */

enum shoal_backing_ { SHOAL_POSIX_ = 1, SHOAL_FILE_ = 2, SHOAL_SYSV_ = 3, SHOAL_SYSV_ID_ = 4 };

struct shoal_address_ {
	enum shoal_backing_ backing;
	int32_t number;  /* System V: key or id */
	char path[4096]; /* of the others */
};

/* Memory that is mapped here. */
struct shoal_segment {
	unsigned char *base;
	uint64_t size;
	int fd;     /* -1 for System V */
	int32_t id; /* of System V */
	unsigned mode;
	uint32_t group;
};

static inline int shoal_address_number_(struct shoal_address_ *a, enum shoal_backing_ backing, const char *digits)
{
	char *end;
	long long n;

	if (digits[0] == 0 || strchr("-0123456789", digits[0]) == NULL)
		return -EINVAL;
	errno = 0;
	n = strtoll(digits, &end, 0);
	if (*end != 0 || errno != 0)
		return -EINVAL;
	if (backing == SHOAL_SYSV_ID_ ? n < 0 || n > INT32_MAX : n < INT32_MIN || n > UINT32_MAX)
		return -ERANGE;
	a->backing = backing;
	a->number = (int32_t)(uint32_t)n;
	return 0;
}

static inline int shoal_address_posix_(struct shoal_address_ *a, const char *name)
{
	while (*name == '/')
		name++;
	if (*name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strchr(name, '/') != NULL)
		return -EINVAL;
	if (strlen(name) > 255)
		return -ENAMETOOLONG;
	a->backing = SHOAL_POSIX_;
	snprintf(a->path, sizeof a->path, "/dev/shm/%s", name);
	return 0;
}

static inline int shoal_address_parse_(struct shoal_address_ *a, const char *address)
{
	if (address[0] == '/')
		return shoal_address_posix_(a, address);
	if (strncmp(address, "posix:", 6) == 0)
		return shoal_address_posix_(a, address + 6);
	if (strncmp(address, "sysv:", 5) == 0)
		return shoal_address_number_(a, SHOAL_SYSV_, address + 5);
	if (strncmp(address, "sysv-id:", 8) == 0)
		return shoal_address_number_(a, SHOAL_SYSV_ID_, address + 8);
	if (strncmp(address, "file:", 5) != 0 || address[5] == 0)
		return -EINVAL;
	if (strlen(address + 5) >= sizeof a->path)
		return -ENAMETOOLONG;
	a->backing = SHOAL_FILE_;
	strcpy(a->path, address + 5);
	return 0;
}

static inline bool shoal_is_sysv_(const struct shoal_address_ *a)
{
	return a->backing == SHOAL_SYSV_ || a->backing == SHOAL_SYSV_ID_;
}

/* What is no regular file is no object. */
static inline int shoal_regular_(const struct stat *st)
{
	switch (st->st_mode & SHOAL_S_IFMT_) {
	case SHOAL_S_IFREG_:
		return 0;
	case SHOAL_S_IFDIR_:
		return -EISDIR;
	case SHOAL_S_IFLNK_:
		return -ELOOP;
	}
	return -EINVAL;
}

/* Waits for a lease on the file to end: what is waited on is made sure of first,
 * by a descriptor that opens nothing. */
static inline int shoal_open_leased_(const char *path, int flags)
{
	char self[64];
	struct stat st;
	int fd, r = shoal_openat_(path, SHOAL_O_PATH_ | SHOAL_O_NOFOLLOW_, 0);

	if (r < 0)
		return r;
	fd = r;
	r = fstat(fd, &st) < 0 ? -errno : shoal_regular_(&st);
	if (r == 0) {
		snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
		r = shoal_openat_(self, flags, 0);
	}
	shoal_close_fd_(fd);
	return r;
}

/* Opens a regular file that exists. Never with O_CREAT: fs.protected_regular would
 * refuse another user's. */
static inline int shoal_open_regular_(const char *path, int flags, struct stat *st)
{
	struct stat named;
	int fd, r;

	/* A FIFO in its place must not block. */
	fd = shoal_openat_(path, flags | SHOAL_O_NOFOLLOW_ | SHOAL_O_NONBLOCK_, 0);
	if (fd == -EAGAIN)
		fd = shoal_open_leased_(path, flags);
	if (fd < 0)
		return fd;
	r = fstat(fd, st) < 0 ? -errno : shoal_regular_(st);
	/* Removed while open waited for the lease. (Or the file system counts no links.) */
	if (r == 0 && st->st_nlink == 0 &&
	    (shoal_stat_(path, &named, SHOAL_AT_SYMLINK_NOFOLLOW_) < 0 || named.st_ino != st->st_ino ||
	     named.st_dev != st->st_dev))
		r = -ENOENT;
	if (r < 0) {
		shoal_close_fd_(fd);
		return r;
	}
	return fd;
}

/* struct shmid64_ds of the kernel, the same on both machines. */
struct shoal_shmid_ {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t sequence, unused[3];
	uint64_t more[2];
	uint64_t size;
	uint64_t attached_at, detached_at, changed_at;
	int32_t creator, last;
	uint64_t attached, rest[2];
};

SHOAL_ASSERT_(sizeof(struct shoal_shmid_) == 112 && offsetof(struct shoal_shmid_, size) == 48, "struct shmid64_ds");

/* An id that does not exist is EINVAL to the kernel, as is a call that makes no sense. */
static inline int shoal_missing_(long r) { return r == -EINVAL || r == -EIDRM ? -ENOENT : (int)r; }

static inline int shoal_sysv_find_(const struct shoal_address_ *a)
{
	if (a->backing == SHOAL_SYSV_ID_)
		return a->number;
	if (a->number == 0) /* IPC_PRIVATE finds nothing */
		return -EINVAL;
	return (int)shoal_call_(SYS_shmget, a->number, 0, 0, 0, 0, 0);
}

static inline int shoal_sysv_map_(struct shoal_segment *s, int id, bool read_only)
{
	struct shoal_shmid_ ds;
	long r = shoal_call_(SYS_shmctl, id, 2 /* IPC_STAT */, SHOAL_WORD_(&ds), 0, 0, 0);

	if (r < 0)
		return shoal_missing_(r);
	r = shoal_call_(SYS_shmat, id, 0, read_only ? 010000 /* SHM_RDONLY */ : 0, 0, 0, 0);
	if (r < 0 && r > -4096)
		return shoal_missing_(r);
	s->base = (unsigned char *)(intptr_t)r;
	s->size = ds.size;
	s->fd = -1;
	s->id = (int32_t)id;
	s->mode = ds.mode & 0777;
	s->group = ds.gid;
	return 0;
}

static inline int shoal_file_map_(struct shoal_segment *s, int fd, const struct stat *st, bool read_only)
{
	void *base;

	if (st->st_size <= 0)
		return SHOAL_EUNFINISHED; /* its creator is between open and ftruncate, or died there */
	base = mmap(NULL, (size_t)st->st_size, PROT_READ | (read_only ? 0 : PROT_WRITE), MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	s->base = (unsigned char *)base;
	s->size = (uint64_t)st->st_size;
	s->fd = fd;
	s->id = -1;
	s->mode = st->st_mode & 0777;
	s->group = st->st_gid;
	return 0;
}

static inline void shoal_segment_unmap_(struct shoal_segment *s)
{
	if (s->base == NULL)
		return;
	if (s->fd < 0)
		shoal_call_(SYS_shmdt, SHOAL_WORD_(s->base), 0, 0, 0, 0, 0);
	else {
		munmap(s->base, (size_t)s->size);
		shoal_close_fd_(s->fd);
	}
	s->base = NULL;
	s->fd = -1;
}

static inline int shoal_segment_open_(struct shoal_segment *s, const struct shoal_address_ *a, bool read_only)
{
	struct stat st;
	int fd, r;

	if (shoal_is_sysv_(a)) {
		r = shoal_sysv_find_(a);
		return r < 0 ? r : shoal_sysv_map_(s, r, read_only);
	}
	fd = shoal_open_regular_(a->path, read_only ? O_RDONLY : O_RDWR, &st);
	if (fd < 0)
		return fd;
	r = shoal_file_map_(s, fd, &st, read_only);
	if (r < 0)
		shoal_close_fd_(fd);
	return r;
}

/* How a new object is made. */
struct shoal_making_ {
	uint64_t size;
	unsigned mode;         /* permission bits, set exactly so */
	const uint32_t *group; /* NULL: the creator's */
	/* Writes the contents over zeros; NULL leaves them. */
	int (*fill)(unsigned char *base, uint64_t size, void *argument);
	void *argument;
};

/* A file that is complete but has no name yet; temporary is its name where the
 * file system knows no O_TMPFILE. Litter of that kind begins with .shoal-draft-. */
struct shoal_draft_ {
	int fd;
	char temporary[4200];
};

static inline int shoal_draft_named_(struct shoal_draft_ *d, const char *path, int directory, unsigned mode)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned char random[26];
	char suffix[27];
	size_t i;
	long r = shoal_call_again_(SYS_getrandom, SHOAL_WORD_(random), (long)sizeof random, 0, 0, 0);

	if (r < 0)
		return (int)r;
	for (i = 0; i < sizeof random; i++)
		suffix[i] = letters[random[i] & 31];
	suffix[i] = 0;
	snprintf(d->temporary, sizeof d->temporary, "%.*s/.shoal-draft-%s", directory, path, suffix);
	r = shoal_openat_(d->temporary, O_RDWR | O_CREAT | O_EXCL | SHOAL_O_NOFOLLOW_, mode);
	if (r < 0)
		d->temporary[0] = 0;
	return (int)r;
}

static inline int shoal_draft_open_(struct shoal_draft_ *d, const char *path, unsigned mode)
{
	const char *slash = strrchr(path, '/');
	int directory = slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path);
	char in[4096];

	d->temporary[0] = 0;
	if (slash == NULL)
		path = ".";
	snprintf(in, sizeof in, "%.*s", directory, path);
	d->fd = shoal_openat_(in, O_RDWR | SHOAL_O_TMPFILE_, mode);
	if (d->fd == -EOPNOTSUPP || d->fd == -EISDIR || d->fd == -EINVAL)
		d->fd = shoal_draft_named_(d, path, directory, mode);
	return d->fd < 0 ? d->fd : 0;
}

static inline int shoal_draft_publish_(struct shoal_draft_ *d, const char *path)
{
	char self[64];
	long r;

	if (d->temporary[0] == 0) {
		/* To link a descriptor itself takes CAP_DAC_READ_SEARCH or Linux 6.10; the
		 * detour through /proc takes neither. */
		r = shoal_call_(SYS_linkat, d->fd, SHOAL_WORD_(""), SHOAL_AT_FDCWD_, SHOAL_WORD_(path),
		                SHOAL_AT_EMPTY_PATH_, 0);
		if (r != -ENOENT)
			return (int)r;
		snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
		return (int)shoal_call_(SYS_linkat, SHOAL_AT_FDCWD_, SHOAL_WORD_(self), SHOAL_AT_FDCWD_,
		                        SHOAL_WORD_(path), SHOAL_AT_SYMLINK_FOLLOW_, 0);
	}
	r = shoal_call_(SYS_linkat, SHOAL_AT_FDCWD_, SHOAL_WORD_(d->temporary), SHOAL_AT_FDCWD_, SHOAL_WORD_(path), 0,
	                0);
	if (r == -EPERM || r == -EOPNOTSUPP) { /* no hard links, as on vfat */
		r = shoal_call_(SYS_renameat2, SHOAL_AT_FDCWD_, SHOAL_WORD_(d->temporary), SHOAL_AT_FDCWD_,
		                SHOAL_WORD_(path), 1 /* RENAME_NOREPLACE */, 0);
		if (r == 0)
			d->temporary[0] = 0;
	}
	return (int)r;
}

static inline void shoal_draft_discard_(struct shoal_draft_ *d)
{
	if (d->temporary[0] != 0)
		unlink(d->temporary);
}

/* Reserves memory by writing zeros, where the file system knows no fallocate. */
static inline int shoal_write_zeros_(int fd, uint64_t at, uint64_t length)
{
	static const char zeros[4096] = {0};
	long r;

	while (length > 0) {
		r = shoal_call_again_(SYS_pwrite64, fd, SHOAL_WORD_(zeros),
		                      (long)(length < sizeof zeros ? length : sizeof zeros), (long)at, 0);
		if (r < 0)
			return (int)r;
		at += (uint64_t)r;
		length -= (uint64_t)r;
	}
	return 0;
}

/* Refuses what cannot succeed before the first of its pieces has taken memory: on a
 * machine that is short of it, the last one might get somebody killed. */
static inline int shoal_room_(int fd, enum shoal_backing_ backing, uint64_t size)
{
	struct statfs fs;
	struct sysinfo machine;

	if (fstatfs(fd, &fs) < 0 || fs.f_bsize <= 0)
		return 0; /* the pieces will tell */
	if (fs.f_blocks > 0 && (size - 1) / (uint64_t)fs.f_bsize >= fs.f_bfree)
		return -ENOSPC;
	if (backing != SHOAL_FILE_ && sysinfo(&machine) == 0 &&
	    size > ((uint64_t)machine.totalram + machine.totalswap) * machine.mem_unit)
		return -ENOMEM;
	return 0;
}

/* Gives every byte of a new file its memory. In pieces: a signal makes tmpfs undo
 * the call that it interrupts, so one for gigabytes might never end. */
static inline int shoal_reserve_(int fd, uint64_t size)
{
	const uint64_t piece = UINT64_C(64) << 20;
	uint64_t at, n;
	long r;

	for (at = 0; at < size; at += n) {
		n = size - at < piece ? size - at : piece;
		r = shoal_call_again_(SYS_fallocate, fd, 0, (long)at, (long)n, 0);
		if (r == -EOPNOTSUPP)
			r = shoal_write_zeros_(fd, at, n);
		if (r < 0)
			return (int)r;
	}
	return 0;
}

static inline int shoal_file_fill_(struct shoal_segment *s, struct shoal_draft_ *d, enum shoal_backing_ backing,
                                   const struct shoal_making_ *making)
{
	struct stat st;
	long r = 0;

	if (making->group != NULL)
		r = shoal_call_(SYS_fchown, d->fd, -1, (long)*making->group, 0, 0, 0);
	if (r == 0) /* after chown, which may clear bits */
		r = shoal_call_(SYS_fchmod, d->fd, (long)making->mode, 0, 0, 0, 0);
	if (r == 0)
		r = shoal_room_(d->fd, backing, making->size);
	if (r == 0)
		r = shoal_reserve_(d->fd, making->size);
	if (r == 0 && fstat(d->fd, &st) < 0)
		r = -errno;
	if (r == 0)
		r = shoal_file_map_(s, d->fd, &st, false);
	if (r == 0 && making->fill != NULL)
		r = making->fill(s->base, s->size, making->argument);
	return (int)r;
}

SHOAL_SLOW_ int shoal_file_create_(struct shoal_segment *s, const struct shoal_address_ *a,
                                   const struct shoal_making_ *making)
{
	struct shoal_draft_ d;
	struct stat st;
	int r;

	/* Where it takes long, a name that is taken fails before memory is spent. */
	if (making->size > 65536 && shoal_stat_(a->path, &st, SHOAL_AT_SYMLINK_NOFOLLOW_) == 0)
		return -EEXIST;
	r = shoal_draft_open_(&d, a->path, making->mode);
	if (r < 0)
		return r;
	r = shoal_file_fill_(s, &d, a->backing, making);
	if (r == 0)
		r = shoal_draft_publish_(&d, a->path);
	shoal_draft_discard_(&d);
	if (r < 0) {
		if (s->base != NULL)
			shoal_segment_unmap_(s);
		else
			shoal_close_fd_(d.fd);
	}
	return r;
}

static inline int shoal_sysv_create_(struct shoal_segment *s, const struct shoal_address_ *a,
                                     const struct shoal_making_ *making)
{
	struct shoal_shmid_ ds;
	long id, r;

	if (a->backing == SHOAL_SYSV_ID_) /* the kernel chooses ids */
		return -EINVAL;
	id = shoal_call_(SYS_shmget, a->number, (long)making->size,
	                 03000 /* IPC_CREAT | IPC_EXCL */ | (long)making->mode, 0, 0, 0);
	if (id < 0)
		return (int)id;
	r = 0;
	if (making->group != NULL) {
		r = shoal_call_(SYS_shmctl, id, 2 /* IPC_STAT */, SHOAL_WORD_(&ds), 0, 0, 0);
		ds.gid = *making->group;
		if (r == 0)
			r = shoal_call_(SYS_shmctl, id, 1 /* IPC_SET */, SHOAL_WORD_(&ds), 0, 0, 0);
	}
	if (r == 0)
		r = shoal_sysv_map_(s, (int)id, false);
	if (r == 0 && making->fill != NULL)
		r = making->fill(s->base, s->size, making->argument);
	if (r < 0) {
		shoal_call_(SYS_shmctl, id, 0 /* IPC_RMID */, 0, 0, 0, 0);
		shoal_segment_unmap_(s);
	}
	return (int)r;
}

static inline int shoal_segment_make_(struct shoal_segment *s, const struct shoal_address_ *a,
                                      const struct shoal_making_ *making)
{
	memset(s, 0, sizeof *s);
	s->fd = -1;
	if (making->size == 0 || making->size > INT64_MAX || (making->mode & ~0777u) != 0)
		return -EINVAL;
	return shoal_is_sysv_(a) ? shoal_sysv_create_(s, a, making) : shoal_file_create_(s, a, making);
}

/* shoal_segment_create makes and maps size bytes of zeros; -EEXIST if there is such
 * an object already. The mode is set exactly as given; 0 means 0600. */
static inline int shoal_segment_create(struct shoal_segment *s, const char *address, uint64_t size, unsigned mode)
{
	struct shoal_address_ a;
	struct shoal_making_ making;
	int r = shoal_address_parse_(&a, address);

	memset(s, 0, sizeof *s);
	memset(&making, 0, sizeof making);
	making.size = size;
	making.mode = mode == 0 ? 0600 : mode;
	return r < 0 ? r : shoal_segment_make_(s, &a, &making);
}

/* shoal_segment_open maps an existing object whole, whoever made it. */
static inline int shoal_segment_open(struct shoal_segment *s, const char *address)
{
	struct shoal_address_ a;
	int r = shoal_address_parse_(&a, address);

	memset(s, 0, sizeof *s);
	s->fd = -1;
	return r < 0 ? r : shoal_segment_open_(s, &a, false);
}

/* shoal_segment_data returns its bytes, valid until shoal_segment_close, and
 * shoal_segment_size how many there are. */
static inline void *shoal_segment_data(const struct shoal_segment *s) { return s->base; }
static inline uint64_t shoal_segment_size(const struct shoal_segment *s) { return s->size; }

/* shoal_segment_close unmaps it. Members must have left. Closing again does nothing. */
static inline void shoal_segment_close(struct shoal_segment *s) { shoal_segment_unmap_(s); }

static inline int shoal_address_remove_(const struct shoal_address_ *a)
{
	struct stat st;
	int r;

	if (shoal_is_sysv_(a)) {
		r = shoal_sysv_find_(a);
		return r < 0 ? r : shoal_missing_(shoal_call_(SYS_shmctl, r, 0 /* IPC_RMID */, 0, 0, 0, 0));
	}
	if (a->backing == SHOAL_FILE_) { /* unlink alone would take a symbolic link or a FIFO, too */
		r = shoal_stat_(a->path, &st, SHOAL_AT_SYMLINK_NOFOLLOW_);
		if (r == 0)
			r = shoal_regular_(&st);
		if (r < 0)
			return r;
	}
	return unlink(a->path) < 0 ? -errno : 0;
}

/* shoal_segment_remove takes the name of an object away. Who has it mapped goes on
 * using it. */
static inline int shoal_segment_remove(const char *address)
{
	struct shoal_address_ a;
	int r = shoal_address_parse_(&a, address);

	return r < 0 ? r : shoal_address_remove_(&a);
}

/* ============================================================== Keeper ==
 *
 * One thread of the process sleeps for ever and owns a robust list. When the
 * process ends, however it ends, the kernel walks the list, sets
 * FUTEX_OWNER_DIED in each word whose number is the thread's, and wakes one who
 * sleeps on it.
 *
 * The C library gives each of its threads such a list, for its own mutexes. The
 * keeper's is replaced: it never takes one of those.
 *
 * A word in the list is a member's bell, in shared memory; the entry, which the
 * kernel follows, is 4096 bytes before it in a private page, where no peer can
 * damage it:
 *
 *	bell_map       bell_map+4096     bell_map+8192
 *	 | private page  | shared page     |
 *	 |    entry -----+--> word         |
 *
 * fork(2) is noticed twice: the page with the list's head and the generation is
 * wiped in the child (MADV_WIPEONFORK), and a handler closes the child's copies of
 * the descriptors that hold locks, since the child would otherwise keep its dead
 * parent alive.
 */

/* struct robust_list_head, and what else stands in the keeper's page. */
struct shoal_robust_ {
	uint64_t next; /* the first entry, or the head itself */
	int64_t offset;
	uint64_t pending;
	uint32_t generation; /* of the keeper; 0 in a child that has none yet */
};

SHOAL_ASSERT_(offsetof(struct shoal_robust_, offset) == 8 && offsetof(struct shoal_robust_, pending) == 16,
              "struct robust_list_head");

struct shoal_members;

/* All that this process has of Shoal, once, though several files include this one. */
struct shoal_process_ {
	uint32_t gate;       /* over what follows, but for started */
	uint32_t generation; /* counts keepers, across forks */
	uint32_t handlers;   /* those of fork are there */
	uint32_t joined;
	struct shoal_robust_ *page;
	struct shoal_members *newest; /* in the robust list, linked by newer and older */
	uint32_t tid;                 /* of the keeper */
	int error;                    /* why it has none */
	uint32_t started;             /* futex: the keeper has said which */

	/* See Spinning below. */
	uint32_t spinning;
	uint32_t may_spin;
	uint64_t pauses;
	int64_t looked_at;
};

extern struct shoal_process_ shoal_this_process_;
__attribute__((weak)) struct shoal_process_ shoal_this_process_ = {
	0, 0, 0, 0, NULL, NULL, 0, 0, 0, 0, 0, 0, 0,
};

/* A membership: one slot of one member table. */
struct shoal_members {
	uint32_t generation;   /* of the keeper it was joined with; 0: it was not, or has left */
	const uint32_t *alive; /* where the keeper's generation stands */
	struct shoal_segment *segment;
	uint64_t at; /* offset of the table */
	struct shoal_format_members *head;
	struct shoal_format_bell *bells;
	struct shoal_format_slot *slots;
	uint32_t count; /* of slots */
	uint32_t slot;  /* ours */
	uint64_t self;  /* what we write into what we take */

	int lock_fd; /* an open file description of its own, whose locks are the claim */
	unsigned char *bell_map;
	uint64_t *entry; /* of our bell in the robust list */
	struct shoal_members *newer, *older;

	/* Takes back what the dead owner had in hand, before its epoch ends. It may run again
	 * for the same one, if the first to do it dies. NULL: there is nothing to do. */
	void (*repair)(struct shoal_members *m, uint64_t dead);

	uint32_t burying; /* gate: locks of one description do not exclude each other */
	uint32_t leaving;
	int32_t busy;      /* threads that look at shared memory for long */
	int64_t patrolled; /* when somebody last asked for the verdict on all members */

	char why[192]; /* what the last failed open found */
};

/* shoal_members_why tells what the last open or join that failed has found: what
 * was expected, what was there, and at which offset. "" if there is no more to be
 * said than shoal_strerror does. */
static inline const char *shoal_members_why(const struct shoal_members *m) { return m->why; }

/* Says why, and returns err. */
static inline int shoal_because_(struct shoal_members *m, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline int shoal_because_(struct shoal_members *m, int err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(m->why, sizeof m->why, format, arguments);
	va_end(arguments);
	return err;
}

static inline void *shoal_keeper_run_(void *unused)
{
	struct shoal_process_ *p = &shoal_this_process_;
	uint32_t never = 0;
	long r;

	(void)unused;
	shoal_call_(SYS_prctl, 15 /* PR_SET_NAME */, SHOAL_WORD_("shoal keeper"), 0, 0, 0, 0);
	p->tid = (uint32_t)shoal_call_(SYS_gettid, 0, 0, 0, 0, 0, 0);
	r = shoal_call_(SYS_set_robust_list, SHOAL_WORD_(p->page), 24, 0, 0, 0, 0);
#ifdef SHOAL_WITHOUT_BELLS /* for emulators: the death of this process is then noticed late, within some 100 ms */
	r = 0;
#endif
	p->error = (int)r;
	__atomic_store_n(&p->started, 1, __ATOMIC_RELEASE); /* pairs with the load in shoal_keeper_start_ */
	shoal_call_(SYS_futex, SHOAL_WORD_(&p->started), SHOAL_FUTEX_WAKE_ | SHOAL_FUTEX_PRIVATE_, 1, 0, 0, 0);
	while (r == 0)
		shoal_futex_wait_(&never, 0, INT64_MAX, SHOAL_FUTEX_PRIVATE_);
	return NULL;
}

static inline void shoal_fork_prepare_(void) { shoal_gate_enter_(&shoal_this_process_.gate); }
static inline void shoal_fork_parent_(void) { shoal_gate_leave_(&shoal_this_process_.gate); }

static inline void shoal_fork_child_(void)
{
	struct shoal_process_ *p = &shoal_this_process_;
	struct shoal_members *m;

	for (m = p->newest; m != NULL; m = m->older) {
		shoal_close_fd_(m->lock_fd);
		m->lock_fd = -1;
	}
	p->newest = NULL;
	p->joined = 0;
	if (p->page != NULL)
		p->page->generation = 0; /* as MADV_WIPEONFORK did, where the kernel has that */
	p->spinning = 0;
	p->gate = 0;
}

/* Starts the thread, with all signals blocked but those that the C library sends
 * its threads itself, and waits until it has its list. */
static inline int shoal_keeper_start_(struct shoal_process_ *p)
{
	const uint64_t all = ~(UINT64_C(7) << 31);
	uint64_t before = 0;
	pthread_t thread;
	pthread_attr_t attributes;
	void *page;
	int r;

	if (p->page == NULL) {
		page = mmap(NULL, SHOAL_PAGE_, PROT_READ | PROT_WRITE, MAP_PRIVATE | SHOAL_MAP_ANONYMOUS_, -1, 0);
		if (page == MAP_FAILED)
			return -errno;
		/* Linux 4.14; before, the handlers of fork alone notice one. */
		shoal_call_(SYS_madvise, SHOAL_WORD_(page), SHOAL_PAGE_, SHOAL_MADV_WIPEONFORK_, 0, 0, 0);
		p->page = (struct shoal_robust_ *)page;
	}
	if (!p->handlers) {
		r = pthread_atfork(shoal_fork_prepare_, shoal_fork_parent_, shoal_fork_child_);
		if (r != 0)
			return -r;
		p->handlers = 1;
	}
	p->page->next = (uint64_t)(uintptr_t)p->page;
	p->page->offset = SHOAL_PAGE_;
	p->page->pending = 0;
	p->newest = NULL;
	p->joined = 0;
	__atomic_store_n(&p->started, 0, __ATOMIC_RELAXED);

	r = pthread_attr_init(&attributes);
	if (r != 0)
		return -r;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	shoal_call_(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, SHOAL_WORD_(&all), SHOAL_WORD_(&before), 8, 0, 0);
	r = pthread_create(&thread, &attributes, shoal_keeper_run_, NULL);
	shoal_call_(SYS_rt_sigprocmask, 2, SHOAL_WORD_(&before), 0, 8, 0, 0);
	pthread_attr_destroy(&attributes);
	if (r != 0)
		return -r;
	while (__atomic_load_n(&p->started, __ATOMIC_ACQUIRE) == 0)
		shoal_futex_wait_(&p->started, 0, INT64_MAX, SHOAL_FUTEX_PRIVATE_);
	if (p->error < 0)
		return p->error;
	p->generation++;
	__atomic_store_n(&p->page->generation, p->generation, __ATOMIC_RELEASE);
	return 0;
}

/* The keeper of this process, started if there is none. The gate is held. */
static inline int shoal_keeper_(struct shoal_process_ *p)
{
	if (p->page != NULL && p->page->generation != 0)
		return 0;
	return shoal_keeper_start_(p);
}

/* Puts the membership's entry at the head of the list. The store that makes it
 * reachable comes last, so that the thread may die between any two. */
static inline int shoal_robust_push_(struct shoal_process_ *p, struct shoal_members *m)
{
	if (p->joined >= SHOAL_ROBUST_LIMIT_) /* the kernel follows no more */
		return -EMFILE;
	__atomic_store_n(m->entry, p->page->next, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->page->next, (uint64_t)(uintptr_t)m->entry, __ATOMIC_SEQ_CST);
	m->newer = NULL;
	m->older = p->newest;
	if (m->older != NULL)
		m->older->newer = m;
	p->newest = m;
	p->joined++;
	return 0;
}

/* Takes it out, by one store. */
static inline void shoal_robust_remove_(struct shoal_process_ *p, struct shoal_members *m)
{
	uint64_t next = (uint64_t)(uintptr_t)p->page;

	if (m->older != NULL) {
		next = (uint64_t)(uintptr_t)m->older->entry;
		m->older->newer = m->newer;
	}
	if (m->newer != NULL) {
		__atomic_store_n(m->newer->entry, next, __ATOMIC_SEQ_CST);
		m->newer->older = m->older;
	} else {
		__atomic_store_n(&p->page->next, next, __ATOMIC_SEQ_CST);
		p->newest = m->older;
	}
	m->newer = m->older = NULL;
	p->joined--;
}

/* ============================================================= Members ==
 *
 * Who takes part in an object, and who has died.
 *
 *	free(e) --lock byte--> joining --claim = active(e+1)--> active(e+1)
 *	   ^                                                        |
 *	   |      leave:  claim = free(e+1), unlock                 |
 *	   +--------------------------------------------------------+
 *	   ^      death:  bell rings, kernel drops the lock,        |
 *	   |              a survivor locks,                         |
 *	   +------------- claim = free(e+1), unlocks <--------------+
 *
 * The lock of a slot's first byte is the claim, and the verdict: free, it says that
 * the owner will never store anything again. The bell says when to ask. What a
 * member takes, it takes by writing its slot and epoch (self) into a word; the one
 * store that retires its epoch makes all of that void, wherever it is.
 */

/* Reports whether the handle is this process's own and open. Cost: two loads. */
static inline bool shoal_here_(const struct shoal_members *m)
{
	uint32_t generation;

	if (m == NULL)
		return false;
	generation = __atomic_load_n(&m->generation, __ATOMIC_RELAXED);
	return generation != 0 && __atomic_load_n(m->alive, __ATOMIC_RELAXED) == generation;
}

/* Why it is not. */
static inline int shoal_not_here_(const struct shoal_members *m)
{
	return m == NULL || __atomic_load_n(&m->generation, __ATOMIC_RELAXED) == 0 ? SHOAL_ECLOSED : SHOAL_EFORK;
}

/* Keeps leave from taking the memory away until shoal_end_. */
static inline int shoal_begin_(struct shoal_members *m)
{
	if (!shoal_here_(m))
		return shoal_not_here_(m);
	/* Before the look at leaving: pairs with the exchange in shoal_members_leave, which then looks at busy. */
	__atomic_fetch_add(&m->busy, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&m->leaving, __ATOMIC_SEQ_CST)) {
		__atomic_fetch_sub(&m->busy, 1, __ATOMIC_SEQ_CST);
		return SHOAL_ECLOSED;
	}
	return 0;
}

static inline void shoal_end_(struct shoal_members *m) { __atomic_fetch_sub(&m->busy, 1, __ATOMIC_SEQ_CST); }

static inline bool shoal_leaving_(const struct shoal_members *m)
{
	return __atomic_load_n(&m->leaving, __ATOMIC_SEQ_CST) != 0;
}

static inline bool shoal_rung_(const struct shoal_members *m, uint32_t slot)
{
	return (shoal_load32_(&m->bells[slot].word) & SHOAL_FUTEX_OWNER_DIED) != 0;
}

static inline uint64_t shoal_lock_at_(const struct shoal_members *m, uint32_t slot)
{
	return m->at + shoal_slot_at_(m->count, slot);
}

/* Announces a change of membership to all. */
static inline void shoal_changed_(struct shoal_members *m)
{
	shoal_add32_(&m->head->changes, 1);
	shoal_wake_all_(&m->head->changes);
}

/* Retires the epoch of a dead owner. We hold the slot's lock, so the owner is gone
 * and nobody else does the same. Whoever buries may die, too: before the store into
 * claim nothing has happened that the next one would not do again; after it only
 * the announcement is missing, and the burier's own death makes everybody look. */
static inline void shoal_bury_(struct shoal_members *m, uint32_t slot)
{
	struct shoal_format_slot *s = &m->slots[slot];
	uint64_t claim = shoal_load64_(&s->claim);

	if (!shoal_active_(claim))
		return;
	if (m->repair != NULL)
		m->repair(m, shoal_owner_(slot, (uint32_t)(claim >> 32)));
	shoal_store64_(&s->claim, shoal_claim_((uint32_t)(claim >> 32), SHOAL_SLOT_FREE));
	shoal_store32_(&m->bells[slot].word, 0);
	shoal_add64_(&m->head->deaths, 1);
	shoal_add64_(&m->head->retired, 1);
	shoal_changed_(m);
}

/* Buries the owner of a slot if it is dead. Never waits for another process. */
static inline void shoal_try_bury_(struct shoal_members *m, uint32_t slot)
{
	if (slot == m->slot)
		return;
	shoal_gate_enter_(&m->burying);
	if (shoal_byte_try_(m->lock_fd, shoal_lock_at_(m, slot)) == 1) {
		shoal_bury_(m, slot);
		shoal_byte_unlock_(m->lock_fd, shoal_lock_at_(m, slot));
	}
	shoal_gate_leave_(&m->burying);
}

/* Whether an owner's epoch is still its slot's: 1; 0 if it has gone, and its claim
 * is void; SHOAL_ECORRUPT if there is no such slot. */
static inline int shoal_current_(const struct shoal_members *m, uint64_t owner)
{
	int slot = shoal_owner_slot_(owner);

	if (slot < 0 || (uint32_t)slot >= m->count)
		return SHOAL_ECORRUPT;
	return shoal_load64_(&m->slots[slot].claim) == shoal_claim_(shoal_owner_epoch_(owner), SHOAL_SLOT_ACTIVE);
}

/* The same for those who do not mean to wait: if the owner's bell has rung it asks
 * for the verdict at once. */
static inline int shoal_settle_(struct shoal_members *m, uint64_t owner)
{
	int r = shoal_current_(m, owner);

	if (r == 1 && owner != m->self && shoal_rung_(m, (uint32_t)shoal_owner_slot_(owner))) {
		shoal_try_bury_(m, (uint32_t)shoal_owner_slot_(owner));
		r = shoal_current_(m, owner);
	}
	return r;
}

/* Counts a claim taken back from the dead. */
static inline void shoal_repaired_(struct shoal_members *m) { shoal_add64_(&m->head->repairs, 1); }

/* Checks the table and finds its parts. */
static inline int shoal_members_view_(struct shoal_members *m)
{
	const struct shoal_segment *s = m->segment;
	struct shoal_format_members *head;
	uint32_t magic, version, slots;

	if (m->at % 64 != 0)
		return -EINVAL;
	if (m->at > s->size || s->size - m->at < sizeof *head)
		return shoal_because_(m, SHOAL_ECORRUPT,
		                      "at offset %llu: member table ends behind the object's %llu bytes",
		                      (unsigned long long)m->at, (unsigned long long)s->size);
	head = (struct shoal_format_members *)(void *)(s->base + m->at);
	magic = shoal_load32_(&head->magic); /* pairs with the store in shoal_members_make_ */
	version = shoal_load32_(&head->version);
	slots = shoal_load32_(&head->slots);
	if (magic != SHOAL_MEMBERS_MAGIC)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: member table has magic %#x, want %#x",
		                      (unsigned long long)m->at, magic, SHOAL_MEMBERS_MAGIC);
	if (version >> 16 != SHOAL_MAJOR)
		return shoal_because_(m, SHOAL_EVERSION, "member table has version %u.%u, this program knows %d.%d",
		                      version >> 16, version & 0xffff, SHOAL_MAJOR, SHOAL_MINOR);
	if (slots < 1 || slots > SHOAL_MAX_SLOTS || shoal_members_size_(slots) > s->size - m->at)
		return shoal_because_(
			m, SHOAL_ECORRUPT, "at offset %llu: member table has %u slots, want 1 to %d, before byte %llu",
			(unsigned long long)m->at + 8, slots, SHOAL_MAX_SLOTS, (unsigned long long)s->size);
	m->head = head;
	m->bells = (struct shoal_format_bell *)(void *)(s->base + m->at + 64);
	m->slots = (struct shoal_format_slot *)(void *)(s->base + m->at + shoal_slot_at_(slots, 0));
	m->count = slots;
	return 0;
}

/* Writes an empty table over zeros. */
static inline int shoal_members_make_(unsigned char *base, uint64_t size, uint64_t at, uint32_t slots,
                                      uint64_t companion)
{
	struct shoal_format_members *head = (struct shoal_format_members *)(void *)(base + at);

	if (slots < 1 || slots > SHOAL_MAX_SLOTS || at % 64 != 0 || at > size || shoal_members_size_(slots) > size - at)
		return -EINVAL;
	head->version = SHOAL_MAJOR << 16 | SHOAL_MINOR;
	head->slots = slots;
	head->lock = companion;
	shoal_store32_(&head->magic, SHOAL_MEMBERS_MAGIC); /* all above is there */
	return 0;
}

/* Makes the table if there is none, whoever else tries: under the lock of its first
 * byte. A maker that dies before the magic number is there has made nothing. */
static inline int shoal_members_make_once_(struct shoal_members *m, uint32_t slots, uint64_t companion)
{
	struct shoal_segment *s = m->segment;
	struct shoal_format_members *head = (struct shoal_format_members *)(void *)(s->base + m->at);
	int r;

	if (m->at % 64 != 0 || m->at > s->size || s->size - m->at < sizeof *head)
		return -EINVAL;
	if (shoal_load32_(&head->magic) != 0)
		return 0;
	r = shoal_byte_wait_(m->lock_fd, m->at);
	if (r < 0)
		return r;
	if (shoal_load32_(&head->magic) == 0)
		r = shoal_members_make_(s->base, s->size, m->at, slots, companion);
	shoal_byte_unlock_(m->lock_fd, m->at);
	return r;
}

static inline int shoal_companion_fill_(unsigned char *base, uint64_t size, void *unused)
{
	(void)base, (void)size, (void)unused;
	return 0;
}

/* Opens the companion of a System V segment, which has no file itself: one byte,
 * with the segment's own permissions. Its inode is told. */
static inline int shoal_companion_open_(const struct shoal_segment *s, uint64_t *inode)
{
	struct shoal_address_ a;
	struct shoal_segment made;
	struct shoal_making_ making;
	struct stat st;
	int round, fd = -ENOENT, r;

	a.backing = SHOAL_POSIX_;
	a.number = 0;
	snprintf(a.path, sizeof a.path, "/dev/shm/shoal.sysv-%d", (int)s->id);
	for (round = 0; round < 100; round++) {
		fd = shoal_open_regular_(a.path, O_RDWR, &st);
		if (fd >= 0)
			*inode = st.st_ino;
		if (fd != -ENOENT)
			return fd;
		making.size = 1;
		making.mode = s->mode;
		making.group = &s->group;
		making.fill = shoal_companion_fill_;
		making.argument = NULL;
		r = shoal_segment_make_(&made, &a, &making);
		if (r == 0)
			shoal_segment_unmap_(&made);
		else if (r != -EEXIST)
			return r;
	}
	return fd;
}

/* Opens an open file description of the object's file that is the membership's own:
 * two memberships of one process must exclude each other, too. */
static inline int shoal_lock_open_(struct shoal_members *m, uint64_t *companion)
{
	char self[64];

	*companion = 0;
	if (m->segment->fd < 0)
		return shoal_companion_open_(m->segment, companion);
	snprintf(self, sizeof self, "/proc/self/fd/%d", m->segment->fd);
	return shoal_openat_(self, O_RDWR, 0);
}

/* Locks a slot, and buries whoever died in it. */
static inline int shoal_slot_claim_(struct shoal_members *m)
{
	uint32_t slot;
	int round, r;

	for (round = 0; round < 10; round++) {
		for (slot = 0; slot < m->count; slot++) {
			if (round == 0 && shoal_active_(shoal_load64_(&m->slots[slot].claim)) && !shoal_rung_(m, slot))
				continue; /* most likely alive: spare the call */
			r = shoal_byte_try_(m->lock_fd, shoal_lock_at_(m, slot));
			if (r < 0)
				return r;
			if (r == 1) {
				m->slot = slot;
				shoal_bury_(m, slot);
				return 0;
			}
		}
		if (round > 0) /* a survivor that buries has a slot's lock for some microseconds */
			shoal_nap_(1000000);
	}
	return shoal_because_(m, SHOAL_ENOSLOT, "all %u members of it are alive", m->count);
}

/* Maps the bell's page with a private one before it. From the segment's descriptor:
 * a mapping keeps its file description, and so its locks, in a forked child, too. */
static inline int shoal_bell_map_file_(struct shoal_members *m, uint64_t page)
{
	void *base = mmap(NULL, 2 * SHOAL_PAGE_, PROT_READ | PROT_WRITE, MAP_PRIVATE | SHOAL_MAP_ANONYMOUS_, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	m->bell_map = (unsigned char *)base;
	if (mmap(m->bell_map + SHOAL_PAGE_, SHOAL_PAGE_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->segment->fd,
	         (off_t)page) == MAP_FAILED)
		return -errno;
	return 0;
}

/* The same for System V memory, which can only be attached whole: what is not
 * needed is unmapped again. */
static inline int shoal_bell_map_sysv_(struct shoal_members *m, uint64_t page)
{
	size_t whole = (size_t)(m->segment->size + SHOAL_PAGE_ - 1) & ~(size_t)(SHOAL_PAGE_ - 1);
	size_t rest = whole - (size_t)page - SHOAL_PAGE_;
	unsigned char *start;
	long r;
	void *base = mmap(NULL, SHOAL_PAGE_ + whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | SHOAL_MAP_ANONYMOUS_, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	start = (unsigned char *)base;
	r = shoal_call_(SYS_shmat, m->segment->id, SHOAL_WORD_(start + SHOAL_PAGE_), 040000 /* SHM_REMAP */, 0, 0, 0);
	if (r < 0 && r > -4096) {
		munmap(start, SHOAL_PAGE_ + whole);
		return (int)r;
	}
	m->bell_map = start + page;
	if (mmap(m->bell_map, SHOAL_PAGE_, PROT_READ | PROT_WRITE, MAP_PRIVATE | SHOAL_MAP_ANONYMOUS_ | MAP_FIXED, -1,
	         0) == MAP_FAILED) {
		r = -errno;
		munmap(start, SHOAL_PAGE_ + whole);
		m->bell_map = NULL;
		return (int)r;
	}
	if (page > 0)
		munmap(start, (size_t)page);
	if (rest > 0)
		munmap(m->bell_map + 2 * SHOAL_PAGE_, rest);
	return 0;
}

/* What a slot says of its owner, for people. */
static inline void shoal_describe_(struct shoal_format_slot *s, uint32_t role)
{
	uint64_t start = 0, name[2] = {0, 0};
	char text[1024];
	const char *field;
	struct stat st;
	size_t i;
	long n;
	int fd;

	fd = shoal_openat_("/proc/self/stat", O_RDONLY, 0);
	n = fd < 0 ? 0 : shoal_call_again_(SYS_read, fd, SHOAL_WORD_(text), (long)sizeof text - 1, 0, 0);
	if (fd >= 0)
		shoal_close_fd_(fd);
	text[n > 0 ? n : 0] = 0;
	/* proc_pid_stat(5): the name in parentheses may hold anything; field 22 is the start time. */
	field = strrchr(text, ')');
	for (i = 2; field != NULL && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (field != NULL)
		start = strtoull(field, NULL, 10);

	fd = shoal_openat_("/proc/self/comm", O_RDONLY, 0);
	n = fd < 0 ? 0 : shoal_call_again_(SYS_read, fd, SHOAL_WORD_(text), 16, 0, 0);
	if (fd >= 0)
		shoal_close_fd_(fd);
	for (i = 0; n > 0 && i < (size_t)n && text[i] != '\n'; i++)
		name[i / 8] |= (uint64_t)(unsigned char)text[i] << (i % 8 * 8);

	shoal_store32_(&s->pid, (uint32_t)getpid());
	shoal_store32_(&s->role, role);
	shoal_store64_(&s->pidns, shoal_stat_("/proc/self/ns/pid", &st, 0) == 0 ? (uint64_t)st.st_ino : 0);
	shoal_store64_(&s->start, start);
	shoal_store64_(&s->joined, (uint64_t)shoal_clock_(SHOAL_CLOCK_REALTIME_));
	shoal_store64_(&s->name[0], name[0]);
	shoal_store64_(&s->name[1], name[1]);
}

/* Makes the locked slot ours. The process's gate is held. */
static inline int shoal_slot_enter_(struct shoal_members *m, struct shoal_process_ *p, uint32_t role)
{
	struct shoal_format_slot *s = &m->slots[m->slot];
	uint64_t at = m->at + 64 + (uint64_t)m->slot * 8, page = at & ~(uint64_t)(SHOAL_PAGE_ - 1);
	uint32_t epoch;
	int r = m->segment->fd < 0 ? shoal_bell_map_sysv_(m, page) : shoal_bell_map_file_(m, page);

	if (r < 0)
		return r;
	shoal_call_(SYS_madvise, SHOAL_WORD_(m->bell_map), 2 * SHOAL_PAGE_, SHOAL_MADV_DONTFORK_, 0, 0, 0);
	m->entry = (uint64_t *)(void *)(m->bell_map + (at - page));
	shoal_describe_(s, role);
	/* The bell before the claim: whoever sees us active hears us die. */
	shoal_store32_(&m->bells[m->slot].word, p->tid | SHOAL_FUTEX_WAITERS);
	r = shoal_robust_push_(p, m);
	if (r < 0) {
		shoal_store32_(&m->bells[m->slot].word, 0);
		return r;
	}
	epoch = (uint32_t)(shoal_load64_(&s->claim) >> 32) + 1;
	m->self = shoal_owner_(m->slot, epoch);
	shoal_store64_(&s->claim, shoal_claim_(epoch, SHOAL_SLOT_ACTIVE));
	m->alive = &p->page->generation;
	__atomic_store_n(&m->generation, p->generation, __ATOMIC_RELEASE);
	shoal_changed_(m);
	return 0;
}

SHOAL_SLOW_ int shoal_members_enter_(struct shoal_members *m, uint32_t make, uint32_t role)
{
	struct shoal_process_ *p = &shoal_this_process_;
	uint64_t companion;
	int r = shoal_lock_open_(m, &companion);

	if (r < 0)
		return shoal_because_(m, r, "cannot open the file whose bytes members lock");
	m->lock_fd = r;
	r = make == 0 ? 0 : shoal_members_make_once_(m, make, companion);
	if (r == 0)
		r = shoal_members_view_(m);
	if (r < 0)
		return r;
	if (m->head->lock != companion)
		return shoal_because_(
			m, -EXDEV,
			"members lock file %llu, here it is %llu: another /dev/shm, or the file was replaced",
			(unsigned long long)m->head->lock, (unsigned long long)companion);
	r = shoal_slot_claim_(m);
	if (r < 0)
		return r;
	shoal_gate_enter_(&p->gate);
	r = shoal_keeper_(p);
	if (r == 0)
		r = shoal_slot_enter_(m, p, role);
	shoal_gate_leave_(&p->gate);
	if (r < 0)
		shoal_byte_unlock_(m->lock_fd, shoal_lock_at_(m, m->slot));
	return r;
}

/* Gives back what joining has taken of the system. */
static inline void shoal_members_release_(struct shoal_members *m)
{
	if (m->bell_map != NULL)
		munmap(m->bell_map, 2 * SHOAL_PAGE_);
	if (m->lock_fd >= 0)
		shoal_close_fd_(m->lock_fd);
	m->bell_map = NULL;
	m->lock_fd = -1;
}

/* Joins the table at the offset, which is made if make is not 0 and there is none.
 * why is kept: whoever calls has cleared it. */
static inline int shoal_members_join_(struct shoal_members *m, struct shoal_segment *s, uint64_t at, uint32_t make,
                                      uint32_t role)
{
	int r;

	m->segment = s;
	m->at = at;
	m->lock_fd = -1;
	r = shoal_members_enter_(m, make, role);
	if (r < 0)
		shoal_members_release_(m);
	return r;
}

/* shoal_members_footprint is the size in bytes of a table of n members, 0 meaning
 * SHOAL_DEFAULT_SLOTS: a multiple of 64. */
static inline uint64_t shoal_members_footprint(uint32_t n)
{
	return (shoal_members_size_(n == 0 ? SHOAL_DEFAULT_SLOTS : n) + 63) & ~UINT64_C(63);
}

/* shoal_members_join makes this process a member of the table at the offset of the
 * segment, a multiple of 64, and makes the table, for n members (0 meaning
 * SHOAL_DEFAULT_SLOTS, at most SHOAL_MAX_SLOTS), if the memory there is zero. Any
 * number of processes may do so at once. The segment stays where it is, open, until
 * shoal_members_leave.
 *
 * Claims are locks of the segment's file; a System V segment has none, and a
 * companion /shoal.sysv-ID in /dev/shm carries them.
 *
 * Errors: SHOAL_ENOSLOT, SHOAL_ECORRUPT, SHOAL_EVERSION, -EMFILE beyond 2048
 * memberships of one process, and those of the system. */
static inline int shoal_members_join(struct shoal_members *m, struct shoal_segment *s, uint64_t offset, uint32_t n)
{
	memset(m, 0, sizeof *m);
	return shoal_members_join_(m, s, offset, n == 0 ? SHOAL_DEFAULT_SLOTS : n, 0);
}

/* shoal_members_leave gives the slot back. What this process still holds becomes
 * free, as if it had died; threads that wait return SHOAL_ECLOSED, and it waits for
 * that. Of what a forked child has inherited it gives back this process's part, and
 * changes nothing that is shared. Leaving again does nothing. */
static inline void shoal_members_leave(struct shoal_members *m)
{
	struct shoal_process_ *p = &shoal_this_process_;
	int64_t pause = 10000;

	if (!shoal_here_(m)) {
		if (m->generation != 0 && m->lock_fd >= 0) /* forked past the handlers: raw clone(2) */
			shoal_close_fd_(m->lock_fd);
		m->generation = 0;
		return;
	}
	if (__atomic_exchange_n(&m->leaving, 1, __ATOMIC_SEQ_CST) != 0) /* pairs with the load in shoal_begin_ */
		return;
	/* A waiter may be just about to sleep: wake until nobody is left. */
	while (__atomic_load_n(&m->busy, __ATOMIC_SEQ_CST) > 0) {
		shoal_wake_all_(&m->head->changes);
		shoal_nap_(pause);
		pause = pause < 1000000 ? 2 * pause : pause;
	}
	/* Void first: from here on nobody waits for us, whenever we die. */
	shoal_store64_(&m->slots[m->slot].claim, shoal_claim_(shoal_owner_epoch_(m->self), SHOAL_SLOT_FREE));
	shoal_add64_(&m->head->retired, 1);
	shoal_changed_(m);
	shoal_gate_enter_(&p->gate);
	shoal_robust_remove_(p, m);
	__atomic_store_n(&m->generation, 0, __ATOMIC_RELEASE);
	shoal_gate_leave_(&p->gate);
	shoal_store32_(&m->bells[m->slot].word, 0);
	shoal_byte_unlock_(m->lock_fd, shoal_lock_at_(m, m->slot));
	shoal_members_release_(m);
}

/* Locks the first byte of the table: for making something in the object. */
static inline int shoal_exclusive_enter_(struct shoal_members *m)
{
	int r;

	shoal_gate_enter_(&m->burying);
	r = shoal_byte_wait_(m->lock_fd, m->at);
	if (r < 0)
		shoal_gate_leave_(&m->burying);
	return r;
}

static inline void shoal_exclusive_leave_(struct shoal_members *m)
{
	shoal_byte_unlock_(m->lock_fd, m->at);
	shoal_gate_leave_(&m->burying);
}

/* Counters of an object, of all its members together, since it was made. */
struct shoal_stats {
	uint32_t members;    /* now */
	uint64_t deaths;     /* members that ended without leaving */
	uint64_t repairs;    /* claims that survivors have taken back */
	uint64_t lost_wakes; /* sleeps that ended by time although there was something to do; 0 unless a member died */
};

/* shoal_members_stats reads the counters. Cost: some loads. */
static inline int shoal_members_stats(struct shoal_members *m, struct shoal_stats *stats)
{
	uint32_t i;
	int r = shoal_begin_(m);

	memset(stats, 0, sizeof *stats);
	if (r < 0)
		return r;
	for (i = 0; i < m->count; i++)
		stats->members += shoal_active_(shoal_load64_(&m->slots[i].claim));
	stats->deaths = shoal_load64_(&m->head->deaths);
	stats->repairs = shoal_load64_(&m->head->repairs);
	stats->lost_wakes = shoal_load64_(&m->head->lost_wakes);
	shoal_end_(m);
	return 0;
}

/* ============================================================ Spinning ==
 *
 * Who has to wait looks for a while before it sleeps: as long as that has paid so
 * far. To sleep and be woken costs 5 to 15 microseconds; who spins as long as that
 * before he sleeps loses at most as much again against who knows the future. Nobody
 * spins in a process with one usable processor, nor more threads at once than there
 * are processors but one.
 */

#define SHOAL_SPIN_MAX_ 20000 /* nanoseconds */
#define SHOAL_SPIN_FIRST_ 8000
#define SHOAL_SPIN_MIN_ 1000
#define SHOAL_SPIN_PROBE_ 16 /* spins of the least length for one of the greatest */
#define SHOAL_BURST_FIRST_ 80 /* less takes the line away from a writer who is just filling it */
#define SHOAL_BURST_MAX_ 1500
#define SHOAL_QUICK_LOOKS_ 8 /* in short bursts, before the first look at the clock */

/* What a handle has learned. Threads learn together. */
struct shoal_spinner_ {
	int64_t budget; /* nanoseconds; 0: not used so far */
	uint32_t vain;  /* spins that began with the least budget */
};

static inline void shoal_pause_(uint64_t n)
{
	while (n-- > 0)
#ifdef __x86_64__
		__builtin_ia32_pause();
#else
		__asm__ __volatile__("yield");
#endif
}

/* How many threads may spin at once. What it depends on can change, so it is asked
 * for again every second; and how many pauses a nanosecond has, times 2^16: once. */
static inline uint32_t shoal_may_spin_(struct shoal_process_ *p, int64_t now)
{
	int64_t looked = __atomic_load_n(&p->looked_at, __ATOMIC_RELAXED), best = INT64_MAX, t;
	uint64_t set[128], cpus = 0;
	long n;
	int i;

	if (looked != 0 && now - looked < 1000000000)
		return __atomic_load_n(&p->may_spin, __ATOMIC_RELAXED);
	if (__atomic_load_n(&p->pauses, __ATOMIC_RELAXED) == 0) {
		for (i = 0; i < 8; i++) {
			t = shoal_now_();
			shoal_pause_(256);
			t = shoal_now_() - t;
			best = t < best ? t : best;
		}
		__atomic_store_n(&p->pauses, (uint64_t)(256 << 16) / (uint64_t)(best < 1 ? 1 : best) + 1,
		                 __ATOMIC_RELAXED);
	}
	n = shoal_call_(SYS_sched_getaffinity, 0, (long)sizeof set, SHOAL_WORD_(set), 0, 0, 0);
	for (i = 0; i < (int)(n / 8); i++)
		cpus += (uint64_t)__builtin_popcountll(set[i]);
	__atomic_store_n(&p->may_spin, (uint32_t)(cpus > 0 ? cpus - 1 : 0), __ATOMIC_RELAXED);
	__atomic_store_n(&p->looked_at, now, __ATOMIC_RELAXED);
	return (uint32_t)(cpus > 0 ? cpus - 1 : 0);
}

/* How many looks it took, or 0 if they were in vain. */
SHOAL_SLOW_ uint32_t shoal_spin_for_(struct shoal_process_ *p, struct shoal_spinner_ *s, int64_t start,
                                     bool (*ready)(const void *), const void *argument)
{
	int64_t budget = __atomic_load_n(&s->budget, __ATOMIC_RELAXED), burst = SHOAL_BURST_FIRST_, learned;
	uint64_t rate = __atomic_load_n(&p->pauses, __ATOMIC_RELAXED);
	uint32_t looks = 0;
	bool probe, found;

	if (budget == 0)
		budget = SHOAL_SPIN_FIRST_;
	/* Two who wait for each other, each asleep when the other answers, are slow
	 * because they sleep, and would learn that spinning does not pay. So now and then
	 * it is tried in full. */
	probe = budget == SHOAL_SPIN_MIN_ && __atomic_add_fetch(&s->vain, 1, __ATOMIC_RELAXED) % SHOAL_SPIN_PROBE_ == 0;
	if (probe)
		budget = SHOAL_SPIN_MAX_;
	do {
		/* Bursts start short, for latency, and grow: long ones leave the line to the writer. */
		shoal_pause_(((uint64_t)burst * rate >> 16) + 1);
		found = ready(argument);
		if (++looks >= SHOAL_QUICK_LOOKS_)
			burst = burst + burst / 2 < SHOAL_BURST_MAX_ ? burst + burst / 2 : SHOAL_BURST_MAX_;
	} while (!found && (looks < SHOAL_QUICK_LOOKS_ || shoal_now_() - start < budget));
	if (found)
		learned = budget + budget / 4 < SHOAL_SPIN_MAX_ ? budget + budget / 4 : SHOAL_SPIN_MAX_;
	else
		learned = !probe && budget / 2 > SHOAL_SPIN_MIN_ ? budget / 2 : SHOAL_SPIN_MIN_;
	__atomic_store_n(&s->budget, learned, __ATOMIC_RELAXED);
	return found ? looks : 0;
}

SHOAL_SLOW_ uint32_t shoal_spin_looks_(struct shoal_spinner_ *s, bool (*ready)(const void *), const void *argument)
{
	struct shoal_process_ *p = &shoal_this_process_;
	int64_t now = shoal_now_();
	uint32_t looks = 0;

	if (__atomic_add_fetch(&p->spinning, 1, __ATOMIC_RELAXED) <= shoal_may_spin_(p, now))
		looks = shoal_spin_for_(p, s, now, ready, argument);
	__atomic_fetch_sub(&p->spinning, 1, __ATOMIC_RELAXED);
	return looks;
}

/* Calls ready until it says true, or the time that is worth spending has passed. */
static inline bool shoal_spin_(struct shoal_spinner_ *s, bool (*ready)(const void *), const void *argument)
{
	return ready(argument) || shoal_spin_looks_(s, ready, argument) != 0;
}

/* A spinner for who follows a stream and has seen all of it so far. A reader that is
 * faster than its writer takes the line away from it for each record, and both go in
 * lock-step. So who has run dry often, and found the next record after a look or two,
 * backs off for some microseconds each time, and finds many. If that brings few it
 * was wrong, and it takes twice as many short waits before it is tried again. */
struct shoal_pacer_ {
	struct shoal_spinner_ spinner;
	uint64_t taken;  /* when it last ran dry */
	uint32_t briefs; /* short waits, less four for each other; 0 when it has backed off */
	uint32_t trust;  /* how many it takes to back off */
	int64_t back;    /* nanoseconds for which it backs off; 0: not at all */
	uint64_t look;   /* how much is taken when it looks how far the writer is ahead */
};

#define SHOAL_PACE_LOOKS_ 2  /* in a wait that counts as short, with one more for each record before it */
#define SHOAL_PACE_DENSE_ 16 /* records behind a back-off that make it worthwhile */
#define SHOAL_PACE_TRUST_MIN_ 16
#define SHOAL_PACE_TRUST_MAX_ 4096
#define SHOAL_PACE_BACK_MIN_ 1500 /* nanoseconds */
#define SHOAL_PACE_BACK_MAX_ 6000
#define SHOAL_PACE_LONG_ 256   /* records without running dry, behind which it looks how far the writer is ahead */
#define SHOAL_PACE_CLOSE_ 4096 /* bytes: where processors fetch ahead, and a writer's stores wait to be done */
#define SHOAL_PACE_OFF_ 16384  /* bytes: how far it lets the writer get */
#define SHOAL_PACE_STEP_ 1000  /* nanoseconds */

static inline void shoal_pace_distrust_(struct shoal_pacer_ *f)
{
	f->trust = 2 * f->trust < SHOAL_PACE_TRUST_MAX_ ? 2 * f->trust : SHOAL_PACE_TRUST_MAX_;
	f->back = 0;
	f->briefs = 0;
}

/* shoal_spin_ for who has taken so much of the stream in all. */
SHOAL_SLOW_ bool shoal_pace_(struct shoal_pacer_ *f, uint64_t taken, bool (*ready)(const void *), const void *argument)
{
	uint64_t run = taken - f->taken, looks;
	bool first = f->briefs != 0;

	f->taken = taken;
	f->look = taken + SHOAL_PACE_LONG_;
	if (f->back != 0 && !first && run < SHOAL_PACE_DENSE_) {
		shoal_pace_distrust_(f);
	} else if (f->back != 0) {
		shoal_pause_(((uint64_t)f->back * __atomic_load_n(&shoal_this_process_.pauses, __ATOMIC_RELAXED) >> 16) + 1);
		if (ready(argument)) {
			if (!first) {
				f->back = 2 * f->back < SHOAL_PACE_BACK_MAX_ ? 2 * f->back : SHOAL_PACE_BACK_MAX_;
				f->trust = SHOAL_PACE_TRUST_MIN_;
			}
			f->briefs = 0;
			return true;
		}
		if (first)
			shoal_pace_distrust_(f);
		else /* the writer is late, but has been fast */
			__atomic_store_n(&f->spinner.budget, SHOAL_SPIN_MAX_, __ATOMIC_RELAXED);
	} else if (ready(argument)) {
		return true;
	}
	looks = shoal_spin_looks_(&f->spinner, ready, argument);
	if (f->trust < SHOAL_PACE_TRUST_MIN_)
		f->trust = SHOAL_PACE_TRUST_MIN_;
	if (looks == 0 || f->back != 0) {
		f->briefs = 0;
		f->back = 0;
	} else if (looks > SHOAL_PACE_LOOKS_ + run) {
		f->briefs -= f->briefs < 4 ? f->briefs : 4;
	} else if (f->briefs < f->trust) {
		f->briefs++;
	} else {
		f->back = SHOAL_PACE_BACK_MIN_;
	}
	return looks != 0;
}

/* Whether it is time to look how far the writer is ahead. Who is about as fast as its
 * writer need not run dry at all: it takes each record while the writer fills the next,
 * and waits for the line instead of for the record. */
static inline bool shoal_tight_(const struct shoal_pacer_ *f, uint64_t taken) { return taken >= f->look; }

/* Lets the writer get ahead, if it is close and fast. The next record to be read has this
 * number in its lane, and the last one took size bytes. */
SHOAL_SLOW_ void shoal_keep_off_(struct shoal_pacer_ *f, uint64_t taken, uint64_t number, uint64_t size,
                                 const struct shoal_format_lane *lane)
{
	uint64_t ahead = __atomic_load_n(&lane->messages, __ATOMIC_RELAXED) - number, before, far_off = UINT64_C(1) << 20;
	uint64_t pauses = ((uint64_t)SHOAL_PACE_STEP_ * __atomic_load_n(&shoal_this_process_.pauses, __ATOMIC_RELAXED) >> 16) + 1;
	int64_t left;

	if (ahead * size < SHOAL_PACE_CLOSE_) {
		for (left = SHOAL_PACE_BACK_MAX_; left > 0 && ahead * size < SHOAL_PACE_OFF_; left -= SHOAL_PACE_STEP_) {
			before = ahead;
			shoal_pause_(pauses);
			ahead = __atomic_load_n(&lane->messages, __ATOMIC_RELAXED) - number;
			if (ahead < before + SHOAL_PACE_DENSE_) { /* it is slow, or has come to its end */
				f->look = taken + SHOAL_PACE_LONG_;
				return;
			}
		}
	}
	/* A damaged count is looked at again. */
	f->look = taken + (ahead < SHOAL_PACE_DENSE_ ? SHOAL_PACE_DENSE_ : ahead < far_off ? ahead : far_off);
}

/* ============================================================= Waiting ==
 *
 * A thread that waits for other members sleeps on several words at once
 * (futex_waitv): the one it waits for, the one that announces changes of
 * membership, and the bells of all members. So whoever waits hears every death
 * itself, and sees to it; no other thread is needed. One round of it is
 *
 *	begin:  read changes           a burial from here on ends the sleep
 *	look:   the caller's           return when there is something
 *	sleep:  on word, changes, bells
 *	attend: to bells that rang     wake those who listen to them, too (the kernel
 *	                               wakes one), and bury, or nap until one can
 *
 * Sleeps are bounded (100 ms), because wake-ups die with processes: somebody who
 * died between a store and its wake-up has woken nobody. When a word is found
 * changed after such a sleep, and no wake-up comes for 60 ms more, one was lost,
 * and is counted. In the same rhythm the locks of all members are looked at: the
 * net below the bells.
 *
 * Kernels before 5.16 have no futex_waitv: then a thread sleeps on its word alone,
 * and looks at the bells every 10 ms.
 */

#define SHOAL_DOZE_ 100000000 /* nanoseconds */
#define SHOAL_CONFIRM_ 60000000
#define SHOAL_DEAF_DOZE_ 10000000
#define SHOAL_NAP_MIN_ 30000
#define SHOAL_NAP_MAX_ 10000000

/* struct futex_waitv of the kernel. */
struct shoal_waiter_ {
	uint64_t val, address;
	uint32_t flags, unused;
};

struct shoal_sleeper_ {
	struct shoal_members *m;
	uint32_t *word;
	int64_t deadline; /* CLOCK_MONOTONIC; INT64_MAX: none */
	int64_t nap;
	uint32_t changes;
	bool dozed; /* the last sleep ended by time */
	bool lost;  /* a wake-up has been lost, and counted in the object */
	/* Whether who sleeps on the word should have been woken by now, given the word as
	 * it is. NULL: as soon as it has changed. */
	bool (*due)(uint32_t word);
};

/* The instant at which a wait of so many nanoseconds ends; negative: never. */
static inline int64_t shoal_deadline_(int64_t timeout)
{
	int64_t now = shoal_now_();

	return timeout < 0 || timeout > INT64_MAX - now ? INT64_MAX : now + timeout;
}

static inline void shoal_sleeper_init_(struct shoal_sleeper_ *z, struct shoal_members *m, uint32_t *word,
                                       int64_t deadline, bool (*due)(uint32_t))
{
	z->m = m;
	z->word = word;
	z->deadline = deadline;
	z->nap = SHOAL_NAP_MIN_;
	z->changes = 0;
	z->dozed = z->lost = false;
	z->due = due;
}

/* Begins a round, before the caller looks. */
static inline void shoal_round_(struct shoal_sleeper_ *z)
{
	z->changes = shoal_load32_(&z->m->head->changes);
	z->dozed = false;
}

/* Sees to bells that have rung. Reports whether one still waits for its verdict. */
SHOAL_SLOW_ bool shoal_attend_(struct shoal_members *m)
{
	bool dying = false;
	uint32_t i;

	for (i = 0; i < m->count; i++) {
		if (i == m->slot || !shoal_rung_(m, i) || !shoal_active_(shoal_load64_(&m->slots[i].claim)))
			continue;
		shoal_wake_all_(&m->bells[i].word); /* the kernel has woken one, who may be dying himself */
		shoal_try_bury_(m, i);
		dying = dying || (shoal_rung_(m, i) && shoal_active_(shoal_load64_(&m->slots[i].claim)));
	}
	return dying;
}

/* Looks at the locks of all members, once in a while for all threads together. */
SHOAL_SLOW_ void shoal_patrol_(struct shoal_members *m)
{
	int64_t now = shoal_now_(), last = __atomic_load_n(&m->patrolled, __ATOMIC_RELAXED);
	uint32_t i;

	if (now - last < SHOAL_DOZE_ / 2 ||
	    !__atomic_compare_exchange_n(&m->patrolled, &last, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return;
	for (i = 0; i < m->count; i++)
		if (i != m->slot && shoal_active_(shoal_load64_(&m->slots[i].claim)) &&
		    !shoal_byte_taken_(m->lock_fd, shoal_lock_at_(m, i)))
			shoal_try_bury_(m, i);
}

/* Waits in the kernel until the instant, as long as nothing has changed. Bells that
 * have rung are left out if it is known that somebody is dying: the instant is near
 * then. Else one has rung since we looked. */
static inline int shoal_wait_(struct shoal_sleeper_ *z, uint32_t val, int64_t until, bool dying)
{
	struct shoal_members *m = z->m;
	struct shoal_waiter_ w[SHOAL_WAITV_MAX_];
	struct timespec ts;
	uint32_t i, n = 0, bell;
	int64_t soon;
	long r;

	memset(w, 0, sizeof w[0] * 2);
	w[n].address = (uint64_t)(uintptr_t)z->word;
	w[n++].val = val;
	w[n].address = (uint64_t)(uintptr_t)&m->head->changes;
	w[n++].val = z->changes;
	for (i = 0; i < m->count && n < SHOAL_WAITV_MAX_; i++) {
		if (i == m->slot || !shoal_active_(shoal_load64_(&m->slots[i].claim)))
			continue;
		bell = shoal_load32_(&m->bells[i].word);
		if ((bell & SHOAL_FUTEX_OWNER_DIED) != 0) {
			if (!dying)
				return -EAGAIN;
			continue;
		}
		w[n].address = (uint64_t)(uintptr_t)&m->bells[i].word;
		w[n].unused = 0;
		w[n++].val = bell;
	}
	for (i = 0; i < n; i++)
		w[i].flags = SHOAL_FUTEX2_U32_;
	ts.tv_sec = (time_t)(until / 1000000000);
	ts.tv_nsec = (long)(until % 1000000000);
	r = shoal_call_(SYS_futex_waitv, SHOAL_WORD_(w), n, 0, SHOAL_WORD_(&ts), SHOAL_CLOCK_MONOTONIC_, 0);
	if (r != -ENOSYS && r != -EPERM)
		return r > 0 ? 0 : (int)r;
	soon = shoal_now_() + SHOAL_DEAF_DOZE_;
	if (shoal_load32_(&m->head->changes) != z->changes)
		return -EAGAIN;
	return shoal_futex_wait_(z->word, val, until < soon ? until : soon, 0);
}

/* Counts a lost wake-up if the word stays as it is, and nobody wakes, for longer
 * than a live waker needs between its two steps. */
static inline void shoal_confirm_lost_(struct shoal_sleeper_ *z, uint32_t word)
{
	int64_t end = shoal_now_() + SHOAL_CONFIRM_;
	int r;

	do
		r = shoal_futex_wait_(z->word, word, end < z->deadline ? end : z->deadline, 0);
	while (r == -EINTR);
	if (r == -ETIMEDOUT && end <= z->deadline) {
		shoal_add64_(&z->m->head->lost_wakes, 1);
		z->lost = true;
	}
}

/* Sleeps while the word is val, and nobody dies, joins or leaves. Returns 0 when
 * there may be something to see, or -ETIMEDOUT. */
SHOAL_SLOW_ int shoal_sleep_(struct shoal_sleeper_ *z, uint32_t val)
{
	struct shoal_members *m = z->m;
	bool dying = shoal_attend_(m);
	int64_t until = shoal_now_() + (dying ? z->nap : SHOAL_DOZE_);
	uint32_t word;
	int r = shoal_wait_(z, val, until < z->deadline ? until : z->deadline, dying);

	z->nap = !dying ? SHOAL_NAP_MIN_ : z->nap < SHOAL_NAP_MAX_ ? z->nap + z->nap / 4 : SHOAL_NAP_MAX_;
	if (r == 0)
		shoal_attend_(m); /* a bell may be what woke us: it must not end with us */
	if (r != -ETIMEDOUT)
		return r == -EAGAIN || r == -EINTR ? 0 : r;
	if (!dying) {
		z->dozed = true;
		shoal_patrol_(m);
		word = shoal_load32_(z->word);
		if (word != val && (z->due == NULL || z->due(word)))
			shoal_confirm_lost_(z, word);
	}
	return shoal_now_() >= z->deadline ? -ETIMEDOUT : 0;
}

/* ========================================================= Event count ==
 *
 * One word at which threads wait for something to be published elsewhere:
 * sequence << 1 | somebody sleeps.
 *
 *	waiter: read the word; look; set the bit; look again; sleep while the word is that
 *	waker:  publish; read the word; with the bit: move it to the next number, without
 *	        the bit, and wake all
 *
 * The publication and the waiter's setting of the bit are sequentially consistent
 * stores, each followed by a load of the other's. At least one of the two loads
 * sees the other's store: the waiter finds what was published, or the waker finds
 * the bit. Then the word changes, and the kernel compares it before it lets
 * anybody sleep. The number is what a waker that stored 0 would lack: another
 * waiter's bit, set just after the store, would make the word look untouched.
 */

/* Wakes all who wait. What they wait for has been published, by one of the
 * functions above: a plain store may become visible after the load. */
static inline void shoal_notify_(uint32_t *word)
{
	uint32_t v = shoal_load32_(word); /* pairs with the compare-and-swap in shoal_await_ */

	if ((v & 1) != 0 && shoal_cas32_(word, v, v + 1))
		shoal_wake_all_(word);
}

/* Waits until ready says something other than 0, and returns that: 1 it is there, or
 * an error. It takes what it finds, and is not called again then. */
SHOAL_SLOW_ int shoal_await_(struct shoal_members *m, uint32_t *word, int64_t deadline, int (*ready)(void *),
                             void *argument)
{
	struct shoal_sleeper_ z;
	uint32_t v;
	int r;

	shoal_sleeper_init_(&z, m, word, deadline, NULL);
	for (;;) {
		shoal_round_(&z);
		v = shoal_load32_(word);
		r = ready(argument);
		if (r != 0)
			return r;
		if (shoal_leaving_(m))
			return SHOAL_ECLOSED;
		if ((v & 1) == 0) {
			if (!shoal_cas32_(word, v, v | 1)) /* pairs with the load in shoal_notify_ */
				continue;
			v |= 1;
			r = ready(argument);
			if (r != 0)
				return r;
		}
		/* If the bit was there when we read the word, we have looked since. */
		r = shoal_sleep_(&z, v);
		if (r < 0)
			return r;
		if (z.dozed && shoal_load32_(word) == v) {
			r = ready(argument);
			if (r != 0) { /* published, and nobody woke us: yet, or ever */
				shoal_confirm_lost_(&z, v);
				return r;
			}
		}
	}
}

/* ============================================================= Objects ==
 *
 *	0        64                            body
 *	+--------+---------------------+-------+------------- ... -+
 *	| header | members             | type  | the structure     |
 *	+--------+---------------------+-------+------------- ... -+
 *
 * A bare name, "ticks", is the Shoal object of that name, which is the POSIX object
 * /shoal.ticks. Names have 1 to 200 letters, digits, dots, underscores or dashes.
 * With a slash or a colon it is one of the addresses above.
 */

/* What an object is, or is to be. Zero is a good default in every field. */
struct shoal_spec {
	uint32_t kind;         /* SHOAL_KIND_...; 0 opens any */
	uint32_t slots;        /* for members; 0: SHOAL_DEFAULT_SLOTS */
	uint64_t size;         /* bytes of the body; for making only */
	unsigned mode;         /* exactly so, whatever the umask; 0: 0600 */
	const uint32_t *group; /* NULL: the creator's */
	const char *schema;    /* text of the type of the values; NULL: none, and opens any */
	void (*fill)(unsigned char *body, void *argument); /* writes the body, zeros so far; NULL leaves it */
	void *argument;
	bool read_only; /* opens it for looking: it cannot be joined */
};

/* An open object. */
struct shoal {
	struct shoal_segment segment;
	struct shoal_members members;
	uint32_t kind;
	uint32_t slots;
	uint64_t body; /* offset */
	uint64_t size; /* of the object, as its header says */
	uint64_t fingerprint;
	const char *schema; /* in the object; not terminated */
	uint32_t schema_length;
	bool read_only;
};

/* shoal_why tells what the last open, create or join that failed has found, as
 * shoal_members_why does. */
static inline const char *shoal_why(const struct shoal *o) { return o->members.why; }

static inline int shoal_name_parse_(struct shoal_address_ *a, const char *name)
{
	size_t length = strlen(name), i;

	if (strpbrk(name, "/:") != NULL)
		return shoal_address_parse_(a, name);
	if (length == 0 || length > SHOAL_NAME_MAX)
		return -EINVAL;
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != length)
		return -EINVAL;
	i = strncmp(name, "sysv-", 5) == 0 ? 5 : length; /* companions of System V segments */
	if (i < length && strspn(name + i, "0123456789") == length - i)
		return -EINVAL;
	a->backing = SHOAL_POSIX_;
	a->number = 0;
	snprintf(a->path, sizeof a->path, "/dev/shm/shoal.%s", name);
	return 0;
}

struct shoal_filling_ {
	const struct shoal_spec *spec;
	uint32_t slots;
	bool late; /* the table is made by the first who joins */
};

static inline uint64_t shoal_schema_at_(uint32_t slots)
{
	return sizeof(struct shoal_format_header) + shoal_members_size_(slots);
}

static inline uint64_t shoal_body_at_(uint32_t slots, uint64_t text)
{
	return (shoal_schema_at_(slots) + text + SHOAL_LINE - 1) & ~(uint64_t)(SHOAL_LINE - 1);
}

/* Writes the whole object over zeros. */
static inline int shoal_fill_(unsigned char *base, uint64_t size, void *argument)
{
	const struct shoal_filling_ *f = (const struct shoal_filling_ *)argument;
	const struct shoal_spec *spec = f->spec;
	struct shoal_format_header *h = (struct shoal_format_header *)(void *)base;
	size_t text = spec->schema == NULL ? 0 : strlen(spec->schema);
	uint64_t body = shoal_body_at_(f->slots, text);
	int r = f->late ? 0 : shoal_members_make_(base, size, sizeof *h, f->slots, 0);

	if (r < 0)
		return r;
	if (spec->fill != NULL)
		spec->fill(base + body, spec->argument);
	h->version = SHOAL_MAJOR << 16 | SHOAL_MINOR;
	h->kind = spec->kind;
	h->size = body + spec->size;
	h->body = body;
	if (text > 0) {
		h->fingerprint = shoal_fingerprint(spec->schema, text);
		h->schema_offset = (uint32_t)shoal_schema_at_(f->slots);
		h->schema_length = (uint32_t)text;
		memcpy(base + h->schema_offset, spec->schema, text);
	}
	h->slots = f->slots;
	h->creator = (uint32_t)getpid();
	h->created = shoal_clock_(SHOAL_CLOCK_REALTIME_);
	shoal_store64_(&h->magic, SHOAL_MAGIC); /* pairs with the load in shoal_check_header_: all above is there */
	return 0;
}

/* Says in which line two texts of types differ. */
static inline int shoal_type_mismatch_(struct shoal *o, const char *want)
{
	const char *have = o->schema, *end = o->schema + o->schema_length;
	unsigned line = 1;
	int a, b;

	for (;;) {
		a = (int)strcspn(want, "\n");
		for (b = 0; have + b < end && have[b] != '\n'; b++)
			;
		if (a != b || memcmp(want, have, (size_t)a) != 0 || want[a] == 0 || have + b == end)
			break;
		want += a + 1;
		have += b + 1;
		line++;
	}
	return shoal_because_(&o->members, SHOAL_ETYPE, "line %u of the type: want \"%.*s\", have \"%.*s\"", line,
	                      a > 60 ? 60 : a, want, b > 60 ? 60 : b, have);
}

static inline int shoal_check_type_(struct shoal *o, const char *want)
{
	if (o->schema_length > 0 && shoal_fingerprint(o->schema, o->schema_length) != o->fingerprint)
		return shoal_because_(&o->members, SHOAL_ECORRUPT,
		                      "at offset 24: fingerprint is %#llx, that of its type %#llx",
		                      (unsigned long long)o->fingerprint,
		                      (unsigned long long)shoal_fingerprint(o->schema, o->schema_length));
	if (o->schema_length == strlen(want) && memcmp(o->schema, want, o->schema_length) == 0)
		return 0;
	return shoal_type_mismatch_(o, want);
}

/* Reads the header, each field once, and bounds all of it. */
static inline int shoal_check_header_(struct shoal *o, const struct shoal_spec *spec)
{
	const struct shoal_format_header *h = (const struct shoal_format_header *)(const void *)o->segment.base;
	struct shoal_members *m = &o->members;
	uint64_t magic, size, body, behind, offset, length;
	uint32_t version, kind, slots;

	if (o->segment.size < sizeof *h)
		return shoal_because_(m, SHOAL_ECORRUPT, "object of %llu bytes, a header has 64",
		                      (unsigned long long)o->segment.size);
	magic = shoal_load64_(&h->magic); /* pairs with the store in shoal_fill_ */
	if (magic == 0)
		return SHOAL_EUNFINISHED;
	if (magic != SHOAL_MAGIC)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset 0: magic is %#llx, a Shoal object has %#llx",
		                      (unsigned long long)magic, (unsigned long long)SHOAL_MAGIC);
	version = shoal_load32_(&h->version);
	if (version >> 16 != SHOAL_MAJOR)
		return shoal_because_(m, SHOAL_EVERSION, "version %u.%u, this program knows %d.%d", version >> 16,
		                      version & 0xffff, SHOAL_MAJOR, SHOAL_MINOR);
	kind = shoal_load32_(&h->kind);
	if (spec->kind != 0 && kind != spec->kind)
		return shoal_because_(m, SHOAL_EKIND, "kind %u, want %u", kind, spec->kind);
	size = shoal_load64_(&h->size);
	body = shoal_load64_(&h->body);
	if (size > o->segment.size)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset 16: size is %llu, the object has %llu bytes",
		                      (unsigned long long)size, (unsigned long long)o->segment.size);
	if (body < sizeof *h || body > size || body % 8 != 0)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset 32: body at %llu of %llu bytes",
		                      (unsigned long long)body, (unsigned long long)size);
	slots = shoal_load32_(&h->slots);
	if (slots < 1 || slots > SHOAL_MAX_SLOTS || shoal_schema_at_(slots) > body)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset 48: %u member slots before a body at %llu", slots,
		                      (unsigned long long)body);
	offset = shoal_load32_(&h->schema_offset);
	length = shoal_load32_(&h->schema_length);
	behind = shoal_schema_at_(slots);
	if (length != 0 && (length > SHOAL_SCHEMA_MAX || offset < behind || offset + length > body))
		return shoal_because_(m, SHOAL_ECORRUPT,
		                      "at offset 40: text of %llu bytes at %llu, before a body at %llu",
		                      (unsigned long long)length, (unsigned long long)offset, (unsigned long long)body);
	o->kind = kind;
	o->slots = slots;
	o->body = body;
	o->size = size;
	o->fingerprint = shoal_load64_((const uint64_t *)&h->fingerprint);
	o->schema = (const char *)o->segment.base + (length == 0 ? 0 : offset);
	o->schema_length = (uint32_t)length;
	o->read_only = spec->read_only;
	return spec->schema == NULL ? 0 : shoal_check_type_(o, spec->schema);
}

/* Checks a segment that has been mapped, and gives it back if it is not what is
 * wanted. System V objects alone can be found while they are still empty: those are
 * given a second. */
static inline int shoal_check_(struct shoal *o, const struct shoal_spec *spec)
{
	int r = shoal_check_header_(o, spec), round;

	for (round = 0; r == SHOAL_EUNFINISHED && o->segment.fd < 0 && round < 1000; round++) {
		shoal_nap_(1000000);
		r = shoal_check_header_(o, spec);
	}
	if (r < 0)
		shoal_segment_unmap_(&o->segment);
	return r;
}

static inline void shoal_clear_(struct shoal *o)
{
	memset(o, 0, sizeof *o);
	o->segment.fd = -1;
	o->members.lock_fd = -1;
}

static inline int shoal_create_at_(struct shoal *o, const struct shoal_address_ *a, const struct shoal_spec *spec)
{
	struct shoal_filling_ filling;
	struct shoal_making_ making;
	size_t text = spec->schema == NULL ? 0 : strlen(spec->schema);
	int r;

	filling.spec = spec;
	filling.slots = spec->slots == 0 ? SHOAL_DEFAULT_SLOTS : spec->slots;
	/* A table in System V memory names the file with its locks, which goes by the id
	 * that the kernel has yet to choose. */
	filling.late = shoal_is_sysv_(a);
	if (filling.slots > SHOAL_MAX_SLOTS || text > SHOAL_SCHEMA_MAX || spec->size > INT64_MAX - (1 << 20))
		return -EINVAL;
	making.size = shoal_body_at_(filling.slots, text) + spec->size;
	making.mode = spec->mode == 0 ? 0600 : spec->mode;
	making.group = spec->group;
	making.fill = shoal_fill_;
	making.argument = &filling;
	shoal_clear_(o);
	r = shoal_segment_make_(&o->segment, a, &making);
	return r < 0 ? r : shoal_check_(o, spec);
}

static inline int shoal_open_at_(struct shoal *o, const struct shoal_address_ *a, const struct shoal_spec *spec)
{
	int r;

	shoal_clear_(o);
	r = shoal_segment_open_(&o->segment, a, spec->read_only);
	return r < 0 ? r : shoal_check_(o, spec);
}

/* shoal_create makes an object; -EEXIST if there is one. It is not joined. */
static inline int shoal_create(struct shoal *o, const char *name, const struct shoal_spec *spec)
{
	struct shoal_address_ a;
	int r = shoal_name_parse_(&a, name);

	shoal_clear_(o);
	return r < 0 ? r : shoal_create_at_(o, &a, spec);
}

/* shoal_open opens an object that exists, of the kind and type that are asked for;
 * spec may be NULL, for any. It is not joined. */
static inline int shoal_open(struct shoal *o, const char *name, const struct shoal_spec *spec)
{
	struct shoal_spec any;
	struct shoal_address_ a;
	int r = shoal_name_parse_(&a, name);

	memset(&any, 0, sizeof any);
	shoal_clear_(o);
	return r < 0 ? r : shoal_open_at_(o, &a, spec == NULL ? &any : spec);
}

/* shoal_open_or_create opens the object, and makes it if there is none: 1 if it
 * did. Any number of processes may do so at once. */
static inline int shoal_open_or_create(struct shoal *o, const char *name, const struct shoal_spec *spec)
{
	struct shoal_address_ a;
	int r = shoal_name_parse_(&a, name), round;

	shoal_clear_(o);
	if (r < 0)
		return r;
	for (round = 0; round < 100; round++) {
		r = shoal_open_at_(o, &a, spec);
		if (r != -ENOENT)
			return r;
		r = shoal_create_at_(o, &a, spec);
		if (r != -EEXIST)
			return r < 0 ? r : 1;
	}
	return r;
}

/* shoal_join makes this process a member, whose role is a number for people. Errors:
 * those of shoal_members_join, -EALREADY, -EACCES if it was opened read_only, SHOAL_EKIND
 * for a queue: see shoal_queue_open. */
static inline int shoal_join(struct shoal *o, uint32_t role)
{
	if (o->segment.base == NULL)
		return SHOAL_ECLOSED;
	if (o->read_only)
		return -EACCES;
	if (o->members.generation != 0)
		return -EALREADY;
	/* Members bury the dead, and of a queue that takes more than to end an epoch. */
	if (o->kind == SHOAL_KIND_QUEUE && o->members.repair == NULL)
		return shoal_because_(&o->members, SHOAL_EKIND, "a queue is joined by shoal_queue_open");
	return shoal_members_join_(&o->members, &o->segment, sizeof(struct shoal_format_header), o->slots, role);
}

/* shoal_body returns the structure that the object holds, valid until shoal_close,
 * and shoal_body_size how many bytes there are. */
static inline void *shoal_body(const struct shoal *o) { return o->segment.base + o->body; }
static inline uint64_t shoal_body_size(const struct shoal *o) { return o->size - o->body; }

/* shoal_close leaves the object, if it was joined, and unmaps it. The object stays
 * for the others. Closing again does nothing. */
static inline void shoal_close(struct shoal *o)
{
	shoal_members_leave(&o->members);
	shoal_segment_unmap_(&o->segment);
}

/* shoal_remove takes the name of a Shoal object away: it is free at once, and
 * members go on until they close it. -ENOENT if there is none; what is no Shoal
 * object stays. */
static inline int shoal_remove(const char *name)
{
	struct shoal_address_ a, companion;
	struct shoal_spec any;
	struct shoal o;
	struct stat mine, named;
	int r = shoal_name_parse_(&a, name);
	int32_t id;

	memset(&any, 0, sizeof any);
	if (r == 0)
		r = shoal_open_at_(&o, &a, &any);
	if (r < 0)
		return r;
	id = o.segment.id;
	if (shoal_is_sysv_(&a)) {
		r = shoal_missing_(shoal_call_(SYS_shmctl, id, 0 /* IPC_RMID */, 0, 0, 0, 0));
		companion.backing = SHOAL_POSIX_;
		companion.number = 0;
		snprintf(companion.path, sizeof companion.path, "/dev/shm/shoal.sysv-%d", (int)id);
		if (r == 0) {
			r = shoal_address_remove_(&companion);
			r = r == -ENOENT ? 0 : r;
		}
	} else {
		r = fstat(o.segment.fd, &mine) < 0 ? -errno : shoal_stat_(a.path, &named, SHOAL_AT_SYMLINK_NOFOLLOW_);
		if (r == 0 && (mine.st_ino != named.st_ino || mine.st_dev != named.st_dev))
			r = -ENOENT; /* the name stands for another object by now */
		if (r == 0 && unlink(a.path) < 0)
			r = -errno;
	}
	shoal_close(&o);
	return r;
}

/* -------------------------------------------------- What primitives share */

/* How a named primitive is made. NULL or zeros are good defaults. They do not
 * matter for one that exists. */
struct shoal_options {
	unsigned mode;         /* 0: 0600. Members need to read and write */
	const uint32_t *group; /* NULL: the creator's */
	uint32_t members;      /* how many there can be at a time; 0: SHOAL_DEFAULT_SLOTS */
};

struct shoal_preamble_ {
	uint32_t magic, config, value;
};

static inline void shoal_primitive_fill_(unsigned char *body, void *argument)
{
	const struct shoal_preamble_ *p = (const struct shoal_preamble_ *)argument;
	struct shoal_format_semaphore *s = (struct shoal_format_semaphore *)(void *)body;

	s->config = p->config;
	s->value = p->value;
	shoal_store32_(&s->magic, p->magic);
}

/* Opens or makes the named object with one primitive in it, and joins. */
static inline int shoal_primitive_open_(struct shoal *o, const char *name, const struct shoal_options *options,
                                        uint32_t kind, uint64_t size, struct shoal_preamble_ *p)
{
	struct shoal_spec spec;
	int r;

	memset(&spec, 0, sizeof spec);
	spec.kind = kind;
	spec.size = size;
	spec.fill = shoal_primitive_fill_;
	spec.argument = p;
	if (options != NULL) {
		spec.slots = options->members;
		spec.mode = options->mode;
		spec.group = options->group;
	}
	r = shoal_open_or_create(o, name, &spec);
	if (r >= 0) {
		r = shoal_join(o, 0);
		if (r < 0)
			shoal_segment_unmap_(&o->segment);
	}
	return r;
}

/* Finds size bytes of a primitive in the members' segment. */
static inline int shoal_place_(const struct shoal_members *m, uint64_t at, uint64_t size, unsigned char **p)
{
	*p = NULL;
	if (!shoal_here_(m))
		return shoal_not_here_(m);
	if (at % 8 != 0 || at > m->segment->size || m->segment->size - at < size)
		return -EINVAL;
	*p = m->segment->base + at;
	return 0;
}

/* Makes a primitive, whose magic number is stored last. Two who try at once exclude
 * each other; one that dies half-way has made nothing. */
static inline int shoal_primitive_init_(struct shoal_members *m, uint64_t at, uint64_t size,
                                        const struct shoal_preamble_ *made)
{
	struct shoal_format_semaphore *s;
	unsigned char *p;
	int r = at % 64 != 0 ? -EINVAL : shoal_place_(m, at, size, &p);

	if (r == 0)
		r = shoal_begin_(m);
	if (r < 0)
		return r;
	r = shoal_exclusive_enter_(m);
	if (r == 0) {
		s = (struct shoal_format_semaphore *)(void *)p;
		if (shoal_load32_(&s->magic) != 0)
			r = -EEXIST;
		else {
			s->config = made->config;
			if (made->value != 0)
				shoal_store32_(&s->value, made->value);
			/* Pairs with the load in shoal_identify_: all above is there. */
			shoal_store32_(&s->magic, made->magic);
		}
		shoal_exclusive_leave_(m);
	}
	shoal_end_(m);
	return r;
}

/* Checks that a primitive is there, and returns its configuration. */
static inline int shoal_identify_(struct shoal_members *m, uint64_t at, uint32_t want, unsigned char **p,
                                  uint32_t *config)
{
	struct shoal_format_mutex *preamble;
	uint32_t magic;
	int r = shoal_place_(m, at, 64, p);

	*config = 0;
	if (r < 0)
		return r;
	preamble = (struct shoal_format_mutex *)(void *)*p;
	magic = shoal_load32_(&preamble->magic); /* pairs with the store that made it */
	if (magic == 0)
		return -ENOENT;
	if (magic != want)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: it begins with %#x, not %#x",
		                      (unsigned long long)at, magic, want);
	*config = shoal_load32_(&preamble->config);
	return 0;
}

/* =============================================================== Mutex ==
 *
 * Its whole state is one word: who holds it, since which epoch of its membership,
 * and whether somebody waits.
 *
 *	0 --lock--> owner --unlock--> 0
 *	              | another waits: +WAITERS; unlock wakes one, who takes it with
 *	              | +WAITERS, since still others may sleep
 *	              v dies
 *	   void --next lock--> owner+INCONSISTENT --mark_consistent--> owner
 *	                              | unlock
 *	                              v
 *	                        NOT_RECOVERABLE
 *
 * Waiters sleep on the low half. That the high half, the epoch, is left out does no
 * harm: with the same low half the lock is held, and its holder knows that somebody
 * sleeps.
 */

/* A lock between processes. Any thread of the process that holds it may unlock it.
 * It is neither fair nor recursive. */
struct shoal_mutex {
	struct shoal_members *members;
	uint64_t *state;
	uint64_t self;
	struct shoal_spinner_ spin;
	struct shoal object; /* of a named one */
};

/* Whether the word has only flags that it can have, together as it can have them. */
static inline bool shoal_lock_sound_(uint64_t word)
{
	if ((word & 0xffff & ~(SHOAL_LOCK_WAITERS | SHOAL_LOCK_INCONSISTENT | SHOAL_LOCK_NOT_RECOVERABLE)) != 0)
		return false;
	if ((word & SHOAL_LOCK_NOT_RECOVERABLE) != 0)
		return word == SHOAL_LOCK_NOT_RECOVERABLE;
	return true;
}

/* Takes the lock if word, which has just been read from it, lets it, and sets the
 * flags in extra. 0 and SHOAL_EOWNERDEAD: it has. SHOAL_EBUSY: a live owner has it.
 * -EAGAIN: the word has changed since. */
static inline int shoal_lock_try_(struct shoal_mutex *mu, uint64_t word, uint64_t extra)
{
	uint64_t keep = word & (SHOAL_LOCK_WAITERS | SHOAL_LOCK_INCONSISTENT), owner = shoal_owner_of_(word);
	int r;

	if (word == SHOAL_LOCK_NOT_RECOVERABLE)
		return SHOAL_ENOTRECOVERABLE;
	if (!shoal_lock_sound_(word))
		return SHOAL_ECORRUPT;
	if (owner != 0) {
		r = shoal_settle_(mu->members, owner);
		if (r != 0)
			return r == 1 ? SHOAL_EBUSY : r;
		keep |= SHOAL_LOCK_INCONSISTENT; /* its owner has gone */
	}
	/* From exactly what was judged: a lock that has changed hands is not touched. */
	if (!shoal_cas64_(mu->state, word, mu->self | keep | extra))
		return -EAGAIN;
	if (owner != 0)
		shoal_repaired_(mu->members);
	return (keep & SHOAL_LOCK_INCONSISTENT) != 0 ? SHOAL_EOWNERDEAD : 0;
}

/* Whether who sleeps on the low half of a lock should have been woken. While an
 * owner knows that somebody sleeps all is well, whoever it is by now. */
static inline bool shoal_lock_due_(uint32_t low) { return low >> 16 == 0 || (low & SHOAL_LOCK_WAITERS) == 0; }

static inline bool shoal_lock_free_(const void *state)
{
	return shoal_owner_of_(shoal_load64_((const uint64_t *)state)) == 0;
}

/* Sleeps until it has the lock. */
static inline int shoal_lock_wait_(struct shoal_mutex *mu, int64_t deadline)
{
	uint32_t *low = shoal_low_(mu->state);
	uint64_t word, slept = 0;
	struct shoal_sleeper_ z;
	int r;

	shoal_sleeper_init_(&z, mu->members, low, deadline, shoal_lock_due_);
	for (;;) {
		shoal_round_(&z);
		word = shoal_load64_(mu->state);
		/* Whoever has slept takes the lock with the flag: others may sleep still, and the
		 * unlock that woke us has cleared it. */
		r = shoal_lock_try_(mu, word, slept);
		if (r == -EAGAIN)
			continue;
		if (r != SHOAL_EBUSY)
			return r;
		if (shoal_leaving_(mu->members))
			return SHOAL_ECLOSED;
		if ((word & SHOAL_LOCK_WAITERS) == 0 && !shoal_cas64_(mu->state, word, word | SHOAL_LOCK_WAITERS))
			continue;
		r = shoal_sleep_(&z, (uint32_t)(word | SHOAL_LOCK_WAITERS));
		if (r < 0) {
			shoal_wake_(low, 1); /* the unlock that was meant for us may have come in the same moment */
			return r;
		}
		slept = SHOAL_LOCK_WAITERS;
	}
}

SHOAL_SLOW_ int shoal_lock_slow_(struct shoal_mutex *mu, int64_t timeout)
{
	int64_t deadline = shoal_deadline_(timeout);
	int r = shoal_begin_(mu->members);

	if (r < 0)
		return r;
	do {
		r = SHOAL_EBUSY;
		if (!shoal_spin_(&mu->spin, shoal_lock_free_, mu->state))
			break;
		r = shoal_lock_try_(mu, shoal_load64_(mu->state), 0);
	} while (r == -EAGAIN || r == SHOAL_EBUSY);
	if (r == SHOAL_EBUSY)
		r = shoal_lock_wait_(mu, deadline);
	shoal_end_(mu->members);
	return r;
}

/* From nobody, without flags, to us. Pairs with the store of 0 in unlock: what its
 * caller wrote before is seen by ours. */
static inline bool shoal_lock_fast_(struct shoal_mutex *mu)
{
	return shoal_here_(mu->members) && shoal_cas64_(mu->state, 0, mu->self);
}

/* shoal_mutex_lock locks the mutex, and waits as long as another holds it.
 *
 * With SHOAL_EOWNERDEAD it has locked it, too: who held it before has died, and
 * what it guards may be half-changed. Mend it, and shoal_mutex_mark_consistent.
 * With every other error it has not: SHOAL_ENOTRECOVERABLE, SHOAL_ECORRUPT,
 * SHOAL_ECLOSED, SHOAL_EFORK.
 *
 * Cost without contention: one compare-and-swap. */
static inline int shoal_mutex_lock(struct shoal_mutex *mu)
{
	return shoal_lock_fast_(mu) ? 0 : shoal_lock_slow_(mu, -1);
}

/* shoal_mutex_lock_for gives up after so many nanoseconds: SHOAL_ETIMEDOUT. Less
 * than 0 is for ever. */
static inline int shoal_mutex_lock_for(struct shoal_mutex *mu, int64_t timeout)
{
	return shoal_lock_fast_(mu) ? 0 : shoal_lock_slow_(mu, timeout);
}

/* shoal_mutex_trylock never waits: SHOAL_EBUSY if another holds it. */
static inline int shoal_mutex_trylock(struct shoal_mutex *mu)
{
	int r;

	if (shoal_lock_fast_(mu))
		return 0;
	r = shoal_begin_(mu->members);
	if (r < 0)
		return r;
	r = shoal_lock_try_(mu, shoal_load64_(mu->state), 0);
	shoal_end_(mu->members);
	return r == -EAGAIN ? SHOAL_EBUSY : r;
}

/* Why what the word says is not held by this member; 0 if it is. */
static inline int shoal_lock_mine_(const struct shoal_mutex *mu, uint64_t word)
{
	if (!shoal_lock_sound_(word))
		return SHOAL_ECORRUPT;
	return shoal_owner_of_(word) == mu->self ? 0 : SHOAL_ENOTOWNER;
}

SHOAL_SLOW_ int shoal_unlock_slow_(struct shoal_mutex *mu)
{
	uint64_t word, next;
	int r = shoal_begin_(mu->members);

	if (r < 0)
		return r;
	for (;;) {
		word = shoal_load64_(mu->state);
		r = shoal_lock_mine_(mu, word);
		if (r < 0)
			break;
		next = (word & SHOAL_LOCK_INCONSISTENT) != 0 ? SHOAL_LOCK_NOT_RECOVERABLE : 0;
		if (!shoal_cas64_(mu->state, word, next)) /* pairs with the compare-and-swap of the next owner */
			continue;                         /* a waiter has set its flag */
		if (next != 0)
			shoal_wake_all_(shoal_low_(mu->state));
		else if ((word & SHOAL_LOCK_WAITERS) != 0)
			shoal_wake_(shoal_low_(mu->state), 1);
		break;
	}
	shoal_end_(mu->members);
	return r;
}

/* shoal_mutex_unlock unlocks it: SHOAL_ENOTOWNER if this process does not hold it.
 * A mutex that was SHOAL_EOWNERDEAD and has not been marked consistent becomes
 * SHOAL_ENOTRECOVERABLE. Cost with nobody waiting: one compare-and-swap. */
static inline int shoal_mutex_unlock(struct shoal_mutex *mu)
{
	if (shoal_here_(mu->members) && shoal_cas64_(mu->state, mu->self, 0)) /* pairs with the one in lock */
		return 0;
	return shoal_unlock_slow_(mu);
}

/* shoal_mutex_mark_consistent says that what the mutex guards has been mended after
 * SHOAL_EOWNERDEAD. The caller holds the lock. */
static inline int shoal_mutex_mark_consistent(struct shoal_mutex *mu)
{
	uint64_t word;
	int r = shoal_begin_(mu->members);

	if (r < 0)
		return r;
	do {
		word = shoal_load64_(mu->state);
		r = shoal_lock_mine_(mu, word);
	} while (r == 0 && !shoal_cas64_(mu->state, word, word & ~SHOAL_LOCK_INCONSISTENT));
	shoal_end_(mu->members);
	return r;
}

/* shoal_mutex_check returns SHOAL_ECORRUPT for a state that no sequence of
 * operations and deaths leads to. It changes nothing. */
static inline int shoal_mutex_check(struct shoal_mutex *mu)
{
	uint64_t word;
	int r = shoal_begin_(mu->members);

	if (r < 0)
		return r;
	word = shoal_load64_(mu->state);
	if (!shoal_lock_sound_(word) ||
	    (shoal_owner_of_(word) != 0 && shoal_current_(mu->members, shoal_owner_of_(word)) < 0))
		r = SHOAL_ECORRUPT;
	shoal_end_(mu->members);
	return r;
}

static inline int shoal_mutex_attach_(struct shoal_mutex *mu, struct shoal_members *m, uint64_t at)
{
	unsigned char *p;
	uint32_t config;
	int r = shoal_identify_(m, at, SHOAL_MUTEX_MAGIC, &p, &config);

	if (r < 0)
		return r;
	mu->members = m;
	mu->state = &((struct shoal_format_mutex *)(void *)p)->state;
	mu->self = m->self;
	return 0;
}

/* shoal_mutex_open opens the named mutex, makes it if there is none, and joins. */
static inline int shoal_mutex_open(struct shoal_mutex *mu, const char *name, const struct shoal_options *options)
{
	struct shoal_preamble_ p = {SHOAL_MUTEX_MAGIC, 0, 0};
	int r;

	memset(mu, 0, sizeof *mu);
	r = shoal_primitive_open_(&mu->object, name, options, SHOAL_KIND_MUTEX, sizeof(struct shoal_format_mutex), &p);
	if (r < 0)
		return r;
	r = shoal_mutex_attach_(mu, &mu->object.members, mu->object.body);
	if (r < 0)
		shoal_close(&mu->object);
	return r;
}

/* shoal_mutex_init makes a mutex of 64 bytes at the offset, a multiple of 64, of the
 * members' segment, where all is zero (else -EEXIST); shoal_mutex_join takes one
 * that somebody has made (else -ENOENT). It needs no close: leave the members. */
static inline int shoal_mutex_join(struct shoal_mutex *mu, struct shoal_members *m, uint64_t offset)
{
	memset(mu, 0, sizeof *mu);
	return offset % 64 != 0 ? -EINVAL : shoal_mutex_attach_(mu, m, offset);
}

static inline int shoal_mutex_init(struct shoal_mutex *mu, struct shoal_members *m, uint64_t offset)
{
	struct shoal_preamble_ p = {SHOAL_MUTEX_MAGIC, 0, 0};
	int r = shoal_primitive_init_(m, offset, sizeof(struct shoal_format_mutex), &p);

	return r < 0 ? r : shoal_mutex_join(mu, m, offset);
}

/* shoal_mutex_close ends the use of a named mutex: see shoal_close. */
static inline void shoal_mutex_close(struct shoal_mutex *mu) { shoal_close(&mu->object); }

/* shoal_mutex_why: see shoal_why. */
static inline const char *shoal_mutex_why(const struct shoal_mutex *mu) { return shoal_why(&mu->object); }

/* shoal_mutex_stats: see shoal_members_stats. */
static inline int shoal_mutex_stats(struct shoal_mutex *mu, struct shoal_stats *stats)
{
	return shoal_members_stats(mu->members, stats);
}

/* =============================================================== Event ==
 *
 *	sequence << 2 | SET | SLEEPS
 *
 *	set:    not set --> SET, the next sequence, without SLEEPS; wakes one or all
 *	reset:  SET --> not set
 *	pass:   SET --> SET (manual), or not set (auto); with SLEEPS if it has slept
 *
 * Who waits at a manual event has passed, too, when the sequence is another than
 * before its first look: it has been set, and reset since.
 */

/* A flag that threads of all processes can wait for. A manual one stays set until it
 * is reset, and lets everybody pass: a door. One that resets itself lets one pass
 * for each set: a bell. */
struct shoal_event {
	struct shoal_members *members;
	uint32_t *state;
	bool resets;
	struct shoal_spinner_ spin;
	struct shoal object;
};

static inline bool shoal_event_set_(const void *state)
{
	return (shoal_load32_((const uint32_t *)state) & SHOAL_EVENT_SET) != 0;
}

/* Passes if it is set. One that resets itself gets the flag. */
static inline bool shoal_event_pass_(struct shoal_event *e, uint32_t flag)
{
	uint32_t word;

	for (;;) {
		word = shoal_load32_(e->state);
		if ((word & SHOAL_EVENT_SET) == 0)
			return false;
		if (!e->resets || shoal_cas32_(e->state, word, (word & ~SHOAL_EVENT_SET) | flag))
			return true;
	}
}

/* One who is woken passes, and sets the flag again for the others. */
static inline bool shoal_event_due_(uint32_t word)
{
	return (word & SHOAL_EVENT_SET) != 0 || (word & SHOAL_EVENT_SLEEPS) == 0;
}

static inline int shoal_event_sleep_(struct shoal_event *e, int64_t deadline, uint32_t sequence)
{
	struct shoal_sleeper_ z;
	uint32_t word, slept = 0;
	int r;

	/* Every set of a manual event wakes all: there a change is always due. */
	shoal_sleeper_init_(&z, e->members, e->state, deadline, e->resets ? shoal_event_due_ : NULL);
	for (;;) {
		shoal_round_(&z);
		/* Whoever has slept passes with the flag: others may sleep still, and the set
		 * that woke us has cleared it. */
		if (shoal_event_pass_(e, slept))
			return 0;
		if (shoal_leaving_(e->members))
			return SHOAL_ECLOSED;
		word = shoal_load32_(e->state);
		if (!e->resets && word / SHOAL_EVENT_NEXT != sequence)
			return 0;
		if ((word & SHOAL_EVENT_SET) != 0)
			continue;
		if ((word & SHOAL_EVENT_SLEEPS) == 0 && !shoal_cas32_(e->state, word, word | SHOAL_EVENT_SLEEPS))
			continue;
		r = shoal_sleep_(&z, word | SHOAL_EVENT_SLEEPS);
		if (r < 0) {
			shoal_wake_(e->state, 1); /* a set that was meant for us may have come in the same moment */
			return r;
		}
		slept = SHOAL_EVENT_SLEEPS;
	}
}

/* The sequence is that from before the caller's first look. */
SHOAL_SLOW_ int shoal_event_slow_(struct shoal_event *e, int64_t timeout, uint32_t sequence)
{
	int64_t deadline = shoal_deadline_(timeout);
	bool passed = false;
	int r = shoal_begin_(e->members);

	if (r < 0)
		return r;
	while (!passed && shoal_spin_(&e->spin, shoal_event_set_, e->state))
		passed = shoal_event_pass_(e, 0);
	if (!passed)
		r = shoal_event_sleep_(e, deadline, sequence);
	shoal_end_(e->members);
	return r;
}

/* shoal_event_wait_for passes as soon as the event is set, or gives up after so many
 * nanoseconds: SHOAL_ETIMEDOUT. Less than 0 is for ever. Cost if it is set: one
 * load; if it resets itself, one compare-and-swap. */
static inline int shoal_event_wait_for(struct shoal_event *e, int64_t timeout)
{
	uint32_t first;

	if (!shoal_here_(e->members))
		return shoal_not_here_(e->members);
	first = shoal_load32_(e->state);
	return shoal_event_pass_(e, 0) ? 0 : shoal_event_slow_(e, timeout, first / SHOAL_EVENT_NEXT);
}

/* shoal_event_wait passes as soon as the event is set. */
static inline int shoal_event_wait(struct shoal_event *e) { return shoal_event_wait_for(e, -1); }

/* shoal_event_trywait passes if the event is set: else SHOAL_EBUSY. */
static inline int shoal_event_trywait(struct shoal_event *e)
{
	if (!shoal_here_(e->members))
		return shoal_not_here_(e->members);
	return shoal_event_pass_(e, 0) ? 0 : SHOAL_EBUSY;
}

/* shoal_event_set sets the event and lets whoever waits pass: all, even if it is
 * reset at once, or one. Cost with nobody waiting: one compare-and-swap. */
static inline int shoal_event_set(struct shoal_event *e)
{
	uint32_t word;

	if (!shoal_here_(e->members))
		return shoal_not_here_(e->members);
	do {
		word = shoal_load32_(e->state);
		if ((word & SHOAL_EVENT_SET) != 0)
			return 0;
		/* With the flag goes a new sequence: who is about to sleep looks again. */
	} while (!shoal_cas32_(e->state, word, ((word + SHOAL_EVENT_NEXT) | SHOAL_EVENT_SET) & ~SHOAL_EVENT_SLEEPS));
	if ((word & SHOAL_EVENT_SLEEPS) != 0)
		shoal_wake_(e->state, e->resets ? 1 : INT32_MAX);
	return 0;
}

/* shoal_event_reset takes the event back. */
static inline int shoal_event_reset(struct shoal_event *e)
{
	uint32_t word;

	if (!shoal_here_(e->members))
		return shoal_not_here_(e->members);
	do
		word = shoal_load32_(e->state);
	while ((word & SHOAL_EVENT_SET) != 0 && !shoal_cas32_(e->state, word, word & ~SHOAL_EVENT_SET));
	return 0;
}

/* shoal_event_is_set reports whether it is set, 1 or 0, and passes nothing. */
static inline int shoal_event_is_set(const struct shoal_event *e)
{
	return shoal_here_(e->members) ? shoal_event_set_(e->state) : shoal_not_here_(e->members);
}

static inline int shoal_event_attach_(struct shoal_event *e, struct shoal_members *m, uint64_t at)
{
	unsigned char *p;
	uint32_t resets;
	int r = shoal_identify_(m, at, SHOAL_EVENT_MAGIC, &p, &resets);

	if (r < 0)
		return r;
	if (resets > 1)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: kind %u of event", (unsigned long long)at + 4,
		                      resets);
	e->members = m;
	e->state = &((struct shoal_format_event *)(void *)p)->state;
	e->resets = resets == 1;
	return 0;
}

/* shoal_event_open opens the named event, makes it, not set, if there is none, and
 * joins. One that exists must reset itself, or not, as asked; else SHOAL_EKIND. */
static inline int shoal_event_open(struct shoal_event *e, const char *name, bool resets,
                                   const struct shoal_options *options)
{
	struct shoal_preamble_ p = {SHOAL_EVENT_MAGIC, 0, 0};
	int r;

	memset(e, 0, sizeof *e);
	p.config = resets;
	r = shoal_primitive_open_(&e->object, name, options, SHOAL_KIND_EVENT, sizeof(struct shoal_format_event), &p);
	if (r < 0)
		return r;
	r = shoal_event_attach_(e, &e->object.members, e->object.body);
	if (r == 0 && e->resets != resets)
		r = shoal_because_(&e->object.members, SHOAL_EKIND, "it resets itself: %s", e->resets ? "yes" : "no");
	if (r < 0)
		shoal_close(&e->object);
	return r;
}

/* shoal_event_init and shoal_event_join: see shoal_mutex_init. */
static inline int shoal_event_join(struct shoal_event *e, struct shoal_members *m, uint64_t offset)
{
	memset(e, 0, sizeof *e);
	return offset % 64 != 0 ? -EINVAL : shoal_event_attach_(e, m, offset);
}

static inline int shoal_event_init(struct shoal_event *e, struct shoal_members *m, uint64_t offset, bool resets)
{
	struct shoal_preamble_ p = {SHOAL_EVENT_MAGIC, 0, 0};
	int r;

	p.config = resets;
	r = shoal_primitive_init_(m, offset, sizeof(struct shoal_format_event), &p);
	return r < 0 ? r : shoal_event_join(e, m, offset);
}

/* shoal_event_close: see shoal_close. */
static inline void shoal_event_close(struct shoal_event *e) { shoal_close(&e->object); }

/* shoal_event_why: see shoal_why. */
static inline const char *shoal_event_why(const struct shoal_event *e) { return shoal_why(&e->object); }

/* shoal_event_stats: see shoal_members_stats. */
static inline int shoal_event_stats(struct shoal_event *e, struct shoal_stats *stats)
{
	return shoal_members_stats(e->members, stats);
}

/* =========================================================== Semaphore ==
 *
 * A plain one is a number, with the flag that somebody sleeps:
 *
 *	acquire: count n --> n - 1, with SLEEPS if it has slept
 *	release: count n --> n + 1, without SLEEPS; wakes one
 *
 * One with undo has words, each 0 or the owner of one permit. A permit whose owner
 * has gone is free. The event count says when one is given back.
 */

/* A counting semaphore. A plain one counts things that come and go, whoever has
 * acquired before or not. One with undo limits how many may do something at the same
 * time: what a member held when it died is free again. */
struct shoal_semaphore {
	struct shoal_members *members;
	uint32_t *value;
	uint32_t *free;
	uint64_t *permits; /* with undo */
	uint32_t count;    /* of permits; 0: plain */
	uint32_t hint;     /* the permit that this handle took or gave back last */
	uint64_t self;
	struct shoal_spinner_ spin;
	struct shoal object;
};

/* Takes one off a plain semaphore if there is one, and sets the flag if told so. */
static inline bool shoal_semaphore_decrement_(struct shoal_semaphore *s, uint32_t flag)
{
	uint32_t word;

	do {
		word = shoal_load32_(s->value);
		if (word >> 1 == 0 || word >> 1 > SHOAL_SEMAPHORE_MAX)
			return false;
	} while (!shoal_cas32_(s->value, word, (word - 2) | flag));
	return true;
}

/* Looks for a permit that is free, or whose holder has gone: 1 if it has one. */
static inline int shoal_semaphore_take_(struct shoal_semaphore *s)
{
	uint32_t first = __atomic_load_n(&s->hint, __ATOMIC_RELAXED), k, i;
	uint64_t word;
	int r;

	for (k = 0; k < s->count;) {
		i = (first + k) % s->count;
		word = shoal_load64_(&s->permits[i]);
		if (word != 0) {
			r = (word & 0xffff) != 0 ? SHOAL_ECORRUPT : shoal_settle_(s->members, word);
			if (r < 0)
				return r;
			if (r == 1) {
				k++;
				continue;
			}
		}
		if (!shoal_cas64_(&s->permits[i], word, s->self))
			continue; /* it has changed: look at it again */
		if (word != 0)
			shoal_repaired_(s->members);
		__atomic_store_n(&s->hint, i, __ATOMIC_RELAXED);
		return 1;
	}
	return 0;
}

static inline int shoal_semaphore_take_any_(void *s) { return shoal_semaphore_take_((struct shoal_semaphore *)s); }

/* How many could be acquired now. */
static inline uint32_t shoal_semaphore_count_(struct shoal_semaphore *s)
{
	uint32_t i, n = 0;
	uint64_t word;

	if (s->count == 0)
		return shoal_load32_(s->value) >> 1;
	for (i = 0; i < s->count; i++) {
		word = shoal_load64_(&s->permits[i]);
		n += word == 0 || shoal_settle_(s->members, shoal_owner_of_(word)) == 0;
	}
	return n;
}

static inline bool shoal_semaphore_available_(const void *s)
{
	return shoal_semaphore_count_((struct shoal_semaphore *)(intptr_t)s) > 0;
}

/* shoal_semaphore_tryacquire takes one if it can without waiting: else SHOAL_EBUSY. */
static inline int shoal_semaphore_tryacquire(struct shoal_semaphore *s)
{
	int r;

	if (s->count == 0) {
		if (!shoal_here_(s->members))
			return shoal_not_here_(s->members);
		if (shoal_semaphore_decrement_(s, 0))
			return 0;
		return shoal_load32_(s->value) >> 1 > SHOAL_SEMAPHORE_MAX ? SHOAL_ECORRUPT : SHOAL_EBUSY;
	}
	r = shoal_begin_(s->members);
	if (r < 0)
		return r;
	r = shoal_semaphore_take_(s);
	shoal_end_(s->members);
	return r == 1 ? 0 : r == 0 ? SHOAL_EBUSY : r;
}

static inline int shoal_semaphore_await_value_(struct shoal_semaphore *s, int64_t deadline)
{
	struct shoal_sleeper_ z;
	uint32_t word, slept = 0;
	int r;

	shoal_sleeper_init_(&z, s->members, s->value, deadline, NULL);
	for (;;) {
		shoal_round_(&z);
		if (shoal_semaphore_decrement_(s, slept)) {
			/* Two releases may have come before we ran, and only the first has woken
			 * somebody. */
			if (slept != 0 && shoal_load32_(s->value) >> 1 > 0)
				shoal_wake_(s->value, 1);
			return 0;
		}
		if (shoal_leaving_(s->members))
			return SHOAL_ECLOSED;
		word = shoal_load32_(s->value);
		if (word >> 1 > SHOAL_SEMAPHORE_MAX)
			return SHOAL_ECORRUPT;
		if (word >> 1 > 0)
			continue;
		if ((word & SHOAL_SEMAPHORE_SLEEPS) == 0 &&
		    !shoal_cas32_(s->value, word, word | SHOAL_SEMAPHORE_SLEEPS))
			continue;
		r = shoal_sleep_(&z, SHOAL_SEMAPHORE_SLEEPS);
		if (r < 0) {
			shoal_wake_(s->value, 1); /* a release that was meant for us may have come in the same moment */
			return r;
		}
		slept = SHOAL_SEMAPHORE_SLEEPS;
	}
}

static inline int shoal_semaphore_await_permit_(struct shoal_semaphore *s, int64_t deadline)
{
	int r = shoal_await_(s->members, s->free, deadline, shoal_semaphore_take_any_, s);

	return r == 1 ? 0 : r;
}

SHOAL_SLOW_ int shoal_semaphore_slow_(struct shoal_semaphore *s, int64_t timeout)
{
	int64_t deadline = shoal_deadline_(timeout);
	int r = shoal_begin_(s->members);

	if (r < 0)
		return r;
	r = SHOAL_EBUSY;
	while (r == SHOAL_EBUSY && shoal_spin_(&s->spin, shoal_semaphore_available_, s))
		r = shoal_semaphore_tryacquire(s);
	if (r == SHOAL_EBUSY)
		r = s->count == 0 ? shoal_semaphore_await_value_(s, deadline)
		                  : shoal_semaphore_await_permit_(s, deadline);
	shoal_end_(s->members);
	return r;
}

/* shoal_semaphore_acquire_for takes one, or gives up after so many nanoseconds:
 * SHOAL_ETIMEDOUT. Less than 0 is for ever. Cost if it need not wait: one
 * compare-and-swap; with undo, a load for every permit that is taken. */
static inline int shoal_semaphore_acquire_for(struct shoal_semaphore *s, int64_t timeout)
{
	int r = shoal_semaphore_tryacquire(s);

	return r == SHOAL_EBUSY ? shoal_semaphore_slow_(s, timeout) : r;
}

/* shoal_semaphore_acquire takes one, and waits until it can. */
static inline int shoal_semaphore_acquire(struct shoal_semaphore *s) { return shoal_semaphore_acquire_for(s, -1); }

static inline int shoal_semaphore_give_back_(struct shoal_semaphore *s)
{
	uint32_t first = __atomic_load_n(&s->hint, __ATOMIC_RELAXED), k, i;

	for (k = 0; k < s->count; k++) {
		i = (first + k) % s->count;
		if (shoal_load64_(&s->permits[i]) != s->self || !shoal_cas64_(&s->permits[i], s->self, 0))
			continue; /* pairs with the loads in shoal_semaphore_take_ */
		__atomic_store_n(&s->hint, i, __ATOMIC_RELAXED);
		shoal_notify_(s->free);
		return 0;
	}
	return SHOAL_ENOTOWNER;
}

/* shoal_semaphore_release gives one back and wakes a waiter. With undo it must be
 * this process's own (SHOAL_ENOTOWNER); a plain one refuses to go beyond
 * SHOAL_SEMAPHORE_MAX (-EOVERFLOW). Cost with nobody waiting: one
 * compare-and-swap. */
static inline int shoal_semaphore_release(struct shoal_semaphore *s)
{
	uint32_t word;
	int r;

	if (s->count != 0) {
		r = shoal_begin_(s->members);
		if (r < 0)
			return r;
		r = shoal_semaphore_give_back_(s);
		shoal_end_(s->members);
		return r;
	}
	if (!shoal_here_(s->members))
		return shoal_not_here_(s->members);
	do {
		word = shoal_load32_(s->value);
		if (word >> 1 >= SHOAL_SEMAPHORE_MAX)
			return word >> 1 == SHOAL_SEMAPHORE_MAX ? -EOVERFLOW : SHOAL_ECORRUPT;
		/* Whoever is woken sets the flag again if it takes one: others may still sleep. */
	} while (!shoal_cas32_(s->value, word, (word + 2) & ~SHOAL_SEMAPHORE_SLEEPS));
	if ((word & SHOAL_SEMAPHORE_SLEEPS) != 0)
		shoal_wake_(s->value, 1);
	return 0;
}

/* shoal_semaphore_value returns how many could be acquired now, or an error. */
static inline int shoal_semaphore_value(struct shoal_semaphore *s)
{
	int r = shoal_begin_(s->members);

	if (r < 0)
		return r;
	r = (int)shoal_semaphore_count_(s);
	shoal_end_(s->members);
	return r;
}

/* shoal_semaphore_check: see shoal_mutex_check. */
static inline int shoal_semaphore_check(struct shoal_semaphore *s)
{
	uint32_t i;
	uint64_t word;
	int r = shoal_begin_(s->members);

	if (r < 0)
		return r;
	for (i = 0; i < s->count; i++) {
		word = shoal_load64_(&s->permits[i]);
		if (word != 0 && ((word & 0xffff) != 0 || shoal_current_(s->members, word) < 0))
			r = SHOAL_ECORRUPT;
	}
	if (s->count == 0 && shoal_load32_(s->value) >> 1 > SHOAL_SEMAPHORE_MAX)
		r = SHOAL_ECORRUPT;
	shoal_end_(s->members);
	return r;
}

/* The size of one in shared memory; permits is 0 for a plain one. */
static inline uint64_t shoal_semaphore_size_(uint32_t permits)
{
	return 64 + (((uint64_t)permits * 8 + 63) & ~UINT64_C(63));
}

/* What is to be made; an error if it cannot be. */
static inline int shoal_semaphore_config_(struct shoal_preamble_ *p, uint32_t value, bool undo)
{
	if (undo ? value < 1 || value > SHOAL_SEMAPHORE_MAX_PERMITS : value > SHOAL_SEMAPHORE_MAX)
		return -EINVAL;
	p->magic = SHOAL_SEMAPHORE_MAGIC;
	p->config = undo ? value : 0;
	p->value = undo ? 0 : value << 1;
	return 0;
}

static inline int shoal_semaphore_attach_(struct shoal_semaphore *s, struct shoal_members *m, uint64_t at)
{
	struct shoal_format_semaphore *f;
	unsigned char *p;
	uint32_t permits;
	int r = shoal_identify_(m, at, SHOAL_SEMAPHORE_MAGIC, &p, &permits);

	if (r < 0)
		return r;
	if (permits > SHOAL_SEMAPHORE_MAX_PERMITS || m->segment->size - at - 64 < (uint64_t)permits * 8)
		return shoal_because_(m, SHOAL_ECORRUPT,
		                      "at offset %llu: %u permits, at most %u are possible, within the object",
		                      (unsigned long long)at + 4, permits, SHOAL_SEMAPHORE_MAX_PERMITS);
	f = (struct shoal_format_semaphore *)(void *)p;
	s->members = m;
	s->value = &f->value;
	s->free = &f->free;
	s->permits = (uint64_t *)(void *)(p + 64);
	s->count = permits;
	s->self = m->self;
	return 0;
}

/* shoal_semaphore_open opens the named semaphore, makes it if there is none, with
 * the value or, with undo, so many permits (1 to SHOAL_SEMAPHORE_MAX_PERMITS), and
 * joins. One that exists must be of the same kind and, with undo, have as many
 * permits; else SHOAL_EKIND. */
static inline int shoal_semaphore_open(struct shoal_semaphore *s, const char *name, uint32_t value, bool undo,
                                       const struct shoal_options *options)
{
	struct shoal_preamble_ p;
	int r = shoal_semaphore_config_(&p, value, undo);

	memset(s, 0, sizeof *s);
	if (r < 0)
		return r;
	r = shoal_primitive_open_(&s->object, name, options, SHOAL_KIND_SEMAPHORE, shoal_semaphore_size_(p.config), &p);
	if (r < 0)
		return r;
	r = shoal_semaphore_attach_(s, &s->object.members, s->object.body);
	if (r == 0 && s->count != p.config)
		r = shoal_because_(&s->object.members, SHOAL_EKIND, "it has %u permits to undo, not %u", s->count,
		                   p.config);
	if (r < 0)
		shoal_close(&s->object);
	return r;
}

/* shoal_semaphore_init and shoal_semaphore_join: see shoal_mutex_init. With undo it
 * takes 64 bytes, and 8 for each permit. */
static inline int shoal_semaphore_join(struct shoal_semaphore *s, struct shoal_members *m, uint64_t offset)
{
	memset(s, 0, sizeof *s);
	return offset % 64 != 0 ? -EINVAL : shoal_semaphore_attach_(s, m, offset);
}

static inline int shoal_semaphore_init(struct shoal_semaphore *s, struct shoal_members *m, uint64_t offset,
                                       uint32_t value, bool undo)
{
	struct shoal_preamble_ p;
	int r = shoal_semaphore_config_(&p, value, undo);

	if (r == 0)
		r = shoal_primitive_init_(m, offset, 64 + (uint64_t)p.config * 8, &p);
	return r < 0 ? r : shoal_semaphore_join(s, m, offset);
}

/* shoal_semaphore_close: see shoal_close. */
static inline void shoal_semaphore_close(struct shoal_semaphore *s) { shoal_close(&s->object); }

/* shoal_semaphore_why: see shoal_why. */
static inline const char *shoal_semaphore_why(const struct shoal_semaphore *s) { return shoal_why(&s->object); }

/* shoal_semaphore_stats: see shoal_members_stats. */
static inline int shoal_semaphore_stats(struct shoal_semaphore *s, struct shoal_stats *stats)
{
	return shoal_members_stats(s->members, stats);
}

/* ================================================================ Ring ==
 *
 * Records from one writer to one reader, in order, each of them whole. The ports
 * belong to processes until these close them or die; then the next one goes on where
 * the last one was.
 *
 *	position, a multiple of 8
 *	+--------+---------+--------+---------+---+
 *	| header | payload | header | payload | 0 |    0 is the end
 *	+--------+---------+--------+---------+---+
 *
 * The writer clears the header behind a record, fills the record, and stores its
 * header last: that is the commit. What a survivor finds when it dies before, after
 * each store, is an end, and no record. The reader stores its position when it has
 * used a record: the next reader begins with what the dead one had not released.
 *
 * A writer here makes its fence at each commit and does not look at hurry. A reader
 * sets it where records come densely, on x86-64: then it makes the barrier before it
 * sleeps, as it does if a dead one has set it.
 */

/* How a ring is made. NULL or zeros are good defaults. */
struct shoal_ring_options {
	uint64_t size;         /* bytes: a power of two, SHOAL_RING_SIZE_MIN to _MAX; 0: SHOAL_RING_SIZE_DEFAULT */
	unsigned mode;         /* 0: 0600. Both ends need to read and write */
	const uint32_t *group; /* NULL: the creator's */
	uint32_t members;      /* 0: SHOAL_DEFAULT_SLOTS */
	const char *schema;    /* text of the type of the records; NULL: none, and opens any */
};

/* What the port that sends knows. */
struct shoal_ring_sender_ {
	bool open, lent;
	uint64_t loan; /* bytes that were reserved */
	uint64_t position, limit, mark;
	uint64_t stamp; /* bytes of the next record's stamp: 0 or 8 */
	uint64_t first, header; /* the run that is not committed; header 0: there is none */
	uint64_t added, length, stamped, messages, bytes;
	struct shoal_spinner_ spin;
	uint64_t need; /* while it waits: how far it must come */
	int room;      /* what the last look has found */
};

/* And the one that receives. */
struct shoal_ring_receiver_ {
	bool open;
	bool hurried; /* the writer may have left out fences */
	bool barrier; /* membarrier(2) works, and is worth it */
	uint64_t position, next, told, sampled, length, messages, bytes;
	struct shoal_pacer_ pacer;
};

/* An open ring. Each of its two ports serves one thread at a time. */
struct shoal_ring {
	struct shoal object;
	struct shoal_format_ring *control;
	unsigned char *data;
	uint64_t size;
	uint64_t limit; /* length of a record at most */
	uint64_t fixed; /* exactly; UINT64_MAX if each has its own */
	uint32_t closing;
	struct shoal_ring_sender_ writer;
	unsigned char unused[SHOAL_LINE]; /* two threads write at either side */
	struct shoal_ring_receiver_ reader;
};

static inline uint64_t shoal_record_size_(uint64_t n) { return (n + 15) & ~UINT64_C(7); }

static inline uint64_t *shoal_ring_word_(const struct shoal_ring *r, uint64_t position)
{
	return (uint64_t *)(void *)(r->data + (position & (r->size - 1)));
}

/* For counters that nobody else changes, and positions: what was done before is seen
 * by who sees it. */
static inline void shoal_release64_(uint64_t *w, uint64_t x)
{
	__atomic_store_n(w, x, __ATOMIC_RELEASE);
	SHOAL_STORED_();
}

static inline void shoal_ring_count_(uint64_t *w, uint64_t d) { shoal_release64_(w, shoal_load64_(w) + d); }

static inline uint64_t shoal_ring_now_(void) { return (uint64_t)shoal_clock_(SHOAL_CLOCK_REALTIME_); }

/* What a header says. */
struct shoal_record_ {
	uint64_t length, next;
	bool pad, stamp;
};

/* Bounds the header at a position; 0 is the end, and is not asked about here. */
static inline int shoal_record_parse_(struct shoal_ring *r, uint64_t position, uint64_t header, struct shoal_record_ *p)
{
	const uint64_t known = SHOAL_RECORD_THERE | SHOAL_RECORD_PAD | SHOAL_RECORD_STAMP | SHOAL_RECORD_LENGTH;
	uint64_t rest = r->size - (position & (r->size - 1)), size;

	p->length = header & SHOAL_RECORD_LENGTH;
	p->pad = (header & SHOAL_RECORD_PAD) != 0;
	p->stamp = (header & SHOAL_RECORD_STAMP) != 0;
	size = shoal_record_size_(p->length) + (p->stamp ? SHOAL_RECORD_STAMP_SIZE : 0);
	p->next = position + (p->pad ? rest : size);
	if ((header & SHOAL_RECORD_THERE) != 0 && (header & ~known) == 0) {
		if (p->pad && !p->stamp && p->length == rest - SHOAL_RECORD_HEADER && rest < r->size / 2)
			return 0;
		if (!p->pad && p->length <= r->limit && size <= rest)
			return 0;
	}
	return shoal_because_(&r->object.members, SHOAL_ECORRUPT, "at offset %llu of the lane (position %llu): header %#llx",
	                      (unsigned long long)(position & (r->size - 1)), (unsigned long long)position,
	                      (unsigned long long)header);
}

/* Walks to the end from a mark, and says where it is; never further than a lane. */
static inline int shoal_ring_end_(struct shoal_ring *r, struct shoal_format_mark *at)
{
	uint64_t from = at->position, header;
	struct shoal_record_ record;
	int err;

	while ((header = shoal_load64_(shoal_ring_word_(r, at->position))) != 0) { /* pairs with the store in commit */
		err = shoal_record_parse_(r, at->position, header, &record);
		if (err < 0)
			return err;
		at->position = record.next;
		if (at->position - from > r->size)
			return shoal_because_(&r->object.members, SHOAL_ECORRUPT, "no end within %llu bytes of position %llu",
			                      (unsigned long long)r->size, (unsigned long long)from);
		at->number += !record.pad;
	}
	return 0;
}

/* The last mark. It is whole unless 15 have been made since: then we look again. */
static inline int shoal_ring_last_mark_(struct shoal_ring *r, struct shoal_format_mark *m)
{
	struct shoal_format_lane *lane = &r->control->lane;
	struct shoal_format_mark *at;
	uint64_t k;

	do {
		k = shoal_load64_(&lane->marked); /* pairs with the store in publish */
		at = &lane->marks[k % SHOAL_MARKS];
		m->position = shoal_load64_(&at->position);
		m->number = shoal_load64_(&at->number);
	} while (shoal_load64_(&lane->marked) - k > SHOAL_MARKS - 2);
	if (m->position % 8 != 0)
		return shoal_because_(&r->object.members, SHOAL_ECORRUPT,
		                      "mark %llu at position %llu, which is not a multiple of 8", (unsigned long long)k,
		                      (unsigned long long)m->position);
	return 0;
}

static inline int shoal_ring_lane_check_(struct shoal_ring *r, uint64_t from)
{
	struct shoal_format_mark last, walk;
	uint64_t before = shoal_load64_(&r->control->lane.claim), after;
	int err = shoal_ring_last_mark_(r, &last);

	if (err < 0)
		return err;
	after = shoal_load64_(&r->control->lane.claim);
	if (from % 8 != 0 || (from > last.position ? from - last.position : last.position - from) > r->size ||
	    before > last.position + r->size || after < last.position)
		return shoal_because_(&r->object.members, SHOAL_ECORRUPT,
		                      "positions: read from %llu, last mark at %llu, claimed %llu", (unsigned long long)from,
		                      (unsigned long long)last.position, (unsigned long long)after);
	walk.position = from;
	walk.number = 0;
	return shoal_ring_end_(r, &walk);
}

/* ------------------------------------------------------- Opening a ring */

/* Bytes of a value of the type that a text describes: "shoal schema 1", newline, any
 * number of [N], then a kind or "struct size N". UINT64_MAX if it cannot be told. */
static inline uint64_t shoal_schema_size_(const char *text, uint64_t length)
{
	static const struct {
		const char *name;
		unsigned size;
	} kinds[] = {{"bool", 1},   {"int8", 1},    {"int16", 2},   {"int32", 4},     {"int64", 8},
	             {"uint8", 1},  {"uint16", 2},  {"uint32", 4},  {"uint64", 8},    {"float32", 4},
	             {"float64", 8}, {"complex64", 8}, {"complex128", 16}, {"char", 1}};
	static const char head[] = "shoal schema 1\n", structure[] = "struct size ";
	const uint64_t most = UINT64_C(1) << 40;
	uint64_t n, size = 1, i = sizeof head - 1;
	bool array;
	size_t k, l;

	if (length < i || memcmp(text, head, (size_t)i) != 0)
		return UINT64_MAX;
	for (;;) {
		array = i < length && text[i] == '[';
		if (!array) {
			l = sizeof structure - 1;
			if (length - i < l || memcmp(text + i, structure, l) != 0)
				break;
			i += l;
		} else
			i++;
		for (n = 0; i < length && text[i] >= '0' && text[i] <= '9' && n < most; i++)
			n = 10 * n + (uint64_t)(text[i] - '0');
		if (n >= most || (n != 0 && size > most / n))
			return UINT64_MAX;
		size *= n;
		if (!array)
			return size;
		if (i >= length || text[i++] != ']')
			return UINT64_MAX;
	}
	for (k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		l = strlen(kinds[k].name);
		if (length - i == l + 1 && memcmp(text + i, kinds[k].name, l) == 0 && text[i + l] == '\n')
			return size * kinds[k].size;
	}
	return UINT64_MAX;
}

static inline void shoal_ring_fill_(unsigned char *body, void *argument)
{
	((struct shoal_format_ring *)(void *)body)->size = *(const uint64_t *)argument;
}

static inline uint64_t shoal_ring_limit_(uint64_t size)
{
	return size / 2 - 2 * SHOAL_RECORD_HEADER - SHOAL_RECORD_STAMP_SIZE;
}

/* Finds the parts of the ring in the object, and bounds them. */
static inline int shoal_ring_find_(struct shoal_ring *r)
{
	struct shoal_members *m = &r->object.members;
	uint64_t bytes = shoal_body_size(&r->object), size;

	if (bytes < sizeof *r->control)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: ring of %llu bytes", (unsigned long long)r->object.body,
		                      (unsigned long long)bytes);
	r->control = (struct shoal_format_ring *)shoal_body(&r->object);
	size = shoal_load64_(&r->control->size);
	if (size < SHOAL_RING_SIZE_MIN || size > SHOAL_RING_SIZE_MAX || (size & (size - 1)) != 0 ||
	    size > bytes - sizeof *r->control)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: lane of %llu bytes, in a body of %llu",
		                      (unsigned long long)r->object.body, (unsigned long long)size, (unsigned long long)bytes);
	r->data = (unsigned char *)(r->control + 1);
	r->size = size;
	r->limit = shoal_ring_limit_(size);
	r->fixed = UINT64_MAX;
	if (r->object.schema_length > 0) {
		r->fixed = shoal_schema_size_(r->object.schema, r->object.schema_length);
		if (r->fixed == UINT64_MAX)
			return shoal_because_(m, SHOAL_ECORRUPT, "the text of its type does not say its size");
		if (r->fixed > r->limit)
			return shoal_because_(m, -EMSGSIZE, "type of %llu bytes, its records have at most %llu",
			                      (unsigned long long)r->fixed, (unsigned long long)r->limit);
	}
	return 0;
}

static inline int shoal_ring_open_(struct shoal_ring *r, const char *name, const struct shoal_ring_options *options,
                                   int (*how)(struct shoal *, const char *, const struct shoal_spec *))
{
	struct shoal_spec spec;
	uint64_t size = options == NULL || options->size == 0 ? SHOAL_RING_SIZE_DEFAULT : options->size, type;
	int err, made;

	memset(r, 0, sizeof *r);
	shoal_clear_(&r->object);
	if (size < SHOAL_RING_SIZE_MIN || size > SHOAL_RING_SIZE_MAX || (size & (size - 1)) != 0)
		return -EINVAL;
	memset(&spec, 0, sizeof spec);
	spec.kind = SHOAL_KIND_RING;
	spec.size = sizeof(struct shoal_format_ring) + size;
	spec.fill = shoal_ring_fill_;
	spec.argument = &size;
	if (options != NULL) {
		spec.slots = options->members;
		spec.mode = options->mode;
		spec.group = options->group;
		spec.schema = options->schema;
	}
	if (spec.schema != NULL) {
		type = shoal_schema_size_(spec.schema, strlen(spec.schema));
		if (type == UINT64_MAX)
			return -EINVAL;
		if (type > shoal_ring_limit_(size))
			return -EMSGSIZE;
	}
	made = how(&r->object, name, &spec);
	if (made < 0)
		return made;
	err = shoal_ring_find_(r);
	if (err == 0)
		err = shoal_join(&r->object, 0);
	if (err < 0) {
		shoal_segment_unmap_(&r->object.segment);
		return err;
	}
	return made;
}

/* shoal_ring_create makes a ring, and joins; -EEXIST if there is such an object.
 * Options may be NULL. Other errors: -EINVAL for the size or the text of a type,
 * -EMSGSIZE for a type that is too large for the ring. */
static inline int shoal_ring_create(struct shoal_ring *r, const char *name, const struct shoal_ring_options *options)
{
	return shoal_ring_open_(r, name, options, shoal_create);
}

/* shoal_ring_open opens one that exists, -ENOENT, and joins. Of the options the
 * schema alone matters: SHOAL_ETYPE if its records are of another type. */
static inline int shoal_ring_open(struct shoal_ring *r, const char *name, const struct shoal_ring_options *options)
{
	return shoal_ring_open_(r, name, options, shoal_open);
}

/* shoal_ring_open_or_create opens the ring, and makes it if there is none: 1 if it
 * did. */
static inline int shoal_ring_open_or_create(struct shoal_ring *r, const char *name,
                                            const struct shoal_ring_options *options)
{
	return shoal_ring_open_(r, name, options, shoal_open_or_create);
}

/* shoal_ring_why: see shoal_why. After SHOAL_EBUSY of a port it names the process. */
static inline const char *shoal_ring_why(const struct shoal_ring *r) { return shoal_why(&r->object); }

/* shoal_ring_max_record is the length of the longest record: 24 less than half the
 * size. */
static inline uint64_t shoal_ring_max_record(const struct shoal_ring *r) { return r->limit; }

/* Takes a port, from nobody or the dead: 1 if from the dead. */
SHOAL_SLOW_ int shoal_ring_claim_(struct shoal_ring *r, const char *what, uint64_t *owner)
{
	struct shoal_members *m = &r->object.members;
	uint64_t word;
	int current;

	for (;;) {
		word = shoal_load64_(owner);
		if (word != 0) {
			current = (word & 0xffff) != 0 ? SHOAL_ECORRUPT : shoal_settle_(m, word);
			if (current < 0)
				return shoal_because_(m, SHOAL_ECORRUPT, "owner of its %s is %#llx, which is impossible", what,
				                      (unsigned long long)word);
			if (current)
				return shoal_because_(m, SHOAL_EBUSY, "process %u has its %s",
				                      shoal_load32_(&m->slots[shoal_owner_slot_(word)].pid), what);
		}
		/* From exactly what was judged. Pairs with the store of 0 by who gives it back. */
		if (shoal_cas64_(owner, word, m->self)) {
			if (word != 0)
				shoal_repaired_(m);
			return word != 0;
		}
	}
}

static inline void shoal_ring_give_back_(struct shoal_ring *r, uint64_t *owner)
{
	shoal_cas64_(owner, r->object.members.self, 0);
}

/* ------------------------------------------------------ Waiting at a port */

/* Waits at an event count of the ring until ready says other than 0. A wake-up was
 * due for what is found after a sleep that ended by time if owed says so: then it is
 * counted, in the object and at the port. */
SHOAL_SLOW_ int shoal_ring_sleep_(struct shoal_ring *r, uint32_t *word, int64_t deadline,
                                  int (*ready)(struct shoal_ring *), bool (*owed)(const struct shoal_ring *),
                                  uint64_t *lost)
{
	struct shoal_members *m = &r->object.members;
	struct shoal_sleeper_ z;
	uint32_t v;
	int err, last;

	shoal_sleeper_init_(&z, m, word, deadline, NULL);
	for (;;) {
		shoal_round_(&z);
		v = shoal_load32_(word);
		err = ready(r);
		if (err == 0 && (v & 1) == 0) {
			if (!shoal_cas32_(word, v, v | 1)) /* pairs with the load in shoal_notify_ */
				continue;
			v |= 1;
			err = ready(r);
		}
		if (err != 0)
			break;
		if (shoal_leaving_(m) || __atomic_load_n(&r->closing, __ATOMIC_SEQ_CST)) {
			err = SHOAL_ECLOSED;
			break;
		}
		err = shoal_sleep_(&z, v);
		if (err < 0) { /* what has come at the last moment is there */
			last = ready(r);
			err = last != 0 ? last : err;
			break;
		}
		if (z.dozed && shoal_load32_(word) == v) {
			err = ready(r);
			if (err != 0) {
				if (err == 1 && owed(r))
					shoal_confirm_lost_(&z, v);
				break;
			}
		}
	}
	if (z.lost)
		shoal_ring_count_(lost, 1);
	return err;
}

/* ------------------------------------------------------------ The writer */

/* Marks the end of what has been committed: for the next writer. The mark that is
 * being written is none before the last store. */
static inline void shoal_ring_publish_(struct shoal_ring *r)
{
	struct shoal_ring_sender_ *w = &r->writer;
	struct shoal_format_lane *lane = &r->control->lane;
	uint64_t k = shoal_load64_(&lane->marked) + 1;

	w->mark = w->header != 0 ? w->first : w->position;
	shoal_store64_(&lane->marks[k % SHOAL_MARKS].position, w->mark);
	shoal_store64_(&lane->marks[k % SHOAL_MARKS].number, w->messages);
	shoal_store64_(&lane->marked, k); /* pairs with the loads in shoal_ring_last_mark_ */
	shoal_release64_(&lane->active, shoal_ring_now_());
}

/* shoal_ring_writer takes the port that sends. If a live process has it, this one
 * included: SHOAL_EBUSY, and shoal_ring_why names that. Otherwise, whatever became of
 * the last writer, the next record follows the last one that was committed. */
static inline int shoal_ring_writer(struct shoal_ring *r)
{
	struct shoal_ring_sender_ *w = &r->writer;
	struct shoal_format_lane *lane;
	struct shoal_format_mark end;
	int err = shoal_begin_(&r->object.members), took;

	if (err < 0)
		return err;
	lane = &r->control->lane;
	took = err = shoal_ring_claim_(r, "writer", &lane->owner);
	if (err >= 0) {
		memset(w, 0, sizeof *w);
		err = shoal_ring_last_mark_(r, &end);
		w->mark = end.position;
		if (err == 0)
			err = shoal_ring_end_(r, &end);
		if (err < 0)
			shoal_ring_give_back_(r, &lane->owner);
	}
	if (err == 0) {
		w->position = end.position;
		w->messages = w->stamped = end.number;
		w->stamp = SHOAL_RECORD_STAMP_SIZE;
		w->bytes = shoal_load64_(&lane->bytes);
		shoal_store64_(&lane->messages, w->messages);
		if (took)
			shoal_add64_(&lane->repairs, 1);
		w->open = true;
	}
	shoal_end_(&r->object.members);
	return err;
}

/* The position that the limit must reach for n bytes. */
static inline uint64_t shoal_ring_needs_(const struct shoal_ring *r, uint64_t n)
{
	const struct shoal_ring_sender_ *w = &r->writer;
	uint64_t size = shoal_record_size_(n) + w->stamp, rest = r->size - (w->position & (r->size - 1));

	if (size > rest)
		size += rest; /* the rest becomes a pad */
	return w->position + size + SHOAL_RECORD_HEADER;
}

/* Puts a header at the end of the run: the first one is stored by commit. */
static inline void shoal_ring_add_(struct shoal_ring *r, uint64_t header, uint64_t size)
{
	struct shoal_ring_sender_ *w = &r->writer;

	if (w->header == 0) {
		w->first = w->position;
		w->header = header;
	} else {
		shoal_release64_(shoal_ring_word_(r, w->position), header);
	}
	w->position += size;
}

/* The place for n bytes, or NULL if there is no room below the limit. */
static inline unsigned char *shoal_ring_reserve_at_(struct shoal_ring *r, uint64_t n)
{
	struct shoal_ring_sender_ *w = &r->writer;
	uint64_t rest = r->size - (w->position & (r->size - 1));

	if (shoal_ring_needs_(r, n) > w->limit)
		return NULL;
	if (shoal_record_size_(n) + w->stamp > rest)
		shoal_ring_add_(r, SHOAL_RECORD_THERE | SHOAL_RECORD_PAD | (rest - SHOAL_RECORD_HEADER), rest);
	return (unsigned char *)shoal_ring_word_(r, w->position) + SHOAL_RECORD_HEADER;
}

/* Puts the reserved record, n bytes of it, into the run. */
static inline void shoal_ring_put_(struct shoal_ring *r, uint64_t n)
{
	struct shoal_ring_sender_ *w = &r->writer;
	uint64_t size = shoal_record_size_(n);

	if (w->stamp != 0) {
		shoal_release64_(shoal_ring_word_(r, w->position + size), shoal_ring_now_());
		shoal_ring_add_(r, SHOAL_RECORD_THERE | SHOAL_RECORD_STAMP | n, size + SHOAL_RECORD_STAMP_SIZE);
		w->stamp = 0;
		w->stamped = w->messages;
	} else
		shoal_ring_add_(r, SHOAL_RECORD_THERE | n, size);
	w->added++;
	w->length += n;
}

SHOAL_SLOW_ void shoal_ring_wake_reader_(struct shoal_ring *r)
{
	shoal_notify_(&r->control->lane.data);
	shoal_ring_count_(&r->control->lane.wakes, 1);
	shoal_release64_(&r->control->lane.active, shoal_ring_now_());
	r->writer.stamp = SHOAL_RECORD_STAMP_SIZE;
}

/* Makes the run visible, by one store. */
static inline void shoal_ring_commit_(struct shoal_ring *r)
{
	struct shoal_ring_sender_ *w = &r->writer;

	if (w->header == 0)
		return;
	/* The end must be there before a reader can get to it. */
	shoal_release64_(shoal_ring_word_(r, w->position), 0);
	/* Pairs with the load in peek: the records are complete; and as a store before the
	 * next load, with the compare-and-swap of who goes to sleep. */
	shoal_store64_(shoal_ring_word_(r, w->first), w->header);
	w->header = 0;
	if ((shoal_load32_(&r->control->lane.data) & 1) != 0)
		shoal_ring_wake_reader_(r);
	w->messages += w->added;
	w->bytes += w->length;
	w->added = w->length = 0;
	shoal_release64_(&r->control->lane.messages, w->messages);
	shoal_release64_(&r->control->lane.bytes, w->bytes);
	if (w->messages - w->stamped >= 512)
		w->stamp = SHOAL_RECORD_STAMP_SIZE;
	if (w->position - w->mark >= r->size / 8)
		shoal_ring_publish_(r);
}

/* Lets the writer go on up to a lane's size behind the reader: whether that is as far
 * as need. */
static inline int shoal_ring_look_(struct shoal_ring *r)
{
	struct shoal_ring_sender_ *w = &r->writer;
	struct shoal_format_lane *lane = &r->control->lane;
	/* Pairs with the stores in release: the reader does not look there any more. */
	uint64_t position = shoal_load64_(&r->control->cursor.position), limit = position + r->size, claim;
	uint64_t committed = w->header != 0 ? w->first : w->position;

	if (position % 8 != 0 || position > committed || committed - position > r->size)
		return shoal_because_(&r->object.members, SHOAL_ECORRUPT, "its reader is at %llu, its writer at %llu of %llu bytes",
		                      (unsigned long long)position, (unsigned long long)committed, (unsigned long long)r->size);
	if (committed - position > shoal_load64_(&lane->high_water))
		shoal_release64_(&lane->high_water, committed - position);
	/* The next writer begins at the last mark: nothing may reach round to it. */
	if (limit - w->mark > r->size) {
		if (w->mark + r->size < w->need && w->need <= limit)
			shoal_ring_publish_(r);
		if (limit > w->mark + r->size)
			limit = w->mark + r->size;
	}
	if (limit > w->limit) {
		w->limit = limit;
		claim = shoal_load64_(&lane->claim);
		/* Before the overwriting, and it never goes back. */
		shoal_store64_(&lane->claim, limit > claim ? limit : claim);
	}
	return w->need <= position + r->size;
}

static inline int shoal_ring_look_again_(struct shoal_ring *r)
{
	int room = shoal_ring_look_(r);

	return room != 0 ? room : __atomic_load_n(&r->closing, __ATOMIC_SEQ_CST) ? SHOAL_ECLOSED : 0;
}

/* The reader tells of room when an eighth is free, and not before. */
static inline bool shoal_ring_room_owed_(const struct shoal_ring *r)
{
	return r->writer.limit - r->writer.position >= r->size / 8;
}

/* Whether there is room for more than the next few records: some microseconds of
 * them. Close behind the reader we would look at its position for each of them, and
 * take the line away that it writes. */
static inline bool shoal_ring_roomy_(const struct shoal_ring *r)
{
	const uint64_t comfort = 16384, eighth = r->size / 8;

	return r->writer.limit - r->writer.position >= (eighth < comfort ? eighth : comfort);
}

static inline bool shoal_ring_spin_room_(const void *argument)
{
	struct shoal_ring *r = (struct shoal_ring *)(uintptr_t)argument;

	r->writer.room = shoal_ring_look_again_(r);
	return r->writer.room < 0 || (r->writer.room > 0 && shoal_ring_roomy_(r));
}

/* Waits until there is room for a record. If there is some already it does so only
 * for a moment, for more. */
static inline int shoal_ring_wait_room_(struct shoal_ring *r, int64_t timeout, bool some)
{
	struct shoal_ring_sender_ *w = &r->writer;
	struct shoal_format_lane *lane = &r->control->lane;
	int64_t began = shoal_now_(), deadline = shoal_deadline_(timeout);
	uint64_t position, is = shoal_load64_(&r->control->cursor.position);
	bool found;

	do { /* as long as the reader moves on, room comes sooner than sleep */
		position = is;
		found = shoal_spin_(&w->spin, shoal_ring_spin_room_, r);
		is = shoal_load64_(&r->control->cursor.position);
	} while (!found && w->room == 0 && is != position);
	if (!found && w->room == 0)
		w->room = shoal_ring_sleep_(r, &lane->space, deadline, shoal_ring_look_again_, shoal_ring_room_owed_,
		                            &lane->lost_wakes);
	if (!some)
		shoal_ring_count_(&lane->blocked, (uint64_t)(shoal_now_() - began));
	return w->room < 0 ? w->room : 0;
}

/* Makes room for n bytes, and waits for it; with a timeout of 0 it only looks. No run
 * is open, and the caller has begun. */
SHOAL_SLOW_ int shoal_ring_make_room_(struct shoal_ring *r, uint64_t n, int64_t timeout)
{
	int room;

	r->writer.need = shoal_ring_needs_(r, n);
	room = shoal_ring_look_(r);
	if (room < 0)
		return room;
	if (room == 0)
		shoal_ring_count_(&r->control->lane.full, 1);
	if (timeout == 0)
		return room == 0 ? SHOAL_EBUSY : 0;
	if (room > 0 && shoal_ring_roomy_(r))
		return 0;
	return shoal_ring_wait_room_(r, timeout, room > 0);
}

/* Why nothing can be sent. */
static inline int shoal_ring_unsendable_(const struct shoal_ring *r, uint64_t n)
{
	if (!shoal_here_(&r->object.members))
		return shoal_not_here_(&r->object.members);
	if (!r->writer.open)
		return SHOAL_ENOTOWNER;
	if (r->writer.lent)
		return SHOAL_EBUSY;
	return n > r->limit ? -EMSGSIZE : -EINVAL;
}

static inline bool shoal_ring_sendable_(const struct shoal_ring *r, uint64_t n)
{
	return shoal_here_(&r->object.members) && r->writer.open && !r->writer.lent && n <= r->limit &&
	       (r->fixed == UINT64_MAX || n == r->fixed);
}

/* Adds a record to the run, if there is room below the limit. */
static inline bool shoal_ring_append_(struct shoal_ring *r, const void *p, uint64_t n)
{
	unsigned char *place = shoal_ring_reserve_at_(r, n);

	if (place == NULL)
		return false;
	if (n > 0)
		memcpy(place, p, (size_t)n);
	SHOAL_STORED_();
	shoal_ring_put_(r, n);
	return true;
}

/* The same when there is no room. Close waits until this has ended. */
SHOAL_SLOW_ int shoal_ring_send_slow_(struct shoal_ring *r, const void *p, uint64_t n, int64_t timeout)
{
	int err = shoal_begin_(&r->object.members);

	if (err < 0)
		return err;
	err = shoal_ring_make_room_(r, n, timeout);
	if (err == 0) {
		shoal_ring_append_(r, p, n);
		shoal_ring_commit_(r);
	}
	shoal_end_(&r->object.members);
	return err;
}

/* shoal_ring_send_for copies n bytes into the ring as one record. If there is no room
 * it waits so many nanoseconds for the reader, less than 0 for ever: then
 * SHOAL_ETIMEDOUT (with 0: SHOAL_EBUSY), and nothing has been sent. Other errors:
 * SHOAL_ENOTOWNER if the port is not open, SHOAL_EBUSY if there is a reservation,
 * -EMSGSIZE if it is longer than shoal_ring_max_record, -EINVAL if its length is not
 * that of the type, SHOAL_ECORRUPT, SHOAL_ECLOSED, SHOAL_EFORK. */
static inline int shoal_ring_send_for(struct shoal_ring *r, const void *p, size_t n, int64_t timeout)
{
	if (!shoal_ring_sendable_(r, n))
		return shoal_ring_unsendable_(r, n);
	if (!shoal_ring_append_(r, p, n))
		return shoal_ring_send_slow_(r, p, n, timeout);
	shoal_ring_commit_(r);
	return 0;
}

static inline int shoal_ring_send(struct shoal_ring *r, const void *p, size_t n)
{
	return shoal_ring_send_for(r, p, n, -1);
}

/* shoal_ring_trysend never waits: SHOAL_EBUSY if there is no room. */
static inline int shoal_ring_trysend(struct shoal_ring *r, const void *p, size_t n)
{
	return shoal_ring_send_for(r, p, n, 0);
}

/* shoal_ring_send_batch_for sends count records of n bytes each, which lie one behind
 * the other, with one synchronisation for up to an eighth of the ring. It says in
 * *sent how many were sent: fewer than all only with an error. For room it waits so
 * many nanoseconds in all, as shoal_ring_send_for. */
static inline int shoal_ring_send_batch_for(struct shoal_ring *r, const void *p, size_t n, size_t count, size_t *sent,
                                            int64_t timeout)
{
	const unsigned char *from = (const unsigned char *)p;
	int64_t deadline = timeout > 0 ? shoal_deadline_(timeout) : 0, left = timeout;
	size_t i;
	int err;

	*sent = 0;
	if (!shoal_ring_sendable_(r, n))
		return shoal_ring_unsendable_(r, n);
	err = shoal_begin_(&r->object.members);
	if (err < 0)
		return err;
	for (i = 0; i < count; i++) {
		if (!shoal_ring_append_(r, from, n)) {
			shoal_ring_commit_(r); /* the reader must see it to make room */
			*sent = i;
			if (timeout > 0) {
				left = deadline - shoal_now_();
				left = left < 1 ? 1 : left;
			}
			err = shoal_ring_make_room_(r, n, left);
			if (err < 0)
				break;
			shoal_ring_append_(r, from, n);
		}
		if (n > 0)
			from += n;
		if (r->writer.position - r->writer.first >= r->size / 8)
			shoal_ring_commit_(r);
	}
	if (err == 0) {
		shoal_ring_commit_(r);
		*sent = count;
	}
	shoal_end_(&r->object.members);
	return err;
}

static inline int shoal_ring_send_batch(struct shoal_ring *r, const void *p, size_t n, size_t count, size_t *sent)
{
	return shoal_ring_send_batch_for(r, p, n, count, sent, -1);
}

/* shoal_ring_reserve lends the place for a record of n bytes, valid until it is
 * committed or cancelled; nobody sees it before. It waits as shoal_ring_send_for. */
static inline int shoal_ring_reserve(struct shoal_ring *r, void **p, size_t n, int64_t timeout)
{
	int err;

	*p = NULL;
	if (!shoal_ring_sendable_(r, n))
		return shoal_ring_unsendable_(r, n);
	*p = shoal_ring_reserve_at_(r, n);
	if (*p == NULL) {
		err = shoal_begin_(&r->object.members);
		if (err < 0)
			return err;
		err = shoal_ring_make_room_(r, n, timeout);
		if (err == 0)
			*p = shoal_ring_reserve_at_(r, n);
		shoal_end_(&r->object.members);
		if (err < 0)
			return err;
	}
	r->writer.lent = true;
	r->writer.loan = n;
	return 0;
}

/* shoal_ring_commit sends the first n bytes of what was reserved. SHOAL_ENOTOWNER if
 * nothing is reserved; -EMSGSIZE if it is less; then the reservation stays. */
static inline int shoal_ring_commit(struct shoal_ring *r, size_t n)
{
	if (!shoal_here_(&r->object.members))
		return shoal_not_here_(&r->object.members);
	if (!r->writer.open || !r->writer.lent)
		return SHOAL_ENOTOWNER;
	if (n > r->writer.loan)
		return -EMSGSIZE;
	if (r->fixed != UINT64_MAX && n != r->fixed)
		return -EINVAL;
	r->writer.lent = false;
	shoal_ring_put_(r, n);
	shoal_ring_commit_(r);
	return 0;
}

static inline void shoal_ring_take_back_(struct shoal_ring *r)
{
	struct shoal_ring_sender_ *w = &r->writer;

	if (w->header != 0)
		w->position = w->first;
	w->header = w->added = w->length = 0;
	w->lent = false;
}

/* shoal_ring_cancel gives the place back: nothing has been sent. */
static inline int shoal_ring_cancel(struct shoal_ring *r)
{
	if (!shoal_here_(&r->object.members))
		return shoal_not_here_(&r->object.members);
	if (!r->writer.open || !r->writer.lent)
		return SHOAL_ENOTOWNER;
	shoal_ring_take_back_(r);
	return 0;
}

/* shoal_ring_writer_close gives the port back: another process, or this one, may
 * take it. What is reserved is cancelled. It is for the thread that the port serves;
 * shoal_ring_close sends away who waits. Closing again does nothing. */
static inline void shoal_ring_writer_close(struct shoal_ring *r)
{
	if (!r->writer.open || !shoal_here_(&r->object.members))
		return;
	r->writer.open = false;
	shoal_ring_take_back_(r);
	shoal_ring_publish_(r);
	shoal_ring_give_back_(r, &r->control->lane.owner);
}

/* ------------------------------------------------------------ The reader */

#define SHOAL_MEMBARRIER_QUERY_ 0
#define SHOAL_MEMBARRIER_GLOBAL_EXPEDITED_ 2

/* Whether others may leave out fences for which shoal_barrier_ makes up. On arm64
 * there is nothing to gain: its stores and loads with an order keep it without one. */
static inline bool shoal_can_barrier_(void)
{
#ifdef __x86_64__
	long commands = shoal_call_(SYS_membarrier, SHOAL_MEMBARRIER_QUERY_, 0, 0, 0, 0, 0);

	return commands > 0 && (commands & SHOAL_MEMBARRIER_GLOBAL_EXPEDITED_) != 0;
#else
	return false;
#endif
}

/* A fence in all processes that have registered. */
static inline void shoal_barrier_(void)
{
	shoal_call_(SYS_membarrier, SHOAL_MEMBARRIER_GLOBAL_EXPEDITED_, 0, 0, 0, 0, 0);
}

/* shoal_ring_reader takes the port that receives, as shoal_ring_writer does the
 * other: the next record is the first one that has not been released. */
static inline int shoal_ring_reader(struct shoal_ring *r)
{
	struct shoal_ring_receiver_ *d = &r->reader;
	struct shoal_format_cursor *c;
	int err = shoal_begin_(&r->object.members), took;
	uint64_t position;

	if (err < 0)
		return err;
	c = &r->control->cursor;
	took = err = shoal_ring_claim_(r, "reader", &c->owner);
	if (err >= 0) {
		/* The position is ours, so nothing behind it is overwritten meanwhile. */
		position = shoal_load64_(&c->position);
		err = shoal_ring_lane_check_(r, position);
		if (err < 0)
			shoal_ring_give_back_(r, &c->owner);
	}
	if (err == 0) {
		if (took)
			shoal_add64_(&c->repairs, 1);
		/* A writer may sleep whom the last reader has not told where it was. */
		shoal_notify_(&r->control->lane.space);
		memset(d, 0, sizeof *d);
		d->position = d->next = d->told = d->sampled = position;
		d->hurried = shoal_load32_(&r->control->lane.hurry) != 0;
		d->barrier = shoal_can_barrier_();
		d->messages = shoal_load64_(&c->messages);
		d->bytes = shoal_load64_(&c->bytes);
		d->open = true;
	}
	shoal_end_(&r->object.members);
	return err;
}

static inline int shoal_latency_bucket_(uint64_t ns)
{
	int e, bucket;

	if (ns < 32)
		return 0;
	e = 63 - __builtin_clzll(ns);
	bucket = 4 * (e - 5) + (int)(ns >> (e - 2) & 3);
	return bucket < SHOAL_LATENCY_BUCKETS ? bucket : SHOAL_LATENCY_BUCKETS - 1;
}

SHOAL_SLOW_ void shoal_ring_sample_(struct shoal_ring *r)
{
	struct shoal_ring_receiver_ *d = &r->reader;
	uint64_t stamp = shoal_load64_(shoal_ring_word_(r, d->next - SHOAL_RECORD_STAMP_SIZE)), now = shoal_ring_now_();

	d->sampled = d->next;
	if (stamp != 0 && stamp <= now)
		shoal_add32_(&r->control->latency.buckets[shoal_latency_bucket_(now - stamp)], 1);
}

/* The next record, in place: 1; 0 at the end. */
SHOAL_SLOW_ int shoal_ring_peek_slow_(struct shoal_ring *r, const void **p, size_t *n)
{
	struct shoal_ring_receiver_ *d = &r->reader;
	struct shoal_record_ record;
	uint64_t header;
	int err;

	while ((header = shoal_load64_(shoal_ring_word_(r, d->position))) != 0) { /* as in shoal_ring_peek_ */
		err = shoal_record_parse_(r, d->position, header, &record);
		if (err < 0)
			return err;
		if (!record.pad) {
			d->next = record.next;
			d->length = record.length;
			if (record.stamp && d->sampled != d->next)
				shoal_ring_sample_(r);
			*p = (unsigned char *)shoal_ring_word_(r, d->position) + SHOAL_RECORD_HEADER;
			*n = (size_t)record.length;
			return 1;
		}
		d->position = d->next = record.next;
	}
	return 0;
}

static inline int shoal_ring_peek_(struct shoal_ring *r, const void **p, size_t *n)
{
	struct shoal_ring_receiver_ *d = &r->reader;
	/* Pairs with the store in commit: the record is complete. Most headers have no
	 * other bit than THERE, and are so bounded at once. */
	uint64_t length = shoal_load64_(shoal_ring_word_(r, d->position)) - SHOAL_RECORD_THERE;

	if (length > r->limit || (d->position & (r->size - 1)) + shoal_record_size_(length) > r->size)
		return shoal_ring_peek_slow_(r, p, n);
	d->next = d->position + shoal_record_size_(length);
	d->length = length;
	*p = (unsigned char *)shoal_ring_word_(r, d->position) + SHOAL_RECORD_HEADER;
	*n = (size_t)length;
	return 1;
}

SHOAL_SLOW_ void shoal_ring_tell_(struct shoal_ring *r)
{
	struct shoal_format_cursor *c = &r->control->cursor;

	r->reader.told = r->reader.position;
	shoal_store64_(&c->position, r->reader.position); /* pairs with the sleeping writer's second look */
	if ((shoal_load32_(&r->control->lane.space) & 1) != 0) {
		shoal_notify_(&r->control->lane.space);
		shoal_ring_count_(&c->wakes, 1);
	}
	shoal_release64_(&c->active, shoal_ring_now_());
}

/* Goes on behind the record that was peeked at, and tells nobody yet. */
static inline void shoal_ring_skip_(struct shoal_ring_receiver_ *d)
{
	if (d->position != d->next) {
		d->messages++;
		d->bytes += d->length;
		d->position = d->next;
	}
}

static inline void shoal_ring_release_(struct shoal_ring *r)
{
	struct shoal_ring_receiver_ *d = &r->reader;
	struct shoal_format_cursor *c = &r->control->cursor;

	shoal_ring_skip_(d);
	if (d->position - d->told >= r->size / 8)
		shoal_ring_tell_(r);
	else /* pairs with the writer's load: we have read all before */
		shoal_release64_(&c->position, d->position);
	shoal_release64_(&c->messages, d->messages);
	shoal_release64_(&c->bytes, d->bytes);
}

static inline int shoal_ring_ready_(struct shoal_ring *r)
{
	return shoal_load64_(shoal_ring_word_(r, r->reader.position)) != 0;
}

/* The same for a reader who has said that it sleeps. A writer in a hurry stores a
 * record and looks whether we sleep without a fence in between: the barrier makes it. */
static inline int shoal_ring_ready_asleep_(struct shoal_ring *r)
{
	if (r->reader.hurried) {
		shoal_store32_(&r->control->lane.hurry, 0);
		shoal_barrier_();
		r->reader.hurried = !shoal_ring_ready_(r);
	}
	return shoal_ring_ready_(r) ? 1 : __atomic_load_n(&r->closing, __ATOMIC_SEQ_CST) ? SHOAL_ECLOSED : 0;
}

static inline bool shoal_ring_spin_ready_(const void *argument)
{
	const struct shoal_ring *r = (const struct shoal_ring *)argument;

	return shoal_load64_(shoal_ring_word_(r, r->reader.position)) != 0 ||
	       __atomic_load_n(&r->closing, __ATOMIC_RELAXED) != 0;
}

static inline bool shoal_ring_always_owed_(const struct shoal_ring *r) { return r != NULL; }

/* Lets the writer commit without a fence: records come so densely that it will be
 * long before we sleep. */
static inline void shoal_ring_hurry_(struct shoal_ring *r)
{
	if (r->reader.barrier && shoal_load32_(&r->control->lane.hurry) == 0) {
		r->reader.hurried = true;
		shoal_store32_(&r->control->lane.hurry, 1);
	}
}

/* Waits for a record, or what is none. The caller has begun. */
static inline int shoal_ring_await_(struct shoal_ring *r, int64_t deadline)
{
	struct shoal_ring_receiver_ *d = &r->reader;
	struct shoal_format_cursor *c = &r->control->cursor;
	int64_t began;
	int err;

	if (shoal_pace_(&d->pacer, d->messages, shoal_ring_spin_ready_, r) && shoal_ring_ready_(r)) {
		if (d->pacer.back != 0)
			shoal_ring_hurry_(r);
		return 0;
	}
	if (d->position != d->told)
		shoal_ring_tell_(r); /* before we sleep */
	began = shoal_now_();
	err = shoal_ring_sleep_(r, &r->control->lane.data, deadline, shoal_ring_ready_asleep_, shoal_ring_always_owed_,
	                        &c->lost_wakes);
	shoal_ring_count_(&c->blocked, (uint64_t)(shoal_now_() - began));
	return err > 0 ? 0 : err;
}

/* The next record when none was there: 1. Then *begun: the caller ends what has begun,
 * so that close waits for it. */
SHOAL_SLOW_ int shoal_ring_next_slow_(struct shoal_ring *r, const void **p, size_t *n, int64_t timeout, bool *begun)
{
	int64_t deadline = timeout == 0 ? 0 : shoal_deadline_(timeout);
	int err = shoal_begin_(&r->object.members);

	if (err < 0)
		return err;
	if (timeout == 0) {
		if (r->reader.position != r->reader.told)
			shoal_ring_tell_(r); /* before we go away */
		err = SHOAL_EBUSY;
	}
	while (err == 0) {
		err = shoal_ring_await_(r, deadline);
		if (err == 0)
			err = shoal_ring_peek_(r, p, n);
	}
	*begun = err > 0;
	if (err < 0)
		shoal_end_(&r->object.members);
	return err;
}

static inline int shoal_ring_next_(struct shoal_ring *r, const void **p, size_t *n, int64_t timeout, bool *begun)
{
	int err;

	*begun = false;
	if (!shoal_here_(&r->object.members))
		return shoal_not_here_(&r->object.members);
	if (!r->reader.open)
		return SHOAL_ENOTOWNER;
	if (timeout != 0 && shoal_tight_(&r->reader.pacer, r->reader.messages))
		shoal_keep_off_(&r->reader.pacer, r->reader.messages, r->reader.messages, shoal_record_size_(r->reader.length),
		                &r->control->lane);
	err = shoal_ring_peek_(r, p, n);
	if (err == 0)
		err = shoal_ring_next_slow_(r, p, n, timeout, begun);
	if (err > 0 && r->fixed != UINT64_MAX && *n != r->fixed)
		err = shoal_because_(&r->object.members, SHOAL_ECORRUPT, "record of %llu bytes at position %llu, want %llu",
		                     (unsigned long long)*n, (unsigned long long)r->reader.position,
		                     (unsigned long long)r->fixed);
	if (err < 0 && *begun) {
		*begun = false;
		shoal_end_(&r->object.members);
	}
	return err < 0 ? err : 0;
}

/* shoal_ring_peek_for returns the next record in place: *p and *n are valid until
 * shoal_ring_release. Without that in between it returns the same record again. If
 * there is none it waits so many nanoseconds, less than 0 for ever: then
 * SHOAL_ETIMEDOUT (with 0: SHOAL_EBUSY). Other errors: SHOAL_ENOTOWNER if the port
 * is not open, SHOAL_ECORRUPT, SHOAL_ECLOSED, SHOAL_EFORK. */
static inline int shoal_ring_peek_for(struct shoal_ring *r, const void **p, size_t *n, int64_t timeout)
{
	bool begun;
	int err = shoal_ring_next_(r, p, n, timeout, &begun);

	if (begun)
		shoal_end_(&r->object.members);
	return err;
}

static inline int shoal_ring_peek(struct shoal_ring *r, const void **p, size_t *n)
{
	return shoal_ring_peek_for(r, p, n, -1);
}

/* shoal_ring_trypeek never waits: SHOAL_EBUSY if there is no record. */
static inline int shoal_ring_trypeek(struct shoal_ring *r, const void **p, size_t *n)
{
	return shoal_ring_peek_for(r, p, n, 0);
}

/* shoal_ring_release gives back the record that was peeked at, and those that were
 * skipped. Who reads after our death begins behind it. Without any it does nothing. */
static inline int shoal_ring_release(struct shoal_ring *r)
{
	if (!shoal_here_(&r->object.members))
		return shoal_not_here_(&r->object.members);
	if (!r->reader.open)
		return SHOAL_ENOTOWNER;
	shoal_ring_release_(r);
	return 0;
}

/* shoal_ring_skip goes on behind the record that was peeked at, and releases it
 * later, together with others: when an eighth of the ring is to be released, or when
 * there is no other record. That is cheaper; if the process dies first, all of them
 * are delivered again. Afterwards what was peeked at must not be touched any more. */
static inline int shoal_ring_skip(struct shoal_ring *r)
{
	struct shoal_ring_receiver_ *d = &r->reader;

	if (!shoal_here_(&r->object.members))
		return shoal_not_here_(&r->object.members);
	if (!d->open)
		return SHOAL_ENOTOWNER;
	shoal_ring_skip_(d);
	if (d->position - d->told >= r->size / 8 || !shoal_ring_ready_(r))
		shoal_ring_release_(r);
	return 0;
}

/* shoal_ring_receive_for copies the next record to p, which has room for size bytes,
 * says its length in *n, and releases it. It waits as shoal_ring_peek_for. -EMSGSIZE
 * if there is less room: *n says how long it is, and it stays. */
static inline int shoal_ring_receive_for(struct shoal_ring *r, void *p, size_t size, size_t *n, int64_t timeout)
{
	const void *record;
	bool begun;
	int err = shoal_ring_next_(r, &record, n, timeout, &begun);

	if (err < 0)
		return err;
	if (*n > size) {
		err = -EMSGSIZE;
	} else {
		if (*n > 0)
			memcpy(p, record, *n);
		shoal_ring_release_(r);
	}
	if (begun)
		shoal_end_(&r->object.members);
	return err;
}

static inline int shoal_ring_receive(struct shoal_ring *r, void *p, size_t size, size_t *n)
{
	return shoal_ring_receive_for(r, p, size, n, -1);
}

/* shoal_ring_tryreceive never waits: SHOAL_EBUSY if there is no record. */
static inline int shoal_ring_tryreceive(struct shoal_ring *r, void *p, size_t size, size_t *n)
{
	return shoal_ring_receive_for(r, p, size, n, 0);
}

/* shoal_ring_reader_close gives the port back, as shoal_ring_writer_close does. What
 * was peeked at, and neither released nor skipped, is the next reader's first record. */
static inline void shoal_ring_reader_close(struct shoal_ring *r)
{
	if (!r->reader.open || !shoal_here_(&r->object.members))
		return;
	r->reader.open = false;
	if (r->reader.position != r->reader.told)
		shoal_ring_tell_(r);
	shoal_ring_give_back_(r, &r->control->cursor.owner);
}

/* ---------------------------------------------------------- Looking at it */

/* The state of a ring, and counters since it was made. They change meanwhile, and
 * need not agree with one another. */
struct shoal_ring_stats {
	struct shoal_stats members;
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t full;                           /* times that there was no room */
	uint64_t high_water;                     /* most bytes that were in use */
	uint64_t writer_blocked, reader_blocked; /* nanoseconds spent waiting */
	uint64_t writer_wakes, reader_wakes;     /* times that this end has woken the other */
	uint64_t writer_lost_wakes, reader_lost_wakes;
	uint64_t writer_repairs, reader_repairs; /* times that this port was taken over from the dead */
	uint64_t last_sent, last_received;       /* nanoseconds since 1970; 0: never */
	uint32_t latency[SHOAL_LATENCY_BUCKETS]; /* sampled; class 4*i+j begins at (4+j) * 2^(i+3) ns */
};

static inline int shoal_ring_stats(struct shoal_ring *r, struct shoal_ring_stats *s)
{
	const struct shoal_format_lane *l;
	const struct shoal_format_cursor *c;
	int err, i;

	memset(s, 0, sizeof *s);
	err = shoal_members_stats(&r->object.members, &s->members);
	if (err == 0)
		err = shoal_begin_(&r->object.members);
	if (err < 0)
		return err;
	l = &r->control->lane;
	c = &r->control->cursor;
	s->sent = shoal_load64_(&l->messages);
	s->sent_bytes = shoal_load64_(&l->bytes);
	s->received = shoal_load64_(&c->messages);
	s->received_bytes = shoal_load64_(&c->bytes);
	s->full = shoal_load64_(&l->full);
	s->high_water = shoal_load64_(&l->high_water);
	s->writer_blocked = shoal_load64_(&l->blocked);
	s->reader_blocked = shoal_load64_(&c->blocked);
	s->writer_wakes = shoal_load64_(&l->wakes);
	s->reader_wakes = shoal_load64_(&c->wakes);
	s->writer_lost_wakes = shoal_load64_(&l->lost_wakes);
	s->reader_lost_wakes = shoal_load64_(&c->lost_wakes);
	s->writer_repairs = shoal_load64_(&l->repairs);
	s->reader_repairs = shoal_load64_(&c->repairs);
	s->last_sent = shoal_load64_(&l->active);
	s->last_received = shoal_load64_(&c->active);
	for (i = 0; i < SHOAL_LATENCY_BUCKETS; i++)
		s->latency[i] = shoal_load32_(&r->control->latency.buckets[i]);
	shoal_end_(&r->object.members);
	return 0;
}

/* shoal_ring_check returns SHOAL_ECORRUPT for what no sequence of operations and
 * deaths leads to. It changes nothing, and may be called while the ring is in use:
 * SHOAL_EBUSY if the reader has always moved on meanwhile. */
static inline int shoal_ring_check(struct shoal_ring *r)
{
	uint64_t owners[2], position;
	int err = shoal_begin_(&r->object.members), i;

	if (err < 0)
		return err;
	owners[0] = shoal_load64_(&r->control->lane.owner);
	owners[1] = shoal_load64_(&r->control->cursor.owner);
	for (i = 0; i < 2; i++)
		if (owners[i] != 0 &&
		    ((owners[i] & 0xffff) != 0 || shoal_current_(&r->object.members, owners[i]) < 0))
			err = shoal_because_(&r->object.members, SHOAL_ECORRUPT, "owner of its %s is %#llx, which is impossible",
			                     i == 0 ? "writer" : "reader", (unsigned long long)owners[i]);
	for (i = 0; err == 0 && i < 1000; i++) {
		/* What is read behind the position was intact if that has stood still. */
		position = shoal_load64_(&r->control->cursor.position);
		err = shoal_ring_lane_check_(r, position);
		if (err == 0 || shoal_load64_(&r->control->cursor.position) == position)
			break;
		err = i < 999 ? 0 : SHOAL_EBUSY;
	}
	shoal_end_(&r->object.members);
	return err;
}

/* shoal_ring_repair makes the ports of processes that have died free, and returns how
 * many there were. Nobody needs it: who takes such a port does the same. */
static inline int shoal_ring_repair(struct shoal_ring *r)
{
	static const char *const what[] = {"writer", "reader"};
	uint64_t *owners[2], *repairs[2];
	int err = shoal_begin_(&r->object.members), i, repaired = 0;

	if (err < 0)
		return err;
	owners[0] = &r->control->lane.owner;
	owners[1] = &r->control->cursor.owner;
	repairs[0] = &r->control->lane.repairs;
	repairs[1] = &r->control->cursor.repairs;
	for (i = 0; i < 2 && (err >= 0 || err == SHOAL_EBUSY); i++) {
		err = shoal_load64_(owners[i]) == 0 ? SHOAL_EBUSY : shoal_ring_claim_(r, what[i], owners[i]);
		if (err < 0)
			continue;
		if (err > 0) {
			shoal_add64_(repairs[i], 1);
			repaired++;
		}
		shoal_ring_give_back_(r, owners[i]);
	}
	shoal_end_(&r->object.members);
	return err < 0 && err != SHOAL_EBUSY ? err : repaired;
}

/* shoal_ring_close closes the ports that are open here, and ends the use of the
 * ring: see shoal_close. Threads that wait return SHOAL_ECLOSED first. */
static inline void shoal_ring_close(struct shoal_ring *r)
{
	struct shoal_members *m = &r->object.members;

	if (shoal_here_(m)) {
		/* Pairs with the looks of who waits, who has counted itself as busy before. */
		__atomic_store_n(&r->closing, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&m->busy, __ATOMIC_SEQ_CST) > 0) {
			shoal_wake_all_(&m->head->changes);
			shoal_nap_(100000);
		}
		shoal_ring_writer_close(r);
		shoal_ring_reader_close(r);
	}
	shoal_close(&r->object);
}

/* =============================================================== Queue ==
 *
 * Messages, each of which goes to exactly one of any number of consumers, and comes
 * again if that one dies before it has acknowledged it.
 *
 *	         claim               publish              take                ack
 *	free ----------> claimed --------------> ready ----------> taken --------------> free
 *	  ^                 |                      ^                  |
 *	  +--cancel, death--+                      +---nack, death----+
 *
 * A slot's state is one word, so every step is one compare-and-swap. Free and ready
 * words have the message's position, which counts up for ever: such a word never comes
 * twice. Claimed and taken words have the owner, and only that one changes the slot,
 * and what stands beside the word. When it has died whoever buries it takes its slots
 * back before its epoch ends.
 *
 * The message of position p stands in slot p modulo their number. A producer claims the
 * first free slot from the tail on and raises the tail behind it; a consumer takes the
 * message at the head and raises the head. Both only follow.
 *
 * Where there is no message at the head, but one further on, consumers go past. What is
 * published behind them is marked: a bit for the slot, and a flag that there are marks.
 * So is what is given back. Consumers look at the marks first. For this to be safe
 *
 *   - who goes past raises skips first, then looks once more, and flags the claims that
 *     it goes past: their producers mark before they publish. A producer reads skips
 *     before it reads the tail, and again when it has claimed; if it has changed, it
 *     flags its claim itself. A consumer that did not see the claim has looked before
 *     it, so it has raised skips before, and after the producer had read it, since the
 *     tail was below;
 *   - only who has a slot changes its mark: before the message is ready, after it is
 *     taken;
 *   - the flag has a sequence that every mark raises. Who finds no marks clears it only
 *     if it has not changed since.
 *
 * docs/FORMAT.md has what survivors find after a death at each store.
 */

/* How a queue is made. NULL or zeros are good defaults. They do not matter for one that
 * exists, but for the schema. */
struct shoal_queue_options {
	uint32_t slots;        /* messages that it holds: a power of two; 0: SHOAL_QUEUE_SLOTS_DEFAULT */
	uint32_t max_message;  /* bytes of the longest, if there is no schema; 0: SHOAL_QUEUE_MESSAGE_DEFAULT */
	unsigned mode;         /* 0: 0600. Who sends or receives needs to read and write */
	const uint32_t *group; /* NULL: the creator's */
	uint32_t members;      /* 0: SHOAL_DEFAULT_SLOTS */
	const char *schema;    /* text of the type of the messages; NULL: none, and opens any */
};

/* An open queue. Any thread may call its functions. */
struct shoal_queue {
	struct shoal object;
	struct shoal_format_queue *control;
	struct shoal_format_queue_row *rows; /* of the member slots */
	uint64_t *marks;
	unsigned char *slots;
	uint64_t count; /* of slots: a power of two */
	uint64_t stride;
	uint64_t limit; /* length of a message at most */
	uint64_t fixed; /* exactly; UINT64_MAX if each has its own */
	uint64_t self;
	struct shoal_format_queue_row *row; /* ours */
	uint32_t closing;
	unsigned char unused[SHOAL_LINE]; /* what follows changes all the time */
	struct shoal_spinner_ sending, receiving;
	uint64_t clock; /* a recent time, nanoseconds since 1970 */
	uint32_t taken; /* messages taken, and looks at a full queue */
	uint32_t stamp; /* the next message is to be stamped */
	uint32_t saying;
};

/* A message that this process has received: no other consumer gets it until it is given
 * back, the queue is closed or the process ends; none will after shoal_queue_ack. It may
 * be copied, and used by any thread; it is acknowledged or given back once. */
struct shoal_queue_message {
	void *data; /* where it lies. It may be changed: who gets it next sees that */
	size_t size;
	uint32_t deliveries; /* this one included: more than 1 if it was given back, or a consumer has died */
	uint64_t number;     /* its position in the order of sending */
};

/* A slot for one message, to be filled where it lies: nobody sees it before
 * shoal_queue_commit. It may be copied; any number may be open. */
struct shoal_queue_loan {
	void *data;
	size_t size;
	uint64_t number;
};

/* ---------------------------------------------------- Slots, marks, words */

static inline unsigned char *shoal_queue_place_(const struct shoal_queue *q, uint64_t position)
{
	return q->slots + (position & (q->count - 1)) * q->stride;
}

static inline struct shoal_format_queue_slot *shoal_queue_slot_(const struct shoal_queue *q, uint64_t position)
{
	return (struct shoal_format_queue_slot *)(void *)shoal_queue_place_(q, position);
}

static inline unsigned char *shoal_queue_bytes_(const struct shoal_queue *q, uint64_t position)
{
	return shoal_queue_place_(q, position) + sizeof(struct shoal_format_queue_slot);
}

static inline uint64_t shoal_queue_kind_(uint64_t state) { return state & SHOAL_QUEUE_KIND; }
static inline uint64_t shoal_queue_at_(uint64_t state) { return state >> SHOAL_QUEUE_POSITION; }

static inline uint64_t shoal_queue_free_(uint64_t position)
{
	return position << SHOAL_QUEUE_POSITION | SHOAL_QUEUE_FREE;
}

static inline uint64_t shoal_queue_ready_(uint64_t position)
{
	return position << SHOAL_QUEUE_POSITION | SHOAL_QUEUE_READY;
}

/* Whether a state names an owner, and this one. */
static inline bool shoal_queue_owned_(uint64_t state, uint64_t owner)
{
	return (state & 1) != 0 && shoal_owner_of_(state) == owner;
}

/* Raises a word to at least x. */
static inline void shoal_raise64_(uint64_t *w, uint64_t x)
{
	uint64_t v;

	do
		v = shoal_load64_(w);
	while (v < x && !shoal_cas64_(w, v, x));
}

/* Says what is wrong with a slot, and returns SHOAL_ECORRUPT. */
static inline int shoal_queue_corrupt_(struct shoal_queue *q, uint64_t position, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static inline int shoal_queue_corrupt_(struct shoal_queue *q, uint64_t position, const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	shoal_gate_enter_(&q->saying);
	shoal_because_(&q->object.members, SHOAL_ECORRUPT, "slot at offset %llu: %s",
	               (unsigned long long)(shoal_queue_place_(q, position) - q->object.segment.base), text);
	shoal_gate_leave_(&q->saying);
	return SHOAL_ECORRUPT;
}

/* The same of the control block: what was found in the words at an offset of the body. */
static inline int shoal_queue_impossible_(struct shoal_queue *q, uint64_t at, const char *what, uint64_t head,
                                          uint64_t tail)
{
	shoal_gate_enter_(&q->saying);
	shoal_because_(&q->object.members, SHOAL_ECORRUPT, "at offset %llu: %s: head is %llu, tail %llu",
	               (unsigned long long)(q->object.body + at), what, (unsigned long long)head,
	               (unsigned long long)tail);
	shoal_gate_leave_(&q->saying);
	return SHOAL_ECORRUPT;
}

/* Whether the length in a slot's words is one that a message can have. */
static inline bool shoal_queue_fits_(const struct shoal_queue *q, uint64_t meta)
{
	uint64_t n = (uint32_t)meta;

	return n <= q->limit && (q->fixed == UINT64_MAX || n == q->fixed);
}

static inline int shoal_queue_misfit_(struct shoal_queue *q, uint64_t position, uint64_t meta)
{
	return shoal_queue_corrupt_(q, position, "message %llu has %u bytes, want %s%llu", (unsigned long long)position,
	                            (unsigned)meta, q->fixed == UINT64_MAX ? "at most " : "",
	                            (unsigned long long)q->limit);
}

static inline uint64_t *shoal_queue_marks_(const struct shoal_queue *q, uint64_t position)
{
	return &q->marks[(position & (q->count - 1)) / 64];
}

/* Sets the mark of a slot that is ours, and tells consumers to look at the marks. The
 * message is made ready afterwards. */
static inline void shoal_queue_mark_(struct shoal_queue *q, uint64_t position)
{
	uint64_t *w = shoal_queue_marks_(q, position), bit = UINT64_C(1) << (position & (q->count - 1)) % 64, v;

	do
		v = shoal_load64_(w);
	while ((v & bit) == 0 && !shoal_cas64_(w, v, v | bit));
	/* A new sequence, so that nobody clears the flag who looked before. */
	do
		v = shoal_load64_(&q->control->returned);
	while (!shoal_cas64_(&q->control->returned, v, (v | 1) + 2));
}

/* Clears the mark of a slot that is ours. */
static inline void shoal_queue_unmark_(struct shoal_queue *q, uint64_t position)
{
	uint64_t *w = shoal_queue_marks_(q, position), bit = UINT64_C(1) << (position & (q->count - 1)) % 64, v;

	do
		v = shoal_load64_(w);
	while ((v & bit) != 0 && !shoal_cas64_(w, v, v & ~bit));
}

static inline bool shoal_queue_marked_(const struct shoal_queue *q, uint64_t position)
{
	return (shoal_load64_(shoal_queue_marks_(q, position)) >> (position & (q->count - 1)) % 64 & 1) != 0;
}

/* ------------------------------------------------------------- Claiming */

#define SHOAL_QUEUE_NEAR_ 16 /* slots, from the tail on, that a producer looks at before it looks at all */
#define SHOAL_QUEUE_LAST_ ((UINT64_C(1) << (64 - SHOAL_QUEUE_POSITION)) - 2 * SHOAL_QUEUE_SLOTS_MAX) /* in centuries */

/* Claims a free slot among the first n from the tail on: 1, and the position that its
 * message will have; 0 if there is none. */
static inline int shoal_queue_claim_(struct shoal_queue *q, uint64_t n, uint64_t *position)
{
	struct shoal_format_queue *c = q->control;
	uint64_t skips = shoal_load64_(&c->skips), tail, p, w; /* skips before the tail: see above */
	struct shoal_format_queue_slot *s;
	bool stale;

	for (;;) {
		tail = shoal_load64_(&c->tail);
		if (tail > SHOAL_QUEUE_LAST_)
			return shoal_queue_impossible_(q, SHOAL_LINE, "too far", shoal_load64_(&c->head), tail);
		stale = false;
		for (p = tail; p < tail + n; p++) {
			s = shoal_queue_slot_(q, p);
			w = shoal_load64_(&s->state);
			if (shoal_queue_kind_(w) != SHOAL_QUEUE_FREE)
				continue;
			stale = shoal_queue_at_(w) > p; /* used since we read the tail */
			if (stale)
				break;
			if (!shoal_cas64_(&s->state, w, q->self | SHOAL_QUEUE_CLAIMED))
				continue;
			shoal_raise64_(&c->tail, p + 1);
			shoal_release64_(&s->position, p);
			/* Pairs with the addition in pass, whose next look sees our claim if this load
			 * does not see it. */
			if (shoal_load64_(&c->skips) != skips)
				shoal_store64_(&s->state, q->self | SHOAL_QUEUE_CLAIMED | SHOAL_QUEUE_PASSED);
			*position = p;
			return 1;
		}
		if (!stale)
			return 0;
		if (shoal_load64_(&c->tail) == tail)
			return shoal_queue_corrupt_(q, p, "free for positions behind the tail, which is at %llu",
			                            (unsigned long long)tail);
	}
}

/* Says that a slot has been given back. */
SHOAL_SLOW_ void shoal_queue_reopen_(struct shoal_queue *q)
{
	const uint32_t both = SHOAL_QUEUE_FULL_LOOKING | SHOAL_QUEUE_FULL_ALL;
	uint32_t v;

	do
		/* Pairs with the compare-and-swaps in shoal_queue_claim_any_: they come before
		 * this, and find it changed, or after, and then the look between them sees our
		 * slot. */
		v = shoal_load32_(&q->control->full);
	while ((v & both) != 0 && !shoal_cas32_(&q->control->full, v, (v | both) + 1));
}

/* Claims any slot. If there is none it says so to all. */
SHOAL_SLOW_ int shoal_queue_claim_any_(struct shoal_queue *q, uint64_t *position)
{
	uint32_t *full = &q->control->full, v = shoal_load32_(full);
	int r;

	if ((v & SHOAL_QUEUE_FULL_LOOKING) == 0 && shoal_cas32_(full, v, v | SHOAL_QUEUE_FULL_LOOKING))
		v |= SHOAL_QUEUE_FULL_LOOKING;
	r = shoal_queue_claim_(q, q->count, position);
	if (r == 0 && (v & (SHOAL_QUEUE_FULL_LOOKING | SHOAL_QUEUE_FULL_ALL)) == SHOAL_QUEUE_FULL_LOOKING)
		shoal_cas32_(full, v, v | SHOAL_QUEUE_FULL_ALL);
	return r;
}

/* Makes a claimed slot, which a consumer has passed, a message. */
SHOAL_SLOW_ int shoal_queue_publish_passed_(struct shoal_queue *q, uint64_t position, uint64_t flags)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, position);
	uint64_t w = shoal_load64_(&s->state);

	if (w != (q->self | SHOAL_QUEUE_CLAIMED | SHOAL_QUEUE_PASSED))
		return shoal_queue_corrupt_(q, position, "state is %#llx, of what we had claimed",
		                            (unsigned long long)w);
	shoal_queue_mark_(q, position);
	shoal_store64_(&s->state, shoal_queue_ready_(position) | SHOAL_QUEUE_MARKED | flags);
	return 0;
}

/* Makes a claimed slot a message of n bytes, with further flags of its state. */
static inline int shoal_queue_publish_(struct shoal_queue *q, uint64_t position, uint64_t n, uint64_t flags)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, position);

	shoal_release64_(&s->meta, n);
	/* Pairs with the loads in take and pass: the message is complete. */
	if (shoal_cas64_(&s->state, q->self | SHOAL_QUEUE_CLAIMED, shoal_queue_ready_(position) | flags))
		return 0;
	return shoal_queue_publish_passed_(q, position, flags);
}

/* --------------------------------------------------------------- Taking */

/* A consumer's search: what it has found, and whether it goes round in damaged words. In
 * a sound queue it goes round again only because others have been faster, and what they
 * do is to be seen in the slots. While those stay as they are a few rounds lead to a
 * message, or show that there is none, whether somebody is slow or not. */
struct shoal_queue_search_ {
	uint64_t position;
	uint64_t state; /* before it was taken */
	uint64_t left;  /* rounds until the next look at the slots */
	uint64_t slots; /* their sum at the last one */
};

/* How many rounds: a head not far behind needs 1/32 of the slots to get on. */
static inline uint64_t shoal_queue_rest_(const struct shoal_queue *q)
{
	return 1000 + q->count / 8;
}

/* A checksum of the slots, FNV-1a by words: it changes, but for some chance, with
 * everything that anybody does to one. */
static inline uint64_t shoal_queue_sum_(const struct shoal_queue *q)
{
	const struct shoal_format_queue_slot *s;
	uint64_t h = UINT64_C(14695981039346656037), i;

	for (i = 0; i < q->count; i++) {
		s = shoal_queue_slot_(q, i);
		h = (h ^ (shoal_load64_(&s->state) & ~(uint64_t)SHOAL_QUEUE_PASSED)) * UINT64_C(1099511628211);
		h = (h ^ shoal_load64_(&s->position)) * UINT64_C(1099511628211);
		h = (h ^ shoal_load64_(&s->meta)) * UINT64_C(1099511628211);
	}
	return h;
}

SHOAL_SLOW_ bool shoal_queue_overdue_slow_(const struct shoal_queue *q, struct shoal_queue_search_ *f)
{
	uint64_t before = f->slots;

	f->left = shoal_queue_rest_(q);
	f->slots = shoal_queue_sum_(q);
	return f->slots == before;
}

/* Begins a round: whether there have been more than can be without anybody else doing
 * something. */
static inline bool shoal_queue_overdue_(const struct shoal_queue *q, struct shoal_queue_search_ *f)
{
	return f->left-- == 0 && shoal_queue_overdue_slow_(q, f);
}

/* Takes the message at a position, whose state is w, and begins its delivery: 1, or 0 if
 * another was faster. */
static inline int shoal_queue_grab_(struct shoal_queue *q, uint64_t position, uint64_t w)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, position);
	uint64_t meta = shoal_load64_(&s->meta); /* if we get the slot it has not changed since it was ready */

	if (!shoal_queue_fits_(q, meta))
		return shoal_load64_(&s->state) != w ? 0 : shoal_queue_misfit_(q, position, meta);
	/* Pairs with the store in publish: the message is complete. */
	if (!shoal_cas64_(&s->state, w, q->self | SHOAL_QUEUE_TAKEN))
		return 0;
	if ((w & SHOAL_QUEUE_MARKED) != 0)
		shoal_queue_unmark_(q, position);
	shoal_raise64_(&q->control->head, position + 1);
	shoal_release64_(&s->meta, meta + (UINT64_C(1) << 32));
	return 1;
}

/* Takes the first of the messages with a mark, if it lies before the head. If there are
 * no marks it says so, unless there were some since returned was read. */
SHOAL_SLOW_ int shoal_queue_take_returned_(struct shoal_queue *q, struct shoal_queue_search_ *f, uint64_t returned)
{
	uint64_t words = (q->count + 63) / 64, g, i, set, some, w;
	int r;

	for (;;) { /* whose message another takes tries the next; what is damaged is an error */
		f->position = shoal_load64_(&q->control->head);
		f->state = some = 0;
		for (g = 0; g < words; g++) {
			set = shoal_load64_(&q->marks[g]);
			some |= set;
			for (; set != 0; set &= set - 1) {
				i = g * 64 + (uint64_t)__builtin_ctzll(set);
				if (i >= q->count)
					break;
				w = shoal_load64_(&shoal_queue_slot_(q, i)->state);
				if (shoal_queue_kind_(w) == SHOAL_QUEUE_READY && shoal_queue_at_(w) < f->position &&
				    (shoal_queue_at_(w) & (q->count - 1)) == i) {
					f->position = shoal_queue_at_(w);
					f->state = w;
				}
			}
		}
		if (f->state == 0) {
			if (some == 0)
				shoal_cas64_(&q->control->returned, returned, returned & ~UINT64_C(1));
			return 0;
		}
		r = shoal_queue_grab_(q, f->position, f->state);
		if (r != 0)
			return r;
	}
}

/* Whether the slot's use for a position is over, or will never be, whatever becomes of
 * those who are at work: a later position has been written there, or this one has been
 * published. w is the state of the slot. */
static inline bool shoal_queue_done_(const struct shoal_queue *q, uint64_t position, uint64_t w)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, position);
	uint64_t at = shoal_load64_(&s->position);

	if (at != position)
		return at > position; /* positions of a slot only grow */
	if (shoal_queue_kind_(w) == SHOAL_QUEUE_FREE)
		return shoal_queue_at_(w) > position;
	/* What was taken when its position stood there already has been published. */
	return shoal_queue_kind_(w) == SHOAL_QUEUE_TAKEN && shoal_load64_(&s->state) == w;
}

/* How far the head can go if it is far behind, as after many claims that were
 * cancelled: the first position from head on that is not done. */
static inline uint64_t shoal_queue_leap_(const struct shoal_queue *q, uint64_t head, uint64_t tail)
{
	uint64_t next = tail, p, w, at, undone;

	for (p = head; p - head < q->count && p < next; p++) {
		w = shoal_load64_(&shoal_queue_slot_(q, p)->state);
		at = shoal_load64_(&shoal_queue_slot_(q, p)->position);
		if (at < p)
			undone = p;
		else
			undone = shoal_queue_done_(q, at, w) ? at + q->count : at;
		next = undone < next ? undone : next;
	}
	return next;
}

/* The first position from the head on and below the tail with a message; the tail if
 * there is none. */
static inline uint64_t shoal_queue_ahead_(const struct shoal_queue *q, uint64_t head, uint64_t tail)
{
	uint64_t first = tail, p, w, at;

	for (p = head; p < tail && p - head < q->count; p++) {
		w = shoal_load64_(&shoal_queue_slot_(q, p)->state);
		if (shoal_queue_kind_(w) != SHOAL_QUEUE_READY)
			continue;
		at = shoal_queue_at_(w);
		if (at == p)
			return p;
		if (head <= at && at < first && ((at - p) & (q->count - 1)) == 0) /* of a later lap */
			first = at;
	}
	return first;
}

/* Whether the state of a slot changes within moments: a message that is about to be
 * published is not passed. */
static inline bool shoal_queue_moves_(const struct shoal_format_queue_slot *s, uint64_t w)
{
	int i;

	for (i = 0; i < 64; i++)
		if (shoal_load64_(&s->state) != w)
			return true;
	return false;
}

/* Moves the head past positions at which there is no message, to next, so that those
 * that come to be there yet are marked: see above. */
static inline void shoal_queue_pass_(struct shoal_queue *q, uint64_t head, uint64_t next)
{
	struct shoal_format_queue_slot *s;
	uint64_t p, w, at;

	shoal_add64_(&q->control->skips, 1); /* pairs with the load in claim */
	for (p = head; p < next && p - head < q->count; p++) {
		s = shoal_queue_slot_(q, p);
		w = shoal_load64_(&s->state);
		if (shoal_queue_kind_(w) == SHOAL_QUEUE_CLAIMED && (w & SHOAL_QUEUE_PASSED) == 0 &&
		    !shoal_cas64_(&s->state, w, w | SHOAL_QUEUE_PASSED))
			return; /* look again */
		at = shoal_queue_at_(w);
		if (shoal_queue_kind_(w) == SHOAL_QUEUE_READY && head <= at && at < next &&
		    ((at - p) & (q->count - 1)) == 0)
			return;
	}
	shoal_cas64_(&q->control->head, head, next);
}

/* How many positions a consumer looks at before it raises the head past them, if they are
 * done. */
#define SHOAL_QUEUE_OVERTAKE_ 64

/* Goes on from a head at which there is no message, w being the state of its slot: 1 if
 * there is none at all, 0 to look again. */
SHOAL_SLOW_ int shoal_queue_go_on_(struct shoal_queue *q, uint64_t returned, uint64_t head, uint64_t tail, uint64_t w)
{
	struct shoal_format_queue *c = q->control;
	uint64_t next, end;

	if (shoal_queue_done_(q, head, w)) {
		/* The others may be faster by some: overtake them. */
		next = head + 1;
		end = tail - head < SHOAL_QUEUE_OVERTAKE_ ? tail : head + SHOAL_QUEUE_OVERTAKE_;
		while (next < end && shoal_queue_done_(q, next, shoal_load64_(&shoal_queue_slot_(q, next)->state)))
			next++;
		if (next == end && tail - next > 2 * q->count && shoal_load64_(&c->head) == head)
			next = shoal_queue_leap_(q, next, tail);
		shoal_raise64_(&c->head, next);
		return 0;
	}
	next = shoal_queue_ahead_(q, head, tail);
	if (next == tail)
		return shoal_load64_(&c->returned) == returned && shoal_load64_(&c->head) == head;
	if (next != head && !shoal_queue_moves_(shoal_queue_slot_(q, head), w))
		shoal_queue_pass_(q, head, next);
	return 0;
}

/* Takes the first message: 1; 0 if there is none. */
static inline int shoal_queue_take_(struct shoal_queue *q, struct shoal_queue_search_ *f)
{
	struct shoal_format_queue *c = q->control;
	uint64_t returned, head = 0, tail = 0, w;
	int r;

	f->left = shoal_queue_rest_(q);
	f->slots = 0;
	while (!shoal_queue_overdue_(q, f)) {
		returned = shoal_load64_(&c->returned);
		if ((returned & 1) != 0) {
			r = shoal_queue_take_returned_(q, f, returned);
			if (r != 0)
				return r;
		}
		head = shoal_load64_(&c->head);
		w = shoal_load64_(&shoal_queue_slot_(q, head)->state);
		if (shoal_queue_kind_(w) == SHOAL_QUEUE_READY && shoal_queue_at_(w) == head) {
			r = shoal_queue_grab_(q, head, w);
			f->position = head;
			f->state = w;
			if (r != 0)
				return r;
			continue;
		}
		tail = shoal_load64_(&c->tail);
		if (head > tail)
			return shoal_queue_impossible_(q, 2 * SHOAL_LINE, "behind the tail", head, tail);
		if (head == tail ? shoal_load64_(&c->returned) == returned
		                 : shoal_queue_go_on_(q, returned, head, tail, w) != 0)
			return 0;
	}
	return shoal_queue_impossible_(q, SHOAL_LINE, "they do not come to rest", head, tail);
}

/* --------------------------------------------------------- Taking it back */

/* Makes a message that is ours ready again, to be found by its mark. from is the exact
 * state, which nobody changes but its owner, or who repairs after that one. */
static inline bool shoal_queue_give_back_(struct shoal_queue *q, uint64_t position, uint64_t from)
{
	shoal_queue_mark_(q, position);
	return shoal_cas64_(&shoal_queue_slot_(q, position)->state, from,
	                    shoal_queue_ready_(position) | SHOAL_QUEUE_MARKED);
}

/* Takes a slot back whose owner will not change it any more. */
static inline void shoal_queue_take_back_(struct shoal_queue *q, uint64_t i, uint64_t w,
                                          struct shoal_format_queue_row *row)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, i);
	uint64_t position = shoal_load64_(&s->position);

	if ((position & (q->count - 1)) != i)
		position = i; /* damaged: what was there has no place in the order */
	if (shoal_queue_kind_(w) == SHOAL_QUEUE_TAKEN) {
		if (shoal_queue_give_back_(q, position, w))
			shoal_add64_(&row->returned, 1);
		return;
	}
	shoal_queue_unmark_(q, position);
	if (shoal_cas64_(&s->state, w, shoal_queue_free_(position + 1))) { /* else a consumer has passed it */
		shoal_add64_(&row->freed, 1);
		shoal_queue_reopen_(q);
	}
}

/* Takes back what a dead member had: its claims become free, its messages ready. Called
 * with the lock of its slot, so by one at a time, but perhaps more than once. */
static inline void shoal_queue_bury_(struct shoal_members *m, uint64_t dead)
{
	struct shoal_queue *q =
		(struct shoal_queue *)(void *)((unsigned char *)m - offsetof(struct shoal_queue, object) -
	                                       offsetof(struct shoal, members));
	uint64_t i, w, slot = (uint64_t)shoal_owner_slot_(dead), last = q->object.slots - 1;

	for (i = 0; i < q->count; i++)
		while (shoal_queue_owned_(w = shoal_load64_(&shoal_queue_slot_(q, i)->state), dead))
			shoal_queue_take_back_(q, i, w, &q->rows[slot < last ? slot : last]);
	shoal_queue_reopen_(q); /* it may have freed a slot and not said so */
}

/* Asks for the verdict on everybody whose bell has rung: whether somebody is dead. Cost,
 * while nobody dies: a load for each member slot. */
SHOAL_SLOW_ bool shoal_settle_all_(struct shoal_members *m)
{
	bool died = false;
	uint64_t claim;
	uint32_t i;

	for (i = 0; i < m->count; i++) {
		if (!shoal_rung_(m, i))
			continue;
		claim = shoal_load64_(&m->slots[i].claim);
		if (shoal_active_(claim) && shoal_settle_(m, shoal_owner_(i, (uint32_t)(claim >> 32))) == 0)
			died = true;
	}
	return died;
}

/* -------------------------------------------------------- Opening a queue */

static inline uint64_t shoal_queue_marks_at_(uint64_t members)
{
	return sizeof(struct shoal_format_queue) + members * sizeof(struct shoal_format_queue_row);
}

static inline uint64_t shoal_queue_slots_at_(uint64_t members, uint64_t slots)
{
	return (shoal_queue_marks_at_(members) + (slots + 63) / 64 * 8 + SHOAL_LINE - 1) & ~(uint64_t)(SHOAL_LINE - 1);
}

struct shoal_queue_shape_ {
	uint64_t slots, stride;
};

static inline void shoal_queue_fill_(unsigned char *body, void *argument)
{
	struct shoal_format_queue *c = (struct shoal_format_queue *)(void *)body;
	const struct shoal_queue_shape_ *shape = (const struct shoal_queue_shape_ *)argument;

	c->slots = shape->slots;
	c->stride = shape->stride;
	c->tail = c->head = shape->slots;
}

/* Finds the parts of the queue in the object, and bounds them. */
static inline int shoal_queue_find_(struct shoal_queue *q)
{
	struct shoal_members *m = &q->object.members;
	uint64_t bytes = shoal_body_size(&q->object), body = q->object.body, n, stride, at;

	if (bytes < sizeof *q->control)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: queue of %llu bytes",
		                      (unsigned long long)body, (unsigned long long)bytes);
	q->control = (struct shoal_format_queue *)shoal_body(&q->object);
	n = shoal_load64_(&q->control->slots);
	stride = shoal_load64_(&q->control->stride);
	if (n < 1 || n > SHOAL_QUEUE_SLOTS_MAX || (n & (n - 1)) != 0)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: queue of %llu slots",
		                      (unsigned long long)body, (unsigned long long)n);
	if (stride < SHOAL_LINE || stride % SHOAL_LINE != 0 || stride > bytes)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: slots of %llu bytes",
		                      (unsigned long long)body + 8, (unsigned long long)stride);
	at = shoal_queue_slots_at_(q->object.slots, n);
	if (at > bytes || n > (bytes - at) / stride)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: %llu slots of %llu bytes, in a body of %llu",
		                      (unsigned long long)body, (unsigned long long)n, (unsigned long long)stride,
		                      (unsigned long long)bytes);
	q->rows = (struct shoal_format_queue_row *)(void *)(q->control + 1);
	q->marks = (uint64_t *)(void *)((unsigned char *)q->control + shoal_queue_marks_at_(q->object.slots));
	q->slots = (unsigned char *)q->control + at;
	q->count = n;
	q->stride = stride;
	q->limit = stride - sizeof(struct shoal_format_queue_slot);
	q->fixed = UINT64_MAX;
	if (q->object.schema_length > 0) {
		q->fixed = shoal_schema_size_(q->object.schema, q->object.schema_length);
		if (q->fixed == UINT64_MAX)
			return shoal_because_(m, SHOAL_ECORRUPT, "the text of its type does not say its size");
		if (q->fixed > q->limit)
			return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: type of %llu bytes, in slots of %llu",
			                      (unsigned long long)body + 8, (unsigned long long)q->fixed,
			                      (unsigned long long)stride);
		q->limit = q->fixed;
	}
	return 0;
}

/* Joins, as one who sees to the dead. */
static inline int shoal_queue_join_(struct shoal_queue *q)
{
	struct shoal_members *m = &q->object.members;
	int err;

	m->repair = shoal_queue_bury_;
	err = shoal_join(&q->object, 0);
	if (err < 0)
		return err;
	if (m->count != q->object.slots) {
		err = shoal_because_(m, SHOAL_ECORRUPT, "%u member slots, and the header says %u", m->count,
		                     q->object.slots);
		shoal_members_leave(m);
		return err;
	}
	q->self = m->self;
	q->row = &q->rows[m->slot];
	q->clock = shoal_ring_now_();
	return 0;
}

static inline int shoal_queue_open_(struct shoal_queue *q, const char *name, const struct shoal_queue_options *options,
                                    int (*how)(struct shoal *, const char *, const struct shoal_spec *))
{
	struct shoal_queue_shape_ shape;
	struct shoal_spec spec;
	uint64_t message = SHOAL_QUEUE_MESSAGE_DEFAULT;
	int err, made;

	memset(q, 0, sizeof *q);
	shoal_clear_(&q->object);
	memset(&spec, 0, sizeof spec);
	shape.slots = SHOAL_QUEUE_SLOTS_DEFAULT;
	if (options != NULL) {
		shape.slots = options->slots == 0 ? shape.slots : options->slots;
		message = options->max_message == 0 ? message : options->max_message;
		spec.slots = options->members;
		spec.mode = options->mode;
		spec.group = options->group;
		spec.schema = options->schema;
	}
	if (spec.schema != NULL)
		message = shoal_schema_size_(spec.schema, strlen(spec.schema));
	if (shape.slots > SHOAL_QUEUE_SLOTS_MAX || (shape.slots & (shape.slots - 1)) != 0 || message == UINT64_MAX)
		return -EINVAL;
	if (message > SHOAL_QUEUE_MESSAGE_MAX)
		return -EMSGSIZE;
	shape.stride =
		(sizeof(struct shoal_format_queue_slot) + message + SHOAL_LINE - 1) & ~(uint64_t)(SHOAL_LINE - 1);
	spec.kind = SHOAL_KIND_QUEUE;
	spec.size = shoal_queue_slots_at_(spec.slots == 0 ? SHOAL_DEFAULT_SLOTS : spec.slots, shape.slots) +
	            shape.slots * shape.stride;
	spec.fill = shoal_queue_fill_;
	spec.argument = &shape;
	made = how(&q->object, name, &spec);
	if (made < 0)
		return made;
	err = shoal_queue_find_(q);
	if (err == 0)
		err = shoal_queue_join_(q);
	if (err < 0) {
		shoal_segment_unmap_(&q->object.segment);
		return err;
	}
	return made;
}

/* shoal_queue_create makes a queue, and joins; -EEXIST if there is such an object.
 * Options may be NULL. Other errors: -EINVAL for the number of slots or the text of a
 * type, -EMSGSIZE for messages of more than SHOAL_QUEUE_MESSAGE_MAX bytes. */
static inline int shoal_queue_create(struct shoal_queue *q, const char *name, const struct shoal_queue_options *options)
{
	return shoal_queue_open_(q, name, options, shoal_create);
}

/* shoal_queue_open opens one that exists, -ENOENT, and joins. Of the options the schema
 * alone matters: SHOAL_ETYPE if its messages are of another type. */
static inline int shoal_queue_open(struct shoal_queue *q, const char *name, const struct shoal_queue_options *options)
{
	return shoal_queue_open_(q, name, options, shoal_open);
}

/* shoal_queue_open_or_create opens the queue, and makes it if there is none: 1 if it
 * did. */
static inline int shoal_queue_open_or_create(struct shoal_queue *q, const char *name,
                                             const struct shoal_queue_options *options)
{
	return shoal_queue_open_(q, name, options, shoal_open_or_create);
}

/* shoal_queue_why: see shoal_why. After SHOAL_ECORRUPT it says what is wrong, and at
 * which offset. */
static inline const char *shoal_queue_why(const struct shoal_queue *q) { return shoal_why(&q->object); }

/* shoal_queue_max_message is the length of the longest message, in bytes. */
static inline uint64_t shoal_queue_max_message(const struct shoal_queue *q) { return q->limit; }

/* shoal_queue_slots is how many messages the queue holds, those included that consumers
 * have in hand. */
static inline uint64_t shoal_queue_slots(const struct shoal_queue *q) { return q->count; }

/* -------------------------------------------------------------- Waking
 *
 * A message wakes one consumer, a free slot one producer, if any sleep. Who sleeps has
 * set the bit of the event count, looked, and found nothing. The bit stays as long as
 * the kernel finds somebody to wake: that one looks after our thing could be seen. If
 * it finds nobody, somebody may be on the way to sleep; then the word changes, and that
 * one does not.
 */

SHOAL_SLOW_ void shoal_queue_rouse_(struct shoal_queue *q, uint32_t *word)
{
	if (shoal_call_(SYS_futex, SHOAL_WORD_(word), SHOAL_FUTEX_WAKE_, 1, 0, 0, 0) <= 0)
		shoal_notify_(word);
	shoal_add64_(&q->row->wakes, 1);
	__atomic_store_n(&q->stamp, 1, __ATOMIC_RELAXED);
}

static inline void shoal_queue_wake_(struct shoal_queue *q, uint32_t *word)
{
	/* Pairs with the compare-and-swap of who goes to sleep: its next look sees what we
	 * have done, or this load sees its bit. */
	if ((shoal_load32_(word) & 1) != 0)
		shoal_queue_rouse_(q, word);
}

/* Wakes all who sleep, whether or not the word says that somebody does: the dead may
 * have changed it and woken nobody. */
static inline void shoal_notify_all_(uint32_t *word)
{
	uint32_t v;

	do
		v = shoal_load32_(word);
	while (!shoal_cas32_(word, v, (v | 1) + 1));
	shoal_wake_all_(word);
}

static inline bool shoal_queue_closing_(const struct shoal_queue *q)
{
	return __atomic_load_n(&q->closing, __ATOMIC_SEQ_CST) != 0;
}

/* Waits at an event count until ready says other than 0: 1, or an error. */
SHOAL_SLOW_ int shoal_queue_sleep_(struct shoal_queue *q, uint32_t *word, int64_t deadline,
                                   int (*ready)(struct shoal_queue *, struct shoal_queue_search_ *),
                                   struct shoal_queue_search_ *found)
{
	struct shoal_members *m = &q->object.members;
	struct shoal_sleeper_ z;
	uint32_t v;
	int err, last;

	shoal_sleeper_init_(&z, m, word, deadline, NULL);
	for (;;) {
		shoal_round_(&z);
		v = shoal_load32_(word);
		err = ready(q, found);
		if (err == 0 && (v & 1) == 0) {
			if (!shoal_cas32_(word, v, v | 1)) /* pairs with the loads of who wakes */
				continue;
			v |= 1;
			err = ready(q, found);
		}
		if (err != 0)
			break;
		if (shoal_leaving_(m) || shoal_queue_closing_(q)) {
			err = SHOAL_ECLOSED;
			break;
		}
		err = shoal_sleep_(&z, v);
		if (err == 0 && z.dozed && shoal_load32_(word) == v) {
			err = ready(q, found);
			if (err == 1) /* there, and nobody woke us: yet, or ever */
				shoal_confirm_lost_(&z, v);
			if (err != 0)
				break;
		}
		if (err < 0) {
			last = ready(q, found);
			err = last != 0 ? last : err;
			break;
		}
	}
	if (err < 0)
		shoal_wake_(word, 1); /* one that was meant for us may have come in the same moment */
	if (z.lost)
		shoal_add64_(&q->row->lost_wakes, 1);
	return err == 1 && shoal_queue_closing_(q) ? SHOAL_ECLOSED : err; /* close gives back what we have got */
}

/* -------------------------------------------------------------- Sending */

static inline void shoal_queue_was_full_(struct shoal_queue *q)
{
	shoal_add64_(&q->row->full, 1);
	shoal_raise64_(&q->control->high_water, q->count);
}

/* Whether some slots are free, where they most likely will be first. With one at a time,
 * consumer and producer would hinder each other at each. */
static inline bool shoal_queue_room_soon_(const void *argument)
{
	const struct shoal_queue *q = (const struct shoal_queue *)argument;
	uint64_t some = (q->count - 1) / 8 < 64 ? (q->count - 1) / 8 : 64;
	uint64_t w = shoal_load64_(&shoal_queue_slot_(q, shoal_load64_(&q->control->tail) + some)->state);

	return shoal_queue_kind_(w) == SHOAL_QUEUE_FREE || shoal_queue_closing_(q);
}

static inline int shoal_queue_room_(struct shoal_queue *q, struct shoal_queue_search_ *found)
{
	return shoal_queue_claim_any_(q, &found->position);
}

/* Waits for a free slot, and claims it. */
SHOAL_SLOW_ int shoal_queue_await_room_(struct shoal_queue *q, uint64_t *position, int64_t timeout)
{
	struct shoal_queue_search_ found = {0, 0, 0, 0};
	int64_t began = shoal_now_(), deadline = shoal_deadline_(timeout);
	int err = shoal_begin_(&q->object.members);

	if (err < 0)
		return err;
	shoal_queue_was_full_(q);
	/* A look at all slots costs as much as a short wait, so the wait comes first. */
	if (shoal_spin_(&q->sending, shoal_queue_room_soon_, q))
		err = shoal_queue_claim_(q, SHOAL_QUEUE_NEAR_, &found.position);
	if (err == 0)
		err = shoal_queue_sleep_(q, &q->control->space, deadline, shoal_queue_room_, &found);
	shoal_add64_(&q->row->send_blocked, (uint64_t)(shoal_now_() - began));
	*position = found.position;
	shoal_end_(&q->object.members);
	return err;
}

#define SHOAL_QUEUE_FULL_LOOKS_ 64 /* looks at a full queue for one at all slots: who gave one back may be stopped */

/* Claims a slot among all, without waiting: 1, or SHOAL_EBUSY. */
SHOAL_SLOW_ int shoal_queue_look_for_room_(struct shoal_queue *q, uint64_t *position)
{
	int r = 0;

	if ((shoal_load32_(&q->control->full) & SHOAL_QUEUE_FULL_ALL) == 0 ||
	    __atomic_add_fetch(&q->taken, 1, __ATOMIC_RELAXED) % SHOAL_QUEUE_FULL_LOOKS_ == 0)
		r = shoal_queue_claim_any_(q, position);
	if (r == 0 && shoal_settle_all_(&q->object.members))
		r = shoal_queue_claim_any_(q, position);
	if (r == 0)
		shoal_queue_was_full_(q);
	return r == 0 ? SHOAL_EBUSY : r;
}

/* Claims a slot for a message of n bytes: 0, or why not. */
static inline int shoal_queue_room_for_(struct shoal_queue *q, uint64_t n, int64_t timeout, uint64_t *position)
{
	int r;

	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	if (n > q->limit)
		return -EMSGSIZE;
	if (q->fixed != UINT64_MAX && n != q->fixed)
		return -EINVAL;
	r = shoal_queue_claim_(q, SHOAL_QUEUE_NEAR_, position);
	if (r == 0)
		r = timeout == 0 ? shoal_queue_look_for_room_(q, position)
		                 : shoal_queue_await_room_(q, position, timeout);
	return r < 0 ? r : 0;
}

#define SHOAL_QUEUE_STAMP_EVERY_ 509 /* messages for one with a stamp: a prime, so not always the same slot */

/* Stamps a message that is about to be published, and does what need not be done for
 * each. */
SHOAL_SLOW_ void shoal_queue_sample_(struct shoal_queue *q, uint64_t position)
{
	struct shoal_format_queue *c = q->control;
	uint64_t now = shoal_ring_now_(), head, used;

	__atomic_store_n(&q->stamp, 0, __ATOMIC_RELAXED);
	shoal_release64_(&shoal_queue_slot_(q, position)->stamp, now);
	shoal_store64_(&q->row->last_sent, now);
	head = shoal_load64_(&c->head);
	used = position + 1 - (head < position ? head : position);
	used = used < q->count ? used : q->count;
	if (used > shoal_load64_(&c->high_water))
		shoal_raise64_(&c->high_water, used);
	shoal_settle_all_(&q->object.members);
}

/* Publishes what has been claimed and filled, and wakes a consumer for it. */
static inline int shoal_queue_put_(struct shoal_queue *q, uint64_t position, uint64_t n)
{
	uint64_t flags = 0;
	int err;

	if (position % SHOAL_QUEUE_STAMP_EVERY_ == 0 || __atomic_load_n(&q->stamp, __ATOMIC_RELAXED) != 0) {
		shoal_queue_sample_(q, position);
		flags = SHOAL_QUEUE_STAMPED;
	}
	err = shoal_queue_publish_(q, position, n, flags);
	if (err == 0)
		shoal_queue_wake_(q, &q->control->items);
	return err;
}

/* Claims, fills and publishes. */
static inline int shoal_queue_send_one_(struct shoal_queue *q, const void *p, size_t n, int64_t timeout)
{
	uint64_t position = 0;
	int err = shoal_queue_room_for_(q, n, timeout, &position);

	if (err < 0)
		return err;
	if (n > 0)
		memcpy(shoal_queue_bytes_(q, position), p, n);
	SHOAL_STORED_();
	return shoal_queue_put_(q, position, n);
}

/* Counts messages that were sent. */
static inline void shoal_queue_sent_(struct shoal_queue *q, uint64_t count, uint64_t bytes)
{
	shoal_add64_(&q->row->sent, count);
	if (q->fixed == UINT64_MAX)
		shoal_add64_(&q->row->sent_bytes, bytes);
}

/* shoal_queue_send_for copies n bytes into the queue as one message. If all slots are in
 * use it waits so many nanoseconds for one, less than 0 for ever: then SHOAL_ETIMEDOUT
 * (with 0: SHOAL_EBUSY), and nothing has been sent. Other errors: -EMSGSIZE if it is
 * longer than shoal_queue_max_message, -EINVAL if its length is not that of the type,
 * SHOAL_ECORRUPT, SHOAL_ECLOSED, SHOAL_EFORK. Cost, with room: six locked instructions
 * and the copy. */
static inline int shoal_queue_send_for(struct shoal_queue *q, const void *p, size_t n, int64_t timeout)
{
	int err = shoal_queue_send_one_(q, p, n, timeout);

	if (err == 0)
		shoal_queue_sent_(q, 1, n);
	return err;
}

static inline int shoal_queue_send(struct shoal_queue *q, const void *p, size_t n)
{
	return shoal_queue_send_for(q, p, n, -1);
}

/* shoal_queue_trysend never waits: SHOAL_EBUSY if there is no room. Places of loans, and
 * of sends that are under way, count as taken. */
static inline int shoal_queue_trysend(struct shoal_queue *q, const void *p, size_t n)
{
	return shoal_queue_send_for(q, p, n, 0);
}

/* shoal_queue_send_batch sends count messages of n bytes each, which lie one behind the
 * other, and waits for room as shoal_queue_send_for. It says in *sent how many were
 * sent: fewer than all only with an error. */
static inline int shoal_queue_send_batch(struct shoal_queue *q, const void *p, size_t n, size_t count, size_t *sent,
                                         int64_t timeout)
{
	const unsigned char *from = (const unsigned char *)p;
	int64_t deadline = timeout > 0 ? shoal_deadline_(timeout) : 0, left = timeout;
	int err = 0;

	for (*sent = 0; *sent < count; ++*sent) {
		if (timeout > 0) {
			left = deadline - shoal_now_();
			left = left > 0 ? left : 0;
		}
		err = shoal_queue_send_one_(q, from + *sent * n, n, left);
		if (err < 0)
			break;
	}
	if (*sent > 0)
		shoal_queue_sent_(q, *sent, *sent * n);
	return err == SHOAL_EBUSY && timeout > 0 ? SHOAL_ETIMEDOUT : err;
}

/* shoal_queue_reserve lends a slot for a message of n bytes, which it waits for as
 * shoal_queue_send_for; what stands there is whatever stood there before. If the process
 * dies before shoal_queue_commit nothing has been sent. */
static inline int shoal_queue_reserve(struct shoal_queue *q, struct shoal_queue_loan *l, size_t n, int64_t timeout)
{
	int err = shoal_queue_room_for_(q, n, timeout, &l->number);

	l->data = err == 0 ? shoal_queue_bytes_(q, l->number) : NULL;
	l->size = err == 0 ? n : 0;
	return err;
}

/* Whether the loan is open; its state. */
static inline bool shoal_queue_lent_(const struct shoal_queue *q, const struct shoal_queue_loan *l, uint64_t *state)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, l->number);

	*state = shoal_load64_(&s->state);
	return l->data != NULL && shoal_queue_owned_(*state, q->self) &&
	       shoal_queue_kind_(*state) == SHOAL_QUEUE_CLAIMED && shoal_load64_(&s->position) == l->number;
}

/* shoal_queue_commit sends the first n bytes of what was reserved. SHOAL_ENOTOWNER if it
 * has been committed or cancelled; -EMSGSIZE if n is more, -EINVAL if it is not the
 * type's length: then the loan stays. */
static inline int shoal_queue_commit(struct shoal_queue *q, const struct shoal_queue_loan *l, size_t n)
{
	uint64_t state;
	int err;

	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	if (!shoal_queue_lent_(q, l, &state))
		return SHOAL_ENOTOWNER;
	if (n > l->size || n > q->limit)
		return -EMSGSIZE;
	if (q->fixed != UINT64_MAX && n != q->fixed)
		return -EINVAL;
	err = shoal_queue_put_(q, l->number, n);
	if (err == 0)
		shoal_queue_sent_(q, 1, n);
	return err;
}

/* Tells producers of a free slot. */
static inline void shoal_queue_freed_(struct shoal_queue *q)
{
	if ((shoal_load32_(&q->control->full) & (SHOAL_QUEUE_FULL_LOOKING | SHOAL_QUEUE_FULL_ALL)) != 0)
		shoal_queue_reopen_(q);
	shoal_queue_wake_(q, &q->control->space);
}

/* shoal_queue_cancel gives the slot back: nothing has been sent. SHOAL_ENOTOWNER after
 * commit. */
static inline int shoal_queue_cancel(struct shoal_queue *q, const struct shoal_queue_loan *l)
{
	uint64_t state;

	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	while (shoal_queue_lent_(q, l, &state))
		if (shoal_cas64_(&shoal_queue_slot_(q, l->number)->state, state, shoal_queue_free_(l->number + 1))) {
			shoal_queue_freed_(q);
			return 0;
		} /* else a consumer has passed it */
	return SHOAL_ENOTOWNER;
}

/* ------------------------------------------------------------- Receiving */

#define SHOAL_QUEUE_CLOCK_EVERY_ 16 /* messages for one look at the clock, while they come without a wait */
#define SHOAL_QUEUE_TRIES_ 4        /* times that others may be faster before a consumer sleeps */

SHOAL_SLOW_ void shoal_queue_time_(struct shoal_queue *q, uint32_t taken)
{
	__atomic_store_n(&q->clock, shoal_ring_now_(), __ATOMIC_RELAXED);
	if (taken % SHOAL_QUEUE_STAMP_EVERY_ < SHOAL_QUEUE_CLOCK_EVERY_)
		shoal_settle_all_(&q->object.members);
}

SHOAL_SLOW_ void shoal_queue_latency_(struct shoal_queue *q, const struct shoal_format_queue_slot *s)
{
	uint64_t stamp = shoal_load64_(&s->stamp), now = shoal_ring_now_();

	if (stamp != 0 && stamp <= now)
		shoal_add32_(&q->control->latency.buckets[shoal_latency_bucket_(now - stamp)], 1);
}

/* Makes what has been taken a message for the caller. */
static inline void shoal_queue_hand_(struct shoal_queue *q, const struct shoal_queue_search_ *f,
                                     struct shoal_queue_message *m)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, f->position);
	uint32_t taken;
	uint64_t meta;

	if ((f->state & SHOAL_QUEUE_STAMPED) != 0)
		shoal_queue_latency_(q, s);
	taken = __atomic_add_fetch(&q->taken, 1, __ATOMIC_RELAXED);
	if (taken % SHOAL_QUEUE_CLOCK_EVERY_ == 0)
		shoal_queue_time_(q, taken);
	shoal_release64_(&s->stamp, __atomic_load_n(&q->clock, __ATOMIC_RELAXED));
	meta = shoal_load64_(&s->meta);
	m->deliveries = (uint32_t)(meta >> 32);
	if (m->deliveries > 1)
		shoal_add64_(&q->row->redelivered, 1);
	m->data = shoal_queue_bytes_(q, f->position);
	m->size = (size_t)((uint32_t)meta < q->limit ? (uint32_t)meta : q->limit); /* it was right when we took it */
	m->number = f->position;
}

static inline uint64_t shoal_queue_first_(const struct shoal_queue *q)
{
	return shoal_queue_kind_(shoal_load64_(&shoal_queue_slot_(q, shoal_load64_(&q->control->head))->state));
}

/* Whether the slot at the head is one that a producer will use next, or uses, so far as
 * that can be seen there. Who waits for that does not look at the tail, which whoever
 * sends is about to raise. */
static inline bool shoal_queue_nothing_yet_(const struct shoal_queue *q)
{
	uint64_t kind = shoal_queue_first_(q);

	return (kind == SHOAL_QUEUE_FREE || kind == SHOAL_QUEUE_CLAIMED) &&
	       (shoal_load64_(&q->control->returned) & 1) == 0;
}

/* Whether there is a message where the next one is expected. */
static inline bool shoal_queue_message_soon_(const void *argument)
{
	const struct shoal_queue *q = (const struct shoal_queue *)argument;

	return shoal_queue_first_(q) == SHOAL_QUEUE_READY || (shoal_load64_(&q->control->returned) & 1) != 0 ||
	       shoal_queue_closing_(q);
}

/* Takes the first message, also if it comes a moment later; then it sleeps. */
SHOAL_SLOW_ int shoal_queue_await_message_(struct shoal_queue *q, struct shoal_queue_search_ *f, int64_t timeout)
{
	int64_t began, deadline = shoal_deadline_(timeout);
	uint64_t now;
	int err = shoal_begin_(&q->object.members), i;

	for (i = 0; err == 0 && i < SHOAL_QUEUE_TRIES_; i++) {
		if (shoal_queue_nothing_yet_(q) && !shoal_spin_(&q->receiving, shoal_queue_message_soon_, q))
			break;
		err = shoal_queue_take_(q, f);
	}
	if (err == 0) {
		began = shoal_now_();
		err = shoal_queue_sleep_(q, &q->control->items, deadline, shoal_queue_take_, f);
		shoal_add64_(&q->row->receive_blocked, (uint64_t)(shoal_now_() - began));
		now = shoal_ring_now_();
		__atomic_store_n(&q->clock, now, __ATOMIC_RELAXED);
		shoal_store64_(&q->row->last_received, now);
	}
	shoal_end_(&q->object.members);
	return err;
}

/* Looks once more, behind the dead. */
SHOAL_SLOW_ int shoal_queue_look_again_(struct shoal_queue *q, struct shoal_queue_search_ *f)
{
	int r = 0;

	__atomic_store_n(&q->clock, shoal_ring_now_(), __ATOMIC_RELAXED);
	if (shoal_settle_all_(&q->object.members))
		r = shoal_queue_take_(q, f);
	return r == 0 ? SHOAL_EBUSY : r;
}

/* shoal_queue_receive_for takes the first message: those that have been given back, then
 * the others in the order of sending. If there is none it waits so many nanoseconds,
 * less than 0 for ever: then SHOAL_ETIMEDOUT (with 0: SHOAL_EBUSY). Other errors:
 * SHOAL_ECORRUPT, SHOAL_ECLOSED, SHOAL_EFORK. Cost of it and shoal_queue_ack together,
 * with messages there: eight locked instructions. */
static inline int shoal_queue_receive_for(struct shoal_queue *q, struct shoal_queue_message *m, int64_t timeout)
{
	struct shoal_queue_search_ f;
	int r = 0;

	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	if (timeout == 0 || !shoal_queue_nothing_yet_(q))
		r = shoal_queue_take_(q, &f);
	if (r == 0)
		r = timeout == 0 ? shoal_queue_look_again_(q, &f) : shoal_queue_await_message_(q, &f, timeout);
	if (r < 0)
		return r;
	shoal_queue_hand_(q, &f, m);
	return 0;
}

static inline int shoal_queue_receive(struct shoal_queue *q, struct shoal_queue_message *m)
{
	return shoal_queue_receive_for(q, m, -1);
}

/* shoal_queue_tryreceive never waits: SHOAL_EBUSY if there is no message. */
static inline int shoal_queue_tryreceive(struct shoal_queue *q, struct shoal_queue_message *m)
{
	return shoal_queue_receive_for(q, m, 0);
}

/* shoal_queue_receive_batch waits for a message, as shoal_queue_receive_for does, and
 * takes as many as are there, at most count. It says in *received how many: at least
 * one, unless there is an error. Other consumers get none of them meanwhile, so take few
 * if each takes long. */
static inline int shoal_queue_receive_batch(struct shoal_queue *q, struct shoal_queue_message *ms, size_t count,
                                            size_t *received, int64_t timeout)
{
	struct shoal_queue_search_ f;
	int err;

	*received = 0;
	if (count == 0)
		return 0;
	err = shoal_queue_receive_for(q, &ms[0], timeout);
	if (err < 0)
		return err;
	for (*received = 1; *received < count && shoal_queue_take_(q, &f) == 1; ++*received) /* an error comes again */
		shoal_queue_hand_(q, &f, &ms[*received]);
	return 0;
}

/* Whether the message is still the caller's. */
static inline bool shoal_queue_held_(const struct shoal_queue *q, const struct shoal_queue_message *m)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, m->number);

	return shoal_load64_(&s->state) == (q->self | SHOAL_QUEUE_TAKEN) && shoal_load64_(&s->position) == m->number &&
	       (uint32_t)(shoal_load64_(&s->meta) >> 32) == m->deliveries;
}

/* Frees the slot of a message, and wakes a producer for it. */
static inline bool shoal_queue_ack_(struct shoal_queue *q, const struct shoal_queue_message *m)
{
	if (!shoal_queue_held_(q, m) || !shoal_cas64_(&shoal_queue_slot_(q, m->number)->state,
	                                              q->self | SHOAL_QUEUE_TAKEN, shoal_queue_free_(m->number + 1)))
		return false;
	shoal_queue_freed_(q);
	return true;
}

/* shoal_queue_ack ends the message: no consumer gets it any more, and its slot is free.
 * SHOAL_ENOTOWNER if it has been acknowledged or given back before. */
static inline int shoal_queue_ack(struct shoal_queue *q, const struct shoal_queue_message *m)
{
	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	if (!shoal_queue_ack_(q, m))
		return SHOAL_ENOTOWNER;
	shoal_add64_(&q->row->acked, 1);
	return 0;
}

/* shoal_queue_ack_batch acknowledges messages together, and says in *acked how many: all,
 * or those before one that is not held any more (SHOAL_ENOTOWNER). */
static inline int shoal_queue_ack_batch(struct shoal_queue *q, const struct shoal_queue_message *ms, size_t count,
                                        size_t *acked)
{
	*acked = 0;
	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	while (*acked < count && shoal_queue_ack_(q, &ms[*acked]))
		++*acked;
	if (*acked > 0)
		shoal_add64_(&q->row->acked, *acked);
	return *acked < count ? SHOAL_ENOTOWNER : 0;
}

/* shoal_queue_nack gives the message back: the next consumer that asks gets it, before
 * all that are newer, and that may be this one. SHOAL_ENOTOWNER as for shoal_queue_ack. */
static inline int shoal_queue_nack(struct shoal_queue *q, const struct shoal_queue_message *m)
{
	uint64_t ours = q->self | SHOAL_QUEUE_TAKEN, returning = ours | SHOAL_QUEUE_RETURNING;

	if (!shoal_here_(&q->object.members))
		return shoal_not_here_(&q->object.members);
	/* With the flag it is ours alone, whoever else calls. */
	if (!shoal_queue_held_(q, m) || !shoal_cas64_(&shoal_queue_slot_(q, m->number)->state, ours, returning))
		return SHOAL_ENOTOWNER;
	shoal_queue_give_back_(q, m->number, returning);
	shoal_queue_wake_(q, &q->control->items);
	shoal_add64_(&q->row->nacked, 1);
	return 0;
}

/* --------------------------------------------------------- Looking at it */

/* The state of a queue, and counters since it was made. They change meanwhile, and need
 * not agree with one another. */
struct shoal_queue_stats {
	struct shoal_stats members;
	uint64_t slots, max_message; /* of the queue; bytes */
	uint64_t free, claimed;      /* slots: unused; being filled */
	uint64_t ready, taken;       /* and with a message: to be had; in a consumer's hand */
	uint64_t sent, sent_bytes;   /* messages, and bytes of them */
	uint64_t received;           /* deliveries of messages */
	uint64_t acked, nacked;
	uint64_t redelivered;                    /* deliveries that were not the message's first */
	uint64_t full;                           /* times that there was no free slot for a message */
	uint64_t high_water;                     /* most slots in use, as seen now and then */
	uint64_t send_blocked, receive_blocked;  /* nanoseconds spent waiting: for room, and, asleep, for messages */
	uint64_t wakes;                          /* times that somebody who slept was woken */
	uint64_t lost_wakes;                     /* sleeps that ended by time although there was something to do */
	uint64_t returned, freed;                /* taken back from the dead: messages, and slots they were filling */
	uint64_t last_sent, last_received;       /* nanoseconds since 1970, of the last sample or sleep; 0: never */
	uint32_t latency[SHOAL_LATENCY_BUCKETS]; /* sampled; class 4*i+j begins at (4+j) * 2^(i+3) ns */
};

/* shoal_queue_stats reads the state and the counters. Cost: a look at every slot. */
static inline int shoal_queue_stats(struct shoal_queue *q, struct shoal_queue_stats *s)
{
	const struct shoal_format_queue_row *r;
	uint64_t i, t, *kinds[4];
	int err;

	memset(s, 0, sizeof *s);
	err = shoal_members_stats(&q->object.members, &s->members);
	if (err == 0)
		err = shoal_begin_(&q->object.members);
	if (err < 0)
		return err;
	s->slots = q->count;
	s->max_message = q->limit;
	t = shoal_load64_(&q->control->high_water);
	s->high_water = t < q->count ? t : q->count;
	for (r = q->rows; r < q->rows + q->object.slots; r++) {
		s->sent += shoal_load64_(&r->sent);
		s->sent_bytes += shoal_load64_(&r->sent_bytes);
		s->acked += shoal_load64_(&r->acked);
		s->nacked += shoal_load64_(&r->nacked);
		s->redelivered += shoal_load64_(&r->redelivered);
		s->full += shoal_load64_(&r->full);
		s->send_blocked += shoal_load64_(&r->send_blocked);
		s->receive_blocked += shoal_load64_(&r->receive_blocked);
		s->wakes += shoal_load64_(&r->wakes);
		s->lost_wakes += shoal_load64_(&r->lost_wakes);
		s->returned += shoal_load64_(&r->returned);
		s->freed += shoal_load64_(&r->freed);
		t = shoal_load64_(&r->last_sent);
		s->last_sent = t > s->last_sent ? t : s->last_sent;
		t = shoal_load64_(&r->last_received);
		s->last_received = t > s->last_received ? t : s->last_received;
	}
	if (q->fixed != UINT64_MAX)
		s->sent_bytes = s->sent * q->fixed;
	kinds[SHOAL_QUEUE_FREE] = &s->free;
	kinds[SHOAL_QUEUE_CLAIMED] = &s->claimed;
	kinds[SHOAL_QUEUE_READY] = &s->ready;
	kinds[SHOAL_QUEUE_TAKEN] = &s->taken;
	for (i = 0; i < q->count; i++)
		++*kinds[shoal_queue_kind_(shoal_load64_(&shoal_queue_slot_(q, i)->state))];
	s->received = s->acked + s->nacked + s->returned + s->taken;
	for (i = 0; i < SHOAL_LATENCY_BUCKETS; i++)
		s->latency[i] = shoal_load32_(&q->control->latency.buckets[i]);
	shoal_end_(&q->object.members);
	return 0;
}

/* What a process has in hand. */
struct shoal_queue_holding {
	uint32_t pid; /* in its own pid namespace; 0: its slot has another member by now */
	bool alive;   /* else it has died, and nobody has taken the slot back yet */
	bool taken;   /* a consumer has a message; else a producer fills the slot, and the rest is zero */
	uint64_t number;
	uint32_t deliveries;
	uint64_t since; /* nanoseconds since 1970, to within 16 messages of its process */
};

/* shoal_queue_holding says who has a slot in hand, of shoal_queue_slots: 1, or 0 if
 * nobody has; -EINVAL if there is no such slot. Cost: a system call for 1. */
static inline int shoal_queue_holding(struct shoal_queue *q, uint64_t slot, struct shoal_queue_holding *h)
{
	struct shoal_members *m = &q->object.members;
	struct shoal_format_queue_slot *s;
	uint64_t w, meta;
	uint32_t i;
	int err;

	memset(h, 0, sizeof *h);
	err = slot < q->count ? shoal_begin_(m) : -EINVAL;
	if (err < 0)
		return err;
	s = shoal_queue_slot_(q, slot);
	w = shoal_load64_(&s->state);
	err = (w & 1) != 0;
	if (err == 1 && shoal_current_(m, shoal_owner_of_(w)) == 1) {
		i = (uint32_t)shoal_owner_slot_(shoal_owner_of_(w));
		h->pid = shoal_load32_(&m->slots[i].pid);
		h->alive = i == m->slot || shoal_byte_taken_(m->lock_fd, shoal_lock_at_(m, i));
	}
	if (shoal_queue_kind_(w) == SHOAL_QUEUE_TAKEN) {
		meta = shoal_load64_(&s->meta);
		h->taken = true;
		h->number = shoal_load64_(&s->position);
		h->deliveries = (uint32_t)(meta >> 32);
		h->since = shoal_load64_(&s->stamp);
	}
	shoal_end_(m);
	return err;
}

/* Says what is wrong with a slot, of which w and meta have been read. */
static inline int shoal_queue_check_state_(struct shoal_queue *q, uint64_t i, uint64_t w, uint64_t meta)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, i);
	uint64_t at = shoal_load64_(&s->position), mask = q->count - 1, p = shoal_queue_at_(w), tail, head;
	const uint64_t known = SHOAL_QUEUE_KIND, other = 0xff;
	int current;

	tail = shoal_load64_(&q->control->tail);
	if (shoal_queue_kind_(w) == SHOAL_QUEUE_FREE) {
		/* Tail is raised before a position stands in its slot. */
		if (w != 0 && ((w & other & ~known) != 0 || ((p - 1) & mask) != i || p > tail))
			return shoal_queue_corrupt_(q, i, "state %#llx is that of no free slot", (unsigned long long)w);
		return 0;
	}
	if (shoal_queue_kind_(w) == SHOAL_QUEUE_READY) {
		if ((w & other & ~(known | SHOAL_QUEUE_MARKED | SHOAL_QUEUE_STAMPED)) != 0 || (p & mask) != i ||
		    p != at || p >= tail)
			return shoal_queue_corrupt_(q, i, "state %#llx is that of no message, with position %llu",
			                            (unsigned long long)w, (unsigned long long)at);
		if (!shoal_queue_fits_(q, meta))
			return shoal_queue_misfit_(q, p, meta);
		head = shoal_load64_(&q->control->head);
		if ((w & SHOAL_QUEUE_MARKED) == 0 && p < head)
			return shoal_queue_corrupt_(q, i,
			                            "message %llu stands unmarked behind the head, which is at %llu",
			                            (unsigned long long)p, (unsigned long long)head);
		if ((w & SHOAL_QUEUE_MARKED) != 0 &&
		    (!shoal_queue_marked_(q, i) || (shoal_load64_(&q->control->returned) & 1) == 0))
			return shoal_queue_corrupt_(q, i,
			                            "message %llu, which has been returned, is not found by its mark",
			                            (unsigned long long)p);
		return 0;
	}
	current = (w & 0xffff & ~(known | SHOAL_QUEUE_PASSED)) != 0
	                ? SHOAL_ECORRUPT
	                : shoal_current_(&q->object.members, shoal_owner_of_(w));
	if (current < 0)
		return shoal_queue_corrupt_(q, i, "state %#llx names no owner", (unsigned long long)w);
	if (current == 0)
		return shoal_queue_corrupt_(
			q, i, "state %#llx is that of somebody who has gone, and nobody has taken it back",
			(unsigned long long)w);
	if (shoal_queue_kind_(w) == SHOAL_QUEUE_TAKEN && ((at & mask) != i || at >= tail))
		return shoal_queue_corrupt_(q, i, "message of position %llu is taken", (unsigned long long)at);
	return 0;
}

/* Looks at a slot until it has stood still meanwhile, or nothing is wrong. One that
 * always changes is at work. */
static inline int shoal_queue_check_slot_(struct shoal_queue *q, uint64_t i)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, i);
	uint64_t w, meta;
	int round, err;

	for (round = 0; round < 100; round++) {
		w = shoal_load64_(&s->state);
		meta = shoal_load64_(&s->meta);
		err = shoal_queue_check_state_(q, i, w, meta);
		if (err == 0 || (shoal_load64_(&s->state) == w && shoal_load64_(&s->meta) == meta))
			return err;
	}
	return 0;
}

static inline int shoal_queue_check_(struct shoal_queue *q)
{
	uint64_t head = shoal_load64_(&q->control->head), tail = shoal_load64_(&q->control->tail), i;
	int err = 0;

	if (head > tail)
		err = shoal_queue_impossible_(q, 2 * SHOAL_LINE, "behind the tail", head, tail);
	for (i = 0; err == 0 && i < q->count; i++)
		err = shoal_queue_check_slot_(q, i);
	return err;
}

/* shoal_queue_check returns SHOAL_ECORRUPT for what no sequence of operations and deaths
 * leads to; shoal_queue_why says what it has found first. It changes nothing, and may be
 * called while the queue is in use. Cost: a look at every slot. */
static inline int shoal_queue_check(struct shoal_queue *q)
{
	int err = shoal_begin_(&q->object.members);

	if (err < 0)
		return err;
	err = shoal_queue_check_(q);
	shoal_end_(&q->object.members);
	return err;
}

/* The state of a free slot that nothing is known of: for the first of its positions that
 * is not below the tail, so that none comes twice. */
static inline uint64_t shoal_queue_free_again_(struct shoal_queue *q, uint64_t i)
{
	uint64_t tail = shoal_load64_(&q->control->tail), position = tail + ((i - tail) & (q->count - 1));

	shoal_release64_(&shoal_queue_slot_(q, i)->position, position - q->count);
	return shoal_queue_free_(position - q->count + 1);
}

/* Makes good what is wrong with a slot: 1 if something was. Nobody else does. */
static inline int shoal_queue_mend_(struct shoal_queue *q, uint64_t i)
{
	struct shoal_format_queue_slot *s = shoal_queue_slot_(q, i);
	uint64_t w = shoal_load64_(&s->state), ours = q->self | SHOAL_QUEUE_CLAIMED, position, again;

	switch (shoal_queue_kind_(w)) {
	case SHOAL_QUEUE_FREE:
		/* A mark belongs to who has the slot: take it first. */
		if ((!shoal_queue_marked_(q, i) && shoal_queue_check_slot_(q, i) == 0) ||
		    !shoal_cas64_(&s->state, w, ours))
			return 0;
		shoal_queue_unmark_(q, i);
		again = shoal_queue_free_again_(q, i);
		if (!shoal_cas64_(&s->state, ours, again))
			shoal_cas64_(&s->state, ours | SHOAL_QUEUE_PASSED, again);
		shoal_queue_freed_(q);
		return 1;
	case SHOAL_QUEUE_READY:
		ours = q->self | SHOAL_QUEUE_TAKEN;
		if (shoal_queue_check_slot_(q, i) == 0 || !shoal_cas64_(&s->state, w, ours))
			return 0; /* sound, or not any more what it was */
		position = shoal_load64_(&s->position);
		if (shoal_queue_fits_(q, shoal_load64_(&s->meta)) && (position & (q->count - 1)) == i &&
		    position < shoal_load64_(&q->control->tail)) {
			shoal_queue_give_back_(q, position, ours);
		} else {
			shoal_queue_unmark_(q, i);
			shoal_cas64_(&s->state, ours, shoal_queue_free_again_(q, i));
			shoal_queue_freed_(q);
		}
		shoal_add64_(&q->row->returned, 1);
		return 1;
	}
	if ((w & 0xff00) == 0 && shoal_current_(&q->object.members, shoal_owner_of_(w)) == 1)
		return 0;
	shoal_queue_take_back_(q, i, w, q->row);
	return 1;
}

static inline uint64_t shoal_queue_taken_back_(const struct shoal_queue *q)
{
	const struct shoal_format_queue_row *r;
	uint64_t n = 0;

	for (r = q->rows; r < q->rows + q->object.slots; r++)
		n += shoal_load64_(&r->returned) + shoal_load64_(&r->freed);
	return n;
}

/* shoal_queue_repair takes back what the dead have left, which nobody need wait for: who
 * waits, and who finds the queue empty or full, does the same. It also makes good what
 * shoal_queue_check finds in the slots, as after a fault of memory or of a program: a
 * message that nobody would find is returned, and one that cannot be right is dropped.
 * It returns how many slots it has changed, or what shoal_queue_check says then. */
static inline int shoal_queue_repair(struct shoal_queue *q)
{
	struct shoal_members *m = &q->object.members;
	uint64_t before, i;
	int err = shoal_begin_(m), n = 0;

	if (err < 0)
		return err;
	before = shoal_queue_taken_back_(q);
	shoal_settle_all_(m);
	n = (int)(shoal_queue_taken_back_(q) - before);
	err = shoal_exclusive_enter_(m);
	if (err == 0) {
		for (i = 0; i < q->count; i++)
			n += shoal_queue_mend_(q, i);
		shoal_exclusive_leave_(m);
	}
	shoal_notify_all_(&q->control->items);
	shoal_notify_all_(&q->control->space);
	if (err == 0)
		err = shoal_queue_check_(q);
	shoal_end_(m);
	return err < 0 ? err : n;
}

/* Gives back all that this process has. Nobody else in it is at work. */
static inline void shoal_queue_give_up_(struct shoal_queue *q)
{
	struct shoal_format_queue_slot *s;
	uint64_t i, w, position;

	for (i = 0; i < q->count; i++) {
		s = shoal_queue_slot_(q, i);
		while (shoal_queue_owned_(w = shoal_load64_(&s->state), q->self) &&
		       shoal_queue_kind_(w) == SHOAL_QUEUE_CLAIMED)
			if (shoal_cas64_(&s->state, w, shoal_queue_free_(shoal_load64_(&s->position) + 1)))
				shoal_queue_reopen_(q); /* else a consumer has passed it */
		position = shoal_load64_(&s->position);
		/* What is damaged is left over, and taken back as from the dead. */
		if (shoal_queue_owned_(w, q->self) && (position & (q->count - 1)) == i) {
			shoal_add64_(&q->row->nacked, 1);
			shoal_queue_give_back_(q, position, w);
		}
	}
}

/* shoal_queue_close ends the use of the queue in this process: see shoal_close. Threads
 * that wait return SHOAL_ECLOSED first. Messages that have been received and not
 * acknowledged go back to the others, and open loans are cancelled: neither must be
 * touched any more. The queue stays, with all that is in it. */
static inline void shoal_queue_close(struct shoal_queue *q)
{
	struct shoal_members *m = &q->object.members;

	if (shoal_here_(m)) {
		/* Pairs with the looks of who waits, who has counted itself as busy before. */
		__atomic_store_n(&q->closing, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&m->busy, __ATOMIC_SEQ_CST) > 0) {
			shoal_wake_all_(&m->head->changes);
			shoal_nap_(100000);
		}
		shoal_queue_give_up_(q);
		/* Wake-ups that were meant for us are for the others. */
		shoal_notify_all_(&q->control->items);
		shoal_notify_all_(&q->control->space);
	}
	shoal_close(&q->object);
}

/* ================================================================ Topic ==
 *
 * Publish and subscribe: every record of every publisher goes to every subscriber.
 * Each publisher appends to a lane of its own, as the writer of a ring does; each
 * subscriber has a cursor in every lane, and one word, its place, which says whose it
 * is and what publishers make of it:
 *
 *	                      +----- dropped, by a publisher -----+
 *	                      |                                   v
 *	free --> joining --> reliable                           lossy --> free
 *	            |            ^                                ^
 *	            +------------+------- subscribed so ----------+
 *
 *	with a name:  its process's <--> nobody's --> free, by forget
 *
 * A reliable subscriber reads in place, and publishers do not overwrite what it has
 * not released: each knows a gate, a lane's size behind the slowest cursor, and looks
 * at the cursors again when it gets there. A lossy one copies a record, and then looks
 * at the lane's claim, which publishers raise before they overwrite: if the record lay
 * below, the copy is worthless, and it goes on with a newer one, whose number says how
 * many it has missed.
 *
 * A subscriber joins by storing its cursor, then its place, then joins, and then looks
 * at the claim. A publisher raises its claim, then looks at joins. All are sequentially
 * consistent, so one of the two sees the other: the subscriber takes a newer cursor, or
 * the publisher does not use what it has claimed.
 *
 * Whatever is decided about a subscription is decided by one compare-and-swap of its
 * place. So at any store a process may die: a lane has an owner who has gone, a place
 * is void, a record is there or is not, and whoever needs the thing takes it.
 */

/* How a topic is made. NULL or zeros are good defaults. */
struct shoal_topic_options {
	uint32_t publishers;   /* at a time: 1 to SHOAL_TOPIC_PUBLISHERS_MAX; 0: SHOAL_TOPIC_PUBLISHERS_DEFAULT */
	uint32_t subscribers;  /* 1 to SHOAL_TOPIC_SUBSCRIBERS_MAX; 0: SHOAL_TOPIC_SUBSCRIBERS_DEFAULT */
	uint64_t lane_size;    /* bytes for each publisher: a power of two, SHOAL_RING_SIZE_MIN to _MAX;
	                        * 0: SHOAL_TOPIC_LANE_SIZE_DEFAULT. It is how far a subscriber may fall behind */
	uint32_t policy;       /* SHOAL_TOPIC_WAIT, _REFUSE or _DROP */
	unsigned mode;         /* 0: 0600. Who takes part needs to read and write */
	const uint32_t *group; /* NULL: the creator's */
	const char *schema;    /* text of the type of the records; NULL: none, and opens any */
};

struct shoal_topic_publisher;
struct shoal_topic_subscriber;

/* An open topic. Its own functions may be called by any thread. */
struct shoal_topic {
	struct shoal object;
	struct shoal_format_topic *head;
	struct shoal_format_lane *control; /* of all lanes */
	uint64_t *places;
	struct shoal_format_subscriber *rows;
	struct shoal_format_cursor *cursors; /* those of lane 0 first */
	unsigned char *data;
	uint64_t lane_size;
	uint64_t limit; /* length of a record at most */
	uint64_t fixed; /* exactly; UINT64_MAX if each has its own */
	uint32_t lanes, count, policy; /* count: of places */
	uint32_t closing;
	uint32_t gate; /* for the lists of what is open here */
	struct shoal_topic_publisher *publishers;
	struct shoal_topic_subscriber *subscribers;
};

/* One lane of it. */
struct shoal_lane_ {
	struct shoal_members *members;
	struct shoal_format_lane *control;
	unsigned char *data;
	uint64_t size, limit;
	uint32_t number;
};

/* What its publisher knows: as the writer of a ring. */
struct shoal_lane_writer_ {
	struct shoal_lane_ lane;
	uint64_t position, limit, mark, stamp;
	uint64_t first, header; /* the run that is not committed; header 0: there is none */
	uint64_t added, length, stamped, messages, bytes;
};

/* A publisher. It serves one thread at a time. */
struct shoal_topic_publisher {
	struct shoal_topic *topic;
	struct shoal_topic_publisher *newer, *older;
	bool open, lent;
	uint32_t closing;
	int32_t busy;
	uint64_t loan; /* bytes that were reserved */
	struct shoal_lane_writer_ writer;
	struct shoal_format_cursor *cursors; /* of all subscribers in its lane */
	uint64_t gate;                       /* a lane's size behind the slowest of them, when it looked */
	uint64_t joins;                      /* how many had joined before it looked */
	struct shoal_spinner_ spin;
	uint64_t need, want; /* while it waits */
	int room;            /* what the last look has found */
};

/* A subscriber's end of one lane: in place, or copying. */
struct shoal_topic_source_ {
	struct shoal_lane_ lane;
	struct shoal_format_cursor *cursor;
	bool copies, unsaid;     /* unsaid: something was read that has not been released */
	uint64_t position, next; /* of the next record; behind the one that was peeked at */
	uint64_t said;           /* what the cursor says */
	uint64_t told, sampled, length, number, messages, bytes;
	uint64_t missed; /* that have not been told yet */
};

/* Which record something was. */
struct shoal_topic_info {
	uint32_t publisher; /* number of its lane */
	uint64_t number;    /* in the lane, from 0 when the topic was made */
};

/* A subscriber. It serves one thread at a time. */
struct shoal_topic_subscriber {
	struct shoal_topic *topic;
	struct shoal_topic_subscriber *newer, *older;
	bool open;
	bool watched; /* it is reliable, and may be dropped */
	bool held;    /* there is a record at hand */
	uint32_t closing;
	int32_t busy;
	uint32_t place;
	uint64_t word; /* of the place */
	struct shoal_format_subscriber *row;
	struct shoal_topic_source_ *sources; /* by lane */
	uint64_t *copy;
	uint32_t at;   /* lane of which the record at hand is, or will be next */
	int32_t left;  /* records until it is another lane's turn */
	uint64_t missed, taken;
	struct shoal_topic_info last;
	struct shoal_pacer_ pacer;
};

/* How to subscribe. NULL or zeros: reliable, from now on, without a name. */
struct shoal_topic_subscribe_options {
	bool lossy;       /* publishers do not wait for it: see SHOAL_EMISSED */
	bool oldest;      /* begins with the oldest record that is still there, not with the next */
	uint64_t history; /* if not 0: with so many of each publisher, of those still there */
	const char *name; /* 1 to 16 bytes: it outlives its process, and whoever subscribes by that
	                   * name goes on behind the last record that was released. NULL: none */
};

/* ------------------------------------------------------------- The lane */

static inline uint64_t *shoal_lane_word_(const struct shoal_lane_ *l, uint64_t position)
{
	return (uint64_t *)(void *)(l->data + (position & (l->size - 1)));
}

/* Keeps loads before it from being done after those behind it: on arm64 an atomic load
 * does not. Not a fence of the language: the thread sanitizer knows none. */
static inline void shoal_load_fence_(void)
{
#ifdef __aarch64__
	__asm__ __volatile__("dmb ishld" ::: "memory");
#else
	__asm__ __volatile__("" ::: "memory");
#endif
}

/* What follows reads what may be overwritten meanwhile, and asks afterwards whether it
 * was. The thread sanitizer must not look: it would find that, and be right. */
#define SHOAL_RACY_ __attribute__((unused, no_sanitize("thread"))) static

/* The word at a position, before all that is read after it. */
SHOAL_RACY_ inline uint64_t shoal_lane_glance_(const struct shoal_lane_ *l, uint64_t position)
{
	uint64_t x = *(const volatile uint64_t *)shoal_lane_word_(l, position);

	shoal_load_fence_();
	return x;
}

/* Whole words, whatever the compiler thinks. */
SHOAL_RACY_ void shoal_lane_copy_(const struct shoal_lane_ *l, uint64_t position, uint64_t *to, uint64_t n)
{
	const volatile uint64_t *words = shoal_lane_word_(l, position);
	uint64_t i;

	for (i = 0; i < n; i++)
		to[i] = words[i];
}

/* Bounds the header at a position; 0 is the end, and is not asked about here. */
static inline int shoal_lane_parse_(const struct shoal_lane_ *l, uint64_t position, uint64_t header,
                                    struct shoal_record_ *p)
{
	const uint64_t known = SHOAL_RECORD_THERE | SHOAL_RECORD_PAD | SHOAL_RECORD_STAMP | SHOAL_RECORD_LENGTH;
	uint64_t rest = l->size - (position & (l->size - 1)), size;

	p->length = header & SHOAL_RECORD_LENGTH;
	p->pad = (header & SHOAL_RECORD_PAD) != 0;
	p->stamp = (header & SHOAL_RECORD_STAMP) != 0;
	size = shoal_record_size_(p->length) + (p->stamp ? SHOAL_RECORD_STAMP_SIZE : 0);
	p->next = position + (p->pad ? rest : size);
	if ((header & SHOAL_RECORD_THERE) != 0 && (header & ~known) == 0) {
		if (p->pad && !p->stamp && p->length == rest - SHOAL_RECORD_HEADER && rest < l->size / 2)
			return 0;
		if (!p->pad && p->length <= l->limit && size <= rest)
			return 0;
	}
	return shoal_because_(l->members, SHOAL_ECORRUPT, "at offset %llu of lane %u (position %llu): header %#llx",
	                      (unsigned long long)(position & (l->size - 1)), l->number, (unsigned long long)position,
	                      (unsigned long long)header);
}

/* Whether nothing from a position on has been claimed for overwriting. Asked after
 * something was read, and a fence, it says that it was read whole. */
static inline bool shoal_lane_intact_(const struct shoal_lane_ *l, uint64_t position)
{
	/* Pairs with the store in shoal_lane_claim_, which comes before the overwriting. */
	return shoal_load64_(&l->control->claim) <= position + l->size;
}

/* Reads mark k, one of the last 15: 1, or 0 if it may be changing. */
static inline int shoal_lane_mark_(const struct shoal_lane_ *l, uint64_t k, struct shoal_format_mark *m)
{
	struct shoal_format_mark *at = &l->control->marks[k % SHOAL_MARKS];

	m->position = shoal_load64_(&at->position);
	m->number = shoal_load64_(&at->number);
	/* Pairs with the last store in shoal_lane_publish_: the mark was whole. */
	if (shoal_load64_(&l->control->marked) - k > SHOAL_MARKS - 2)
		return 0;
	if (m->position % 8 != 0)
		return shoal_because_(l->members, SHOAL_ECORRUPT,
		                      "mark %llu of lane %u at position %llu, which is not a multiple of 8",
		                      (unsigned long long)k, l->number, (unsigned long long)m->position);
	return 1;
}

static inline int shoal_lane_last_mark_(const struct shoal_lane_ *l, struct shoal_format_mark *m)
{
	int r;

	do
		r = shoal_lane_mark_(l, shoal_load64_(&l->control->marked), m);
	while (r == 0);
	return r < 0 ? r : 0;
}

/* The oldest mark from which the lane can be read: who does looks at the claim again. */
SHOAL_SLOW_ int shoal_lane_first_mark_(const struct shoal_lane_ *l, struct shoal_format_mark *m)
{
	uint64_t last, k;
	int r;

	for (;;) {
		last = shoal_load64_(&l->control->marked);
		for (k = last - (last < SHOAL_MARKS - 2 ? last : SHOAL_MARKS - 2);; k++) {
			r = shoal_lane_mark_(l, k, m);
			if (r < 0)
				return r;
			if (r == 0)
				break; /* overtaken: begin again */
			if (shoal_lane_intact_(l, m->position))
				return 0;
			if (k != last)
				continue;
			/* A publisher claims no more than a lane's size behind its last mark, so
			 * there is a newer one. */
			if (shoal_load64_(&l->control->marked) == last)
				return shoal_because_(l->members, SHOAL_ECORRUPT,
				                      "lane %u: claimed %llu, more than %llu bytes behind its last mark %llu", l->number,
				                      (unsigned long long)shoal_load64_(&l->control->claim),
				                      (unsigned long long)l->size, (unsigned long long)m->position);
			break;
		}
	}
}

/* A mark some way behind the publisher, but not so far that it is overwritten next. */
SHOAL_SLOW_ int shoal_lane_recent_mark_(const struct shoal_lane_ *l, struct shoal_format_mark *m)
{
	uint64_t last = shoal_load64_(&l->control->marked);
	int r = shoal_lane_mark_(l, last - (last < 3 ? last : 3), m);

	if (r < 0 || (r == 1 && shoal_lane_intact_(l, m->position)))
		return r < 0 ? r : 0;
	return shoal_lane_first_mark_(l, m);
}

/* Walks on from a mark: by n records, to a position, or to the end, whichever comes
 * first; never further than a lane. */
SHOAL_SLOW_ int shoal_lane_walk_(const struct shoal_lane_ *l, struct shoal_format_mark from, uint64_t n, uint64_t to,
                                 struct shoal_format_mark *at)
{
	struct shoal_record_ record;
	uint64_t header;
	int err;

	*at = from;
	if (from.position % 8 != 0)
		return shoal_because_(l->members, SHOAL_ECORRUPT, "lane %u: position %llu, which is not a multiple of 8",
		                      l->number, (unsigned long long)from.position);
	while (at->number - from.number != n && at->position < to) {
		header = shoal_lane_glance_(l, at->position); /* pairs with the store in shoal_lane_commit_ */
		if (header == 0)
			break;
		err = shoal_lane_parse_(l, at->position, header, &record);
		if (err < 0)
			return err;
		at->position = record.next;
		if (at->position - from.position > l->size)
			return shoal_because_(l->members, SHOAL_ECORRUPT, "lane %u: no end within %llu bytes of position %llu",
			                      l->number, (unsigned long long)l->size, (unsigned long long)from.position);
		at->number += !record.pad;
	}
	return 0;
}

/* The number of the record that begins at a position, or will begin, behind which
 * nothing is overwritten meanwhile: counted from the last mark, if that is before it,
 * or up to the next one. */
SHOAL_SLOW_ int shoal_lane_number_of_(const struct shoal_lane_ *l, uint64_t position, uint64_t *number)
{
	struct shoal_format_mark m, at, here;
	uint64_t last, k, end;
	int r;

	here.position = position;
	here.number = 0;
	for (;;) {
		last = shoal_load64_(&l->control->marked);
		for (k = last - (last < SHOAL_MARKS - 2 ? last : SHOAL_MARKS - 2);; k++) {
			r = shoal_lane_mark_(l, k, &m);
			if (r < 0)
				return r;
			if (r == 0)
				break; /* the marks have moved on: begin again */
			if (m.position < position && k != last)
				continue;
			end = m.position < position ? position : m.position;
			r = shoal_lane_walk_(l, m.position < position ? m : here, UINT64_MAX, end, &at);
			if (r < 0)
				return r;
			if (at.position != end)
				return shoal_because_(l->members, SHOAL_ECORRUPT,
				                      "lane %u: no record begins at position %llu, nor does the lane end there",
				                      l->number, (unsigned long long)position);
			*number = m.position < position ? at.number : m.number - at.number;
			return 0;
		}
	}
}

/* Takes the lane over, after its last publisher has gone: finds the end of what that
 * one committed. */
static inline int shoal_lane_take_over_(struct shoal_lane_writer_ *w, struct shoal_lane_ lane)
{
	struct shoal_format_mark last, end;
	int err;

	memset(w, 0, sizeof *w);
	w->lane = lane;
	err = shoal_lane_last_mark_(&w->lane, &last);
	if (err == 0)
		err = shoal_lane_walk_(&w->lane, last, UINT64_MAX, UINT64_MAX, &end);
	if (err < 0)
		return err;
	w->mark = last.position;
	w->position = end.position;
	w->messages = w->stamped = end.number;
	w->stamp = SHOAL_RECORD_STAMP_SIZE;
	w->bytes = shoal_load64_(&lane.control->bytes);
	shoal_store64_(&lane.control->messages, w->messages);
	return 0;
}

/* Where the run begins, or will begin: all before can be read. */
static inline uint64_t shoal_lane_committed_(const struct shoal_lane_writer_ *w)
{
	return w->header != 0 ? w->first : w->position;
}

/* Marks the end of what has been committed: for the next publisher, and for those who
 * join late. The mark that is being written is none before the last store. */
static inline void shoal_lane_publish_(struct shoal_lane_writer_ *w)
{
	struct shoal_format_lane *c = w->lane.control;
	uint64_t k = shoal_load64_(&c->marked) + 1;

	w->mark = shoal_lane_committed_(w);
	shoal_store64_(&c->marks[k % SHOAL_MARKS].position, w->mark);
	shoal_store64_(&c->marks[k % SHOAL_MARKS].number, w->messages);
	shoal_store64_(&c->marked, k); /* pairs with the loads in shoal_lane_mark_ */
	shoal_release64_(&c->active, shoal_ring_now_());
}

/* Lets the publisher go on up to a lane's size behind a position that is at most what
 * has been committed, if that is as far as need, or nearly so. No run is open. */
static inline void shoal_lane_claim_(struct shoal_lane_writer_ *w, uint64_t slowest, uint64_t need)
{
	struct shoal_format_lane *c = w->lane.control;
	uint64_t size = w->lane.size, limit = slowest + size, claim;

	/* The next publisher begins at the last mark: nothing may reach round to it. Marks
	 * are rare, and so that they stay so we rather do without the last eighth. */
	if (limit - w->mark > size) {
		if (w->mark + size < need && need <= limit)
			shoal_lane_publish_(w);
		if (limit > w->mark + size)
			limit = w->mark + size;
	}
	if (limit <= w->limit)
		return;
	w->limit = limit;
	claim = shoal_load64_(&c->claim);
	/* Before the overwriting: pairs with the load in shoal_lane_intact_. It never goes
	 * back: the last publisher may have died in a longer record than ours. On arm64 the
	 * load of joins, which follows, keeps back the plain stores of the payload. */
	shoal_store64_(&c->claim, limit > claim ? limit : claim);
}

/* The position that the limit must reach for n bytes. */
static inline uint64_t shoal_lane_needs_(const struct shoal_lane_writer_ *w, uint64_t n)
{
	uint64_t size = shoal_record_size_(n) + w->stamp, rest = w->lane.size - (w->position & (w->lane.size - 1));

	if (size > rest)
		size += rest; /* the rest becomes a pad */
	return w->position + size + SHOAL_RECORD_HEADER;
}

/* Puts a header at the end of the run: the first one is stored by commit. */
static inline void shoal_lane_add_(struct shoal_lane_writer_ *w, uint64_t header, uint64_t size)
{
	if (w->header == 0) {
		w->first = w->position;
		w->header = header;
	} else {
		shoal_release64_(shoal_lane_word_(&w->lane, w->position), header);
	}
	w->position += size;
}

/* The place for n bytes, or NULL if there is no room below the limit. */
static inline unsigned char *shoal_lane_reserve_(struct shoal_lane_writer_ *w, uint64_t n)
{
	uint64_t rest = w->lane.size - (w->position & (w->lane.size - 1));

	if (shoal_lane_needs_(w, n) > w->limit)
		return NULL;
	if (shoal_record_size_(n) + w->stamp > rest)
		shoal_lane_add_(w, SHOAL_RECORD_THERE | SHOAL_RECORD_PAD | (rest - SHOAL_RECORD_HEADER), rest);
	return (unsigned char *)shoal_lane_word_(&w->lane, w->position) + SHOAL_RECORD_HEADER;
}

/* Puts the reserved record, n bytes of it, into the run. */
static inline void shoal_lane_put_(struct shoal_lane_writer_ *w, uint64_t n)
{
	uint64_t size = shoal_record_size_(n);

	if (w->stamp != 0) {
		shoal_release64_(shoal_lane_word_(&w->lane, w->position + size), shoal_ring_now_());
		shoal_lane_add_(w, SHOAL_RECORD_THERE | SHOAL_RECORD_STAMP | n, size + SHOAL_RECORD_STAMP_SIZE);
		w->stamp = 0;
		w->stamped = w->messages;
	} else
		shoal_lane_add_(w, SHOAL_RECORD_THERE | n, size);
	w->added++;
	w->length += n;
}

static inline void shoal_lane_take_back_(struct shoal_lane_writer_ *w)
{
	if (w->header != 0)
		w->position = w->first;
	w->header = w->added = w->length = 0;
}

/* Writers wake so many sleepers themselves: more than one, so that the others do not
 * depend on one process that may be stopped. */
#define SHOAL_FEW_ 8

/* Wakes a few of those who sleep at data, who wake the others: rest says that this is
 * still to be done, by the number that data had. It is stored when data has moved: then
 * all who slept on the old number are in the kernel's queue, and a later wake-up finds
 * them. If we die before, or all of the few do, everybody hears of the death. */
SHOAL_SLOW_ void shoal_lane_wake_few_(struct shoal_lane_writer_ *w, struct shoal_format_topic *head)
{
	uint32_t v = shoal_load32_(&head->data); /* pairs with the compare-and-swap of who goes to sleep */

	if ((v & 1) != 0 && shoal_cas32_(&head->data, v, v + 1)) {
		shoal_store32_(&head->rest, v); /* pairs with the load in shoal_topic_wake_rest_ */
		if (shoal_call_(SYS_futex, SHOAL_WORD_(&head->data), SHOAL_FUTEX_WAKE_, SHOAL_FEW_, 0, 0, 0) < SHOAL_FEW_)
			shoal_cas32_(&head->rest, v, 0); /* that was everybody */
	}
	shoal_ring_count_(&w->lane.control->wakes, 1);
	shoal_release64_(&w->lane.control->active, shoal_ring_now_());
	w->stamp = SHOAL_RECORD_STAMP_SIZE;
}

/* Makes the run visible, by one store. */
static inline void shoal_lane_commit_(struct shoal_lane_writer_ *w, struct shoal_format_topic *head)
{
	struct shoal_format_lane *c = w->lane.control;

	if (w->header == 0)
		return;
	/* The end must be there before a subscriber can get to it. */
	shoal_release64_(shoal_lane_word_(&w->lane, w->position), 0);
	/* Pairs with the loads of who reads: the records are complete; and as a store before
	 * the next load, with the compare-and-swap of who goes to sleep. */
	shoal_store64_(shoal_lane_word_(&w->lane, w->first), w->header);
	w->header = 0;
	if ((shoal_load32_(&head->data) & 1) != 0)
		shoal_lane_wake_few_(w, head);
	w->messages += w->added;
	w->bytes += w->length;
	w->added = w->length = 0;
	shoal_release64_(&c->messages, w->messages);
	shoal_release64_(&c->bytes, w->bytes);
	if (w->messages - w->stamped >= 512)
		w->stamp = SHOAL_RECORD_STAMP_SIZE;
	if (w->position - w->mark >= w->lane.size / 8)
		shoal_lane_publish_(w);
}

/* ------------------------------------------------------ Opening a topic */

struct shoal_topic_geometry_ {
	uint32_t lanes, count, policy;
	uint64_t lane_size;
};

/* Where the parts of a body stand, and its whole size. */
static inline uint64_t shoal_topic_places_at_(uint64_t lanes)
{
	return sizeof(struct shoal_format_topic) + lanes * sizeof(struct shoal_format_lane);
}

static inline uint64_t shoal_topic_rows_at_(uint64_t lanes, uint64_t count)
{
	return shoal_topic_places_at_(lanes) + ((8 * count + SHOAL_LINE - 1) & ~(uint64_t)(SHOAL_LINE - 1));
}

static inline uint64_t shoal_topic_cursors_at_(uint64_t lanes, uint64_t count)
{
	return shoal_topic_rows_at_(lanes, count) + count * sizeof(struct shoal_format_subscriber);
}

static inline uint64_t shoal_topic_data_at_(uint64_t lanes, uint64_t count)
{
	return shoal_topic_cursors_at_(lanes, count) + lanes * count * sizeof(struct shoal_format_cursor);
}

static inline bool shoal_topic_possible_(const struct shoal_topic_geometry_ *g)
{
	return g->lanes >= 1 && g->lanes <= SHOAL_TOPIC_PUBLISHERS_MAX && g->count >= 1 &&
	       g->count <= SHOAL_TOPIC_SUBSCRIBERS_MAX && g->policy <= SHOAL_TOPIC_DROP &&
	       g->lane_size >= SHOAL_RING_SIZE_MIN && g->lane_size <= SHOAL_RING_SIZE_MAX &&
	       (g->lane_size & (g->lane_size - 1)) == 0;
}

static inline void shoal_topic_fill_(unsigned char *body, void *argument)
{
	struct shoal_format_topic *head = (struct shoal_format_topic *)(void *)body;
	const struct shoal_topic_geometry_ *g = (const struct shoal_topic_geometry_ *)argument;

	head->lanes = g->lanes;
	head->subscribers = g->count;
	head->lane_size = g->lane_size;
	head->policy = g->policy;
}

/* Finds the parts of the topic in the object, and bounds them. */
static inline int shoal_topic_find_(struct shoal_topic *t)
{
	struct shoal_members *m = &t->object.members;
	uint64_t bytes = shoal_body_size(&t->object);
	unsigned char *body = (unsigned char *)shoal_body(&t->object);
	struct shoal_topic_geometry_ g;

	if (bytes < sizeof *t->head)
		return shoal_because_(m, SHOAL_ECORRUPT, "at offset %llu: topic of %llu bytes", (unsigned long long)t->object.body,
		                      (unsigned long long)bytes);
	t->head = (struct shoal_format_topic *)(void *)body;
	g.lanes = shoal_load32_(&t->head->lanes);
	g.count = shoal_load32_(&t->head->subscribers);
	g.lane_size = shoal_load64_(&t->head->lane_size);
	g.policy = shoal_load32_(&t->head->policy);
	if (!shoal_topic_possible_(&g) ||
	    shoal_topic_data_at_(g.lanes, g.count) + g.lanes * g.lane_size > bytes)
		return shoal_because_(m, SHOAL_ECORRUPT,
		                      "at offset %llu: %u lanes of %llu bytes, %u subscribers, policy %u, in a body of %llu",
		                      (unsigned long long)t->object.body, g.lanes, (unsigned long long)g.lane_size, g.count, g.policy,
		                      (unsigned long long)bytes);
	t->control = (struct shoal_format_lane *)(void *)(body + sizeof *t->head);
	t->places = (uint64_t *)(void *)(body + shoal_topic_places_at_(g.lanes));
	t->rows = (struct shoal_format_subscriber *)(void *)(body + shoal_topic_rows_at_(g.lanes, g.count));
	t->cursors = (struct shoal_format_cursor *)(void *)(body + shoal_topic_cursors_at_(g.lanes, g.count));
	t->data = body + shoal_topic_data_at_(g.lanes, g.count);
	t->lanes = g.lanes;
	t->count = g.count;
	t->policy = g.policy;
	t->lane_size = g.lane_size;
	t->limit = shoal_ring_limit_(g.lane_size);
	t->fixed = UINT64_MAX;
	if (t->object.schema_length > 0) {
		t->fixed = shoal_schema_size_(t->object.schema, t->object.schema_length);
		if (t->fixed == UINT64_MAX)
			return shoal_because_(m, SHOAL_ECORRUPT, "the text of its type does not say its size");
		if (t->fixed > t->limit)
			return shoal_because_(m, -EMSGSIZE, "type of %llu bytes, its records have at most %llu",
			                      (unsigned long long)t->fixed, (unsigned long long)t->limit);
	}
	return 0;
}

static inline int shoal_topic_open_(struct shoal_topic *t, const char *name, const struct shoal_topic_options *options,
                                    int (*how)(struct shoal *, const char *, const struct shoal_spec *))
{
	struct shoal_topic_geometry_ g = {SHOAL_TOPIC_PUBLISHERS_DEFAULT, SHOAL_TOPIC_SUBSCRIBERS_DEFAULT, SHOAL_TOPIC_WAIT,
	                                  SHOAL_TOPIC_LANE_SIZE_DEFAULT};
	struct shoal_spec spec;
	uint64_t type;
	int err, made;

	memset(t, 0, sizeof *t);
	shoal_clear_(&t->object);
	memset(&spec, 0, sizeof spec);
	if (options != NULL) {
		g.lanes = options->publishers != 0 ? options->publishers : g.lanes;
		g.count = options->subscribers != 0 ? options->subscribers : g.count;
		g.lane_size = options->lane_size != 0 ? options->lane_size : g.lane_size;
		g.policy = options->policy;
		spec.mode = options->mode;
		spec.group = options->group;
		spec.schema = options->schema;
	}
	if (!shoal_topic_possible_(&g))
		return -EINVAL;
	spec.kind = SHOAL_KIND_TOPIC;
	spec.slots = g.lanes + g.count < SHOAL_MAX_SLOTS ? g.lanes + g.count : SHOAL_MAX_SLOTS; /* a process for each end */
	spec.size = shoal_topic_data_at_(g.lanes, g.count) + g.lanes * g.lane_size;
	spec.fill = shoal_topic_fill_;
	spec.argument = &g;
	if (spec.schema != NULL) {
		type = shoal_schema_size_(spec.schema, strlen(spec.schema));
		if (type == UINT64_MAX)
			return -EINVAL;
		if (type > shoal_ring_limit_(g.lane_size))
			return -EMSGSIZE;
	}
	made = how(&t->object, name, &spec);
	if (made < 0)
		return made;
	err = shoal_topic_find_(t);
	if (err == 0)
		err = shoal_join(&t->object, 0);
	if (err < 0) {
		shoal_segment_unmap_(&t->object.segment);
		return err;
	}
	return made;
}

/* shoal_topic_create makes a topic, and joins; -EEXIST if there is such an object.
 * Options may be NULL. Other errors: -EINVAL for the numbers or the text of a type,
 * -EMSGSIZE for a type that is too large for the lanes. */
static inline int shoal_topic_create(struct shoal_topic *t, const char *name, const struct shoal_topic_options *options)
{
	return shoal_topic_open_(t, name, options, shoal_create);
}

/* shoal_topic_open opens one that exists, -ENOENT, and joins. Of the options the
 * schema alone matters: SHOAL_ETYPE if its records are of another type. */
static inline int shoal_topic_open(struct shoal_topic *t, const char *name, const struct shoal_topic_options *options)
{
	return shoal_topic_open_(t, name, options, shoal_open);
}

/* shoal_topic_open_or_create opens the topic, and makes it if there is none: 1 if it
 * did. */
static inline int shoal_topic_open_or_create(struct shoal_topic *t, const char *name,
                                             const struct shoal_topic_options *options)
{
	return shoal_topic_open_(t, name, options, shoal_open_or_create);
}

/* shoal_topic_why: see shoal_why. It has words for errors of the topic's publishers and
 * subscribers, too. */
static inline const char *shoal_topic_why(const struct shoal_topic *t) { return shoal_why(&t->object); }

/* shoal_topic_max_record is the length of the longest record: 24 less than half a
 * lane. */
static inline uint64_t shoal_topic_max_record(const struct shoal_topic *t) { return t->limit; }

static inline struct shoal_lane_ shoal_topic_lane_(struct shoal_topic *t, uint32_t i)
{
	struct shoal_lane_ l;

	l.members = &t->object.members;
	l.control = &t->control[i];
	l.data = t->data + i * t->lane_size;
	l.size = t->lane_size;
	l.limit = t->limit;
	l.number = i;
	return l;
}

/* Lanes from there on have never had a publisher, places never a subscriber. */
static inline uint32_t shoal_topic_used_lanes_(const struct shoal_topic *t)
{
	uint32_t n = shoal_load32_(&t->head->used_lanes);

	return n < t->lanes ? n : t->lanes;
}

static inline uint32_t shoal_topic_used_places_(const struct shoal_topic *t)
{
	uint32_t n = shoal_load32_(&t->head->used_places);

	return n < t->count ? n : t->count;
}

static inline void shoal_topic_raise_(uint32_t *bound, uint32_t n)
{
	uint32_t old;

	do
		old = shoal_load32_(bound);
	while (old < n && !shoal_cas32_(bound, old, n));
}

/* Wakes publishers who wait for room: a subscriber has gone or moved. */
static inline void shoal_topic_room_for_all_(struct shoal_topic *t)
{
	uint32_t i, n = shoal_topic_used_lanes_(t);

	for (i = 0; i < n; i++)
		shoal_notify_(&t->control[i].space);
}

/* Whether a place word can be. */
static inline bool shoal_topic_legal_(uint64_t word)
{
	const uint64_t both = SHOAL_SUB_RELIABLE | SHOAL_SUB_DROPPED;
	uint64_t owner = shoal_owner_of_(word);

	return (word & 0xffff & ~SHOAL_SUB_FLAGS) == 0 && (owner != 0 || word == 0 || (word & SHOAL_SUB_NAMED) != 0) &&
	       (owner != 0 || (word & SHOAL_SUB_JOINING) == 0) && ((word & both) != both || (word & SHOAL_SUB_JOINING) != 0);
}

/* What becomes of a place when its process leaves it, or dies. */
static inline uint64_t shoal_topic_abandoned_(uint64_t word)
{
	if ((word & SHOAL_SUB_NAMED) == 0)
		return 0;
	if ((word & SHOAL_SUB_JOINING) == 0)
		return word & SHOAL_SUB_FLAGS;
	if ((word & SHOAL_SUB_DROPPED) == 0)
		return 0; /* it was about to subscribe for the first time */
	return SHOAL_SUB_NAMED | SHOAL_SUB_DROPPED;
}

static inline int shoal_topic_impossible_(struct shoal_topic *t, uint32_t place, uint64_t word)
{
	return shoal_because_(&t->object.members, SHOAL_ECORRUPT, "place of subscriber %u is %#llx, which is impossible",
	                      place, (unsigned long long)word);
}

/* Takes a place back if its process has gone, and says its word: 1 if it did. */
SHOAL_SLOW_ int shoal_topic_settle_(struct shoal_topic *t, uint32_t i, uint64_t *word)
{
	struct shoal_members *m = &t->object.members;
	uint64_t owner;
	int current, did = 0;

	for (;;) {
		*word = shoal_load64_(&t->places[i]);
		if (!shoal_topic_legal_(*word))
			return shoal_topic_impossible_(t, i, *word);
		owner = shoal_owner_of_(*word);
		if (owner == 0)
			return did;
		current = shoal_settle_(m, owner);
		if (current < 0)
			return shoal_topic_impossible_(t, i, *word);
		if (current)
			return did;
		if (shoal_cas64_(&t->places[i], *word, shoal_topic_abandoned_(*word))) { /* from exactly what was judged */
			shoal_add64_(&t->rows[i].repairs, 1);
			shoal_repaired_(m);
			did = 1;
		}
	}
}

/* The process of an owner, for people. */
static inline uint32_t shoal_topic_process_(struct shoal_topic *t, uint64_t owner)
{
	int slot = shoal_owner_slot_(owner);

	return slot >= 0 && (uint32_t)slot < t->object.members.count ? shoal_load32_(&t->object.members.slots[slot].pid) : 0;
}

/* Waits at an event count of the topic until ready says other than 0. A wake-up was due
 * for what is found after a sleep that ended by time if owed says so: then it is
 * counted, in the object and at the port. */
SHOAL_SLOW_ int shoal_topic_sleep_(struct shoal_members *m, uint32_t *word, int64_t deadline, int (*ready)(void *),
                                   bool (*owed)(void *), void *argument, uint64_t *lost)
{
	struct shoal_sleeper_ z;
	uint32_t v;
	int r;

	shoal_sleeper_init_(&z, m, word, deadline, NULL);
	for (;;) {
		shoal_round_(&z);
		v = shoal_load32_(word);
		r = ready(argument);
		if (r == 0 && (v & 1) == 0) {
			if (!shoal_cas32_(word, v, v | 1)) /* pairs with the load of who has something to tell */
				continue;
			v |= 1;
			r = ready(argument);
		}
		if (r != 0)
			break;
		if (shoal_leaving_(m))
			return SHOAL_ECLOSED;
		r = shoal_sleep_(&z, v);
		if (r < 0)
			break;
		if (z.dozed && shoal_load32_(word) == v) {
			r = ready(argument);
			if (r != 0) {
				if (r == 1 && owed(argument))
					shoal_confirm_lost_(&z, v);
				break;
			}
		}
	}
	if (z.lost)
		shoal_ring_count_(lost, 1);
	return r;
}

static inline bool shoal_topic_closing_(const struct shoal_topic *t, const uint32_t *port)
{
	return __atomic_load_n(port, __ATOMIC_SEQ_CST) != 0 || __atomic_load_n(&t->closing, __ATOMIC_SEQ_CST) != 0;
}

/* Begins a wait in a port: who closes it waits until it has ended. */
static inline int shoal_topic_enter_(struct shoal_topic *t, int32_t *busy, const uint32_t *closing)
{
	int err = shoal_begin_(&t->object.members);

	if (err < 0)
		return err;
	/* Before the look at closing: pairs with the store in shoal_topic_shut_. */
	__atomic_fetch_add(busy, 1, __ATOMIC_SEQ_CST);
	if (!shoal_topic_closing_(t, closing))
		return 0;
	__atomic_fetch_sub(busy, 1, __ATOMIC_SEQ_CST);
	shoal_end_(&t->object.members);
	return SHOAL_ECLOSED;
}

static inline void shoal_topic_leave_(struct shoal_topic *t, int32_t *busy)
{
	__atomic_fetch_sub(busy, 1, __ATOMIC_SEQ_CST);
	shoal_end_(&t->object.members);
}

/* Sends away who waits, until busy is 0. */
static inline void shoal_topic_shut_(struct shoal_topic *t, uint32_t *closing, const int32_t *busy)
{
	__atomic_store_n(closing, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(busy, __ATOMIC_SEQ_CST) > 0) {
		shoal_wake_all_(&t->object.members.head->changes);
		shoal_nap_(100000);
	}
}

/* --------------------------------------------------------- A publisher */

/* shoal_topic_publisher_open takes a lane that is free, or whose publisher has died:
 * whatever became of that one, the next record follows the last one that was committed.
 * SHOAL_ENOSLOT if all lanes belong to live processes. The topic stays where it is, and
 * open, as long as the publisher is used. */
static inline int shoal_topic_publisher_open(struct shoal_topic_publisher *p, struct shoal_topic *t)
{
	struct shoal_members *m = &t->object.members;
	uint64_t *owner = NULL, word = 0;
	uint32_t i;
	int current = 1, err;

	memset(p, 0, sizeof *p);
	err = shoal_begin_(m);
	if (err < 0)
		return err;
	for (i = 0; i < t->lanes; i++) {
		owner = &t->control[i].owner;
		do {
			word = shoal_load64_(owner);
			current = word == 0 ? 0 : (word & 0xffff) != 0 ? SHOAL_ECORRUPT : shoal_settle_(m, word);
			/* From exactly what was judged. Pairs with the store of 0 by who gives it back. */
		} while (current == 0 && !shoal_cas64_(owner, word, m->self));
		if (current <= 0)
			break;
	}
	if (current < 0)
		err = shoal_because_(m, SHOAL_ECORRUPT, "owner of its lane %u is %#llx, which is impossible", i,
		                     (unsigned long long)word);
	else if (current > 0)
		err = shoal_because_(m, SHOAL_ENOSLOT, "all %u lanes have live publishers, process %u is one", t->lanes,
		                     shoal_topic_process_(t, word));
	if (err == 0) {
		if (word != 0)
			shoal_repaired_(m);
		shoal_topic_raise_(&t->head->used_lanes, i + 1); /* before the first record: subscribers look no further */
		err = shoal_lane_take_over_(&p->writer, shoal_topic_lane_(t, i));
		if (err < 0)
			shoal_cas64_(owner, m->self, 0);
		else if (word != 0)
			shoal_add64_(&t->control[i].repairs, 1);
	}
	if (err == 0) {
		p->topic = t;
		p->cursors = t->cursors + (size_t)i * t->count;
		p->gate = p->writer.position;
		p->open = true;
		shoal_gate_enter_(&t->gate);
		p->older = t->publishers;
		if (p->older != NULL)
			p->older->newer = p;
		t->publishers = p;
		shoal_gate_leave_(&t->gate);
	}
	shoal_end_(m);
	return err;
}

/* shoal_topic_publisher_number is that of the publisher's lane. */
static inline uint32_t shoal_topic_publisher_number(const struct shoal_topic_publisher *p)
{
	return p->writer.lane.number;
}

/* Looks closely at a subscriber who is in the way, or where none can be: 1 if the
 * publisher has to wait for it, which is at *position then. */
SHOAL_SLOW_ int shoal_topic_slow_(struct shoal_topic_publisher *p, uint32_t i, uint64_t need, uint64_t committed,
                                  uint64_t *position)
{
	struct shoal_topic *t = p->topic;
	uint64_t word, to;
	int round, err;

	*position = 0;
	for (round = 0; round < 100; round++) {
		err = shoal_topic_settle_(t, i, &word);
		if (err < 0)
			return err;
		if ((word & SHOAL_SUB_RELIABLE) == 0)
			return 0;
		*position = shoal_load64_(&p->cursors[i].position);
		if (shoal_load64_(&t->places[i]) != word)
			continue;
		/* A cursor that is being set may be too old; another one can only seem so, if the
		 * place has changed hands since we read its word. */
		if (*position % 8 != 0 || *position > committed ||
		    (committed - *position > t->lane_size && (word & SHOAL_SUB_JOINING) == 0))
			continue;
		if (*position + t->lane_size >= need || t->policy != SHOAL_TOPIC_DROP)
			return 1;
		to = word & ~(uint64_t)SHOAL_SUB_RELIABLE;
		if ((word & SHOAL_SUB_JOINING) == 0)
			to |= SHOAL_SUB_DROPPED;
		if (shoal_cas64_(&t->places[i], word, to)) {
			shoal_add64_(&t->rows[i].drops, 1);
			return 0;
		}
	}
	return shoal_because_(&t->object.members, SHOAL_ECORRUPT,
	                      "subscriber %u is at position %llu of lane %u, its publisher at %llu of %llu bytes", i,
	                      (unsigned long long)*position, p->writer.lane.number, (unsigned long long)committed,
	                      (unsigned long long)t->lane_size);
}

/* Looks at the cursors of all reliable subscribers. Those who stand in the way of need
 * it asks whether they live, and drops them if that is the policy. */
SHOAL_SLOW_ int shoal_topic_scan_(struct shoal_topic_publisher *p, uint64_t need)
{
	struct shoal_topic *t = p->topic;
	struct shoal_format_lane *c = p->writer.lane.control;
	uint64_t committed = shoal_lane_committed_(&p->writer), slowest = committed, position;
	uint32_t i, n;
	int waits;

	p->joins = shoal_load64_(&t->head->joins); /* before the cursors: who joins meanwhile is looked at again */
	n = shoal_topic_used_places_(t);
	for (i = 0; i < n; i++) {
		if ((shoal_load64_(&t->places[i]) & SHOAL_SUB_RELIABLE) == 0)
			continue;
		position = shoal_load64_(&p->cursors[i].position); /* pairs with the store in release: it has been read */
		if (position + t->lane_size < need || position > committed || position % 8 != 0) {
			waits = shoal_topic_slow_(p, i, need, committed, &position);
			if (waits < 0)
				return waits;
			if (waits == 0)
				continue;
		}
		slowest = position < slowest ? position : slowest;
	}
	p->gate = slowest + t->lane_size;
	position = committed - slowest < t->lane_size ? committed - slowest : t->lane_size;
	if (position > shoal_load64_(&c->high_water))
		shoal_release64_(&c->high_water, position);
	return 0;
}

/* Lets the publisher go on up to need: 1 if it may. It claims an eighth of the lane at
 * a time, so that the other seven are there for lossy subscribers and late ones. No run
 * is open. */
SHOAL_SLOW_ int shoal_topic_look_(struct shoal_topic_publisher *p, uint64_t need)
{
	struct shoal_format_topic *head = p->topic->head;
	struct shoal_lane_writer_ *w = &p->writer;
	uint64_t size = w->lane.size, target;
	int err;

	if (need > p->gate || shoal_load64_(&head->joins) != p->joins) {
		err = shoal_topic_scan_(p, need);
		if (err < 0)
			return err;
	}
	if (need > p->gate)
		return 0;
	target = w->position + size / 8;
	target = target > need ? target : need;
	target = target < p->gate ? target : p->gate;
	shoal_lane_claim_(w, target - size, need);
	while (shoal_load64_(&head->joins) != p->joins) { /* pairs with the addition of who joins */
		err = shoal_topic_scan_(p, need);
		if (err < 0)
			return err;
		if (w->limit > p->gate)
			w->limit = p->gate; /* what it has claimed stays so */
	}
	return need <= w->limit;
}

static inline int shoal_topic_look_again_(void *argument)
{
	struct shoal_topic_publisher *p = (struct shoal_topic_publisher *)argument;
	int room = shoal_topic_look_(p, p->want);

	return room != 0 ? room : shoal_topic_closing_(p->topic, &p->closing) ? SHOAL_ECLOSED : 0;
}

/* Subscribers tell of room when an eighth is free, and not before. */
static inline bool shoal_topic_room_owed_(void *argument)
{
	const struct shoal_topic_publisher *p = (const struct shoal_topic_publisher *)argument;

	return p->gate >= p->writer.position + p->topic->lane_size / 8;
}

static inline bool shoal_topic_spin_room_(const void *argument)
{
	struct shoal_topic_publisher *p = (struct shoal_topic_publisher *)(uintptr_t)argument;

	p->room = shoal_topic_look_again_(p);
	return p->room != 0;
}

/* Waits for room for n bytes; with a timeout of 0 it only looks. No run is open. */
SHOAL_SLOW_ int shoal_topic_make_room_(struct shoal_topic_publisher *p, uint64_t n, int64_t timeout)
{
	struct shoal_topic *t = p->topic;
	struct shoal_format_lane *c = p->writer.lane.control;
	int64_t began;
	int err = shoal_topic_enter_(t, &p->busy, &p->closing);

	if (err < 0)
		return err;
	p->need = shoal_lane_needs_(&p->writer, n);
	err = shoal_topic_look_(p, p->need);
	if (err == 0) {
		shoal_ring_count_(&c->full, 1);
		err = SHOAL_EBUSY;
		if (t->policy != SHOAL_TOPIC_REFUSE && timeout != 0) {
			began = shoal_now_();
			/* As long as it spins it wants an eighth of the lane: who goes on when there is
			 * room for one record soon waits again, and looks at cursors that are written. */
			p->want = p->writer.position + t->lane_size / 8;
			p->want = p->want > p->need ? p->want : p->need;
			if (shoal_spin_(&p->spin, shoal_topic_spin_room_, p))
				err = p->room;
			else {
				p->want = p->need;
				err = shoal_topic_sleep_(&t->object.members, &c->space, shoal_deadline_(timeout), shoal_topic_look_again_,
				                         shoal_topic_room_owed_, p, &c->lost_wakes);
			}
			shoal_ring_count_(&c->blocked, (uint64_t)(shoal_now_() - began));
		}
	}
	shoal_topic_leave_(t, &p->busy);
	return err > 0 ? 0 : err;
}

static inline bool shoal_topic_publishes_(const struct shoal_topic_publisher *p)
{
	return p->open && shoal_here_(&p->topic->object.members);
}

static inline int shoal_topic_not_publishing_(const struct shoal_topic_publisher *p)
{
	return p->open ? shoal_not_here_(&p->topic->object.members) : SHOAL_ECLOSED;
}

static inline bool shoal_topic_sendable_(const struct shoal_topic_publisher *p, uint64_t n)
{
	return shoal_topic_publishes_(p) && !p->lent && n <= p->topic->limit &&
	       (p->topic->fixed == UINT64_MAX || n == p->topic->fixed);
}

/* Why nothing can be sent. */
static inline int shoal_topic_unsendable_(const struct shoal_topic_publisher *p, uint64_t n)
{
	if (!shoal_topic_publishes_(p))
		return shoal_topic_not_publishing_(p);
	if (p->lent)
		return SHOAL_EBUSY;
	return n > p->topic->limit ? -EMSGSIZE : -EINVAL;
}

/* Adds a record to the run, if there is room below the limit. */
static inline bool shoal_topic_append_(struct shoal_topic_publisher *p, const void *record, uint64_t n)
{
	unsigned char *place = shoal_lane_reserve_(&p->writer, n);

	if (place == NULL)
		return false;
	if (n > 0)
		memcpy(place, record, (size_t)n);
	SHOAL_STORED_();
	shoal_lane_put_(&p->writer, n);
	return true;
}

/* shoal_topic_send_for copies n bytes into the topic as one record. If a reliable
 * subscriber leaves no room it does what the policy says: it waits so many nanoseconds,
 * less than 0 for ever: then SHOAL_ETIMEDOUT (with 0: SHOAL_EBUSY); or it returns
 * SHOAL_EBUSY at once. In all of these nothing has been sent. Other errors: SHOAL_EBUSY
 * if there is a reservation, -EMSGSIZE if it is longer than shoal_topic_max_record,
 * -EINVAL if its length is not that of the type, SHOAL_ECORRUPT, SHOAL_ECLOSED,
 * SHOAL_EFORK. */
static inline int shoal_topic_send_for(struct shoal_topic_publisher *p, const void *record, size_t n, int64_t timeout)
{
	int err;

	if (!shoal_topic_sendable_(p, n))
		return shoal_topic_unsendable_(p, n);
	if (!shoal_topic_append_(p, record, n)) {
		err = shoal_topic_make_room_(p, n, timeout);
		if (err < 0)
			return err;
		if (!shoal_topic_append_(p, record, n))
			return SHOAL_ECORRUPT; /* not reached: there is room */
	}
	shoal_lane_commit_(&p->writer, p->topic->head);
	return 0;
}

static inline int shoal_topic_send(struct shoal_topic_publisher *p, const void *record, size_t n)
{
	return shoal_topic_send_for(p, record, n, -1);
}

/* shoal_topic_trysend never waits: SHOAL_EBUSY if there is no room. */
static inline int shoal_topic_trysend(struct shoal_topic_publisher *p, const void *record, size_t n)
{
	return shoal_topic_send_for(p, record, n, 0);
}

/* shoal_topic_send_batch_for sends count records of n bytes each, which lie one behind
 * the other, with one synchronisation for up to an eighth of the lane. It waits as
 * shoal_topic_send_for, so long each time that there is no room, and says in *sent how
 * many were sent: fewer than all only with an error. */
static inline int shoal_topic_send_batch_for(struct shoal_topic_publisher *p, const void *records, size_t n,
                                             size_t count, size_t *sent, int64_t timeout)
{
	const unsigned char *from = (const unsigned char *)records;
	size_t i;
	int err;

	*sent = 0;
	if (!shoal_topic_sendable_(p, n))
		return shoal_topic_unsendable_(p, n);
	for (i = 0; i < count; i++) {
		while (!shoal_topic_append_(p, from + i * n, n)) {
			shoal_lane_commit_(&p->writer, p->topic->head); /* subscribers must see it to make room */
			*sent = i;
			err = shoal_topic_make_room_(p, n, timeout);
			if (err < 0)
				return err;
		}
		if (p->writer.position - p->writer.first >= p->topic->lane_size / 8)
			shoal_lane_commit_(&p->writer, p->topic->head);
	}
	shoal_lane_commit_(&p->writer, p->topic->head);
	*sent = count;
	return 0;
}

static inline int shoal_topic_send_batch(struct shoal_topic_publisher *p, const void *records, size_t n, size_t count,
                                         size_t *sent)
{
	return shoal_topic_send_batch_for(p, records, n, count, sent, -1);
}

/* shoal_topic_reserve lends the place for a record of n bytes, valid until it is
 * committed or cancelled; nobody sees it before. It waits as shoal_topic_send_for. */
static inline int shoal_topic_reserve(struct shoal_topic_publisher *p, void **place, size_t n, int64_t timeout)
{
	int err;

	*place = NULL;
	if (!shoal_topic_sendable_(p, n))
		return shoal_topic_unsendable_(p, n);
	*place = shoal_lane_reserve_(&p->writer, n);
	if (*place == NULL) {
		err = shoal_topic_make_room_(p, n, timeout);
		if (err < 0)
			return err;
		*place = shoal_lane_reserve_(&p->writer, n);
	}
	p->lent = true;
	p->loan = n;
	return 0;
}

/* shoal_topic_commit sends the first n bytes of what was reserved. SHOAL_ENOTOWNER if
 * nothing is reserved; -EMSGSIZE if it is less; then the reservation stays. */
static inline int shoal_topic_commit(struct shoal_topic_publisher *p, size_t n)
{
	if (!shoal_topic_publishes_(p))
		return shoal_topic_not_publishing_(p);
	if (!p->lent)
		return SHOAL_ENOTOWNER;
	if (n > p->loan)
		return -EMSGSIZE;
	if (p->topic->fixed != UINT64_MAX && n != p->topic->fixed)
		return -EINVAL;
	p->lent = false;
	SHOAL_STORED_();
	shoal_lane_put_(&p->writer, n);
	shoal_lane_commit_(&p->writer, p->topic->head);
	return 0;
}

/* shoal_topic_cancel gives the place back: nothing has been sent. */
static inline int shoal_topic_cancel(struct shoal_topic_publisher *p)
{
	if (!shoal_topic_publishes_(p))
		return shoal_topic_not_publishing_(p);
	if (!p->lent)
		return SHOAL_ENOTOWNER;
	shoal_lane_take_back_(&p->writer);
	p->lent = false;
	return 0;
}

/* Gives the lane back. The gate is held, and nobody is inside. */
static inline void shoal_topic_publisher_end_(struct shoal_topic_publisher *p)
{
	struct shoal_topic *t = p->topic;

	if (!p->open)
		return;
	p->open = p->lent = false;
	if (p->newer != NULL)
		p->newer->older = p->older;
	else
		t->publishers = p->older;
	if (p->older != NULL)
		p->older->newer = p->newer;
	p->newer = p->older = NULL;
	shoal_lane_take_back_(&p->writer);
	shoal_lane_publish_(&p->writer);
	shoal_cas64_(&p->writer.lane.control->owner, t->object.members.self, 0);
}

/* shoal_topic_publisher_close gives the lane back: another publisher may take it. What
 * is reserved is cancelled. A thread that waits in the publisher returns SHOAL_ECLOSED
 * first. Closing again does nothing. */
static inline void shoal_topic_publisher_close(struct shoal_topic_publisher *p)
{
	struct shoal_topic *t = p->topic;

	if (t == NULL || !p->open)
		return;
	if (shoal_begin_(&t->object.members) < 0) { /* it has been closed with the topic, or is our parent's */
		p->open = shoal_topic_publishes_(p);
		return;
	}
	shoal_topic_shut_(t, &p->closing, &p->busy);
	shoal_gate_enter_(&t->gate);
	shoal_topic_publisher_end_(p);
	shoal_gate_leave_(&t->gate);
	shoal_end_(&t->object.members);
}

/* -------------------------------------------------------- A subscriber */

static inline struct shoal_format_cursor *shoal_topic_cursor_(struct shoal_topic *t, uint32_t lane, uint32_t place)
{
	return &t->cursors[(size_t)lane * t->count + place];
}

/* A subscription that is being made. It is described in sources: number and position,
 * and what was missed while it was without a process. */
struct shoal_join_ {
	struct shoal_topic *topic;
	struct shoal_topic_subscriber *subscriber;
	struct shoal_topic_subscribe_options options;
	uint64_t word; /* of the place */
	uint64_t name[2];
};

/* Records that come from one lane before it is another lane's turn: some, since they
 * stand in a row. */
#define SHOAL_TOPIC_BURST_ 32

/* How often a join is begun anew because a publisher has been faster; how often two who
 * want the same name make way for each other. */
#define SHOAL_JOIN_ROUNDS_ 1000
#define SHOAL_NAME_ROUNDS_ 50

/* Gives a place back that is ours. */
static inline void shoal_topic_quit_(struct shoal_topic *t, uint32_t i)
{
	uint64_t word;

	do
		word = shoal_load64_(&t->places[i]);
	while (!shoal_cas64_(&t->places[i], word, shoal_topic_abandoned_(word))); /* else it was dropped in between */
	shoal_topic_room_for_all_(t);
}

static inline int shoal_join_undo_(struct shoal_join_ *j, int err)
{
	shoal_topic_quit_(j->topic, j->subscriber->place);
	return err;
}

/* Changes the place word, which nobody else does but a publisher who drops the
 * subscription: then it reports false. */
static inline bool shoal_join_become_(struct shoal_join_ *j, uint64_t word)
{
	if (!shoal_cas64_(&j->topic->places[j->subscriber->place], j->word, word))
		return false;
	j->word = word;
	return true;
}

static inline void shoal_join_reread_(struct shoal_join_ *j)
{
	j->word = shoal_load64_(&j->topic->places[j->subscriber->place]);
}

static inline int shoal_join_dropped_(struct shoal_join_ *j)
{
	return shoal_because_(&j->topic->object.members, SHOAL_EDROPPED, "its publishers drop it before it has begun");
}

/* Takes a place that is free. */
static inline int shoal_join_take_(struct shoal_join_ *j)
{
	struct shoal_topic *t = j->topic;
	uint64_t word;
	uint32_t i;
	int err;

	j->word = t->object.members.self | SHOAL_SUB_JOINING;
	for (i = 0; i < t->count; i++) {
		err = shoal_topic_settle_(t, i, &word);
		if (err < 0)
			return err;
		if (word != 0)
			continue;
		shoal_topic_raise_(&t->head->used_places, i + 1); /* before: publishers look no further */
		if (shoal_cas64_(&t->places[i], 0, j->word)) {
			j->subscriber->place = i;
			return 0;
		}
	}
	return shoal_because_(&t->object.members, SHOAL_ENOSLOT, "all %u places have subscribers, with a name or alive",
	                      t->count);
}

static inline void shoal_join_zero_(uint64_t *w)
{
	if (shoal_load64_(w) != 0)
		shoal_store64_(w, 0);
}

/* Sets the counters of the last subscription in this place to 0. */
static inline void shoal_join_clear_(struct shoal_join_ *j)
{
	struct shoal_format_subscriber *row = &j->topic->rows[j->subscriber->place];
	struct shoal_format_cursor *c;
	uint32_t i;

	shoal_join_zero_(&row->blocked);
	shoal_join_zero_(&row->wakes);
	shoal_join_zero_(&row->lost_wakes);
	shoal_join_zero_(&row->drops);
	for (i = 0; i < SHOAL_LATENCY_BUCKETS; i++)
		if (shoal_load32_(&row->latency.buckets[i]) != 0)
			shoal_store32_(&row->latency.buckets[i], 0);
	for (i = 0; i < j->topic->lanes; i++) {
		c = shoal_topic_cursor_(j->topic, i, j->subscriber->place);
		shoal_join_zero_(&c->messages);
		shoal_join_zero_(&c->bytes);
		shoal_join_zero_(&c->missed);
		shoal_join_zero_(&c->lapped);
		shoal_join_zero_(&c->wakes);
		shoal_join_zero_(&c->active);
	}
	shoal_store64_(&row->joined, shoal_ring_now_());
}

/* Puts the cursor in a lane where a walk to the start of the subscription begins. */
static inline int shoal_join_pin_(struct shoal_join_ *j, uint32_t i, struct shoal_format_mark *m)
{
	struct shoal_lane_ l = shoal_topic_lane_(j->topic, i);
	int err = !j->options.oldest && j->options.history == 0 ? shoal_lane_last_mark_(&l, m) : shoal_lane_first_mark_(&l, m);

	if (err == 0) /* before the look at the claim: pairs with that of publishers at joins */
		shoal_store64_(&shoal_topic_cursor_(j->topic, i, j->subscriber->place)->position, m->position);
	return err;
}

/* Goes from a mark to where the subscription begins. */
static inline int shoal_join_walk_(struct shoal_join_ *j, const struct shoal_lane_ *l, struct shoal_format_mark m,
                                   struct shoal_format_mark *at)
{
	uint64_t n = j->options.history;
	int err;

	*at = m;
	if (n == 0 && j->options.oldest)
		return 0;
	err = shoal_lane_walk_(l, m, UINT64_MAX, UINT64_MAX, at);
	if (err == 0 && n > 0) {
		n = at->number - m.number < n ? at->number - m.number : n;
		err = shoal_lane_walk_(l, m, at->number - m.number - n, UINT64_MAX, at);
	}
	return err;
}

/* The error of who has not been fast enough, unless the lane is damaged. */
static inline int shoal_join_restless_(const struct shoal_lane_ *l)
{
	struct shoal_format_mark m;
	int err = shoal_lane_first_mark_(l, &m);

	if (err < 0)
		return err;
	return shoal_because_(l->members, -EAGAIN, "lane %u is written so fast that nobody can join", l->number);
}

/* Finds where the subscription begins in a lane. Publishers may have overwritten what
 * stands at the cursor before they could see it; after the second try they have. */
static inline int shoal_join_start_(struct shoal_join_ *j, uint32_t i)
{
	struct shoal_lane_ l = shoal_topic_lane_(j->topic, i);
	struct shoal_format_cursor *c = shoal_topic_cursor_(j->topic, i, j->subscriber->place);
	struct shoal_topic_source_ *source = &j->subscriber->sources[i];
	struct shoal_format_mark m, at;
	int round, err;

	for (round = 0; round < SHOAL_JOIN_ROUNDS_; round++) {
		err = shoal_join_pin_(j, i, &m);
		if (err < 0)
			return err;
		if (!shoal_lane_intact_(&l, m.position))
			continue;
		err = shoal_join_walk_(j, &l, m, &at);
		shoal_load_fence_();
		if ((err < 0 || j->options.lossy) && !shoal_lane_intact_(&l, m.position))
			continue; /* nobody waits for us, or not any more */
		if (err < 0)
			return err;
		source->position = at.position;
		source->number = at.number;
		shoal_store64_(&c->position, at.position);
		shoal_store64_(&c->flags, at.number - shoal_load64_(&c->messages) - shoal_load64_(&c->missed));
		return 0;
	}
	return shoal_join_restless_(&l);
}

/* Makes a new subscription of a place that is ours, and joining. */
SHOAL_SLOW_ int shoal_join_begin_(struct shoal_join_ *j)
{
	struct shoal_topic *t = j->topic;
	struct shoal_format_mark m;
	uint32_t i;
	int round, err;

	shoal_join_clear_(j);
	for (round = 0; round < SHOAL_JOIN_ROUNDS_; round++) {
		for (i = 0, err = 0; i < t->lanes && err == 0; i++)
			err = shoal_join_pin_(j, i, &m);
		if (err == 0 && !j->options.lossy) {
			/* The cursors first, so that publishers have to do with recent ones only. */
			if (!shoal_join_become_(j, j->word | SHOAL_SUB_RELIABLE))
				err = shoal_because_(&t->object.members, SHOAL_ECORRUPT, "place %u was taken away", j->subscriber->place);
			else /* pairs with the load in shoal_topic_look_; before our looks at the claims */
				shoal_add64_(&t->head->joins, 1);
		}
		for (i = 0; i < t->lanes && err == 0; i++)
			err = shoal_join_start_(j, i);
		if (err < 0)
			return shoal_join_undo_(j, err);
		if (shoal_join_become_(j, j->word & ~(uint64_t)SHOAL_SUB_JOINING)) {
			shoal_topic_room_for_all_(t); /* who waited for a cursor that was too old */
			return 0;
		}
		shoal_join_reread_(j); /* dropped already: once more */
	}
	return shoal_join_undo_(j, shoal_join_dropped_(j));
}

/* Finds the place of a name, other than one: 1, or 0 if there is none. */
SHOAL_SLOW_ int shoal_topic_find_name_(struct shoal_topic *t, const uint64_t *name, uint32_t other, uint32_t *i,
                                       uint64_t *word)
{
	int err;

	for (*i = 0; *i < shoal_topic_used_places_(t); ++*i) {
		if (*i == other || (shoal_load64_(&t->places[*i]) & SHOAL_SUB_NAMED) == 0)
			continue;
		err = shoal_topic_settle_(t, *i, word);
		if (err < 0)
			return err;
		if ((*word & SHOAL_SUB_NAMED) != 0 && shoal_load64_(&t->rows[*i].name[0]) == name[0] &&
		    shoal_load64_(&t->rows[*i].name[1]) == name[1])
			return 1;
	}
	return 0;
}

/* Finds the number of the record at a cursor that publishers wait for. */
static inline int shoal_join_number_(struct shoal_join_ *j, uint32_t i)
{
	struct shoal_lane_ l = shoal_topic_lane_(j->topic, i);
	struct shoal_format_cursor *c = shoal_topic_cursor_(j->topic, i, j->subscriber->place);
	struct shoal_topic_source_ *source = &j->subscriber->sources[i];
	uint64_t base;
	int err;

	source->position = shoal_load64_(&c->position);
	err = shoal_lane_number_of_(&l, source->position, &source->number);
	if (err < 0)
		return err;
	base = source->number - shoal_load64_(&c->messages) - shoal_load64_(&c->missed);
	if (base != shoal_load64_(&c->flags))
		shoal_store64_(&c->flags, base);
	return 0;
}

/* Goes on in a lane with a newer record if the one at the cursor has been overwritten. */
static inline int shoal_join_catch_up_(struct shoal_join_ *j, uint32_t i)
{
	struct shoal_lane_ l = shoal_topic_lane_(j->topic, i);
	struct shoal_format_cursor *c = shoal_topic_cursor_(j->topic, i, j->subscriber->place);
	struct shoal_format_mark m;
	uint64_t position, n;
	int round, err;

	for (round = 0; round < SHOAL_JOIN_ROUNDS_; round++) {
		position = shoal_load64_(&c->position);
		if (shoal_lane_intact_(&l, position)) {
			err = shoal_join_number_(j, i);
			if (err == 0 || shoal_lane_intact_(&l, position))
				return err;
		}
		err = shoal_lane_recent_mark_(&l, &m);
		if (err < 0)
			return err;
		n = m.number - (shoal_load64_(&c->flags) + shoal_load64_(&c->messages) + shoal_load64_(&c->missed));
		shoal_store64_(&c->position, m.position); /* as in shoal_join_pin_ */
		shoal_store64_(&c->missed, shoal_load64_(&c->missed) + n);
		shoal_store64_(&c->lapped, shoal_load64_(&c->lapped) + 1);
		j->subscriber->sources[i].missed += n;
	}
	return shoal_join_restless_(&l);
}

/* Makes one reliable again that was dropped, with what is left. */
static inline int shoal_join_revive_(struct shoal_join_ *j)
{
	uint32_t i;
	int err = 0;

	if (!shoal_join_become_(j, j->word | SHOAL_SUB_JOINING | SHOAL_SUB_RELIABLE))
		return 0; /* it was dropped once more */
	shoal_add64_(&j->topic->head->joins, 1); /* as in shoal_join_begin_ */
	for (i = 0; i < j->topic->lanes && err == 0; i++)
		err = shoal_join_catch_up_(j, i);
	return err;
}

/* Goes on with a subscription that is ours now. */
SHOAL_SLOW_ int shoal_join_resume_(struct shoal_join_ *j)
{
	uint64_t word;
	uint32_t i;
	int round, err;

	for (round = 0; round < SHOAL_JOIN_ROUNDS_; round++) {
		err = 0;
		if ((j->word & SHOAL_SUB_DROPPED) == 0) {
			for (i = 0; i < j->topic->lanes && err == 0; i++)
				err = shoal_join_number_(j, i);
		} else {
			err = shoal_join_revive_(j);
			if (err == 0 && !shoal_join_become_(j, j->word & ~(uint64_t)(SHOAL_SUB_JOINING | SHOAL_SUB_DROPPED))) {
				shoal_join_reread_(j);
				continue;
			}
		}
		word = j->word;
		shoal_join_reread_(j);
		if (j->word != word)
			continue; /* dropped meanwhile: what we have read may be anything */
		if (err < 0)
			return shoal_join_undo_(j, err);
		shoal_topic_room_for_all_(j->topic); /* publishers may sleep whom the last process has not told where it was */
		return 0;
	}
	return shoal_join_undo_(j, shoal_join_dropped_(j));
}

/* A name as two words: false if it can be none. */
static inline bool shoal_topic_pack_(const char *name, uint64_t *words)
{
	size_t n = strlen(name);

	if (n < 1 || n > SHOAL_TOPIC_NAME_MAX)
		return false;
	words[0] = words[1] = 0;
	memcpy(words, name, n);
	return true;
}

/* Goes on with the subscription of the name, or begins it. A name is written, and then
 * looked for elsewhere: of two who do so at once one at least sees the other, and makes
 * way. */
SHOAL_SLOW_ int shoal_join_named_(struct shoal_join_ *j)
{
	struct shoal_topic *t = j->topic;
	struct shoal_members *m = &t->object.members;
	struct shoal_format_subscriber *row;
	uint64_t word;
	uint32_t i;
	int round, err, busy = SHOAL_EBUSY;

	for (round = 0; round < SHOAL_NAME_ROUNDS_; round++) {
		err = shoal_topic_find_name_(t, j->name, UINT32_MAX, &i, &word);
		if (err == 0) {
			err = shoal_join_take_(j);
			if (err < 0)
				return err;
			row = &t->rows[j->subscriber->place];
			shoal_store64_(&row->name[0], j->name[0]);
			shoal_store64_(&row->name[1], j->name[1]);
			shoal_join_become_(j, j->word | SHOAL_SUB_NAMED); /* pairs with the load in shoal_topic_find_name_ */
			err = shoal_topic_find_name_(t, j->name, j->subscriber->place, &i, &word);
			if (err == 0)
				return shoal_join_begin_(j);
			shoal_join_undo_(j, 0);
		}
		if (err < 0)
			return err;
		if (shoal_owner_of_(word) == 0) {
			if (shoal_cas64_(&t->places[i], word, m->self | word)) {
				j->subscriber->place = i;
				j->word = m->self | word;
				return shoal_join_resume_(j);
			}
			continue;
		}
		busy = shoal_because_(m, SHOAL_EBUSY, "process %u has its subscription \"%s\", or is about to",
		                      shoal_topic_process_(t, shoal_owner_of_(word)), j->options.name);
		if ((word & SHOAL_SUB_JOINING) == 0)
			return busy;
		shoal_nap_(1000 + (int64_t)((uint64_t)(shoal_now_() / 64 + getpid()) * 2654435761u % 1000000));
	}
	return busy;
}

/* Describes what the join has found. */
static inline void shoal_topic_begin_(struct shoal_topic_subscriber *s, uint64_t word)
{
	struct shoal_topic *t = s->topic;
	struct shoal_topic_source_ *source;
	uint32_t i;

	s->word = word;
	s->row = &t->rows[s->place];
	s->watched = (word & SHOAL_SUB_RELIABLE) != 0 && t->policy == SHOAL_TOPIC_DROP;
	for (i = 0; i < t->lanes; i++) {
		source = &s->sources[i];
		source->lane = shoal_topic_lane_(t, i);
		source->cursor = shoal_topic_cursor_(t, i, s->place);
		source->copies = (word & SHOAL_SUB_RELIABLE) == 0 || s->watched;
		source->next = source->told = source->said = source->sampled = source->position;
		source->messages = shoal_load64_(&source->cursor->messages);
		source->bytes = shoal_load64_(&source->cursor->bytes);
	}
}

/* shoal_topic_subscriber_open makes a subscription, or goes on with the one of that
 * name. SHOAL_EBUSY if a live process has that, this one included; SHOAL_ENOSLOT if all
 * places are taken; -EINVAL for a name that is too long, or with lossy; -EAGAIN if
 * publishers always were faster; -ENOMEM: it allocates some 150 bytes for each lane, and if
 * it may be overtaken room for one record. The topic stays where it is, and open, as long
 * as the subscriber is used. */
static inline int shoal_topic_subscriber_open(struct shoal_topic_subscriber *s, struct shoal_topic *t,
                                              const struct shoal_topic_subscribe_options *options)
{
	struct shoal_join_ j;
	uint64_t longest;
	int err;

	memset(s, 0, sizeof *s);
	memset(&j, 0, sizeof j);
	j.topic = t;
	j.subscriber = s;
	if (options != NULL)
		j.options = *options;
	if (j.options.name != NULL && (j.options.lossy || !shoal_topic_pack_(j.options.name, j.name)))
		return -EINVAL;
	err = shoal_begin_(&t->object.members);
	if (err < 0)
		return err;
	s->topic = t;
	s->left = SHOAL_TOPIC_BURST_;
	s->sources = (struct shoal_topic_source_ *)calloc(t->lanes, sizeof *s->sources);
	if (j.options.lossy || t->policy == SHOAL_TOPIC_DROP) {
		longest = t->fixed == UINT64_MAX ? t->limit : t->fixed;
		s->copy = (uint64_t *)malloc((size_t)longest / 8 * 8 + 16);
	}
	if (s->sources == NULL || (s->copy == NULL && (j.options.lossy || t->policy == SHOAL_TOPIC_DROP)))
		err = -ENOMEM;
	if (err == 0 && j.options.name != NULL)
		err = shoal_join_named_(&j);
	else if (err == 0) {
		err = shoal_join_take_(&j);
		if (err == 0)
			err = shoal_join_begin_(&j);
	}
	if (err == 0 && s->copy == NULL && (j.word & SHOAL_SUB_RELIABLE) == 0) /* what it would need a copy for cannot be */
		err = shoal_join_undo_(&j, shoal_because_(&t->object.members, SHOAL_ECORRUPT,
		                                          "place of subscriber %u is %#llx: neither reliable nor dropped", s->place,
		                                          (unsigned long long)j.word));
	if (err == 0) {
		shoal_topic_begin_(s, j.word);
		s->open = true;
		shoal_gate_enter_(&t->gate);
		s->older = t->subscribers;
		if (s->older != NULL)
			s->older->newer = s;
		t->subscribers = s;
		shoal_gate_leave_(&t->gate);
	} else {
		free(s->sources);
		free(s->copy);
		s->sources = NULL;
		s->copy = NULL;
	}
	shoal_end_(&t->object.members);
	return err;
}

/* ----------------------------------------------------- One lane of many */

SHOAL_SLOW_ void shoal_topic_sample_(struct shoal_format_latency *in, uint64_t stamp)
{
	uint64_t now = shoal_ring_now_();

	if (stamp != 0 && stamp <= now)
		shoal_add32_(&in->buckets[shoal_latency_bucket_(now - stamp)], 1);
}

/* The next record of a source that reads in place: 1; 0 at the end. */
SHOAL_SLOW_ int shoal_topic_peek_in_(struct shoal_topic_subscriber *s, struct shoal_topic_source_ *source,
                                     const void **p, size_t *n)
{
	struct shoal_record_ record;
	uint64_t header;
	int err;

	/* Pairs with the store in shoal_lane_commit_: the record is complete. */
	while ((header = shoal_load64_(shoal_lane_word_(&source->lane, source->position))) != 0) {
		err = shoal_lane_parse_(&source->lane, source->position, header, &record);
		if (err < 0)
			return err;
		if (!record.pad) {
			source->next = record.next;
			source->length = record.length;
			if (record.stamp && source->sampled != source->next) {
				source->sampled = source->next;
				shoal_topic_sample_(&s->row->latency,
				                    shoal_load64_(shoal_lane_word_(&source->lane, record.next - SHOAL_RECORD_STAMP_SIZE)));
			}
			*p = (unsigned char *)shoal_lane_word_(&source->lane, source->position) + SHOAL_RECORD_HEADER;
			*n = (size_t)record.length;
			return 1;
		}
		source->position = source->next = record.next;
	}
	return 0;
}

/* Goes on with a record about half a lane behind the publisher: the oldest ones may be
 * overwritten soon. */
SHOAL_SLOW_ int shoal_topic_overtaken_(struct shoal_topic_source_ *source)
{
	struct shoal_format_mark m;
	uint64_t missed;
	int err = shoal_lane_recent_mark_(&source->lane, &m);

	if (err < 0)
		return err;
	if (m.number < source->number || m.position < source->position)
		return shoal_because_(source->lane.members, SHOAL_ECORRUPT,
		                      "lane %u: mark of record %llu at position %llu, after record %llu at %llu", source->lane.number,
		                      (unsigned long long)m.number, (unsigned long long)m.position,
		                      (unsigned long long)source->number, (unsigned long long)source->position);
	missed = m.number - source->number;
	source->position = source->next = m.position;
	source->number = m.number;
	if (missed != 0) {
		source->missed += missed;
		shoal_ring_count_(&source->cursor->missed, missed);
		shoal_ring_count_(&source->cursor->lapped, 1);
	}
	return 0;
}

/* A copy of the next record of a source that may be overtaken: 1; 0 at the end, or if
 * something has been missed. */
SHOAL_SLOW_ int shoal_topic_peek_out_(struct shoal_topic_subscriber *s, struct shoal_topic_source_ *source,
                                      const void **p, size_t *n)
{
	const struct shoal_lane_ *l = &source->lane;
	uint64_t header, stamp, fixed = s->topic->fixed;
	struct shoal_record_ record = {0, 0, false, false};
	int err;

	while (source->next == source->position) {
		header = shoal_lane_glance_(l, source->position); /* pairs with the store in shoal_lane_commit_ */
		err = 0;
		stamp = 0;
		if (header != 0)
			err = shoal_lane_parse_(l, source->position, header, &record);
		if (header != 0 && err == 0 && !record.pad) {
			if (fixed == UINT64_MAX || record.length <= fixed) /* there is room for no more; it is refused later */
				shoal_lane_copy_(l, source->position + SHOAL_RECORD_HEADER, s->copy, (record.length + 7) / 8);
			if (record.stamp)
				stamp = shoal_lane_glance_(l, record.next - SHOAL_RECORD_STAMP_SIZE);
		}
		shoal_load_fence_(); /* the copy before the question */
		if (!shoal_lane_intact_(l, source->position))
			return shoal_topic_overtaken_(source);
		if (header == 0 || err < 0)
			return err;
		source->next = record.next;
		if (record.pad)
			source->position = record.next;
		else {
			source->length = record.length;
			if (stamp != 0 && source->sampled <= source->number) {
				source->sampled = source->number + 1;
				shoal_topic_sample_(&s->row->latency, stamp);
			}
		}
	}
	*p = s->copy;
	*n = (size_t)source->length;
	return 1;
}

static inline bool shoal_topic_source_ready_(const struct shoal_topic_source_ *source)
{
	return shoal_lane_glance_(&source->lane, source->position) != 0 ||
	       (source->copies && (source->missed != 0 || !shoal_lane_intact_(&source->lane, source->position)));
}

/* Tells a publisher who may sleep how far it is. */
SHOAL_SLOW_ void shoal_topic_tell_(struct shoal_topic_source_ *source)
{
	struct shoal_format_lane *lane = source->lane.control;

	source->told = source->position;
	shoal_store64_(&source->cursor->position, source->position); /* pairs with the sleeping publisher's second look */
	if ((shoal_load32_(&lane->space) & 1) != 0) {
		shoal_notify_(&lane->space);
		shoal_ring_count_(&source->cursor->wakes, 1);
	}
	shoal_release64_(&source->cursor->active, shoal_ring_now_());
}

/* Says in the cursor how far it is. */
static inline void shoal_topic_source_release_(struct shoal_topic_source_ *source)
{
	source->unsaid = false;
	source->said = source->position;
	/* Pairs with the load in shoal_topic_scan_: we have read, or copied, all before. For
	 * one who copies nobody sleeps: publishers do not wait for it, or drop it. */
	if (!source->copies && source->position - source->told >= source->lane.size / 8)
		shoal_topic_tell_(source);
	else
		shoal_release64_(&source->cursor->position, source->position);
	shoal_release64_(&source->cursor->messages, source->messages);
	shoal_release64_(&source->cursor->bytes, source->bytes);
}

/* Before it sleeps itself. */
static inline void shoal_topic_source_rest_(struct shoal_topic_source_ *source)
{
	if (!source->copies && source->position != source->told)
		shoal_topic_tell_(source);
	else if (source->copies && source->messages != 0)
		shoal_release64_(&source->cursor->active, shoal_ring_now_());
}

/* ------------------------------------------------------------ Receiving */

/* Passes to the next lane. */
static inline void shoal_topic_turn_(struct shoal_topic_subscriber *s)
{
	if (s->sources[s->at].unsaid)
		shoal_topic_source_release_(&s->sources[s->at]);
	s->left = SHOAL_TOPIC_BURST_;
	if (++s->at >= shoal_topic_used_lanes_(s->topic))
		s->at = 0;
}

/* Goes through the lanes once, beginning with the one whose turn it is: 1, or 0 if
 * there is nothing. */
SHOAL_SLOW_ int shoal_topic_next_slow_(struct shoal_topic_subscriber *s, const void **p, size_t *n)
{
	struct shoal_topic *t = s->topic;
	struct shoal_topic_source_ *source;
	uint32_t lanes;
	int err;

	if (s->watched && shoal_load64_(&t->places[s->place]) != s->word) {
		s->word = shoal_load64_(&t->places[s->place]);
		s->watched = false;
		return shoal_because_(&t->object.members, SHOAL_EDROPPED, "subscriber %u was too slow, and is lossy from now on",
		                      s->place);
	}
	if (s->left <= 0 && !s->held)
		shoal_topic_turn_(s);
	for (lanes = shoal_topic_used_lanes_(t); lanes > 0; lanes--) {
		source = &s->sources[s->at];
		err = source->copies ? shoal_topic_peek_out_(s, source, p, n) : shoal_topic_peek_in_(s, source, p, n);
		if (err != 0 || source->missed != 0) {
			s->last.publisher = s->at;
			s->last.number = source->number;
			if (source->missed != 0 && !s->held) {
				s->missed = source->missed;
				source->missed = 0;
				return shoal_because_(&t->object.members, SHOAL_EMISSED,
				                      "%llu records of publisher %u were overwritten before they were read",
				                      (unsigned long long)s->missed, s->at);
			}
			if (err > 0 && t->fixed != UINT64_MAX && *n != t->fixed)
				err = shoal_because_(&t->object.members, SHOAL_ECORRUPT,
				                     "lane %u: record of %llu bytes at position %llu, want %llu", s->at,
				                     (unsigned long long)*n, (unsigned long long)source->position,
				                     (unsigned long long)t->fixed);
			s->held = err > 0;
			return err;
		}
		shoal_topic_turn_(s);
	}
	return 0;
}

/* The next record: 1, or 0 if there is none. It calls nothing: without optimization that
 * is half of its cost. */
static inline int shoal_topic_next_(struct shoal_topic_subscriber *s, const void **p, size_t *n)
{
	struct shoal_topic_source_ *source = &s->sources[s->at];
	const struct shoal_lane_ *l = &source->lane;
	uint64_t offset = source->position & (l->size - 1), fixed = s->topic->fixed, length, size;

	if (source->copies || s->left <= 0)
		return shoal_topic_next_slow_(s, p, n);
	/* Pairs with the store in shoal_lane_commit_: the record is complete. Most headers
	 * have no other bit than THERE, and are so bounded at once. */
	length = __atomic_load_n((uint64_t *)(void *)(l->data + offset), __ATOMIC_SEQ_CST) - SHOAL_RECORD_THERE;
	size = (length + 15) & ~UINT64_C(7); /* as shoal_record_size_ */
	if (length > l->limit || offset + size > l->size || (fixed != UINT64_MAX && length != fixed))
		return shoal_topic_next_slow_(s, p, n);
	source->next = source->position + size;
	source->length = length;
	s->held = true;
	s->last.publisher = s->at;
	s->last.number = source->number;
	*p = l->data + offset + SHOAL_RECORD_HEADER;
	*n = (size_t)length;
	return 1;
}

/* Goes on behind the record at hand. */
static inline void shoal_topic_skip_(struct shoal_topic_subscriber *s)
{
	struct shoal_topic_source_ *source = &s->sources[s->at];

	source->messages++;
	source->bytes += source->length;
	source->position = source->next;
	source->number++;
	source->unsaid = true;
	s->held = false;
	s->left--;
	s->taken++;
}

/* Gives back all that was skipped. */
static inline void shoal_topic_release_all_(struct shoal_topic_subscriber *s)
{
	uint32_t i, n = shoal_topic_used_lanes_(s->topic);

	for (i = 0; i < n; i++)
		if (s->sources[i].unsaid)
			shoal_topic_source_release_(&s->sources[i]);
}

static inline void shoal_topic_rest_(struct shoal_topic_subscriber *s)
{
	uint32_t i, n = shoal_topic_used_lanes_(s->topic);

	for (i = 0; i < n; i++)
		shoal_topic_source_rest_(&s->sources[i]);
}

/* Whether there is a record in some lane, or something that is none. */
static inline bool shoal_topic_some_(const struct shoal_topic_subscriber *s)
{
	uint32_t i, n = shoal_topic_used_lanes_(s->topic);

	for (i = 0; i < n; i++)
		if (shoal_topic_source_ready_(&s->sources[i]))
			return true;
	return false;
}

/* Wakes all who sleep beside us if only a few have been woken. Of several who find the
 * same number each wakes all: any of them may be stopped, and nobody waits for another. */
static inline void shoal_topic_wake_rest_(struct shoal_topic_subscriber *s)
{
	struct shoal_format_topic *head = s->topic->head;
	uint32_t n = shoal_load32_(&head->rest); /* pairs with the store in shoal_lane_wake_few_ */

	if (n == 0)
		return;
	shoal_wake_all_(&head->data);
	/* After the wake-up: who dies between the two has done it. A newer number stays. */
	shoal_cas32_(&head->rest, n, 0);
	shoal_ring_count_(&s->row->wakes, 1);
}

static inline int shoal_topic_ready_(void *argument)
{
	struct shoal_topic_subscriber *s = (struct shoal_topic_subscriber *)argument;

	shoal_topic_wake_rest_(s);
	return shoal_topic_some_(s) ? 1 : shoal_topic_closing_(s->topic, &s->closing) ? SHOAL_ECLOSED : 0;
}

static inline bool shoal_topic_always_owed_(void *argument) { return argument != NULL; }

static inline bool shoal_topic_spin_ready_(const void *argument)
{
	return shoal_topic_ready_((struct shoal_topic_subscriber *)(uintptr_t)argument) != 0;
}

/* Waits for a record, or what is none. */
SHOAL_SLOW_ int shoal_topic_await_(struct shoal_topic_subscriber *s, int64_t timeout)
{
	struct shoal_topic *t = s->topic;
	int64_t began;
	int err = shoal_topic_enter_(t, &s->busy, &s->closing);

	if (err < 0)
		return err;
	shoal_topic_release_all_(s);
	if (timeout != 0 && shoal_pace_(&s->pacer, s->taken, shoal_topic_spin_ready_, s)) {
		err = shoal_topic_ready_(s); /* a record, or that we are to leave */
	} else if (timeout != 0 || !shoal_topic_some_(s)) {
		shoal_topic_rest_(s);
		err = SHOAL_EBUSY;
		if (timeout != 0) {
			began = shoal_now_();
			err = shoal_topic_sleep_(&t->object.members, &t->head->data, shoal_deadline_(timeout), shoal_topic_ready_,
			                         shoal_topic_always_owed_, s, &s->row->lost_wakes);
			shoal_ring_count_(&s->row->blocked, (uint64_t)(shoal_now_() - began));
		}
	}
	shoal_topic_leave_(t, &s->busy);
	return err > 0 ? 0 : err;
}

static inline bool shoal_topic_subscribes_(const struct shoal_topic_subscriber *s)
{
	return s->open && shoal_here_(&s->topic->object.members);
}

static inline int shoal_topic_not_subscribing_(const struct shoal_topic_subscriber *s)
{
	return s->open ? shoal_not_here_(&s->topic->object.members) : SHOAL_ECLOSED;
}

/* shoal_topic_wait waits until there is something to receive, or to be told: so many
 * nanoseconds, less than 0 for ever, then SHOAL_ETIMEDOUT (with 0: SHOAL_EBUSY). It gives
 * back what was skipped. Other errors: SHOAL_ECLOSED, SHOAL_EFORK. For programs whose
 * locks may be held while they receive, but not while they wait: any thread may close
 * the subscriber meanwhile. */
static inline int shoal_topic_wait(struct shoal_topic_subscriber *s, int64_t timeout)
{
	return shoal_topic_subscribes_(s) ? shoal_topic_await_(s, timeout) : shoal_topic_not_subscribing_(s);
}

/* shoal_topic_peek_for returns the next record: *p and *n are valid until
 * shoal_topic_release or shoal_topic_skip. Without these in between it returns the same
 * record again. A reliable subscriber sees it in place, unless the policy is to drop; a
 * lossy one sees a copy. If there is none it waits so many nanoseconds, less than 0 for
 * ever: then SHOAL_ETIMEDOUT (with 0: SHOAL_EBUSY).
 *
 * Two errors tell of what has happened, and the next call goes on: SHOAL_EMISSED, once
 * for each gap, in the place of the missing records (shoal_topic_missed says how many,
 * shoal_topic_last whose); SHOAL_EDROPPED, once, to a reliable subscriber that was too
 * slow for a topic that drops such, and is lossy from now on. Other errors:
 * SHOAL_ECORRUPT, SHOAL_ECLOSED, SHOAL_EFORK. */
static inline int shoal_topic_peek_for(struct shoal_topic_subscriber *s, const void **p, size_t *n, int64_t timeout)
{
	int err;

	if (!shoal_topic_subscribes_(s))
		return shoal_topic_not_subscribing_(s);
	if (timeout != 0 && shoal_tight_(&s->pacer, s->taken))
		shoal_keep_off_(&s->pacer, s->taken, s->sources[s->at].number, shoal_record_size_(s->sources[s->at].length),
		                s->sources[s->at].lane.control);
	while ((err = shoal_topic_next_(s, p, n)) == 0) {
		err = shoal_topic_await_(s, timeout);
		if (err < 0)
			return err;
	}
	return err < 0 ? err : 0;
}

static inline int shoal_topic_peek(struct shoal_topic_subscriber *s, const void **p, size_t *n)
{
	return shoal_topic_peek_for(s, p, n, -1);
}

/* shoal_topic_trypeek never waits: SHOAL_EBUSY if there is no record. */
static inline int shoal_topic_trypeek(struct shoal_topic_subscriber *s, const void **p, size_t *n)
{
	return shoal_topic_peek_for(s, p, n, 0);
}

/* shoal_topic_skip goes on behind the record that was peeked at, and gives it back
 * later, together with others: at an eighth of a lane, when it is another publisher's
 * turn, before it waits, with shoal_topic_release, or when it is closed. That is cheaper; if
 * the process dies before, a subscription with a name gets them again. Without a peek
 * before it does nothing. */
static inline int shoal_topic_skip(struct shoal_topic_subscriber *s)
{
	struct shoal_topic_source_ *source;

	if (!shoal_topic_subscribes_(s))
		return shoal_topic_not_subscribing_(s);
	if (!s->held)
		return 0;
	source = &s->sources[s->at];
	shoal_topic_skip_(s);
	if (source->position - source->said >= source->lane.size / 8)
		shoal_topic_source_release_(source);
	return 0;
}

/* shoal_topic_release gives back the record that was peeked at, and all that were
 * skipped. */
static inline int shoal_topic_release(struct shoal_topic_subscriber *s)
{
	if (!shoal_topic_subscribes_(s))
		return shoal_topic_not_subscribing_(s);
	if (s->held)
		shoal_topic_skip_(s);
	if (s->sources[s->at].unsaid) /* turning to another lane releases, so there is no other */
		shoal_topic_source_release_(&s->sources[s->at]);
	return 0;
}

/* shoal_topic_receive_for copies the next record to p, which has room for size bytes,
 * says its length in *n, and releases it. It waits, and fails, as shoal_topic_peek_for.
 * -EMSGSIZE if there is less room: *n says how long it is, and it stays. */
static inline int shoal_topic_receive_for(struct shoal_topic_subscriber *s, void *p, size_t size, size_t *n,
                                          int64_t timeout)
{
	const void *record;
	int err = shoal_topic_peek_for(s, &record, n, timeout);

	if (err < 0)
		return err;
	if (*n > size)
		return -EMSGSIZE;
	if (*n > 0)
		memcpy(p, record, *n);
	shoal_topic_skip_(s);
	shoal_topic_source_release_(&s->sources[s->at]);
	return 0;
}

static inline int shoal_topic_receive(struct shoal_topic_subscriber *s, void *p, size_t size, size_t *n)
{
	return shoal_topic_receive_for(s, p, size, n, -1);
}

/* shoal_topic_tryreceive never waits: SHOAL_EBUSY if there is no record. */
static inline int shoal_topic_tryreceive(struct shoal_topic_subscriber *s, void *p, size_t size, size_t *n)
{
	return shoal_topic_receive_for(s, p, size, n, 0);
}

/* shoal_topic_receive_batch waits for a record, and copies as many as are there, at
 * most count, each to a place of size bytes, one behind the other; lengths says how
 * long each is, unless it is NULL. They are released together. *received says how many
 * there were: at least one, unless count is 0 or there is an error, which comes behind
 * them. */
static inline int shoal_topic_receive_batch(struct shoal_topic_subscriber *s, void *p, size_t size, size_t count,
                                            size_t *lengths, size_t *received, int64_t timeout)
{
	const void *record;
	size_t n;
	int err = 0;

	*received = 0;
	while (*received < count) {
		err = shoal_topic_peek_for(s, &record, &n, *received == 0 ? timeout : 0);
		if (err == 0 && n > size) {
			err = -EMSGSIZE;
			if (lengths != NULL)
				lengths[*received] = n;
		}
		if (err < 0)
			break;
		if (n > 0)
			memcpy((unsigned char *)p + *received * size, record, n);
		if (lengths != NULL)
			lengths[*received] = n;
		shoal_topic_skip_(s);
		++*received;
	}
	if (shoal_topic_subscribes_(s) && s->sources[s->at].unsaid)
		shoal_topic_source_release_(&s->sources[s->at]);
	return err == SHOAL_EBUSY && *received > 0 ? 0 : err;
}

/* shoal_topic_last says which record the last one was that was received, or peeked at;
 * after SHOAL_EMISSED, which one is the first that is there again. */
static inline struct shoal_topic_info shoal_topic_last(const struct shoal_topic_subscriber *s) { return s->last; }

/* shoal_topic_missed is how many records the last SHOAL_EMISSED has told of. */
static inline uint64_t shoal_topic_missed(const struct shoal_topic_subscriber *s) { return s->missed; }

/* shoal_topic_reliable reports whether publishers wait for the subscriber: 1 or 0. One
 * that was dropped stays lossy, until it is closed and, if it has a name, subscribed to
 * again. */
static inline int shoal_topic_reliable(const struct shoal_topic_subscriber *s)
{
	return shoal_topic_subscribes_(s) ? (shoal_load64_(&s->topic->places[s->place]) & SHOAL_SUB_RELIABLE) != 0
	                                  : shoal_topic_not_subscribing_(s);
}

/* Ends the subscription. The gate is held, and nobody is inside. */
static inline void shoal_topic_subscriber_end_(struct shoal_topic_subscriber *s)
{
	struct shoal_topic *t = s->topic;

	if (!s->open)
		return;
	s->open = false;
	if (s->newer != NULL)
		s->newer->older = s->older;
	else
		t->subscribers = s->older;
	if (s->older != NULL)
		s->older->newer = s->newer;
	s->newer = s->older = NULL;
	shoal_topic_release_all_(s);
	shoal_topic_rest_(s);
	shoal_topic_quit_(t, s->place);
	free(s->sources);
	free(s->copy);
	s->sources = NULL;
	s->copy = NULL;
}

/* shoal_topic_subscriber_close ends the subscription; one with a name stays, without a
 * process. What was peeked at and not skipped is not released. A thread that waits in
 * the subscriber returns SHOAL_ECLOSED first; none may be in it otherwise. Closing again
 * does nothing. */
static inline void shoal_topic_subscriber_close(struct shoal_topic_subscriber *s)
{
	struct shoal_topic *t = s->topic;

	if (t == NULL || !s->open)
		return;
	if (shoal_begin_(&t->object.members) < 0) { /* it is being closed with the topic, or is our parent's */
		if (!shoal_here_(&t->object.members)) {
			s->open = false;
			free(s->sources);
			free(s->copy);
			s->sources = NULL;
			s->copy = NULL;
		}
		return;
	}
	shoal_topic_shut_(t, &s->closing, &s->busy);
	shoal_gate_enter_(&t->gate);
	shoal_topic_subscriber_end_(s);
	shoal_gate_leave_(&t->gate);
	shoal_end_(&t->object.members);
}

/* shoal_topic_forget ends the subscription of a name: publishers do not wait for it any
 * more. SHOAL_EBUSY if a live process has it, -ENOENT if there is none. */
static inline int shoal_topic_forget(struct shoal_topic *t, const char *name)
{
	uint64_t words[2], word;
	uint32_t i;
	int err;

	if (!shoal_topic_pack_(name, words))
		return -EINVAL;
	err = shoal_begin_(&t->object.members);
	if (err < 0)
		return err;
	do {
		err = shoal_topic_find_name_(t, words, UINT32_MAX, &i, &word);
		if (err == 0)
			err = -ENOENT;
		if (err > 0 && shoal_owner_of_(word) != 0)
			err = shoal_because_(&t->object.members, SHOAL_EBUSY, "process %u has its subscription \"%s\"",
			                     shoal_topic_process_(t, shoal_owner_of_(word)), name);
	} while (err > 0 && !shoal_cas64_(&t->places[i], word, 0));
	if (err > 0)
		shoal_topic_room_for_all_(t);
	shoal_end_(&t->object.members);
	return err > 0 ? 0 : err;
}

/* ------------------------------------------------- Looking at a topic */

/* The state of a topic. */
struct shoal_topic_stats {
	struct shoal_stats members;
	uint32_t max_publishers, max_subscribers;
	uint32_t used_lanes, used_places; /* that have ever had one: numbers of publishers and subscribers are below */
	uint32_t policy;
	uint64_t lane_size, max_record;
};

/* That of a lane, and counters since the topic was made: of all publishers that it has
 * had. */
struct shoal_topic_publisher_stats {
	uint32_t pid; /* of who has it, in its own pid namespace; 0: nobody */
	bool alive;   /* else it has died, and nobody has taken over yet */
	uint64_t sent, sent_bytes;
	uint64_t full;       /* times that there was no room */
	uint64_t blocked;    /* nanoseconds spent waiting for it */
	uint64_t high_water; /* most bytes that a reliable subscriber was behind, as seen once a round */
	uint64_t wakes;      /* times that it has woken subscribers */
	uint64_t lost_wakes;
	uint64_t repairs; /* times that it was taken over from the dead */
	uint64_t last;    /* activity, to an eighth of the lane, nanoseconds since 1970; 0: never */
};

/* That of a subscription, and counters since it was made. */
struct shoal_topic_subscriber_stats {
	uint32_t pid; /* 0: it has a name, and no process */
	bool alive, reliable, dropped, joining, named;
	char name[SHOAL_TOPIC_NAME_MAX + 1];
	uint64_t received, received_bytes;
	uint64_t missed, lapped; /* records that were overwritten before they were read; how often that was */
	uint64_t lag;            /* records that are there, and not released */
	uint64_t drops;          /* times that publishers gave up waiting for it */
	uint64_t blocked;        /* nanoseconds spent asleep */
	uint64_t wakes;          /* times that it has woken publishers, and others who slept beside it */
	uint64_t lost_wakes;
	uint64_t repairs; /* times that its place was taken back from the dead; of all its subscriptions */
	uint64_t joined, last;
	uint32_t latency[SHOAL_LATENCY_BUCKETS]; /* as in struct shoal_ring_stats */
};

/* shoal_topic_stats, and those of a publisher's lane and of a subscriber's place, read
 * what changes meanwhile: counters need not agree with one another. */
static inline int shoal_topic_stats(struct shoal_topic *t, struct shoal_topic_stats *s)
{
	int err;

	memset(s, 0, sizeof *s);
	err = shoal_members_stats(&t->object.members, &s->members);
	if (err == 0)
		err = shoal_begin_(&t->object.members);
	if (err < 0)
		return err;
	s->max_publishers = t->lanes;
	s->max_subscribers = t->count;
	s->used_lanes = shoal_topic_used_lanes_(t);
	s->used_places = shoal_topic_used_places_(t);
	s->policy = t->policy;
	s->lane_size = t->lane_size;
	s->max_record = t->limit;
	shoal_end_(&t->object.members);
	return 0;
}

/* Who an owner is, if it has not been buried. */
static inline void shoal_topic_owner_(struct shoal_topic *t, uint64_t owner, uint32_t *pid, bool *alive)
{
	struct shoal_members *m = &t->object.members;
	uint32_t slot = (uint32_t)shoal_owner_slot_(owner);

	*pid = 0;
	*alive = false;
	if (owner == 0 || shoal_current_(m, owner) != 1)
		return;
	*pid = shoal_load32_(&m->slots[slot].pid);
	*alive = slot == m->slot || shoal_byte_taken_(m->lock_fd, shoal_lock_at_(m, slot));
}

/* shoal_topic_publisher_stats: see shoal_topic_stats. -EINVAL if there is no lane of
 * that number. */
static inline int shoal_topic_publisher_stats(struct shoal_topic *t, uint32_t lane,
                                              struct shoal_topic_publisher_stats *s)
{
	const struct shoal_format_lane *c;
	int err = shoal_begin_(&t->object.members);

	memset(s, 0, sizeof *s);
	if (err < 0)
		return err;
	if (lane >= t->lanes)
		err = -EINVAL;
	else {
		c = &t->control[lane];
		shoal_topic_owner_(t, shoal_owner_of_(shoal_load64_(&c->owner)), &s->pid, &s->alive);
		s->sent = shoal_load64_(&c->messages);
		s->sent_bytes = shoal_load64_(&c->bytes);
		s->full = shoal_load64_(&c->full);
		s->blocked = shoal_load64_(&c->blocked);
		s->high_water = shoal_load64_(&c->high_water);
		s->wakes = shoal_load64_(&c->wakes);
		s->lost_wakes = shoal_load64_(&c->lost_wakes);
		s->repairs = shoal_load64_(&c->repairs);
		s->last = shoal_load64_(&c->active);
	}
	shoal_end_(&t->object.members);
	return err;
}

/* shoal_topic_subscriber_stats: see shoal_topic_stats. 1, or 0 if nobody has the place
 * of that number, which is below max_subscribers: else -EINVAL. */
static inline int shoal_topic_subscriber_stats(struct shoal_topic *t, uint32_t place,
                                               struct shoal_topic_subscriber_stats *s)
{
	const struct shoal_format_subscriber *row;
	const struct shoal_format_cursor *c;
	uint64_t word, number, sent, name[2];
	uint32_t i;
	int err = shoal_begin_(&t->object.members);

	memset(s, 0, sizeof *s);
	if (err < 0)
		return err;
	word = place < t->count ? shoal_load64_(&t->places[place]) : 0;
	err = place < t->count ? word != 0 : -EINVAL;
	if (err == 1) {
		row = &t->rows[place];
		shoal_topic_owner_(t, shoal_owner_of_(word), &s->pid, &s->alive);
		s->reliable = (word & SHOAL_SUB_RELIABLE) != 0;
		s->dropped = (word & SHOAL_SUB_DROPPED) != 0;
		s->joining = (word & SHOAL_SUB_JOINING) != 0;
		s->named = (word & SHOAL_SUB_NAMED) != 0;
		if (s->named) {
			name[0] = shoal_load64_(&row->name[0]);
			name[1] = shoal_load64_(&row->name[1]);
			memcpy(s->name, name, sizeof name);
		}
		s->drops = shoal_load64_(&row->drops);
		s->blocked = shoal_load64_(&row->blocked);
		s->wakes = shoal_load64_(&row->wakes);
		s->lost_wakes = shoal_load64_(&row->lost_wakes);
		s->repairs = shoal_load64_(&row->repairs);
		s->joined = shoal_load64_(&row->joined);
		for (i = 0; i < SHOAL_LATENCY_BUCKETS; i++)
			s->latency[i] = shoal_load32_(&row->latency.buckets[i]);
		for (i = 0; i < shoal_topic_used_lanes_(t); i++) {
			c = shoal_topic_cursor_(t, i, place);
			sent = shoal_load64_(&t->control[i].messages); /* before: it only grows */
			number = shoal_load64_(&c->messages) + shoal_load64_(&c->missed);
			s->received += shoal_load64_(&c->messages);
			s->received_bytes += shoal_load64_(&c->bytes);
			s->missed += shoal_load64_(&c->missed);
			s->lapped += shoal_load64_(&c->lapped);
			s->wakes += shoal_load64_(&c->wakes);
			number += shoal_load64_(&c->flags);
			s->lag += sent > number ? sent - number : 0;
			s->last = shoal_load64_(&c->active) > s->last ? shoal_load64_(&c->active) : s->last;
		}
	}
	shoal_end_(&t->object.members);
	return err;
}

/* Reads a lane from a position on, at which a record or the end stands. */
static inline int shoal_topic_check_lane_(const struct shoal_lane_ *l, uint64_t from)
{
	struct shoal_format_mark last, walk, end;
	uint64_t before = shoal_load64_(&l->control->claim), after; /* claims grow with the marks */
	int err = shoal_lane_last_mark_(l, &last);

	if (err < 0)
		return err;
	after = shoal_load64_(&l->control->claim);
	if (from % 8 != 0 || (from > last.position ? from - last.position : last.position - from) > l->size ||
	    before > last.position + l->size || after < last.position)
		return shoal_because_(l->members, SHOAL_ECORRUPT,
		                      "lane %u: read from %llu, last mark at %llu, claimed %llu", l->number, (unsigned long long)from,
		                      (unsigned long long)last.position, (unsigned long long)after);
	walk.position = from;
	walk.number = 0;
	return shoal_lane_walk_(l, walk, UINT64_MAX, UINT64_MAX, &end);
}

/* Finds a cursor at which no record begins, or that lies further back than the lane is
 * long. */
static inline int shoal_topic_check_cursor_(const struct shoal_lane_ *l, uint64_t position)
{
	struct shoal_format_mark last;
	uint64_t number;
	int err = shoal_lane_last_mark_(l, &last);

	if (err < 0)
		return err;
	if (last.position > position && last.position - position > l->size)
		return shoal_because_(l->members, SHOAL_ECORRUPT, "lane %u: cursor at position %llu, last mark at %llu", l->number,
		                      (unsigned long long)position, (unsigned long long)last.position);
	return shoal_lane_number_of_(l, position, &number);
}

/* Checks a lane from its oldest mark, and from each cursor that publishers wait for.
 * What is found counts if what was looked at has stood still meanwhile. */
SHOAL_SLOW_ int shoal_topic_check_in_(struct shoal_topic *t, uint32_t lane)
{
	struct shoal_lane_ l = shoal_topic_lane_(t, lane);
	struct shoal_format_mark m;
	uint64_t word, position, seen = UINT64_MAX;
	uint32_t i;
	int err = 0, round;
	bool still = false;

	for (round = 0; round < 1000 && !still; round++) {
		err = shoal_lane_first_mark_(&l, &m);
		if (err < 0)
			return err;
		err = shoal_topic_check_lane_(&l, m.position);
		still = err == 0 || shoal_lane_intact_(&l, m.position);
	}
	for (i = 0; i < shoal_topic_used_places_(t) && err == 0; i++) {
		for (still = false, round = 0; round < 1000 && !still; round++) {
			word = shoal_load64_(&t->places[i]);
			position = shoal_load64_(&shoal_topic_cursor_(t, lane, i)->position);
			if ((word & SHOAL_SUB_RELIABLE) == 0 || (word & SHOAL_SUB_JOINING) != 0 || position == seen) {
				err = 0;
				still = true;
				break;
			}
			err = shoal_topic_check_cursor_(&l, position);
			seen = err == 0 ? position : seen;
			still = err == 0 || (shoal_load64_(&t->places[i]) == word &&
			                     shoal_load64_(&shoal_topic_cursor_(t, lane, i)->position) == position);
		}
	}
	if (still || err == 0)
		return err;
	return shoal_because_(&t->object.members, SHOAL_EBUSY, "lane %u is used so fast that it cannot be looked at", lane);
}

SHOAL_SLOW_ int shoal_topic_check_places_(struct shoal_topic *t)
{
	struct shoal_members *m = &t->object.members;
	const uint64_t settled = SHOAL_SUB_NAMED | SHOAL_SUB_JOINING;
	uint64_t word, name[2];
	uint32_t i, k;

	if (shoal_load32_(&t->head->used_lanes) > t->lanes || shoal_load32_(&t->head->used_places) > t->count)
		return shoal_because_(m, SHOAL_ECORRUPT, "used are %u lanes of %u, %u places of %u",
		                      shoal_load32_(&t->head->used_lanes), t->lanes, shoal_load32_(&t->head->used_places), t->count);
	for (i = 0; i < t->count; i++) {
		word = shoal_load64_(&t->places[i]);
		if (!shoal_topic_legal_(word) || (shoal_owner_of_(word) != 0 && shoal_current_(m, shoal_owner_of_(word)) < 0))
			return shoal_topic_impossible_(t, i, word);
		if (word != 0 && i >= shoal_topic_used_places_(t)) /* which is raised before a place is taken */
			return shoal_because_(m, SHOAL_ECORRUPT, "place %u is %#llx, and used are %u", i, (unsigned long long)word,
			                      shoal_topic_used_places_(t));
		if ((word & settled) != SHOAL_SUB_NAMED)
			continue;
		name[0] = shoal_load64_(&t->rows[i].name[0]);
		name[1] = shoal_load64_(&t->rows[i].name[1]);
		for (k = i + 1; k < shoal_topic_used_places_(t); k++)
			if ((shoal_load64_(&t->places[k]) & settled) == SHOAL_SUB_NAMED && shoal_load64_(&t->rows[k].name[0]) == name[0] &&
			    shoal_load64_(&t->rows[k].name[1]) == name[1] && shoal_load64_(&t->places[i]) == word &&
			    (shoal_load64_(&t->places[k]) & settled) == SHOAL_SUB_NAMED)
				return shoal_because_(m, SHOAL_ECORRUPT, "subscribers %u and %u have the same name", i, k);
	}
	return 0;
}

/* shoal_topic_check returns SHOAL_ECORRUPT for what no sequence of operations and deaths
 * leads to, and shoal_topic_why says where it is. It changes nothing, and may be called
 * while the topic is in use: SHOAL_EBUSY if that was always faster. */
static inline int shoal_topic_check(struct shoal_topic *t)
{
	struct shoal_members *m = &t->object.members;
	uint64_t word;
	uint32_t i;
	int err = shoal_begin_(m);

	if (err < 0)
		return err;
	err = shoal_topic_check_places_(t);
	for (i = 0; i < t->lanes && err == 0; i++) {
		word = shoal_load64_(&t->control[i].owner);
		if (word != 0 && ((word & 0xffff) != 0 || shoal_current_(m, word) < 0))
			err = shoal_because_(m, SHOAL_ECORRUPT, "owner of its lane %u is %#llx, which is impossible", i,
			                     (unsigned long long)word);
		if (err == 0)
			err = shoal_topic_check_in_(t, i);
	}
	shoal_end_(m);
	return err;
}

/* shoal_topic_repair takes back what processes that have died had of the topic, and
 * returns how many lanes and places that were. It is never necessary: who needs them
 * does the same. */
static inline int shoal_topic_repair(struct shoal_topic *t)
{
	struct shoal_members *m = &t->object.members;
	uint64_t word;
	uint32_t i;
	int repaired = 0, err = shoal_begin_(m), current;

	if (err < 0)
		return err;
	for (i = 0; i < t->lanes && err == 0; i++) {
		word = shoal_load64_(&t->control[i].owner);
		if (word == 0)
			continue;
		current = (word & 0xffff) != 0 ? SHOAL_ECORRUPT : shoal_settle_(m, word);
		if (current < 0)
			err = shoal_because_(m, SHOAL_ECORRUPT, "owner of its lane %u is %#llx, which is impossible", i,
			                     (unsigned long long)word);
		else if (current == 0 && shoal_cas64_(&t->control[i].owner, word, 0)) {
			shoal_repaired_(m);
			shoal_add64_(&t->control[i].repairs, 1);
			repaired++;
		}
	}
	for (i = 0; i < shoal_topic_used_places_(t) && err >= 0; i++) {
		err = shoal_topic_settle_(t, i, &word);
		repaired += err > 0;
	}
	if (repaired > 0)
		shoal_topic_room_for_all_(t);
	shoal_end_(m);
	return err < 0 ? err : repaired;
}

/* shoal_topic_close closes the publishers and subscribers that are open here, and ends
 * the use of the topic: see shoal_close. Threads that wait return SHOAL_ECLOSED first. */
static inline void shoal_topic_close(struct shoal_topic *t)
{
	struct shoal_members *m = &t->object.members;

	if (shoal_here_(m)) {
		/* Pairs with the looks of who waits, who has counted itself as busy before. */
		shoal_topic_shut_(t, &t->closing, &m->busy);
		shoal_gate_enter_(&t->gate);
		while (t->publishers != NULL)
			shoal_topic_publisher_end_(t->publishers);
		while (t->subscribers != NULL)
			shoal_topic_subscriber_end_(t->subscribers);
		shoal_gate_leave_(&t->gate);
	}
	shoal_close(&t->object);
}

#ifdef __cplusplus
}
#endif

#endif /* SHOAL_H */
