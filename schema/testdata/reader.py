"""Decodes a message by the text of its schema, written from the grammar alone: reader.py TEXT MESSAGE.

Prints the fingerprint, and the message as JSON.
"""
import json
import math
import re
import struct
import sys

KINDS = {"bool": "?", "int8": "b", "int16": "h", "int32": "i", "int64": "q", "uint8": "B", "uint16": "H", "uint32": "I",
         "uint64": "Q", "float32": "f", "float64": "d", "complex64": "ff", "complex128": "dd", "char": "c"}


def fingerprint(text):
    h = 0xcbf29ce484222325
    for c in text.encode():
        h = (h ^ c) * 0x100000001b3 % 2**64
    return h or 1


def parse(lines, words):
    """Returns (size, decode) of the type that words begin, and that further lines go on with."""
    counts, rest = re.fullmatch(r"((?:\[\d+\])*)(.*)", words).groups()
    if m := re.fullmatch(r"struct size (\d+) align (\d+) \{", rest):
        size, fields = int(m[1]), []
        while (line := lines.pop(0).lstrip("\t")) != "}":
            offset, name, words = line.split(" ", 2)
            fields.append((name, int(offset), parse(lines, words)[1]))
        t = size, lambda b: {name: decode(b[offset:]) for name, offset, decode in fields}
    else:
        form = KINDS[rest]
        t = struct.calcsize("<" + form), lambda b: number(form, b)
    text = rest == "char"
    for count in reversed(re.findall(r"\d+", counts)):
        t = array(int(count), *t, text)
        text = False  # only the innermost array of char is a string
    return t


def array(count, size, decode, text):
    if text:
        return count, lambda b: b[:count].split(b"\0")[0].decode(errors="replace")
    return count * size, lambda b: [decode(b[i * size:]) for i in range(count)]


def number(form, b):
    values = [spell(v) for v in struct.unpack_from("<" + form, b)]
    return values if len(values) > 1 else values[0]


def spell(v):
    if isinstance(v, float) and not math.isfinite(v):
        return "NaN" if v != v else "Infinity" if v > 0 else "-Infinity"
    return v


text, message = open(sys.argv[1]).read(), open(sys.argv[2], "rb").read()
lines = text.split("\n")
assert lines.pop(0) == "shoal schema 1" and lines.pop() == ""
size, decode = parse(lines, lines.pop(0))
assert not lines and size == len(message), (lines, size)
print(f"{fingerprint(text):016x}")
print(json.dumps(decode(message)))
