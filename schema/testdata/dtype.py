"""Decodes a message by a numpy dtype: dtype.py DTYPE MESSAGE.

Prints the message as JSON, decoded by the literal without numpy; and again, decoded by numpy, if it is installed.
"""
import ast
import json
import math
import struct
import sys

FORMS = {"?": "?", "i1": "b", "u1": "B", "<i2": "h", "<u2": "H", "<i4": "i", "<u4": "I", "<i8": "q", "<u8": "Q",
         "<f4": "f", "<f8": "d", "<c8": "ff", "<c16": "dd"}


def size(t):
    if isinstance(t, tuple):
        return math.prod(t[1]) * size(t[0])
    if isinstance(t, dict):
        return t["itemsize"]
    return int(t[1:]) if t[0] == "S" else struct.calcsize("<" + FORMS[t])


def decode(t, b):
    if isinstance(t, tuple):
        inner, (n, *shape) = t
        inner = (inner, tuple(shape)) if shape else inner
        return [decode(inner, b[i * size(inner):]) for i in range(n)]
    if isinstance(t, dict):
        assert set(t) == {"names", "formats", "offsets", "itemsize"}
        assert all(o + size(f) <= t["itemsize"] for f, o in zip(t["formats"], t["offsets"], strict=True))
        return {n: decode(f, b[o:]) for n, f, o in zip(t["names"], t["formats"], t["offsets"], strict=True)}
    if t[0] == "S":
        return b[:size(t)].rstrip(b"\0").decode(errors="replace")
    values = [number(v) for v in struct.unpack_from("<" + FORMS[t], b)]
    return values if len(values) > 1 else values[0]


def number(v):
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if v != v else "Infinity" if v > 0 else "-Infinity"
    return v


literal = ast.literal_eval(open(sys.argv[1]).read())
message = open(sys.argv[2], "rb").read()
assert size(literal) == len(message), size(literal)
print(json.dumps(decode(literal, message)))

try:
    import numpy
except ImportError:
    sys.exit()


def value(v):
    if isinstance(v, numpy.void):
        return {name: value(v[name]) for name in v.dtype.names}
    if isinstance(v, numpy.ndarray):
        return [value(e) for e in v]
    if isinstance(v, bytes):
        return v.decode(errors="replace")
    v = v.item()
    return [number(v.real), number(v.imag)] if isinstance(v, complex) else number(v)


dtype = numpy.dtype(literal)
assert dtype.itemsize == len(message), dtype.itemsize
print(json.dumps(value(numpy.ndarray((), dtype, message)[()])))
