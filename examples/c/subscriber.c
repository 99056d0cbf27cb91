/*
 * subscriber prints what is sent to a topic, one record a line.
 *
 *	cc -std=c11 -O2 -Wall -Iinclude -o subscriber examples/c/subscriber.c -pthread
 *	./subscriber example-lines            all from now on: publishers wait for us
 *	./subscriber example-lines reader     by a name: what is sent while we do not run, too
 *	./subscriber example-lines - 1000000  counts so many instead, and says how fast they came
 *
 * It may be killed at any moment. By a name it is told by the next run what it had not
 * printed, and perhaps the last line again. A Go program publishes with
 * topic.OpenOrCreate[[]byte]("example-lines", nil), the command with "shoal pub".
 */
#include <stdio.h>
#include <string.h>

#include "shoal.h"

static int fail(const struct shoal_topic *t, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", what, shoal_strerror(err), shoal_topic_why(t));
	return 1;
}

/* Prints records for ever: each is released when it has been printed. */
static int print(struct shoal_topic_subscriber *s)
{
	const void *p;
	size_t n;
	int err;

	while ((err = shoal_topic_peek(s, &p, &n)) == 0) {
		fwrite(p, 1, n, stdout); /* where it lies */
		putchar('\n');
		fflush(stdout);
		err = shoal_topic_release(s);
		if (err < 0)
			break;
	}
	return err;
}

/* Counts records, which are released together: that is cheaper. */
static int count(struct shoal_topic_subscriber *s, unsigned long want)
{
	struct timespec from = {0, 0}, to;
	unsigned long i;
	const void *p;
	unsigned sum = 0;
	double seconds;
	size_t n;
	int err = 0;

	for (i = 0; i < want && err == 0; i++) {
		err = shoal_topic_peek(s, &p, &n);
		if (i == 0)
			timespec_get(&from, TIME_UTC);
		if (err == 0) {
			sum += n > 0 ? *(const unsigned char *)p : 0;
			err = shoal_topic_skip(s);
		}
	}
	timespec_get(&to, TIME_UTC);
	seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
	if (err == 0)
		printf("%lu records, %.1f million a second, first bytes add up to %u\n", i, 1e-6 * (double)i / seconds, sum);
	return err;
}

int main(int argc, char **argv)
{
	struct shoal_topic topic;
	struct shoal_topic_subscriber subscriber;
	struct shoal_topic_subscribe_options how = {false, false, 0, NULL};
	int err;

	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: subscriber TOPIC [NAME [COUNT]]; - is no name\n");
		return 2;
	}
	if (argc > 2 && strcmp(argv[2], "-") != 0)
		how.name = argv[2];
	err = shoal_topic_open_or_create(&topic, argv[1], NULL);
	if (err < 0)
		return fail(&topic, "open", err);
	err = shoal_topic_subscriber_open(&subscriber, &topic, &how); /* SHOAL_EBUSY: a live process has the name */
	if (err == 0)
		err = argc > 3 ? count(&subscriber, strtoul(argv[3], NULL, 10)) : print(&subscriber);
	if (err < 0)
		fail(&topic, "receive", err);
	shoal_topic_close(&topic); /* and the subscription, but for its name */
	return err < 0;
}
