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
static struct shoal_queue queue;
static struct shoal_topic topic;
static struct shoal_topic_publisher publisher;
static struct shoal_topic_subscriber subscriber;

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
	case SHOAL_EMISSED:
		return "missed";
	case SHOAL_EDROPPED:
		return "dropped";
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

/* Receives, until the record of that number has come, in a lane of which the first has
 * number 0: each is whole and in its place, or counted as missed. */
static int topic_follow(uint64_t number)
{
	uint64_t next = 0, got = UINT64_MAX;
	const void *p;
	size_t n;
	int err;

	while (got != number) {
		err = shoal_topic_peek(&subscriber, &p, &n);
		if (err == SHOAL_EMISSED) {
			next += shoal_topic_missed(&subscriber);
			continue;
		}
		if (err == SHOAL_EDROPPED)
			continue;
		if (err < 0)
			return err;
		memcpy(&got, p, 8);
		if (got != next || shoal_topic_last(&subscriber).number != next || n != 8 + next % 100 ||
		    (n > 8 && ((const unsigned char *)p)[n - 1] != (got & 0xff)))
			return SHOAL_ECORRUPT;
		next++;
		err = shoal_topic_release(&subscriber);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Subscribes so many times while a publisher sends records whose first 8 bytes are their
 * number in the lane, and receives some each time: those that are there, one behind the
 * other. */
static int hop(uint64_t times)
{
	struct shoal_topic_subscribe_options how = {false, false, 0, NULL};
	uint64_t i, next, got;
	const void *p;
	size_t n;
	int err, tries;

	for (i = 0; i < times; i++) {
		how.oldest = i % 3 == 1;
		how.history = i % 3 == 2 ? 2 : 0;
		err = shoal_topic_subscriber_open(&subscriber, &topic, &how);
		if (err < 0)
			return err;
		for (next = 0, tries = 0; tries < 40; tries++) {
			err = shoal_topic_trypeek(&subscriber, &p, &n);
			if (err == SHOAL_EBUSY)
				continue;
			if (err < 0)
				return err;
			memcpy(&got, p, 8);
			if (got != shoal_topic_last(&subscriber).number || (next != 0 && got != next) || n != 8 + got % 100)
				return SHOAL_ECORRUPT;
			next = got + 1;
			err = shoal_topic_release(&subscriber);
			if (err < 0)
				return err;
		}
		shoal_topic_subscriber_close(&subscriber);
	}
	return 0;
}

/* Sends records of 64 bytes for ever: who it is, a number, and its lowest byte. The
 * number is raised in the ledger before: who is killed may have skipped one. */
static void publish(uint64_t *ledger, uint64_t who)
{
	uint64_t record[8];
	int err;

	for (;;) {
		record[0] = who;
		record[1] = __atomic_add_fetch(&ledger[who], 1, __ATOMIC_SEQ_CST);
		memset(record + 2, (int)(record[1] & 0xff), sizeof record - 16);
		err = shoal_topic_send(&publisher, record, sizeof record);
		if (err < 0) {
			answer(err);
			return;
		}
	}
}

/* Whether it is one of these. */
static bool published(const void *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;
	const uint64_t *record = (const uint64_t *)p;
	size_t i;

	if (n != 64 || record[0] >= 8)
		return false;
	for (i = 16; i < n; i++)
		if (b[i] != (record[1] & 0xff))
			return false;
	return true;
}

/* Receives them for ever. At its place in the ledger is a word for each publisher: the
 * last number << 16 | how many numbers did not come. That is stored before the record is
 * released: so the last one may come again, and those that did not come are at most as
 * many as the publishers of that number that were killed, which the ledger has at 16.
 * Behind these words it counts. */
static void collect(uint64_t *ledger, uint64_t at)
{
	uint64_t *word, last, gaps;
	const uint64_t *record;
	const void *p;
	size_t n;
	int err;

	for (;;) {
		err = shoal_topic_peek(&subscriber, &p, &n);
		if (err < 0) {
			answer(err);
			return;
		}
		record = (const uint64_t *)p;
		if (!published(p, n)) {
			printf("torn\n");
			return;
		}
		word = &ledger[at + record[0]];
		last = *word >> 16;
		gaps = *word & 0xffff;
		if (record[1] > last)
			gaps += record[1] - last - 1;
		if (record[1] < last || gaps > __atomic_load_n(&ledger[16 + record[0]], __ATOMIC_SEQ_CST)) {
			printf("record %" PRIu64 " of publisher %" PRIu64 " after %" PRIu64 "\n", record[1], record[0], last);
			return;
		}
		__atomic_store_n(word, record[1] << 16 | gaps, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&ledger[at + 8], 1, __ATOMIC_SEQ_CST);
		err = shoal_topic_release(&subscriber);
		if (err < 0) {
			answer(err);
			return;
		}
	}
}

/* Receives them without anybody waiting for it, for ever: all are whole, none comes
 * twice, and what is missing is told exactly, by the numbers in the lanes. */
static void watch(uint64_t *ledger, uint64_t at)
{
	uint64_t next[3] = {0, 0, 0}, last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
	struct shoal_topic_info info;
	const uint64_t *record;
	const void *p;
	size_t n;
	int err;

	for (;;) {
		err = shoal_topic_peek(&subscriber, &p, &n);
		info = shoal_topic_last(&subscriber);
		if (err == SHOAL_EMISSED) {
			if (next[info.publisher] != 0)
				next[info.publisher] += shoal_topic_missed(&subscriber);
			continue;
		}
		if (err < 0) {
			answer(err);
			return;
		}
		record = (const uint64_t *)p;
		if (!published(p, n) || record[1] <= last[record[0]]) {
			printf("torn\n");
			return;
		}
		if (next[info.publisher] != 0 && next[info.publisher] != info.number + 1) {
			printf("record %" PRIu64 " of lane %" PRIu32 ", want %" PRIu64 "\n", info.number, info.publisher,
			       next[info.publisher] - 1);
			return;
		}
		next[info.publisher] = info.number + 2;
		last[record[0]] = record[1];
		__atomic_fetch_add(&ledger[at + 8], 1, __ATOMIC_SEQ_CST);
		err = shoal_topic_release(&subscriber);
		if (err < 0) {
			answer(err);
			return;
		}
	}
}

/* What the conformance test sees of a topic's object, whatever stands in it: each
 * function comes back, with something or an error. */
static void try_all(const char *name)
{
	static unsigned char record[4096];
	static const struct shoal_topic_subscribe_options how[] = {
		{false, false, 0, "other"}, {false, false, 0, NULL}, {false, true, 0, NULL}, {true, true, 0, NULL},
		{false, false, 2, NULL}, {false, false, 0, "durable"},
	};
	struct shoal_topic_stats s;
	struct shoal_topic_publisher_stats ps;
	struct shoal_topic_subscriber_stats ss;
	uint32_t i, k, errors = 0;
	size_t n;
	int err = shoal_topic_open(&topic, name, NULL);

	if (err < 0) {
		printf("refused\n");
		return;
	}
	errors += shoal_topic_check(&topic) < 0;
	errors += shoal_topic_stats(&topic, &s) < 0;
	for (i = 0; i < s.max_publishers; i++)
		errors += shoal_topic_publisher_stats(&topic, i, &ps) < 0;
	for (i = 0; i < s.max_subscribers; i++)
		errors += shoal_topic_subscriber_stats(&topic, i, &ss) < 0;
	for (i = 0; i < sizeof how / sizeof how[0]; i++) {
		err = shoal_topic_subscriber_open(&subscriber, &topic, &how[i]);
		errors += err < 0;
		if (err < 0)
			continue;
		err = shoal_topic_publisher_open(&publisher, &topic);
		errors += err < 0;
		for (k = 0; err == 0 && k < 60; k++) {
			fill_record(record, k, 8 + k * 50 % 1000);
			err = shoal_topic_send_for(&publisher, record, 8 + k * 50 % 1000, 0);
		}
		for (k = 0; k < 100; k++) {
			err = shoal_topic_tryreceive(&subscriber, record, sizeof record, &n);
			if (err < 0 && err != SHOAL_EMISSED && err != SHOAL_EDROPPED)
				break;
		}
		errors += err < 0 && err != SHOAL_EBUSY;
		shoal_topic_publisher_close(&publisher);
		shoal_topic_subscriber_close(&subscriber);
	}
	errors += shoal_topic_forget(&topic, "durable") < 0;
	errors += shoal_topic_repair(&topic) < 0;
	shoal_topic_close(&topic);
	printf("%s\n", errors > 0 ? "errors" : "sound");
}

/* topic send NUMBER LENGTH [TIMEOUT], topic receive [TIMEOUT], and so on. */
static void do_topic(const char *verb, const char *name, const char *how, const char *value)
{
	static unsigned char record[1 << 20];
	static char word[64];
	struct shoal_topic_options options = {3, 4, 4096, SHOAL_TOPIC_WAIT, 0600, NULL, NULL};
	struct shoal_topic_subscribe_options join = {false, false, 0, NULL};
	struct shoal_topic_stats s;
	struct shoal_topic_publisher_stats ps;
	struct shoal_topic_subscriber_stats ss;
	uint64_t number = strtoull(name, NULL, 0), i, missed = 0;
	size_t n = (size_t)strtoull(how, NULL, 0), sent;
	const void *p;
	void *place;
	int err = 0;

	if (strcmp(verb, "open") == 0) {
		if (strcmp(how, "refuse") == 0)
			options.policy = SHOAL_TOPIC_REFUSE;
		else if (strcmp(how, "drop") == 0)
			options.policy = SHOAL_TOPIC_DROP;
		if (value[0] != 0 && value[0] >= '0' && value[0] <= '9')
			options.lane_size = strtoull(value, NULL, 0);
		else if (value[0] != 0) /* a type */
			options.schema = strcmp(value, "int64") == 0 ? "shoal schema 1\nint64\n" : "shoal schema 1\nfloat64\n";
		err = shoal_topic_open_or_create(&topic, name, &options);
		answer(err > 0 ? 0 : err);
	} else if (strcmp(verb, "publisher") == 0)
		answer(shoal_topic_publisher_open(&publisher, &topic));
	else if (strcmp(verb, "unpublisher") == 0) {
		shoal_topic_publisher_close(&publisher);
		answer(0);
	} else if (strcmp(verb, "subscribe") == 0) {
		join.lossy = strncmp(name, "lossy", 5) == 0;
		join.oldest = strstr(name, "oldest") != NULL;
		if (strncmp(name, "named", 5) == 0) {
			snprintf(word, sizeof word, "%s", how);
			join.name = word;
		} else if (how[0] != 0)
			join.history = n;
		answer(shoal_topic_subscriber_open(&subscriber, &topic, &join));
	} else if (strcmp(verb, "unsubscribe") == 0) {
		shoal_topic_subscriber_close(&subscriber);
		answer(0);
	} else if (strcmp(verb, "forget") == 0)
		answer(shoal_topic_forget(&topic, name));
	else if (strcmp(verb, "send") == 0) {
		fill_record(record, number, n);
		answer(shoal_topic_send_for(&publisher, record, n, value[0] == 0 ? -1 : strtoll(value, NULL, 0)));
	} else if (strcmp(verb, "try") == 0) {
		fill_record(record, number, n);
		answer(shoal_topic_trysend(&publisher, record, n));
	} else if (strcmp(verb, "batch") == 0) { /* so many from that number */
		for (i = 0; i < n; i++)
			fill_record(record + 16 * i, number + i, 16);
		answer(shoal_topic_send_batch(&publisher, record, 16, n, &sent));
	} else if (strcmp(verb, "place") == 0 || strcmp(verb, "cancel") == 0) {
		err = shoal_topic_reserve(&publisher, &place, n, -1);
		if (err == 0) {
			fill_record((unsigned char *)place, number, n);
			err = verb[0] == 'p' ? shoal_topic_commit(&publisher, n) : shoal_topic_cancel(&publisher);
		}
		answer(err);
	} else if (strcmp(verb, "receive") == 0) {
		err = shoal_topic_receive_for(&subscriber, record, sizeof record, &n,
		                              name[0] == 0 ? -1 : strtoll(name, NULL, 0));
		if (err < 0)
			answer(err);
		else
			answer_record(record, n);
	} else if (strcmp(verb, "tryreceive") == 0 || strcmp(verb, "peek") == 0) {
		err = shoal_topic_trypeek(&subscriber, &p, &n);
		if (err < 0)
			answer(err);
		else
			answer_record((const unsigned char *)p, n);
		if (err == 0 && verb[0] == 't')
			shoal_topic_release(&subscriber);
	} else if (strcmp(verb, "release") == 0)
		answer(shoal_topic_release(&subscriber));
	else if (strcmp(verb, "count") == 0 || strcmp(verb, "tally") == 0) { /* receives what is there; with what is missing */
		for (i = 0;; i++) {
			err = shoal_topic_tryreceive(&subscriber, record, sizeof record, &n);
			if (err == SHOAL_EMISSED && verb[0] == 't') {
				missed += shoal_topic_missed(&subscriber);
				i--;
			} else if (err < 0)
				break;
		}
		if (verb[0] == 't' && err == SHOAL_EBUSY)
			printf("%" PRIu64 ", %s missed\n", i + missed, missed != 0 ? "some" : "none");
		else if (verb[0] == 't')
			answer(err);
		else
			printf("%" PRIu64 "\n", i);
	} else if (strcmp(verb, "last") == 0)
		printf("%" PRIu32 " %" PRIu64 "\n", shoal_topic_last(&subscriber).publisher, shoal_topic_last(&subscriber).number);
	else if (strcmp(verb, "drain") == 0) { /* so many, from that number on */
		for (i = 0; i < n && err == 0; i++) {
			err = shoal_topic_peek(&subscriber, &p, &sent);
			if (err == 0 && *(const uint64_t *)p != number + i)
				err = SHOAL_ECORRUPT;
			if (err == 0)
				err = i % 3 == 0 ? shoal_topic_release(&subscriber) : shoal_topic_skip(&subscriber);
		}
		if (err == 0)
			err = shoal_topic_release(&subscriber);
		answer(err);
	} else if (strcmp(verb, "collectbatch") == 0) { /* the same, in batches of records of 16 bytes */
		for (i = 0; i < n && err == 0; i += sent) {
			err = shoal_topic_receive_batch(&subscriber, record, 16, n - i < 100 ? n - i : 100, NULL, &sent, -1);
			if (err == 0 && (*(uint64_t *)(void *)record != number + i ||
			                 *(uint64_t *)(void *)(record + 16 * (sent - 1)) != number + i + sent - 1))
				err = SHOAL_ECORRUPT;
		}
		answer(err);
	} else if (strcmp(verb, "stream") == 0) { /* so many, one by one, from that number on */
		for (i = 0; i < n && err == 0; i++) {
			fill_record(record, number + i, 8 + (number + i) % 100);
			err = shoal_topic_send(&publisher, record, 8 + (number + i) % 100);
		}
		answer(err);
	} else if (strcmp(verb, "follow") == 0)
		answer(topic_follow(number));
	else if (strcmp(verb, "hop") == 0)
		answer(hop(number));
	else if (strcmp(verb, "publish") == 0)
		publish((uint64_t *)shoal_segment_data(&segment), number);
	else if (strcmp(verb, "collect") == 0)
		collect((uint64_t *)shoal_segment_data(&segment), number);
	else if (strcmp(verb, "watch") == 0)
		watch((uint64_t *)shoal_segment_data(&segment), number);
	else if (strcmp(verb, "check") == 0)
		answer(shoal_topic_check(&topic));
	else if (strcmp(verb, "repair") == 0)
		answer_number(shoal_topic_repair(&topic));
	else if (strcmp(verb, "reliable") == 0)
		answer_number(shoal_topic_reliable(&subscriber));
	else if (strcmp(verb, "lane") == 0) {
		err = shoal_topic_publisher_stats(&topic, (uint32_t)number, &ps);
		if (err < 0)
			answer(err);
		else
			printf("sent %" PRIu64 " full %" PRIu64 " repairs %" PRIu64 " %s\n", ps.sent, ps.full, ps.repairs,
			       ps.pid == 0 ? "nobody" : ps.alive ? "alive" : "dead");
	} else if (strcmp(verb, "subscriber") == 0) {
		err = shoal_topic_subscriber_stats(&topic, (uint32_t)number, &ss);
		if (err < 0)
			answer(err);
		else if (err == 0)
			printf("free\n");
		else
			printf("%s%s received %" PRIu64 " missed %" PRIu64 " lag %" PRIu64 " %s\n",
			       ss.named ? ss.name : "unnamed",
			       ss.joining ? " joining" : ss.dropped ? " dropped" : ss.reliable ? " reliable" : " lossy",
			       ss.received, ss.missed, ss.lag, ss.pid == 0 ? "nobody" : ss.alive ? "alive" : "dead");
	} else if (strcmp(verb, "lost") == 0) { /* wake-ups */
		err = shoal_topic_stats(&topic, &s);
		answer_number(err < 0 ? err : (int)s.members.lost_wakes);
	} else if (strcmp(verb, "try_all") == 0)
		try_all(name);
	else if (strcmp(verb, "close") == 0) {
		shoal_topic_close(&topic);
		answer(0);
	} else
		printf("no verb %s\n", verb);
}

/* What this process has in hand of the queue: the first ones first. */
static struct shoal_queue_message held[64];
static struct shoal_queue_loan lent[64], last_lent;
static size_t holds, lends;

static void answer_message(const struct shoal_queue_message *m)
{
	uint64_t number = 0;
	const unsigned char *p = (const unsigned char *)m->data;
	size_t i;

	memcpy(&number, p, m->size < 8 ? m->size : 8);
	for (i = 8; i < m->size; i++)
		if (p[i] != (number & 0xff)) {
			printf("torn\n");
			return;
		}
	printf("%" PRIu64 " %zu %" PRIu32 "\n", number, m->size, m->deliveries);
}

/* In the ledger of a kill test: which messages of each worker have been consumed. */
#define NUMBERS (UINT64_C(1) << 23)

static bool enter_message(uint64_t *ledger, uint64_t worker, uint64_t number)
{
	uint64_t *word = ledger + 512 + (worker * NUMBERS + number) / 64, bit = UINT64_C(1) << number % 64;

	return (__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit) == 0;
}

/* The first four workers send, each its own numbers from 1, by each way that there is;
 * the others consume. All acknowledge in a word of their own. */
static void labour(uint64_t *ledger, unsigned worker)
{
	unsigned char message[256];
	struct shoal_queue_message ms[4];
	struct shoal_queue_loan l;
	uint64_t number = ledger[worker] + 1, of;
	size_t n, done, i;
	int err = 0;

	while (err == 0 && worker < 4 && number + 4 < NUMBERS) {
		n = 16 + number % 200;
		for (i = 0; i < 4; i++) {
			memset(message + i * 64, (int)((number + i) & 0xff), 64);
			of = number + i;
			memcpy(message + i * 64, &of, 8);
			message[i * 64 + 8] = (unsigned char)worker;
		}
		done = 1;
		if (number % 3 == 0)
			err = shoal_queue_send_batch(&queue, message, 64, 4, &done, -1);
		else if (number % 3 == 1)
			err = shoal_queue_send(&queue, message, 64);
		else if ((err = shoal_queue_reserve(&queue, &l, n, -1)) == 0) {
			memset(l.data, (int)(number & 0xff), n);
			memcpy(l.data, message, 9);
			err = shoal_queue_commit(&queue, &l, n);
		}
		if (number / 256 != (number + done) / 256)
			shoal_nap_(1000000); /* so that the numbers last, and the queue is empty now and then */
		number += done;
		__atomic_store_n(&ledger[worker], number - 1, __ATOMIC_SEQ_CST);
	}
	while (err == 0 && worker >= 4) {
		err = shoal_queue_receive_batch(&queue, ms, 1 + number % 4, &done, -1);
		for (i = 0; err == 0 && i < done; i++, number++) {
			const unsigned char *p = (const unsigned char *)ms[i].data;

			memcpy(&of, p, 8);
			for (n = 9; n < ms[i].size; n++)
				if (p[n] != (of & 0xff))
					err = SHOAL_ECORRUPT;
			if (err == 0 && number % 64 == 0)
				err = shoal_queue_nack(&queue, &ms[i]);
			else if (err == 0) {
				enter_message(ledger, p[8], of);
				__atomic_fetch_add(&ledger[worker], 1, __ATOMIC_SEQ_CST);
				err = shoal_queue_ack(&queue, &ms[i]);
			}
		}
	}
	if (err == SHOAL_ECORRUPT)
		printf("corrupt: %s\n", shoal_queue_why(&queue));
	else
		answer(err);
}

/* The first that is held, or of that number; it is not held any more then, but may be
 * tried again. */
static struct shoal_queue_message *let_go(const char *number)
{
	static struct shoal_queue_message last;
	uint64_t want = strtoull(number, NULL, 0), is = 0;
	size_t i;

	for (i = 0; i < holds; i++) {
		memcpy(&is, held[i].data, held[i].size < 8 ? held[i].size : 8);
		if (number[0] != 0 && is != want)
			continue;
		last = held[i];
		memmove(&held[i], &held[i + 1], (--holds - i) * sizeof held[0]);
		break;
	}
	return &last;
}

/* queue open NAME SLOTS [LONGEST], queue send NUMBER LENGTH [TIMEOUT], and so on. */
static void do_queue(const char *verb, const char *name, const char *how, const char *value)
{
	static unsigned char record[1 << 16];
	struct shoal_queue_options options = {0, 0, 0600, NULL, 0, NULL};
	struct shoal_queue_stats s;
	struct shoal_queue_holding h;
	struct shoal_queue_message m;
	uint64_t number = strtoull(name, NULL, 0), i;
	size_t n = (size_t)strtoull(how, NULL, 0), done;
	int64_t timeout = -1;
	int err = 0;

	if (strcmp(verb, "open") == 0) {
		options.slots = (uint32_t)n;
		options.max_message = (uint32_t)strtoul(value, NULL, 0);
		err = shoal_queue_open_or_create(&queue, name, &options);
		answer(err > 0 ? 0 : err);
	} else if (strcmp(verb, "type") == 0) { /* of so many bytes */
		snprintf((char *)record, sizeof record, "shoal schema 1\n[%s]uint8\n", how);
		options.slots = 4;
		options.schema = (const char *)record;
		err = shoal_queue_open_or_create(&queue, name, &options);
		answer(err > 0 ? 0 : err);
	} else if (strcmp(verb, "send") == 0) {
		fill_record(record, number, n);
		answer(shoal_queue_send_for(&queue, record, n, value[0] == 0 ? -1 : strtoll(value, NULL, 0)));
	} else if (strcmp(verb, "try") == 0) {
		fill_record(record, number, n);
		answer(shoal_queue_trysend(&queue, record, n));
	} else if (strcmp(verb, "batch") == 0) { /* so many from that number */
		for (i = 0; i < n; i++)
			fill_record(record + 16 * i, number + i, 16);
		answer(shoal_queue_send_batch(&queue, record, 16, n, &done, -1));
	} else if (strcmp(verb, "lend") == 0) {
		err = shoal_queue_reserve(&queue, &lent[lends], n, -1);
		if (err == 0)
			fill_record((unsigned char *)lent[lends++].data, number, n);
		answer(err);
	} else if (strcmp(verb, "commit") == 0 || strcmp(verb, "cancel") == 0) { /* the first one, or again the last */
		if (lends > 0)
			last_lent = lent[0];
		err = verb[1] == 'o'
		            ? shoal_queue_commit(&queue, &last_lent, name[0] == 0 ? last_lent.size : (size_t)number)
		            : shoal_queue_cancel(&queue, &last_lent);
		if (err == 0 && lends > 0)
			memmove(&lent[0], &lent[1], --lends * sizeof lent[0]);
		answer(err);
	} else if (strcmp(verb, "receive") == 0 || strcmp(verb, "tryreceive") == 0) {
		timeout = name[0] == 0 ? timeout : strtoll(name, NULL, 0);
		err = shoal_queue_receive_for(&queue, &held[holds], verb[0] == 't' ? 0 : timeout);
		if (err < 0)
			answer(err);
		else
			answer_message(&held[holds++]);
	} else if (strcmp(verb, "some") == 0) { /* at most so many */
		err = shoal_queue_receive_batch(&queue, &held[holds], (size_t)number, &done, -1);
		holds += done;
		answer_number(err < 0 ? err : (int)done);
	} else if (strcmp(verb, "ack") == 0)
		answer(shoal_queue_ack(&queue, let_go(name)));
	else if (strcmp(verb, "nack") == 0)
		answer(shoal_queue_nack(&queue, let_go(name)));
	else if (strcmp(verb, "ackall") == 0) {
		err = shoal_queue_ack_batch(&queue, held, holds, &done);
		holds = 0;
		answer(err);
	} else if (strcmp(verb, "use") == 0) { /* receives one and acknowledges it, */
		err = shoal_queue_receive(&queue, &m);
		answer(err < 0 ? err : shoal_queue_ack(&queue, &m));
	} else if (strcmp(verb, "back") == 0) { /* gives it back, */
		err = shoal_queue_receive(&queue, &m);
		answer(err < 0 ? err : shoal_queue_nack(&queue, &m));
	} else if (strcmp(verb, "hold") == 0) { /* or keeps it */
		err = shoal_queue_receive(&queue, &held[holds]);
		holds += err == 0;
		answer(err);
	} else if (strcmp(verb, "count") == 0) { /* receives and acknowledges all that is there */
		for (i = 0; (err = shoal_queue_tryreceive(&queue, &m)) == 0 && shoal_queue_ack(&queue, &m) == 0; i++)
			;
		if (err == SHOAL_EBUSY)
			printf("%" PRIu64 "\n", i);
		else
			answer(err);
	} else if (strcmp(verb, "drain") == 0) { /* so many, from that number on */
		for (i = 0; i < n && err == 0; i++) {
			err = shoal_queue_receive(&queue, &m);
			if (err == 0 && *(const uint64_t *)m.data != number + i)
				err = SHOAL_ECORRUPT;
			if (err == 0)
				err = shoal_queue_ack(&queue, &m);
		}
		answer(err);
	} else if (strcmp(verb, "stream") == 0) { /* so many, one by one, from that number on */
		for (i = 0; i < n && err == 0; i++) {
			fill_record(record, number + i, 8 + i % 100);
			err = shoal_queue_send(&queue, record, 8 + i % 100);
		}
		answer(err);
	} else if (strcmp(verb, "work") == 0)
		labour((uint64_t *)shoal_segment_data(&segment), (unsigned)number);
	else if (strcmp(verb, "check") == 0)
		answer(shoal_queue_check(&queue));
	else if (strcmp(verb, "repair") == 0)
		answer(shoal_queue_repair(&queue) < 0 ? SHOAL_ECORRUPT : 0);
	else if (strcmp(verb, "stats") == 0 || strcmp(verb, "slots") == 0 || strcmp(verb, "free") == 0) {
		err = shoal_queue_stats(&queue, &s);
		if (err < 0)
			answer(err);
		else if (verb[0] == 'f')
			printf("%" PRIu64 "\n", s.free);
		else if (verb[1] == 't')
			printf("sent %" PRIu64 " received %" PRIu64 " acked %" PRIu64 " nacked %" PRIu64
			       " redelivered %" PRIu64 " returned %" PRIu64 " freed %" PRIu64 "\n",
			       s.sent, s.received, s.acked, s.nacked, s.redelivered, s.returned, s.freed);
		else
			printf("free %" PRIu64 " claimed %" PRIu64 " ready %" PRIu64 " taken %" PRIu64 "\n", s.free,
			       s.claimed, s.ready, s.taken);
	} else if (strcmp(verb, "holdings") == 0) { /* of live processes, and of dead ones */
		int alive = 0, dead = 0;

		for (i = 0; i < shoal_queue_slots(&queue); i++)
			if (shoal_queue_holding(&queue, i, &h) == 1)
				*(h.alive ? &alive : &dead) += 1;
		printf("%d %d\n", alive, dead);
	} else if (strcmp(verb, "close") == 0) {
		shoal_queue_close(&queue);
		holds = lends = 0;
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
		else if (strcmp(noun, "queue") == 0)
			do_queue(verb, name, how, value);
		else if (strcmp(noun, "topic") == 0)
			do_topic(verb, name, how, value);
		else
			do_other(noun, verb, name);
	}
	return 0;
}
