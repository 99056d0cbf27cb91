/* posix_writer NAME SIZE MODE TEXT: the classic writer, which unlinks at the end: after a line on standard input. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	size_t size = strtoul(argv[2], NULL, 0);
	umask(0);
	int fd = shm_open(argv[1], O_CREAT | O_RDWR, (mode_t)strtoul(argv[3], NULL, 8));
	if (fd < 0) {
		perror("shm_open");
		return 1;
	}
	if (ftruncate(fd, (off_t)size) < 0) {
		perror("ftruncate");
		return 1;
	}
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	strncpy(p, argv[4], size);
	printf("Message written to shared memory: %s\n", p);
	fflush(stdout);
	getchar();
	munmap(p, size);
	return shm_unlink(argv[1]) < 0;
}
