/*
 * What all open objects have in common: names, calls, waiting, close, and fork.
 */
#include "module.h"

/* All that are open here. */
static struct core *newest;

/* In a child made by fork: what the parent had lent must not show what other
 * processes write there from now on, when the parent has given it back. The memory is
 * replaced by zeros, privately; the handles say SHOAL_EFORK anyhow. Segments stay: their
 * memory is shared for as long as anybody has it. */
static void forked(void)
{
	struct core *c;
	struct shoal_segment *s;

	for (c = newest; c != NULL; c = c->older) {
		if (c->closed || c->lents == NULL || c->object == NULL)
			continue;
		s = &c->object->segment;
		mmap(s->base, (s->size + 4095) & ~UINT64_C(4095), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

void core_init(struct core *c, const struct kind *kind, PyObject *name)
{
	c->kind = kind;
	Py_INCREF(name);
	c->name = name;
	c->host = c;
	c->pid = getpid();
	c->closed = true; /* until the caller has opened it */
	c->newer = NULL;
	c->older = newest;
	if (newest != NULL)
		newest->newer = c;
	newest = c;
}

static void core_finish(struct core *c)
{
	if (c->closed)
		return;
	c->closing = c->closed = true;
	c->kind->close(c);
}

/* Nothing is lent any more, and nobody is inside: they had references. */
void core_dealloc(PyObject *self)
{
	struct core *c = (struct core *)self;
	PyTypeObject *type = Py_TYPE(self);

	if (c->weakrefs != NULL)
		PyObject_ClearWeakRefs(self);
	if (c->kind != NULL) {
		core_finish(c);
		if (c->newer != NULL)
			c->newer->older = c->older;
		else
			newest = c->older;
		if (c->older != NULL)
			c->older->newer = c->newer;
	}
	if (c->host != NULL && c->host != c)
		Py_DECREF(c->host);
	Py_XDECREF(c->dtype);
	Py_XDECREF(c->name);
	type->tp_free(self);
	Py_DECREF(type);
}

bool core_ended(const struct core *c) { return c->closing || c->closed || c->host->closing || c->host->closed; }

/* Enters the object, or raises Closed, or Forked. */
int core_enter(struct core *c, struct call *call)
{
	if (core_ended(c)) {
		raise_error(c, SHOAL_ECLOSED);
		return -1;
	}
	if (c->members != NULL && !shoal_here_(c->members)) {
		raise_error(c, shoal_not_here_(c->members));
		return -1;
	}
	call->thread = PyThread_get_thread_ident();
	call->next = c->host->calls;
	c->host->calls = call;
	return 0;
}

/* Leaves it; the last one closes what is to be closed. */
int core_leave(struct core *c, struct call *call)
{
	struct core *host = c->host;
	struct call **p = &host->calls;

	while (*p != NULL && *p != call)
		p = &(*p)->next;
	if (*p == call)
		*p = call->next;
	if (host->closing && host->calls == NULL)
		core_finish(host);
	return 0;
}

/* close() */
PyObject *core_close(PyObject *self, PyObject *unused)
{
	struct core *c = (struct core *)self;
	unsigned long me = PyThread_get_thread_ident();
	struct call *call;
	struct lent *l, *next;

	(void)unused;
	if (c->closed)
		Py_RETURN_NONE;
	if (c->pid != getpid())
		c->calls = NULL; /* of threads that the child does not have */
	for (l = c->lents; l != NULL; l = next) {
		next = l->older;
		if (lent_revoke(l) < 0)
			return NULL;
	}
	while (c->lents != NULL)
		lent_close(c->lents);
	c->closing = true;
	for (call = c->calls; call != NULL; call = call->next)
		if (call->thread == me) /* from a signal handler: the call that it interrupts closes it */
			Py_RETURN_NONE;
	while (c->calls != NULL && !c->closed) {
		Py_BEGIN_ALLOW_THREADS shoal_nap_(1000000);
		Py_END_ALLOW_THREADS
	}
	core_finish(c);
	Py_RETURN_NONE;
}

PyObject *core_self(PyObject *self, PyObject *unused)
{
	struct core *c = (struct core *)self;

	(void)unused;
	if (core_ended(c))
		return raise_error(c, SHOAL_ECLOSED);
	Py_INCREF(self);
	return self;
}

PyObject *core_exit(PyObject *self, PyObject *args)
{
	PyObject *type = PyTuple_GetItem(args, 0), *result;

	if (type == NULL)
		return NULL;
	result = core_close(self, NULL);
	if (result == NULL && type != Py_None && PyErr_ExceptionMatches(PyExc_BufferError)) {
		PyErr_Clear(); /* the exception on its way says more; its frames are what keeps the views */
		Py_RETURN_NONE;
	}
	return result;
}

/* Tries, and waits: 0 or more, an error of shoal.h, or RAISED. The object has been
 * entered. With let_go the first attempt is made without the GIL, too. */
int core_wait(struct core *c, int (*attempt)(void *, int64_t), void *argument, int64_t timeout, bool (*ended)(void *),
	      bool (*died)(void *), bool let_go)
{
	int64_t deadline, left;
	int err;

	if (let_go) {
		Py_BEGIN_ALLOW_THREADS err = attempt(argument, 0);
		Py_END_ALLOW_THREADS
	} else
		err = attempt(argument, 0);
	if (err != SHOAL_EBUSY || timeout == 0)
		return err;
	deadline = shoal_deadline_(timeout);
	for (;;) {
		if (died != NULL && died(argument)) {
			err = attempt(argument, 0); /* what the dead one has left comes first */
			return err == SHOAL_EBUSY ? DIED : err;
		}
		left = deadline == INT64_MAX ? SLICE : deadline - shoal_now_();
		if (left <= 0)
			return SHOAL_ETIMEDOUT;
		if (left > SLICE)
			left = SLICE;
		Py_BEGIN_ALLOW_THREADS err = attempt(argument, left);
		Py_END_ALLOW_THREADS if (err != SHOAL_ETIMEDOUT) return err;
		if (PyErr_CheckSignals() < 0)
			return RAISED;
		if (core_ended(c) || (ended != NULL && ended(argument)))
			return SHOAL_ECLOSED;
	}
}

/* ------------------------------------------------------------- Properties */

PyObject *core_stats(const struct shoal_stats *s)
{
	return Py_BuildValue("{sIsKsKsK}", "members", (unsigned)s->members, "deaths", (unsigned long long)s->deaths,
			     "repairs", (unsigned long long)s->repairs, "lost_wakes",
			     (unsigned long long)s->lost_wakes);
}

void add_counters(PyObject **d, const struct counter *counters, size_t count)
{
	PyObject *n;
	size_t i;

	for (i = 0; *d != NULL && i < count; i++) {
		n = PyLong_FromUnsignedLongLong(counters[i].value);
		if (n == NULL || PyDict_SetItemString(*d, counters[i].name, n) < 0)
			Py_CLEAR(*d);
		Py_XDECREF(n);
	}
}

/* Objects are pickled by name: who unpickles opens them anew. */
PyObject *core_reduce(PyObject *self, PyObject *unused)
{
	(void)unused;
	return call_python("shoal._types", "reduce", "(O)", self);
}

/* The text of the type, or None. Where no type was asked for, nobody has compared it with its fingerprint yet. */
PyObject *core_schema(struct core *c)
{
	struct call call;
	PyObject *text;

	if (core_enter(c, &call) < 0)
		return NULL;
	if (c->object == NULL || c->object->schema_length == 0) {
		text = Py_None;
		Py_INCREF(text);
	} else if (shoal_fingerprint(c->object->schema, c->object->schema_length) != c->object->fingerprint)
		text = raise_as("", c, SHOAL_ECORRUPT, "at offset 24: the fingerprint is not that of its type");
	else
		text = PyUnicode_DecodeUTF8(c->object->schema, c->object->schema_length, "replace");
	core_leave(c, &call);
	return text;
}

/* The numpy dtype of the type; that of bytes if there is none. A new reference. A text that is none, of which shoal.h
 * has read no more than the size, is damage like any other. */
PyObject *core_dtype(struct core *c)
{
	PyObject *text, *why;

	if (c->dtype == NULL) {
		text = core_schema(c);
		if (text == NULL)
			return NULL;
		why = call_python("shoal._types", "stored", "(N)", text);
		if (why != NULL && PyUnicode_Check(why)) {
			raise_as("", c, SHOAL_ECORRUPT, PyUnicode_AsUTF8(why));
			Py_DECREF(why);
			return NULL;
		}
		c->dtype = why;
	}
	Py_XINCREF(c->dtype);
	return c->dtype;
}

static PyObject *get_closed(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(core_ended((struct core *)self));
}

static PyObject *get_name(PyObject *self, void *unused)
{
	PyObject *name = ((struct core *)self)->name;

	(void)unused;
	Py_INCREF(name);
	return name;
}

PyObject *core_get_schema(PyObject *self, void *unused)
{
	(void)unused;
	return core_schema((struct core *)self);
}

PyObject *core_get_dtype(PyObject *self, void *unused)
{
	(void)unused;
	return core_dtype((struct core *)self);
}

static PyGetSetDef core_properties[] = {
	{"name", get_name, NULL, "The name that it was opened by.", NULL},
	{"closed", get_closed, NULL, "Whether it has been closed here.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef core_fields[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(struct core, weakrefs), READONLY, NULL},
	{NULL, 0, 0, 0, NULL},
};

static PyMethodDef core_methods[] = {
	{"close", core_close, METH_NOARGS, "Ends the use of the object in this process. Again does nothing."},
	{"__enter__", core_self, METH_NOARGS, NULL},
	{"__exit__", core_exit, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot core_slots[] = {
	{Py_tp_doc, "What all open objects have in common."},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, core_methods},
	{Py_tp_getset, core_properties},
	{Py_tp_members, core_fields},
	{0, NULL},
};

static PyType_Spec core_spec = {"shoal._shoal.Object", sizeof(struct core), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
				core_slots};
PyTypeObject *core_type;

/* -------------------------------------------------------------- Arguments */

/* Seconds, or None for ever, in nanoseconds: for "O&". */
int convert_timeout(PyObject *value, void *ns)
{
	double seconds;

	if (value == Py_None) {
		*(int64_t *)ns = -1;
		return 1;
	}
	seconds = PyFloat_AsDouble(value);
	if (seconds == -1) { /* as threading.Lock has it */
		*(int64_t *)ns = -1;
		return !PyErr_Occurred();
	}
	if (!(seconds >= 0)) {
		PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds from 0, or None");
		return 0;
	}
	*(int64_t *)ns = seconds >= 9e9 ? -1 : (int64_t)(seconds * 1e9 + 0.999);
	return 1;
}

/* The text of a type that is given as None, as text or as a dtype of numpy. *schema is
 * valid as long as *text, a reference. */
int convert_type(PyObject *type, PyObject **text, const char **schema)
{
	*text = NULL;
	*schema = NULL;
	if (type == Py_None)
		return 0;
	*text = call_python("shoal._types", "text", "(O)", type);
	if (*text == NULL)
		return -1;
	*schema = PyUnicode_AsUTF8(*text);
	if (*schema != NULL)
		return 0;
	Py_CLEAR(*text);
	return -1;
}

/* The name of an object, a str without zeros: for "O&". Borrowed. */
int convert_name(PyObject *value, void *name)
{
	Py_ssize_t length;
	const char *text;

	if (!PyUnicode_Check(value)) {
		PyErr_Format(PyExc_TypeError, "a name is a str, not %.100s", Py_TYPE(value)->tp_name);
		return 0;
	}
	text = PyUnicode_AsUTF8AndSize(value, &length);
	if (text == NULL)
		return 0;
	if (strlen(text) != (size_t)length) {
		PyErr_SetString(PyExc_ValueError, "embedded null character");
		return 0;
	}
	*(PyObject **)name = value;
	return 1;
}

/* Makes a type, over the base or over object, and puts it into the module. */
int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **type)
{
	PyObject *bases = base == NULL ? NULL : PyTuple_Pack(1, base), *made;

	if (base != NULL && bases == NULL)
		return -1;
	made = PyType_FromSpecWithBases(spec, bases);
	Py_XDECREF(bases);
	if (made == NULL)
		return -1;
	*type = (PyTypeObject *)made;
	Py_INCREF(made);
	if (PyModule_AddObject(module, strrchr(spec->name, '.') + 1, made) < 0) {
		Py_DECREF(made);
		return -1;
	}
	return 0;
}

int core_setup(PyObject *module)
{
	if (pthread_atfork(NULL, NULL, forked) != 0) {
		PyErr_NoMemory();
		return -1;
	}
	if (add_type(module, &core_spec, NULL, &core_type) < 0)
		return -1;
	core_type->tp_new = NULL;
	return 0;
}
