/*
 * producer sends each line of its standard input as a job, for the workers of
 * examples/c/worker.c.
 *
 *	cc -std=c11 -O2 -Wall -Iinclude -o producer examples/c/producer.c -pthread
 *	ls | ./producer
 *	./producer remove
 *
 * Any number of producers may run. When all places of the queue are in use they wait for
 * the workers. A job whose line was accepted is not lost, whoever is killed. A Go program
 * takes part with queue.OpenOrCreate[[]byte]("example-jobs", nil).
 */
#include <stdio.h>
#include <string.h>

#include "shoal.h"

static int fail(const struct shoal_queue *q, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", what, shoal_strerror(err), shoal_queue_why(q));
	return 1;
}

int main(int argc, char **argv)
{
	static struct shoal_queue jobs;
	char line[992]; /* as long as a message can be, unless asked otherwise */
	int err;

	if (argc == 2 && strcmp(argv[1], "remove") == 0) {
		err = shoal_remove("example-jobs");
		return err < 0 ? fail(&jobs, "remove", err) : 0;
	}
	err = shoal_queue_open_or_create(&jobs, "example-jobs", NULL);
	if (err < 0)
		return fail(&jobs, "open", err);
	err = 0; /* 1: it was made */
	while (err == 0 && fgets(line, sizeof line, stdin) != NULL)
		err = shoal_queue_send(&jobs, line, strlen(line));
	if (err < 0)
		fail(&jobs, "send", err);
	shoal_queue_close(&jobs);
	return err < 0;
}
