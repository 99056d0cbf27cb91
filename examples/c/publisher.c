/*
 * publisher sends lines from its standard input to all who have subscribed to a topic.
 *
 *	cc -std=c11 -O2 -Wall -Iinclude -o publisher examples/c/publisher.c -pthread
 *	ls | ./publisher example-lines
 *
 * The topic is made if there is none. Any number of publishers may run at a time, up to
 * eight; one that is killed is followed by the next, which goes on behind its last line.
 * The command "shoal sub example-lines", examples/c/subscriber.c and a Go program with
 * topic.OpenOrCreate[[]byte]("example-lines", nil) receive what it sends.
 */
#include <stdio.h>
#include <string.h>

#include "shoal.h"

static int fail(const struct shoal_topic *t, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", what, shoal_strerror(err), shoal_topic_why(t));
	return 1;
}

int main(int argc, char **argv)
{
	struct shoal_topic topic;
	struct shoal_topic_publisher publisher;
	char line[4096];
	size_t n;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: publisher TOPIC\n");
		return 2;
	}
	err = shoal_topic_open_or_create(&topic, argv[1], NULL);
	if (err < 0)
		return fail(&topic, "open", err);
	err = shoal_topic_publisher_open(&publisher, &topic); /* SHOAL_ENOSLOT: there are eight already */
	while (err == 0 && fgets(line, sizeof line, stdin) != NULL) {
		n = strcspn(line, "\n");
		err = shoal_topic_send(&publisher, line, n); /* waits for slow subscribers */
	}
	if (err < 0)
		fail(&topic, "send", err);
	shoal_topic_close(&topic); /* and the publisher */
	return err < 0;
}
