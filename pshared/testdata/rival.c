// What the C library does between processes, timed: beside it the benchmarks put
// what this package does. Usage: rival WHAT N; it prints nanoseconds an operation.
//
//	mutex    N times lock and unlock, alone: robust and process-shared
//	sem      N times post and wait, alone: process-shared
//	compete  two processes, each N times: lock, a little work, unlock, more work.
//	         A second number: how many of all N*2 locks came from the other process
//	pingpong two processes hand two semaphores to and fro, N times there and back
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
	pthread_mutex_t mutex;
	char gap[128];
	uint64_t counter, last, handed; // under the mutex
	char gap2[128];
	sem_t ping;
	char gap3[128];
	sem_t pong;
	char gap4[128];
	volatile int ready, go;
};

static struct shared *s;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void check(int err)
{
	if (err) {
		fprintf(stderr, "rival: %s\n", strerror(err));
		exit(1);
	}
}

// work is a chain of n dependent multiplications: bench_test.go has the same.
static uint64_t work(uint64_t x, int n)
{
	while (n-- > 0)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}

static volatile uint64_t sink;

static void compete(uint64_t me, long n)
{
	uint64_t x = me;
	for (long i = 0; i < n; i++) {
		check(pthread_mutex_lock(&s->mutex));
		s->counter++;
		if (s->last != me) {
			s->last = me;
			s->handed++;
		}
		x = work(x, 8);
		check(pthread_mutex_unlock(&s->mutex));
		x = work(x, 64);
	}
	sink = x;
}

static void await(volatile int *flag, int value)
{
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != value)
		;
}

static void sem_get(sem_t *sem)
{
	while (sem_wait(sem))
		if (errno != EINTR)
			check(errno);
}

static void play(sem_t *get, sem_t *give, long n)
{
	for (long i = 0; i < n; i++) {
		sem_get(get);
		sem_post(give);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	long n = atol(argv[2]);
	s = mmap(0, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		check(errno);
	pthread_mutexattr_t a;
	check(pthread_mutexattr_init(&a));
	check(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	check(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	check(pthread_mutex_init(&s->mutex, &a));
	sem_init(&s->ping, 1, 0);
	sem_init(&s->pong, 1, 0);

	double begin, end;
	if (!strcmp(argv[1], "mutex")) {
		begin = now();
		for (long i = 0; i < n; i++) {
			pthread_mutex_lock(&s->mutex);
			pthread_mutex_unlock(&s->mutex);
		}
		printf("%.2f\n", (now() - begin) / n);
		return 0;
	}
	if (!strcmp(argv[1], "sem")) {
		begin = now();
		for (long i = 0; i < n; i++) {
			sem_post(&s->ping);
			sem_wait(&s->ping);
		}
		printf("%.2f\n", (now() - begin) / n);
		return 0;
	}
	int competing = !strcmp(argv[1], "compete");
	if (!competing && strcmp(argv[1], "pingpong"))
		return 2;
	pid_t child = fork();
	if (child < 0)
		check(errno);
	if (child == 0) {
		__atomic_store_n(&s->ready, 1, __ATOMIC_RELEASE);
		await(&s->go, 1);
		if (competing)
			compete(2, n);
		else
			play(&s->ping, &s->pong, n);
		__atomic_store_n(&s->ready, 2, __ATOMIC_RELEASE);
		_exit(0);
	}
	await(&s->ready, 1);
	begin = now();
	__atomic_store_n(&s->go, 1, __ATOMIC_RELEASE);
	if (competing) {
		compete(1, n);
		await(&s->ready, 2);
	} else {
		sem_post(&s->ping);
		play(&s->pong, &s->ping, n);
	}
	end = now();
	waitpid(child, 0, 0);
	if (competing)
		printf("%.2f %.4f\n", (end - begin) / (2 * n), (double)s->handed / s->counter);
	else
		printf("%.2f\n", (end - begin) / (2 * n));
	return 0;
}
