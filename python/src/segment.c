/*
 * Segments: bare shared memory, and memberships in it.
 */
#include "module.h"

struct segment {
	struct core core;
	struct shoal_segment segment;
	int joined; /* Members that have not left */
};

static void segment_close(struct core *c) { shoal_segment_close(&((struct segment *)c)->segment); }

static const struct kind segment_kind = {segment_close, NULL};

static PyTypeObject *no_type;
static const struct lending lend_segment = {"segment", &no_type, false, NULL, NULL, NULL, NULL};

static PyObject *segment_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"address", "size", "mode", NULL};
	PyObject *name;
	unsigned long long size = 0;
	unsigned mode = 0600;
	struct segment *s;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|KI:Segment", names, convert_name, &name, &size, &mode))
		return NULL;
	s = (struct segment *)type->tp_alloc(type, 0);
	if (s == NULL)
		return NULL;
	core_init(&s->core, &segment_kind, name);
	err = size == 0 ? shoal_segment_open(&s->segment, PyUnicode_AsUTF8(name))
			: shoal_segment_create(&s->segment, PyUnicode_AsUTF8(name), size, mode);
	if (err < 0) {
		raise_error(&s->core, err);
		Py_DECREF(s);
		return NULL;
	}
	s->core.closed = false;
	return (PyObject *)s;
}

static PyObject *segment_end(PyObject *self, PyObject *unused)
{
	struct segment *s = (struct segment *)self;

	if (!s->core.closed && s->joined > 0) {
		PyErr_SetString(PyExc_BufferError, "Members of the segment have not been closed");
		return NULL;
	}
	return core_close(self, unused);
}

static PyObject *segment_exit(PyObject *self, PyObject *args)
{
	struct segment *s = (struct segment *)self;

	return s->joined > 0 && PyTuple_GetItem(args, 0) == Py_None ? segment_end(self, NULL) : core_exit(self, args);
}

static PyObject *segment_buf(PyObject *self, void *unused)
{
	struct segment *s = (struct segment *)self;
	struct lent *l = s->core.lents;
	PyObject *view;

	(void)unused;
	if (core_ended(&s->core))
		return raise_error(&s->core, SHOAL_ECLOSED);
	if (l != NULL)
		Py_INCREF(l);
	else
		l = lent_new(&s->core, NULL, &lend_segment, shoal_segment_data(&s->segment),
			     shoal_segment_size(&s->segment));
	view = l == NULL ? NULL : lent_view(l);
	Py_XDECREF(l);
	return view;
}

static PyObject *segment_size(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(shoal_segment_size(&((struct segment *)self)->segment));
}

static PyObject *segment_remove(PyObject *self, PyObject *unused)
{
	struct segment *s = (struct segment *)self;
	int err = shoal_segment_remove(PyUnicode_AsUTF8(s->core.name));

	(void)unused;
	if (err < 0)
		return raise_error(&s->core, err);
	Py_RETURN_NONE;
}

static PyMethodDef segment_methods[] = {
	{"close", segment_end, METH_NOARGS, "Unmaps it. Again does nothing."},
	{"__exit__", segment_exit, METH_VARARGS, NULL},
	{"remove", segment_remove, METH_NOARGS, "Takes its name away; who has it mapped goes on using it."},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef segment_properties[] = {
	{"buf", segment_buf, NULL, "A memoryview of its bytes, valid until close.", NULL},
	{"size", segment_size, NULL, "Its size in bytes.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot segment_slots[] = {
	{Py_tp_doc, "Segment(address, size=0, mode=0o600)\n\n"
		"Memory that processes share: opens it, or with a size makes it, full of zeros.\n"
		"Addresses are '/name', 'file:PATH', 'sysv:0x1234' and 'sysv-id:7'."},
	{Py_tp_new, segment_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, segment_methods},
	{Py_tp_getset, segment_properties},
	{0, NULL},
};

static PyType_Spec segment_spec = {"shoal._shoal.Segment", sizeof(struct segment), 0,
				   Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, segment_slots};
static PyTypeObject *segment_type;

/* ---------------------------------------------------------------- Members */

struct membership {
	struct core core;
	struct shoal_members members;
	struct segment *segment; /* a reference */
};

PyTypeObject *members_type;

static void membership_close(struct core *c)
{
	struct membership *m = (struct membership *)c;

	shoal_members_leave(&m->members);
	m->segment->joined--;
}

static const char *membership_why(struct core *c) { return shoal_members_why(&((struct membership *)c)->members); }

static const struct kind membership_kind = {membership_close, membership_why};

static PyObject *membership_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"segment", "offset", "count", NULL};
	struct segment *segment;
	unsigned long long offset = 0;
	unsigned count = 0;
	struct membership *m;
	struct call call;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!|KI:Members", names, segment_type, &segment, &offset,
					 &count) ||
	    core_enter(&segment->core, &call) < 0)
		return NULL;
	m = (struct membership *)type->tp_alloc(type, 0);
	if (m != NULL) {
		core_init(&m->core, &membership_kind, segment->core.name);
		m->core.members = &m->members;
		m->segment = segment;
		Py_INCREF(segment);
		err = shoal_members_join(&m->members, &segment->segment, offset, count);
		if (err >= 0) {
			segment->joined++;
			m->core.closed = false;
		} else {
			raise_error(&m->core, err);
			Py_CLEAR(m);
		}
	}
	core_leave(&segment->core, &call);
	return (PyObject *)m;
}

static void membership_dealloc(PyObject *self)
{
	struct segment *segment = ((struct membership *)self)->segment;

	core_dealloc(self);
	Py_XDECREF(segment);
}

struct shoal_members *members_of(PyObject *membership) { return &((struct membership *)membership)->members; }

static PyObject *membership_stats(PyObject *self, PyObject *unused)
{
	struct membership *m = (struct membership *)self;
	struct shoal_stats s;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(&m->core, &call) < 0)
		return NULL;
	err = shoal_members_stats(&m->members, &s);
	core_leave(&m->core, &call);
	return err < 0 ? raise_error(&m->core, err) : core_stats(&s);
}

static PyObject *membership_footprint(PyObject *self, PyObject *args)
{
	unsigned count = 0;

	(void)self;
	if (!PyArg_ParseTuple(args, "|I:footprint", &count))
		return NULL;
	return PyLong_FromUnsignedLongLong(shoal_members_footprint(count));
}

static PyMethodDef membership_methods[] = {
	{"stats", membership_stats, METH_NOARGS, "Its counters since the table was made, as a dict."},
	{"footprint", membership_footprint, METH_VARARGS | METH_STATIC,
     "footprint(count=0)\n\nThe size in bytes of a table of so many members."},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot membership_slots[] = {
	{Py_tp_doc, "Members(segment, offset=0, count=0)\n\n"
		"Takes part in the table of members at the offset of the segment, which is made, for so\n"
		"many members, where all is zero. close() leaves."},
	{Py_tp_new, membership_new},
	{Py_tp_dealloc, membership_dealloc},
	{Py_tp_methods, membership_methods},
	{0, NULL},
};

static PyType_Spec membership_spec = {"shoal._shoal.Members", sizeof(struct membership), 0, Py_TPFLAGS_DEFAULT,
				      membership_slots};

int segment_setup(PyObject *module)
{
	if (add_type(module, &segment_spec, core_type, &segment_type) < 0)
		return -1;
	return add_type(module, &membership_spec, core_type, &members_type);
}
