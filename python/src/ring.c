/*
 * Rings.
 */
#include "module.h"

struct ring {
	struct core core;
	struct shoal_ring ring;
};

static void ring_close(struct core *c) { shoal_ring_close(&((struct ring *)c)->ring); }
static const char *ring_why(struct core *c) { return shoal_ring_why(&((struct ring *)c)->ring); }

static const struct kind ring_kind = {ring_close, ring_why};

static struct shoal_ring *ring_of(struct port *p) { return &((struct ring *)p->owner)->ring; }

/* ------------------------------------------------------------------ Ports */

static int writer_send(struct port *p, const void *data, size_t n, int64_t timeout)
{
	return shoal_ring_send_for(ring_of(p), data, n, timeout);
}

/* As shoal_ring_send_batch, with a time-out. */
static int writer_send_batch(struct port *p, const void *data, size_t n, size_t count, size_t *sent, int64_t timeout)
{
	struct shoal_ring *r = ring_of(p);
	const unsigned char *from = (const unsigned char *)data;
	size_t i;
	int err;

	if (!shoal_ring_sendable_(r, n))
		return shoal_ring_unsendable_(r, n);
	for (i = 0; i < count; i++) {
		while (!shoal_ring_append_(r, from + i * n, n)) {
			shoal_ring_commit_(r); /* the reader must see it to make room */
			*sent = i;
			err = shoal_ring_make_room_(r, n, timeout);
			if (err < 0)
				return err;
		}
		if (r->writer.position - r->writer.first >= r->size / 8)
			shoal_ring_commit_(r);
	}
	shoal_ring_commit_(r);
	*sent = count;
	return 0;
}

static uint64_t *writer_refusals(struct port *p) { return &ring_of(p)->control->lane.full; }

static int writer_reserve(struct port *p, void **place, size_t n, int64_t timeout)
{
	return shoal_ring_reserve(ring_of(p), place, n, timeout);
}

static int writer_commit(struct port *p, size_t n) { return shoal_ring_commit(ring_of(p), n); }
static int writer_cancel(struct port *p) { return shoal_ring_cancel(ring_of(p)); }
static void writer_close(struct port *p) { shoal_ring_writer_close(ring_of(p)); }

/* How often the owner of a port has died: those who have been replaced, and one who has
 * not. The waiting thread buries the dead itself. */
static uint64_t deaths_of(struct shoal_ring *r, uint64_t *owner, uint64_t *repairs)
{
	uint64_t word = shoal_load64_(owner);

	return shoal_load64_(repairs) + (word != 0 && shoal_current_(&r->object.members, word) == 0);
}

static uint64_t writer_deaths(struct port *p)
{
	struct shoal_ring *r = ring_of(p);

	return deaths_of(r, &r->control->cursor.owner, &r->control->cursor.repairs);
}

static int reader_peek(struct port *p, const void **data, size_t *n, int64_t timeout)
{
	return shoal_ring_peek_for(ring_of(p), data, n, timeout);
}

static int reader_release(struct port *p) { return shoal_ring_release(ring_of(p)); }
static int reader_skip(struct port *p) { return shoal_ring_skip(ring_of(p)); }
static void reader_close(struct port *p) { shoal_ring_reader_close(ring_of(p)); }

static uint64_t reader_deaths(struct port *p)
{
	struct shoal_ring *r = ring_of(p);

	return deaths_of(r, &r->control->lane.owner, &r->control->lane.repairs);
}

static const struct port_ops writer_ops = {
	.full = "Full",
	.empty = "Empty",
	.send = writer_send,
	.send_batch = writer_send_batch,
	.refusals = writer_refusals,
	.reserve = writer_reserve,
	.commit = writer_commit,
	.cancel = writer_cancel,
	.close = writer_close,
	.deaths = writer_deaths,
};

static const struct port_ops reader_ops = {
	.full = "Full",
	.empty = "Empty",
	.peek = reader_peek,
	.release = reader_release,
	.skip = reader_skip,
	.close = reader_close,
	.deaths = reader_deaths,
};

static PyTypeObject *ring_type, *writer_type, *reader_type;

static PyObject *ring_port(PyObject *self, PyObject *args, PyObject *keywords, PyTypeObject *type,
			   const struct port_ops *ops, int (*open)(struct shoal_ring *))
{
	static char *names[] = {"on_death", NULL};
	struct ring *r = (struct ring *)self;
	bool raises = false;
	struct port *p;
	struct call call;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|$O&", names, convert_on_death, &raises) ||
	    core_enter(&r->core, &call) < 0)
		return NULL;
	p = port_new(type, &r->core, ops, raises);
	if (p != NULL) {
		err = open(&r->ring);
		if (err >= 0)
			port_opened(p);
		else {
			Py_CLEAR(p);
			raise_as(err == SHOAL_EBUSY ? "Busy" : "", &r->core, err, NULL);
		}
	}
	core_leave(&r->core, &call);
	return (PyObject *)p;
}

static PyObject *ring_writer(PyObject *self, PyObject *args, PyObject *keywords)
{
	return ring_port(self, args, keywords, writer_type, &writer_ops, shoal_ring_writer);
}

static PyObject *ring_reader(PyObject *self, PyObject *args, PyObject *keywords)
{
	return ring_port(self, args, keywords, reader_type, &reader_ops, shoal_ring_reader);
}

/* --------------------------------------------------------------- The ring */

static PyObject *ring_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"name", "size", "type", "create", "mode", "members", NULL};
	struct shoal_ring_options options;
	PyObject *name, *schema = Py_None, *create = Py_None, *text = NULL;
	unsigned long long size = 0;
	struct ring *r;
	int err;

	memset(&options, 0, sizeof options);
	options.mode = 0600;
	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$KOOII:Ring", names, convert_name, &name, &size, &schema,
					 &create, &options.mode, &options.members) ||
	    convert_type(schema, &text, &options.schema) < 0)
		return NULL;
	options.size = size;
	r = (struct ring *)type->tp_alloc(type, 0);
	if (r != NULL) {
		core_init(&r->core, &ring_kind, name);
		r->core.members = &r->ring.object.members;
		r->core.object = &r->ring.object;
		err = create == Py_None ? shoal_ring_open_or_create(&r->ring, PyUnicode_AsUTF8(name), &options)
		      : PyObject_IsTrue(create) == 1 ? shoal_ring_create(&r->ring, PyUnicode_AsUTF8(name), &options)
						     : shoal_ring_open(&r->ring, PyUnicode_AsUTF8(name), &options);
		if (err >= 0)
			r->core.closed = false;
		else {
			raise_error(&r->core, err);
			Py_CLEAR(r);
		}
	}
	Py_XDECREF(text);
	return (PyObject *)r;
}

static PyObject *ring_check(PyObject *self, PyObject *unused)
{
	struct ring *r = (struct ring *)self;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(&r->core, &call) < 0)
		return NULL;
	Py_BEGIN_ALLOW_THREADS err = shoal_ring_check(&r->ring);
	Py_END_ALLOW_THREADS core_leave(&r->core, &call);
	if (err < 0)
		return raise_as(err == SHOAL_EBUSY ? "Busy" : "", &r->core, err, NULL);
	Py_RETURN_NONE;
}

static PyObject *ring_repair(PyObject *self, PyObject *unused)
{
	struct ring *r = (struct ring *)self;
	struct call call;
	int n;

	(void)unused;
	if (core_enter(&r->core, &call) < 0)
		return NULL;
	n = shoal_ring_repair(&r->ring);
	core_leave(&r->core, &call);
	return n < 0 ? raise_error(&r->core, n) : PyLong_FromLong(n);
}

static PyObject *ring_stats(PyObject *self, PyObject *unused)
{
	struct ring *r = (struct ring *)self;
	struct shoal_ring_stats s;
	PyObject *d;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(&r->core, &call) < 0)
		return NULL;
	err = shoal_ring_stats(&r->ring, &s);
	core_leave(&r->core, &call);
	if (err < 0)
		return raise_error(&r->core, err);
	const struct counter counters[] = {
	    {"sent", s.sent},
	    {"sent_bytes", s.sent_bytes},
	    {"received", s.received},
	    {"received_bytes", s.received_bytes},
	    {"full", s.full},
	    {"high_water", s.high_water},
	    {"writer_blocked", s.writer_blocked},
	    {"reader_blocked", s.reader_blocked},
	    {"writer_wakes", s.writer_wakes},
	    {"reader_wakes", s.reader_wakes},
	    {"writer_lost_wakes", s.writer_lost_wakes},
	    {"reader_lost_wakes", s.reader_lost_wakes},
	    {"writer_repairs", s.writer_repairs},
	    {"reader_repairs", s.reader_repairs},
	    {"last_sent", s.last_sent},
	    {"last_received", s.last_received},
	};
	d = core_stats(&s.members);
	add_counters(&d, counters, sizeof counters / sizeof counters[0]);
	return d;
}

static PyObject *ring_max_record(PyObject *self, void *unused)
{
	struct ring *r = (struct ring *)self;

	(void)unused;
	return PyLong_FromUnsignedLongLong(shoal_ring_max_record(&r->ring));
}

static PyMethodDef ring_methods[] = {
	{"writer", KEYWORDS(ring_writer),
     "writer(*, on_death='resume')\n\nTakes the port that sends: Busy if a live process has it."},
	{"reader", KEYWORDS(ring_reader),
     "reader(*, on_death='resume')\n\nTakes the port that receives: Busy if a live process has it."},
	{"check", ring_check, METH_NOARGS, "Raises Corrupt for what cannot be. It changes nothing."},
	{"repair", ring_repair, METH_NOARGS, "Takes the ports of the dead back, and returns how many."},
	{"stats", ring_stats, METH_NOARGS, "Its counters since it was made, as a dict. Times are in nanoseconds."},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef ring_properties[] = {
    RECORD_PROPERTIES,
	{"max_record", ring_max_record, NULL, "The length of the longest record in bytes.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ring_slots[] = {
	{Py_tp_doc, "Ring(name, *, size=0, type=None, create=None, mode=0o600, members=0)\n\n"
		"Records from one writer to one reader. Opens it, or makes it if there is none;\n"
		"create=True only makes it, create=False only opens it."},
	{Py_tp_new, ring_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, ring_methods},
	{Py_tp_getset, ring_properties},
	{0, NULL},
};

static PyType_Slot port_slots[] = {{Py_tp_dealloc, port_dealloc}, {0, NULL}};

static PyType_Spec ring_spec = {"shoal._shoal.Ring", sizeof(struct ring), 0, Py_TPFLAGS_DEFAULT, ring_slots};
static PyType_Spec writer_spec = {"shoal._shoal.Writer", sizeof(struct port), 0, Py_TPFLAGS_DEFAULT, port_slots};
static PyType_Spec reader_spec = {"shoal._shoal.Reader", sizeof(struct port), 0, Py_TPFLAGS_DEFAULT, port_slots};

int ring_setup(PyObject *module)
{
	if (add_type(module, &ring_spec, core_type, &ring_type) < 0 ||
	    add_type(module, &writer_spec, sender_type, &writer_type) < 0 ||
	    add_type(module, &reader_spec, receiver_type, &reader_type) < 0)
		return -1;
	writer_type->tp_new = reader_type->tp_new = NULL;
	return 0;
}
