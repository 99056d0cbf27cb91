/*
 * role plays one process of a conformance test, in C. It reads a line, does what it
 * says, and answers with a line: "ok", a number, or the name of an error.
 *
 * The same words are understood by the Go role (role_linux_test.go).
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Stores are counted; at the one that "die" asks for the process kills itself. */
static long shoal_stores_left;
static void shoal_test_stored(void);
#define SHOAL_STORED_() shoal_test_stored()
#include "shoal.h"

static void shoal_test_stored(void)
{
	if (shoal_stores_left > 0 && --shoal_stores_left == 0)
		syscall(SYS_kill, (long)getpid(), (long)SIGKILL);
}

static struct shoal_mutex mutex;
static struct shoal_event event;
static struct shoal_semaphore semaphore;
static struct shoal_segment segment;
static struct shoal_members members;
static struct shoal object;
static struct shoal_ring ring;

/* The word for an error, the same in every language. */
static const char *word_for(int err)
{
	static char other[64];

	switch (err) {
	case 0:
		return "ok";
	case SHOAL_EOWNERDEAD:
		return "ownerdied";
	case SHOAL_ENOTRECOVERABLE:
		return "notrecoverable";
	case SHOAL_ENOTOWNER:
		return "notowner";
	case SHOAL_EBUSY:
		return "busy";
	case SHOAL_ETIMEDOUT:
		return "timedout";
	case SHOAL_ECORRUPT:
		return "corrupt";
	case SHOAL_EVERSION:
		return "version";
	case SHOAL_EKIND:
		return "kind";
	case SHOAL_ETYPE:
		return "type";
	case SHOAL_ENOSLOT:
		return "noslot";
	case SHOAL_ECLOSED:
		return "closed";
	case SHOAL_EFORK:
		return "fork";
	case -ENOENT:
		return "missing";
	case -EEXIST:
		return "exists";
	case -EINVAL:
		return "invalid";
	case -EOVERFLOW:
		return "overflow";
	case -EACCES:
		return "permission";
	case -EMSGSIZE:
		return "toolarge";
	}
	snprintf(other, sizeof other, "error %d: %s", err, shoal_strerror(err));
	return other;
}

static void answer(int err) { printf("%s\n", word_for(err)); }

static void answer_number(int n)
{
	if (n < 0)
		answer(n);
	else
		printf("%d\n", n);
}

static void answer_stats(struct shoal_members *m)
{
	struct shoal_stats s;
	int err = shoal_members_stats(m, &s);

	if (err < 0)
		answer(err);
	else
		printf("members %u deaths %" PRIu64 " repairs %" PRIu64 " lost %" PRIu64 "\n", s.members, s.deaths, s.repairs, s.lost_wakes);
}

/* Counts in two words beside the mutex, which differ only while somebody is between
 * them, for ever. Acknowledges every round in a word of its own. */
static void work(uint64_t *ledger, unsigned worker)
{
	uint64_t *a = mutex.state + 1, *b = mutex.state + 2;
	int err;

	for (;;) {
		err = shoal_mutex_lock(&mutex);
		if (err == SHOAL_EOWNERDEAD) {
			*b = *a;
			err = shoal_mutex_mark_consistent(&mutex);
		}
		if (err < 0) {
			answer(err);
			return;
		}
		if (*a != *b) {
			printf("torn\n");
			return;
		}
		*(volatile uint64_t *)a += 1;
		*(volatile uint64_t *)b += 1;
		err = shoal_mutex_unlock(&mutex);
		if (err < 0) {
			answer(err);
			return;
		}
		__atomic_fetch_add(&ledger[worker], 1, __ATOMIC_SEQ_CST);
	}
}

/* Takes a permit and gives it back, for ever. */
static void occupy(uint64_t *ledger, unsigned worker)
{
	int err;

	for (;;) {
		err = shoal_semaphore_acquire(&semaphore);
		if (err == 0)
			err = shoal_semaphore_release(&semaphore);
		if (err < 0) {
			answer(err);
			return;
		}
		__atomic_fetch_add(&ledger[worker], 1, __ATOMIC_SEQ_CST);
	}
}

static void do_mutex(const char *verb, const char *name, const char *how)
{
	struct shoal_options options = {0600, NULL, 8};
	uint64_t *count;
	long i, n;
	int err = 0;

	if (strcmp(verb, "open") == 0)
		answer(shoal_mutex_open(&mutex, name, &options));
	else if (strcmp(verb, "init") == 0)
		answer(shoal_mutex_init(&mutex, &members, strtoull(name, NULL, 0)));
	else if (strcmp(verb, "join") == 0)
		answer(shoal_mutex_join(&mutex, &members, strtoull(name, NULL, 0)));
	else if (strcmp(verb, "lock") == 0)
		answer(shoal_mutex_lock_for(&mutex, name[0] == 0 ? -1 : strtoll(name, NULL, 0)));
	else if (strcmp(verb, "try") == 0)
		answer(shoal_mutex_trylock(&mutex));
	else if (strcmp(verb, "unlock") == 0)
		answer(shoal_mutex_unlock(&mutex));
	else if (strcmp(verb, "mark") == 0)
		answer(shoal_mutex_mark_consistent(&mutex));
	else if (strcmp(verb, "check") == 0)
		answer(shoal_mutex_check(&mutex));
	else if (strcmp(verb, "stats") == 0)
		answer_stats(mutex.members);
	else if (strcmp(verb, "count") == 0) {
		count = mutex.state + 1;
		for (i = 0, n = strtol(name, NULL, 0); i < n && err == 0; i++) {
			err = shoal_mutex_lock(&mutex);
			if (err == 0) {
				++*(volatile uint64_t *)count;
				err = shoal_mutex_unlock(&mutex);
			}
		}
		answer(err);
	} else if (strcmp(verb, "work") == 0)
		work((uint64_t *)shoal_segment_data(&segment), (unsigned)strtoul(name, NULL, 0));
	else if (strcmp(verb, "close") == 0) {
		shoal_mutex_close(&mutex);
		answer(0);
	} else
		printf("no verb %s%s\n", verb, how);
}

static void do_event(const char *verb, const char *name, const char *how)
{
	struct shoal_options options = {0600, NULL, 8};

	if (strcmp(verb, "open") == 0)
		answer(shoal_event_open(&event, name, strcmp(how, "auto") == 0, &options));
	else if (strcmp(verb, "init") == 0)
		answer(shoal_event_init(&event, &members, strtoull(name, NULL, 0), strcmp(how, "auto") == 0));
	else if (strcmp(verb, "join") == 0)
		answer(shoal_event_join(&event, &members, strtoull(name, NULL, 0)));
	else if (strcmp(verb, "wait") == 0)
		answer(shoal_event_wait_for(&event, name[0] == 0 ? -1 : strtoll(name, NULL, 0)));
	else if (strcmp(verb, "try") == 0)
		answer(shoal_event_trywait(&event));
	else if (strcmp(verb, "set") == 0)
		answer(shoal_event_set(&event));
	else if (strcmp(verb, "reset") == 0)
		answer(shoal_event_reset(&event));
	else if (strcmp(verb, "isset") == 0)
		answer_number(shoal_event_is_set(&event));
	else if (strcmp(verb, "stats") == 0)
		answer_stats(event.members);
	else if (strcmp(verb, "close") == 0) {
		shoal_event_close(&event);
		answer(0);
	} else
		printf("no verb %s\n", verb);
}

static void do_semaphore(const char *verb, const char *name, const char *how, const char *value)
{
	struct shoal_options options = {0600, NULL, 8};
	bool undo = strcmp(how, "undo") == 0;

	if (strcmp(verb, "open") == 0)
		answer(shoal_semaphore_open(&semaphore, name, (uint32_t)strtoul(value, NULL, 0), undo, &options));
	else if (strcmp(verb, "init") == 0)
		answer(shoal_semaphore_init(&semaphore, &members, strtoull(name, NULL, 0), (uint32_t)strtoul(value, NULL, 0), undo));
	else if (strcmp(verb, "join") == 0)
		answer(shoal_semaphore_join(&semaphore, &members, strtoull(name, NULL, 0)));
	else if (strcmp(verb, "acquire") == 0)
		answer(shoal_semaphore_acquire_for(&semaphore, name[0] == 0 ? -1 : strtoll(name, NULL, 0)));
	else if (strcmp(verb, "try") == 0)
		answer(shoal_semaphore_tryacquire(&semaphore));
	else if (strcmp(verb, "release") == 0)
		answer(shoal_semaphore_release(&semaphore));
	else if (strcmp(verb, "value") == 0)
		answer_number(shoal_semaphore_value(&semaphore));
	else if (strcmp(verb, "check") == 0)
		answer(shoal_semaphore_check(&semaphore));
	else if (strcmp(verb, "stats") == 0)
		answer_stats(semaphore.members);
	else if (strcmp(verb, "work") == 0)
		occupy((uint64_t *)shoal_segment_data(&segment), (unsigned)strtoul(name, NULL, 0));
	else if (strcmp(verb, "close") == 0) {
		shoal_semaphore_close(&semaphore);
		answer(0);
	} else
		printf("no verb %s\n", verb);
}

/* A record of a ring: so many bytes, all of the lowest byte of its number, which the
 * first 8 hold. */
static void fill_record(unsigned char *p, uint64_t number, size_t n)
{
	memset(p, (int)(number & 0xff), n);
	memcpy(p, &number, n < 8 ? n : 8);
}

static bool is_filled(const unsigned char *p, uint64_t number, size_t n)
{
	size_t i;

	for (i = 8; i < n; i++)
		if (p[i] != (number & 0xff))
			return false;
	return true;
}

static void answer_record(const unsigned char *p, size_t n)
{
	uint64_t number = 0;

	memcpy(&number, p, n < 8 ? n : 8);
	if (is_filled(p, number, n))
		printf("%" PRIu64 " %zu\n", number, n);
	else
		printf("torn\n");
}

/* Sends records for ever, each with the number that the ring will count it by. */
static void flow(void)
{
	static unsigned char record[128];
	struct shoal_ring_stats s;
	int err = shoal_ring_stats(&ring, &s);
	uint64_t n;

	for (n = s.sent; err == 0; n++) {
		fill_record(record, n, 8 + n % 100);
		err = shoal_ring_send(&ring, record, 8 + n % 100);
	}
	answer(err);
}

/* Receives them for ever. The ledger says which one is next: it is raised before a
 * record is released, and some are released together with the one behind, so the first
 * one may be among the last two that were acknowledged. */
static void follow(uint64_t *ledger)
{
	uint64_t next = __atomic_load_n(ledger, __ATOMIC_SEQ_CST), number;
	bool first = true;
	const void *p;
	size_t n;
	int err;

	for (;; next++, first = false) {
		err = shoal_ring_peek(&ring, &p, &n);
		if (err < 0) {
			answer(err);
			return;
		}
		memcpy(&number, p, 8);
		if (first && number < next && next - number <= 2)
			next = number;
		if (number != next || n != 8 + number % 100 || !is_filled((const unsigned char *)p, number, n)) {
			printf("torn: %" PRIu64 " of %zu bytes, want %" PRIu64 "\n", number, n, next);
			return;
		}
		__atomic_store_n(ledger, next + 1, __ATOMIC_SEQ_CST);
		if (number % 7 == 0)
			err = shoal_ring_skip(&ring);
		else
			err = shoal_ring_release(&ring);
		if (err < 0) {
			answer(err);
			return;
		}
	}
}

/* The texts of types. */
static const char *type_for(const char *name)
{
	if (strcmp(name, "tick") == 0)
		return "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price float64\n}\n";
	if (strcmp(name, "tock") == 0)
		return "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price int64\n}\n";
	return NULL;
}

/* ring send NUMBER LENGTH [TIMEOUT], ring receive [TIMEOUT], and so on. */
static void do_ring(const char *verb, const char *name, const char *how, const char *value)
{
	static unsigned char record[1 << 20];
	struct shoal_ring_options options = {0, 0600, NULL, 0, NULL};
	struct shoal_ring_stats s;
	uint64_t number = strtoull(name, NULL, 0), i;
	size_t n = (size_t)strtoull(how, NULL, 0), sent;
	const void *p;
	void *place;
	int err = 0;

	if (strcmp(verb, "open") == 0) {
		options.size = n;
		options.schema = type_for(value);
		err = shoal_ring_open_or_create(&ring, name, &options);
		answer(err > 0 ? 0 : err);
	} else if (strcmp(verb, "writer") == 0)
		answer(shoal_ring_writer(&ring));
	else if (strcmp(verb, "reader") == 0)
		answer(shoal_ring_reader(&ring));
	else if (strcmp(verb, "unwriter") == 0) {
		shoal_ring_writer_close(&ring);
		answer(0);
	} else if (strcmp(verb, "unreader") == 0) {
		shoal_ring_reader_close(&ring);
		answer(0);
	} else if (strcmp(verb, "send") == 0) {
		fill_record(record, number, n);
		answer(shoal_ring_send_for(&ring, record, n, value[0] == 0 ? -1 : strtoll(value, NULL, 0)));
	} else if (strcmp(verb, "try") == 0) {
		fill_record(record, number, n);
		answer(shoal_ring_trysend(&ring, record, n));
	} else if (strcmp(verb, "batch") == 0) { /* so many from that number */
		for (i = 0; i < n; i++)
			fill_record(record + 16 * i, number + i, 16);
		answer(shoal_ring_send_batch(&ring, record, 16, n, &sent));
	} else if (strcmp(verb, "place") == 0) {
		err = shoal_ring_reserve(&ring, &place, n, -1);
		if (err == 0) {
			fill_record((unsigned char *)place, number, n);
			err = shoal_ring_commit(&ring, n);
		}
		answer(err);
	} else if (strcmp(verb, "cancel") == 0) {
		err = shoal_ring_reserve(&ring, &place, n, -1);
		if (err == 0) {
			fill_record((unsigned char *)place, number, n);
			err = shoal_ring_cancel(&ring);
		}
		answer(err);
	} else if (strcmp(verb, "receive") == 0) {
		err = shoal_ring_receive_for(&ring, record, sizeof record, &n, name[0] == 0 ? -1 : strtoll(name, NULL, 0));
		if (err < 0)
			answer(err);
		else
			answer_record(record, n);
	} else if (strcmp(verb, "tryreceive") == 0 || strcmp(verb, "peek") == 0) {
		err = shoal_ring_trypeek(&ring, &p, &n);
		if (err < 0)
			answer(err);
		else
			answer_record((const unsigned char *)p, n);
		if (err == 0 && verb[0] == 't')
			shoal_ring_release(&ring);
	} else if (strcmp(verb, "count") == 0) { /* receives all that is there */
		for (i = 0; shoal_ring_tryreceive(&ring, record, sizeof record, &n) == 0; i++)
			;
		printf("%" PRIu64 "\n", i);
	} else if (strcmp(verb, "drain") == 0) { /* so many, from that number on */
		for (i = 0; i < n && err == 0; i++) {
			err = shoal_ring_peek(&ring, &p, &sent);
			if (err == 0 && *(const uint64_t *)p != number + i)
				err = SHOAL_ECORRUPT;
			if (err == 0)
				err = shoal_ring_release(&ring);
		}
		answer(err);
	} else if (strcmp(verb, "skip") == 0) {
		answer(shoal_ring_peek(&ring, &p, &n) == 0 ? shoal_ring_skip(&ring) : SHOAL_EBUSY);
	} else if (strcmp(verb, "skim") == 0) { /* the same, released together */
		for (i = 0; i < n && err == 0; i++) {
			err = shoal_ring_peek(&ring, &p, &sent);
			if (err == 0 && *(const uint64_t *)p != number + i)
				err = SHOAL_ECORRUPT;
			if (err == 0)
				err = i + 1 < n ? shoal_ring_skip(&ring) : shoal_ring_release(&ring);
		}
		answer(err);
	} else if (strcmp(verb, "flow") == 0) {
		flow();
	} else if (strcmp(verb, "follow") == 0) {
		follow((uint64_t *)shoal_segment_data(&segment));
	} else if (strcmp(verb, "why") == 0) {
		printf("%s\n", shoal_ring_why(&ring));
	} else if (strcmp(verb, "repair") == 0) {
		answer_number(shoal_ring_repair(&ring));
	} else if (strcmp(verb, "stream") == 0) { /* so many, one by one, from that number on */
		for (i = 0; i < n && err == 0; i++) {
			fill_record(record, number + i, 8 + i % 100);
			err = shoal_ring_send(&ring, record, 8 + i % 100);
		}
		answer(err);
	} else if (strcmp(verb, "check") == 0)
		answer(shoal_ring_check(&ring));
	else if (strcmp(verb, "stats") == 0) {
		err = shoal_ring_stats(&ring, &s);
		if (err < 0)
			answer(err);
		else
			printf("sent %" PRIu64 " received %" PRIu64 " repairs %" PRIu64 " %" PRIu64 "\n", s.sent, s.received,
			       s.writer_repairs, s.reader_repairs);
	} else if (strcmp(verb, "close") == 0) {
		shoal_ring_close(&ring);
		answer(0);
	} else
		printf("no verb %s\n", verb);
}

static void do_other(const char *noun, const char *verb, const char *name)
{
	struct shoal_spec spec;

	memset(&spec, 0, sizeof spec);
	if (strcmp(noun, "segment") == 0 && strcmp(verb, "open") == 0)
		answer(shoal_segment_open(&segment, name));
	else if (strcmp(noun, "segment") == 0 && strcmp(verb, "close") == 0) {
		shoal_segment_close(&segment);
		answer(0);
	} else if (strcmp(noun, "members") == 0 && strcmp(verb, "join") == 0)
		answer(shoal_members_join(&members, &segment, 0, (uint32_t)strtoul(name, NULL, 0)));
	else if (strcmp(noun, "members") == 0 && strcmp(verb, "leave") == 0) {
		shoal_members_leave(&members);
		answer(0);
	} else if (strcmp(noun, "members") == 0 && strcmp(verb, "self") == 0)
		printf("%016" PRIx64 "\n", members.self);
	else if (strcmp(noun, "object") == 0 && strcmp(verb, "open") == 0)
		answer(shoal_open(&object, name, &spec));
	else if (strcmp(noun, "object") == 0 && strcmp(verb, "why") == 0)
		printf("why %s\n", shoal_why(&object));
	else if (strcmp(noun, "object") == 0 && strcmp(verb, "close") == 0) {
		shoal_close(&object);
		answer(0);
	} else if (strcmp(noun, "remove") == 0)
		answer(shoal_remove(verb));
	else if (strcmp(noun, "die") == 0) { /* no answer: at the store of that number from now */
		shoal_stores_left = strtol(verb, NULL, 0);
		printf("ok\n");
	} else if (strcmp(noun, "stores") == 0) /* how many are left */
		printf("%ld\n", shoal_stores_left);
	else
		printf("no noun %s\n", noun);
}

int main(void)
{
	char line[512], noun[64], verb[64], name[256], how[64], value[64];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin) != NULL) {
		noun[0] = verb[0] = name[0] = how[0] = value[0] = 0;
		sscanf(line, "%63s %63s %255s %63s %63s", noun, verb, name, how, value);
		if (strcmp(noun, "mutex") == 0)
			do_mutex(verb, name, how);
		else if (strcmp(noun, "event") == 0)
			do_event(verb, name, how);
		else if (strcmp(noun, "semaphore") == 0)
			do_semaphore(verb, name, how, value);
		else if (strcmp(noun, "ring") == 0)
			do_ring(verb, name, how, value);
		else
			do_other(noun, verb, name);
	}
	return 0;
}
