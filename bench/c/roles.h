// The roles that a process plays in a measurement, for participants in C and C++.
// Those in Go, Rust and Java do the same: see ../role.
//
// A program defines a transport, includes this file last, and has nothing else:
//
//	static void t_open(void);               // opens job.there and job.back
//	static void t_start(void);              // when all processes have opened them
//	static void t_send(const char *record); // of job.size bytes
//	static const char *t_receive(void);     // waits for a record, and returns where it lies
//	static void t_release(void);            // of that record
//
// T_COPIED is 1 if t_receive has copied the record out of the transport. With T_MANY
// there are
//
//	static void t_send_many(const char *records, int n);
//	static const char *t_receive_many(int *n); // as many as there are, at most job.batch
//
// or, with T_CONSUME as well, in a stream instead of the latter
//
//	static int t_consume(bool (*ends)(const char *), int *n); // reads all that there are, and counts those that end
//
// The job stands in the arguments, NAME=VALUE. The program says "ready" when it has
// opened what it needs, waits for a line on standard input, measures, and prints a
// line of JSON.
#include "job.h"

#ifndef T_COPIED
#define T_COPIED 0
#endif

struct tally { uint64_t records, sum; };
static struct tally sent, received;

static char *record;    // what this side sends
static uint64_t rest;   // the sum of its words, but for the head
static char *taken_out; // where records are copied to

// write_record writes what is to be sent, and counts it. A record of a line is written
// anew, of others the first two words.
static inline void write_record(char *at, uint64_t number, uint64_t tells)
{
	uint64_t head[8] = {number, tells, number, number, number, number, number, number};
	if (job.size == 64) {
		memcpy(at, head, 64);
		sent.sum += 7 * number + tells;
	} else {
		memcpy(at, head, 16);
		sent.sum += rest + number + tells;
	}
	sent.records++;
}

static inline uint64_t word(const char *p)
{
	uint64_t v;
	memcpy(&v, p, 8);
	return v;
}

static inline uint64_t sum_words(const char *p, size_t size)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;
	for (; size >= 32; p += 32, size -= 32) {
		a += word(p);
		b += word(p + 8);
		c += word(p + 16);
		d += word(p + 24);
	}
	for (; size >= 8; p += 8, size -= 8) a += word(p);
	return a + b + c + d;
}

// sum_pages adds the head, and the first and last word of each page: enough to tell
// whether a record that has been copied is the right one.
static inline uint64_t sum_pages(const char *p, size_t size)
{
	uint64_t sum = word(p) + word(p + 8);
	for (size_t at = 0; at + 4096 <= size; at += 4096) {
		if (at) sum += word(p + at);
		sum += word(p + at + 4088);
	}
	return sum;
}

static inline uint64_t read_record(const char *p)
{
	uint64_t sum;
	if (job.copy && !T_COPIED) {
		memcpy(taken_out, p, job.size);
		p = taken_out;
	}
	sum = job.copy ? sum_pages(p, job.size) : sum_words(p, job.size);
	received.sum += sum;
	received.records++;
	return word(p + 8);
}

static inline void send_one(uint64_t number, uint64_t tells)
{
	write_record(record, number, tells);
	t_send(record);
}

// warm says whether enough has been done before what is measured: for a time, and until
// the transport has been gone round twice, so that its memory is in place.
static bool warm(int64_t t, int64_t begin, uint64_t records)
{
	return t > begin + job.seconds * 2e8 && (records * job.size >= 2 * job.area || t > begin + job.seconds * 2e9);
}

static void ping(void)
{
	int64_t cost = clock_cost(), begin = now(), end = INT64_MAX;
	uint64_t number = 0;
	for (int64_t t = begin; t < end && taken < SAMPLES;) {
		if (job.cold) {
			struct timespec pause = {0, 1000000};
			clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, 0);
			t = now();
		}
		send_one(++number, ORDINARY);
		const char *p = t_receive();
		if (word(p) != number) fail("a record has come back as another one");
		read_record(p);
		t_release();
		int64_t n = now();
		if (end != INT64_MAX) sample(n - t - cost);
		else if (warm(n, begin, number) || job.cold) end = n + job.seconds * 1e9, usage_start();
		t = n;
	}
	usage_stop();
	send_one(number + 1, END);
	percentiles();
}

static void pong(void)
{
	for (bool first = true;; first = false) {
		const char *p = t_receive();
		uint64_t number = word(p), tells = read_record(p);
		t_release();
		if (first) usage_start();
		if (tells == END) break;
		send_one(number, ORDINARY);
	}
	usage_stop();
}

// look is how many records are sent or received between two looks at the clock.
static int look(void)
{
	int n = 65536 / job.size;
	return n < 1 ? 1 : n;
}

static void pour(void)
{
	int n = look();
	uint64_t number = 0;
	int64_t begin = now(), end = INT64_MAX;
	for (int64_t t = begin; t < end;) {
#ifdef T_MANY
		if (job.batch > 1) {
			for (int i = 0; i < n; i += job.batch) {
				for (int k = 0; k < job.batch; k++) write_record(record + k * job.size, number++, ORDINARY);
				t_send_many(record, job.batch);
			}
		} else
#endif
		for (int i = 0; i < n; i++) send_one(number++, ORDINARY);
		t = now();
		if (end == INT64_MAX && warm(t, begin, number)) end = t + job.seconds * 11e8, usage_start();
	}
	usage_stop();
#ifdef T_MANY
	if (job.batch > 1) {
		write_record(record, number, END);
		t_send_many(record, 1);
		return;
	}
#endif
	send_one(number, END);
}

static inline bool ends(const char *p) { return read_record(p) == END; }

static void drain(void)
{
	int n = look(), missing = job.ends, left = n;
	int64_t begin = now(), first = 0, last = 0;
	uint64_t before = 0;
	for (;;) {
		int many = 1;
#ifdef T_CONSUME
		missing -= t_consume(ends, &many);
#else
		const char *p;
#ifdef T_MANY
		if (job.batch > 1) p = t_receive_many(&many);
		else
#endif
		p = t_receive();
		for (int i = 0; i < many; i++)
			if (ends(p + i * job.size)) missing--;
		t_release();
#endif
		if (!missing) break;
		if ((left -= many) > 0 || last) continue;
		left = n;
		int64_t t = now();
		if (!first && warm(t, begin, received.records)) {
			first = t, before = received.records;
			usage_start();
		} else if (first && t > first + job.seconds * 1e9) {
			last = t;
			outcome.count = received.records - before;
			outcome.took = last - first;
			usage_stop();
		}
	}
	if (first && !last) {
		outcome.count = received.records - before;
		outcome.took = now() - first;
		usage_stop();
	}
}

int main(int argc, char **argv)
{
	read_job(argc, argv);
	size_t room = job.size * (job.batch > 1 ? job.batch : 1);
	record = (char *)own(room);
	memset(record, 0, room);
	for (size_t at = 16; job.size != 64 && at + 8 <= job.size; at += 8) {
		uint64_t v = at * UINT64_C(0x9e3779b97f4a7c15);
		memcpy(record + at, &v, 8);
	}
	for (int i = 1; i < job.batch; i++) memcpy(record + i * job.size, record, job.size);
	rest = job.copy ? sum_pages(record, job.size) : sum_words(record, job.size);
	taken_out = (char *)own(job.size);
	t_open();
	stand_by();
	t_start();
	if (!strcmp(job.measure, "ping")) job.near ? ping() : pong();
	else if (!strcmp(job.measure, "stream")) job.near ? pour() : drain();
	else if (!strcmp(job.measure, "hold"))
		while (getchar() != EOF) {}
	else fail("this measure is none of this program's");
	printf("{\"sent\":{\"records\":%" PRIu64 ",\"sum\":%" PRIu64 "},\"received\":{\"records\":%" PRIu64 ",\"sum\":%" PRIu64 "},",
		sent.records, sent.sum, received.records, received.sum);
	print_outcome();
	fflush(stdout);
	_exit(0);
}
