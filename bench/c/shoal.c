// Shoal from C, by the header include/shoal.h: with -DRING a ring, with -DTOPIC a topic,
// with -DQUEUE a queue. The calls are those that ../role makes from Go.
#include "job.h"
#include "shoal.h"

static void shoal(int err, const char *what, const char *why)
{
	if (err >= 0) return;
	fprintf(stderr, "error: %s: %s (%d)\n", what, why, err);
	exit(1);
}

#ifdef RING
#ifndef SHOAL_RING_SIZE_MIN
#error "include/shoal.h has no rings"
#endif
#define T_MANY

static struct shoal_ring out, in;
static char *arrived;

static void t_open(void)
{
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	struct shoal_ring_options o = {.size = job.area};
	arrived = (char *)own(job.size * job.batch);
	if (*to) {
		shoal(shoal_ring_open_or_create(&out, to, &o), to, shoal_ring_why(&out));
		shoal(shoal_ring_writer(&out), "writer", shoal_ring_why(&out));
	}
	if (*from) {
		shoal(shoal_ring_open_or_create(&in, from, &o), from, shoal_ring_why(&in));
		shoal(shoal_ring_reader(&in), "reader", shoal_ring_why(&in));
	}
}

static inline void t_send(const char *record)
{
	int err = shoal_ring_send(&out, record, job.size);
	if (err < 0) shoal(err, "send", shoal_ring_why(&out));
}

static inline void t_send_many(const char *records, int n)
{
	size_t sent;
	int err = shoal_ring_send_batch(&out, records, job.size, n, &sent);
	if (err < 0) shoal(err, "send_batch", shoal_ring_why(&out));
}

static inline const char *t_receive(void)
{
	const void *p;
	size_t n;
	int err;
	if (job.spin)
		while ((err = shoal_ring_trypeek(&in, &p, &n)) == SHOAL_EBUSY) {}
	else
		err = shoal_ring_peek(&in, &p, &n);
	if (err < 0) shoal(err, "peek", shoal_ring_why(&in));
	return (const char *)p;
}

static inline const char *t_receive_many(int *many)
{
	const void *p;
	size_t n;
	int err = shoal_ring_peek(&in, &p, &n);
	for (*many = 0; err >= 0;) {
		memcpy(arrived + *many * job.size, p, job.size);
		shoal_ring_skip(&in);
		if (++*many == job.batch || (err = shoal_ring_trypeek(&in, &p, &n)) == SHOAL_EBUSY) return arrived;
	}
	shoal(err, "peek", shoal_ring_why(&in));
	return arrived;
}

static inline void t_release(void) { shoal_ring_release(&in); }
#endif

#ifdef TOPIC
#ifndef SHOAL_TOPIC_WAIT
#error "include/shoal.h has no topics"
#endif
#define T_MANY

static struct shoal_topic out, in;
static char *arrived;
static struct shoal_topic_publisher publisher;
static struct shoal_topic_subscriber subscriber;

static void t_open(void)
{
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	struct shoal_topic_options o = {.lane_size = job.area, .publishers = job.ends, .subscribers = 1024};
	arrived = (char *)own(job.size * job.batch);
	if (*to) {
		shoal(shoal_topic_open_or_create(&out, to, &o), to, shoal_topic_why(&out));
		shoal(shoal_topic_publisher_open(&publisher, &out), "publisher", shoal_topic_why(&out));
	}
	if (*from) {
		shoal(shoal_topic_open_or_create(&in, from, &o), from, shoal_topic_why(&in));
		shoal(shoal_topic_subscriber_open(&subscriber, &in, NULL), "subscriber", shoal_topic_why(&in));
	}
}

static inline void t_send(const char *record)
{
	int err = shoal_topic_send(&publisher, record, job.size);
	if (err < 0) shoal(err, "send", shoal_topic_why(&out));
}

static inline void t_send_many(const char *records, int n)
{
	size_t sent;
	int err = shoal_topic_send_batch(&publisher, records, job.size, n, &sent);
	if (err < 0) shoal(err, "send_batch", shoal_topic_why(&out));
}

static inline const char *t_receive(void)
{
	const void *p;
	size_t n;
	int err;
	if (job.spin)
		while ((err = shoal_topic_trypeek(&subscriber, &p, &n)) == SHOAL_EBUSY) {}
	else
		err = shoal_topic_peek(&subscriber, &p, &n);
	if (err < 0) shoal(err, "peek", shoal_topic_why(&in));
	return (const char *)p;
}

static inline const char *t_receive_many(int *many)
{
	const void *p;
	size_t n;
	int err = shoal_topic_peek(&subscriber, &p, &n);
	for (*many = 0; err >= 0;) {
		memcpy(arrived + *many * job.size, p, job.size);
		shoal_topic_skip(&subscriber);
		if (++*many == job.batch || (err = shoal_topic_trypeek(&subscriber, &p, &n)) == SHOAL_EBUSY) return arrived;
	}
	shoal(err, "peek", shoal_topic_why(&in));
	return arrived;
}

static inline void t_release(void) { shoal_topic_release(&subscriber); }
#endif

#ifdef QUEUE
#ifndef SHOAL_QUEUE_SLOTS_DEFAULT
#error "include/shoal.h has no queues"
#endif

static struct shoal_queue out, in;
static struct shoal_queue_message message;

static const char *why(const struct shoal_queue *q) { return shoal_why(&q->object); }

static void t_open(void)
{
	const char *to = job.near ? job.there : job.back, *from = job.near ? job.back : job.there;
	uint32_t slots = 4; // as in Go: ../role/queue.go
	while (slots < 16384 && (size_t)2 * slots * (job.size + 32) <= job.area) slots *= 2;
	struct shoal_queue_options o = {.slots = slots, .max_message = job.size};
	if (*to) shoal(shoal_queue_open_or_create(&out, to, &o), to, why(&out));
	if (*from) shoal(shoal_queue_open_or_create(&in, from, &o), from, why(&in));
}

static inline void t_send(const char *record)
{
	int err = shoal_queue_send(&out, record, job.size);
	if (err < 0) shoal(err, "send", why(&out));
}

static inline const char *t_receive(void)
{
	int err;
	if (job.spin)
		while ((err = shoal_queue_tryreceive(&in, &message)) == SHOAL_EBUSY) {}
	else
		err = shoal_queue_receive(&in, &message);
	if (err < 0) shoal(err, "receive", why(&in));
	return (const char *)message.data;
}

static inline void t_release(void)
{
	int err = shoal_queue_ack(&in, &message);
	if (err < 0) shoal(err, "ack", why(&in));
}
#endif

static void t_start(void) {}

#include "roles.h"
