/* unit is one of several files of a program that include the header: all must have
 * the same keeper. It is compiled as C and as C++, where UNIT is the name of its
 * function. */
#include "shoal.h"

#ifdef __cplusplus
extern "C" {
#endif
struct shoal_process_ *UNIT(struct shoal_mutex *mu, const char *name, int *err);

struct shoal_process_ *UNIT(struct shoal_mutex *mu, const char *name, int *err)
{
	*err = shoal_mutex_open(mu, name, NULL);
	return &shoal_this_process_;
}
#ifdef __cplusplus
}
#endif

#ifdef MAIN
#include <dirent.h>

struct shoal_process_ *other(struct shoal_mutex *mu, const char *name, int *err);

int main(void)
{
	static struct shoal_mutex a, b;
	int err[2], threads = 0;
	bool same = UNIT(&a, "units", &err[0]) == other(&b, "units", &err[1]);
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;

	while (tasks != NULL && (d = readdir(tasks)) != NULL)
		threads += d->d_name[0] != '.';
	closedir(tasks);
	printf("errors %d %d, one process: %d, threads: %d", err[0], err[1], same, threads);
	printf(", lock %d", shoal_mutex_lock(&a));
	printf(", try %d\n", shoal_mutex_trylock(&b) == SHOAL_EBUSY);
	shoal_mutex_close(&a);
	shoal_mutex_close(&b);
	return shoal_remove("units");
}
#endif
