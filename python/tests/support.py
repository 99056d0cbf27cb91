"""What the tests share: a case that finds what is left behind, and other processes."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from collections import Counter

import numpy

import shoal

numbers = itertools.count()


def threads():
    """Names of the threads of this process that the kernel knows of, without the keeper, which stays."""
    names = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as f:
                names.append(f.read().strip())
        except FileNotFoundError:
            continue
    return sorted(name for name in names if name != "shoal keeper")


def files():
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
    return {(fd, to) for fd, to in found.items() if "/proc/" not in to}


def mappings():
    with open("/proc/self/maps") as f:
        return sorted(line.split()[5] for line in f if "/dev/shm/" in line or "SYSV" in line)


def objects():
    return set(os.listdir("/dev/shm"))


def eventually(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.001)


class Case(unittest.TestCase):
    """A test that must leave no object, mapping, descriptor or thread behind. name is for its object."""

    def setUp(self):
        gc.collect()
        self.before = objects(), files(), mappings(), threads()
        self.name = f"python-{os.getpid()}-{next(numbers)}"
        self.addCleanup(self.look)
        self.addCleanup(self.remove)

    def remove(self):
        try:
            shoal.remove(self.name)
        except FileNotFoundError:
            pass

    def look(self):
        def left():
            gc.collect()
            return (
                objects() - self.before[0]
                or files() - self.before[1]
                or Counter(mappings()) - Counter(self.before[2])
                or Counter(threads()) - Counter(self.before[3])
            )

        end = time.monotonic() + 10
        while left():
            if time.monotonic() > end:
                now = objects(), files(), mappings(), threads()
                self.fail(f"left behind: before {self.before}\nand now {now}")
            time.sleep(0.01)

    def python(self, script, *args, **options):
        """Starts another process with a script, which has shoal, sys, name and say(); hear() hears what that says."""
        return Process(self, script, *args, **options)

    def thread(self, function, *args):
        """Calls the function in another thread; result() waits for it."""
        return Thread(self, function, *args)


class Process:
    prologue = """
import os, signal, sys, time
import shoal
name = sys.argv[1]
def say(*words): print(*words, flush=True)
"""

    def __init__(self, case, script, *args, prologue=None):
        self.case = case
        code = (self.prologue if prologue is None else prologue) + script
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code, case.name, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        case.addCleanup(self.kill)

    @property
    def pid(self):
        return self.popen.pid

    def hear(self):
        line = self.popen.stdout.readline()
        if not line:
            raise AssertionError(f"the process has ended: {self.popen.wait()}")
        return line.rstrip("\n")

    def tell(self, *words):
        print(*words, file=self.popen.stdin, flush=True)

    def kill(self, number=signal.SIGKILL):
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        code = self.popen.wait()
        self.popen.stdin.close()
        self.popen.stdout.close()
        return code

    def end(self):
        """Waits for the end, which must be a good one."""
        code = self.popen.wait(60)
        self.kill()
        self.case.assertEqual(code, 0)


class Thread:
    def __init__(self, case, function, *args):
        self.value = self.error = None

        def run():
            try:
                self.value = function(*args)
            except BaseException as e:
                self.error = e

        self.thread = threading.Thread(target=run)
        self.thread.start()
        case.addCleanup(self.thread.join)

    def result(self):
        self.thread.join(60)
        if self.thread.is_alive():
            raise AssertionError("the thread does not end")
        if self.error:
            try:
                raise self.error
            finally:
                self.error = None
        return self.value


def asleep(pid=None):
    """Whether some thread of the process sleeps in the kernel on a futex of shared memory."""
    pid = os.getpid() if pid is None else pid
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm") as f:
                if f.read().strip() == "shoal keeper":
                    continue
            with open(f"/proc/{pid}/task/{task}/syscall") as f:
                if f.read().split()[0] == "449":  # futex_waitv
                    return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


tick = numpy.dtype([("time", "i8"), ("price", "f8")])
