/* ftok PROJ PATH...: prints the key of each path. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		key_t key = ftok(argv[i], atoi(argv[1]));
		if (key == -1)
			perror("ftok");
		else
			printf("%#x\n", (unsigned)key);
	}
	return 0;
}
