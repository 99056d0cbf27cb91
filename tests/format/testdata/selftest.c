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
	EXPECT((long)stats.lost_wakes, 0);
	shoal_mutex_close(&mutex);
	EXPECT(shoal_mutex_lock(&mutex), SHOAL_ECLOSED);
	EXPECT(shoal_mutex_unlock(&mutex), SHOAL_ECLOSED);
	shoal_mutex_close(&mutex);
	EXPECT(shoal_remove(name("mutex")), 0);

	EXPECT(shoal_semaphore_open(&semaphore, name("semaphore"), 0, false, NULL), 0);
	crew(produce, consume);
	EXPECT(shoal_semaphore_value(&semaphore), 0);
	EXPECT(shoal_semaphore_stats(&semaphore, &stats), 0);
	EXPECT((long)stats.lost_wakes, 0);
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

int main(int argc, char **argv)
{
	bool forks = argc < 3 || strcmp(argv[2], "nofork") != 0;

	prefix = argc > 1 ? argv[1] : "selftest-";
	test_objects();
	test_segments();
	test_threads();
	if (forks)
		test_fork();
	test_damage();
	if (forks)
		test_fork();
	printf("%d failures\n", failures);
	return failures != 0;
}
