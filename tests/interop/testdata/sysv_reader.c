/* sysv_reader KEY SIZE: the classic reader, which needs no write permission; it also prints what C sees of the segment. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int id = shmget((key_t)strtoul(argv[1], NULL, 0), strtoul(argv[2], NULL, 0), 0444);
	if (id < 0) {
		perror("shmget");
		return 1;
	}
	char *p = shmat(id, NULL, SHM_RDONLY);
	if (p == (char *)-1) {
		perror("shmat");
		return 1;
	}
	struct shmid_ds ds;
	if (shmctl(id, IPC_STAT, &ds) < 0) {
		perror("shmctl");
		return 1;
	}
	printf("Data read from shared memory: %s\n", p);
	printf("id %d key %#x size %zu mode %04o uid %u gid %u cuid %u cgid %u cpid %d nattch %lu ctime %ld\n", id,
	       (unsigned)ds.shm_perm.__key, ds.shm_segsz, ds.shm_perm.mode, ds.shm_perm.uid, ds.shm_perm.gid, ds.shm_perm.cuid,
	       ds.shm_perm.cgid, ds.shm_cpid, (unsigned long)ds.shm_nattch, (long)ds.shm_ctime);
	return shmdt(p) < 0;
}
