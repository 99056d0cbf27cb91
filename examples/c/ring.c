/*
 * ring sends lines from its standard input to another process, which prints them.
 *
 *	cc -std=c11 -O2 -Wall -Iinclude -o ring examples/c/ring.c -pthread
 *	./ring receive &
 *	ls | ./ring send
 *
 * Either may be killed and started again: no line is torn, and what was sent and not
 * yet printed is still there. A line may be printed twice, if its reader died between
 * printing and releasing it. A Go program takes part with
 * ring.OpenOrCreate[[]byte]("example-lines", nil).
 */
#include <stdio.h>
#include <string.h>

#include "shoal.h"

static int fail(const struct shoal_ring *r, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", what, shoal_strerror(err), shoal_ring_why(r));
	return 1;
}

int main(int argc, char **argv)
{
	static struct shoal_ring ring;
	char line[4096];
	const void *p;
	size_t n;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: ring send | receive | remove\n");
		return 2;
	}
	if (strcmp(argv[1], "remove") == 0) {
		err = shoal_remove("example-lines");
		return err < 0 ? fail(&ring, "remove", err) : 0;
	}
	err = shoal_ring_open_or_create(&ring, "example-lines", NULL);
	if (err < 0)
		return fail(&ring, "open", err);
	if (strcmp(argv[1], "send") == 0) {
		err = shoal_ring_writer(&ring); /* SHOAL_EBUSY: a live process has it */
		while (err == 0 && fgets(line, sizeof line, stdin) != NULL)
			err = shoal_ring_send(&ring, line, strlen(line));
	} else {
		err = shoal_ring_reader(&ring);
		while (err == 0 && (err = shoal_ring_peek(&ring, &p, &n)) == 0) {
			fwrite(p, 1, n, stdout); /* where it lies */
			fflush(stdout);
			err = shoal_ring_release(&ring);
		}
	}
	if (err < 0)
		fail(&ring, argv[1], err);
	shoal_ring_close(&ring);
	return err < 0;
}
