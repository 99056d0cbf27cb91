/* posix_reader NAME: the classic reader; it also prints what C sees of the object. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int fd = shm_open(argv[1], O_RDONLY, 0);
	if (fd < 0) {
		perror("shm_open");
		return 1;
	}
	struct stat st;
	if (fstat(fd, &st) < 0) {
		perror("fstat");
		return 1;
	}
	char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	printf("Message read from shared memory: %s\n", p);
	printf("size %ld mode %04o uid %u gid %u reserved %d\n", (long)st.st_size, st.st_mode & 07777, st.st_uid, st.st_gid,
	       (long)st.st_blocks * 512 >= (long)st.st_size);
	return munmap(p, (size_t)st.st_size) < 0;
}
