/*
 * What the files of the extension share. Each of them includes shoal.h, whose
 * functions are static, and whose one variable is common to them all.
 *
 * The rules that keep Python's objects and shared memory apart:
 *
 *  - Whatever is written here about an object is guarded by the GIL. It is let go
 *    while a thread waits or copies much, and such a thread is entered in the
 *    object's list of calls: close waits until the list is empty.
 *  - Waits are cut into slices of SLICE, between which the thread looks at signals
 *    (KeyboardInterrupt), at close and, if asked, at deaths.
 *  - What points into shared memory is reached through a "lent" alone, the exporter
 *    of the buffer that memoryviews and arrays stand on. Its reference count says
 *    whether somebody still can look: then nothing is given back, or unmapped.
 */
#ifndef SHOAL_PYTHON_MODULE_H
#define SHOAL_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "shoal.h"
#include "structmember.h"

#define SLICE INT64_C(50000000) /* nanoseconds */
#define LARGE 65536             /* bytes from which on a copy is worth letting the GIL go */
#define RAISED INT_MIN          /* instead of an error of shoal.h: a Python exception is set */
#define DIED (INT_MIN + 1)      /* the process at the other end has died */

/* A thread that is inside an object without the GIL. */
struct call {
	unsigned long thread;
	struct call *next;
};

struct core;
struct lent;
struct port;

/* What differs between the kinds of objects. */
struct kind {
	void (*close)(struct core *);      /* ends the use; never raises */
	const char *(*why)(struct core *); /* NULL: there is nothing more to be said */
};

/* The beginning of every open object. */
struct core {
	PyObject_HEAD
	const struct kind *kind;
	PyObject *name;                /* str */
	struct shoal_members *members; /* whose membership it needs; NULL for segments */
	struct shoal *object;          /* NULL if it has no header of its own */
	struct core *host;             /* whose calls count: itself, or the Members that it lies with */
	struct call *calls;
	struct lent *lents;            /* what points into its memory */
	pid_t pid;
	bool closing, closed;
	PyObject *dtype;               /* of its type; NULL before it was asked for */
	PyObject *weakrefs;
	struct core *newer, *older;    /* all that are open, for fork */
};

/* core.c */
void core_init(struct core *c, const struct kind *kind, PyObject *name);
void core_dealloc(PyObject *self);
int core_enter(struct core *c, struct call *call);
int core_leave(struct core *c, struct call *call);
bool core_ended(const struct core *c);
PyObject *core_close(PyObject *self, PyObject *unused);
PyObject *core_exit(PyObject *self, PyObject *args);
PyObject *core_self(PyObject *self, PyObject *unused);
PyObject *core_stats(const struct shoal_stats *s);
PyObject *core_schema(struct core *c);
PyObject *core_dtype(struct core *c);
int core_wait(struct core *c, int (*attempt)(void *, int64_t), void *argument, int64_t timeout,
              bool (*ended)(void *), bool (*died)(void *), bool let_go);
int core_setup(PyObject *module);
PyObject *core_get_schema(PyObject *self, void *unused);
PyObject *core_get_dtype(PyObject *self, void *unused);
PyObject *core_reduce(PyObject *self, PyObject *unused);
int convert_type(PyObject *type, PyObject **text, const char **schema);
extern PyTypeObject *core_type;

/* A counter, for the dict that stats() returns; *d is cleared if that fails. */
struct counter {
	const char *name;
	uint64_t value;
};
void add_counters(PyObject **d, const struct counter *counters, size_t count);

#define RECORD_PROPERTIES \
	{"schema", core_get_schema, NULL, "The text of the type of its records, or None.", NULL}, \
	{"dtype", core_get_dtype, NULL, "The numpy dtype of its records: that of bytes if they have no type.", NULL}

/* core.c, arguments */
int convert_timeout(PyObject *value, void *ns);
int convert_name(PyObject *value, void *name);

/* errors.c */
int errors_setup(PyObject *module);
PyObject *raise_error(struct core *c, int err);
PyObject *raise_as(const char *exception, struct core *c, int err, const char *why);
PyObject *raise_named(int err, PyObject *name, const char *why);
PyObject *call_python(const char *module, const char *function, const char *format, ...);

/* lent.c */
struct lending {
	const char *what;                      /* for error messages */
	PyTypeObject **type;                   /* of the Lease */
	bool read_only;
	int (*finish)(struct lent *, size_t);  /* release, commit, ack: may wait, 0 or an error */
	int (*end)(struct lent *);             /* nothing, cancel, nack: the same */
	void (*drop)(struct lent *);           /* end, when nobody is left to be told: must not raise */
	int (*skip)(struct lent *);            /* may be NULL */
};

/* Memory that is lent to Python, and the exporter of its buffer. It never leaves this
 * module but as the base of memoryviews. */
struct lent {
	PyObject_HEAD
	struct core *owner; /* a reference */
	struct port *port;  /* a reference, or NULL */
	struct lent *newer, *older;
	const struct lending *lending;
	bool open;
	bool ending;    /* it is being given back */
	PyObject *lease; /* who has a reference to it: a Lease, or a Segment. Not a reference itself */
	PyObject *view; /* a weak reference to the memoryview that was given out, if any */
	void *data;
	size_t size;
	uint64_t number;
	uint32_t publisher, deliveries;
};

struct lent *lent_new(struct core *owner, struct port *port, const struct lending *lending, void *data, size_t size);
PyObject *lent_view(struct lent *l);
int lent_revoke(struct lent *l);
void lent_close(struct lent *l);
void lent_abandon(struct lent *l);
int lent_setup(PyObject *module);
PyObject *lease_of(struct lent *l);

/* port.c */
struct port_ops {
	const char *full, *empty; /* the exceptions for what would have to wait */
	int (*send)(struct port *, const void *, size_t, int64_t);
	int (*send_batch)(struct port *, const void *, size_t, size_t, size_t *, int64_t);
	uint64_t *(*refusals)(struct port *); /* the counter of times that there was no room, of this port alone */
	int (*reserve)(struct port *, void **, size_t, int64_t);
	int (*commit)(struct port *, size_t);
	int (*cancel)(struct port *);
	int (*peek)(struct port *, const void **, size_t *, int64_t);
	int (*release)(struct port *);
	int (*skip)(struct port *);
	void (*close)(struct port *);
	uint64_t (*deaths)(struct port *);                    /* at the other end, since it was made */
	void (*label)(struct port *, struct lent *);          /* says which record it is; may be NULL */
	PyObject *(*explain)(struct port *, int err, bool *); /* raises what only it knows of; may be NULL */
};

/* One end of a ring or a topic, open in this process. It serves a thread at a time:
 * the others wait their turn at the lock. */
struct port {
	PyObject_HEAD
	struct core *owner; /* a reference */
	const struct port_ops *ops;
	PyThread_type_lock lock;
	unsigned long holder; /* the thread that has the lock */
	struct lent *lent;    /* what is out: not a reference */
	int stash;            /* an error that the next call has to tell */
	bool closing, closed;
	bool owed;            /* a loan is to be cancelled by whoever has the lock */
	bool raises;          /* PeerDied */
	uint64_t died;        /* deaths that have been told */
	PyObject *weakrefs;
};

int convert_on_death(PyObject *value, void *raises);
struct port *port_new(PyTypeObject *type, struct core *owner, const struct port_ops *ops, bool raises);
void port_opened(struct port *p);
void port_dealloc(PyObject *self);
extern PyTypeObject *sender_type, *receiver_type;
uint64_t core_fixed(const struct core *c);
void say_sent(size_t sent);

#define KEYWORDS(function) (PyCFunction)(void (*)(void))function, METH_VARARGS | METH_KEYWORDS

/* Types. */
extern PyTypeObject *record_type, *loan_type, *message_type;
int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **type);
int port_setup(PyObject *module);
int segment_setup(PyObject *module);
struct shoal_members *members_of(PyObject *membership);
extern PyTypeObject *members_type;
int primitives_setup(PyObject *module);
int ring_setup(PyObject *module);
int topic_setup(PyObject *module);
int queue_setup(PyObject *module);

#endif
