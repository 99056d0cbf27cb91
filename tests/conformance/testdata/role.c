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
		else
			do_other(noun, verb, name);
	}
	return 0;
}
