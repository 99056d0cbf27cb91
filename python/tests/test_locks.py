"""Mutex, Event, Semaphore; waiting, signals, threads, deaths."""

import os
import signal
import sys
import threading
import time

import shoal

from support import Case, asleep, eventually


class Mutexes(Case):
    def test_lock(self):
        m = shoal.Mutex(self.name)
        with m:
            pass
        m.acquire()
        other = shoal.Mutex(self.name)
        self.assertIs(other.acquire(blocking=False), False)
        begin = time.monotonic()
        self.assertIs(other.acquire(timeout=0.12), False)
        self.assertGreaterEqual(time.monotonic() - begin, 0.12)
        with self.assertRaises(shoal.NotHeld):
            other.release()
        m.release()
        self.assertIs(other.acquire(), True)
        other.release()
        other.check()
        self.assertEqual(other.stats()["members"], 2)
        m.close()
        self.assertEqual(other.stats()["members"], 1)
        other.close()
        with self.assertRaises(shoal.Closed):
            m.acquire()
        with self.assertRaises(ValueError):  # as with files
            m.acquire()

    def test_arguments(self):
        m = shoal.Mutex(self.name)
        for timeout in (-2, float("nan")):
            with self.assertRaises(ValueError):
                m.acquire(timeout=timeout)
        with self.assertRaises(TypeError):
            m.acquire(timeout="1")
        with self.assertRaises(ValueError):
            m.acquire(blocking=False, timeout=1)
        with self.assertRaises(shoal.KindMismatch):
            shoal.Event(self.name)
        with self.assertRaises(TypeError):
            shoal.Event(self.name)
        m.close()

    def test_owner_dies(self):
        m = shoal.Mutex(self.name)
        p = self.python("m = shoal.Mutex(name); m.acquire(); say('locked'); time.sleep(60)")
        self.assertEqual(p.hear(), "locked")
        waits = self.thread(m.acquire)
        eventually("it sleeps", asleep)
        p.kill()
        with self.assertRaises(shoal.OwnerDied) as raised:
            waits.result()
        self.assertIn("mark_consistent", str(raised.exception))
        m.mark_consistent()
        m.release()
        with m:
            pass
        self.assertEqual(m.stats()["deaths"], 1)
        m.close()

    def test_nobody_mends(self):
        m = shoal.Mutex(self.name)
        p = self.python("m = shoal.Mutex(name); m.acquire(); say('locked'); time.sleep(60)")
        p.hear()
        p.kill()
        with self.assertRaises(shoal.OwnerDied):
            with m:
                self.fail("it must not get here")
        m.release()
        with self.assertRaises(shoal.NotRecoverable):
            m.acquire()
        m.close()

    def test_gil(self):
        """Other threads run while one waits."""
        m, other = shoal.Mutex(self.name), shoal.Mutex(self.name)
        m.acquire()
        waits = self.thread(other.acquire)
        eventually("it sleeps", asleep)
        n = sum(range(1000))
        m.release()
        self.assertTrue(waits.result())
        self.assertEqual(n, 499500)
        other.release()
        m.close()
        other.close()

    def test_close_while_waiting(self):
        m, other = shoal.Mutex(self.name), shoal.Mutex(self.name)
        m.acquire()
        waits = [self.thread(other.acquire) for _ in range(3)]
        eventually("they sleep", asleep)
        other.close()
        for w in waits:
            with self.assertRaises(shoal.Closed):
                w.result()
        m.release()
        m.close()


class Signals(Case):
    def test_keyboard_interrupt(self):
        """SIGINT ends whatever a process waits in, and nothing is held afterwards."""
        for what, wait in {
            "Mutex": "shoal.Mutex(name).acquire()",
            "Event": "shoal.Event(name).wait()",
            "Semaphore": "shoal.Semaphore(name, 0).acquire()",
            "Reader": "shoal.Ring(name).reader().receive()",
            "for": "[r for r in shoal.Ring(name).reader()]",
            "Writer": "w = shoal.Ring(name, size=4096).writer()\nwhile True: w.send(bytes(1000))",
            "send_batch": "w = shoal.Ring(name, size=4096).writer(); w.send_batch(bytes(100000), size=100)",
            "Subscriber": "shoal.Topic(name).subscriber().receive()",
            "Queue": "shoal.Queue(name).receive()",
            "full Queue": "q = shoal.Queue(name, slots=2)\nwhile True: q.send(b'x')",
        }.items():
            with self.subTest(what):
                holder = None
                if what == "Mutex":
                    holder = shoal.Mutex(self.name)
                    holder.acquire()
                lines = "".join(f"    {line}\n" for line in wait.split("\n"))
                script = f"say('here')\ntry:\n{lines}except KeyboardInterrupt:\n    say('interrupted')\n"
                p = self.python(script)
                self.assertEqual(p.hear(), "here")
                eventually("it sleeps", lambda: asleep(p.pid))
                begin = time.monotonic()
                os.kill(p.pid, signal.SIGINT)
                self.assertEqual(p.hear(), "interrupted")
                self.assertLess(time.monotonic() - begin, 5)
                p.end()
                if holder:
                    holder.release()
                    holder.close()
                self.remove()

    def test_handlers_run(self):
        """A handler that returns does not end the wait."""
        e = shoal.Event(self.name)
        rang = []
        old = signal.signal(signal.SIGALRM, lambda *_: (rang.append(1), e.set()))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            self.assertTrue(e.wait(timeout=60))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, old)
        self.assertEqual(rang, [1])
        e.close()

    def test_handler_closes(self):
        """A handler may close what its thread waits in."""
        ring = shoal.Ring(self.name)
        for what in (lambda r: r.close(), lambda r: ring.close()):
            if ring.closed:
                ring = shoal.Ring(self.name)
            reader = ring.reader()
            old = signal.signal(signal.SIGALRM, lambda *_: what(reader))
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                with self.assertRaises(shoal.Closed):
                    reader.receive(timeout=60)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, old)
            self.assertTrue(reader.closed)
        self.assertTrue(ring.closed)

    def test_handler_receives(self):
        """A handler cannot use the port that its thread waits in: it would wait for itself."""
        ring = shoal.Ring(self.name)
        reader = ring.reader()
        old = signal.signal(signal.SIGALRM, lambda *_: reader.receive(timeout=0))

        def alarm():
            eventually("it sleeps", asleep)
            os.kill(os.getpid(), signal.SIGALRM)

        alarms = self.thread(alarm)
        try:
            with self.assertRaises(RuntimeError):
                reader.receive(timeout=60)
        finally:
            alarms.result()
            signal.signal(signal.SIGALRM, old)
        ring.close()


class Events(Case):
    def test_door(self):
        e, other = shoal.Event(self.name), shoal.Event(self.name)
        self.assertFalse(e.is_set() or e.auto)
        self.assertIs(e.wait(timeout=0.06), False)
        waits = [self.thread(other.wait) for _ in range(3)]
        eventually("they sleep", asleep)
        e.set()
        self.assertEqual([w.result() for w in waits], [True] * 3)
        self.assertTrue(other.is_set())
        other.clear()
        self.assertFalse(e.wait(timeout=0))
        e.close()
        other.close()

    def test_door_that_shuts_at_once(self):
        """Whoever waits passes, whatever part of its wait it is in: also between two slices."""
        e, other = shoal.Event(self.name), shoal.Event(self.name)
        interval = sys.getswitchinterval()
        for pause in (0, 0.2):
            waits = [self.thread(other.wait, 20) for _ in range(2)]
            eventually("they sleep", lambda: len(_sleepers()) == 2)
            sys.setswitchinterval(10)  # nobody else gets the GIL
            try:
                end = time.monotonic() + pause
                while time.monotonic() < end:
                    pass
                e.set()
                e.clear()
            finally:
                sys.setswitchinterval(interval)
            self.assertEqual([w.result() for w in waits], [True] * 2)
        e.close()
        other.close()

    def test_bell(self):
        e = shoal.Event(self.name, auto=True)
        with self.assertRaises(shoal.KindMismatch):
            shoal.Event(self.name)
        e.set()
        self.assertTrue(e.wait(timeout=0))
        self.assertFalse(e.wait(timeout=0))
        e.close()


def _sleepers():
    found = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/syscall") as f:
                if f.read().split()[0] == "449":
                    found.append(task)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class Semaphores(Case):
    def test_plain(self):
        s = shoal.Semaphore(self.name, 2)
        self.assertEqual((s.value, s.permits), (2, 0))
        with s:
            self.assertEqual(s.value, 1)
        self.assertTrue(s.acquire() and s.acquire(blocking=False))
        self.assertFalse(s.acquire(timeout=0.06))
        waits = self.thread(s.acquire)
        eventually("it sleeps", asleep)
        s.release()
        self.assertTrue(waits.result())
        s.close()

    def test_undo(self):
        s = shoal.Semaphore(self.name, 2, undo=True)
        self.assertEqual(s.permits, 2)
        with self.assertRaises(shoal.NotHeld):
            s.release()
        p = self.python(
            "s = shoal.Semaphore(name, 2, undo=True); s.acquire(); s.acquire(); say('held'); time.sleep(60)"
        )
        p.hear()
        self.assertEqual(s.value, 0)
        waits = self.thread(s.acquire)
        eventually("it sleeps", asleep)
        p.kill()
        self.assertTrue(waits.result())
        self.assertEqual(s.value, 1)
        s.check()
        s.close()
        with self.assertRaises(shoal.Invalid):
            shoal.Semaphore(self.name + "x", 0, undo=True)


class Threads(Case):
    def test_many(self):
        """Threads of two handles count under one lock, while others look."""
        mutexes = [shoal.Mutex(self.name), shoal.Mutex(self.name)]
        count = [0]

        def work(m):
            for _ in range(300):
                with m:
                    n = count[0]
                    if n % 50 == 0:
                        time.sleep(0)
                    count[0] = n + 1

        # The lock is the process's, not the thread's: one thread for each handle.
        workers = [self.thread(work, m) for m in mutexes]
        while threading.active_count() > 1:
            mutexes[0].stats()
        for w in workers:
            w.result()
        self.assertEqual(count, [600])
        for m in mutexes:
            m.close()
