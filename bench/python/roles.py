"""Shoal from Python: the roles of a measurement, as ../role describes them, over rings."""

import json
import resource
import struct
import sys
import time

import shoal

ORDINARY, END = 0, 2
MASK = (1 << 64) - 1
LINE = struct.Struct("=8Q")
HEAD = struct.Struct("=2Q")

clock = time.monotonic_ns


class Job:
    def __init__(self, args):
        job = dict(a.split("=", 1) for a in args)
        self.near = job["side"] == "near"
        self.measure, self.wait = job["measure"], job["wait"]
        self.size, self.area = int(job["size"]), int(job["area"])
        self.time = int(float(job["seconds"]) * 1e9)
        self.there, self.back = job["there"], job["back"]

    def warm(self, now, begin, records):
        return now > begin + self.time // 5 and (records * self.size >= 2 * self.area or now > begin + 2 * self.time)

    def look(self):
        return max(65536 // self.size, 1)


class Sender:
    """Sends records that it has in memory of its own."""

    def __init__(self, job, name):
        self.ring = shoal.Ring(name, size=job.area)
        self.port = self.ring.writer()
        self.size = job.size
        words = [0, 0] + [at * 8 * 0x9E3779B97F4A7C15 & MASK for at in range(2, job.size // 8)]
        self.record = bytearray(struct.pack("=%dQ" % len(words), *words))
        self.rest = sum(words)
        self.records = self.sum = 0

    def send(self, number, tells):
        if self.size == 64:
            LINE.pack_into(self.record, 0, number, tells, number, number, number, number, number, number)
            self.sum += 7 * number + tells
        else:
            HEAD.pack_into(self.record, 0, number, tells)
            self.sum += self.rest + number + tells
        self.records += 1
        self.port.send(self.record)


class Receiver:
    """Adds all words of records where they lie."""

    def __init__(self, job, name):
        self.ring = shoal.Ring(name, size=job.area)
        self.port = self.ring.reader()
        self.size, self.spin = job.size, job.wait == "spin"
        self.records = self.sum = 0

    def receive(self):
        if self.spin:
            while True:
                try:
                    record = self.port.peek(0)
                    break
                except shoal.Empty:
                    pass
        else:
            record = self.port.peek()
        number, tells = self.read(record)
        record.release()
        return number, tells

    def read(self, record):
        if self.size == 64:
            words = LINE.unpack_from(record.view)
            self.sum += sum(words)
            number, tells = words[0], words[1]
        else:
            with record.view.cast("B").cast("Q") as words:
                self.sum += sum(words)
                number, tells = words[0], words[1]
        self.records += 1
        return number, tells


class Usage:
    def __init__(self):
        self.before, self.begin = resource.getrusage(resource.RUSAGE_SELF), clock()

    def stop(self, o):
        now, before = resource.getrusage(resource.RUSAGE_SELF), self.before
        o["cpu"] = int((now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime) * 1e9)
        o["switches"] = now.ru_nvcsw - before.ru_nvcsw
        o.setdefault("took", clock() - self.begin)


def clock_cost():
    least = MASK
    for _ in range(64):
        begin = clock()
        for _ in range(63):
            clock()
        least = min(least, (clock() - begin) // 64)
    return least


def ping(job, sender, receiver, o):
    times, cost, number, begin, end = [], clock_cost(), 0, clock(), None
    last, usage = begin, Usage()
    while end is None or last < end:
        if job.wait == "cold":
            time.sleep(0.001)
            last = clock()
        number += 1
        sender.send(number, ORDINARY)
        if receiver.receive()[0] != number:
            raise ValueError("a record has come back as another one")
        now = clock()
        if end is not None:
            times.append(max(now - last - cost, 0))
        elif job.warm(now, begin, number) or job.wait == "cold":
            end, usage = now + job.time, Usage()
        last = now
    usage.stop(o)
    sender.send(number + 1, END)
    times.sort()
    for name, thousandth in ("p50", 500), ("p99", 990), ("p999", 999), ("max", 1000):
        o[name] = times[min(len(times) * thousandth // 1000, len(times) - 1)]
    o["count"] = len(times)


def pong(job, sender, receiver, o):
    usage = None
    while True:
        number, tells = receiver.receive()
        usage = usage or Usage()
        if tells == END:
            usage.stop(o)
            return
        sender.send(number, ORDINARY)


def pour(job, sender, o):
    number, begin, end, usage = 0, clock(), None, Usage()
    while True:
        for _ in range(job.look()):
            sender.send(number, ORDINARY)
            number += 1
        now = clock()
        if end is None and job.warm(now, begin, number):
            end, usage = now + job.time * 11 // 10, Usage()
        elif end is not None and now > end:
            break
    usage.stop(o)
    sender.send(number, END)


def drain(job, receiver, o):
    begin, first, before, usage, left = clock(), None, 0, None, job.look()

    def finish(now):
        o["count"], o["took"] = receiver.records - before, now - first
        usage.stop(o)

    for record in receiver.port:
        if receiver.read(record)[1] == END:
            break
        left -= 1
        if left > 0 or "count" in o:
            continue
        left, now = job.look(), clock()
        if first is None and job.warm(now, begin, receiver.records):
            first, before, usage = now, receiver.records, Usage()
        elif first is not None and now > first + job.time:
            finish(now)
    if first is not None and "count" not in o:
        finish(clock())


def main():
    job = Job(sys.argv[1:])
    out, back = (job.there, job.back) if job.near else (job.back, job.there)
    sender = Sender(job, out) if out else None
    receiver = Receiver(job, back) if back else None
    print("ready", flush=True)
    if not sys.stdin.readline():
        sys.exit("nobody says go")
    o = {}
    if job.measure == "ping":
        (ping if job.near else pong)(job, sender, receiver, o)
    elif job.measure == "stream":
        pour(job, sender, o) if job.near else drain(job, receiver, o)
    else:
        sys.exit(job.measure + ": there is none")
    for name, side in ("sent", sender), ("received", receiver):
        o[name] = {"records": side.records if side else 0, "sum": side.sum & MASK if side else 0}
    print(json.dumps(o), flush=True)


main()
