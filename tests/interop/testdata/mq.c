/*
 * mq NAME COMMAND: works on a POSIX message queue.
 *   create MESSAGES BYTES   makes it
 *   send PRIORITY TEXT      sends one message, without the final NUL
 *   receive                 receives one, prints its priority, length and text
 *   unlink                  removes the name
 */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (!strcmp(argv[2], "unlink"))
		return mq_unlink(argv[1]) < 0;
	struct mq_attr attr = { 0 };
	int flags = O_RDWR;
	if (argc == 5 && !strcmp(argv[2], "create")) {
		flags |= O_CREAT | O_EXCL;
		attr.mq_maxmsg = atol(argv[3]);
		attr.mq_msgsize = atol(argv[4]);
	}
	mqd_t q = mq_open(argv[1], flags, 0600, &attr);
	if (q == (mqd_t)-1) {
		perror("mq_open");
		return 1;
	}
	if (argc == 5 && !strcmp(argv[2], "send") && mq_send(q, argv[4], strlen(argv[4]), (unsigned)atol(argv[3])) < 0) {
		perror("mq_send");
		return 1;
	}
	if (!strcmp(argv[2], "receive")) {
		char text[4096];
		unsigned priority;
		ssize_t n = mq_receive(q, text, sizeof text, &priority);
		if (n < 0) {
			perror("mq_receive");
			return 1;
		}
		printf("priority %u length %zd text %.*s\n", priority, n, (int)n, text);
	}
	return mq_close(q) < 0;
}
