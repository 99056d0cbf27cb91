// The raw limits of the machine, for shoal bench: what the hardware and the kernel
// need between two processes, with nothing in between.
//
//	limits line SIZE AREA SECONDS CPU CPU   ping-pong on two cache lines, half a
//	                                        round trip; with a SIZE, a payload that
//	                                        is copied in by the one side, going
//	                                        round in AREA bytes, and summed by the
//	                                        other
//	limits futex 0 0 SECONDS CPU CPU        ping-pong with futex(2), a round trip
//	limits memcpy SIZE AREA SECONDS CPU CPU one process, on the first CPU, copies
//	                                        in, going round likewise, and out again
//
// CPU -1 is any. It prints, in nanoseconds: p50 p99 p99.9 max, and how many.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE = 128,
	SAMPLES = 1 << 20,
	PAIRS = 64,   // of lines: where a line lies in the machine makes a difference
	TRIPS = 1024, // on one pair of them, then the next
};

// Two words on lines of their own, each pair on a page.
struct pair {
	_Alignas(4096) atomic_uint there;
	_Alignas(LINE) atomic_uint back;
};

// The pairs, and a payload for each direction.
struct shared {
	struct pair pairs[PAIRS];
	char payload[];
};

static const unsigned stop = ~0u;

static void die(const char *what) { perror(what); exit(1); }

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void pin(int cpu) {
	if (cpu < 0) return;
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set)) die("sched_setaffinity");
}

static void *map(size_t size) {
	void *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED) die("mmap");
	return p;
}

// Private memory, in place.
static char *own(size_t size) {
	char *p = mmap(0, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED) die("mmap");
	memset(p, 1, size + 1);
	return p;
}

static int64_t clock_cost(void) { // the least of many: the one that was not interrupted
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

static void sample(int64_t d) {
	if (d < 0) d = 0;
	samples[taken++] = d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
}

static int ascending(const void *a, const void *b) {
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void print(double divisor) {
	if (!taken) { fprintf(stderr, "no samples: give it more time\n"); exit(1); }
	qsort(samples, taken, sizeof *samples, ascending);
	printf("%.1f %.1f %.1f %.1f %zu\n", samples[taken / 2] / divisor, samples[taken * 99 / 100] / divisor,
		samples[taken * 999 / 1000] / divisor, samples[taken - 1] / divisor, taken);
}

static volatile uint64_t sink;

static void touch(const char *p, size_t size) {
	uint64_t sum = 0, word;
	for (size_t i = 0; i + 8 <= size; i += 8) {
		memcpy(&word, p + i, 8);
		sum += word;
	}
	sink = sum;
}

// Both wait for a number, or for the end.
static unsigned spin(atomic_uint *w, unsigned want) {
	unsigned v;
	while ((v = atomic_load_explicit(w, memory_order_acquire)) != want && v != stop) {}
	return v;
}

static unsigned asleep(atomic_uint *w, unsigned want) {
	unsigned v;
	while ((v = atomic_load(w)) != want && v != stop) syscall(SYS_futex, w, FUTEX_WAIT, v, 0, 0, 0);
	return v;
}

static void wake(atomic_uint *w, unsigned v) {
	atomic_store(w, v);
	syscall(SYS_futex, w, FUTEX_WAKE, 1, 0, 0, 0);
}

static void post(atomic_uint *w, unsigned v) { atomic_store_explicit(w, v, memory_order_release); }

static size_t next(size_t at, size_t size, size_t area) {
	return at + 2 * size > area ? 0 : at + size;
}

static void ping_pong(size_t size, size_t area, double seconds, int near, int far, int sleeps) {
	struct shared *s = map(sizeof *s + 2 * area);
	char *in = s->payload, *out = s->payload + area, *mine = own(size);
	size_t at = 0;
	unsigned (*await)(atomic_uint *, unsigned) = sleeps ? asleep : spin;
	void (*tell)(atomic_uint *, unsigned) = sleeps ? wake : post;
	pid_t parent = getpid(), child = fork();
	if (child < 0) die("fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) _exit(1);
		pin(far);
		for (unsigned i = 1;; i++) {
			struct pair *p = &s->pairs[i / TRIPS % PAIRS];
			if (await(&p->there, i) == stop) _exit(0);
			touch(in + at, size);
			memcpy(out + at, mine, size);
			tell(&p->back, i);
			at = next(at, size, area);
		}
	}
	pin(near);
	int64_t cost = clock_cost(), begin = now(), warm = begin + seconds * 2e8, end = warm + seconds * 1e9;
	unsigned i = 1;
	for (int64_t t = begin; t < end && taken < SAMPLES && i < stop; i++) {
		struct pair *p = &s->pairs[i / TRIPS % PAIRS];
		memcpy(in + at, mine, size);
		tell(&p->there, i);
		await(&p->back, i);
		touch(out + at, size);
		at = next(at, size, area);
		int64_t n = now();
		if (n > warm) sample(n - t - cost);
		t = n;
	}
	tell(&s->pairs[i / TRIPS % PAIRS].there, stop);
	waitpid(child, 0, 0);
	print(sleeps ? 1 : 2);
}

static void copies(size_t size, size_t area, double seconds, int cpu) {
	char *shared = map(area), *from = own(size), *to = own(size);
	pin(cpu);
	int64_t cost = clock_cost(), begin = now(), warm = begin + seconds * 2e8, end = warm + seconds * 1e9;
	// What is short is timed many at once.
	int many = size < 65536 ? 65536 / size : 1;
	size_t at = 0;
	for (int64_t t = begin; t < end && taken < SAMPLES;) {
		for (int i = 0; i < many; i++) {
			memcpy(shared + at, from, size);
			__asm__ volatile("" ::: "memory");
			memcpy(to, shared + at, size);
			__asm__ volatile("" ::: "memory");
			at = next(at, size, area);
		}
		int64_t n = now();
		if (n > warm) sample(n - t - cost);
		t = n;
	}
	print(many);
}

int main(int argc, char **argv) {
	if (argc != 7) { fprintf(stderr, "usage: limits line|futex|memcpy SIZE AREA SECONDS CPU CPU\n"); return 2; }
	size_t size = strtoull(argv[2], 0, 0), area = strtoull(argv[3], 0, 0);
	double seconds = atof(argv[4]);
	int near = atoi(argv[5]), far = atoi(argv[6]);
	samples = (uint32_t *)own(SAMPLES * sizeof *samples);
	if (!strcmp(argv[1], "line")) ping_pong(size, area, seconds, near, far, 0);
	else if (!strcmp(argv[1], "futex")) ping_pong(size, area, seconds, near, far, 1);
	else if (!strcmp(argv[1], "memcpy")) copies(size, area, seconds, near);
	else return 2;
	return 0;
}
