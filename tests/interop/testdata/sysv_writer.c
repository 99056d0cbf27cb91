/* sysv_writer KEY SIZE MODE TEXT: the classic writer. With a line on standard input it detaches, and leaves the segment. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	key_t key = (key_t)strtoul(argv[1], NULL, 0);
	int id = shmget(key, strtoul(argv[2], NULL, 0), IPC_CREAT | (int)strtoul(argv[3], NULL, 8));
	if (id < 0) {
		perror("shmget");
		return 1;
	}
	char *p = shmat(id, NULL, 0);
	if (p == (char *)-1) {
		perror("shmat");
		return 1;
	}
	strcpy(p, argv[4]);
	printf("Data written to shared memory: %s\n", p);
	fflush(stdout);
	getchar();
	return shmdt(p) < 0;
}
