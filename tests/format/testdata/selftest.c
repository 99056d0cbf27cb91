/*
 * selftest tries include/shoal.h within one program: threads, fork, damage. It is
 * compiled with every compiler and every sanitizer that there is. Its arguments are
 * the prefix of the names that it may use, and "nofork" where a child made by fork
 * can start no threads: under an emulator.
 */
#define _DEFAULT_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shoal.h"

static int failures;
static bool emulated; /* "nofork" */
static const char *prefix;

#define EXPECT(what, want) expect(__LINE__, #what, (what), (want))

static void expect(int line, const char *what, long have, long want)
{
	if (have == want)
		return;
	failures++;
	printf("line %d: %s is %ld (%s); want %ld\n", line, what, have, shoal_strerror((int)have), want);
}

static const char *name(const char *suffix)
{
	static char text[4][300];
	static unsigned turn;
	char *t = text[turn++ % 4];

	snprintf(t, sizeof text[0], "%s%s", prefix, suffix);
	return t;
}

/* ------------------------------------------------------------- threads */

#define THREADS 4
#define ROUNDS 5000

static struct shoal_mutex mutex;
static struct shoal_event bell;
static struct shoal_semaphore semaphore;
static long counted;

static void *count(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < ROUNDS; i++) {
		EXPECT(shoal_mutex_lock(&mutex), 0);
		counted++; /* ThreadSanitizer sees what the mutex is worth */
		EXPECT(shoal_mutex_unlock(&mutex), 0);
	}
	return NULL;
}

static void *produce(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < ROUNDS; i++)
		EXPECT(shoal_semaphore_release(&semaphore), 0);
	return NULL;
}

static void *consume(void *unused)
{
	int i;

	(void)unused;
	for (i = 0; i < ROUNDS; i++)
		EXPECT(shoal_semaphore_acquire(&semaphore), 0);
	return NULL;
}

static void *wait_closed(void *unused)
{
	(void)unused;
	EXPECT(shoal_event_wait(&bell), SHOAL_ECLOSED);
	return NULL;
}

static void crew(void *(*odd)(void *), void *(*even)(void *))
{
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, i % 2 == 0 ? even : odd, NULL);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void test_threads(void)
{
	struct shoal_stats stats;
	pthread_t waiter;

	EXPECT(shoal_mutex_open(&mutex, name("mutex"), NULL), 0);
	crew(count, count);
	EXPECT(counted, (long)THREADS * ROUNDS);
	EXPECT(shoal_mutex_check(&mutex), 0);
	EXPECT(shoal_mutex_stats(&mutex, &stats), 0);
	/* An emulator may keep a thread from its wake for longer than the other one sleeps. */
	EXPECT(emulated ? 0 : (long)stats.lost_wakes, 0);
	shoal_mutex_close(&mutex);
	EXPECT(shoal_mutex_lock(&mutex), SHOAL_ECLOSED);
	EXPECT(shoal_mutex_unlock(&mutex), SHOAL_ECLOSED);
	shoal_mutex_close(&mutex);
	EXPECT(shoal_remove(name("mutex")), 0);

	EXPECT(shoal_semaphore_open(&semaphore, name("semaphore"), 0, false, NULL), 0);
	crew(produce, consume);
	EXPECT(shoal_semaphore_value(&semaphore), 0);
	EXPECT(shoal_semaphore_stats(&semaphore, &stats), 0);
	EXPECT(emulated ? 0 : (long)stats.lost_wakes, 0);
	shoal_semaphore_close(&semaphore);
	EXPECT(shoal_remove(name("semaphore")), 0);

	EXPECT(shoal_event_open(&bell, name("event"), true, NULL), 0);
	pthread_create(&waiter, NULL, wait_closed, NULL);
	while ((shoal_load32_(bell.state) & SHOAL_EVENT_SLEEPS) == 0)
		shoal_nap_(100000);
	shoal_event_close(&bell); /* sends the waiter away */
	pthread_join(waiter, NULL);
	EXPECT(shoal_event_set(&bell), SHOAL_ECLOSED);
	EXPECT(shoal_remove(name("event")), 0);
}

/* ---------------------------------------------------------------- fork */

static int in_child(int (*f)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(f());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* A child is no member: it is told so, and joins anew. */
static int child_joins(void)
{
	static struct shoal_mutex again;

	failures = 0;
	EXPECT(shoal_mutex_lock(&mutex), SHOAL_EFORK);
	EXPECT(shoal_mutex_trylock(&mutex), SHOAL_EFORK);
	EXPECT(shoal_mutex_unlock(&mutex), SHOAL_EFORK);
	EXPECT(shoal_mutex_open(&again, name("mutex"), NULL), 0);
	EXPECT(shoal_mutex_trylock(&again), SHOAL_EBUSY); /* the parent has it */
	EXPECT(shoal_mutex_lock(&mutex), SHOAL_EFORK);    /* a keeper of our own makes no difference */
	shoal_mutex_close(&mutex);                        /* changes nothing that is shared */
	EXPECT(shoal_mutex_lock(&mutex), SHOAL_ECLOSED);
	EXPECT(shoal_mutex_trylock(&again), SHOAL_EBUSY);
	shoal_mutex_close(&again);
	return failures;
}

static int pipes[2];

/* Locks, leaves a child of its own that lives on, and dies. */
static int child_dies_with_heir(void)
{
	static struct shoal_mutex mine;
	char c;

	failures = 0;
	EXPECT(shoal_mutex_open(&mine, name("mutex"), NULL), 0);
	EXPECT(shoal_mutex_lock(&mine), 0);
	if (fork() == 0) {
		close(pipes[1]);
		while (read(pipes[0], &c, 1) > 0)
			;
		_exit(0);
	}
	return failures;
}

static void test_fork(void)
{
	struct shoal_stats stats;

	EXPECT(shoal_mutex_open(&mutex, name("mutex"), NULL), 0);
	EXPECT(shoal_mutex_lock(&mutex), 0);
	EXPECT(in_child(child_joins), 0);
	EXPECT(shoal_mutex_trylock(&mutex), SHOAL_EBUSY);
	EXPECT(shoal_mutex_unlock(&mutex), 0);
	EXPECT(shoal_mutex_stats(&mutex, &stats), 0);
	EXPECT((long)stats.members, 1);
	EXPECT((long)stats.deaths, 0);

	if (pipe(pipes) != 0)
		failures++;
	EXPECT(in_child(child_dies_with_heir), 0);
	EXPECT(shoal_mutex_lock_for(&mutex, INT64_C(10000000000)), SHOAL_EOWNERDEAD); /* though a child of the owner lives */
	EXPECT(shoal_mutex_mark_consistent(&mutex), 0);
	EXPECT(shoal_mutex_unlock(&mutex), 0);
	close(pipes[1]);
	close(pipes[0]);
	shoal_mutex_close(&mutex);
	EXPECT(shoal_remove(name("mutex")), 0);
}

/* -------------------------------------------------------------- damage */

/* Everything that can be said of an object without waiting. */
static void try_all(const char *file)
{
	struct shoal_mutex mu;
	struct shoal_event e;
	struct shoal_semaphore s;
	struct shoal o;
	struct shoal_stats stats;

	if (shoal_mutex_open(&mu, file, NULL) == 0) {
		shoal_mutex_check(&mu);
		if (shoal_mutex_lock_for(&mu, 1000) == SHOAL_EOWNERDEAD)
			shoal_mutex_mark_consistent(&mu);
		shoal_mutex_unlock(&mu);
		shoal_mutex_stats(&mu, &stats);
		shoal_mutex_close(&mu);
	}
	if (shoal_event_open(&e, file, true, NULL) == 0) {
		shoal_event_set(&e);
		shoal_event_wait_for(&e, 1000);
		shoal_event_close(&e);
	}
	if (shoal_semaphore_open(&s, file, 3, true, NULL) == 0) {
		shoal_semaphore_check(&s);
		shoal_semaphore_value(&s);
		if (shoal_semaphore_acquire_for(&s, 1000) == 0)
			shoal_semaphore_release(&s);
		shoal_semaphore_close(&s);
	}
	if (shoal_open(&o, file, NULL) == 0)
		shoal_close(&o);
}

static void write_file(const char *path, const unsigned char *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(bytes, 1, n, f) != n)
		failures++;
	if (f != NULL)
		fclose(f);
}

/* Every byte of an object takes values that mean harm; and it ends everywhere. */
static void damage(const char *file)
{
	static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	unsigned char bytes[4096], was;
	const char *path = file + strlen("file:");
	size_t n, i, v;
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		failures++;
		return;
	}
	n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	for (i = 0; i < n; i++)
		for (v = 0; v < sizeof values; v++) {
			was = bytes[i];
			bytes[i] = values[v];
			write_file(path, bytes, n);
			try_all(file);
			bytes[i] = was;
		}
	for (i = 0; i < n; i += 8) {
		write_file(path, bytes, i);
		try_all(file);
	}
}

/* Everything that can be done with a ring without waiting. */
static void try_ring(const char *file)
{
	static struct shoal_ring r;
	static unsigned char record[4096];
	struct shoal_ring_stats stats;
	const void *p;
	void *place;
	size_t n;
	int i;

	if (shoal_ring_open(&r, file, NULL) < 0)
		return;
	shoal_ring_check(&r);
	shoal_ring_stats(&r, &stats);
	shoal_ring_repair(&r);
	if (shoal_ring_reader(&r) == 0) {
		if (shoal_ring_peek_for(&r, &p, &n, 100) == 0 && n > 0)
			memcpy(record, p, n); /* a sanitizer sees what lies outside */
		for (i = 0; i < 10 && shoal_ring_tryreceive(&r, record, sizeof record, &n) == 0; i++)
			;
	}
	if (shoal_ring_writer(&r) == 0) {
		for (i = 0; i < 10 && shoal_ring_trysend(&r, record, r.fixed != UINT64_MAX ? r.fixed : 300); i++)
			;
		if (shoal_ring_reserve(&r, &place, (size_t)r.limit, 100) == 0) {
			memset(place, 1, (size_t)r.limit);
			shoal_ring_commit(&r, (size_t)r.limit);
		}
		shoal_ring_trysend(&r, record, 0);
	}
	for (i = 0; i < 10 && shoal_ring_trypeek(&r, &p, &n) == 0; i++) {
		if (n > 0 && n <= sizeof record)
			memcpy(record, p, n);
		shoal_ring_skip(&r);
	}
	shoal_ring_check(&r);
	shoal_ring_close(&r);
}

/* Bytes of a ring that mean something, and random words all over it. */
static void damage_ring(const char *file, int rounds)
{
	static const unsigned char values[] = {0x01, 0x7f, 0x80, 0xff};
	static unsigned char good[16384], bad[16384];
	const char *path = file + strlen("file:");
	FILE *f = fopen(path, "rb");
	uint64_t seed = 1, word;
	size_t n, i, at, body, v;
	int round;

	if (f == NULL) {
		failures++;
		return;
	}
	n = fread(good, 1, sizeof good, f);
	fclose(f);
	body = (size_t)((struct shoal_format_header *)(void *)good)->body;
	if (body + sizeof(struct shoal_format_ring) + 4096 > n) {
		failures++;
		return;
	}
	memcpy(bad, good, n);
	for (i = 0; i < body + 1536 + 200; i += rounds < 1000 ? 9 : 1) {
		at = i < body ? SIZE_MAX : i - body;
		if ((at >= 8 && at < 128) || (at >= 128 + 96 && at < 256 + 64) || (at >= 512 + 8 && at < 768) ||
		    (at >= 768 + 96 && at < 1536 && at != SIZE_MAX))
			continue; /* counters, unused */
		for (v = 0; v < sizeof values; v++) {
			bad[i] = values[v];
			write_file(path, bad, n);
			try_ring(file);
		}
		bad[i] = good[i];
	}
	for (round = 0; round < rounds; round++) {
		memcpy(bad, good, n);
		for (v = 0; v < 3; v++) {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			at = body + (size_t)(seed >> 33) % ((v == 0 ? 1536 : 6 * 8) / 8) * 8 + (v == 0 ? 0 : 1536);
			word = seed >> (seed >> 40 & 63);
			if ((seed & 1) != 0)
				word &= ~UINT64_C(7);
			if (v > 0 && (seed & 6) != 0)
				word |= SHOAL_RECORD_THERE;
			memcpy(bad + at, &word, 8);
		}
		write_file(path, bad, n);
		try_ring(file);
	}
	for (i = 0; i < n; i += 128) { /* it ends early */
		write_file(path, good, i);
		try_ring(file);
	}
}

static void test_damaged_rings(int rounds)
{
	static const char *const types[] = {NULL, "shoal schema 1\n[300]char\n"};
	static struct shoal_ring r;
	static unsigned char record[2048];
	struct shoal_ring_options options = {4096, 0, NULL, 2, NULL};
	char file[300];
	size_t n, i, k;

	snprintf(file, sizeof file, "file:/dev/shm/%s", name("damaged"));
	for (i = 0; i < 2; i++) {
		options.schema = types[i];
		EXPECT(shoal_ring_open_or_create(&r, file, &options), 1);
		EXPECT(shoal_ring_writer(&r), 0);
		EXPECT(shoal_ring_reader(&r), 0);
		for (k = 0; k < 12; k++)
			EXPECT(shoal_ring_trysend(&r, record, 300), 0);
		for (k = 0; k < 9; k++)
			EXPECT(shoal_ring_tryreceive(&r, record, sizeof record, &n), 0);
		for (k = 0; k < 4; k++) /* beyond the end, behind a pad */
			EXPECT(shoal_ring_trysend(&r, record, 300), 0);
		EXPECT(shoal_ring_check(&r), 0);
		shoal_ring_close(&r);
		damage_ring(file, rounds);
		unlink(file + strlen("file:"));
	}
}

static void test_damage(void)
{
	struct shoal_options few = {0600, NULL, 2};
	char file[300];

	snprintf(file, sizeof file, "file:/dev/shm/%s", name("damaged"));
	EXPECT(shoal_mutex_open(&mutex, file, &few), 0);
	shoal_mutex_close(&mutex);
	damage(file);
	unlink(file + strlen("file:"));
	EXPECT(shoal_event_open(&bell, file, true, &few), 0);
	shoal_event_close(&bell);
	damage(file);
	unlink(file + strlen("file:"));
	EXPECT(shoal_semaphore_open(&semaphore, file, 3, true, &few), 0);
	shoal_semaphore_close(&semaphore);
	damage(file);
	unlink(file + strlen("file:"));
}

/* ------------------------------------------------------------- objects */

/* A higher minor version opens, another major one does not. */
static void test_versions(struct shoal *o)
{
	uint32_t *version = &((struct shoal_format_header *)(void *)o->segment.base)->version;
	struct shoal other;

	*version = SHOAL_MAJOR << 16 | (SHOAL_MINOR + 1);
	EXPECT(shoal_open(&other, name("ticks"), NULL), 0);
	shoal_close(&other);
	*version = (SHOAL_MAJOR + 1) << 16;
	EXPECT(shoal_open(&other, name("ticks"), NULL), SHOAL_EVERSION);
	EXPECT((long)(strstr(shoal_why(&other), "version 2.0") != NULL), 1);
	*version = SHOAL_MAJOR << 16 | SHOAL_MINOR;
	o->members.head = (struct shoal_format_members *)(void *)(o->segment.base + 64);
	o->members.head->version = (SHOAL_MAJOR + 1) << 16;
	EXPECT(shoal_open(&other, name("ticks"), NULL), 0);
	EXPECT(shoal_join(&other, 0), SHOAL_EVERSION);
	shoal_close(&other);
	o->members.head->version = SHOAL_MAJOR << 16 | (SHOAL_MINOR + 1);
}

static void test_objects(void)
{
	static const char tick[] = "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price float64\n}\n";
	static const char tock[] = "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price int64\n}\n";
	struct shoal_spec spec;
	struct shoal o, other;
	struct stat st;
	mode_t mask = umask(077);
	char path[300];
	int err;

	memset(&spec, 0, sizeof spec);
	spec.kind = SHOAL_KIND_RING;
	spec.size = 100000;
	spec.schema = tick;
	spec.mode = 0666;
	EXPECT(shoal_create(&o, name("ticks"), &spec), 0);
	umask(mask);
	snprintf(path, sizeof path, "/dev/shm/shoal.%s", name("ticks"));
	EXPECT(stat(path, &st), 0);
	EXPECT((long)(st.st_mode & 0777), 0666);
	EXPECT((long)shoal_body_size(&o), 100000);
	EXPECT(shoal_create(&other, name("ticks"), &spec), -EEXIST);
	EXPECT(shoal_open(&other, name("ticks"), &spec), 0);
	shoal_close(&other);
	spec.size = (uint64_t)1 << 40; /* more than there is */
	err = shoal_create(&other, name("large"), &spec);
	EXPECT((long)(err == -ENOSPC || err == -ENOMEM), 1);
	EXPECT(shoal_open(&other, name("large"), NULL), -ENOENT);
	spec.size = 0;
	spec.slots = SHOAL_MAX_SLOTS + 1;
	EXPECT(shoal_create(&other, name("large"), &spec), -EINVAL);
	spec.slots = 0;
	spec.schema = tock;
	EXPECT(shoal_open(&other, name("ticks"), &spec), SHOAL_ETYPE);
	if (strstr(shoal_why(&other), "line 4") == NULL || strstr(shoal_why(&other), "price int64") == NULL) {
		failures++;
		printf("why: %s\n", shoal_why(&other));
	}
	spec.schema = NULL;
	spec.kind = SHOAL_KIND_MUTEX;
	EXPECT(shoal_open(&other, name("ticks"), &spec), SHOAL_EKIND);
	spec.kind = 0;
	spec.read_only = true;
	EXPECT(shoal_open(&other, name("ticks"), &spec), 0);
	EXPECT(shoal_join(&other, 0), -EACCES);
	shoal_close(&other);
	test_versions(&o);
	EXPECT(shoal_join(&o, 7), 0);
	EXPECT(shoal_join(&o, 7), -EALREADY);
	EXPECT((long)o.members.slots[o.members.slot].role, 7);
	EXPECT((long)o.members.slots[o.members.slot].pid, (long)getpid());
	shoal_close(&o);
	EXPECT(shoal_open(&other, name("ticks/"), NULL), -EINVAL);
	EXPECT(shoal_open(&other, "", NULL), -EINVAL);
	EXPECT(shoal_open(&other, "sysv:0", NULL), -EINVAL);
	EXPECT(shoal_open(&other, "memfd:x", NULL), -EINVAL);
	EXPECT(shoal_remove(name("ticks")), 0);
	EXPECT(shoal_remove(name("ticks")), -ENOENT);
	EXPECT((long)(shoal_fingerprint("", 0) == UINT64_C(0xcbf29ce484222325)), 1);
	EXPECT((long)(shoal_fingerprint("a", 1) == UINT64_C(0xaf63dc4c8601ec8c)), 1);
}

/* ------------------------------------------------------------ segments */

static void test_segments(void)
{
	static struct shoal_segment segment;
	static struct shoal_members members, again;
	struct shoal_format_semaphore *f;
	char address[300];
	uint64_t at = shoal_members_footprint(4);

	snprintf(address, sizeof address, "/%s", name("segment"));
	EXPECT(shoal_segment_create(&segment, address, 8192, 0), 0);
	EXPECT(shoal_members_join(&members, &segment, 8192, 4), -EINVAL);
	EXPECT(shoal_members_join(&members, &segment, 8, 4), -EINVAL);
	EXPECT(shoal_members_join(&members, &segment, 0, 4), 0);
	EXPECT(shoal_members_join(&again, &segment, 0, 0), 0); /* a process can be two members */
	EXPECT(shoal_mutex_init(&mutex, &members, at), 0);
	EXPECT(shoal_mutex_lock(&mutex), 0);
	EXPECT(shoal_mutex_join(&mutex, &again, at), 0);
	EXPECT(shoal_mutex_trylock(&mutex), SHOAL_EBUSY);
	EXPECT(shoal_mutex_unlock(&mutex), SHOAL_ENOTOWNER);
	shoal_members_leave(&members);
	EXPECT(shoal_mutex_trylock(&mutex), SHOAL_EOWNERDEAD);
	EXPECT(shoal_mutex_mark_consistent(&mutex), 0);
	EXPECT(shoal_mutex_unlock(&mutex), 0);

	at += 64;
	EXPECT(shoal_semaphore_init(&semaphore, &again, 8192 - 64, 8, true), -EINVAL);
	EXPECT(shoal_semaphore_init(&semaphore, &again, at, 8, true), 0);
	f = (struct shoal_format_semaphore *)(void *)((unsigned char *)shoal_segment_data(&segment) + at);
	f->config = 4000; /* beyond the end */
	EXPECT(shoal_semaphore_join(&semaphore, &again, at), SHOAL_ECORRUPT);
	f->config = SHOAL_SEMAPHORE_MAX_PERMITS + 1;
	EXPECT(shoal_semaphore_join(&semaphore, &again, at), SHOAL_ECORRUPT);
	EXPECT((long)(strstr(shoal_members_why(&again), "4097 permits") != NULL), 1);
	f->config = 8;
	EXPECT(shoal_semaphore_join(&semaphore, &again, at), 0);
	EXPECT(shoal_semaphore_acquire(&semaphore), 0);
	EXPECT(shoal_semaphore_value(&semaphore), 7);
	EXPECT(shoal_event_join(&bell, &again, at + 128), -ENOENT);
	EXPECT(shoal_event_join(&bell, &again, at), SHOAL_ECORRUPT);
	shoal_members_leave(&again);
	shoal_members_leave(&again);
	shoal_segment_close(&segment);
	shoal_segment_close(&segment);
	EXPECT(shoal_segment_remove(address), 0);
	EXPECT(shoal_segment_open(&segment, address), -ENOENT);
}

/* A thread that receives, checks and counts. */
static void *receive_all(void *argument)
{
	struct shoal_ring *r = (struct shoal_ring *)argument;
	static uint64_t record[64];
	uint64_t i;
	size_t n;

	for (i = 0; i < 5000; i++) {
		EXPECT(shoal_ring_receive(r, record, sizeof record, &n), 0);
		EXPECT((long)record[0], (long)i);
		EXPECT((long)n, (long)(8 + 8 * (i % 60)));
	}
	return NULL;
}

static struct shoal_ring idle;

static void *wait_record(void *unused)
{
	char byte;
	size_t n;

	(void)unused;
	EXPECT(shoal_ring_receive(&idle, &byte, 1, &n), SHOAL_ECLOSED);
	return NULL;
}

static void *wait_room(void *unused)
{
	static char bytes[2024];

	(void)unused;
	EXPECT(shoal_ring_send(&idle, bytes, sizeof bytes), SHOAL_ECLOSED);
	return NULL;
}

/* Close sends away who waits in the ports. */
static void test_ring_close(void)
{
	struct shoal_ring_options options = {4096, 0, NULL, 4, NULL};
	static char bytes[2024];
	pthread_t waiter;

	EXPECT(shoal_ring_open_or_create(&idle, name("ring"), &options), 1);
	EXPECT(shoal_ring_reader(&idle), 0);
	pthread_create(&waiter, NULL, wait_record, NULL);
	while ((shoal_load32_(&idle.control->lane.data) & 1) == 0)
		shoal_nap_(100000);
	shoal_ring_close(&idle);
	pthread_join(waiter, NULL);
	EXPECT(shoal_ring_open_or_create(&idle, name("ring"), &options), 0);
	EXPECT(shoal_ring_writer(&idle), 0);
	while (shoal_ring_trysend(&idle, bytes, sizeof bytes) == 0)
		;
	pthread_create(&waiter, NULL, wait_room, NULL);
	while ((shoal_load32_(&idle.control->lane.space) & 1) == 0)
		shoal_nap_(100000);
	shoal_ring_close(&idle);
	pthread_join(waiter, NULL);
	EXPECT(shoal_remove(name("ring")), 0);
}

/* A ring of a type takes and gives records of its length alone. */
static void test_ring_type(void)
{
	static const char tick[] = "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price float64\n}\n";
	static struct shoal_ring r, any;
	struct shoal_ring_options options = {4096, 0, NULL, 4, tick};
	static uint64_t many[400];
	uint64_t record[2] = {1, 2}, batch[6] = {1, 2, 3, 4, 5, 6};
	void *place;
	size_t n;

	EXPECT(shoal_ring_create(&r, name("typed"), &options), 0);
	EXPECT(shoal_ring_open(&any, name("typed"), NULL), 0); /* without a type: it keeps that of the ring */
	options.schema = "shoal schema 1\nint64\n";
	EXPECT(shoal_ring_open(&idle, name("typed"), &options), SHOAL_ETYPE);
	options.schema = "int64";
	EXPECT(shoal_ring_open(&idle, name("typed"), &options), -EINVAL);
	options.schema = "shoal schema 1\n[2025]char\n";
	EXPECT(shoal_ring_create(&idle, name("long"), &options), -EMSGSIZE);
	EXPECT(shoal_ring_writer(&any), 0);
	EXPECT(shoal_ring_send(&any, record, 8), -EINVAL);
	EXPECT(shoal_ring_send(&any, record, 0), -EINVAL);
	EXPECT(shoal_ring_send_batch(&any, batch, 8, 6, &n), -EINVAL);
	EXPECT(shoal_ring_reserve(&any, &place, 17, 0), -EINVAL);
	EXPECT((long)(place == NULL), 1);
	EXPECT(shoal_ring_reserve(&any, &place, 16, 0), 0);
	EXPECT(shoal_ring_commit(&any, 8), -EINVAL);
	EXPECT(shoal_ring_commit(&any, 17), -EMSGSIZE);
	memcpy(place, record, 16);
	EXPECT(shoal_ring_commit(&any, 16), 0);
	EXPECT(shoal_ring_commit(&any, 16), SHOAL_ENOTOWNER);
	EXPECT(shoal_ring_cancel(&any), SHOAL_ENOTOWNER);
	EXPECT(shoal_ring_send_batch(&any, batch, 16, 3, &n), 0);
	EXPECT((long)n, 3);
	EXPECT(shoal_ring_send_batch(&any, NULL, 16, 0, &n), 0);
	EXPECT(shoal_ring_send_batch_for(&any, many, 16, 200, &n, 0), SHOAL_EBUSY);
	EXPECT((long)n, 166); /* beside four of 24 bytes, a time and the end */
	EXPECT(shoal_ring_send_batch_for(&any, many, 16, 2, &n, 100000), SHOAL_ETIMEDOUT);
	EXPECT((long)n, 0);
	EXPECT(shoal_ring_reader(&r), 0);
	EXPECT(shoal_ring_receive(&r, record, 8, &n), -EMSGSIZE);
	EXPECT((long)n, 16);
	EXPECT(shoal_ring_receive(&r, record, 16, &n), 0);
	EXPECT((long)(record[0] == 1 && record[1] == 2), 1);
	EXPECT(shoal_ring_receive(&r, record, 16, &n), 0);
	EXPECT(shoal_ring_receive(&r, record, 16, &n), 0);
	EXPECT((long)(record[0] == 3 && record[1] == 4), 1);
	shoal_ring_close(&any);
	shoal_ring_close(&r);
	EXPECT(shoal_remove(name("typed")), 0);
}

/* A child made by fork has no port, and can take none that its parent has. */
static int child_of_ring(void)
{
	static struct shoal_ring again;
	const void *p;
	size_t n;

	failures = 0;
	EXPECT(shoal_ring_trysend(&idle, "x", 1), SHOAL_EFORK);
	EXPECT(shoal_ring_trypeek(&idle, &p, &n), SHOAL_EFORK);
	EXPECT(shoal_ring_release(&idle), SHOAL_EFORK);
	EXPECT(shoal_ring_writer(&idle), SHOAL_EFORK);
	EXPECT(shoal_ring_open(&again, name("ring"), NULL), 0);
	EXPECT(shoal_ring_writer(&again), SHOAL_EBUSY);
	EXPECT((long)(strstr(shoal_ring_why(&again), "process") != NULL), 1);
	EXPECT(shoal_ring_reader(&again), SHOAL_EBUSY);
	shoal_ring_close(&idle);
	EXPECT(shoal_ring_writer(&again), SHOAL_EBUSY);
	shoal_ring_close(&again);
	return failures;
}

static void test_ring_fork(void)
{
	struct shoal_ring_options options = {4096, 0, NULL, 4, NULL};
	char byte;
	size_t n;

	EXPECT(shoal_ring_open_or_create(&idle, name("ring"), &options), 1);
	EXPECT(shoal_ring_writer(&idle), 0);
	EXPECT(shoal_ring_reader(&idle), 0);
	EXPECT(in_child(child_of_ring), 0);
	EXPECT(shoal_ring_trysend(&idle, "x", 1), 0);
	EXPECT(shoal_ring_tryreceive(&idle, &byte, 1, &n), 0);
	EXPECT((long)byte, 'x');
	EXPECT(shoal_ring_check(&idle), 0);
	shoal_ring_close(&idle);
	EXPECT(shoal_remove(name("ring")), 0);
}

static void test_ring(void)
{
	static struct shoal_ring ring;
	static uint64_t record[256];
	struct shoal_ring_options options = {4096, 0, NULL, 4, NULL};
	struct shoal_ring_stats stats;
	const char *object = name("ring");
	pthread_t thread;
	const void *p;
	void *place;
	uint64_t i;
	size_t n;

	options.size = 5000;
	EXPECT(shoal_ring_create(&ring, object, &options), -EINVAL);
	options.size = 4096;
	EXPECT(shoal_ring_create(&ring, object, &options), 0);
	EXPECT(shoal_ring_trysend(&ring, record, 8), SHOAL_ENOTOWNER);
	EXPECT(shoal_ring_writer(&ring), 0);
	EXPECT(shoal_ring_writer(&ring), SHOAL_EBUSY);
	EXPECT(shoal_ring_reader(&ring), 0);
	EXPECT(shoal_ring_trypeek(&ring, &p, &n), SHOAL_EBUSY);
	EXPECT(shoal_ring_trysend(&ring, record, 2025), -EMSGSIZE);
	EXPECT(pthread_create(&thread, NULL, receive_all, &ring), 0);
	for (i = 0; i < 5000; i++) {
		EXPECT(shoal_ring_reserve(&ring, &place, 8 + 8 * (i % 60), -1), 0);
		EXPECT(shoal_ring_trysend(&ring, record, 8), SHOAL_EBUSY);
		*(uint64_t *)place = i;
		EXPECT(shoal_ring_commit(&ring, 8 + 8 * (i % 60)), 0);
	}
	pthread_join(thread, NULL);
	EXPECT(shoal_ring_check(&ring), 0);
	EXPECT(shoal_ring_stats(&ring, &stats), 0);
	EXPECT((long)stats.received, 5000);
	shoal_ring_close(&ring);
	shoal_ring_close(&ring);
	EXPECT(shoal_ring_trysend(&ring, record, 8), SHOAL_ECLOSED);
	EXPECT(shoal_remove(object), 0);
}

/* ------------------------------------------------------------- a topic */

#define RECORDS 4000

static struct shoal_topic topic;
static uint64_t last_of_all[2][2]; /* what each reader has had of each lane */

/* Receives what two publishers send, until the last of each: all of it, or with what is
 * missing told exactly. */
static void *subscribe_all(void *argument)
{
	bool lossy = argument != NULL;
	struct shoal_topic_subscribe_options how = {false, true, 0, NULL};
	struct shoal_topic_subscriber s;
	uint64_t next[2] = {0, 0}, record[64];
	struct shoal_topic_info info;
	size_t n = 0;
	int err;

	how.lossy = lossy;
	EXPECT(shoal_topic_subscriber_open(&s, &topic, &how), 0);
	EXPECT(shoal_topic_reliable(&s), !lossy);
	while (next[0] < RECORDS || next[1] < RECORDS) {
		err = shoal_topic_receive(&s, record, sizeof record, &n);
		info = shoal_topic_last(&s);
		if (info.publisher > 1)
			break;
		if (lossy && err == SHOAL_EMISSED) {
			next[info.publisher] += shoal_topic_missed(&s);
			continue;
		}
		EXPECT(err, 0);
		if (err != 0)
			break;
		EXPECT((long)info.number, (long)next[info.publisher]);
		EXPECT((long)record[0], (long)info.number);
		EXPECT((long)record[n / 8 - 1], (long)info.number);
		EXPECT((long)n, (long)(8 + 8 * (info.number % 60)));
		next[info.publisher]++;
	}
	last_of_all[lossy][0] = next[0];
	last_of_all[lossy][1] = next[1];
	shoal_topic_subscriber_close(&s);
	shoal_topic_subscriber_close(&s);
	EXPECT(shoal_topic_receive(&s, record, sizeof record, &n), SHOAL_ECLOSED);
	return NULL;
}

static void *publish_all(void *argument)
{
	struct shoal_topic_publisher *p = (struct shoal_topic_publisher *)argument;
	uint64_t i, k, n, *record;
	void *place;

	for (i = 0; i < RECORDS; i++) {
		n = 1 + i % 60;
		EXPECT(shoal_topic_reserve(p, &place, 8 * n, -1), 0);
		EXPECT(shoal_topic_trysend(p, &i, 8), SHOAL_EBUSY);
		record = (uint64_t *)place;
		for (k = 0; k < n; k++)
			record[k] = i;
		if (i % 7 == 0) {
			EXPECT(shoal_topic_cancel(p), 0);
			EXPECT(shoal_topic_cancel(p), SHOAL_ENOTOWNER);
			EXPECT(shoal_topic_reserve(p, &place, 8 * n, -1), 0);
			record = (uint64_t *)place;
			for (k = 0; k < n; k++)
				record[k] = i;
		}
		EXPECT(shoal_topic_commit(p, 8 * n + 1), -EMSGSIZE);
		EXPECT(shoal_topic_commit(p, 8 * n), 0);
	}
	return NULL;
}

static struct shoal_topic_subscriber waiting;

static void *wait_for_close(void *unused)
{
	(void)unused;
	EXPECT(shoal_topic_wait(&waiting, -1), SHOAL_ECLOSED);
	return NULL;
}

/* Closing is for those who wait: the thread must be past its first look. */
static void await_waiter(void)
{
	while (__atomic_load_n(&waiting.busy, __ATOMIC_SEQ_CST) == 0)
		usleep(1000);
}

static int child_uses_topic(void)
{
	uint64_t record;
	size_t n;

	EXPECT(shoal_topic_tryreceive(&waiting, &record, sizeof record, &n), SHOAL_EFORK);
	shoal_topic_subscriber_close(&waiting);
	EXPECT(shoal_topic_tryreceive(&waiting, &record, sizeof record, &n), SHOAL_ECLOSED);
	shoal_topic_close(&topic);
	return failures;
}

static void test_topic_threads(const char *object)
{
	struct shoal_topic_options options = {2, 4, 4096, SHOAL_TOPIC_WAIT, 0, NULL, NULL};
	struct shoal_topic_publisher_stats stats;
	struct shoal_topic_publisher publisher[2];
	pthread_t subscribers[2], publishers[2];
	int i;

	EXPECT(shoal_topic_open_or_create(&topic, object, &options), 1);
	EXPECT(pthread_create(&subscribers[0], NULL, subscribe_all, NULL), 0);
	EXPECT(pthread_create(&subscribers[1], NULL, subscribe_all, &topic), 0);
	while (shoal_load32_(&topic.head->used_places) < 2 || (shoal_load64_(&topic.places[0]) & SHOAL_SUB_JOINING) != 0 ||
	       (shoal_load64_(&topic.places[1]) & SHOAL_SUB_JOINING) != 0)
		usleep(1000); /* the oldest record is the first */
	for (i = 0; i < 2; i++)
		EXPECT(shoal_topic_publisher_open(&publisher[i], &topic), 0);
	for (i = 0; i < 2; i++)
		EXPECT(pthread_create(&publishers[i], NULL, publish_all, &publisher[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(publishers[i], NULL);
	for (i = 0; i < 2; i++) {
		pthread_join(subscribers[i], NULL);
		EXPECT((long)last_of_all[i][0], RECORDS);
		EXPECT((long)last_of_all[i][1], RECORDS);
		EXPECT(shoal_topic_publisher_stats(&topic, (uint32_t)i, &stats), 0);
		EXPECT((long)stats.sent, RECORDS);
		EXPECT((long)stats.pid, (long)getpid());
	}
	EXPECT(shoal_topic_publisher_stats(&topic, 2, &stats), -EINVAL);
	EXPECT(shoal_topic_check(&topic), 0);
	shoal_topic_close(&topic);
	EXPECT(shoal_remove(object), 0);
}

#define SLEEPERS 12 /* more than a publisher wakes itself */

static void *receive_one(void *argument)
{
	uint64_t record;
	size_t n;

	EXPECT(shoal_topic_receive((struct shoal_topic_subscriber *)argument, &record, sizeof record, &n), 0);
	EXPECT((long)record, 7);
	return NULL;
}

/* All who sleep are woken by one record. */
static void test_topic_sleepers(const char *object)
{
	static struct shoal_topic_subscriber subscribers[SLEEPERS];
	struct shoal_topic_options options = {1, SLEEPERS, 4096, SHOAL_TOPIC_WAIT, 0, NULL, NULL};
	struct shoal_topic_publisher p;
	struct shoal_topic_stats stats;
	pthread_t threads[SLEEPERS];
	uint64_t record = 7;
	int i;

	EXPECT(shoal_topic_create(&topic, object, &options), 0);
	EXPECT(shoal_topic_publisher_open(&p, &topic), 0);
	for (i = 0; i < SLEEPERS; i++) {
		EXPECT(shoal_topic_subscriber_open(&subscribers[i], &topic, NULL), 0);
		EXPECT(pthread_create(&threads[i], NULL, receive_one, &subscribers[i]), 0);
	}
	usleep(50000); /* most of them sleep by now; it does not matter if not */
	EXPECT(shoal_topic_send(&p, &record, 8), 0);
	for (i = 0; i < SLEEPERS; i++)
		pthread_join(threads[i], NULL);
	EXPECT(shoal_topic_stats(&topic, &stats), 0);
	EXPECT(emulated ? 0 : (long)stats.members.lost_wakes, 0);
	shoal_topic_close(&topic);
	EXPECT(shoal_remove(object), 0);
}

static void test_topic(void)
{
	static const char type[] = "shoal schema 1\nint64\n";
	struct shoal_topic_options options = {1, 2, 4096, SHOAL_TOPIC_DROP, 0, NULL, type};
	struct shoal_topic_subscribe_options how = {false, false, 0, "reader"};
	struct shoal_topic_subscriber s;
	struct shoal_topic_publisher p, q;
	struct shoal_topic_stats stats;
	struct shoal_topic_subscriber_stats seen;
	const char *object = name("topic");
	uint64_t record[64], i, missed = 0;
	size_t n, sent, lengths[8];
	const void *at;
	pthread_t thread;
	int err;

	test_topic_threads(object);
	test_topic_sleepers(object);

	options.lane_size = 5000;
	EXPECT(shoal_topic_create(&topic, object, &options), -EINVAL);
	options.lane_size = 4096;
	options.policy = 3;
	EXPECT(shoal_topic_create(&topic, object, &options), -EINVAL);
	options.policy = SHOAL_TOPIC_DROP;
	EXPECT(shoal_topic_open(&topic, object, NULL), -ENOENT);
	EXPECT(shoal_topic_create(&topic, object, &options), 0);
	EXPECT((long)shoal_topic_max_record(&topic), 2024);
	EXPECT(shoal_topic_publisher_open(&p, &topic), 0);
	EXPECT((long)shoal_topic_publisher_number(&p), 0);
	EXPECT(shoal_topic_publisher_open(&q, &topic), SHOAL_ENOSLOT);
	EXPECT(shoal_topic_send(&q, record, 8), SHOAL_ECLOSED);
	shoal_topic_publisher_close(&q);
	EXPECT(shoal_topic_send(&p, record, 7), -EINVAL);
	EXPECT(shoal_topic_send(&p, record, 3000), -EMSGSIZE);
	how.lossy = true;
	EXPECT(shoal_topic_subscriber_open(&s, &topic, &how), -EINVAL);
	how.lossy = false;
	EXPECT(shoal_topic_subscriber_open(&s, &topic, &how), 0);
	EXPECT(shoal_topic_subscriber_open(&waiting, &topic, &how), SHOAL_EBUSY);
	EXPECT(shoal_topic_forget(&topic, "reader"), SHOAL_EBUSY);
	for (i = 0; i < 64; i++)
		record[i] = i;
	EXPECT(shoal_topic_send_batch(&p, record, 8, 64, &sent), 0);
	EXPECT((long)sent, 64);
	EXPECT(shoal_topic_trypeek(&s, &at, &n), 0);
	EXPECT((long)*(const uint64_t *)at, 0);
	EXPECT(shoal_topic_receive(&s, record, 7, &n), -EMSGSIZE);
	EXPECT(shoal_topic_skip(&s), 0);
	EXPECT(shoal_topic_skip(&s), 0);
	EXPECT(shoal_topic_receive_batch(&s, record, 8, 8, lengths, &sent, -1), 0);
	EXPECT((long)sent, 8);
	EXPECT((long)lengths[7], 8);
	EXPECT((long)record[7], 8);
	for (i = 64; i < 1000; i++)
		EXPECT(shoal_topic_send(&p, &i, 8), 0); /* it is dropped on the way */
	EXPECT(shoal_topic_wait(&s, 0), 0);
	EXPECT(shoal_topic_peek(&s, &at, &n), SHOAL_EDROPPED);
	EXPECT(shoal_topic_reliable(&s), 0);
	for (i = 9;; i++) {
		err = shoal_topic_tryreceive(&s, record, 8, &n);
		if (err == SHOAL_EMISSED)
			missed = shoal_topic_missed(&s);
		if (err == SHOAL_EMISSED)
			i += missed - 1;
		else if (err == 0)
			EXPECT((long)record[0], (long)i);
		else
			break;
	}
	EXPECT(err, SHOAL_EBUSY);
	EXPECT(shoal_topic_wait(&s, 0), SHOAL_EBUSY);
	EXPECT(shoal_topic_wait(&s, 1000), SHOAL_ETIMEDOUT);
	EXPECT((long)i, 1000);
	EXPECT(missed > 0, true);
	EXPECT(shoal_topic_subscriber_stats(&topic, 0, &seen), 1);
	EXPECT(strcmp(seen.name, "reader"), 0);
	EXPECT(seen.dropped && seen.alive && !seen.reliable, true);
	EXPECT((long)(seen.received + seen.missed), 1000);
	EXPECT(shoal_topic_subscriber_stats(&topic, 1, &seen), 0);
	EXPECT(shoal_topic_subscriber_stats(&topic, 2, &seen), -EINVAL);
	EXPECT(shoal_topic_stats(&topic, &stats), 0);
	EXPECT((long)stats.used_places, 1);
	shoal_topic_subscriber_close(&s);
	EXPECT(shoal_topic_forget(&topic, "reader"), 0);
	EXPECT(shoal_topic_forget(&topic, "reader"), -ENOENT);
	EXPECT(shoal_topic_repair(&topic), 0);
	EXPECT(shoal_topic_check(&topic), 0);

	/* Closing under one who waits. */
	EXPECT(shoal_topic_subscriber_open(&waiting, &topic, NULL), 0);
	EXPECT(pthread_create(&thread, NULL, wait_for_close, NULL), 0);
	await_waiter();
	shoal_topic_subscriber_close(&waiting);
	pthread_join(thread, NULL);
	EXPECT(shoal_topic_subscriber_open(&waiting, &topic, NULL), 0);
	EXPECT(pthread_create(&thread, NULL, wait_for_close, NULL), 0);
	await_waiter();
	if (!emulated)
		EXPECT(in_child(child_uses_topic), 0);
	shoal_topic_close(&topic);
	pthread_join(thread, NULL);
	shoal_topic_close(&topic);
	EXPECT(shoal_topic_send(&p, record, 8), SHOAL_ECLOSED);
	shoal_topic_publisher_close(&p);
	shoal_topic_subscriber_close(&waiting);
	EXPECT(shoal_remove(object), 0);
}

/* --------------------------------------------------------------- queue */

static struct shoal_queue queue;
static uint64_t queued;

static void *send_messages(void *unused)
{
	struct shoal_queue_loan l;
	uint64_t i, message[3] = {0, 0, 0};

	(void)unused;
	for (i = 1; i <= ROUNDS; i++) {
		message[0] = message[2] = i;
		if (i % 3 != 0) {
			EXPECT(shoal_queue_send(&queue, message, i % 3 == 1 ? 24 : 8), 0);
			continue;
		}
		EXPECT(shoal_queue_reserve(&queue, &l, 24, -1), 0);
		memcpy(l.data, message, 24);
		EXPECT(shoal_queue_commit(&queue, &l, 8), 0);
	}
	return NULL;
}

static void *receive_messages(void *unused)
{
	struct shoal_queue_message m;
	uint64_t n = 0, i, sum = 0, message[3];

	(void)unused;
	for (i = 0; n < ROUNDS; i++) {
		EXPECT(shoal_queue_receive(&queue, &m), 0);
		memcpy(message, m.data, m.size); /* ThreadSanitizer sees what a delivery is worth */
		if (m.size == 24)
			EXPECT((long)message[2], (long)message[0]);
		if (i % 50 == 0) {
			EXPECT(shoal_queue_nack(&queue, &m), 0);
			continue;
		}
		sum += message[0];
		EXPECT(shoal_queue_ack(&queue, &m), 0);
		n++;
	}
	__atomic_fetch_add(&queued, sum, __ATOMIC_RELAXED);
	return NULL;
}

static void *receive_closed(void *unused)
{
	struct shoal_queue_message m;

	(void)unused;
	EXPECT(shoal_queue_receive(&queue, &m), SHOAL_ECLOSED);
	return NULL;
}

static void test_queue(void)
{
	struct shoal_queue_options options = {16, 480, 0, NULL, 4, NULL}, wrong = {3, 0, 0, NULL, 0, NULL};
	struct shoal_queue_message ms[4];
	struct shoal_queue_loan l, other;
	struct shoal_queue_holding h;
	struct shoal_queue_stats stats;
	const char *object = name("queue");
	unsigned char bytes[481] = {0};
	struct shoal o;
	pthread_t thread;
	size_t n;

	EXPECT(shoal_queue_create(&queue, object, &wrong), -EINVAL);
	EXPECT(shoal_queue_open(&queue, object, NULL), -ENOENT);
	EXPECT(shoal_queue_open_or_create(&queue, object, &options), 1);
	EXPECT((long)shoal_queue_slots(&queue), 16);
	EXPECT((long)shoal_queue_max_message(&queue), 480);
	EXPECT(shoal_open(&o, object, NULL), 0);
	EXPECT(shoal_join(&o, 0), SHOAL_EKIND); /* it would bury, and leave what the dead had */
	shoal_close(&o);

	EXPECT(shoal_queue_send_batch(&queue, bytes, 16, 3, &n, -1), 0);
	EXPECT((long)n, 3);
	EXPECT(shoal_queue_trysend(&queue, bytes, 481), -EMSGSIZE);
	EXPECT(shoal_queue_reserve(&queue, &other, 100, 0), 0);
	l = other;
	EXPECT(shoal_queue_commit(&queue, &l, 101), -EMSGSIZE);
	EXPECT(shoal_queue_commit(&queue, &l, 99), 0);
	EXPECT(shoal_queue_commit(&queue, &other, 99), SHOAL_ENOTOWNER);
	EXPECT(shoal_queue_cancel(&queue, &other), SHOAL_ENOTOWNER);
	EXPECT(shoal_queue_receive_batch(&queue, ms, 4, &n, -1), 0);
	EXPECT((long)n, 4);
	EXPECT((long)ms[3].size, 99);
	EXPECT(shoal_queue_holding(&queue, ms[0].number % 16, &h), 1);
	EXPECT((long)(h.pid == (uint32_t)getpid() && h.alive && h.taken && h.deliveries == 1 && h.since != 0), 1);
	EXPECT(shoal_queue_holding(&queue, 16, &h), -EINVAL);
	EXPECT(shoal_queue_nack(&queue, &ms[0]), 0);
	EXPECT(shoal_queue_ack(&queue, &ms[0]), SHOAL_ENOTOWNER);
	EXPECT(shoal_queue_holding(&queue, ms[0].number % 16, &h), 0);
	EXPECT(shoal_queue_ack_batch(&queue, ms + 1, 3, &n), 0);
	EXPECT(shoal_queue_ack_batch(&queue, ms, 2, &n), SHOAL_ENOTOWNER);
	EXPECT((long)n, 0);
	EXPECT(shoal_queue_tryreceive(&queue, &ms[1]), 0);
	EXPECT((long)ms[1].deliveries, 2);
	EXPECT(shoal_queue_nack(&queue, &ms[0]), SHOAL_ENOTOWNER); /* that was an earlier delivery */
	EXPECT(shoal_queue_ack(&queue, &ms[1]), 0);
	EXPECT(shoal_queue_receive_for(&queue, &ms[0], 1000000), SHOAL_ETIMEDOUT);
	EXPECT(shoal_queue_send_batch(&queue, bytes, 8, 20, &n, 1000000), SHOAL_ETIMEDOUT);
	EXPECT((long)n, 16);
	EXPECT(shoal_queue_repair(&queue), 0);
	while (shoal_queue_tryreceive(&queue, &ms[0]) == 0)
		EXPECT(shoal_queue_ack(&queue, &ms[0]), 0);

	crew(send_messages, receive_messages);
	EXPECT((long)queued, (long)THREADS / 2 * ROUNDS * (ROUNDS + 1) / 2);
	EXPECT(shoal_queue_check(&queue), 0);
	EXPECT(shoal_queue_stats(&queue, &stats), 0);
	EXPECT((long)stats.free, 16);
	EXPECT((long)(stats.sent + stats.nacked - stats.received), 0);

	pthread_create(&thread, NULL, receive_closed, NULL);
	while (__atomic_load_n(&queue.object.members.busy, __ATOMIC_SEQ_CST) == 0)
		shoal_nap_(100000); /* it does not wait yet */
	shoal_queue_close(&queue); /* sends the waiter away */
	pthread_join(thread, NULL);
	shoal_queue_close(&queue);
	EXPECT(shoal_queue_trysend(&queue, bytes, 8), SHOAL_ECLOSED);
	EXPECT(shoal_remove(object), 0);
}

/* A child of a process that holds a message is no member; it joins anew, and dies with
 * one in hand. */
static int child_uses_queue(void)
{
	static struct shoal_queue again;
	struct shoal_queue_message m;

	failures = 0;
	EXPECT(shoal_queue_tryreceive(&queue, &m), SHOAL_EFORK);
	EXPECT(shoal_queue_trysend(&queue, "a", 1), SHOAL_EFORK);
	shoal_queue_close(&queue); /* gives nothing back */
	EXPECT(shoal_queue_open(&again, name("queue"), NULL), 0);
	EXPECT(shoal_queue_receive(&again, &m), 0);
	EXPECT((long)*(char *)m.data, 'b'); /* the parent has the other */
	return failures;
}

static void test_queue_fork(void)
{
	struct shoal_queue_message a, b;
	struct shoal_queue_stats stats;

	EXPECT(shoal_queue_create(&queue, name("queue"), NULL), 0);
	EXPECT(shoal_queue_send(&queue, "a", 1), 0);
	EXPECT(shoal_queue_send(&queue, "b", 1), 0);
	EXPECT(shoal_queue_receive(&queue, &a), 0);
	EXPECT(in_child(child_uses_queue), 0);
	EXPECT(shoal_queue_receive_for(&queue, &b, INT64_C(10000000000)), 0);
	EXPECT((long)*(char *)b.data, 'b');
	EXPECT((long)b.deliveries, 2);
	EXPECT(shoal_queue_ack(&queue, &a), 0);
	EXPECT(shoal_queue_ack(&queue, &b), 0);
	EXPECT(shoal_queue_stats(&queue, &stats), 0);
	EXPECT((long)(stats.members.deaths == 1 && stats.returned == 1 && stats.free == stats.slots), 1);
	shoal_queue_close(&queue);
	EXPECT(shoal_remove(name("queue")), 0);
}

/* Everything that can be said of a queue without waiting. */
static void try_queue(const char *file)
{
	struct shoal_queue_message m;
	struct shoal_queue_loan l;
	struct shoal_queue_holding h;
	struct shoal_queue_stats stats;
	static unsigned char bytes[992];
	int i, err;

	if (shoal_queue_open(&queue, file, NULL) < 0)
		return;
	shoal_queue_check(&queue);
	for (i = 0; i < 4; i++) {
		shoal_queue_trysend(&queue, bytes, sizeof bytes);
		if (shoal_queue_tryreceive(&queue, &m) == 0) {
			memset(m.data, i, m.size);
			if (i % 2 == 0)
				shoal_queue_ack(&queue, &m);
			else
				shoal_queue_nack(&queue, &m);
		}
	}
	if (shoal_queue_reserve(&queue, &l, sizeof bytes, 1000) == 0)
		shoal_queue_cancel(&queue, &l);
	shoal_queue_receive_for(&queue, &m, 1000);
	shoal_queue_stats(&queue, &stats);
	for (i = 0; i < 2; i++)
		shoal_queue_holding(&queue, (uint64_t)i, &h);
	err = shoal_queue_repair(&queue);
	/* What repair finds nothing wrong with works. */
	if (err >= 0) {
		while ((err = shoal_queue_tryreceive(&queue, &m)) == 0)
			shoal_queue_ack(&queue, &m);
		EXPECT(err, SHOAL_EBUSY);
	}
	shoal_queue_close(&queue);
}

/* Whether a byte of such an object can do harm: counters and padding cannot. */
static bool means_something(size_t i, size_t body)
{
	static const struct {
		size_t from, to;
	} words[] = {{0, 16},    {128, 136},   {256, 264},   {384, 400},  {512, 516},
	             {640, 656}, {1536, 1544}, {1664, 1704}, {2688, 2728}};
	size_t k;

	for (k = 0; k < sizeof words / sizeof words[0]; k++)
		if (i >= body + words[k].from && i < body + words[k].to)
			return true;
	return i < body;
}

/* Every byte of a queue takes values that mean harm, and so do several at once. */
static void damage_queue(const char *file)
{
	static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	static unsigned char bytes[4096], damaged[4096];
	const char *path = file + strlen("file:");
	uint64_t random = 1;
	size_t n, i, v, body;
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		failures++;
		return;
	}
	n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	body = (size_t)((struct shoal_format_header *)(void *)bytes)->body;
	EXPECT((long)n, 4096); /* what is read beyond it is not mapped, or another's */
	for (i = 0; i < n; i++)
		for (v = 0; means_something(i, body) && v < sizeof values; v++) {
			memcpy(damaged, bytes, n);
			damaged[i] = values[v];
			write_file(path, damaged, n);
			try_queue(file);
		}
	for (i = 0; i < n; i += 64) {
		write_file(path, bytes, i);
		try_queue(file);
	}
	for (i = 0; i < 1000; i++) {
		memcpy(damaged, bytes, n);
		for (v = 0; v < 4;) {
			random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			if ((random >> 33) % n < body || !means_something((random >> 33) % n, body))
				continue;
			damaged[(random >> 33) % n] = (unsigned char)(random >> 24);
			v++;
		}
		write_file(path, damaged, n);
		try_queue(file);
	}
}

static void test_queue_damage(void)
{
	struct shoal_queue_options options = {2, 0, 0, NULL, 2, "shoal schema 1\n[992]uint8\n"};
	static unsigned char bytes[992];
	struct shoal_queue_message m;
	char file[300];

	snprintf(file, sizeof file, "file:/dev/shm/%s", name("damaged"));
	EXPECT(shoal_queue_create(&queue, file, &options), 0);
	EXPECT(shoal_queue_send(&queue, bytes, 991), -EINVAL);
	EXPECT(shoal_queue_send(&queue, bytes, 992), 0);
	EXPECT(shoal_queue_send(&queue, bytes, 992), 0);
	EXPECT(shoal_queue_receive(&queue, &m), 0);
	EXPECT(shoal_queue_nack(&queue, &m), 0);
	shoal_queue_close(&queue);
	damage_queue(file);
	unlink(file + strlen("file:"));
}

/* A tail so far ahead that nobody can count up to it, over slots that tell nothing, or
 * lead astray: an answer all the same. */
static void test_queue_far_tail(void)
{
	const uint64_t far_ahead = UINT64_C(1) << 50;
	struct shoal_queue_options options = {4, 8, 0, NULL, 2, NULL};
	struct shoal_queue_message m;
	uint64_t i, at;
	int way, err;

	for (way = 0; way < 4; way++) {
		EXPECT(shoal_queue_create(&queue, name("far"), &options), 0);
		queue.control->tail = far_ahead;
		for (i = 0; i < 4; i++) {
			at = way == 0 ? i : way == 1 ? far_ahead - 4 + i : far_ahead / 8 * (i + 1) + i;
			if (way == 3)
				at++; /* of other slots */
			shoal_queue_slot_(&queue, i)->state = (at + 1) << SHOAL_QUEUE_POSITION | SHOAL_QUEUE_FREE;
			shoal_queue_slot_(&queue, i)->position = at;
		}
		err = shoal_queue_tryreceive(&queue, &m);
		if (way < 3 || err != SHOAL_ECORRUPT)
			EXPECT(err, SHOAL_EBUSY);
		shoal_queue_close(&queue);
		EXPECT(shoal_remove(name("far")), 0);
	}
}

int main(int argc, char **argv)
{
	emulated = argc > 2 && strcmp(argv[2], "nofork") == 0;

	prefix = argc > 1 ? argv[1] : "selftest-";
	test_objects();
	test_segments();
	test_threads();
	test_ring();
	test_ring_close();
	test_ring_type();
	test_topic();
	test_queue();
	test_queue_far_tail();
	if (!emulated) {
		test_fork();
		test_ring_fork();
		test_queue_fork();
	}
	test_damage();
	test_queue_damage();
	test_damaged_rings(emulated ? 100 : 2000);
	if (!emulated)
		test_fork();
	printf("%d failures\n", failures);
	return failures != 0;
}
