/*
 * event rings a bell between processes, and waits for it.
 *
 *	cc -std=c11 -Wall -Wextra -Wpedantic -Iinclude examples/c/event.c -o event -pthread
 *	./event wait        in one terminal
 *	./event ring        in another
 *
 * A Go program that opens the same bell, pshared.OpenEvent("example-bell",
 * pshared.AutoReset), hears it and rings it, too.
 */
#include <stdio.h>
#include <string.h>

#include "shoal.h"

static int fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, shoal_strerror(err));
	return 1;
}

int main(int argc, char **argv)
{
	struct shoal_event bell;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: event wait | ring | remove\n");
		return 2;
	}
	if (strcmp(argv[1], "remove") == 0) {
		err = shoal_remove("example-bell");
		return err < 0 ? fail("remove", err) : 0;
	}
	err = shoal_event_open(&bell, "example-bell", true, NULL); /* it resets itself: one passes for each ring */
	if (err < 0)
		return fail("open", err);
	if (strcmp(argv[1], "ring") == 0)
		err = shoal_event_set(&bell);
	else {
		err = shoal_event_wait_for(&bell, INT64_C(60000000000)); /* a minute */
		if (err == 0)
			printf("it rings\n");
	}
	shoal_event_close(&bell);
	return err < 0 ? fail(argv[1], err) : 0;
}
