/*
 * sem KEY COMMAND: works on a set of two semaphores, 0 a lock and 1 a counter.
 *   create  makes it, with values 1 and 0, the careful way: the first semop finishes it
 *   hold    locks with SEM_UNDO, waits for a line on standard input, ends without unlocking
 *   count N adds one to the counter N times, under the lock, in two calls as careless as can be
 *   stat    prints what C sees of the set
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int op(int id, unsigned short num, short by, short flags)
{
	struct sembuf b = { .sem_num = num, .sem_op = by, .sem_flg = flags };

	if (semop(id, &b, 1) == 0)
		return 0;
	perror("semop");
	return 1;
}

static int count(int id, int n)
{
	for (int i = 0; i < n; i++) {
		if (op(id, 0, -1, SEM_UNDO))
			return 1;
		int value = semctl(id, 1, GETVAL);
		union semun next = { .val = value + 1 };
		if (value < 0 || semctl(id, 1, SETVAL, next) < 0) {
			perror("semctl");
			return 1;
		}
		if (op(id, 0, +1, SEM_UNDO))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	key_t key = (key_t)strtoul(argv[1], NULL, 0);
	int create = !strcmp(argv[2], "create");
	int id = semget(key, 2, create ? IPC_CREAT | IPC_EXCL | 0640 : 0);
	if (id < 0) {
		perror("semget");
		return 1;
	}
	if (create)
		return op(id, 0, +1, 0);
	if (!strcmp(argv[2], "hold")) {
		if (op(id, 0, -1, SEM_UNDO))
			return 1;
		puts("held");
		fflush(stdout);
		getchar();
		return 0;
	}
	if (!strcmp(argv[2], "count"))
		return argc < 4 || count(id, atoi(argv[3]));
	struct semid_ds ds;
	union semun arg = { .buf = &ds };
	if (semctl(id, 0, IPC_STAT, arg) < 0) {
		perror("semctl");
		return 1;
	}
	printf("id %d key %#x mode %04o uid %u nsems %lu operated %d values %d %d pid %d\n", id, (unsigned)ds.sem_perm.__key,
	       ds.sem_perm.mode, ds.sem_perm.uid, (unsigned long)ds.sem_nsems, ds.sem_otime != 0, semctl(id, 0, GETVAL),
	       semctl(id, 1, GETVAL), semctl(id, 0, GETPID));
	return 0;
}
