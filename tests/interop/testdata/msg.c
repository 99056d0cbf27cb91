/*
 * msg KEY COMMAND: works on a message queue.
 *   create           makes it
 *   send TYPE TEXT   sends one message, without the final NUL
 *   receive TYPE     receives one, prints its type, length and text
 *   stat             prints what C sees of the queue
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
	long type;
	char text[4096];
};

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int create = !strcmp(argv[2], "create");
	int id = msgget((key_t)strtoul(argv[1], NULL, 0), create ? IPC_CREAT | IPC_EXCL | 0640 : 0);
	if (id < 0) {
		perror("msgget");
		return 1;
	}
	struct message m;
	if (argc == 5 && !strcmp(argv[2], "send")) {
		m.type = atol(argv[3]);
		size_t n = strnlen(argv[4], sizeof m.text);
		memcpy(m.text, argv[4], n);
		if (msgsnd(id, &m, n, IPC_NOWAIT) < 0) {
			perror("msgsnd");
			return 1;
		}
	} else if (argc == 4 && !strcmp(argv[2], "receive")) {
		ssize_t n = msgrcv(id, &m, sizeof m.text, atol(argv[3]), 0);
		if (n < 0) {
			perror("msgrcv");
			return 1;
		}
		printf("type %ld length %zd text %.*s\n", m.type, n, (int)n, m.text);
	} else if (!strcmp(argv[2], "stat")) {
		struct msqid_ds ds;
		if (msgctl(id, IPC_STAT, &ds) < 0) {
			perror("msgctl");
			return 1;
		}
		printf("id %d key %#x mode %04o uid %u messages %lu bytes %lu maximum %lu sender %d receiver %d\n", id,
		       (unsigned)ds.msg_perm.__key, ds.msg_perm.mode, ds.msg_perm.uid, (unsigned long)ds.msg_qnum,
		       (unsigned long)ds.__msg_cbytes, (unsigned long)ds.msg_qbytes, ds.msg_lspid, ds.msg_lrpid);
	}
	return 0;
}
