"""shared_memory.py create NAME SIZE TEXT | attach NAME TEXT | careless NAME

create    makes an object, writes TEXT, waits for a line on standard input, prints what is there then, and unlinks it.
attach    prints what an existing object holds, and writes TEXT over it.
careless  attaches the way that was the only one before Python 3.13, and ends.

Until Python 3.13 whoever attaches is registered with a process, the resource tracker, that unlinks the object when the
program ends: https://github.com/python/cpython/issues/82300. attach keeps it out of the way.
"""

import sys
from multiprocessing import resource_tracker, shared_memory


def attached(name):
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name=name, track=False)
    shm = shared_memory.SharedMemory(name=name)
    resource_tracker.unregister(shm._name, "shared_memory")
    return shm


def text(shm):
    return bytes(shm.buf).split(b"\0")[0].decode()


def main(command, name, *args):
    if command == "create":
        shm = shared_memory.SharedMemory(name=name, create=True, size=int(args[0]))
        data = args[1].encode()
        shm.buf[: len(data)] = data
        print("created", flush=True)
        sys.stdin.readline()
        print("text", text(shm))
        shm.close()
        shm.unlink()
    elif command == "attach":
        shm = attached(name)
        print("size", shm.size, "text", text(shm))
        data = args[0].encode() + b"\0"
        shm.buf[: len(data)] = data
        shm.close()
    elif command == "careless":
        shared_memory.SharedMemory(name=name).close()


main(*sys.argv[1:])
