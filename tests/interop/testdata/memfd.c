/*
 * memfd SOCKET send SIZE TEXT   makes a memfd, writes TEXT, seals it against shrinking, sends it, and prints what the
 *                               receiver has written over it by the time that it closes the connection
 * memfd SOCKET loose SIZE TEXT  the same, without the seal
 * memfd SOCKET receive TEXT     receives one, prints its contents and seals, writes TEXT into it
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int die(const char *call)
{
	perror(call);
	exit(1);
}

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static void send_fd(int s, int fd)
{
	char byte = 'x';
	struct iovec data = { &byte, 1 };
	union control c;
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	if (sendmsg(s, &m, 0) != 1)
		die("sendmsg");
}

static int receive_fd(int s)
{
	char byte;
	struct iovec data = { &byte, 1 };
	union control c;
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
	int fd;

	if (recvmsg(s, &m, MSG_CMSG_CLOEXEC) != 1)
		die("recvmsg");
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	if (!h || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof fd))
		exit(3);
	memcpy(&fd, CMSG_DATA(h), sizeof fd);
	return fd;
}

static char *map(int fd, size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	strncpy(to.sun_path, argv[1], sizeof to.sun_path - 1);
	if (connect(s, (struct sockaddr *)&to, sizeof to) < 0)
		die("connect");
	if (!strcmp(argv[2], "receive")) {
		int fd = receive_fd(s);
		struct stat st;
		if (fstat(fd, &st) < 0)
			die("fstat");
		char *p = map(fd, (size_t)st.st_size);
		int seals = fcntl(fd, F_GET_SEALS);
		printf("size %ld text %s shrinkable %d\n", (long)st.st_size, p, !(seals & F_SEAL_SHRINK));
		if (ftruncate(fd, 1) == 0)
			puts("and it has shrunk");
		strncpy(p, argv[3], (size_t)st.st_size);
		return 0;
	}
	if (argc < 5)
		return 2;
	size_t size = strtoul(argv[3], NULL, 0);
	int fd = memfd_create("from-c", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		die("memfd_create");
	if (ftruncate(fd, (off_t)size) < 0)
		die("ftruncate");
	char *p = map(fd, size);
	strncpy(p, argv[4], size);
	if (!strcmp(argv[2], "send") && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		die("fcntl");
	send_fd(s, fd);
	char byte;
	if (read(s, &byte, 1) != 0)
		die("read");
	printf("text %s\n", p);
	return 0;
}
