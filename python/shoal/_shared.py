"""A stand-in for multiprocessing.shared_memory.SharedMemory."""

import os

from ._errors import Exists
from ._shoal import Segment


class SharedMemory(Segment):
    """SharedMemory(name=None, create=False, size=0, *, track=False)

    Has the attributes and methods of multiprocessing.shared_memory.SharedMemory, and opens what that has made, and the
    other way round. No resource tracker knows of it: nobody removes an object because one of its users ends. An
    object appears complete, its memory reserved; and close() with an array over it alive raises BufferError, where the
    original lets a later access crash.
    """

    def __new__(cls, name=None, create=False, size=0, *, track=False):
        if create and size <= 0:
            raise ValueError("'size' must be a positive number different from zero")
        if name is not None or not create:
            if name is None:
                raise ValueError("'name' can only be None if create=True")
            return super().__new__(cls, "/" + name.lstrip("/"), size if create else 0)
        while True:
            try:
                return super().__new__(cls, "/psm_" + os.urandom(4).hex(), size)
            except Exists:
                continue

    @property
    def name(self):
        """Its name, without the slash."""
        return super().name[1:]

    def unlink(self):
        """Takes its name away: once, by whoever knows that nobody opens it any more."""
        self.remove()

    def __reduce__(self):
        return self.__class__, (self.name,)

    def __repr__(self):
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"
