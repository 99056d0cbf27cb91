"""Types of records: texts and dtypes."""

import subprocess
import sys
import unittest

import numpy

import shoal
from shoal import _types

from support import Case

EVERYTHING = """shoal schema 1
struct size 56 align 8 {
	0 Time int64
	8 venue uint16
	16 Symbol [8]char
	24 Levels [2]struct size 16 align 8 {
		0 Price float64
		8 Size uint32
	}
}
"""


class Texts(unittest.TestCase):
    def test_both_ways(self):
        for text in (
            EVERYTHING,
            "shoal schema 1\nfloat64\n",
            "shoal schema 1\n[2][3]uint8\n",
            "shoal schema 1\n[4][5]char\n",
            "shoal schema 1\n[2]struct size 8 align 4 {\n\t0 c complex64\n}\n",
            "shoal schema 1\nstruct size 24 align 8 {\n\t0 c complex128\n\t16 b bool\n\t17 i int8\n}\n",
        ):
            with self.subTest(text):
                self.assertEqual(_types.text(_types.dtype(text)), text)

    def test_dtype(self):
        t = _types.dtype(EVERYTHING)
        self.assertEqual((t.itemsize, t["Symbol"], t["Levels"].shape), (56, numpy.dtype("S8"), (2,)))
        self.assertEqual(t["Levels"].base["Size"], numpy.dtype("u4"))
        self.assertEqual(t.fields["Levels"][1], 24)

    def test_refused(self):
        for wrong in (object, "M8[s]", ">i4", "U5", "f2", [("not a name", "i4")]):
            with self.subTest(wrong):
                with self.assertRaises((TypeError, ValueError)):
                    _types.text(wrong)
        with self.assertRaisesRegex(ValueError, "align=True"):
            _types.text([("a", "i1"), ("b", "i4")])
        aligned = numpy.dtype([("a", "i1"), ("b", "i4")], align=True)
        self.assertIn("4 b int32", _types.text(aligned))
        for wrong in ("", "shoal schema 2\nint8\n", EVERYTHING[:-3], EVERYTHING + "int8\n", "shoal schema 1\nint9\n"):
            with self.assertRaises(ValueError):
                _types.dtype(wrong)


class WithoutNumpy(Case):
    def test_the_rest_works(self):
        script = """
import sys
sys.modules["numpy"] = None
import shoal
text = "shoal schema 1\\nint64\\n"
with shoal.Ring(sys.argv[1], type=text) as ring:
    w, r = ring.writer(), ring.reader()
    w.send(bytes(8))
    record = r.peek()
    assert record.view.nbytes == 8
    for what in (lambda: record.array, lambda: ring.dtype, lambda: shoal.Ring(sys.argv[1], type="i8")):
        try:
            what()
            sys.exit("no error")
        except ImportError as e:
            assert "pip install numpy" in str(e)
    record.release()
assert "numpy" in sys.modules and sys.modules["numpy"] is None
"""
        subprocess.run([sys.executable, "-c", script, self.name], check=True)


class Stubs(unittest.TestCase):
    def test_every_name_is_typed(self):
        """The stubs have what the package has: names, methods and properties."""
        import ast
        import os

        with open(os.path.join(os.path.dirname(shoal.__file__), "__init__.pyi")) as f:
            tree = ast.parse(f.read())
        classes = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef)}
        names = set(classes) | {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
        names |= {n.target.id for n in tree.body if isinstance(n, ast.AnnAssign)}

        def typed(name):
            """What a class has, by itself and from its bases."""
            found = set()
            for n in classes[name].body:
                if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(n.name)
                elif isinstance(n, ast.AnnAssign):
                    found.add(n.target.id)
            for b in classes[name].bases:
                if isinstance(b, ast.Name) and b.id in classes:
                    found |= typed(b.id)
            return found

        public = {n for n, it in vars(shoal).items() if not n.startswith("_") and not isinstance(it, type(sys))}
        self.assertEqual(public - names, set())
        for name in public:
            it = getattr(shoal, name)
            if not isinstance(it, type) or issubclass(it, Exception):
                continue
            has = {n for n in dir(it) if not n.startswith("_")}
            self.assertEqual(has, {n for n in typed(name) if not n.startswith("_")}, name)
