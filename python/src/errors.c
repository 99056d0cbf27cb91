/*
 * Errors of shoal.h as exceptions of shoal/_errors.py.
 */
#include "module.h"

/* Calls a function of one of the package's own modules in Python. */
PyObject *call_python(const char *module, const char *function, const char *format, ...)
{
	PyObject *m = PyImport_ImportModule(module), *f, *arguments, *result = NULL;
	va_list values;

	if (m == NULL)
		return NULL;
	f = PyObject_GetAttrString(m, function);
	Py_DECREF(m);
	if (f == NULL)
		return NULL;
	va_start(values, format);
	arguments = Py_VaBuildValue(format, values);
	va_end(values);
	if (arguments != NULL) {
		result = PyObject_CallObject(f, arguments);
		Py_DECREF(arguments);
	}
	Py_DECREF(f);
	return result;
}

static PyObject *set_exception(PyObject *exception)
{
	if (exception != NULL) {
		PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
		Py_DECREF(exception);
	}
	return NULL;
}

/* Why may quote what stands in shared memory, which need not be UTF-8. */
static PyObject *raise_with(const char *exception, int err, PyObject *name, const char *why)
{
	return set_exception(call_python("shoal._errors", "_make", "(sisON)", exception, err, shoal_strerror(err), name,
	                                 PyUnicode_DecodeUTF8(why, (Py_ssize_t)strlen(why), "replace")));
}

/* Raises the exception of that name, whatever the error. RAISED is one that is set already. */
PyObject *raise_as(const char *exception, struct core *c, int err, const char *why)
{
	if (err == RAISED)
		return NULL;
	if (why == NULL)
		why = c->kind->why == NULL ? "" : c->kind->why(c);
	return raise_with(exception, err, c->name, why);
}

/* Raises the exception for the error, which names the object. */
PyObject *raise_error(struct core *c, int err) { return raise_as("", c, err, NULL); }

/* The same where nothing has been opened. */
PyObject *raise_named(int err, PyObject *name, const char *why)
{
	if (err == RAISED)
		return NULL;
	return raise_with("", err, name, why);
}
