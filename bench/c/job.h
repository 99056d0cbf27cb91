// What a process is to do, the clock, and what it has found.
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// What a record tells.
enum { ORDINARY, END = 2 };

enum { SAMPLES = 1 << 20 };

static struct {
	bool near;           // begins, and is the one that measures round trips
	const char *measure; // ping, stream, hold
	bool spin;           // looks without a pause, and never sleeps
	bool cold;           // begins each round trip after a millisecond of sleep
	bool copy;           // takes records out by copying them
	size_t size;         // of a record
	int batch;           // records that are sent with one call
	size_t area;         // bytes that the transport may hold
	const char *there, *back;
	double seconds;
	int ends; // records that tell the end, after which a receiver ends
} job;

static struct {
	double p50, p99, p999, max;
	uint64_t count;
	int64_t took, cpu;
	long switches;
} outcome;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

// own is private memory, in place.
static void *own(size_t size)
{
	void *p = mmap(0, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED) die("mmap");
	memset(p, 1, size + 1);
	return p;
}

// clock_cost is the least of many: the one that was not interrupted.
static int64_t clock_cost(void)
{
	int64_t least = INT64_MAX;
	for (int i = 0; i < 64; i++) {
		int64_t t = now();
		for (int k = 0; k < 63; k++) now();
		int64_t d = (now() - t) / 64;
		if (d < least) least = d;
	}
	return least;
}

static uint32_t *samples;
static size_t taken;

static inline void sample(int64_t d)
{
	if (taken == SAMPLES) return;
	if (d < 0) d = 0;
	samples[taken++] = d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void percentiles(void)
{
	if (!taken) fail("no samples: give it more time");
	qsort(samples, taken, sizeof *samples, ascending);
	outcome.p50 = samples[taken / 2];
	outcome.p99 = samples[taken * 99 / 100];
	outcome.p999 = samples[taken * 999 / 1000];
	outcome.max = samples[taken - 1];
	outcome.count = taken;
}

static struct rusage used;
static int64_t used_from;

static void usage_start(void)
{
	getrusage(RUSAGE_SELF, &used);
	used_from = now();
}

static int64_t spent(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * INT64_C(1000000000) +
		(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * INT64_C(1000);
}

static void usage_stop(void)
{
	struct rusage end;
	getrusage(RUSAGE_SELF, &end);
	outcome.cpu = spent(&end) - spent(&used);
	outcome.switches = end.ru_nvcsw - used.ru_nvcsw;
	if (!outcome.took) outcome.took = now() - used_from;
}

static const char *argument(int argc, char **argv, const char *name, const char *otherwise)
{
	size_t n = strlen(name);
	for (int i = 1; i < argc; i++)
		if (!strncmp(argv[i], name, n) && argv[i][n] == '=') return argv[i] + n + 1;
	return otherwise;
}

static void read_job(int argc, char **argv)
{
	const char *wait = argument(argc, argv, "wait", "block");
	job.near = !strcmp(argument(argc, argv, "side", "near"), "near");
	job.measure = argument(argc, argv, "measure", "ping");
	job.spin = !strcmp(wait, "spin");
	job.cold = !strcmp(wait, "cold");
	job.copy = !strcmp(argument(argc, argv, "copy", "0"), "1");
	job.size = strtoull(argument(argc, argv, "size", "64"), 0, 0);
	job.batch = atoi(argument(argc, argv, "batch", "1"));
	job.area = strtoull(argument(argc, argv, "area", "1048576"), 0, 0);
	job.there = argument(argc, argv, "there", "");
	job.back = argument(argc, argv, "back", "");
	job.seconds = atof(argument(argc, argv, "seconds", "0.1"));
	job.ends = atoi(argument(argc, argv, "ends", "1"));
	if (job.size < 16 || job.size % 8) fail("size: want a multiple of 8, at least 16");
	samples = (uint32_t *)own(SAMPLES * sizeof *samples);
}

// stand_by waits until all processes are ready.
static void stand_by(void)
{
	char line[64];
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin)) fail("nobody says go");
}

static void print_outcome(void)
{
	printf("\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f,\"count\":%" PRIu64 ",\"took\":%" PRId64
		",\"cpu\":%" PRId64 ",\"switches\":%ld}\n",
		outcome.p50, outcome.p99, outcome.p999, outcome.max, outcome.count, outcome.took, outcome.cpu, outcome.switches);
}
