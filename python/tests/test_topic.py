"""Topics."""

import asyncio

import numpy

import shoal

from support import Case, tick


class Topics(Case):
    def setUp(self):
        super().setUp()
        self.topic = shoal.Topic(self.name, lane_size=4096, publishers=2, subscribers=3)
        self.addCleanup(lambda: self.topic.close())

    def test_all_get_all(self):
        t = self.topic
        with t.publisher() as one, t.publisher() as two, t.subscriber() as a, t.subscriber(lossy=True) as b:
            self.assertEqual({one.number, two.number}, {0, 1})
            self.assertEqual((a.reliable, b.reliable, t.policy, t.max_record), (True, False, "wait", 2024))
            with self.assertRaises(shoal.NoSlot):
                t.publisher()
            one.send(b"1")
            two.send(b"2")
            for s in (a, b):
                got = {}
                for _ in range(2):
                    with s.peek() as record:
                        got[record.publisher] = bytes(record)
                        self.assertEqual(record.number, 0)
                        self.assertEqual(s.last, (record.publisher, 0))
                self.assertEqual(got, {one.number: b"1", two.number: b"2"})
                with self.assertRaises(shoal.Empty):
                    s.receive(timeout=0)
            stats = t.stats()
            self.assertEqual([p["sent"] for p in stats["publishers"]], [1, 1])
            self.assertEqual([s["received"] for s in stats["subscribers"]], [2, 2])
            t.check()
        self.assertEqual(t.repair(), 0)

    def test_missed(self):
        p, s = self.topic.publisher(), self.topic.subscriber(lossy=True)
        for i in range(500):
            p.send(b"%d" % i)
        with self.assertRaises(shoal.Missed) as raised:
            s.receive()
        missed = raised.exception
        self.assertGreater(missed.count, 100)
        self.assertEqual((missed.publisher, missed.number), (p.number, missed.count))
        self.assertEqual(s.receive(), b"%d" % missed.count)
        # In a batch it comes behind what was there before.
        p.send_batch(bytes(5000), 10)
        with self.assertRaises(shoal.Missed):
            while True:
                s.receive_batch(1000)
        p.close()
        s.close()

    def test_policies(self):
        for policy in ("refuse", "drop"):
            with shoal.Topic(self.name + policy, lane_size=4096, policy=policy) as t:
                shoal.remove(self.name + policy)
                p, s = t.publisher(), t.subscriber()
                if policy == "refuse":
                    with self.assertRaises(shoal.Full):
                        while True:
                            p.send(bytes(1000))
                else:
                    for _ in range(10):
                        p.send(bytes(1000))
                    with self.assertRaises(shoal.Dropped):
                        s.receive()
                    self.assertFalse(s.reliable)
        with self.assertRaises(ValueError):
            shoal.Topic(self.name + "x", policy="hope")

    def test_names_and_history(self):
        t, p = self.topic, self.topic.publisher()
        with t.subscriber(name="log") as s:
            with self.assertRaises(shoal.Busy):
                t.subscriber(name="log")
            p.send(b"0")
            self.assertEqual(s.receive(), b"0")
        p.send(b"1")
        p.send(b"2")
        with t.subscriber(oldest=True) as s:
            self.assertEqual(s.receive_batch(9), [b"0", b"1", b"2"])
        with t.subscriber(history=1) as s:
            self.assertEqual(s.receive_batch(9), [b"2"])
        with t.subscriber(name="log") as s:
            self.assertEqual(s.receive_batch(9), [b"1", b"2"])
        t.forget("log")
        with self.assertRaises(FileNotFoundError):
            t.forget("log")
        p.close()

    def test_views(self):
        """A record that is in use holds publishers; a copy of a lossy subscriber's is its own."""
        p, s, lossy = self.topic.publisher(), self.topic.subscriber(), self.topic.subscriber(lossy=True)
        p.send(b"A" * 100)
        record, copied = s.peek(), lossy.peek()
        a, c = record.array, copied.array
        with self.assertRaises(shoal.Full):
            while True:
                p.send(b"B" * 100, timeout=0)
        self.assertEqual((bytes(a), bytes(c)), (b"A" * 100, b"A" * 100))
        for what in (record.release, record.skip, s.receive, s.close, self.topic.close):
            with self.assertRaises(BufferError):
                what()
        del a
        record.release()
        with self.assertRaises(BufferError):
            lossy.close()
        while True:
            try:
                p.send(b"C" * 100, timeout=0)
                s.receive()
            except shoal.Full:
                break
            if p.number == 0 and self.topic.stats()["publishers"][0]["sent"] > 200:
                break
        self.assertEqual(bytes(c), b"A" * 100)
        del c
        copied.release()

    def test_close_with_open_ports(self):
        p, s = self.topic.publisher(), self.topic.subscriber()
        self.topic.close()
        self.assertTrue(p.closed and s.closed)
        for what in (lambda: p.send(b""), s.receive, lambda: s.reliable, self.topic.publisher, self.topic.stats):
            with self.assertRaises(shoal.Closed):
                what()
        p.close()
        s.close()

    def test_asyncio(self):
        p, s = self.topic.publisher(), self.topic.subscriber()

        async def main():
            loop = asyncio.get_running_loop()
            loop.call_later(0.01, p.send, b"1")
            self.assertEqual(await s.areceive(), b"1")
            loop.call_later(0.01, p.send, b"2")
            async for record in s:
                self.assertEqual(bytes(record), b"2")
                break

        asyncio.run(main())

    def test_types(self):
        with shoal.Topic(self.name + "typed", type=tick) as t:
            shoal.remove(self.name + "typed")
            p, s = t.publisher(), t.subscriber()
            p.send_batch(numpy.array([(i, i) for i in range(100)], tick))
            self.assertEqual(s.receive_array(1000)["price"].sum(), 4950)


class Deaths(Case):
    publishes = """
p = shoal.Topic(name).publisher()
n = int(sys.argv[2])
while True: p.send(b"%d" % n); n += 1
"""

    def test_publisher_dies(self):
        with shoal.Topic(self.name) as t, t.subscriber(on_death="raise") as s, t.subscriber() as patient:
            p = self.python(self.publishes, "0")
            for n in range(1000):
                self.assertEqual(s.receive(timeout=60), b"%d" % n)
                self.assertEqual(patient.receive(timeout=60), b"%d" % n)
            p.kill()
            n = 1000
            with self.assertRaises(shoal.PeerDied):
                while True:
                    self.assertEqual(s.receive(timeout=60), b"%d" % n)
                    n += 1
            self.python(self.publishes, str(n))
            for i in range(1000, n + 1000):  # as if nothing had happened
                self.assertEqual(patient.receive(timeout=60), b"%d" % i)
                if i >= n:
                    self.assertEqual(s.receive(timeout=60), b"%d" % i)

    def test_one_who_closes_has_not_died(self):
        with shoal.Topic(self.name) as t, t.subscriber(on_death="raise") as s:
            p = self.python("p = shoal.Topic(name).publisher(); p.send(b'x')")
            p.end()
            self.assertEqual(s.receive(timeout=60), b"x")
            with self.assertRaises(shoal.Empty):
                s.receive(timeout=0.12)
