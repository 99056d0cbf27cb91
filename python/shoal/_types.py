"""Types of records: the text that Shoal objects carry, and dtypes of numpy."""

import re

_HEAD = "shoal schema 1\n"
_CODES = {
    "bool": "?",
    "int8": "i1",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "uint8": "u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "float32": "<f4",
    "float64": "<f8",
    "complex64": "<c8",
    "complex128": "<c16",
}
_ALIGN = {"complex64": 4, "complex128": 8}
_numpy = None


def _np():
    global _numpy
    if _numpy is None:
        try:
            import numpy
        except ImportError as e:
            raise ImportError("arrays need numpy, which is not installed: pip install numpy") from e
        _numpy = numpy
    return _numpy


def dtype(text):
    """The dtype of records of the type that the text describes; that of bytes for None."""
    np = _np()
    if text is None:
        return np.dtype("u1")
    lines = text.split("\n")
    if not text.startswith(_HEAD) or lines.pop() != "":
        raise ValueError("not the text of a type: it begins with 'shoal schema 1'")
    lines.pop(0)
    lines.reverse()
    made = _parse(np, lines.pop(), lines)
    if lines:
        raise ValueError("the text of a type goes on behind its end")
    return made


def stored(text):
    """The dtype for the text of an object, which is anybody's; or words that say what is wrong with it."""
    try:
        return dtype(text)
    except (ImportError, MemoryError):
        raise
    except Exception as e:  # of our own parser, or of numpy: names, offsets and sizes that cannot be
        return f"the text of its type: {e}"


def _parse(np, words, lines):
    counts, rest = re.match(r"((?:\[\d+\])*)(.*)", words).groups()
    shape = tuple(int(n) for n in re.findall(r"\d+", counts))
    head = re.fullmatch(r"struct size (\d+) align \d+ \{", rest)
    if head:
        names, formats, offsets = [], [], []
        while True:
            if not lines:
                raise ValueError("the text of a type ends too early")
            line = lines.pop().lstrip("\t")
            if line == "}":
                break
            offset, name, words = line.split(" ", 2)
            names.append(name)
            offsets.append(int(offset))
            formats.append(_parse(np, words, lines))
        made = np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": int(head[1])})
    elif rest == "char" and shape:
        made, shape = np.dtype(f"S{shape[-1]}"), shape[:-1]
    elif rest in _CODES:
        made = np.dtype(_CODES[rest])
    else:
        raise ValueError(f"unknown type {rest!r}")
    return np.dtype((made, shape)) if shape else made


def text(type):
    """The text of a type that is given as such, or as a dtype of numpy, or what numpy makes one of."""
    if isinstance(type, str) and type.startswith("shoal schema "):
        return type
    np = _np()
    return _HEAD + _spell(np, np.dtype(type), "")[0] + "\n"


def _spell(np, t, indent):
    """The words for a dtype, and its alignment."""
    if t.subdtype is not None:
        base, shape = t.subdtype
        words, align = _spell(np, base, indent)
        return "".join(f"[{n}]" for n in shape) + words, align
    if t.names is None:
        return _spell_scalar(t)
    fields = sorted(((t.fields[name][1], name, t.fields[name][0]) for name in t.names), key=lambda f: f[0])
    lines, most = [], 1
    for offset, name, field in fields:
        words, align = _spell(np, field, indent + "\t")
        if offset % align or t.itemsize % align:
            raise ValueError(f"field {name!r} is not aligned: make the dtype with align=True")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise ValueError(f"{name!r} is no name for a field: it must be an identifier of C")
        most = max(most, align)
        lines.append(f"{indent}\t{offset} {name} {words}\n")
    return f"struct size {t.itemsize} align {most} {{\n{''.join(lines)}{indent}}}", most


def _spell_scalar(t):
    if t.kind == "S" and t.itemsize > 0:
        return f"[{t.itemsize}]char", 1
    little = t.newbyteorder("<")
    for name, code in _CODES.items():
        if t == code and (t == little or t.itemsize == 1):
            return name, _ALIGN.get(name, t.itemsize)
    raise TypeError(f"records cannot have values of the dtype {t}: it must be numbers, bool or bytes, little-endian")


def array(view, dtype):
    """An array over the memoryview, of that type. Its base is a memoryview, too, which keeps the memory."""
    np = _np()
    if dtype.subdtype is not None:
        dtype, shape = dtype.subdtype
    elif dtype == np.uint8:
        shape = (-1,)
    else:
        shape = ()
    if not len(view):
        return np.empty(0, dtype)
    return np.frombuffer(view, dtype).reshape(shape)


def empty(count, dtype):
    """An array for count records."""
    return _np().empty(count, dtype)


def reduce(it):
    """What pickle needs of an open object: its name. Who unpickles it opens it anew."""
    keywords = {}
    if hasattr(it, "auto"):
        keywords["auto"] = it.auto
    elif hasattr(it, "permits"):
        keywords.update(value=max(it.permits, 0), undo=it.permits > 0)
    elif hasattr(it, "schema"):
        keywords["create"] = False
    if it.closed:
        raise ValueError(f"{it.name}: closed objects cannot be pickled")
    return _open, (it.__class__, it.name, keywords)


def _open(cls, name, keywords):
    return cls(name, **keywords)


def messages(queue):
    """The messages to come: each is acknowledged when the next one is asked for, and given back if the loop is left."""
    while True:
        with queue.receive() as message:
            yield message
