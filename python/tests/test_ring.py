"""Rings: records, loans, views that end, deaths, forks, asyncio."""

import asyncio
import gc
import multiprocessing
import os
import pickle
import queue
import time

import numpy

import shoal

from support import Case, asleep, eventually, tick


class Rings(Case):
    def setUp(self):
        super().setUp()
        self.ring = shoal.Ring(self.name, size=65536)
        self.writer, self.reader = self.ring.writer(), self.ring.reader()
        self.addCleanup(self.end)

    def end(self):
        gc.collect()
        self.ring.close()
        del self.ring, self.writer, self.reader

    def test_records(self):
        for record in (b"one", b"", bytearray(b"three"), memoryview(b"four"), numpy.arange(3, dtype="u1")):
            self.writer.send(record)
        self.assertEqual([self.reader.receive() for _ in range(5)], [b"one", b"", b"three", b"four", b"\0\1\2"])
        with self.assertRaises(shoal.Empty) as raised:
            self.reader.receive(timeout=0)
        for cls in (shoal.Timeout, TimeoutError, queue.Empty, shoal.Error):
            self.assertIsInstance(raised.exception, cls)
        begin = time.monotonic()
        with self.assertRaises(shoal.Empty):
            self.reader.receive(timeout=0.13)
        self.assertGreaterEqual(time.monotonic() - begin, 0.13)
        self.assertEqual(self.ring.max_record, 65536 // 2 - 24)
        self.assertEqual((self.ring.schema, self.ring.dtype), (None, numpy.dtype("u1")))
        with self.assertRaises(shoal.TooLarge):
            self.writer.send(bytes(self.ring.max_record + 1))
        s = self.ring.stats()
        self.assertEqual((s["sent"], s["received"], s["sent_bytes"]), (5, 5, 15))
        self.ring.check()

    def test_full(self):
        with self.assertRaises(shoal.Full) as raised:
            while True:
                self.writer.send(bytes(20000), timeout=0)
        self.assertIsInstance(raised.exception, queue.Full)
        with self.assertRaises(shoal.Full):
            self.writer.send(bytes(20000), timeout=0.12)
        self.assertEqual(self.ring.stats()["full"], 2)  # the second wait is one, though it is made of slices
        waits = self.thread(self.writer.send, bytes(20000))
        eventually("it sleeps", asleep)
        for _ in range(3):
            self.reader.receive()
        waits.result()
        self.assertEqual(len(self.reader.receive()), 20000)

    def test_large(self):
        """What is copied without the GIL."""
        data = os.urandom(30000) * 1
        self.writer.send(data)
        self.writer.send(data)
        self.assertEqual(self.reader.receive(), data)
        into = bytearray(30001)
        self.assertEqual(self.reader.receive_into(into), 30000)
        self.assertEqual(bytes(into[:30000]), data)
        self.writer.send(data)
        with self.assertRaises(shoal.TooLarge):
            self.reader.receive_into(bytearray(29999))
        self.assertEqual(self.reader.receive(timeout=0), data)

    def test_ports(self):
        with self.assertRaisesRegex(shoal.Busy, f"process {os.getpid()} has its writer"):
            self.ring.writer()
        self.writer.close()
        self.writer.close()
        self.assertTrue(self.writer.closed)
        with self.assertRaises(shoal.Closed):
            self.writer.send(b"")
        with self.ring.writer() as again:
            again.send(b"again")
        self.assertEqual(self.reader.receive(), b"again")
        for cls in (shoal.Writer, shoal.Reader, shoal.Record, shoal.Loan):
            with self.assertRaises(TypeError):
                cls()

    def test_loan(self):
        with self.writer.loan(5) as loan:
            self.assertEqual(len(loan), 5)
            view = loan.view
            view[:] = b"hello"
            with self.assertRaises(shoal.Busy):
                self.writer.send(b"")
            with self.assertRaises(shoal.Empty):
                self.reader.receive(timeout=0)
        with self.assertRaises(ValueError):
            view[0] = 1
        with self.assertRaises(ValueError):
            loan.view
        self.assertEqual(self.reader.receive(), b"hello")
        with self.assertRaises(KeyError):
            with self.writer.loan(5) as loan:
                raise KeyError
        self.assertTrue(loan.released)
        loan = self.writer.loan(5)
        loan.array[:] = 7
        with self.assertRaises(shoal.TooLarge):
            loan.commit(6)
        loan.commit(3)
        with self.assertRaises(shoal.NotHeld):
            loan.commit()
        self.writer.loan(9).cancel()
        self.writer.loan(9)  # garbage is cancelled
        self.assertEqual(self.reader.receive(), b"\7\7\7")
        with self.assertRaises(shoal.Empty):
            self.reader.receive(timeout=0)
        with self.assertRaises(TypeError):
            self.writer.loan()

    def test_a_loan_in_use_is_not_sent(self):
        loan = self.writer.loan(16)
        a = numpy.frombuffer(loan.view, "u1")
        for what in (
            loan.commit,
            loan.cancel,
            self.writer.close,
            self.ring.close,
            lambda: loan.__exit__(None, None, None),
        ):
            with self.assertRaises(BufferError):
                what()
        a[:] = 3
        b = a[4:]
        del a
        with self.assertRaises(BufferError):
            loan.commit()
        del b
        loan.commit()
        self.assertEqual(self.reader.receive(), b"\3" * 16)

    def test_an_exception_cancels_when_the_last_array_goes(self):
        kept = []
        with self.assertRaises(KeyError):
            with self.writer.loan(16) as loan:
                kept.append(loan.array)
                raise KeyError
        with self.assertRaises(shoal.Busy):
            self.writer.send(b"early")
        kept[0][:] = 9  # still its memory, and nobody else's
        kept.clear()
        self.writer.send(b"after")
        self.assertEqual(self.reader.receive(), b"after")

    def test_peek(self):
        self.writer.send(b"hello")
        self.writer.send(b"again")
        record = self.reader.peek()
        self.assertIs(self.reader.peek(), record)
        self.assertEqual((len(record), bytes(record), record.released), (5, b"hello", False))
        view = record.view
        self.assertIs(view, record.view)
        self.assertTrue(view.readonly)
        with self.assertRaises(TypeError):
            view[0] = 1
        self.assertFalse(record.array.flags.writeable)
        record.release()
        record.release()
        for stale in (
            lambda: view[0],
            lambda: bytes(view),
            lambda: record.view,
            lambda: record.array,
            lambda: bytes(record),
            lambda: len(record),
        ):
            with self.assertRaises(ValueError):
                stale()
        self.reader.peek()
        gc.collect()
        self.assertEqual(bytes(self.reader.peek()), b"again")  # nobody has released it
        self.assertEqual(self.reader.receive(), b"again")
        with self.assertRaises(shoal.Empty):
            self.reader.peek(timeout=0)

    def test_a_stale_view_never_shows_other_data(self):
        """Arrays hold the record, whatever is tried, while the ring goes round."""
        self.writer.send(b"A" * 100)
        record = self.reader.peek()
        looks = [
            numpy.frombuffer(record.view, "u1"),
            numpy.ndarray((100,), "u1", buffer=record.view),
            record.array,
            record.array[10:20],
            memoryview(record.view)[1:],
        ]
        with self.assertRaises(shoal.Full):
            while True:
                self.writer.send(b"B" * 100, timeout=0)
        for attempt in (
            record.release,
            record.skip,
            self.reader.receive,
            lambda: next(self.reader),
            lambda: self.reader.receive_batch(2),
            lambda: self.reader.receive_into(bytearray(100)),
            self.reader.close,
            self.ring.close,
        ):
            with self.assertRaises(BufferError):
                attempt()
            with self.assertRaises(shoal.Full):
                self.writer.send(b"C" * 100, timeout=0)
            self.assertEqual({bytes(look) for look in looks[:3]}, {b"A" * 100})
        while looks:
            self.assertEqual(set(bytes(looks.pop())), {ord("A")})
            if looks:
                with self.assertRaises(BufferError):
                    record.release()
        record.release()
        self.assertEqual(self.reader.receive(), b"B" * 100)

    def test_an_exception_does_not_release(self):
        self.writer.send(b"hello")
        with self.assertRaises(KeyError):
            with self.reader.peek() as record:
                a = record.array
                raise KeyError
        with self.assertRaises(BufferError):
            self.reader.receive()
        self.assertEqual(bytes(a), b"hello")
        del a
        self.assertEqual(self.reader.receive(), b"hello")

    def test_iteration(self):
        for i in range(10):
            self.writer.send(bytes([i]))
        got = []
        for record in self.reader:
            got.append(record.view[0])
            if len(got) == 10:
                break
        self.assertEqual(got, list(range(10)))
        self.assertEqual(self.reader.receive(), b"\x09")  # leaving the loop has not released it
        self.writer.send(b"a")
        self.writer.send(b"b")
        with self.assertRaises(BufferError):
            for record in self.reader:
                a = record.array
        del a
        record.release()
        self.assertEqual(self.reader.receive(), b"b")

    def test_skip(self):
        for i in range(4):
            self.writer.send(bytes([i]))
        for i in range(3):
            self.assertEqual(bytes(self.reader.peek()), bytes([i]))
            self.reader.peek().skip()
        self.reader.peek().release()
        self.assertEqual(self.ring.stats()["received"], 4)

    def test_batches(self):
        self.assertEqual(self.writer.send_batch(b"aabbcc", 2), 3)
        self.assertEqual(self.reader.receive_batch(2), [b"aa", b"bb"])
        self.assertEqual(self.reader.receive_batch(2), [b"cc"])
        self.assertEqual(self.reader.receive_batch(0), [])
        with self.assertRaises(shoal.Empty):
            self.reader.receive_batch(2, timeout=0)
        self.assertEqual(self.writer.send_batch(numpy.arange(5, dtype="<u4")), 5)
        self.assertEqual(len(self.reader.receive_batch(10)), 5)
        for wrong in (5, 0):
            with self.assertRaises(ValueError):
                self.writer.send_batch(b"abc", wrong)
        with self.assertRaises(shoal.Full) as raised:
            self.writer.send_batch(bytes(1 << 20), 1024, timeout=0.06)
        self.assertEqual(raised.exception.sent, len(self.reader.receive_batch(1000)))
        self.assertGreater(raised.exception.sent, 50)

    def test_threads_take_turns(self):
        """A port serves one thread at a time; the others wait for it, also while one copies without the GIL."""
        with shoal.Ring(self.name + "large", size=1 << 19) as ring:
            shoal.remove(self.name + "large")
            writer, reader = ring.writer(), ring.reader()
            sent = [
                self.thread(lambda k: [writer.send(bytes([k, i]) * 50000) for i in range(100)], k) for k in range(3)
            ]
            got = [self.thread(lambda: [reader.receive() for _ in range(150)]) for _ in range(2)]
            for t in sent:
                t.result()
            records = got[0].result() + got[1].result()
            self.assertEqual({len(r) for r in records}, {100000})
            self.assertTrue(all(r == r[:2] * 50000 for r in records))
            self.assertEqual(
                sorted(r[:2] for r in records), sorted(bytes([k, i]) for k in range(3) for i in range(100))
            )

    def test_close_while_others_use_it(self):
        for what in (self.reader.close, self.ring.close):
            waits = [self.thread(self.reader.receive) for _ in range(2)]
            eventually("one sleeps", asleep)
            what()
            for w in waits:
                with self.assertRaises(shoal.Closed):
                    w.result()
            if not self.ring.closed:
                self.reader = self.ring.reader()

    def test_close_while_others_copy(self):
        """close() waits for threads that copy without the GIL: the memory stays under them."""
        data = bytes((1 << 22) - 24)
        for i in range(20):
            with shoal.Ring(self.name + "large", size=1 << 23) as ring:
                shoal.remove(self.name + "large")
                writer, reader = ring.writer(), ring.reader()
                sends = self.thread(lambda: [writer.send(data) for _ in range(1000)])
                gets = self.thread(lambda: [reader.receive() for _ in range(1000)])
                time.sleep(i / 4000)
                ring.close()
                for t in (sends, gets):
                    with self.assertRaises(shoal.Closed):
                        t.result()

    def test_pickle(self):
        again = pickle.loads(pickle.dumps(self.ring))
        self.writer.send(b"x")
        self.assertEqual((again.name, again.stats()["sent"]), (self.name, 1))
        again.close()
        with self.assertRaises(ValueError):
            pickle.dumps(again)
        with self.assertRaises(TypeError):
            pickle.dumps(self.writer)

    def test_asyncio(self):
        async def main():
            for i in range(3):
                self.writer.send(bytes([i]))
            self.assertEqual(await self.reader.areceive(), b"\0")
            with await self.reader.apeek() as record:
                self.assertEqual(record.view[0], 1)
            got = []
            async for record in self.reader:
                got.append(record.view[0])
                if len(got) == 1:
                    asyncio.get_running_loop().call_later(0.02, self.writer.send, b"\3")
                if len(got) == 2:
                    record.release()
                    break
            self.assertEqual(got, [2, 3])
            # The loop runs on while it waits; who is cancelled has lost nothing.
            waits = asyncio.ensure_future(self.reader.areceive())
            ticks = 0
            while not asleep():
                await asyncio.sleep(0)
                ticks += 1
            self.assertGreater(ticks, 0)
            waits.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waits
            self.writer.send(b"kept")
            self.assertEqual(await asyncio.wait_for(self.reader.areceive(), 60), b"kept")
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(self.reader.areceive(), 0.02)
            waits = asyncio.ensure_future(self.reader.areceive())
            await asyncio.sleep(0.02)
            self.ring.close()
            with self.assertRaises(shoal.Closed):
                await waits

        asyncio.run(main())


class Types(Case):
    def test_arrays(self):
        with shoal.Ring(self.name, type=tick) as ring:
            self.assertEqual(ring.dtype, tick)
            self.assertIn("8 price float64", ring.schema)
            writer, reader = ring.writer(), ring.reader()
            with writer.loan() as loan:
                loan.array["time"], loan.array["price"] = 1, 2.5
            with reader.peek() as record:
                self.assertEqual(record.array["price"], 2.5)
                self.assertEqual(record.array.dtype, tick)
                self.assertEqual(record.array.shape, ())
            self.assertEqual(writer.send_batch(numpy.array([(i, i / 2) for i in range(10)], tick)), 10)
            got = reader.receive_array(100)
            self.assertEqual((len(got), got["price"].sum(), got.dtype), (10, 22.5, tick))
            with self.assertRaises(shoal.Invalid):
                writer.send(b"short")
            with self.assertRaises(shoal.TypeMismatch) as raised:
                shoal.Ring(self.name, type=[("time", "i8"), ("price", "f4"), ("x", "i4")])
            self.assertIsInstance(raised.exception, TypeError)
            self.assertIn("price", str(raised.exception))
            again = shoal.Ring(self.name, create=False)
            self.assertEqual(again.dtype, tick)
            again.close()

    def test_array_of_arrays(self):
        with shoal.Ring(self.name, type=("f4", (3, 4))) as ring:
            writer, reader = ring.writer(), ring.reader()
            writer.send(numpy.arange(12, dtype="f4"))
            with reader.peek() as record:
                self.assertEqual(record.array.shape, (3, 4))
                self.assertEqual(record.array[2, 3], 11)

    def test_create(self):
        with self.assertRaises(FileNotFoundError):
            shoal.Ring(self.name, create=False)
        with shoal.Ring(self.name, create=True, mode=0o640):
            self.assertEqual(os.stat("/dev/shm/shoal." + self.name).st_mode & 0o777, 0o640)
            with self.assertRaises(FileExistsError):
                shoal.Ring(self.name, create=True)
            with self.assertRaises(shoal.KindMismatch):
                shoal.Topic(self.name)
        with self.assertRaises(shoal.Invalid):
            shoal.Ring(self.name, size=5000)


class Deaths(Case):
    writes = "w = shoal.Ring(name).writer(); n = int(sys.argv[2])\nwhile True: w.send(b'%d' % n); n += 1"

    def test_writer_dies(self):
        ring = shoal.Ring(self.name, size=65536)
        reader = ring.reader(on_death="raise")
        p = self.python(self.writes, "0")
        n = 0
        while n < 2000:
            self.assertEqual(reader.receive(), b"%d" % n)
            n += 1
        p.kill()
        with self.assertRaises(shoal.PeerDied) as raised:
            while True:
                self.assertEqual(reader.receive(timeout=60), b"%d" % n)
                n += 1
        self.assertIsInstance(raised.exception, ConnectionError)
        with self.assertRaises(shoal.Empty):  # it is told once
            reader.receive(timeout=0.06)
        p = self.python(self.writes, str(n))
        self.assertEqual(reader.receive(timeout=60), b"%d" % n)
        p.kill()
        ring.close()

    def test_resume(self):
        ring = shoal.Ring(self.name, size=65536)
        reader = ring.reader()
        p = self.python(self.writes, "0")
        reader.receive()
        p.kill()
        n = 1
        try:
            while True:
                self.assertEqual(reader.receive(timeout=0.2), b"%d" % n)
                n += 1
        except shoal.Empty:
            pass
        p = self.python(self.writes, str(n))
        for n in range(n, n + 100):
            self.assertEqual(reader.receive(timeout=60), b"%d" % n)
        p.kill()
        ring.check()
        ring.close()

    def test_reader_dies(self):
        ring = shoal.Ring(self.name, size=4096)
        writer = ring.writer(on_death="raise")
        p = self.python("r = shoal.Ring(name).reader(); say(r.receive().decode()); time.sleep(60)")
        writer.send(b"first")
        self.assertEqual(p.hear(), "first")
        sends = self.thread(lambda: [writer.send(bytes(1000)) for _ in range(10)])
        eventually("it sleeps", asleep)
        p.kill()
        with self.assertRaises(shoal.PeerDied):
            sends.result()
        ring.close()
        with self.assertRaises(ValueError):
            shoal.Ring(self.name).reader(on_death="ignore")


class Forks(Case):
    def test_child(self):
        """A child is no member, is told so, and joins anew; what was lent to its parent shows it nothing."""
        ring = shoal.Ring(self.name, size=65536)
        mutex = shoal.Mutex(self.name + "-mutex")
        segment = shoal.Segment("/" + self.name, 100)
        writer, reader = ring.writer(), ring.reader()
        writer.send(b"secret")
        record = reader.peek()
        a = record.array
        mutex.acquire()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                tried = [
                    lambda: writer.send(b""),
                    reader.receive,
                    mutex.acquire,
                    mutex.release,
                    ring.stats,
                    lambda: record.view,
                    lambda: bytes(record),
                ]
                for i, what in enumerate(tried):
                    try:
                        what()
                        os._exit(10 + i)
                    except shoal.Forked:
                        pass
                if bytes(a) != bytes(6):
                    os._exit(30)
                segment.buf[0] = 7
                del a
                mutex.close()
                ring.close()
                again = shoal.Ring(self.name)
                if again.stats()["members"] != 2 or shoal.Mutex(self.name + "-mutex").acquire(timeout=0.06):
                    os._exit(31)
                again.close()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        self.assertEqual(status, 0, f"exit code {status >> 8}")
        self.assertEqual(bytes(a), b"secret")
        del a
        record.release()
        self.assertEqual(segment.buf[0], 7)
        self.assertEqual(ring.stats()["deaths"], 0)
        mutex.release()
        mutex.close()
        ring.close()
        segment.remove()
        segment.close()
        shoal.remove(self.name + "-mutex")

    def test_threads_in_the_parent(self):
        """A child of a process whose other threads wait can close what it has inherited."""
        ring = shoal.Ring(self.name)
        reader = ring.reader()
        waits = self.thread(reader.receive)
        eventually("it sleeps", asleep)
        child = os.fork()
        if child == 0:
            try:
                reader.close()
                ring.close()
                os._exit(0)
            finally:
                os._exit(1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        w = ring.writer()
        w.send(b"x")
        self.assertEqual(waits.result(), b"x")
        ring.close()

    def test_multiprocessing(self):
        """Objects are arguments: with spawn they are opened anew."""
        ring = shoal.Ring(self.name)
        reader = ring.reader()
        spawn = multiprocessing.get_context("spawn")
        p = spawn.Process(target=_send_from, args=(ring,))
        p.start()
        self.assertEqual(reader.receive(timeout=60), b"from the child")
        p.join()
        self.assertEqual(p.exitcode, 0)
        p.close()
        ring.close()
        from test_segment import _stop_tracker

        _stop_tracker()


def _send_from(ring):
    with ring, ring.writer() as writer:
        writer.send(b"from the child")


class Interpreters(Case):
    def test_exit_with_everything_open(self):
        """A process that ends without closing anything, or with a thread that waits, ends well."""
        p = self.python("""
import threading, gc
ring = shoal.Ring(name); w = ring.writer(); r = ring.reader(); w.send(b"x")
a = r.peek().view; l = w.loan(5).view; m = shoal.Mutex(name + "m"); m.acquire()
e = shoal.Event(name + "e")
threading.Thread(target=e.wait, daemon=True).start()
shoal.remove(name + "m"); shoal.remove(name + "e")
say("done")
""")
        self.assertEqual(p.hear(), "done")
        p.end()

    def test_garbage(self):
        """What is dropped is closed."""
        for _ in range(50):
            ring = shoal.Ring(self.name)
            ring.writer().send(b"x")
            reader = ring.reader()
            reader.peek()
            del ring, reader
        with shoal.Ring(self.name) as ring:
            self.assertEqual(ring.stats()["members"], 1)
            self.assertEqual(ring.reader().receive_batch(100), [b"x"] * 50)
