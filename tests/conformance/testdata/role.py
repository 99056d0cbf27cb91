"""role plays one process of a conformance test, in Python. It reads a line, does what it says, and answers with a line:
"ok", a number, or the name of an error.

The same words are understood by the Go role (role_linux_test.go) and the C role (role.c).
"""

import mmap
import struct
import sys

import shoal

WORDS = [
    (shoal.OwnerDied, "ownerdied"),
    (shoal.NotRecoverable, "notrecoverable"),
    (shoal.NotHeld, "notowner"),
    (shoal.Corrupt, "corrupt"),
    (shoal.VersionMismatch, "version"),
    (shoal.KindMismatch, "kind"),
    (shoal.TypeMismatch, "type"),
    (shoal.NoSlot, "noslot"),
    (shoal.Closed, "closed"),
    (shoal.Forked, "fork"),
    (shoal.Missed, "missed"),
    (shoal.Dropped, "dropped"),
    (FileNotFoundError, "missing"),
    (FileExistsError, "exists"),
    (PermissionError, "permission"),
    (shoal.TooLarge, "toolarge"),
    (shoal.Invalid, "invalid"),
    (shoal.Busy, "busy"),
    (OverflowError, "overflow"),
]

TYPES = {
    "tick": "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price float64\n}\n",
    "tock": "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price int64\n}\n",
    "int64": "shoal schema 1\nint64\n",
    "float64": "shoal schema 1\nfloat64\n",
}


def word_for(e):
    if isinstance(e, shoal.Timeout):
        return "busy" if e.code == -16 else "timedout"
    if isinstance(e, shoal.OSFailure) and e.errno == 75:
        return "overflow"
    return next((word for cls, word in WORDS if isinstance(e, cls)), f"error: {e!r}")


def number(s):
    return int(s, 0) if s else 0


def seconds(s):
    """A time in nanoseconds; none is for ever."""
    return int(s, 0) / 1e9 if s else None


def in_time(done, busy="timedout"):
    return "ok" if done else busy


def fill(view, number):
    """A record: so many bytes, all of the lowest byte of its number, which the first 8 hold."""
    view[:] = filled(number, len(view))


def filled(number, n):
    return (struct.pack("<Q", number) + bytes([number & 0xFF]) * (n - 8))[:n]


def number_of(record):
    return struct.unpack("<Q", bytes(record[:8]).ljust(8, b"\0"))[0]


def record_of(record):
    n = number_of(record)
    return f"{n} {len(record)}" if record == filled(n, len(record)) else "torn"


def members(stats):
    return "members {members} deaths {deaths} repairs {repairs} lost {lost_wakes}".format(**stats)


class Words:
    """What a word that is said stands for: a method for each."""

    def do(self, verb, *args):
        method = getattr(self, "do_" + verb, None)
        if method is None:
            return f"no verb {verb}"
        try:
            answer = method(*args)
        except (shoal.Error, OverflowError) as e:
            return word_for(e)
        return "ok" if answer is None else str(answer)

    def keep(self, it):
        """What was opened before stays open, as in the other languages."""
        self.kept.append(it)
        return it

    def __init__(self, role):
        self.role = role
        self.kept = []


class Primitive(Words):
    it = None

    def do_stats(self, *_):
        return members(self.it.stats())

    def do_check(self, *_):
        self.it.check()

    def do_close(self, *_):
        self.it.close()

    def do_join(self, at, *_):
        self.it = self.keep(self.cls.join(self.role.segment.members, number(at)))


class MutexWords(Primitive):
    cls = shoal.Mutex

    def do_open(self, name, *_):
        self.it = self.keep(shoal.Mutex(name, members=8))
        self.body = body_of(name)

    def do_init(self, at, *_):
        self.it = self.keep(shoal.Mutex.init(self.role.segment.members, number(at)))

    def do_lock(self, timeout, *_):
        return in_time(self.it.acquire(timeout=seconds(timeout)))

    def do_try(self, *_):
        return in_time(self.it.acquire(blocking=False), "busy")

    def do_unlock(self, *_):
        self.it.release()

    def do_mark(self, *_):
        self.it.mark_consistent()

    def do_count(self, n, *_):
        for _ in range(number(n)):
            with self.it:
                self.body[2] += 1

    def do_work(self, worker, *_):
        """Counts in two words beside the mutex, which differ only while somebody is between them, for ever."""
        a, b, ledger = 2, 3, self.role.segment.words()
        while True:
            try:
                self.it.acquire()
            except shoal.OwnerDied:
                self.body[b] = self.body[a]
                self.it.mark_consistent()
            if self.body[a] != self.body[b]:
                return "torn"
            self.body[a] += 1
            self.body[b] += 1
            self.it.release()
            ledger[number(worker)] += 1


def body_of(name):
    """The words of the body of a named object, which a mutex uses but the first two of."""
    if "/" in name or ":" in name:
        return None
    with open("/dev/shm/shoal." + name, "r+b") as f:
        m = mmap.mmap(f.fileno(), 0)
    body = struct.unpack_from("<Q", m, 32)[0]
    return memoryview(m)[body : len(m) - len(m) % 8].cast("Q")


class EventWords(Primitive):
    cls = shoal.Event

    def do_open(self, name, how, *_):
        self.it = self.keep(shoal.Event(name, auto=how == "auto", members=8))

    def do_init(self, at, how, *_):
        self.it = self.keep(shoal.Event.init(self.role.segment.members, number(at), auto=how == "auto"))

    def do_wait(self, timeout, *_):
        return in_time(self.it.wait(timeout=seconds(timeout)))

    def do_try(self, *_):
        return in_time(self.it.wait(timeout=0), "busy")

    def do_set(self, *_):
        self.it.set()

    def do_reset(self, *_):
        self.it.clear()

    def do_isset(self, *_):
        return int(self.it.is_set())


class SemaphoreWords(Primitive):
    cls = shoal.Semaphore

    def do_open(self, name, how, value, *_):
        self.it = self.keep(shoal.Semaphore(name, number(value), undo=how == "undo", members=8))

    def do_init(self, at, how, value, *_):
        self.it = self.keep(
            shoal.Semaphore.init(self.role.segment.members, number(at), number(value), undo=how == "undo")
        )

    def do_acquire(self, timeout, *_):
        return in_time(self.it.acquire(timeout=seconds(timeout)))

    def do_try(self, *_):
        return in_time(self.it.acquire(blocking=False), "busy")

    def do_release(self, *_):
        self.it.release()

    def do_value(self, *_):
        return self.it.value

    def do_work(self, worker, *_):
        ledger = self.role.segment.words()
        while True:
            self.it.acquire()
            self.it.release()
            ledger[number(worker)] += 1


class Sending(Words):
    """The words of what sends: out is the port."""

    def do_send(self, n, length, timeout, *_):
        self.out.send(filled(number(n), number(length)), timeout=seconds(timeout))

    def do_try(self, n, length, *_):
        self.out.send(filled(number(n), number(length)), timeout=0)

    def do_batch(self, n, count, *_):
        self.out.send_batch(b"".join(filled(number(n) + i, 16) for i in range(number(count))), size=16)

    def do_place(self, n, length, *_):
        with self.out.loan(number(length)) as loan:
            fill(loan.view, number(n))

    def do_cancel(self, n, length, *_):
        loan = self.out.loan(number(length))
        fill(loan.view, number(n))
        loan.cancel()


class Receiving(Words):
    """The words of what receives: into is the port."""

    def do_receive(self, timeout, *_):
        return record_of(self.into.receive(timeout=seconds(timeout)))

    def do_tryreceive(self, *_):
        return record_of(self.into.receive(timeout=0))

    def do_peek(self, *_):
        return record_of(bytes(self.into.peek(timeout=0)))

    def do_count(self, *_):
        n = 0
        try:
            while True:
                self.into.receive(timeout=0)
                n += 1
        except shoal.Error:
            return n

    def drain(self, first, count, skips):
        for i in range(count):
            record = self.into.peek()
            if number_of(record.view) != first + i:
                return "corrupt"
            record.skip() if skips(i) else record.release()


class RingWords(Sending, Receiving):
    why = ""

    def do_open(self, name, size, type, *_):
        try:
            self.it = self.keep(shoal.Ring(name, size=number(size), type=TYPES.get(type)))
        except shoal.Error as e:
            self.why = str(e).partition(": ")[2].partition(": ")[2]
            raise

    def do_writer(self, *_):
        self.out = self.keep(self.port("writer"))

    def do_reader(self, *_):
        self.into = self.keep(self.port("reader"))

    def port(self, which):
        try:
            return getattr(self.it, which)()
        except shoal.Error as e:
            self.why = str(e).partition(": ")[2]
            raise

    def do_unwriter(self, *_):
        self.out.close()

    def do_unreader(self, *_):
        self.into.close()

    def do_drain(self, first, count, *_):
        return self.drain(number(first), number(count), lambda i: False)

    def do_skip(self, *_):
        self.into.peek().skip()

    def do_skim(self, first, count, *_):
        return self.drain(number(first), number(count), lambda i: i + 1 < number(count))

    def do_stream(self, first, count, *_):
        for i in range(number(count)):
            self.out.send(filled(number(first) + i, 8 + i % 100))

    def do_flow(self, *_):
        """Sends records for ever, each with the number that the ring will count it by."""
        n = self.it.stats()["sent"]
        while True:
            self.out.send(filled(n, 8 + n % 100))
            n += 1

    def do_follow(self, *_):
        """Receives them for ever; see role.c."""
        ledger = self.role.segment.words()
        want, first = ledger[0], True
        while True:
            record = self.into.peek()
            n = number_of(record.view)
            if first and n < want <= n + 2:
                want = n
            if n != want or bytes(record) != filled(n, 8 + n % 100):
                return f"torn: {n} of {len(record)} bytes, want {want}"
            want, first = want + 1, False
            ledger[0] = want
            record.skip() if n % 7 == 0 else record.release()

    def do_why(self, *_):
        return self.why

    def do_check(self, *_):
        self.it.check()

    def do_repair(self, *_):
        return self.it.repair()

    def do_stats(self, *_):
        return "sent {sent} received {received} repairs {writer_repairs} {reader_repairs}".format(**self.it.stats())

    def do_close(self, *_):
        self.it.close()


class TopicWords(Sending, Receiving):
    def do_open(self, name, policy, how, *_):
        size = {} if how in TYPES or not how else {"lane_size": number(how)}
        self.it = self.keep(
            shoal.Topic(
                name,
                publishers=3,
                subscribers=4,
                type=TYPES.get(how),
                policy=policy if policy in ("refuse", "drop") else "wait",
                **{"lane_size": 4096, **size},
            )
        )

    def do_publisher(self, *_):
        self.out = self.keep(self.it.publisher())

    def do_unpublisher(self, *_):
        self.out.close()

    def do_subscribe(self, how, detail, *_):
        options = {"lossy": how.startswith("lossy"), "oldest": "oldest" in how}
        if how.startswith("named"):
            options["name"] = detail
        else:
            options["history"] = number(detail)
        self.into = self.keep(self.it.subscriber(**options))

    def do_unsubscribe(self, *_):
        self.into.close()

    def do_forget(self, name, *_):
        self.it.forget(name)

    def do_release(self, *_):
        self.into.peek(timeout=0).release()

    def do_tally(self, *_):
        n = missed = 0
        while True:
            try:
                self.into.receive(timeout=0)
                n += 1
            except shoal.Missed as e:
                missed += e.count
            except shoal.Empty:
                return f"{n + missed}, {'some' if missed else 'none'} missed"

    def do_last(self, *_):
        return "{} {}".format(*self.into.last)

    def do_drain(self, first, count, *_):
        return self.drain(number(first), number(count), lambda i: i % 3 and i + 1 < number(count))

    def do_collectbatch(self, first, count, *_):
        want, end = number(first), number(first) + number(count)
        while want < end:
            for record in self.into.receive_batch(min(100, end - want)):
                if number_of(record) != want:
                    return "corrupt"
                want += 1

    def do_stream(self, first, count, *_):
        for n in range(number(first), number(first) + number(count)):
            self.out.send(filled(n, 8 + n % 100))

    def do_follow(self, last, *_):
        want = 0
        while True:
            try:
                record = self.into.peek()
            except shoal.Missed as e:
                want += e.count
                continue
            except shoal.Dropped:
                continue
            if record.number != want or bytes(record) != filled(want, 8 + want % 100):
                return "corrupt"
            record.release()
            if want == number(last):
                return None
            want += 1

    def do_hop(self, times, *_):
        """Subscribes again and again while records come, and looks at the first ones; see role.c."""
        for i in range(number(times)):
            with self.it.subscriber(oldest=i % 3 == 1, history=2 if i % 3 == 2 else 0) as into:
                want = 0
                for _ in range(40):
                    try:
                        record = into.peek(timeout=0)
                    except shoal.Empty:
                        continue
                    got = number_of(record.view)
                    if got != record.number or want not in (0, got) or len(record.view) != 8 + got % 100:
                        return "corrupt"
                    want = got + 1
                    record.release()

    def do_publish(self, who, *_):
        """Sends records for ever: who it is, a number, its lowest byte. The number is raised in the ledger before."""
        ledger, who = self.role.segment.words(), number(who)
        while True:
            ledger[who] += 1
            n = ledger[who]
            self.out.send(struct.pack("<QQ", who, n) + bytes([n & 0xFF]) * 48)

    @staticmethod
    def published(record):
        who, n = struct.unpack("<QQ", record[:16])
        if len(record) != 64 or who >= 8 or record[16:] != bytes([n & 0xFF]) * 48:
            raise Torn
        return who, n

    def do_collect(self, at, *_):
        ledger, at = self.role.segment.words(), number(at)
        for record in self.into:
            who, n = self.published(bytes(record))
            last, gaps = ledger[at + who] >> 16, ledger[at + who] & 0xFFFF
            if n > last:
                gaps += n - last - 1
            if n < last or gaps > ledger[16 + who]:
                return f"record {n} of publisher {who} after {last}"
            ledger[at + who] = n << 16 | gaps
            ledger[at + 8] += 1

    def do_watch(self, at, *_):
        ledger, at = self.role.segment.words(), number(at)
        want, last = [0] * 3, [0] * 8
        while True:
            try:
                record = self.into.peek()
            except shoal.Missed as e:
                if want[e.publisher]:
                    want[e.publisher] += e.count
                continue
            who, n = self.published(bytes(record))
            if n <= last[who]:
                raise Torn
            if want[record.publisher] not in (0, record.number + 1):
                return f"record {record.number} of lane {record.publisher}, want {want[record.publisher] - 1}"
            want[record.publisher], last[who] = record.number + 2, n
            ledger[at + 8] += 1
            record.release()

    def do_check(self, *_):
        self.it.check()

    def do_repair(self, *_):
        return self.it.repair()

    def do_lost(self, *_):
        return self.it.stats()["lost_wakes"]

    def do_lane(self, n, *_):
        for p in self.it.stats()["publishers"]:
            if p["number"] == number(n):
                return f"sent {p['sent']} full {p['full']} repairs {p['repairs']} {self.state(p)}"
        return "invalid"

    def do_subscriber(self, n, *_):
        for s in self.it.stats()["subscribers"]:
            if s["number"] == number(n):
                how = "dropped" if s["dropped"] else "reliable" if s["reliable"] else "lossy"
                counts = "received {received} missed {missed} lag {lag}".format(**s)
                return f"{s['name'] or 'unnamed'} {how} {counts} {self.state(s)}"
        return "free"

    @staticmethod
    def state(p):
        return "nobody" if p["pid"] == 0 else "alive" if p["alive"] else "dead"

    def do_reliable(self, *_):
        return int(self.into.reliable)

    def do_close(self, *_):
        self.it.close()


class QueueWords(Sending):
    def __init__(self, role):
        super().__init__(role)
        self.held, self.lent = [], []
        self.last = self.loan = None

    def do_open(self, name, slots, length, *_):
        self.out = self.it = self.keep(shoal.Queue(name, slots=number(slots), max_message=number(length)))

    def do_type(self, name, n, *_):
        self.out = self.it = self.keep(shoal.Queue(name, slots=4, type=f"shoal schema 1\n[{n}]uint8\n"))

    def do_lend(self, n, length, *_):
        loan = self.it.loan(number(length))
        fill(loan.view, number(n))
        self.lent.append(loan)

    def do_commit(self, size, *_):
        if self.lent:
            self.loan = self.lent[0]
        self.loan.commit(number(size) if size else None)
        del self.lent[:1]

    def do_cancel(self, *_):
        if self.lent:
            self.loan = self.lent[0]
        self.loan.cancel()
        del self.lent[:1]

    def hold(self, message):
        self.held.append(message)
        return f"{record_of(bytes(message))} {message.deliveries}"

    def do_receive(self, timeout, *_):
        return self.hold(self.it.receive(timeout=seconds(timeout)))

    def do_tryreceive(self, *_):
        return self.hold(self.it.receive(timeout=0))

    def do_some(self, n, *_):
        got = self.it.receive_batch(number(n))
        self.held += got
        return len(got)

    def let_go(self, n):
        """The first message that is held, or that of a number; it may be tried again."""
        for i, m in enumerate(self.held):
            if not n or number_of(m.view) == number(n):
                self.last = self.held.pop(i)
                break
        return self.last

    def do_ack(self, n, *_):
        self.let_go(n).ack()

    def do_nack(self, n, *_):
        self.let_go(n).nack()

    def do_ackall(self, *_):
        held, self.held = self.held, []
        for m in held:
            m.ack()

    def do_use(self, *_):
        self.it.receive().ack()

    def do_back(self, *_):
        self.it.receive().nack()

    def do_hold(self, *_):
        self.held.append(self.it.receive())

    def do_count(self, *_):
        n = 0
        try:
            while True:
                self.it.receive(timeout=0).ack()
                n += 1
        except shoal.Empty:
            return n

    def do_drain(self, first, count, *_):
        for n in range(number(first), number(first) + number(count)):
            with self.it.receive() as m:
                if number_of(m.view) != n:
                    return "corrupt"

    def do_stream(self, first, count, *_):
        for i in range(number(count)):
            self.it.send(filled(number(first) + i, 8 + i % 100))

    def do_work(self, worker, *_):
        """Sends, or consumes, for ever; see role.c."""
        worker, words = number(worker), self.role.segment.words()
        n = words[worker] + 1
        message = lambda n, size: filled(n, 8) + bytes([worker]) + filled(n, size)[9:]
        while worker < 4:
            count = 1
            if n % 3 == 0:
                count = self.it.send_batch(b"".join(message(n + i, 64) for i in range(4)), size=64)
            elif n % 3 == 1:
                self.it.send(message(n, 64))
            else:
                size = 16 + n % 200
                with self.it.loan(size) as loan:
                    loan.view[:] = message(n, size)
            n += count
            words[worker] = n - 1
        while True:
            for m in self.it.receive_batch(1 + n % 4):
                record = bytes(m)
                of = number_of(record)
                if record[9:] != bytes([of & 0xFF]) * (len(record) - 9):
                    raise Torn
                if n % 64 == 0:
                    m.nack()
                else:
                    enter(words, 512 + (record[8] * (1 << 23) + of) // 64, 1 << of % 64)
                    words[worker] += 1
                    m.ack()
                n += 1

    def do_check(self, *_):
        self.it.check()

    def do_repair(self, *_):
        self.it.repair()

    def do_stats(self, *_):
        return (
            "sent {sent} received {received} acked {acked} nacked {nacked} redelivered {redelivered} "
            "returned {returned} freed {freed}".format(**self.it.stats())
        )

    def do_slots(self, *_):
        return "free {free} claimed {claimed} ready {ready} taken {taken}".format(**self.it.stats())

    def do_free(self, *_):
        return self.it.stats()["free"]

    def do_holdings(self, *_):
        alive = [h["alive"] for h in self.it.holdings()]
        return f"{alive.count(True)} {alive.count(False)}"

    def do_close(self, *_):
        self.it.close()
        self.held, self.lent = [], []


def enter(words, i, bit):
    """Sets a bit of a word that other processes set bits of, too: Python has nothing for that, the compiler's library has."""
    import ctypes

    at = ctypes.c_uint64.from_buffer(words, 8 * i)
    ctypes.CDLL("libatomic.so.1").__atomic_fetch_or_8(ctypes.byref(at), ctypes.c_uint64(bit), 5)


class Torn(shoal.Error):
    pass


WORDS.insert(0, (Torn, "torn"))


class SegmentWords(Words):
    members = None

    def do_open(self, name, *_):
        self.it = self.keep(shoal.Segment(name))

    def do_close(self, *_):
        self.it.close()

    def words(self):
        return self.it.buf.cast("Q")


class MembersWords(Words):
    def do_join(self, n, *_):
        self.role.segment.members = self.keep(shoal.Members(self.role.segment.it, 0, number(n)))

    def do_leave(self, *_):
        self.role.segment.members.close()


class Role:
    def __init__(self):
        self.nouns = {
            "mutex": MutexWords(self),
            "event": EventWords(self),
            "semaphore": SemaphoreWords(self),
            "ring": RingWords(self),
            "topic": TopicWords(self),
            "queue": QueueWords(self),
            "segment": SegmentWords(self),
            "members": MembersWords(self),
        }
        self.segment = self.nouns["segment"]

    def perform(self, words):
        noun, *args = words
        if noun == "remove":
            try:
                shoal.remove(args[0])
            except shoal.Error as e:
                return word_for(e)
            return "ok"
        if noun not in self.nouns:
            return f"no noun {noun}"
        verb, *args = args
        return self.nouns[noun].do(verb, *args, *[""] * (4 - len(args)))


def main():
    role = Role()
    for line in sys.stdin:
        print(role.perform(line.split()), flush=True)


if __name__ == "__main__":
    main()
