/*
 * Queues. Any number of threads may use one at a time, so it has no ports.
 */
#include "module.h"

struct queue {
	struct core core;
	struct shoal_queue queue;
};

static struct shoal_queue *queue_of(void *self) { return &((struct queue *)self)->queue; }

static void queue_close(struct core *c) { shoal_queue_close(queue_of(c)); }
static const char *queue_why(struct core *c) { return shoal_queue_why(queue_of(c)); }

static const struct kind queue_kind = {queue_close, queue_why};

/* ------------------------------------------------------ Messages and loans */

static struct shoal_queue_message message_of(const struct lent *l)
{
	struct shoal_queue_message m = {l->data, l->size, l->deliveries, l->number};

	return m;
}

static struct shoal_queue_loan loan_of(const struct lent *l)
{
	struct shoal_queue_loan loan = {l->data, l->size, l->number};

	return loan;
}

static int message_ack(struct lent *l, size_t n)
{
	struct shoal_queue_message m = message_of(l);

	(void)n;
	return shoal_queue_ack(queue_of(l->owner), &m);
}

static int message_nack(struct lent *l)
{
	struct shoal_queue_message m = message_of(l);

	return shoal_queue_nack(queue_of(l->owner), &m);
}

static void message_drop(struct lent *l) { message_nack(l); }

static int loan_commit(struct lent *l, size_t n)
{
	struct shoal_queue_loan loan = loan_of(l);

	return shoal_queue_commit(queue_of(l->owner), &loan, n);
}

static int loan_cancel(struct lent *l)
{
	struct shoal_queue_loan loan = loan_of(l);

	return shoal_queue_cancel(queue_of(l->owner), &loan);
}

static void loan_drop(struct lent *l) { loan_cancel(l); }

static const struct lending lend_message = {"message",    &message_type, false, message_ack,
					    message_nack, message_drop,  NULL};
static const struct lending lend_loan = {"loan", &loan_type, false, loan_commit, loan_cancel, loan_drop, NULL};

static PyObject *queue_error(struct core *c, int err, const char *wait)
{
	if (err == SHOAL_EBUSY || err == SHOAL_ETIMEDOUT)
		return raise_as(wait, c, err, "");
	return raise_error(c, err);
}

/* ---------------------------------------------------------------- Sending */

struct sending {
	struct shoal_queue *queue;
	const void *data;
	size_t size;
	size_t count, sent; /* of a batch */
	struct shoal_queue_loan loan;
};

static int attempt_send(void *argument, int64_t timeout)
{
	struct sending *s = (struct sending *)argument;

	return shoal_queue_send_for(s->queue, s->data, s->size, timeout);
}

static int attempt_send_batch(void *argument, int64_t timeout)
{
	struct sending *s = (struct sending *)argument;
	size_t sent = 0;
	int err = shoal_queue_send_batch(s->queue, (const char *)s->data + s->sent * s->size, s->size,
					 s->count - s->sent, &sent, timeout);

	s->sent += sent;
	return err;
}

static int attempt_reserve(void *argument, int64_t timeout)
{
	struct sending *s = (struct sending *)argument;

	return shoal_queue_reserve(s->queue, &s->loan, s->size, timeout);
}

static PyObject *queue_send(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"data", "timeout", NULL};
	struct core *c = (struct core *)self;
	struct sending s;
	int64_t timeout = -1;
	struct call call;
	Py_buffer data;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*|O&:send", names, &data, convert_timeout, &timeout))
		return NULL;
	if (core_enter(c, &call) < 0) {
		PyBuffer_Release(&data);
		return NULL;
	}
	s.queue = queue_of(self);
	s.data = data.buf;
	s.size = (size_t)data.len;
	err = core_wait(c, attempt_send, &s, timeout, NULL, NULL, s.size >= LARGE);
	core_leave(c, &call);
	PyBuffer_Release(&data);
	if (err < 0)
		return queue_error(c, err, "Full");
	Py_RETURN_NONE;
}

static PyObject *queue_send_batch(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"data", "size", "timeout", NULL};
	struct core *c = (struct core *)self;
	struct sending s;
	PyObject *object, *size = Py_None;
	int64_t timeout = -1;
	struct call call;
	Py_buffer data;
	int err = RAISED;

	memset(&s, 0, sizeof s);
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|OO&:send_batch", names, &object, &size, convert_timeout,
					 &timeout) ||
	    PyObject_GetBuffer(object, &data, PyBUF_C_CONTIGUOUS) < 0)
		return NULL;
	if (size != Py_None)
		s.size = PyLong_AsSize_t(size);
	if (PyErr_Occurred() || core_enter(c, &call) < 0) {
		PyBuffer_Release(&data);
		return NULL;
	}
	s.queue = queue_of(self);
	s.data = data.buf;
	if (size == Py_None)
		s.size = s.queue->fixed != UINT64_MAX ? (size_t)s.queue->fixed : (size_t)data.itemsize;
	if (s.size == 0 || (size_t)data.len % s.size != 0)
		PyErr_Format(PyExc_ValueError, "%zd bytes are not messages of %zu bytes", data.len, s.size);
	else {
		s.count = (size_t)data.len / s.size;
		err = core_wait(c, attempt_send_batch, &s, timeout, NULL, NULL, data.len >= LARGE);
	}
	core_leave(c, &call);
	PyBuffer_Release(&data);
	if (err >= 0)
		return PyLong_FromSize_t(s.sent);
	queue_error(c, err, "Full");
	say_sent(s.sent);
	return NULL;
}

static PyObject *queue_loan(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"size", "timeout", NULL};
	struct core *c = (struct core *)self;
	struct sending s;
	PyObject *size = Py_None;
	int64_t timeout = -1;
	struct lent *l = NULL;
	struct call call;
	int err;

	memset(&s, 0, sizeof s);
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OO&:loan", names, &size, convert_timeout, &timeout))
		return NULL;
	if (size != Py_None) {
		s.size = PyLong_AsSize_t(size);
		if (PyErr_Occurred())
			return NULL;
	}
	if (core_enter(c, &call) < 0)
		return NULL;
	s.queue = queue_of(self);
	if (size == Py_None)
		s.size = (size_t)(s.queue->fixed != UINT64_MAX ? s.queue->fixed : shoal_queue_max_message(s.queue));
	err = core_wait(c, attempt_reserve, &s, timeout, NULL, NULL, false);
	if (err >= 0 && core_ended(c))
		err = SHOAL_ECLOSED;
	if (err >= 0) {
		l = lent_new(c, NULL, &lend_loan, s.loan.data, s.loan.size);
		if (l == NULL) {
			shoal_queue_cancel(s.queue, &s.loan);
			err = RAISED;
		} else
			l->number = s.loan.number;
	}
	core_leave(c, &call);
	return err < 0 ? queue_error(c, err, "Full") : lease_of(l);
}

/* -------------------------------------------------------------- Receiving */

struct receiving {
	struct shoal_queue *queue;
	struct shoal_queue_message message;
};

static int attempt_receive(void *argument, int64_t timeout)
{
	struct receiving *r = (struct receiving *)argument;

	return shoal_queue_receive_for(r->queue, &r->message, timeout);
}

/* The next message: a lent, or NULL and in *err why. The object has been entered. */
static struct lent *take(struct core *c, int64_t timeout, int *err)
{
	struct receiving r;
	struct lent *l;

	memset(&r, 0, sizeof r);
	r.queue = queue_of(c);
	*err = core_wait(c, attempt_receive, &r, timeout, NULL, NULL, false);
	if (*err < 0)
		return NULL;
	if (core_ended(c)) { /* close gives it back */
		*err = SHOAL_ECLOSED;
		return NULL;
	}
	l = lent_new(c, NULL, &lend_message, r.message.data, r.message.size);
	if (l == NULL) {
		shoal_queue_nack(r.queue, &r.message);
		*err = RAISED;
		return NULL;
	}
	l->number = r.message.number;
	l->deliveries = r.message.deliveries;
	return l;
}

static PyObject *queue_receive(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"timeout", NULL};
	struct core *c = (struct core *)self;
	int64_t timeout = -1;
	struct lent *l;
	struct call call;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O&:receive", names, convert_timeout, &timeout) ||
	    core_enter(c, &call) < 0)
		return NULL;
	l = take(c, timeout, &err);
	core_leave(c, &call);
	return l == NULL ? queue_error(c, err, "Empty") : lease_of(l);
}

static PyObject *queue_receive_batch(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"count", "timeout", NULL};
	struct core *c = (struct core *)self;
	PyObject *list, *lease;
	int64_t timeout = -1;
	Py_ssize_t count;
	struct lent *l;
	struct call call;
	int err = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "n|O&:receive_batch", names, &count, convert_timeout,
					 &timeout))
		return NULL;
	list = PyList_New(0);
	if (list == NULL || core_enter(c, &call) < 0) {
		Py_XDECREF(list);
		return NULL;
	}
	while (err >= 0 && PyList_GET_SIZE(list) < count) {
		l = take(c, PyList_GET_SIZE(list) == 0 ? timeout : 0, &err);
		if (l == NULL)
			break;
		lease = lease_of(l);
		if (lease == NULL || PyList_Append(list, lease) < 0)
			err = RAISED;
		Py_XDECREF(lease);
	}
	core_leave(c, &call);
	if (err >= 0 || (err != RAISED && PyList_GET_SIZE(list) > 0)) /* an error comes again */
		return list;
	Py_DECREF(list);
	return queue_error(c, err, "Empty");
}

static PyObject *queue_areceive(PyObject *self, PyObject *unused)
{
	(void)unused;
	return call_python("shoal._aio", "receive_message", "(O)", self);
}

static PyObject *queue_aiter(PyObject *self) { return call_python("shoal._aio", "messages", "(O)", self); }
static PyObject *queue_iter(PyObject *self) { return call_python("shoal._types", "messages", "(O)", self); }

/* -------------------------------------------------------------- The queue */

static PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"name", "slots", "max_message", "type", "create", "mode", "members", NULL};
	struct shoal_queue_options options;
	PyObject *name, *schema = Py_None, *create = Py_None, *text = NULL;
	struct queue *q;
	int err;

	memset(&options, 0, sizeof options);
	options.mode = 0600;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$IIOOII:Queue", names, convert_name, &name, &options.slots,
					 &options.max_message, &schema, &create, &options.mode, &options.members) ||
	    convert_type(schema, &text, &options.schema) < 0)
		return NULL;
	q = (struct queue *)type->tp_alloc(type, 0);
	if (q != NULL) {
		core_init(&q->core, &queue_kind, name);
		q->core.members = &q->queue.object.members;
		q->core.object = &q->queue.object;
		err = create == Py_None ? shoal_queue_open_or_create(&q->queue, PyUnicode_AsUTF8(name), &options)
		      : PyObject_IsTrue(create) == 1 ? shoal_queue_create(&q->queue, PyUnicode_AsUTF8(name), &options)
						     : shoal_queue_open(&q->queue, PyUnicode_AsUTF8(name), &options);
		if (err >= 0)
			q->core.closed = false;
		else {
			raise_error(&q->core, err);
			Py_CLEAR(q);
		}
	}
	Py_XDECREF(text);
	return (PyObject *)q;
}

/* Calls what looks at the whole queue, without the GIL. */
static int queue_call(PyObject *self, int (*f)(struct shoal_queue *))
{
	struct core *c = (struct core *)self;
	struct call call;
	int err;

	if (core_enter(c, &call) < 0)
		return RAISED;
	Py_BEGIN_ALLOW_THREADS err = f(queue_of(self));
	Py_END_ALLOW_THREADS core_leave(c, &call);
	if (err < 0) {
		raise_error(c, err);
		return RAISED;
	}
	return err;
}

static PyObject *queue_check(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (queue_call(self, shoal_queue_check) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *queue_repair(PyObject *self, PyObject *unused)
{
	int n = queue_call(self, shoal_queue_repair);

	(void)unused;
	return n < 0 ? NULL : PyLong_FromLong(n);
}

static PyObject *queue_stats(PyObject *self, PyObject *unused)
{
	struct core *c = (struct core *)self;
	struct shoal_queue_stats s;
	PyObject *d;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(c, &call) < 0)
		return NULL;
	err = shoal_queue_stats(queue_of(self), &s);
	core_leave(c, &call);
	if (err < 0)
		return raise_error(c, err);
	const struct counter counters[] = {
	    {"slots", s.slots},
	    {"max_message", s.max_message},
	    {"free", s.free},
	    {"claimed", s.claimed},
	    {"ready", s.ready},
	    {"taken", s.taken},
	    {"sent", s.sent},
	    {"sent_bytes", s.sent_bytes},
	    {"received", s.received},
	    {"acked", s.acked},
	    {"nacked", s.nacked},
	    {"redelivered", s.redelivered},
	    {"full", s.full},
	    {"high_water", s.high_water},
	    {"send_blocked", s.send_blocked},
	    {"receive_blocked", s.receive_blocked},
	    {"wakes", s.wakes},
	    {"returned", s.returned},
	    {"freed", s.freed},
	    {"last_sent", s.last_sent},
	    {"last_received", s.last_received},
	};
	d = core_stats(&s.members);
	add_counters(&d, counters, sizeof counters / sizeof counters[0]);
	return d;
}

/* Slots that a process has in hand. */
static PyObject *queue_holdings(PyObject *self, PyObject *unused)
{
	struct core *c = (struct core *)self;
	PyObject *list = PyList_New(0), *item;
	struct shoal_queue_holding h;
	struct call call;
	uint64_t i, slots;
	int err = 0;

	(void)unused;
	if (list == NULL || core_enter(c, &call) < 0) {
		Py_XDECREF(list);
		return NULL;
	}
	slots = shoal_queue_slots(queue_of(self));
	for (i = 0; err >= 0 && i < slots; i++) {
		err = shoal_queue_holding(queue_of(self), i, &h);
		if (err < 0)
			raise_error(c, err);
		if (err <= 0)
			continue;
		item = Py_BuildValue("{sisOsOsKsIsK}", "pid", (int)h.pid, "alive", h.alive ? Py_True : Py_False,
				     "taken", h.taken ? Py_True : Py_False, "number", (unsigned long long)h.number,
				     "deliveries", (unsigned)h.deliveries, "since", (unsigned long long)h.since);
		if (item == NULL || PyList_Append(list, item) < 0)
			err = RAISED;
		Py_XDECREF(item);
	}
	core_leave(c, &call);
	if (err < 0)
		Py_CLEAR(list);
	return list;
}

static PyObject *queue_max_message(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(shoal_queue_max_message(queue_of(self)));
}

static PyObject *queue_slots_of(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(shoal_queue_slots(queue_of(self)));
}

static PyMethodDef queue_methods[] = {
	{"send", KEYWORDS(queue_send), "send(data, timeout=None)\n\nSends a copy of the bytes as one message."},
	{"send_batch", KEYWORDS(queue_send_batch),
     "send_batch(data, size=None, timeout=None)\n\nSends the messages that lie one behind the other in data."},
	{"loan", KEYWORDS(queue_loan),
     "loan(size=None, timeout=None)\n\nLends a slot for a message, of the size of the type or else the longest."},
	{"receive", KEYWORDS(queue_receive),
     "receive(timeout=None)\n\nTakes the next message: a Message, to be acknowledged."},
	{"receive_batch", KEYWORDS(queue_receive_batch),
     "receive_batch(count, timeout=None)\n\nWaits for a message, and takes at most count that are there."},
	{"areceive", queue_areceive, METH_NOARGS, "receive() for asyncio."},
	{"check", queue_check, METH_NOARGS, "Raises Corrupt for what cannot be. It changes nothing."},
	{"repair", queue_repair, METH_NOARGS, "Takes back what the dead have had, and returns how many slots."},
	{"holdings", queue_holdings, METH_NOARGS,
     "The messages and loans that processes have in hand, as a list of dicts."},
	{"stats", queue_stats, METH_NOARGS,
     "Its state and counters since it was made, as a dict. Times are in nanoseconds."},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef queue_properties[] = {
    RECORD_PROPERTIES,
	{"max_message", queue_max_message, NULL, "The length of the longest message in bytes.", NULL},
	{"slots", queue_slots_of, NULL, "How many messages it holds.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot queue_type_slots[] = {
	{Py_tp_doc, "Queue(name, *, slots=0, max_message=0, type=None, create=None, mode=0o600, members=0)\n\n"
		"Messages, each of which goes to one of its consumers, and comes again if that one dies before it\n"
		"has acknowledged it. Opens it, or makes it if there is none; create=True only makes it, create=False\n"
		"only opens it. It iterates over the messages to come, each of which is acknowledged when the next\n"
		"one is asked for, and given back if the loop is left."},
	{Py_tp_new, queue_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, queue_methods},
	{Py_tp_getset, queue_properties},
	{Py_tp_iter, queue_iter},
	{Py_am_aiter, queue_aiter},
	{0, NULL},
};

static PyType_Spec queue_spec = {"shoal._shoal.Queue", sizeof(struct queue), 0, Py_TPFLAGS_DEFAULT, queue_type_slots};

int queue_setup(PyObject *module)
{
	PyTypeObject *type;

	return add_type(module, &queue_spec, core_type, &type);
}
