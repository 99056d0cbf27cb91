/*
 * worker does the jobs of examples/c/producer.c: it prints them.
 *
 *	cc -std=c11 -O2 -Wall -Iinclude -o worker examples/c/worker.c -pthread
 *	./worker &
 *	./worker &
 *
 * Each job goes to one worker. If that is killed before it has acknowledged it, another
 * one has it next, and is told so: it may have been done before, or begun. A job that
 * begins with "later" is given back the first time.
 */
#include <stdio.h>
#include <string.h>

#include "shoal.h"

static void work(const struct shoal_queue_message *job)
{
	if (job->deliveries > 1)
		printf("(again) ");
	fwrite(job->data, 1, job->size, stdout); /* where it lies */
	fflush(stdout);
}

int main(void)
{
	static struct shoal_queue jobs;
	struct shoal_queue_message job;
	int err = shoal_queue_open_or_create(&jobs, "example-jobs", NULL);

	while (err >= 0) {
		err = shoal_queue_receive(&jobs, &job); /* waits */
		if (err < 0)
			break;
		if (job.deliveries == 1 && job.size > 5 && memcmp(job.data, "later", 5) == 0) {
			err = shoal_queue_nack(&jobs, &job);
			continue;
		}
		work(&job);
		err = shoal_queue_ack(&jobs, &job);
	}
	fprintf(stderr, "worker: %s: %s\n", shoal_strerror(err), shoal_queue_why(&jobs));
	shoal_queue_close(&jobs);
	return 1;
}
