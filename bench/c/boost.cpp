// Boost: with -DMESSAGE_QUEUE Interprocess' message_queue, with -DSPSC_QUEUE and
// -DSIZE=n and -DAREA=n Lockfree's spsc_queue of records of so many bytes, as many as the
// area holds, in shared memory.
#include "job.h"

#ifdef MESSAGE_QUEUE
#include <boost/interprocess/ipc/message_queue.hpp>
#include <new>
#define T_COPIED 1

using boost::interprocess::message_queue;
static message_queue *out, *in;
static char *arrived;

static message_queue *queue(const char *name)
{
	size_t n = job.area / job.size;
	n = n < 4 ? 4 : n > 16384 ? 16384 : n;
	return new message_queue(boost::interprocess::open_or_create, name, n, job.size);
}

static void t_open()
{
	arrived = (char *)own(job.size);
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	if (*to) out = queue(to);
	if (*from) in = queue(from);
}

static inline void t_send(const char *record)
{
	if (!job.spin) return out->send(record, job.size, 0);
	while (!out->try_send(record, job.size, 0)) {}
}

static inline const char *t_receive()
{
	message_queue::size_type n;
	unsigned priority;
	if (job.spin)
		while (!in->try_receive(arrived, job.size, n, priority)) {}
	else
		in->receive(arrived, job.size, n, priority);
	return arrived;
}

static inline void t_release() {}
#endif

#ifdef SPSC_QUEUE
#include <boost/lockfree/spsc_queue.hpp>
#include <new>
#define T_MANY
#define T_CONSUME

struct line { alignas(8) char bytes[SIZE]; };
enum { DEPTH = AREA / SIZE < 4 ? 4 : AREA / SIZE };
using queue = boost::lockfree::spsc_queue<line, boost::lockfree::capacity<DEPTH>>;
static queue *out, *in;
static line *arrived;
static bool held; // front() has been given out

// map maps a queue, which the far side, the first one, makes.
static queue *map(const char *name)
{
	char slashed[256];
	snprintf(slashed, sizeof slashed, "/%s", name);
	int fd = shm_open(slashed, O_RDWR | (job.near ? 0 : O_CREAT | O_EXCL), 0600);
	if (fd < 0) die("shm_open");
	if (!job.near && (ftruncate(fd, sizeof(queue)) || posix_fallocate(fd, 0, sizeof(queue)))) die("ftruncate");
	void *p = mmap(0, sizeof(queue), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED) die("mmap");
	return job.near ? (queue *)p : new (p) queue;
}

static void t_open()
{
	arrived = (line *)own(job.size * job.batch);
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	if (!job.spin) fail("spsc_queue has no calls that sleep");
	if (job.size != SIZE) fail("another size");
	if (*to) out = map(to);
	if (*from) in = map(from);
}

static inline void t_send(const char *record)
{
	while (!out->push(*(const line *)record)) {}
}

static inline void t_send_many(const char *records, int n)
{
	const line *at = (const line *)records, *end = at + n;
	while (at < end) at = out->push(at, end);
}

// What is short is quicker copied out than looked at.
static inline const char *t_receive()
{
	if (SIZE <= 1024) {
		while (!in->pop(*arrived)) {}
		return arrived->bytes;
	}
	while (!in->read_available()) {}
	held = true;
	return in->front().bytes;
}

// consume_all looks at all that there are where they lie, and gives them back together.
static inline int t_consume(bool (*ends)(const char *), int *n)
{
	int found = 0;
	while (!(*n = in->consume_all([&](const line &l) { found += ends(l.bytes); }))) {}
	return found;
}

static inline void t_release()
{
	if (held) in->pop();
	held = false;
}
#endif

static void t_start() {}

#include "roles.h"
