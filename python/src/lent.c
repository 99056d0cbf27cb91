/*
 * Memory that is lent: records, loans, messages, and the bytes of segments.
 *
 * Python cannot take a pointer back from whoever has got one through the buffer
 * protocol. So what is lent has an exporter of its own, struct lent, that programs
 * never see: everything that can still look, a memoryview or an array of numpy, has a
 * reference to it. (numpy.ndarray(buffer=view) releases the buffer at once and goes on
 * using the memory; but it, too, keeps a reference.) As long as there is one more than
 * ours the memory is not given back: BufferError, as bytearray and mmap do it. The one
 * memoryview that a Lease hands out itself is released with it, and raises ValueError
 * from then on.
 *
 * A with block that an exception leaves, and a Lease that becomes garbage, cancel a loan
 * and give a message back; a record is still the next one. If somebody can still look that
 * happens when the last one has gone: lent_dealloc.
 */
#include "module.h"

static PyTypeObject *lent_type;
PyTypeObject *record_type, *loan_type, *message_type;

/* ---------------------------------------------------------- The exporter */

struct lent *lent_new(struct core *owner, struct port *port, const struct lending *lending, void *data, size_t size)
{
	struct lent *l = PyObject_New(struct lent, lent_type);

	if (l == NULL)
		return NULL;
	memset((char *)l + sizeof(PyObject), 0, sizeof *l - sizeof(PyObject));
	l->owner = owner;
	Py_INCREF(owner);
	l->port = port;
	Py_XINCREF(port);
	l->lending = lending;
	l->data = data;
	l->size = size;
	l->open = true;
	l->older = owner->lents;
	if (l->older != NULL)
		l->older->newer = l;
	owner->lents = l;
	return l;
}

/* Ends it, if there is one, without a word to shared memory. */
void lent_close(struct lent *l)
{
	if (l == NULL || !l->open)
		return;
	l->open = false;
	if (l->port != NULL && l->port->lent == l)
		l->port->lent = NULL;
	if (l->newer != NULL)
		l->newer->older = l->older;
	else
		l->owner->lents = l->older;
	if (l->older != NULL)
		l->older->newer = l->newer;
	l->newer = l->older = NULL;
}

static int lent_usable(struct lent *l)
{
	struct core *c = l->owner;

	if (!l->open || l->ending) {
		PyErr_Format(PyExc_ValueError, "the %s has been given back",
			     l->lending == NULL ? "memory" : l->lending->what);
		return -1;
	}
	if (c->members != NULL && !shoal_here_(c->members)) {
		raise_error(c, shoal_not_here_(c->members));
		return -1;
	}
	return 0;
}

static int lent_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
	struct lent *l = (struct lent *)self;

	view->obj = NULL;
	if (lent_usable(l) < 0)
		return -1;
	return PyBuffer_FillInfo(view, self, l->data, (Py_ssize_t)l->size, l->lending->read_only, flags);
}

static void lent_dealloc(PyObject *self)
{
	struct lent *l = (struct lent *)self;
	PyTypeObject *type = Py_TYPE(self);
	PyObject *error, *value, *traceback;
	bool open = l->open;

	if (l->owner == NULL) {
		type->tp_free(self);
		Py_DECREF(type);
		return;
	}
	PyErr_Fetch(&error, &value, &traceback);
	lent_close(l);
	if (open && !core_ended(l->owner) && l->lending->drop != NULL)
		l->lending->drop(l);
	Py_XDECREF(l->view);
	Py_XDECREF(l->port);
	Py_DECREF(l->owner);
	PyErr_Restore(error, value, traceback);
	PyObject_Free(self);
	Py_DECREF(type);
}

/* The memoryview that was given out, if it is still there: a new reference. */
static PyObject *lent_given(struct lent *l)
{
	PyObject *view = NULL;

	if (l->view == NULL)
		return NULL;
#if PY_VERSION_HEX >= 0x030d0000
	if (PyWeakref_GetRef(l->view, &view) < 0)
		PyErr_Clear();
#else
	view = PyWeakref_GetObject(l->view);
	if (view == Py_None)
		view = NULL;
	Py_XINCREF(view);
#endif
	return view;
}

/* The memoryview of it, the same one as long as that is there and usable: a new reference. */
PyObject *lent_view(struct lent *l)
{
	PyObject *view, *usable;

	if (lent_usable(l) < 0)
		return NULL;
	view = lent_given(l);
	if (view != NULL) {
		usable = PyObject_GetAttrString(view, "readonly"); /* raises if somebody has released it */
		if (usable != NULL) {
			Py_DECREF(usable);
			return view;
		}
		PyErr_Clear();
		Py_DECREF(view);
	}
	view = PyMemoryView_FromObject((PyObject *)l);
	if (view != NULL) {
		Py_XDECREF(l->view);
		l->view = PyWeakref_NewRef(view, NULL);
		if (l->view == NULL)
			Py_CLEAR(view);
	}
	return view;
}

/* Takes that view back: -1, and an exception, if somebody has it in use. */
static int lent_release_view(struct lent *l)
{
	PyObject *view = lent_given(l), *done;

	if (view == NULL)
		return 0;
	done = PyObject_CallMethod(view, "release", NULL);
	Py_DECREF(view);
	if (done == NULL)
		return -1;
	Py_DECREF(done);
	return 0;
}

/* Sees to it that nobody can look any more: -1, and BufferError, if somebody can. One
 * that nobody has is gone afterwards. */
int lent_revoke(struct lent *l)
{
	int err = -1;

	Py_INCREF(l);
	if (lent_release_view(l) == 0) {
		if (Py_REFCNT(l) <= (l->lease != NULL ? 2 : 1))
			err = 0;
	} else if (PyErr_ExceptionMatches(PyExc_BufferError))
		PyErr_Clear();
	if (err < 0 && !PyErr_Occurred())
		PyErr_Format(
		    PyExc_BufferError,
		    "an array or view over the %s is still alive: delete it (del), and copy what is to outlive it",
		    l->lending->what);
	Py_DECREF(l);
	return err;
}

/* Gives up its Lease's reference: it ends with the last view. */
void lent_abandon(struct lent *l)
{
	l->lease = NULL;
	if (lent_release_view(l) < 0)
		PyErr_Clear(); /* whoever uses it keeps it */
	Py_DECREF(l);
}

static PyType_Slot lent_slots[] = {
	{Py_tp_dealloc, lent_dealloc},
	{Py_bf_getbuffer, lent_getbuffer},
	{0, NULL},
};

static PyType_Spec lent_spec = {"shoal._shoal._Lent", sizeof(struct lent), 0, Py_TPFLAGS_DEFAULT, lent_slots};

/* -------------------------------------------------------------- The lease */

/* What programs have: a Record, a Loan, a Message. */
struct lease {
	PyObject_HEAD struct lent *lent; /* NULL if it was abandoned */
	PyObject *weakrefs;
};

/* A Lease for it, which takes over the caller's reference, in success or not. */
PyObject *lease_of(struct lent *l)
{
	PyTypeObject *type = *l->lending->type;
	struct lease *lease = (struct lease *)type->tp_alloc(type, 0);

	if (lease == NULL) {
		Py_DECREF(l);
		return NULL;
	}
	lease->lent = l;
	l->lease = (PyObject *)lease;
	return (PyObject *)lease;
}

static void lease_dealloc(PyObject *self)
{
	struct lease *lease = (struct lease *)self;
	PyTypeObject *type = Py_TYPE(self);
	PyObject *error, *value, *traceback;

	PyErr_Fetch(&error, &value, &traceback);
	if (lease->weakrefs != NULL)
		PyObject_ClearWeakRefs(self);
	if (lease->lent != NULL)
		lent_abandon(lease->lent);
	PyErr_Restore(error, value, traceback);
	type->tp_free(self);
	Py_DECREF(type);
}

static struct lent *lease_lent(PyObject *self)
{
	struct lent *l = ((struct lease *)self)->lent;

	if (l == NULL) {
		PyErr_SetString(PyExc_ValueError, "it has been given back");
		return NULL;
	}
	return lent_usable(l) < 0 ? NULL : l;
}

/* Ends it, as finish, end or skip do; n is for commit. */
static PyObject *lease_end(PyObject *self, int how, size_t n)
{
	struct lent *l = ((struct lease *)self)->lent;
	struct call call;
	int err;

	if (l == NULL || !l->open) {
		if (l == NULL || l->lending->skip != NULL)
			Py_RETURN_NONE; /* release: again does nothing */
		return raise_error(l->owner, core_ended(l->owner) ? SHOAL_ECLOSED : SHOAL_ENOTOWNER);
	}
	if (lent_revoke(l) < 0 || core_enter(l->owner, &call) < 0)
		return NULL;
	l->ending = true; /* no other thread gets a view of it meanwhile */
	err = how == 'f' ? l->lending->finish(l, n) : how == 's' ? l->lending->skip(l) : l->lending->end(l);
	l->ending = false;
	core_leave(l->owner, &call);
	if (err == 0 || err == SHOAL_ENOTOWNER)
		lent_close(l);
	if (err < 0)
		return raise_error(l->owner, err);
	Py_RETURN_NONE;
}

static PyObject *lease_finish(PyObject *self, PyObject *unused)
{
	struct lent *l = ((struct lease *)self)->lent;

	(void)unused;
	return lease_end(self, 'f', l == NULL ? 0 : l->size);
}

static PyObject *lease_stop(PyObject *self, PyObject *unused)
{
	(void)unused;
	return lease_end(self, 'e', 0);
}

static PyObject *lease_skip(PyObject *self, PyObject *unused)
{
	(void)unused;
	return lease_end(self, 's', 0);
}

static PyObject *lease_commit(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"size", NULL};
	PyObject *size = Py_None;
	struct lent *l = ((struct lease *)self)->lent;
	size_t n = l == NULL ? 0 : l->size;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O:commit", names, &size))
		return NULL;
	if (size != Py_None) {
		n = PyLong_AsSize_t(size);
		if (n == (size_t)-1 && PyErr_Occurred())
			return NULL;
	}
	return lease_end(self, 'f', n);
}

static PyObject *lease_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (lease_lent(self) == NULL)
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *lease_exit(PyObject *self, PyObject *args)
{
	struct lease *lease = (struct lease *)self;
	PyObject *type = PyTuple_GetItem(args, 0), *result;

	if (type == NULL)
		return NULL;
	if (lease->lent == NULL || !lease->lent->open)
		Py_RETURN_NONE;
	if (type == Py_None)
		return lease_end(self, 'f', lease->lent->size);
	result = lease_end(self, 'e', 0);
	if (result != NULL)
		return result;
	/* The exception on its way says more, and its frames may be what keeps views alive. */
	PyErr_Clear();
	if (lease->lent->open) {
		struct lent *l = lease->lent;

		lease->lent = NULL;
		lent_abandon(l);
	}
	Py_RETURN_NONE;
}

static PyObject *lease_bytes(PyObject *self, PyObject *unused)
{
	struct lent *l = lease_lent(self);

	(void)unused;
	return l == NULL ? NULL : PyBytes_FromStringAndSize((const char *)l->data, (Py_ssize_t)l->size);
}

static Py_ssize_t lease_length(PyObject *self)
{
	struct lent *l = lease_lent(self);

	return l == NULL ? -1 : (Py_ssize_t)l->size;
}

static PyObject *lease_view(PyObject *self, void *unused)
{
	struct lent *l = lease_lent(self);

	(void)unused;
	return l == NULL ? NULL : lent_view(l);
}

static PyObject *lease_array(PyObject *self, void *unused)
{
	struct lent *l = lease_lent(self);
	PyObject *dtype, *view, *array;

	(void)unused;
	if (l == NULL)
		return NULL;
	dtype = core_dtype(l->owner);
	if (dtype == NULL)
		return NULL;
	view = lent_view(l);
	array = view == NULL ? NULL : call_python("shoal._types", "array", "(OO)", view, dtype);
	Py_XDECREF(view);
	Py_DECREF(dtype);
	return array;
}

static PyObject *lease_released(PyObject *self, void *unused)
{
	struct lent *l = ((struct lease *)self)->lent;

	(void)unused;
	return PyBool_FromLong(l == NULL || !l->open);
}

static PyObject *lease_number(PyObject *self, void *which)
{
	struct lent *l = ((struct lease *)self)->lent;

	if (l == NULL)
		Py_RETURN_NONE;
	switch (*(const char *)which) {
	case 'p':
		return PyLong_FromUnsignedLong(l->publisher);
	case 'd':
		return PyLong_FromUnsignedLong(l->deliveries);
	}
	return PyLong_FromUnsignedLongLong(l->number);
}

#define LEASE_METHODS                                                                                                  \
	{"__enter__", lease_enter, METH_NOARGS, NULL}, {"__exit__", lease_exit, METH_VARARGS, NULL},                   \
	{                                                                                                              \
		"__bytes__", lease_bytes, METH_NOARGS, "A copy of its bytes."                                          \
	}

#define LEASE_PROPERTIES                                                                                               \
	{"view", lease_view, NULL, "A memoryview of its bytes, valid until it is given back.", NULL},                  \
	    {"array", lease_array, NULL, "A numpy array of its bytes, of the type of the records.", NULL},             \
	{                                                                                                              \
		"released", lease_released, NULL, "Whether it has been given back.", NULL                              \
	}

#define LEASE_SLOTS(methods, properties, doc)                                                                          \
	{Py_tp_doc, doc}, {Py_tp_dealloc, lease_dealloc}, {Py_tp_methods, methods}, {Py_tp_getset, properties},        \
	    {Py_tp_members, lease_members}, {Py_sq_length, lease_length},                                              \
	{                                                                                                              \
		0, NULL                                                                                                \
	}

static PyMemberDef lease_members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(struct lease, weakrefs), READONLY, NULL},
	{NULL, 0, 0, 0, NULL},
};

static PyMethodDef record_methods[] = {
    LEASE_METHODS,
	{"release", lease_finish, METH_NOARGS, "Gives the record back: the next one is another. Again does nothing."},
	{"skip", lease_skip, METH_NOARGS,
     "Goes on behind the record, and gives it back later, together with others: that is cheaper. If the\n"
     "process dies before, they are delivered again."},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef record_properties[] = {
    LEASE_PROPERTIES,
	{"publisher", lease_number, NULL, "The number of its publisher, in a topic.", "p"},
	{"number", lease_number, NULL, "Its number among those of its publisher, in a topic.", "n"},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef loan_methods[] = {
    LEASE_METHODS,
	{"commit", (PyCFunction)(void (*)(void))lease_commit, METH_VARARGS | METH_KEYWORDS,
     "commit(size=None)\n\nSends the first bytes of it, or all."},
	{"cancel", lease_stop, METH_NOARGS, "Gives the place back: nothing has been sent."},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef loan_properties[] = {
    LEASE_PROPERTIES,
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef message_methods[] = {
    LEASE_METHODS,
	{"ack", lease_finish, METH_NOARGS, "Ends the message: nobody gets it any more."},
	{"nack", lease_stop, METH_NOARGS, "Gives the message back: the next one who asks gets it."},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef message_properties[] = {
    LEASE_PROPERTIES,
	{"number", lease_number, NULL, "Its position in the order of sending.", "n"},
	{"deliveries", lease_number, NULL, "How often it has been delivered, this time included.", "d"},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot record_slots[] = {
    LEASE_SLOTS(record_methods, record_properties,
		"A record where it lies, until release or the end of the with block."),
};

static PyType_Slot loan_slots[] = {
    LEASE_SLOTS(loan_methods, loan_properties, "The place for a record, which is sent at the end of the with block."),
};

static PyType_Slot message_slots[] = {
    LEASE_SLOTS(message_methods, message_properties,
		"A message of a queue where it lies. The end of the with block is ack, an exception nack."),
};

static PyType_Spec record_spec = {"shoal._shoal.Record", sizeof(struct lease), 0, Py_TPFLAGS_DEFAULT, record_slots};
static PyType_Spec loan_spec = {"shoal._shoal.Loan", sizeof(struct lease), 0, Py_TPFLAGS_DEFAULT, loan_slots};
static PyType_Spec message_spec = {"shoal._shoal.Message", sizeof(struct lease), 0, Py_TPFLAGS_DEFAULT, message_slots};

int lent_setup(PyObject *module)
{
	if (add_type(module, &lent_spec, NULL, &lent_type) < 0 ||
	    add_type(module, &record_spec, NULL, &record_type) < 0 ||
	    add_type(module, &loan_spec, NULL, &loan_type) < 0 ||
	    add_type(module, &message_spec, NULL, &message_type) < 0)
		return -1;
	/* They come from what lends them alone. */
	lent_type->tp_new = record_type->tp_new = loan_type->tp_new = message_type->tp_new = NULL;
	return 0;
}
