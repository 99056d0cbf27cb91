/*
 * The module shoal._shoal, which shoal/__init__.py makes public.
 */
#include "module.h"

static PyObject *module_remove(PyObject *module, PyObject *args)
{
	PyObject *name;
	int err;

	(void)module;
	if (!PyArg_ParseTuple(args, "O&:remove", convert_name, &name))
		return NULL;
	err = shoal_remove(PyUnicode_AsUTF8(name));
	if (err < 0)
		return raise_named(err, name, "");
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{"remove", module_remove, METH_VARARGS,
     "remove(name)\n\nTakes the name of a Shoal object away; members go on until they close it."},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "shoal._shoal", "Shoal objects, on shoal.h.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__shoal(void)
{
	PyObject *module = PyModule_Create(&definition);

	if (module == NULL)
		return NULL;
	if (core_setup(module) < 0 || lent_setup(module) < 0 || port_setup(module) < 0 || segment_setup(module) < 0 ||
	    primitives_setup(module) < 0 || ring_setup(module) < 0 || topic_setup(module) < 0 ||
	    queue_setup(module) < 0) {
		Py_DECREF(module);
		return NULL;
	}
	return module;
}
