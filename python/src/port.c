/*
 * Ports: the ends of rings and topics, as Writer, Reader, Publisher and Subscriber.
 */
#include "module.h"

/* Whether records have one length, that of the type: UINT64_MAX if they have not. */
uint64_t core_fixed(const struct core *c)
{
	if (c->object == NULL || c->object->schema_length == 0)
		return UINT64_MAX;
	return shoal_schema_size_(c->object->schema, c->object->schema_length);
}

/* on_death="resume" or "raise": for "O&". */
int convert_on_death(PyObject *value, void *raises)
{
	const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;

	if (text != NULL && strcmp(text, "raise") == 0)
		*(bool *)raises = true;
	else if (text != NULL && strcmp(text, "resume") == 0)
		*(bool *)raises = false;
	else {
		if (!PyErr_Occurred())
			PyErr_SetString(PyExc_ValueError, "on_death must be 'raise' or 'resume'");
		return 0;
	}
	return 1;
}

/* A port that is not open yet: the caller opens it, and says so by port_opened. */
struct port *port_new(PyTypeObject *type, struct core *owner, const struct port_ops *ops, bool raises)
{
	struct port *p = (struct port *)type->tp_alloc(type, 0);

	if (p == NULL)
		return NULL;
	p->owner = owner;
	Py_INCREF(owner);
	p->ops = ops;
	p->raises = raises;
	p->closing = p->closed = true;
	p->lock = PyThread_allocate_lock();
	if (p->lock == NULL) {
		Py_DECREF(p);
		PyErr_NoMemory();
		return NULL;
	}
	return p;
}

void port_opened(struct port *p)
{
	p->closing = p->closed = false;
	if (p->raises)
		p->died = p->ops->deaths(p);
}

static void port_finish(struct port *p)
{
	if (p->closed)
		return;
	p->closing = p->closed = true;
	if (!p->owner->closed) /* else that has closed it */
		p->ops->close(p);
}

/* Only when nothing is lent: that has a reference. */
void port_dealloc(PyObject *self)
{
	struct port *p = (struct port *)self;
	PyTypeObject *type = Py_TYPE(self);

	if (p->weakrefs != NULL)
		PyObject_ClearWeakRefs(self);
	if (p->owner != NULL) {
		port_finish(p);
		Py_DECREF(p->owner);
	}
	if (p->lock != NULL)
		PyThread_free_lock(p->lock);
	type->tp_free(self);
	Py_DECREF(type);
}

/* Waits for the lock. The object has been entered. */
static int port_take(struct port *p)
{
	unsigned long me = PyThread_get_thread_ident();
	PyLockStatus got;

	if (p->holder == me) {
		PyErr_Format(PyExc_RuntimeError,
			     "this thread is waiting in %U already: a signal handler must not use it", p->owner->name);
		return RAISED;
	}
	if (!PyThread_acquire_lock(p->lock, NOWAIT_LOCK)) {
		do {
			Py_BEGIN_ALLOW_THREADS got = PyThread_acquire_lock_timed(p->lock, SLICE / 1000, 0);
			Py_END_ALLOW_THREADS if (got != PY_LOCK_ACQUIRED)
			{
				if (PyErr_CheckSignals() < 0)
					return RAISED;
				if (p->closing || core_ended(p->owner))
					return SHOAL_ECLOSED;
			}
		} while (got != PY_LOCK_ACQUIRED);
	}
	p->holder = me;
	if (p->closing || core_ended(p->owner)) {
		p->holder = 0;
		PyThread_release_lock(p->lock);
		return SHOAL_ECLOSED;
	}
	return 0;
}

static void port_give(struct port *p)
{
	if (p->owed) {
		p->owed = false;
		p->ops->cancel(p);
	}
	if (p->closing) /* by a signal handler, while we had it */
		port_finish(p);
	p->holder = 0;
	PyThread_release_lock(p->lock);
}

/* Enters the object and takes the lock: -1 and an exception, or 0. */
static int port_begin(struct port *p, struct call *call)
{
	int err;

	if (p->closing) {
		raise_error(p->owner, SHOAL_ECLOSED);
		return -1;
	}
	if (core_enter(p->owner, call) < 0)
		return -1;
	err = port_take(p);
	if (err == 0)
		return 0;
	core_leave(p->owner, call);
	raise_error(p->owner, err);
	return -1;
}

static void port_finished(struct port *p, struct call *call)
{
	port_give(p);
	core_leave(p->owner, call);
}

static PyObject *port_close(PyObject *self, PyObject *unused)
{
	struct port *p = (struct port *)self;
	struct call call;

	(void)unused;
	if (p->closed || p->owner->closed) {
		p->closing = p->closed = true;
		Py_RETURN_NONE;
	}
	if (p->lent != NULL) {
		if (lent_revoke(p->lent) < 0)
			return NULL;
		lent_close(p->lent);
	}
	p->closing = true;
	if (p->owner->pid != getpid()) {
		port_finish(p);
		Py_RETURN_NONE;
	}
	if (p->holder == PyThread_get_thread_ident())
		Py_RETURN_NONE; /* from a signal handler: the call that it interrupts closes it */
	if (core_enter(p->owner, &call) < 0) {
		PyErr_Clear();
		Py_RETURN_NONE;
	}
	while (!PyThread_acquire_lock(p->lock, NOWAIT_LOCK)) {
		Py_BEGIN_ALLOW_THREADS if (PyThread_acquire_lock_timed(p->lock, SLICE / 1000, 0) == PY_LOCK_ACQUIRED)
		    PyThread_release_lock(p->lock);
		Py_END_ALLOW_THREADS
	}
	port_give(p);
	core_leave(p->owner, &call);
	Py_RETURN_NONE;
}

static PyObject *port_self(PyObject *self, PyObject *unused)
{
	struct port *p = (struct port *)self;

	(void)unused;
	if (p->closing || core_ended(p->owner))
		return raise_error(p->owner, SHOAL_ECLOSED);
	Py_INCREF(self);
	return self;
}

static PyObject *port_exit(PyObject *self, PyObject *args)
{
	PyObject *type = PyTuple_GetItem(args, 0), *result;

	if (type == NULL)
		return NULL;
	result = port_close(self, NULL);
	if (result == NULL && type != Py_None && PyErr_ExceptionMatches(PyExc_BufferError)) {
		PyErr_Clear(); /* as core_exit */
		Py_RETURN_NONE;
	}
	return result;
}

/* Raises the exception for the error of a port. */
static PyObject *port_error(struct port *p, int err, const char *wait)
{
	bool done = false;

	if (err == DIED)
		return raise_as("PeerDied", p->owner, -EPIPE, "the process at the other end has died");
	if (err == SHOAL_EBUSY || err == SHOAL_ETIMEDOUT)
		return raise_as(wait, p->owner, err, "");
	if (p->ops->explain != NULL) {
		PyObject *result = p->ops->explain(p, err, &done);

		if (done)
			return result;
	}
	return raise_error(p->owner, err);
}

/* ----------------------------------------------------------------- Leases */

static int port_lend(struct lent *l, size_t n, int how)
{
	struct port *p = l->port;
	int err = port_take(p);

	if (err != 0)
		return err;
	switch (how) {
	case 'r':
		err = p->ops->release(p);
		break;
	case 's':
		err = p->ops->skip(p);
		break;
	case 'c':
		err = p->ops->commit(p, n);
		break;
	default:
		err = p->ops->cancel(p);
	}
	port_give(p);
	return err;
}

static int record_release(struct lent *l, size_t n) { return port_lend(l, n, 'r'); }

/* A record that nobody has released is still the next one. */
static int record_end(struct lent *l)
{
	(void)l;
	return 0;
}

static int record_skip(struct lent *l) { return port_lend(l, 0, 's'); }
static int loan_commit(struct lent *l, size_t n) { return port_lend(l, n, 'c'); }
static int loan_cancel(struct lent *l) { return port_lend(l, 0, 'x'); }

/* The last one who could fill it has gone. */
static void loan_drop(struct lent *l)
{
	struct port *p = l->port;

	if (p->closing || (p->owner->members != NULL && !shoal_here_(p->owner->members)))
		return;
	p->owed = true;
	if (PyThread_acquire_lock(p->lock, NOWAIT_LOCK)) {
		p->holder = PyThread_get_thread_ident();
		port_give(p);
	}
}

static const struct lending lend_record = {"record", &record_type, true, record_release, record_end, NULL, record_skip};
static const struct lending lend_loan = {"loan", &loan_type, false, loan_commit, loan_cancel, loan_drop, NULL};

/* ---------------------------------------------------------------- Sending */

struct sending {
	struct port *port;
	const void *data;
	size_t size;
	size_t count, sent; /* of a batch */
	void *place;
	bool again; /* it goes on waiting */
};

static int attempt_send(void *argument, int64_t timeout)
{
	struct sending *s = (struct sending *)argument;

	return s->port->ops->send(s->port, s->data, s->size, timeout);
}

static int attempt_send_batch(void *argument, int64_t timeout)
{
	struct sending *s = (struct sending *)argument;
	size_t sent = 0;
	int err = s->port->ops->send_batch(s->port, (const char *)s->data + s->sent * s->size, s->size,
					   s->count - s->sent, &sent, timeout);

	s->sent += sent;
	return err;
}

static int attempt_reserve(void *argument, int64_t timeout)
{
	struct sending *s = (struct sending *)argument;

	return s->port->ops->reserve(s->port, &s->place, s->size, timeout);
}

/* One wait is cut into slices, but counted as one. The counter is this port's, and the
 * port this thread's. */
static int once(void *argument, int64_t timeout, int (*attempt)(void *, int64_t))
{
	struct sending *s = (struct sending *)argument;
	uint64_t *word = s->again ? s->port->ops->refusals(s->port) : NULL,
		 before = word == NULL ? 0 : shoal_load64_(word);
	size_t sent = s->sent;
	int err = attempt(argument, timeout);

	if (word != NULL && s->sent == sent)
		shoal_release64_(word, before);
	s->again = true;
	return err;
}

static int send_once(void *argument, int64_t timeout) { return once(argument, timeout, attempt_send); }
static int send_batch_once(void *argument, int64_t timeout) { return once(argument, timeout, attempt_send_batch); }
static int reserve_once(void *argument, int64_t timeout) { return once(argument, timeout, attempt_reserve); }

static bool sender_ended(void *argument) { return ((struct sending *)argument)->port->closing; }

/* Whether somebody at the other end has died who has not been told of. */
static bool port_died(struct port *p)
{
	uint64_t deaths = p->ops->deaths(p);

	if (deaths < p->died)
		p->died = deaths; /* what the dead had has been taken back by repair */
	return deaths > p->died;
}

static bool sender_died(void *argument) { return port_died(((struct sending *)argument)->port); }

static int sender_wait(struct sending *s, int (*attempt)(void *, int64_t), int64_t timeout, bool let_go)
{
	struct port *p = s->port;
	int err = core_wait(p->owner, attempt, s, timeout, sender_ended, p->raises ? sender_died : NULL, let_go);

	if (err == DIED)
		p->died = p->ops->deaths(p);
	return err;
}

/* Whether a loan is out: then nothing else can be sent. One that nobody looks at any
 * more has been cancelled already. */
static int sender_lent(struct port *p)
{
	if (p->lent == NULL)
		return 0;
	raise_as("Busy", p->owner, SHOAL_EBUSY, "a loan is open: commit or cancel it first");
	return -1;
}

static PyObject *sender_send(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"data", "timeout", NULL};
	struct sending s = {(struct port *)self, NULL, 0, 0, 0, NULL, false};
	int64_t timeout = -1;
	struct call call;
	Py_buffer data;
	int err = RAISED;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*|O&:send", names, &data, convert_timeout, &timeout))
		return NULL;
	s.data = data.buf;
	s.size = (size_t)data.len;
	if (port_begin(s.port, &call) < 0) {
		PyBuffer_Release(&data);
		return NULL;
	}
	if (sender_lent(s.port) == 0)
		err = sender_wait(&s, send_once, timeout, s.size >= LARGE);
	port_finished(s.port, &call);
	PyBuffer_Release(&data);
	if (err < 0)
		return port_error(s.port, err, s.port->ops->full);
	Py_RETURN_NONE;
}

/* Says in the exception how many have been sent. */
void say_sent(size_t sent)
{
	PyObject *error, *value, *traceback, *n;

	PyErr_Fetch(&error, &value, &traceback);
	PyErr_NormalizeException(&error, &value, &traceback);
	n = PyLong_FromSize_t(sent);
	if (n == NULL || value == NULL || PyObject_SetAttrString(value, "sent", n) < 0)
		PyErr_Clear();
	Py_XDECREF(n);
	PyErr_Restore(error, value, traceback);
}

static PyObject *sender_send_batch(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"data", "size", "timeout", NULL};
	struct sending s = {(struct port *)self, NULL, 0, 0, 0, NULL, false};
	uint64_t fixed = UINT64_MAX;
	PyObject *object, *size = Py_None;
	int64_t timeout = -1;
	struct call call;
	Py_buffer data;
	int err = 0;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|OO&:send_batch", names, &object, &size, convert_timeout,
					 &timeout) ||
	    PyObject_GetBuffer(object, &data, PyBUF_C_CONTIGUOUS) < 0)
		return NULL;
	if (size != Py_None)
		s.size = PyLong_AsSize_t(size);
	if (PyErr_Occurred() || port_begin(s.port, &call) < 0) {
		PyBuffer_Release(&data);
		return NULL;
	}
	if (size == Py_None) {
		fixed = core_fixed(s.port->owner);
		s.size = fixed != UINT64_MAX ? (size_t)fixed : (size_t)data.itemsize;
	}
	if (s.size == 0 || (size_t)data.len % s.size != 0) {
		PyErr_Format(PyExc_ValueError, "%zd bytes are not records of %zu bytes", data.len, s.size);
		err = RAISED;
	} else if (sender_lent(s.port) < 0)
		err = RAISED;
	if (err >= 0) {
		s.data = data.buf;
		s.count = (size_t)data.len / s.size;
		err = sender_wait(&s, send_batch_once, timeout, data.len >= LARGE);
	}
	port_finished(s.port, &call);
	PyBuffer_Release(&data);
	if (err >= 0)
		return PyLong_FromSize_t(s.sent);
	port_error(s.port, err, s.port->ops->full);
	say_sent(s.sent);
	return NULL;
}

static PyObject *sender_loan(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"size", "timeout", NULL};
	struct sending s = {(struct port *)self, NULL, 0, 0, 0, NULL, false};
	PyObject *size = Py_None;
	int64_t timeout = -1;
	struct lent *l = NULL;
	struct call call;
	uint64_t fixed;
	int err = RAISED;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|OO&:loan", names, &size, convert_timeout, &timeout))
		return NULL;
	if (size != Py_None) {
		s.size = PyLong_AsSize_t(size);
		if (PyErr_Occurred())
			return NULL;
	}
	if (port_begin(s.port, &call) < 0)
		return NULL;
	if (size == Py_None) {
		fixed = core_fixed(s.port->owner);
		if (fixed == UINT64_MAX)
			PyErr_SetString(PyExc_TypeError, "loan() needs the size of a record: they have no type");
		s.size = (size_t)fixed;
	}
	if (!PyErr_Occurred() && sender_lent(s.port) == 0) {
		err = sender_wait(&s, reserve_once, timeout, false);
		if (err >= 0) {
			l = lent_new(s.port->owner, s.port, &lend_loan, s.place, s.size);
			if (l == NULL) {
				s.port->ops->cancel(s.port);
				err = RAISED;
			} else
				s.port->lent = l;
		}
	}
	port_finished(s.port, &call);
	return err < 0 ? port_error(s.port, err, s.port->ops->full) : lease_of(l);
}

/* -------------------------------------------------------------- Receiving */

struct receiving {
	struct port *port;
	const void *data;
	size_t size;
};

static int attempt_peek(void *argument, int64_t timeout)
{
	struct receiving *r = (struct receiving *)argument;

	return r->port->ops->peek(r->port, &r->data, &r->size, timeout);
}

static bool receiver_ended(void *argument) { return ((struct receiving *)argument)->port->closing; }

static bool receiver_died(void *argument) { return port_died(((struct receiving *)argument)->port); }

/* Waits for a record. */
static int receiver_wait(struct receiving *r, int64_t timeout)
{
	struct port *p = r->port;
	int err = p->stash;

	p->stash = 0;
	if (err == 0)
		err = core_wait(p->owner, attempt_peek, r, timeout, receiver_ended, p->raises ? receiver_died : NULL,
				false);
	if (err == DIED)
		p->died = p->ops->deaths(p);
	return err;
}

/* Takes back what was lent, without a word to the writer: it is still the next one. */
static int receiver_revoke(struct port *p)
{
	if (p->lent == NULL)
		return 0;
	if (lent_revoke(p->lent) < 0)
		return -1;
	lent_close(p->lent);
	return 0;
}

/* Copies it, and lets the GIL go if that takes long. */
static void copy_out(void *to, const void *from, size_t n)
{
	if (n >= LARGE) {
		Py_BEGIN_ALLOW_THREADS memcpy(to, from, n);
		Py_END_ALLOW_THREADS
	} else if (n > 0)
		memcpy(to, from, n);
}

/* The record as bytes, released; NULL and an exception. */
static PyObject *take_bytes(struct receiving *r)
{
	PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)r->size);
	int err;

	if (bytes == NULL)
		return NULL;
	copy_out(PyBytes_AS_STRING(bytes), r->data, r->size);
	err = r->port->ops->release(r->port);
	if (err < 0) {
		Py_DECREF(bytes);
		return port_error(r->port, err, r->port->ops->empty);
	}
	return bytes;
}

static PyObject *receiver_receive(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"timeout", NULL};
	struct receiving r = {(struct port *)self, NULL, 0};
	int64_t timeout = -1;
	PyObject *result = NULL;
	struct call call;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O&:receive", names, convert_timeout, &timeout) ||
	    port_begin(r.port, &call) < 0)
		return NULL;
	err = receiver_revoke(r.port) < 0 ? RAISED : receiver_wait(&r, timeout);
	if (err >= 0)
		result = take_bytes(&r);
	port_finished(r.port, &call);
	return err < 0 ? port_error(r.port, err, r.port->ops->empty) : result;
}

static PyObject *receiver_receive_into(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"buffer", "timeout", NULL};
	struct receiving r = {(struct port *)self, NULL, 0};
	int64_t timeout = -1;
	struct call call;
	Py_buffer buffer;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "w*|O&:receive_into", names, &buffer, convert_timeout,
					 &timeout))
		return NULL;
	if (port_begin(r.port, &call) < 0) {
		PyBuffer_Release(&buffer);
		return NULL;
	}
	err = receiver_revoke(r.port) < 0 ? RAISED : receiver_wait(&r, timeout);
	if (err >= 0 && r.size > (size_t)buffer.len)
		err = -EMSGSIZE;
	if (err >= 0) {
		copy_out(buffer.buf, r.data, r.size);
		err = r.port->ops->release(r.port);
	}
	port_finished(r.port, &call);
	PyBuffer_Release(&buffer);
	if (err == -EMSGSIZE)
		return raise_as("TooLarge", r.port->owner, err, "the next record is longer than the buffer, and stays");
	return err < 0 ? port_error(r.port, err, r.port->ops->empty) : PyLong_FromSize_t(r.size);
}

static PyObject *receiver_receive_batch(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"count", "timeout", NULL};
	struct receiving r = {(struct port *)self, NULL, 0};
	int64_t timeout = -1;
	PyObject *list, *bytes;
	Py_ssize_t count, n = 0;
	struct call call;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "n|O&:receive_batch", names, &count, convert_timeout,
					 &timeout))
		return NULL;
	list = PyList_New(0);
	if (list == NULL || port_begin(r.port, &call) < 0) {
		Py_XDECREF(list);
		return NULL;
	}
	err = receiver_revoke(r.port) < 0 ? RAISED : 0;
	while (err >= 0 && n < count) {
		err = receiver_wait(&r, n == 0 ? timeout : 0);
		if (err < 0)
			break;
		bytes = take_bytes(&r);
		if (bytes == NULL || PyList_Append(list, bytes) < 0)
			err = RAISED;
		Py_XDECREF(bytes);
		n++;
	}
	port_finished(r.port, &call);
	if (err < 0 && err != RAISED && n > 0) { /* what has been received is not lost */
		if (err != SHOAL_EBUSY)
			r.port->stash = err;
		err = 0;
	}
	if (err >= 0)
		return list;
	Py_DECREF(list);
	return port_error(r.port, err, r.port->ops->empty);
}

static PyObject *receiver_receive_array(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"count", "timeout", NULL};
	struct receiving r = {(struct port *)self, NULL, 0};
	PyObject *dtype, *array, *result;
	int64_t timeout = -1;
	Py_ssize_t count, n = 0;
	uint64_t fixed;
	struct call call;
	Py_buffer buffer;
	int err;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "n|O&:receive_array", names, &count, convert_timeout,
					 &timeout))
		return NULL;
	if (count < 1) {
		PyErr_SetString(PyExc_ValueError, "count must be at least 1");
		return NULL;
	}
	dtype = core_dtype(r.port->owner);
	array = dtype == NULL ? NULL : call_python("shoal._types", "empty", "(nN)", count, dtype);
	if (array == NULL || PyObject_GetBuffer(array, &buffer, PyBUF_WRITABLE | PyBUF_C_CONTIGUOUS) < 0) {
		Py_XDECREF(array);
		return NULL;
	}
	if (port_begin(r.port, &call) < 0) {
		PyBuffer_Release(&buffer);
		Py_DECREF(array);
		return NULL;
	}
	fixed = core_fixed(r.port->owner);
	err = receiver_revoke(r.port) < 0 ? RAISED : 0;
	if (err == 0 && (fixed == UINT64_MAX || (uint64_t)buffer.len < fixed * (uint64_t)count)) {
		PyErr_SetString(PyExc_TypeError, "receive_array() is for records of a type");
		err = RAISED;
	}
	while (err >= 0 && n < count) {
		err = receiver_wait(&r, n == 0 ? timeout : 0);
		if (err >= 0 && r.size != fixed)
			err = SHOAL_ECORRUPT;
		if (err < 0)
			break;
		copy_out((char *)buffer.buf + (size_t)n * (size_t)fixed, r.data, r.size);
		err = r.port->ops->release(r.port);
		n += err >= 0;
	}
	port_finished(r.port, &call);
	PyBuffer_Release(&buffer);
	if (err < 0 && err != RAISED && n > 0) {
		if (err != SHOAL_EBUSY)
			r.port->stash = err;
		err = 0;
	}
	if (err < 0) {
		Py_DECREF(array);
		return port_error(r.port, err, r.port->ops->empty);
	}
	if (n == count)
		return array;
	result = PySequence_GetSlice(array, 0, n);
	Py_DECREF(array);
	return result;
}

/* The next record in place; the same one as before if that is still open. */
static PyObject *receiver_peek_for(struct port *p, int64_t timeout)
{
	struct receiving r = {p, NULL, 0};
	struct lent *l = NULL;
	PyObject *lease;
	struct call call;
	int err;

	if (port_begin(p, &call) < 0)
		return NULL;
	if (p->lent != NULL && p->lent->lease != NULL) {
		lease = p->lent->lease;
		Py_INCREF(lease);
		port_finished(p, &call);
		return lease;
	}
	err = receiver_revoke(p) < 0 ? RAISED : receiver_wait(&r, timeout);
	if (err >= 0) {
		l = lent_new(p->owner, p, &lend_record, (void *)(uintptr_t)r.data, r.size);
		if (l == NULL)
			err = RAISED;
		else {
			p->lent = l;
			if (p->ops->label != NULL)
				p->ops->label(p, l);
		}
	}
	port_finished(p, &call);
	return err < 0 ? port_error(p, err, p->ops->empty) : lease_of(l);
}

static PyObject *receiver_peek(PyObject *self, PyObject *args, PyObject *keywords)
{
	static char *names[] = {"timeout", NULL};
	int64_t timeout = -1;

	if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O&:peek", names, convert_timeout, &timeout))
		return NULL;
	return receiver_peek_for((struct port *)self, timeout);
}

/* Gives back what the last round of a loop has had. */
static int receiver_release_last(struct port *p)
{
	struct lent *l = p->lent;
	struct call call;
	int err;

	if (l == NULL)
		return 0;
	if (lent_revoke(l) < 0 || port_begin(p, &call) < 0)
		return -1;
	err = 0;
	if (p->lent == l) {
		lent_close(l);
		err = p->ops->release(p);
	}
	port_finished(p, &call);
	if (err < 0) {
		port_error(p, err, p->ops->empty);
		return -1;
	}
	return 0;
}

static PyObject *port_iter(PyObject *self) { return port_self(self, NULL); }

static PyObject *port_next(PyObject *self)
{
	struct port *p = (struct port *)self;

	if (receiver_release_last(p) < 0)
		return NULL;
	return receiver_peek_for(p, -1);
}

/* For _aio.py: whether a record is there, and the end of the last one. */
static PyObject *receiver_ready(PyObject *self, PyObject *args)
{
	struct receiving r = {(struct port *)self, NULL, 0};
	int64_t timeout = 0;
	struct call call;
	int err;

	if (!PyArg_ParseTuple(args, "O&:_ready", convert_timeout, &timeout) || port_begin(r.port, &call) < 0)
		return NULL;
	err = r.port->lent != NULL ? 0 : receiver_wait(&r, timeout);
	port_finished(r.port, &call);
	if (err == SHOAL_EBUSY || err == SHOAL_ETIMEDOUT)
		Py_RETURN_FALSE;
	if (err < 0 && err != RAISED) { /* receive or peek tells it, not this thread */
		r.port->stash = err;
		Py_RETURN_TRUE;
	}
	if (err < 0)
		return NULL;
	Py_RETURN_TRUE;
}

static PyObject *receiver_release_method(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (receiver_release_last((struct port *)self) < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *port_aiter(PyObject *self) { return call_python("shoal._aio", "records", "(O)", self); }

static PyObject *receiver_areceive(PyObject *self, PyObject *unused)
{
	(void)unused;
	return call_python("shoal._aio", "receive", "(O)", self);
}

static PyObject *receiver_apeek(PyObject *self, PyObject *unused)
{
	(void)unused;
	return call_python("shoal._aio", "peek", "(O)", self);
}

static PyObject *port_get_closed(PyObject *self, void *unused)
{
	struct port *p = (struct port *)self;

	(void)unused;
	return PyBool_FromLong(p->closing || core_ended(p->owner));
}

static PyGetSetDef port_getset[] = {
	{"closed", port_get_closed, NULL, "Whether it has been closed here.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef port_members[] = {
	{"__weaklistoffset__", T_PYSSIZET, offsetof(struct port, weakrefs), READONLY, NULL},
	{NULL, 0, 0, 0, NULL},
};

#define PORT_METHODS                                                                                                   \
	{"close", port_close, METH_NOARGS, "Gives the port back. Again does nothing."},                                \
	    {"__enter__", port_self, METH_NOARGS, NULL},                                                               \
	{                                                                                                              \
		"__exit__", port_exit, METH_VARARGS, NULL                                                              \
	}

static PyMethodDef sender_methods[] = {
    PORT_METHODS,
	{"send", KEYWORDS(sender_send), "send(data, timeout=None)\n\nSends a copy of the bytes as one record."},
	{"send_batch", KEYWORDS(sender_send_batch),
     "send_batch(data, size=None, timeout=None)\n\nSends the records that lie one behind the other in data."},
	{"loan", KEYWORDS(sender_loan), "loan(size=None, timeout=None)\n\nLends the place for the next record."},
	{NULL, NULL, 0, NULL},
};

static PyMethodDef receiver_methods[] = {
    PORT_METHODS,
	{"receive", KEYWORDS(receiver_receive),
     "receive(timeout=None)\n\nReturns a copy of the next record, and releases it."},
	{"receive_into", KEYWORDS(receiver_receive_into),
     "receive_into(buffer, timeout=None)\n\nCopies the next record into the buffer, and returns its length."},
	{"receive_batch", KEYWORDS(receiver_receive_batch),
     "receive_batch(count, timeout=None)\n\nWaits for a record, and returns copies of at most count that are there."},
	{"receive_array", KEYWORDS(receiver_receive_array),
     "receive_array(count, timeout=None)\n\nThe same as an array of numpy, of records of a type."},
	{"peek", KEYWORDS(receiver_peek), "peek(timeout=None)\n\nReturns the next record where it lies."},
	{"areceive", receiver_areceive, METH_NOARGS, "receive() for asyncio."},
	{"apeek", receiver_apeek, METH_NOARGS, "peek() for asyncio."},
	{"_ready", receiver_ready, METH_VARARGS, NULL},
	{"_release", receiver_release_method, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot sender_slots[] = {
	{Py_tp_doc, "The end of a ring or a topic that sends."},
	{Py_tp_dealloc, port_dealloc},
	{Py_tp_methods, sender_methods},
	{Py_tp_getset, port_getset},
	{Py_tp_members, port_members},
	{0, NULL},
};

static PyType_Slot receiver_slots[] = {
	{Py_tp_doc, "The end of a ring or a topic that receives. It iterates over Records, each valid for its round."},
	{Py_tp_dealloc, port_dealloc},
	{Py_tp_methods, receiver_methods},
	{Py_tp_getset, port_getset},
	{Py_tp_members, port_members},
	{Py_tp_iter, port_iter},
	{Py_tp_iternext, port_next},
	{Py_am_aiter, port_aiter},
	{0, NULL},
};

static PyType_Spec sender_spec = {"shoal._shoal.Sender", sizeof(struct port), 0,
				  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, sender_slots};
static PyType_Spec receiver_spec = {"shoal._shoal.Receiver", sizeof(struct port), 0,
				    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, receiver_slots};
PyTypeObject *sender_type, *receiver_type;

int port_setup(PyObject *module)
{
	if (add_type(module, &sender_spec, NULL, &sender_type) < 0 ||
	    add_type(module, &receiver_spec, NULL, &receiver_type) < 0)
		return -1;
	sender_type->tp_new = receiver_type->tp_new = NULL; /* they come from their object alone */
	return 0;
}
