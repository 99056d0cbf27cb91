"""Exceptions: those of Shoal, and relatives of those that Python has for the same."""

import errno
import queue


class Error(Exception):
    """The base of all. code is the error of shoal.h, object the name of what it is about."""

    code = 0
    object = None


class Closed(Error, ValueError):
    """It has been closed in this process."""


class Forked(Error, RuntimeError):
    """It was opened before fork, by the parent: close it and open it anew in the child."""


class Corrupt(Error):
    """The bytes of the object contradict its format."""


class VersionMismatch(Error):
    """The object is of a major version that this package does not know."""


class KindMismatch(Error, TypeError):
    """There is such an object, but of another kind."""


class TypeMismatch(Error, TypeError):
    """The object holds values of another type."""


class Unfinished(Error):
    """There is nothing in it yet: its creator is at work, or has died."""


class NoSlot(Error):
    """All places for members, publishers or subscribers belong to live processes."""


class NotHeld(Error, RuntimeError):
    """What is to be given back is not held by this process, or not any more."""


class OwnerDied(Error):
    """The lock is held by the caller now, but its last owner died, or left, while it held it."""


class NotRecoverable(Error):
    """A lock that was OwnerDied has been released without mark_consistent()."""


class PeerDied(Error, ConnectionError):
    """The process at the other end has died. Asking again waits for the next one."""


class Busy(Error):
    """A live process has it, or a loan is open."""


class Timeout(Error, TimeoutError):
    """The time given is over."""


class Full(Timeout, queue.Full):
    """There was no room in the time given."""

    sent = 0  # of a batch, before


class Empty(Timeout, queue.Empty):
    """There was no record in the time given."""


class Missed(Error):
    """Records were overwritten before they were received: so many. The next call goes on."""

    count = 0
    publisher = None  # whose they were,
    number = None  # and the number of the first that is there again

    def _tell(self, count, publisher, number):
        self.count, self.publisher, self.number = count, publisher, number


class Dropped(Error):
    """The subscriber was too slow, and publishers do not wait for it any more. The next call goes on."""


class TooLarge(Error, ValueError):
    """The record is longer than there is room, or may be."""


class Invalid(Error, ValueError):
    """A name, size, offset or length that cannot be."""


class NotFound(Error, FileNotFoundError):
    """There is no such object."""


class Exists(Error, FileExistsError):
    """There is such an object already."""


class NotPermitted(Error, PermissionError):
    """The permissions of the object, or of the process, are not enough."""


class OSFailure(Error, OSError):
    """Another error of the system: see errno."""


_classes = {
    -errno.EOWNERDEAD: OwnerDied,
    -errno.ENOTRECOVERABLE: NotRecoverable,
    -errno.ETIMEDOUT: Timeout,
    -errno.EBUSY: Busy,
    -errno.EINVAL: Invalid,
    -errno.EMSGSIZE: TooLarge,
    -errno.ENOENT: NotFound,
    -errno.EEXIST: Exists,
    -errno.EACCES: NotPermitted,
    -errno.EPERM: NotPermitted,
    -5001: Corrupt,
    -5002: VersionMismatch,
    -5003: KindMismatch,
    -5004: TypeMismatch,
    -5005: Unfinished,
    -5006: NoSlot,
    -5007: NotHeld,
    -5008: Closed,
    -5009: Forked,
    -5010: Missed,
    -5011: Dropped,
}

_held = "; the lock is held: mend what it guards, mark_consistent(), release()"


def _make(cls, code, words, name, why):
    """The exception for an error: of the class of that name, or else the one that goes with the code."""
    cls = globals()[cls] if cls else _classes.get(code, OSFailure)
    if why and why != words:
        words = why if cls in (Full, Empty, PeerDied, Busy) else f"{words}: {why}"
    if cls is OwnerDied:
        words += _held
    elif cls is Full:
        words = "there is no room"
    elif cls is Empty:
        words = "there is no record"
    if issubclass(cls, OSError):
        number = -code if -4096 < code < 0 else 0
        if cls is PeerDied:
            number = errno.EPIPE
        e = cls(number, words, name)
    else:
        e = cls(f"{name}: {words}")
    e.code = code
    e.object = name
    return e
