/*
 * mutex counts in a file, in which only one process at a time may write. Start it
 * in several terminals, and kill one of them, at any moment (kill -9): the others
 * go on, and whoever comes next mends what the dead one left.
 *
 *	cc -std=c11 -Wall -Wextra -Wpedantic -Iinclude examples/c/mutex.c -o mutex -pthread
 *	./mutex /tmp/count 100000
 */
#include <stdio.h>
#include <stdlib.h>

#include "shoal.h"

/* Reads the number in the file, 0 if there is none or half of one. */
static long number_in(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = 0;

	if (f != NULL) {
		if (fscanf(f, "%ld\n", &n) != 1)
			n = 0;
		fclose(f);
	}
	return n;
}

/* Adds one to the number, in two steps: who dies between them leaves an empty file.
 * The last number that was whole stands in PATH.old. */
static int add_one(const char *path, const char *old)
{
	long n = number_in(path);
	FILE *f;

	if (rename(path, old) != 0 && n != 0)
		return -1;
	f = fopen(path, "w");
	if (f == NULL)
		return -1;
	fprintf(f, "%ld\n", n + 1);
	return fclose(f);
}

int main(int argc, char **argv)
{
	struct shoal_mutex mutex;
	char old[4096];
	long i, rounds;
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: mutex FILE ROUNDS\n");
		return 2;
	}
	rounds = strtol(argv[2], NULL, 10);
	snprintf(old, sizeof old, "%s.old", argv[1]);

	err = shoal_mutex_open(&mutex, "example-count", NULL);
	if (err < 0) {
		fprintf(stderr, "open: %s. %s\n", shoal_strerror(err), shoal_mutex_why(&mutex));
		return 1;
	}
	for (i = 0; i < rounds; i++) {
		err = shoal_mutex_lock(&mutex);
		if (err == SHOAL_EOWNERDEAD) { /* we hold it, and somebody died in the middle */
			if (number_in(argv[1]) == 0 && rename(old, argv[1]) == 0)
				fprintf(stderr, "mended what a dead process has left\n");
			err = shoal_mutex_mark_consistent(&mutex);
		}
		if (err < 0) {
			fprintf(stderr, "lock: %s\n", shoal_strerror(err));
			break;
		}
		if (add_one(argv[1], old) != 0)
			perror(argv[1]);
		shoal_mutex_unlock(&mutex);
	}
	shoal_mutex_close(&mutex);
	printf("%ld\n", number_in(argv[1]));
	return err < 0;
}
