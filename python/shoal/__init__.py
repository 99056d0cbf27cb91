"""Shoal: shared memory that any process may leave at any instruction, and nothing is lost, torn or stuck.

The objects are those of the Go module github.com/seed-247006a4/shoal and of the C header shoal.h, with the same rights.

    ring = shoal.Ring("ticks", type=[("time", "i8"), ("price", "f8")])
    with ring.writer() as writer:
        with writer.loan() as loan:
            loan.array["price"] = 101.5

    with shoal.Ring("ticks").reader() as reader:
        for record in reader:
            print(record.array["price"])

Views. What record.view and record.array return stands on shared memory, without a copy, until the record is released:
by release(), at the end of the with block, or when the loop goes on. The memoryview raises ValueError from then on.
An array, or a memoryview of your own, cannot be taken back: while one is alive the record is not released, but
BufferError raised, as mmap and bytearray do it. Use record.array in place, or delete what you have named (del a), or
copy it.

Waiting. Every timeout is in seconds; None is for ever, 0 never waits. Other threads run meanwhile, and signals are
handled: KeyboardInterrupt ends a wait. A process that waits hears within 50 ms of close() by another thread.

fork. A child made by fork is no member of what it has inherited: everything says Forked until it opens the objects
anew. Objects can be pickled, for multiprocessing with spawn: they are opened anew by their name.
"""

from ._errors import (
    Busy,
    Closed,
    Corrupt,
    Dropped,
    Empty,
    Error,
    Exists,
    Forked,
    Full,
    Invalid,
    KindMismatch,
    Missed,
    NoSlot,
    NotFound,
    NotHeld,
    NotPermitted,
    NotRecoverable,
    OSFailure,
    OwnerDied,
    PeerDied,
    Timeout,
    TooLarge,
    TypeMismatch,
    Unfinished,
    VersionMismatch,
)
from ._shared import SharedMemory
from ._shoal import (
    Event,
    Loan,
    Members,
    Message,
    Mutex,
    Publisher,
    Queue,
    Reader,
    Record,
    Ring,
    Segment,
    Semaphore,
    Subscriber,
    Topic,
    Writer,
    remove,
)

__version__ = "0.1.0"

for _it in list(globals().values()):
    if isinstance(_it, type) and _it.__module__.startswith("shoal._"):
        _it.__module__ = "shoal"
del _it
