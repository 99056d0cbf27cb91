/*
 * Topics.
 */
#include "module.h"

struct topic {
	struct core core;
	struct shoal_topic topic;
};

struct publisher {
	struct port port;
	struct shoal_topic_publisher publisher;
};

struct subscriber {
	struct port port;
	struct shoal_topic_subscriber subscriber;
};

static void topic_close(struct core *c) { shoal_topic_close(&((struct topic *)c)->topic); }
static const char *topic_why(struct core *c) { return shoal_topic_why(&((struct topic *)c)->topic); }

static const struct kind topic_kind = {topic_close, topic_why};

static struct shoal_topic *topic_of(struct port *p) { return &((struct topic *)p->owner)->topic; }
static struct shoal_topic_publisher *publisher_of(struct port *p) { return &((struct publisher *)p)->publisher; }
static struct shoal_topic_subscriber *subscriber_of(struct port *p) { return &((struct subscriber *)p)->subscriber; }

/* ------------------------------------------------------------- Publishers */

static int publisher_send(struct port *p, const void *data, size_t n, int64_t timeout)
{
	return shoal_topic_send_for(publisher_of(p), data, n, timeout);
}

static int publisher_send_batch(struct port *p, const void *data, size_t n, size_t count, size_t *sent, int64_t timeout)
{
	return shoal_topic_send_batch_for(publisher_of(p), data, n, count, sent, timeout);
}

static uint64_t *publisher_refusals(struct port *p) { return &publisher_of(p)->writer.lane.control->full; }

static int publisher_reserve(struct port *p, void **place, size_t n, int64_t timeout)
{
	return shoal_topic_reserve(publisher_of(p), place, n, timeout);
}

static int publisher_commit(struct port *p, size_t n) { return shoal_topic_commit(publisher_of(p), n); }
static int publisher_cancel(struct port *p) { return shoal_topic_cancel(publisher_of(p)); }
static void publisher_close(struct port *p) { shoal_topic_publisher_close(publisher_of(p)); }

static const struct port_ops publisher_ops = {
	.full = "Full",
	.empty = "Empty",
	.send = publisher_send,
	.send_batch = publisher_send_batch,
	.refusals = publisher_refusals,
	.reserve = publisher_reserve,
	.commit = publisher_commit,
	.cancel = publisher_cancel,
	.close = publisher_close,
};

static PyTypeObject *topic_type, *publisher_type, *subscriber_type;

static PyObject *topic_publisher(PyObject *self, PyObject *unused)
{
	struct topic *t = (struct topic *)self;
	struct port *p;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(&t->core, &call) < 0)
		return NULL;
	p = port_new(publisher_type, &t->core, &publisher_ops, false);
	if (p != NULL) {
		err = shoal_topic_publisher_open(publisher_of(p), &t->topic);
		if (err >= 0)
			port_opened(p);
		else {
			Py_CLEAR(p);
			raise_error(&t->core, err);
		}
	}
	core_leave(&t->core, &call);
	return (PyObject *)p;
}

static PyObject *publisher_number(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(shoal_topic_publisher_number(publisher_of((struct port *)self)));
}

/* ------------------------------------------------------------ Subscribers */

static int subscriber_peek(struct port *p, const void **data, size_t *n, int64_t timeout)
{
	return shoal_topic_peek_for(subscriber_of(p), data, n, timeout);
}

static int subscriber_release(struct port *p) { return shoal_topic_release(subscriber_of(p)); }
static int subscriber_skip(struct port *p) { return shoal_topic_skip(subscriber_of(p)); }
static void subscriber_close(struct port *p) { shoal_topic_subscriber_close(subscriber_of(p)); }

/* Of publishers: those whose lane has been taken over, and those whose has not. */
static uint64_t subscriber_deaths(struct port *p)
{
	struct shoal_topic *t = topic_of(p);
	uint32_t lanes = shoal_topic_used_lanes_(t), i;
	uint64_t deaths = 0, owner;

	for (i = 0; i < lanes; i++) {
		owner = shoal_load64_(&t->control[i].owner);
		deaths += shoal_load64_(&t->control[i].repairs) +
			  (owner != 0 && shoal_current_(&t->object.members, owner) == 0);
	}
	return deaths;
}

static void subscriber_label(struct port *p, struct lent *l)
{
	struct shoal_topic_info last = shoal_topic_last(subscriber_of(p));

	l->publisher = last.publisher;
	l->number = last.number;
}

static PyObject *subscriber_explain(struct port *p, int err, bool *done)
{
	struct shoal_topic_info last;
	PyObject *error, *value, *traceback, *numbers;

	if (err != SHOAL_EMISSED)
		return NULL;
	*done = true;
	raise_as("Missed", p->owner, err, NULL);
	last = shoal_topic_last(subscriber_of(p));
	PyErr_Fetch(&error, &value, &traceback);
	PyErr_NormalizeException(&error, &value, &traceback);
	numbers = value == NULL ? NULL
				: PyObject_CallMethod(value, "_tell", "(KkK)",
						      (unsigned long long)shoal_topic_missed(subscriber_of(p)),
						      (unsigned long)last.publisher, (unsigned long long)last.number);
	if (numbers == NULL)
		PyErr_Clear();
	Py_XDECREF(numbers);
	PyErr_Restore(error, value, traceback);
	return NULL;
}

static const struct port_ops subscriber_ops = {
	.full = "Full",
	.empty = "Empty",
	.peek = subscriber_peek,
	.release = subscriber_release,
	.skip = subscriber_skip,
	.close = subscriber_close,
	.deaths = subscriber_deaths,
	.label = subscriber_label,
	.explain = subscriber_explain,
};

static PyObject *topic_subscriber(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"lossy", "oldest", "history", "name", "on_death", NULL};
	struct topic *t = (struct topic *)self;
	struct shoal_topic_subscribe_options options;
	int lossy = 0, oldest = 0, err;
	unsigned long long history = 0;
	const char *name = NULL;
	bool raises = false;
	struct port *p;
	struct call call;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|$ppKzO&:subscriber", names, &lossy, &oldest, &history, &name,
					 convert_on_death, &raises) ||
	    core_enter(&t->core, &call) < 0)
		return NULL;
	memset(&options, 0, sizeof options);
	options.lossy = lossy;
	options.oldest = oldest;
	options.history = history;
	options.name = name;
	p = port_new(subscriber_type, &t->core, &subscriber_ops, raises);
	if (p != NULL) {
		err = shoal_topic_subscriber_open(subscriber_of(p), &t->topic, &options);
		if (err >= 0)
			port_opened(p);
		else {
			Py_CLEAR(p);
			raise_error(&t->core, err);
		}
	}
	core_leave(&t->core, &call);
	return (PyObject *)p;
}

static PyObject *subscriber_reliable(PyObject *self, void *unused)
{
	struct port *p = (struct port *)self;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(p->owner, &call) < 0)
		return NULL;
	err = p->closing ? SHOAL_ECLOSED : shoal_topic_reliable(subscriber_of(p));
	core_leave(p->owner, &call);
	return err < 0 ? raise_error(p->owner, err) : PyBool_FromLong(err);
}

/* Read without the lock: it is for the thread that receives. */
static PyObject *subscriber_last(PyObject *self, void *unused)
{
	struct shoal_topic_info last = shoal_topic_last(subscriber_of((struct port *)self));

	(void)unused;
	return Py_BuildValue("(kK)", (unsigned long)last.publisher, (unsigned long long)last.number);
}

/* -------------------------------------------------------------- The topic */

static const char *const policies[] = {"wait", "refuse", "drop"};

static PyObject *topic_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"name",      "type",   "create", "publishers", "subscribers",
				"lane_size", "policy", "mode",   NULL};
	struct shoal_topic_options options;
	PyObject *name, *schema = Py_None, *create = Py_None, *text = NULL;
	unsigned long long lane_size = 0;
	const char *policy = policies[0];
	struct topic *t;
	int err;

	memset(&options, 0, sizeof options);
	options.mode = 0600;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$OOIIKsI:Topic", names, convert_name, &name, &schema,
					 &create, &options.publishers, &options.subscribers, &lane_size, &policy,
					 &options.mode))
		return NULL;
	while (options.policy < 3 && strcmp(policy, policies[options.policy]) != 0)
		options.policy++;
	if (options.policy == 3) {
		PyErr_SetString(PyExc_ValueError, "policy must be 'wait', 'refuse' or 'drop'");
		return NULL;
	}
	if (convert_type(schema, &text, &options.schema) < 0)
		return NULL;
	options.lane_size = lane_size;
	t = (struct topic *)type->tp_alloc(type, 0);
	if (t != NULL) {
		core_init(&t->core, &topic_kind, name);
		t->core.members = &t->topic.object.members;
		t->core.object = &t->topic.object;
		err = create == Py_None ? shoal_topic_open_or_create(&t->topic, PyUnicode_AsUTF8(name), &options)
		      : PyObject_IsTrue(create) == 1 ? shoal_topic_create(&t->topic, PyUnicode_AsUTF8(name), &options)
						     : shoal_topic_open(&t->topic, PyUnicode_AsUTF8(name), &options);
		if (err >= 0)
			t->core.closed = false;
		else {
			raise_error(&t->core, err);
			Py_CLEAR(t);
		}
	}
	Py_XDECREF(text);
	return (PyObject *)t;
}

/* Calls what looks at the whole topic, without the GIL. */
static int topic_call(struct topic *t, int (*f)(struct shoal_topic *))
{
	struct call call;
	int err;

	if (core_enter(&t->core, &call) < 0)
		return RAISED;
	Py_BEGIN_ALLOW_THREADS err = f(&t->topic);
	Py_END_ALLOW_THREADS core_leave(&t->core, &call);
	if (err < 0) {
		raise_as(err == SHOAL_EBUSY ? "Busy" : "", &t->core, err, NULL);
		return RAISED;
	}
	return err;
}

static PyObject *topic_check(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (topic_call((struct topic *)self, shoal_topic_check) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *topic_repair(PyObject *self, PyObject *unused)
{
	int n = topic_call((struct topic *)self, shoal_topic_repair);

	(void)unused;
	return n < 0 ? NULL : PyLong_FromLong(n);
}

static PyObject *topic_forget(PyObject *self, PyObject *args)
{
	struct topic *t = (struct topic *)self;
	const char *name;
	struct call call;
	int err;

	if (!PyArg_ParseTuple(args, "s:forget", &name) || core_enter(&t->core, &call) < 0)
		return NULL;
	err = shoal_topic_forget(&t->topic, name);
	core_leave(&t->core, &call);
	if (err < 0)
		return raise_as(err == SHOAL_EBUSY ? "Busy" : "", &t->core, err, NULL);
	Py_RETURN_NONE;
}

static PyObject *publisher_stats(struct topic *t, uint32_t i)
{
	struct shoal_topic_publisher_stats s;
	int err = shoal_topic_publisher_stats(&t->topic, i, &s);

	if (err < 0)
		return raise_error(&t->core, err);
	return Py_BuildValue("{sIsisOsKsKsKsKsKsKsKsKsK}", "number", i, "pid", (int)s.pid, "alive",
			     s.alive ? Py_True : Py_False, "sent", (unsigned long long)s.sent, "sent_bytes",
			     (unsigned long long)s.sent_bytes, "full", (unsigned long long)s.full, "blocked",
			     (unsigned long long)s.blocked, "high_water", (unsigned long long)s.high_water, "wakes",
			     (unsigned long long)s.wakes, "lost_wakes", (unsigned long long)s.lost_wakes, "repairs",
			     (unsigned long long)s.repairs, "last", (unsigned long long)s.last);
}

/* None if nobody has the place. */
static PyObject *subscriber_stats(struct topic *t, uint32_t i)
{
	struct shoal_topic_subscriber_stats s;
	int err = shoal_topic_subscriber_stats(&t->topic, i, &s);
	PyObject *name = Py_None;

	if (err < 0)
		return raise_error(&t->core, err);
	if (err == 0)
		Py_RETURN_NONE;
	if (s.named) /* anybody's bytes */
		name = PyUnicode_DecodeUTF8(s.name, (Py_ssize_t)strlen(s.name), "replace");
	else
		Py_INCREF(name);
	return Py_BuildValue("{sIsisOsOsOsNsKsKsKsKsKsKsKsKsKsKsK}", "number", i, "pid", (int)s.pid, "alive",
			     s.alive ? Py_True : Py_False, "reliable", s.reliable ? Py_True : Py_False, "dropped",
			     s.dropped ? Py_True : Py_False, "name", name, "received",
			     (unsigned long long)s.received, "received_bytes", (unsigned long long)s.received_bytes,
			     "missed", (unsigned long long)s.missed, "lapped", (unsigned long long)s.lapped, "lag",
			     (unsigned long long)s.lag, "drops", (unsigned long long)s.drops, "blocked",
			     (unsigned long long)s.blocked, "wakes", (unsigned long long)s.wakes, "lost_wakes",
			     (unsigned long long)s.lost_wakes, "joined", (unsigned long long)s.joined, "last",
			     (unsigned long long)s.last);
}

/* Appends what it takes over, unless that is None. */
static int append(PyObject *list, PyObject *item)
{
	int err = item == NULL ? -1 : item == Py_None ? 0 : PyList_Append(list, item);

	Py_XDECREF(item);
	return err;
}

static PyObject *topic_stats(PyObject *self, PyObject *unused)
{
	struct topic *t = (struct topic *)self;
	PyObject *d = NULL, *publishers = PyList_New(0), *subscribers = PyList_New(0);
	struct shoal_topic_stats s;
	struct call call;
	uint32_t i;
	int err;

	(void)unused;
	if (publishers == NULL || subscribers == NULL || core_enter(&t->core, &call) < 0)
		goto out;
	err = shoal_topic_stats(&t->topic, &s);
	if (err < 0)
		raise_error(&t->core, err);
	for (i = 0; err >= 0 && i < s.used_lanes; i++)
		err = append(publishers, publisher_stats(t, i));
	for (i = 0; err >= 0 && i < s.used_places; i++)
		err = append(subscribers, subscriber_stats(t, i));
	core_leave(&t->core, &call);
	if (err >= 0) {
		const struct counter counters[] = {
		    {"max_publishers", s.max_publishers},
		    {"max_subscribers", s.max_subscribers},
		    {"lane_size", s.lane_size},
		    {"max_record", s.max_record},
		};

		d = core_stats(&s.members);
		add_counters(&d, counters, sizeof counters / sizeof counters[0]);
		if (d != NULL && (PyDict_SetItemString(d, "publishers", publishers) < 0 ||
				  PyDict_SetItemString(d, "subscribers", subscribers) < 0))
			Py_CLEAR(d);
	}
out:
	Py_XDECREF(publishers);
	Py_XDECREF(subscribers);
	return d;
}

static PyObject *topic_max_record(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(shoal_topic_max_record(&((struct topic *)self)->topic));
}

static PyObject *topic_policy(PyObject *self, void *unused)
{
	uint32_t policy = ((struct topic *)self)->topic.policy;

	(void)unused;
	return PyUnicode_FromString(policy < 3 ? policies[policy] : "?");
}

static PyMethodDef topic_methods[] = {
	{"publisher", topic_publisher, METH_NOARGS,
     "publisher()\n\nTakes a lane: NoSlot if live processes have all of them."},
	{"subscriber", KEYWORDS(topic_subscriber),
     "subscriber(*, lossy=False, oldest=False, history=0, name=None, on_death='resume')\n\n"
     "Subscribes: publishers wait for it, unless it is lossy. With a name it outlives its process."},
	{"forget", topic_forget, METH_VARARGS, "forget(name)\n\nEnds the subscription of that name, which no process has."},
	{"check", topic_check, METH_NOARGS, "Raises Corrupt for what cannot be. It changes nothing."},
	{"repair", topic_repair, METH_NOARGS, "Takes back what the dead have had, and returns how many lanes and places."},
	{"stats", topic_stats, METH_NOARGS, "Its state and counters, as a dict with lists of publishers and subscribers."},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef topic_properties[] = {
    RECORD_PROPERTIES,
	{"max_record", topic_max_record, NULL, "The length of the longest record in bytes.", NULL},
	{"policy", topic_policy, NULL, "What publishers do about slow subscribers: 'wait', 'refuse' or 'drop'.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef publisher_properties[] = {
	{"number", publisher_number, NULL, "The number of its lane, which records have as publisher.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef subscriber_properties[] = {
	{"reliable", subscriber_reliable, NULL, "Whether publishers wait for it.", NULL},
	{"last", subscriber_last, NULL, "Publisher and number of the last record that was received.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot topic_slots[] = {
	{Py_tp_doc,
     "Topic(name, *, type=None, create=None, publishers=0, subscribers=0, lane_size=0, policy='wait', mode=0o600)\n\n"
     "Every record of every publisher goes to every subscriber. Opens it, or makes it if there is none;\n"
     "create=True only makes it, create=False only opens it."},
	{Py_tp_new, topic_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, topic_methods},
	{Py_tp_getset, topic_properties},
	{0, NULL},
};

static PyType_Slot publisher_slots[] = {{Py_tp_dealloc, port_dealloc}, {Py_tp_getset, publisher_properties}, {0, NULL}};
static PyType_Slot subscriber_slots[] = {
	{Py_tp_dealloc, port_dealloc}, {Py_tp_getset, subscriber_properties}, {0, NULL}};

static PyType_Spec topic_spec = {"shoal._shoal.Topic", sizeof(struct topic), 0, Py_TPFLAGS_DEFAULT, topic_slots};
static PyType_Spec publisher_spec = {"shoal._shoal.Publisher", sizeof(struct publisher), 0, Py_TPFLAGS_DEFAULT,
				     publisher_slots};
static PyType_Spec subscriber_spec = {"shoal._shoal.Subscriber", sizeof(struct subscriber), 0, Py_TPFLAGS_DEFAULT,
				      subscriber_slots};

int topic_setup(PyObject *module)
{
	if (add_type(module, &topic_spec, core_type, &topic_type) < 0 ||
	    add_type(module, &publisher_spec, sender_type, &publisher_type) < 0 ||
	    add_type(module, &subscriber_spec, receiver_type, &subscriber_type) < 0)
		return -1;
	publisher_type->tp_new = subscriber_type->tp_new = NULL;
	return 0;
}
