"""Queues."""

import asyncio
import time

import numpy

import shoal

from support import Case, asleep, eventually, tick


class Queues(Case):
    def setUp(self):
        super().setUp()
        self.queue = shoal.Queue(self.name, slots=4, max_message=200)
        self.addCleanup(lambda: self.queue.close())

    def test_messages(self):
        q = self.queue
        q.send(b"one")
        self.assertEqual(q.send_batch(b"aabb", 2), 2)
        with q.loan(5) as loan:
            loan.view[:] = b"hello"
        self.assertGreaterEqual(q.max_message, 200)
        self.assertEqual(q.slots, 4)
        with self.assertRaises(shoal.Full):
            q.send(b"", timeout=0.06)
        with q.receive() as m:
            self.assertEqual((bytes(m), m.deliveries), (b"one", 1))
            first = m.number
            m.view[0] = 1  # may be changed
        m = q.receive()
        self.assertEqual(m.number, first + 1)
        m.nack()
        with self.assertRaises(shoal.NotHeld):
            m.ack()
        m, *others = q.receive_batch(9)
        self.assertEqual((bytes(m), m.deliveries), (b"aa", 2))
        for it in (m, *others):
            it.ack()
        with self.assertRaises(shoal.Empty):
            q.receive(timeout=0)
        s = q.stats()
        self.assertEqual((s["sent"], s["acked"], s["nacked"], s["free"]), (4, 4, 1, 4))
        q.check()

    def test_given_back(self):
        """By an exception, by a loop that is left, by garbage, by close."""
        q = self.queue
        q.send(b"x")
        with self.assertRaises(KeyError):
            with q.receive():
                raise KeyError
        for m in q:
            self.assertEqual(m.deliveries, 2)
            break
        del m
        q.receive()
        m = q.receive(timeout=0)
        self.assertEqual(m.deliveries, 4)
        self.assertEqual([h["deliveries"] for h in q.holdings()], [4])
        other = shoal.Queue(self.name)
        self.queue.close()
        with self.assertRaises(shoal.Closed):
            m.ack()
        with self.assertRaises(ValueError):
            m.view
        with other.receive(timeout=0) as m:
            self.assertEqual(m.deliveries, 5)
        for i in range(3):
            other.send(b"%d" % i)
        seen = []
        for m in other:
            seen.append(bytes(m))
            if len(seen) == 3:
                m.ack()
                break
        self.assertEqual((seen, other.stats()["free"]), ([b"0", b"1", b"2"], 4))
        other.close()

    def test_views(self):
        q = self.queue
        q.send(b"A" * 100)
        m = q.receive()
        a = m.array
        for what in (m.ack, m.nack, q.close):
            with self.assertRaises(BufferError):
                what()
        self.assertEqual(bytes(a), b"A" * 100)
        del a
        view = m.view
        m.ack()
        with self.assertRaises(ValueError):
            view[0]

    def test_consumer_dies(self):
        q = self.queue
        q.send(b"x")
        p = self.python("m = shoal.Queue(name).receive(); say('has it'); time.sleep(60)")
        self.assertEqual(p.hear(), "has it")
        waits = self.thread(q.receive)
        eventually("it sleeps", asleep)
        p.kill()
        m = waits.result()
        self.assertEqual((bytes(m), m.deliveries), (b"x", 2))
        m.ack()

    def test_threads(self):
        q = self.queue
        sends = [self.thread(lambda k: [q.send(bytes([k, i])) for i in range(100)], k) for k in range(2)]

        def consume():
            got = []
            for m in q:
                got.append(bytes(m))
                if got[-1] == b"end":
                    m.ack()
                    return got[:-1]

        gets = [self.thread(consume) for _ in range(2)]
        for s in sends:
            s.result()
        q.send(b"end")
        q.send(b"end")
        self.assertEqual(
            sorted(gets[0].result() + gets[1].result()), sorted(bytes([k, i]) for k in range(2) for i in range(100))
        )

    def test_asyncio(self):
        q = self.queue

        async def main():
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, q.send, b"1")
            (await q.areceive()).ack()
            waits = asyncio.ensure_future(q.areceive())
            await asyncio.sleep(0.01)
            waits.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waits
            q.send(b"2")
            q.send(b"3")
            got = set()
            async for m in q:
                got.add(bytes(m))
                if len(got) == 2:
                    m.ack()
                    break
            self.assertEqual(got, {b"2", b"3"})

        asyncio.run(main())
        end = time.monotonic() + 10  # who was cancelled may have had it in hand
        while q.stats()["free"] != 4 and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(q.stats()["free"], 4)

    def test_types(self):
        with shoal.Queue(self.name + "typed", type=tick, slots=4) as q:
            shoal.remove(self.name + "typed")
            with q.loan() as loan:
                loan.array["price"] = 2
            q.send_batch(numpy.zeros(2, tick))
            with q.receive() as m:
                self.assertEqual(m.array["price"], 2)
