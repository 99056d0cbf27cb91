"""Segments, and what Python has for the same."""

import os
import subprocess
import sys
from multiprocessing import shared_memory

import numpy

import shoal

from support import Case


class Segments(Case):
    def setUp(self):
        super().setUp()
        self.address = "/" + self.name
        self.addCleanup(lambda: os.path.exists("/dev/shm" + self.address) and os.unlink("/dev/shm" + self.address))

    def test_bytes(self):
        with shoal.Segment(self.address, 5000, mode=0o640) as s:
            self.assertEqual((s.size, len(s.buf), s.name, s.closed), (5000, 5000, self.address, False))
            self.assertEqual(bytes(s.buf), bytes(5000))
            self.assertEqual(os.stat("/dev/shm" + self.address).st_mode & 0o777, 0o640)
            s.buf[:5] = b"hello"
            with shoal.Segment(self.address) as other:
                self.assertEqual(bytes(other.buf[:5]), b"hello")
                other.buf[0] = ord("j")
            self.assertEqual(bytes(s.buf[:5]), b"jello")
            s.remove()
            self.assertEqual(bytes(s.buf[:5]), b"jello")
        self.assertTrue(s.closed)

    def test_errors(self):
        with self.assertRaises(FileNotFoundError) as raised:
            shoal.Segment(self.address)
        self.assertIsInstance(raised.exception, shoal.Error)
        self.assertEqual((raised.exception.filename, raised.exception.object), (self.address, self.address))
        with shoal.Segment(self.address, 100):
            with self.assertRaises(FileExistsError):
                shoal.Segment(self.address, 100)
        with self.assertRaises(shoal.Invalid):
            shoal.Segment("no/address")
        with self.assertRaises(ValueError):
            shoal.Segment("/nul\0")
        with self.assertRaises(TypeError):
            shoal.Segment(b"/bytes")

    def test_views_end(self):
        s = shoal.Segment(self.address, 4096)
        view = s.buf
        self.assertIs(view, s.buf)
        s.close()
        s.close()
        with self.assertRaises(ValueError):
            view[0]
        with self.assertRaises(shoal.Closed):
            s.buf

    def test_views_hold(self):
        """Whatever can still look keeps it open: also what takes the memory and not the buffer."""
        s = shoal.Segment(self.address, 4096)
        looks = {
            "slice": lambda: s.buf[10:20],
            "memoryview": lambda: memoryview(s.buf),
            "frombuffer": lambda: numpy.frombuffer(s.buf, "u1"),
            "asarray": lambda: numpy.asarray(s.buf),
            "ndarray": lambda: numpy.ndarray((10,), "u1", buffer=s.buf),
            "view of a view": lambda: numpy.ndarray((10,), "u1", buffer=s.buf)[2:].reshape(2, 4)[1],
        }
        for what, look in looks.items():
            with self.subTest(what):
                a = look()
                with self.assertRaises(BufferError):
                    s.close()
                self.assertFalse(s.closed)
                a[0]
                del a
        view = s.buf
        s.close()
        with self.assertRaises(ValueError):
            view[0]

    def test_with_block_that_fails(self):
        with self.assertRaises(KeyError):
            with shoal.Segment(self.address, 100) as s:
                a = numpy.frombuffer(s.buf, "u1")
                raise KeyError
        self.assertFalse(s.closed)
        del a
        s.close()

    def test_from_shared_memory(self):
        """multiprocessing makes it, and we use it; nobody removes it behind its back."""
        theirs = shared_memory.SharedMemory(self.name, create=True, size=100)
        theirs.buf[:5] = b"hello"
        script = "s = shoal.SharedMemory(name); say(s.size, bytes(s.buf[:5])); s.buf[0] = 106"
        p = self.python(script)
        self.assertEqual(p.hear(), f"100 {b'hello'}")
        p.end()
        self.assertEqual(bytes(theirs.buf[:5]), b"jello")
        self.assertTrue(os.path.exists("/dev/shm" + self.address))
        theirs.close()
        theirs.unlink()
        _stop_tracker()

    def test_to_shared_memory(self):
        """We make it, and multiprocessing uses it."""
        ours = shoal.SharedMemory(self.name, create=True, size=5000)
        self.assertEqual((ours.name, ours.size), (self.name, 5000))
        ours.buf[:5] = b"hello"
        script = """
import sys
from multiprocessing import shared_memory, resource_tracker
s = shared_memory.SharedMemory(sys.argv[1])
resource_tracker.unregister(s._name, "shared_memory")
print(s.size, bytes(s.buf[:5]))
s.buf[0] = 106
s.close()
"""
        out = subprocess.run(
            [sys.executable, "-c", script, self.name], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        self.assertEqual(out, f"5000 {b'hello'}\n")
        self.assertEqual(bytes(ours.buf[:5]), b"jello")
        ours.close()
        ours.unlink()
        with self.assertRaises(FileNotFoundError):
            ours.unlink()

    def test_shared_memory_without_name(self):
        s = shoal.SharedMemory(create=True, size=100)
        try:
            self.assertRegex(s.name, r"^psm_[0-9a-f]{8}$")
            self.assertEqual(shared_memory.SharedMemory.__init__.__code__.co_varnames[1:4], ("name", "create", "size"))
            with self.assertRaises(ValueError):
                shoal.SharedMemory()
            with self.assertRaises(ValueError):
                shoal.SharedMemory(create=True)
        finally:
            s.close()
            s.unlink()

    def test_system_v(self):
        key = 0x51000000 + os.getpid() % 0x10000
        with shoal.Segment(f"sysv:{key:#x}", 100) as s:
            s.buf[0] = 7
            with shoal.Segment(f"sysv:{key:#x}") as other:
                self.assertEqual((other.size, other.buf[0]), (100, 7))
            s.remove()

    def test_members(self):
        with shoal.Segment(self.address, 8192) as s:
            with shoal.Members(s, 0, 8) as members:
                self.assertEqual(members.stats()["members"], 1)
                self.assertLessEqual(shoal.Members.footprint(8), 1024)
                with self.assertRaises(FileNotFoundError):
                    shoal.Mutex.join(members, 1024)
                mutex = shoal.Mutex.init(members, 1024)
                with self.assertRaises(FileExistsError):
                    shoal.Mutex.init(members, 1024)
                event = shoal.Event.init(members, 1088, auto=True)
                permits = shoal.Semaphore.init(members, 1152, 3, undo=True)
                with mutex, permits:
                    self.assertFalse(shoal.Mutex.join(members, 1024).acquire(blocking=False))
                    self.assertEqual(permits.value, 2)
                    event.set()
                    self.assertTrue(event.wait(timeout=0))
                with self.assertRaises(BufferError):
                    s.close()
            with self.assertRaises(shoal.Closed):
                mutex.acquire()


def _stop_tracker():
    """Ends the process that multiprocessing has started, which would be found as left behind."""
    from multiprocessing import resource_tracker

    resource_tracker._resource_tracker._stop()
