/* layout prints what the header says of the format: "size STRUCT N", "field STRUCT
 * FIELD OFFSET SIZE", "constant NAME VALUE". */
#include <inttypes.h>
#include <stdio.h>

#include "shoal.h"

#define SIZE(type) printf("size " #type " %zu\n", sizeof(struct shoal_format_##type))
#define FIELD(type, field) \
	printf("field " #type " " #field " %zu %zu\n", offsetof(struct shoal_format_##type, field), \
	       sizeof(((struct shoal_format_##type *)0)->field))
#define CONSTANT(name) printf("constant " #name " %" PRIu64 "\n", (uint64_t)SHOAL_##name)

int main(void)
{
	SIZE(header);
	FIELD(header, magic);
	FIELD(header, version);
	FIELD(header, kind);
	FIELD(header, size);
	FIELD(header, fingerprint);
	FIELD(header, body);
	FIELD(header, schema_offset);
	FIELD(header, schema_length);
	FIELD(header, slots);
	FIELD(header, creator);
	FIELD(header, created);
	SIZE(members);
	FIELD(members, magic);
	FIELD(members, version);
	FIELD(members, slots);
	FIELD(members, changes);
	FIELD(members, retired);
	FIELD(members, deaths);
	FIELD(members, repairs);
	FIELD(members, lost_wakes);
	FIELD(members, lock);
	SIZE(bell);
	FIELD(bell, word);
	SIZE(slot);
	FIELD(slot, claim);
	FIELD(slot, pid);
	FIELD(slot, role);
	FIELD(slot, pidns);
	FIELD(slot, start);
	FIELD(slot, joined);
	FIELD(slot, name);
	SIZE(mutex);
	FIELD(mutex, magic);
	FIELD(mutex, config);
	FIELD(mutex, state);
	SIZE(event);
	FIELD(event, magic);
	FIELD(event, config);
	FIELD(event, state);
	SIZE(semaphore);
	FIELD(semaphore, magic);
	FIELD(semaphore, config);
	FIELD(semaphore, value);
	FIELD(semaphore, free);
	SIZE(mark);
	FIELD(mark, position);
	FIELD(mark, number);
	SIZE(lane);
	FIELD(lane, owner);
	FIELD(lane, claim);
	FIELD(lane, marked);
	FIELD(lane, messages);
	FIELD(lane, bytes);
	FIELD(lane, full);
	FIELD(lane, blocked);
	FIELD(lane, high_water);
	FIELD(lane, wakes);
	FIELD(lane, lost_wakes);
	FIELD(lane, repairs);
	FIELD(lane, active);
	FIELD(lane, marks);
	FIELD(lane, data);
	FIELD(lane, hurry);
	FIELD(lane, space);
	SIZE(cursor);
	FIELD(cursor, owner);
	FIELD(cursor, position);
	FIELD(cursor, flags);
	FIELD(cursor, messages);
	FIELD(cursor, bytes);
	FIELD(cursor, missed);
	FIELD(cursor, lapped);
	FIELD(cursor, blocked);
	FIELD(cursor, wakes);
	FIELD(cursor, lost_wakes);
	FIELD(cursor, repairs);
	FIELD(cursor, active);
	SIZE(latency);
	FIELD(latency, buckets);
	SIZE(ring);
	FIELD(ring, size);
	FIELD(ring, lane);
	FIELD(ring, cursor);
	FIELD(ring, latency);
	SIZE(topic);
	FIELD(topic, lanes);
	FIELD(topic, subscribers);
	FIELD(topic, lane_size);
	FIELD(topic, policy);
	FIELD(topic, data);
	FIELD(topic, rest);
	FIELD(topic, used_lanes);
	FIELD(topic, used_places);
	FIELD(topic, joins);
	SIZE(subscriber);
	FIELD(subscriber, name);
	FIELD(subscriber, blocked);
	FIELD(subscriber, wakes);
	FIELD(subscriber, lost_wakes);
	FIELD(subscriber, repairs);
	FIELD(subscriber, drops);
	FIELD(subscriber, joined);
	FIELD(subscriber, latency);

	CONSTANT(MAGIC);
	CONSTANT(MAJOR);
	CONSTANT(MINOR);
	CONSTANT(LINE);
	CONSTANT(KIND_MUTEX);
	CONSTANT(KIND_RWMUTEX);
	CONSTANT(KIND_COND);
	CONSTANT(KIND_SEMAPHORE);
	CONSTANT(KIND_EVENT);
	CONSTANT(KIND_BARRIER);
	CONSTANT(KIND_ONCE);
	CONSTANT(KIND_RING);
	CONSTANT(KIND_TOPIC);
	CONSTANT(KIND_QUEUE);
	CONSTANT(SCHEMA_MAX);
	CONSTANT(NAME_MAX);
	CONSTANT(MEMBERS_MAGIC);
	CONSTANT(DEFAULT_SLOTS);
	CONSTANT(MAX_SLOTS);
	CONSTANT(SLOT_FREE);
	CONSTANT(SLOT_ACTIVE);
	CONSTANT(OWNER_FLAGS);
	CONSTANT(MUTEX_MAGIC);
	CONSTANT(LOCK_WAITERS);
	CONSTANT(LOCK_INCONSISTENT);
	CONSTANT(LOCK_NOT_RECOVERABLE);
	CONSTANT(EVENT_MAGIC);
	CONSTANT(EVENT_SLEEPS);
	CONSTANT(EVENT_SET);
	CONSTANT(EVENT_NEXT);
	CONSTANT(SEMAPHORE_MAGIC);
	CONSTANT(SEMAPHORE_SLEEPS);
	CONSTANT(SEMAPHORE_MAX);
	CONSTANT(SEMAPHORE_MAX_PERMITS);
	CONSTANT(MARKS);
	CONSTANT(LATENCY_BUCKETS);
	CONSTANT(RECORD_THERE);
	CONSTANT(RECORD_PAD);
	CONSTANT(RECORD_STAMP);
	CONSTANT(RECORD_LENGTH);
	CONSTANT(RECORD_HEADER);
	CONSTANT(RECORD_STAMP_SIZE);
	CONSTANT(RING_SIZE_MIN);
	CONSTANT(RING_SIZE_MAX);
	CONSTANT(RING_SIZE_DEFAULT);
	CONSTANT(SUB_RELIABLE);
	CONSTANT(SUB_JOINING);
	CONSTANT(SUB_NAMED);
	CONSTANT(SUB_DROPPED);
	CONSTANT(SUB_FLAGS);
	CONSTANT(TOPIC_WAIT);
	CONSTANT(TOPIC_REFUSE);
	CONSTANT(TOPIC_DROP);
	CONSTANT(TOPIC_PUBLISHERS_MAX);
	CONSTANT(TOPIC_PUBLISHERS_DEFAULT);
	CONSTANT(TOPIC_SUBSCRIBERS_MAX);
	CONSTANT(TOPIC_SUBSCRIBERS_DEFAULT);
	CONSTANT(TOPIC_LANE_SIZE_DEFAULT);
	CONSTANT(TOPIC_NAME_MAX);

	/* What is computed. */
	printf("topic places %" PRIu64 " rows %" PRIu64 " cursors %" PRIu64 " data %" PRIu64 "\n", shoal_topic_places_at_(3),
	       shoal_topic_rows_at_(3, 17), shoal_topic_cursors_at_(3, 17), shoal_topic_data_at_(3, 17));
	printf("table %" PRIu64 " slot %" PRIu64 " owner %#" PRIx64 " claim %#" PRIx64 "\n", shoal_members_size_(48),
	       shoal_slot_at_(48, 3), shoal_owner_(3, 17), shoal_claim_(17, SHOAL_SLOT_ACTIVE));
	return 0;
}
