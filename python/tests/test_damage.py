"""Objects whose bytes contradict their format: errors of this package, and nothing else."""

import faulthandler
import random
import struct

import shoal

from support import Case

HEADER = 64
TICK = "shoal schema 1\nstruct size 16 align 8 {\n\t0 time int64\n\t8 price float64\n}\n"

# What means harm in 8 bytes: flags of records and owners, lengths and positions that are too large by little or much.
WORDS = [0, 1, 7, 8, 0x100, 0xFFFF, 0x10001, 4096, 1 << 31, (1 << 32) - 1, 1 << 63 | 4, 5 << 61 | 8]
WORDS += [1 << 63 | 0xFFFFFFFF, 3 << 62 | 4088, (1 << 64) - 1, (1 << 64) - 8, 1 << 32 | 1 << 16, 1 << 48 | 1 << 16 | 1]
WORDS += [99 << 16, 1 << 40]


class Sound:
    """A structure with something in all of its parts, and where its records can lie."""

    def __init__(self, case, cls, type):
        self.case, self.cls, self.type, self.name = case, cls, type, case.name
        self.path = "/dev/shm/shoal." + case.name
        size = 16 if type else 300
        options = {
            shoal.Ring: {"size": 4096, "members": 2},
            shoal.Topic: {"publishers": 2, "subscribers": 2, "lane_size": 4096},
            shoal.Queue: {"slots": 4, "max_message": 0 if type else 400, "members": 2},
        }[cls]
        with cls(self.name, create=True, type=type, **options) as it:
            if cls is shoal.Queue:
                for i in range(3):
                    it.send(bytes([i]) * size)
                it.receive().ack()
                it.receive().nack()
            else:
                lane = it.writer() if cls is shoal.Ring else it.publisher()
                into = it.reader() if cls is shoal.Ring else it.subscriber(name="durable")
                with lane, into:
                    for i in range(12):
                        lane.send(bytes([i]) * size)
                    for i in range(9):
                        into.receive(timeout=0)
                    for i in range(4):  # of the longer ones some lie beyond the end
                        lane.send(bytes([i]) * size)
        with open(self.path, "rb") as f:
            self.bytes = f.read()
        self.body = struct.unpack_from("<Q", self.bytes, 32)[0]
        queue = 1280 + 2 * 128 + 128  # itself, a row for each member, marks
        self.data = self.body + {shoal.Ring: 1536, shoal.Queue: queue}.get(cls, 0)
        if cls is shoal.Topic:
            self.data = len(self.bytes) - 2 * 4096
        self.lent = 0

    def having(self, *words):
        """The bytes with other words at some offsets."""
        damaged = bytearray(self.bytes)
        for at, word in words:
            struct.pack_into("<Q", damaged, at, word)
        return damaged

    def words(self):
        """Offsets of words that are more than payload, or nothing."""
        return [
            at
            for at in range(0, len(self.bytes) - 7, 8)
            if at < HEADER
            or self.body <= at < self.data and (at - self.body) % 128 < 16
            or len(set(self.bytes[at : at + 8])) > 1
        ]

    def use(self, damaged, *patches):
        """Has the object these bytes, and does with it all that does not wait. Returns the errors.

        Patches are words that change once a port is open, each with its offset.
        """
        self.patches = patches
        with open(self.path, "wb") as f:
            f.write(damaged)
        # With another header, or another head, they may begin elsewhere.
        same = damaged[: self.body + 24] == self.bytes[: self.body + 24]
        self.first, self.size = self.data if same else HEADER, len(damaged)
        errors = []

        def attempt(step, *args):
            try:
                return step(*args)
            except shoal.Error as e:
                self.case.assertEqual(e.object, self.name)
                errors.append(e)

        it = attempt(lambda: self.cls(self.name, create=False))
        if it is None:
            return errors
        with it:
            self.where = None
            attempt(it.check)
            attempt(it.stats)
            attempt(lambda: it.dtype)
            if self.cls is shoal.Queue:
                self.patch()
                attempt(it.holdings)
                for end in ("nack", "ack", "ack"):
                    attempt(self.send, it, it)
                    for m in attempt(it.receive_batch, 2, 0) or []:
                        attempt(self.look, m)
                        attempt(getattr(m, end))
            elif self.cls is shoal.Ring:
                for end, use in ((it.reader, self.receive), (it.writer, self.send), (it.reader, self.receive)):
                    attempt(self.through, it, end, use, attempt)
            else:
                for options in ({"name": "durable"}, {"oldest": True}, {"lossy": True, "history": 3}):
                    attempt(self.through, it, lambda: it.subscriber(**options), self.receive, attempt)
                    attempt(self.through, it, it.publisher, self.send, attempt)
                attempt(it.forget, "durable")
            attempt(it.repair)
            attempt(it.check)
        return errors

    def through(self, it, end, use, attempt):
        with end() as port:
            self.patch()
            for _ in range(3):
                attempt(use, port, it)

    def patch(self):
        if self.patches:
            with open(self.path, "r+b", buffering=0) as f:
                for at, word in self.patches:
                    f.seek(at)
                    f.write(struct.pack("<Q", word))

    def send(self, port, it):
        size = 16 if self.type else 40
        port.send(bytes(size), timeout=0)
        with port.loan(size, timeout=0) as loan:
            self.look(loan)
            loan.view[:] = b"\xff" * len(loan)
            loan.commit()
        port.send_batch(bytes(4 * size), size, timeout=0)

    def receive(self, port, it):
        with port.peek(timeout=0) as record:
            self.look(record)
        port.receive_into(bytearray(it.max_record), timeout=0)
        port.receive_batch(5, timeout=0)
        if it.schema:
            port.receive_array(5, timeout=0)
        with port.peek(timeout=0) as record:
            self.look(record)
            record.skip()

    def look(self, lease):
        """What is lent lies where records lie: in the object, and behind what is not record."""
        self.lent += 1
        if len(bytes(lease)) == 0:
            return
        array = lease.array
        at = array.__array_interface__["data"][0]
        end = at + array.nbytes
        if self.where is None:
            with open("/proc/self/maps") as f:
                self.where = [line.split() for line in f if line.endswith(self.path + "\n")]
        apart = True
        for words in self.where:
            low, high = (int(s, 16) for s in words[0].split("-"))
            start = low - int(words[2], 16)  # of the object
            if start + self.first <= at and end <= min(high, start + self.size):
                return
            apart = apart and (end <= low or at >= high)
        if apart and self.cls is shoal.Topic and array.nbytes <= 2048:  # a lossy subscriber has copies
            return
        self.case.fail(f"{array.nbytes} bytes at {at:#x} were lent, out of {self.where}")


class Damage(Case):
    def setUp(self):
        super().setUp()
        faulthandler.dump_traceback_later(120, exit=True)  # whatever hangs, with or without the GIL
        self.addCleanup(faulthandler.cancel_dump_traceback_later)

    def each(self, test):
        """Tests the structures with bytes and with records of a type, one after another."""
        for cls in (shoal.Ring, shoal.Topic, shoal.Queue):
            for text in (None, TICK):
                with self.subTest(structure=cls.__name__, typed=text is not None):
                    try:
                        sound = Sound(self, cls, text)
                        met = [e for e in sound.use(sound.bytes) if not isinstance(e, shoal.Timeout)]
                        self.assertEqual(met, [])
                        self.assertGreater(sound.lent, 3)
                        test(sound)
                    finally:
                        self.remove()

    def test_bytes_and_words(self):
        """Each byte and each word that means something in turn is something else; then several words are at once.

        Before it is opened, or while it is in use.
        """
        chosen = random.Random(5)

        def test(sound):
            words = sound.words()
            for at in words:
                for i in range(8):
                    damaged = bytearray(sound.bytes)
                    flipped = damaged[at + i] ^ 1 << chosen.randrange(8)
                    damaged[at + i] = chosen.choice([0, 1, 0x7F, 0x80, 0xFF, flipped])
                    sound.use(damaged)
                for word in chosen.sample(WORDS, 4):
                    sound.use(sound.having((at, word)))
                for word in chosen.sample(WORDS, 3):
                    sound.use(sound.bytes, (at, word))
            behind = [at for at in words if at >= sound.body]
            for i in range(150):
                several = [(at, chosen.choice(WORDS)) for at in chosen.sample(behind, 3)]
                sound.use(sound.having(*several[: i % 4]), *several[i % 4 :])

        self.each(test)

    def test_short_files(self):
        """It ends early, and says so or not: it is refused."""

        def test(sound):
            for size in {*range(0, len(sound.bytes), 72), len(sound.bytes) - 1}:
                short = sound.bytes[:size]
                for says in (short, short[:16] + struct.pack("<Q", size) + short[24:]):
                    errors = sound.use(says[:size])
                    self.assertEqual(len(errors), 1, errors)
                    self.assertIsInstance(errors[0], (shoal.Corrupt, shoal.Unfinished))

        self.each(test)

    def test_what_it_says(self):
        """A word that cannot be what it says is an error that tells where."""
        nobody = 999 << 16

        def test(sound):
            body, data = sound.body, sound.data
            cases = [
                (0, 7, "magic is 0x7"),
                (16, 1 << 40, "size is 1099511627776"),
                (32, 1 << 40, "body at 1099511627776"),
                (48, 1 << 40, "0 member slots"),
            ]
            if sound.type:
                cases += [(24, 77, "fingerprint"), (40, 1 << 40 | 60, "text of 256 bytes at 60")]
            if sound.cls is shoal.Ring:
                position = struct.unpack_from("<Q", sound.bytes, body + 776)[0]
                cases += [
                    (body, 5000, "lane of 5000 bytes"),
                    (body, 8192, "lane of 8192 bytes"),
                    (body + 128, nobody, "owner of its writer"),
                    (body + 768, nobody, "owner of its reader"),
                    (body + 776, 1 << 30, "read from 1073741824"),
                    (data + position % 4096, 12345, "header 0x3039"),
                ]
            elif sound.cls is shoal.Topic:
                cases += [
                    (body, 1 << 40, "0 lanes"),
                    (body + 8, 1 << 40, "lanes of 1099511627776 bytes"),
                    (body + 16, 9, "policy 9"),
                    (body + 256, 77, "used are 77 lanes"),
                    (body + 384, nobody, "owner of its lane 0"),
                ]
            else:
                cases += [
                    (body, 3, "queue of 3 slots"),
                    (body + 8, 100, "slots of 100 bytes"),
                    (body + 128, 1 << 63, "tail 9223372036854775808"),
                    (body + 256, 1 << 40, "head is 1099511627776"),
                ]
            for at, word, says in cases:
                errors = sound.use(sound.having((at, word)))
                met = [str(e) for e in errors if isinstance(e, shoal.Corrupt)]
                self.assertTrue([text for text in met if says in text], (at, hex(word), says, errors))

        self.each(test)

    def test_types(self):
        """The text of a type that cannot be, or goes on as none, whatever its fingerprint."""
        deep = 2000 * "struct size 8 align 8 {\n\t0 a "
        for text in (
            "struct size 8 align 8 {\n\t0 a [4]int64\n}\n",
            "struct size 8 align 8 {\n\t0 a int64\n\t0 a int64\n}\n",
            "struct size 8 align 8 {\n\ta int64\n}\n",
            "struct size 8 align 8 {\n\tx a int64\n}\n",
            "struct size 8 align 8 {\n\t-8 a int64\n}\n",
            "struct size 8 align 8 {\n\t0 a [99999999999999999999]int8\n}\n",
            "struct size 8 align 8 {\n\t0 a [" + 5000 * "9" + "]int8\n}\n",
            "struct size 8 align 8 {\n\t0 a char\n}\n",
            "struct size 8 align 8 {\n\t0 a object\n}\n",
            "struct size 8 align 8 {\n\t0 a int64\n}\nint8\n",
            "struct size 8 align 8 {\n",
            "struct size 8 align 8 x" + 100 * "\u00e9" + "\n",
            deep + "int64\n" + 2000 * "}\n",
        ):
            with self.subTest(text[:80]):
                with shoal.Ring(self.name, type="shoal schema 1\n" + text, size=4096) as ring:
                    with ring.writer() as writer, ring.reader() as reader:
                        writer.send(bytes(8))
                        with self.assertRaisesRegex(shoal.Corrupt, "text of its type"):
                            ring.dtype
                        with reader.peek() as record:
                            with self.assertRaisesRegex(shoal.Corrupt, "text of its type"):
                                record.array
                        with self.assertRaises(shoal.Corrupt):
                            reader.receive_array(1, timeout=0)
                    with self.assertRaises(shoal.TypeMismatch):  # which quotes both
                        shoal.Ring(self.name, type="int8")
                self.remove()

    def test_locks(self):
        """Each byte of a lock's object in turn is something else."""
        chosen = random.Random(6)
        for make in (
            lambda: shoal.Mutex(self.name, members=1),
            lambda: shoal.Event(self.name, members=1),
            lambda: shoal.Semaphore(self.name, 2, undo=True, members=1),
        ):
            make().close()
            path = "/dev/shm/shoal." + self.name
            with open(path, "rb") as f:
                sound = f.read()
            for at in range(len(sound)):
                damaged = bytearray(sound)
                damaged[at] = chosen.choice([0, 1, 0x7F, 0x80, 0xFF])
                with open(path, "wb") as f:
                    f.write(damaged if at % 4 else sound[:at])
                try:
                    it = make()
                except shoal.Error as e:
                    self.assertEqual(e.object, self.name)
                    continue
                event = isinstance(it, shoal.Event)
                for step in (
                    it.is_set if event else it.check,
                    it.stats,
                    lambda: it.wait(0) if event else it.acquire(timeout=0),
                    it.set if event else it.release,
                    it.close,
                ):
                    try:
                        step()
                    except shoal.Error as e:
                        self.assertEqual(e.object, self.name)
            self.remove()

    def test_versions(self):
        """A newer minor version opens, a newer major one is refused, and says so: of objects and of member tables."""
        for make in (
            lambda: shoal.Mutex(self.name),
            lambda: shoal.Event(self.name),
            lambda: shoal.Semaphore(self.name),
            lambda: shoal.Ring(self.name, size=4096),
            lambda: shoal.Topic(self.name, lane_size=4096),
            lambda: shoal.Queue(self.name, slots=4, max_message=8),
        ):
            make().close()
            for at in (8, HEADER + 4):
                for version, opens in ((1 << 16 | 7, True), (2 << 16 | 3, False), (1 << 16, True)):
                    with open("/dev/shm/shoal." + self.name, "r+b") as f:
                        f.seek(at)
                        f.write(struct.pack("<I", version))
                    if opens:
                        make().close()
                    else:
                        with self.assertRaisesRegex(shoal.VersionMismatch, f"{self.name}.*version 2.3"):
                            make()
            self.remove()
