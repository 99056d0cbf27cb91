/*
 * Mutex, Event, Semaphore: objects of their own, or in a segment with Members.
 */
#include "module.h"

/* What they have in common: options, and where they lie. */
struct primitive {
	struct core core;
	union {
		struct shoal_mutex mutex;
		struct shoal_event event;
		struct shoal_semaphore semaphore;
	} is;
};

static struct shoal_mutex *mutex_of(void *self) { return &((struct primitive *)self)->is.mutex; }
static struct shoal_event *event_of(void *self) { return &((struct primitive *)self)->is.event; }
static struct shoal_semaphore *semaphore_of(void *self) { return &((struct primitive *)self)->is.semaphore; }

static void mutex_close(struct core *c) { shoal_mutex_close(mutex_of(c)); }
static void event_close(struct core *c) { shoal_event_close(event_of(c)); }
static void semaphore_close(struct core *c) { shoal_semaphore_close(semaphore_of(c)); }
static void nothing(struct core *c) { (void)c; }

static const char *mutex_why(struct core *c) { return shoal_mutex_why(mutex_of(c)); }
static const char *event_why(struct core *c) { return shoal_event_why(event_of(c)); }
static const char *semaphore_why(struct core *c) { return shoal_semaphore_why(semaphore_of(c)); }
static const char *host_why(struct core *c) { return shoal_members_why(c->members); }

static const struct kind mutex_kind = {mutex_close, mutex_why};
static const struct kind event_kind = {event_close, event_why};
static const struct kind semaphore_kind = {semaphore_close, semaphore_why};
static const struct kind part_kind = {nothing, host_why}; /* in a segment: Members close it */

/* A named one, if err says that it has been opened. */
static PyObject *named(struct primitive *p, struct shoal *object, struct shoal_members *members, int err)
{
	p->core.members = members;
	p->core.object = object;
	if (err < 0) {
		raise_error(&p->core, err);
		Py_DECREF(p);
		return NULL;
	}
	p->core.closed = false;
	return (PyObject *)p;
}

static struct primitive *unnamed(PyTypeObject *type, const struct kind *kind, PyObject *name)
{
	struct primitive *p = (struct primitive *)type->tp_alloc(type, 0);

	if (p != NULL)
		core_init(&p->core, kind, name);
	return p;
}

/* One in a segment, made or joined by open. */
static PyObject *in_segment(PyObject *type, PyObject *membership, unsigned long long offset,
			    int (*open)(struct primitive *, struct shoal_members *, uint64_t, const unsigned *),
			    const unsigned *values)
{
	struct core *host = (struct core *)membership;
	struct primitive *p;
	struct call call;
	int err;

	if (core_enter(host, &call) < 0)
		return NULL;
	p = unnamed((PyTypeObject *)type, &part_kind, host->name);
	if (p != NULL) {
		err = open(p, members_of(membership), offset, values);
		Py_INCREF(host);
		p->core.host = host;
		p->core.members = members_of(membership);
		if (err < 0) {
			raise_error(&p->core, err);
			Py_CLEAR(p);
		} else
			p->core.closed = false;
	}
	core_leave(host, &call);
	return (PyObject *)p;
}

static PyObject *primitive_stats(PyObject *self, PyObject *unused)
{
	struct core *c = (struct core *)self;
	struct shoal_stats s;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(c, &call) < 0)
		return NULL;
	err = shoal_members_stats(c->members, &s);
	core_leave(c, &call);
	return err < 0 ? raise_error(c, err) : core_stats(&s);
}

/* Calls what never waits for long. */
static PyObject *simply(PyObject *self, int (*f)(void *))
{
	struct core *c = (struct core *)self;
	struct call call;
	int err;

	if (core_enter(c, &call) < 0)
		return NULL;
	err = f(self);
	core_leave(c, &call);
	if (err < 0)
		return raise_error(c, err);
	Py_RETURN_NONE;
}

static const char doc_stats[] = "Its counters since it was made, as a dict.";
static const char doc_check[] = "Raises Corrupt for a state that cannot be. It changes nothing.";

/* True or False, for what may be late. */
static PyObject *in_time(struct core *c, int err)
{
	if (err >= 0)
		Py_RETURN_TRUE;
	if (err == SHOAL_ETIMEDOUT || err == SHOAL_EBUSY)
		Py_RETURN_FALSE;
	return raise_error(c, err);
}

/* acquire(blocking=True, timeout=None), as threading.Lock has it. */
static PyObject *acquire(PyObject *self, PyObject *args, PyObject *keywords, int (*attempt)(void *, int64_t))
{
	static char *names[] = {"blocking", "timeout", NULL};
	struct core *c = (struct core *)self;
	int64_t timeout = -1;
	int blocking = 1, err;
	struct call call;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|pO&:acquire", names, &blocking, convert_timeout, &timeout))
		return NULL;
	if (!blocking && timeout > 0) {
		PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
		return NULL;
	}
	if (core_enter(c, &call) < 0)
		return NULL;
	err = core_wait(c, attempt, self, blocking ? timeout : 0, NULL, NULL, false);
	core_leave(c, &call);
	return in_time(c, err);
}

static PyObject *enter(PyObject *self, int (*attempt)(void *, int64_t))
{
	struct core *c = (struct core *)self;
	struct call call;
	int err;

	if (core_enter(c, &call) < 0)
		return NULL;
	err = core_wait(c, attempt, self, -1, NULL, NULL, false);
	core_leave(c, &call);
	if (err < 0)
		return raise_error(c, err);
	Py_INCREF(self);
	return self;
}

/* ------------------------------------------------------------------ Mutex */

static int mutex_attempt(void *self, int64_t timeout)
{
	return timeout == 0 ? shoal_mutex_trylock(mutex_of(self)) : shoal_mutex_lock_for(mutex_of(self), timeout);
}

static int mutex_unlock(void *self) { return shoal_mutex_unlock(mutex_of(self)); }
static int mutex_mark(void *self) { return shoal_mutex_mark_consistent(mutex_of(self)); }
static int mutex_check_(void *self) { return shoal_mutex_check(mutex_of(self)); }

static PyObject *mutex_acquire(PyObject *self, PyObject *args, PyObject *keywords)
{
	return acquire(self, args, keywords, mutex_attempt);
}

static PyObject *mutex_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	return enter(self, mutex_attempt);
}

static PyObject *mutex_release(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, mutex_unlock);
}

static PyObject *mutex_exit(PyObject *self, PyObject *args)
{
	(void)args;
	return simply(self, mutex_unlock);
}

static PyObject *mutex_mark_consistent(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, mutex_mark);
}

static PyObject *mutex_check(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, mutex_check_);
}

static PyObject *mutex_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"name", "mode", "members", NULL};
	struct shoal_options options = {0600, NULL, 0};
	PyObject *name;
	struct primitive *p;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$II:Mutex", names, convert_name, &name, &options.mode,
					 &options.members))
		return NULL;
	p = unnamed(type, &mutex_kind, name);
	if (p == NULL)
		return NULL;
	return named(p, &p->is.mutex.object, &p->is.mutex.object.members,
		     shoal_mutex_open(&p->is.mutex, PyUnicode_AsUTF8(name), &options));
}

static int mutex_make(struct primitive *p, struct shoal_members *m, uint64_t offset, const unsigned *values)
{
	(void)values;
	return shoal_mutex_init(&p->is.mutex, m, offset);
}

static int mutex_take(struct primitive *p, struct shoal_members *m, uint64_t offset, const unsigned *values)
{
	(void)values;
	return shoal_mutex_join(&p->is.mutex, m, offset);
}

static PyObject *mutex_init(PyObject *type, PyObject *args)
{
	PyObject *members;
	unsigned long long offset;

	if (!PyArg_ParseTuple(args, "O!K:init", members_type, &members, &offset))
		return NULL;
	return in_segment(type, members, offset, mutex_make, NULL);
}

static PyObject *mutex_join(PyObject *type, PyObject *args)
{
	PyObject *members;
	unsigned long long offset;

	if (!PyArg_ParseTuple(args, "O!K:join", members_type, &members, &offset))
		return NULL;
	return in_segment(type, members, offset, mutex_take, NULL);
}

static PyMethodDef mutex_methods[] = {
	{"acquire", KEYWORDS(mutex_acquire),
     "acquire(blocking=True, timeout=None)\n\nLocks it: False if that takes too long. OwnerDied says that it is "
     "locked, too, but that its\n"
     "last owner has died: mend what it guards and call mark_consistent(); release() it in any case."},
	{"release", mutex_release, METH_NOARGS, "Unlocks it: NotHeld if this process has not locked it."},
	{"mark_consistent", mutex_mark_consistent, METH_NOARGS,
     "Says that what it guards has been mended after OwnerDied."},
	{"check", mutex_check, METH_NOARGS, doc_check},
	{"stats", primitive_stats, METH_NOARGS, doc_stats},
	{"init", mutex_init, METH_VARARGS | METH_CLASS,
     "init(members, offset)\n\nMakes one of 64 bytes in the members' segment, where all is zero."},
	{"join", mutex_join, METH_VARARGS | METH_CLASS, "join(members, offset)\n\nTakes one that somebody has made there."},
	{"__enter__", mutex_enter, METH_NOARGS, NULL},
	{"__exit__", mutex_exit, METH_VARARGS, NULL},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot mutex_slots[] = {
	{Py_tp_doc, "Mutex(name, *, mode=0o600, members=0)\n\nA lock between processes; opened, or made if there is none."},
	{Py_tp_new, mutex_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, mutex_methods},
	{0, NULL},
};

/* ------------------------------------------------------------------ Event */

/* The sequence before the first look holds for all slices of a wait: who is let pass
 * between two of them passes. */
struct passing {
	struct shoal_event *event;
	uint32_t sequence;
};

static int event_attempt(void *argument, int64_t timeout)
{
	struct passing *p = (struct passing *)argument;

	return timeout == 0 ? shoal_event_trywait(p->event) : shoal_event_slow_(p->event, timeout, p->sequence);
}

static int event_set_(void *self) { return shoal_event_set(event_of(self)); }
static int event_reset(void *self) { return shoal_event_reset(event_of(self)); }

static PyObject *event_wait(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"timeout", NULL};
	struct core *c = (struct core *)self;
	struct passing passing;
	int64_t timeout = -1;
	struct call call;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O&:wait", names, convert_timeout, &timeout) ||
	    core_enter(c, &call) < 0)
		return NULL;
	passing.event = event_of(self);
	passing.sequence = shoal_load32_(passing.event->state) / SHOAL_EVENT_NEXT;
	err = core_wait(c, event_attempt, &passing, timeout, NULL, NULL, false);
	core_leave(c, &call);
	return in_time(c, err);
}

static PyObject *event_set(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, event_set_);
}

static PyObject *event_clear(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, event_reset);
}

static PyObject *event_is_set(PyObject *self, PyObject *unused)
{
	struct core *c = (struct core *)self;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(c, &call) < 0)
		return NULL;
	err = shoal_event_is_set(event_of(self));
	core_leave(c, &call);
	return err < 0 ? raise_error(c, err) : PyBool_FromLong(err);
}

static PyObject *event_auto(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(event_of(self)->resets);
}

static PyObject *event_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"name", "auto", "mode", "members", NULL};
	struct shoal_options options = {0600, NULL, 0};
	PyObject *name;
	struct primitive *p;
	int resets = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$pII:Event", names, convert_name, &name, &resets,
					 &options.mode, &options.members))
		return NULL;
	p = unnamed(type, &event_kind, name);
	if (p == NULL)
		return NULL;
	return named(p, &p->is.event.object, &p->is.event.object.members,
		     shoal_event_open(&p->is.event, PyUnicode_AsUTF8(name), resets, &options));
}

static int event_make(struct primitive *p, struct shoal_members *m, uint64_t offset, const unsigned *values)
{
	return shoal_event_init(&p->is.event, m, offset, values[0] != 0);
}

static int event_take(struct primitive *p, struct shoal_members *m, uint64_t offset, const unsigned *values)
{
	(void)values;
	return shoal_event_join(&p->is.event, m, offset);
}

static PyObject *event_init(PyObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"members", "offset", "auto", NULL};
	PyObject *members;
	unsigned long long offset;
	unsigned resets;
	int given = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!K|$p:init", names, members_type, &members, &offset, &given))
		return NULL;
	resets = given != 0;
	return in_segment(type, members, offset, event_make, &resets);
}

static PyObject *event_join(PyObject *type, PyObject *args)
{
	PyObject *members;
	unsigned long long offset;

	if (!PyArg_ParseTuple(args, "O!K:join", members_type, &members, &offset))
		return NULL;
	return in_segment(type, members, offset, event_take, NULL);
}

static PyMethodDef event_methods[] = {
	{"wait", KEYWORDS(event_wait),
     "wait(timeout=None)\n\nReturns True as soon as it is set, False if that takes too long."},
	{"set", event_set, METH_NOARGS, "Sets it: whoever waits goes on, or one of them if it is auto."},
	{"clear", event_clear, METH_NOARGS, "Takes it back."},
	{"is_set", event_is_set, METH_NOARGS, "Whether it is set."},
	{"stats", primitive_stats, METH_NOARGS, doc_stats},
	{"init", KEYWORDS(event_init) | METH_CLASS,
     "init(members, offset, *, auto=False)\n\nMakes one of 64 bytes in the members' segment, where all is zero."},
	{"join", event_join, METH_VARARGS | METH_CLASS, "join(members, offset)\n\nTakes one that somebody has made there."},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef event_properties[] = {
	{"auto", event_auto, NULL, "Whether it resets itself: one passes for each set.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot event_slots[] = {
	{Py_tp_doc, "Event(name, *, auto=False, mode=0o600, members=0)\n\n"
		"A flag that processes wait for; opened, or made if there is none."},
	{Py_tp_new, event_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, event_methods},
	{Py_tp_getset, event_properties},
	{0, NULL},
};

/* -------------------------------------------------------------- Semaphore */

static int semaphore_attempt(void *self, int64_t timeout)
{
	return timeout == 0 ? shoal_semaphore_tryacquire(semaphore_of(self))
			    : shoal_semaphore_acquire_for(semaphore_of(self), timeout);
}

static int semaphore_release_(void *self) { return shoal_semaphore_release(semaphore_of(self)); }
static int semaphore_check_(void *self) { return shoal_semaphore_check(semaphore_of(self)); }

static PyObject *semaphore_acquire(PyObject *self, PyObject *args, PyObject *keywords)
{
	return acquire(self, args, keywords, semaphore_attempt);
}

static PyObject *semaphore_enter(PyObject *self, PyObject *unused)
{
	(void)unused;
	return enter(self, semaphore_attempt);
}

static PyObject *semaphore_release(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, semaphore_release_);
}

static PyObject *semaphore_exit(PyObject *self, PyObject *args)
{
	(void)args;
	return simply(self, semaphore_release_);
}

static PyObject *semaphore_check(PyObject *self, PyObject *unused)
{
	(void)unused;
	return simply(self, semaphore_check_);
}

static PyObject *semaphore_value(PyObject *self, void *unused)
{
	struct core *c = (struct core *)self;
	struct call call;
	int err;

	(void)unused;
	if (core_enter(c, &call) < 0)
		return NULL;
	err = shoal_semaphore_value(semaphore_of(self));
	core_leave(c, &call);
	return err < 0 ? raise_error(c, err) : PyLong_FromLong(err);
}

static PyObject *semaphore_permits(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLong(semaphore_of(self)->count);
}

static PyObject *semaphore_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"name", "value", "undo", "mode", "members", NULL};
	struct shoal_options options = {0600, NULL, 0};
	PyObject *name;
	struct primitive *p;
	unsigned value = 1;
	int undo = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|I$pII:Semaphore", names, convert_name, &name, &value,
					 &undo, &options.mode, &options.members))
		return NULL;
	p = unnamed(type, &semaphore_kind, name);
	if (p == NULL)
		return NULL;
	return named(p, &p->is.semaphore.object, &p->is.semaphore.object.members,
		     shoal_semaphore_open(&p->is.semaphore, PyUnicode_AsUTF8(name), value, undo, &options));
}

static int semaphore_make(struct primitive *p, struct shoal_members *m, uint64_t offset, const unsigned *values)
{
	return shoal_semaphore_init(&p->is.semaphore, m, offset, values[0], values[1] != 0);
}

static int semaphore_take(struct primitive *p, struct shoal_members *m, uint64_t offset, const unsigned *values)
{
	(void)values;
	return shoal_semaphore_join(&p->is.semaphore, m, offset);
}

static PyObject *semaphore_init(PyObject *type, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"members", "offset", "value", "undo", NULL};
	PyObject *members;
	unsigned long long offset;
	unsigned values[2] = {1, 0};
	int undo = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!K|I$p:init", names, members_type, &members, &offset,
					 &values[0], &undo))
		return NULL;
	values[1] = undo != 0;
	return in_segment(type, members, offset, semaphore_make, values);
}

static PyObject *semaphore_join(PyObject *type, PyObject *args)
{
	PyObject *members;
	unsigned long long offset;

	if (!PyArg_ParseTuple(args, "O!K:join", members_type, &members, &offset))
		return NULL;
	return in_segment(type, members, offset, semaphore_take, NULL);
}

static PyMethodDef semaphore_methods[] = {
	{"acquire", KEYWORDS(semaphore_acquire),
     "acquire(blocking=True, timeout=None)\n\nTakes one: False if that takes too long."},
	{"release", semaphore_release, METH_NOARGS, "Gives one back. With undo, NotHeld if this process has none."},
	{"check", semaphore_check, METH_NOARGS, doc_check},
	{"stats", primitive_stats, METH_NOARGS, doc_stats},
	{"init", KEYWORDS(semaphore_init) | METH_CLASS,
     "init(members, offset, value=1, *, undo=False)\n\nMakes one in the members' segment, where all is zero: 64 bytes, "
     "and\n"
     "with undo 8 for each permit."},
	{"join", semaphore_join, METH_VARARGS | METH_CLASS,
     "join(members, offset)\n\nTakes one that somebody has made there."},
	{"__enter__", semaphore_enter, METH_NOARGS, NULL},
	{"__exit__", semaphore_exit, METH_VARARGS, NULL},
	{"__reduce__", core_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyGetSetDef semaphore_properties[] = {
	{"value", semaphore_value, NULL, "How many could be acquired now.", NULL},
	{"permits", semaphore_permits, NULL, "How many permits there are, with undo; else 0.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot semaphore_slots[] = {
	{Py_tp_doc, "Semaphore(name, value=1, *, undo=False, mode=0o600, members=0)\n\n"
		"Permits, or a number, that processes wait for; opened, or made if there is none. With undo\n"
		"what a process held when it died is free again."},
	{Py_tp_new, semaphore_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_methods, semaphore_methods},
	{Py_tp_getset, semaphore_properties},
	{0, NULL},
};

static PyType_Spec mutex_spec = {"shoal._shoal.Mutex", sizeof(struct primitive), 0, Py_TPFLAGS_DEFAULT, mutex_slots};
static PyType_Spec event_spec = {"shoal._shoal.Event", sizeof(struct primitive), 0, Py_TPFLAGS_DEFAULT, event_slots};
static PyType_Spec semaphore_spec = {"shoal._shoal.Semaphore", sizeof(struct primitive), 0, Py_TPFLAGS_DEFAULT,
				     semaphore_slots};

int primitives_setup(PyObject *module)
{
	PyTypeObject *type;

	if (add_type(module, &mutex_spec, core_type, &type) < 0 || add_type(module, &event_spec, core_type, &type) < 0)
		return -1;
	return add_type(module, &semaphore_spec, core_type, &type);
}
