"""account.py add | hold | remove

A number in shared memory, under a lock in the same memory. add raises it; hold takes the lock and sleeps: kill -9 it
then, and see the next one mend what it left.
"""

import struct
import sys
import time

import shoal

ADDRESS, COUNT = "/example-account", 8192 - 8


def opened():
    """The memory, a membership in it, and the lock, whoever makes them first."""
    try:
        segment = shoal.Segment(ADDRESS, 8192)
    except FileExistsError:
        segment = shoal.Segment(ADDRESS)
    members = shoal.Members(segment)
    at = 4096
    try:
        return segment, members, shoal.Mutex.init(members, at)
    except FileExistsError:
        return segment, members, shoal.Mutex.join(members, at)


def main(what):
    if what == "remove":
        shoal.Segment(ADDRESS).remove()
        return
    segment, members, lock = opened()
    with segment, members:
        try:
            lock.acquire()
        except shoal.OwnerDied:
            print("the last owner died: mended")  # a count of 8 bytes has nothing to mend
            lock.mark_consistent()
        if what == "hold":
            print("holding", flush=True)
            time.sleep(3600)
        (count,) = struct.unpack_from("<q", segment.buf, COUNT)
        struct.pack_into("<q", segment.buf, COUNT, count + 1)
        print(count + 1)
        lock.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
