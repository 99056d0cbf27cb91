// What the kernel offers: with -DPIPE a pipe, with -DUNIX_SOCKET a stream socket, with
// -DMQUEUE a POSIX message queue. Who spins asks for records with calls that do not
// block.
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "job.h"
#define T_COPIED 1

static int out = -1, in = -1;
static char *arrived;

#ifdef MQUEUE
#include <mqueue.h>

static mqd_t queue(const char *name, int mode)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_MSGQUEUE, &unlimited); // with the capability alone
	char slashed[256];
	snprintf(slashed, sizeof slashed, "/%s", name);
	struct mq_attr a = {0};
	a.mq_msgsize = job.size;
	a.mq_maxmsg = job.area / job.size < 1024 ? job.area / job.size : 1024;
	if (a.mq_maxmsg < 2) a.mq_maxmsg = 2;
	mqd_t q = mq_open(slashed, mode | O_CREAT | (job.spin ? O_NONBLOCK : 0), 0600, &a);
	if (q == (mqd_t)-1 && a.mq_maxmsg > 10) {
		a.mq_maxmsg = 10;
		q = mq_open(slashed, mode | O_CREAT | (job.spin ? O_NONBLOCK : 0), 0600, &a);
	}
	if (q == (mqd_t)-1 && errno == EINVAL) fail("a record is longer than fs.mqueue.msgsize_max allows");
	if (q == (mqd_t)-1) die("mq_open");
	return q;
}

static void t_open(void)
{
	arrived = (char *)own(job.size);
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	if (*to) out = queue(to, O_WRONLY);
	if (*from) in = queue(from, O_RDONLY);
}

static void t_start(void) {}

static void t_send(const char *record)
{
	while (mq_send(out, record, job.size, 0))
		if (errno != EAGAIN && errno != EINTR) die("mq_send");
}

static const char *t_receive(void)
{
	for (;;) {
		ssize_t n = mq_receive(in, arrived, job.size, 0);
		if (n == (ssize_t)job.size) return arrived;
		if (n >= 0 || (errno != EAGAIN && errno != EINTR)) die("mq_receive");
	}
}

#else

#define T_MANY

static void unblock(int fd)
{
	if (job.spin && fcntl(fd, F_SETFL, O_NONBLOCK)) die("fcntl");
}

static void write_all(const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(out, p, n);
		if (k < 0 && errno != EAGAIN && errno != EINTR) die("write");
		if (k > 0) p += k, n -= k;
	}
}

static void read_upto(char *p, size_t least, size_t most, size_t *got)
{
	while (*got < least) {
		ssize_t k = read(in, p + *got, most - *got);
		if (k == 0) fail("the other side has gone");
		if (k < 0 && errno != EAGAIN && errno != EINTR) die("read");
		if (k > 0) *got += k;
	}
}

static void t_send(const char *record) { write_all(record, job.size); }
static void t_send_many(const char *records, int n) { write_all(records, n * job.size); }

static const char *t_receive(void)
{
	size_t got = 0;
	read_upto(arrived, job.size, job.size, &got);
	return arrived;
}

static const char *t_receive_many(int *n)
{
	static size_t got;
	size_t whole = got / job.size * job.size;
	memmove(arrived, arrived + whole, got - whole);
	got -= whole;
	read_upto(arrived, job.size, job.size * job.batch, &got);
	*n = got / job.size;
	return arrived;
}

#ifdef PIPE
static int fifo(const char *path)
{
	if (mkfifo(path, 0600) && errno != EEXIST) die(path);
	int fd = open(path, O_RDWR);
	if (fd < 0) die(path);
	fcntl(fd, F_SETPIPE_SZ, job.area < 1 << 20 ? job.area : 1 << 20);
	unblock(fd);
	return fd;
}

static void t_open(void)
{
	arrived = (char *)own(job.size * job.batch);
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	if (*to) out = fifo(to);
	if (*from) in = fifo(from);
}

static void t_start(void) {}
#endif

#ifdef UNIX_SOCKET
static void t_open(void)
{
	arrived = (char *)own(job.size * job.batch);
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "%s", job.there); // abstract: a name that ends with us
	socklen_t n = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(job.there);
	in = out = socket(AF_UNIX, SOCK_STREAM, 0);
	int most = job.area;
	if (in < 0 || setsockopt(in, SOL_SOCKET, SO_SNDBUF, &most, sizeof most)) die("socket");
	if (job.near) {
		if (connect(in, (struct sockaddr *)&a, n)) die("connect");
		unblock(in);
	} else if (bind(in, (struct sockaddr *)&a, n) || listen(in, 1)) {
		die("bind");
	}
}

static void t_start(void)
{
	if (job.near) return;
	int most = job.area;
	in = out = accept(in, 0, 0);
	if (in < 0 || setsockopt(in, SOL_SOCKET, SO_SNDBUF, &most, sizeof most)) die("accept");
	unblock(in);
}
#endif
#endif

static void t_release(void) {}

#include "roles.h"
