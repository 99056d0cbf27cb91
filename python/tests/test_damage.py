"""Objects whose bytes contradict their format: errors, and nothing else."""

import random
import struct

import shoal

from support import Case


def use(name, cls):
    """Does whatever can be done with an object without waiting."""
    with cls(name, create=False) as it:
        steps = [it.check, it.stats, it.repair]
        if cls is shoal.Queue:
            steps += [
                lambda: it.send(b"x" * 40, timeout=0),
                lambda: it.loan(10, timeout=0).cancel(),
                lambda: [m.nack() for m in it.receive_batch(3, timeout=0)],
                lambda: [m.ack() for m in it.receive_batch(3, timeout=0)],
                it.holdings,
            ]
        else:
            out = it.writer if cls is shoal.Ring else it.publisher
            into = it.reader if cls is shoal.Ring else lambda: it.subscriber(oldest=True)

            def send():
                with out() as port:
                    port.send(b"x" * 40, timeout=0)
                    port.loan(10, timeout=0).cancel()
                    port.send_batch(bytes(200), 20, timeout=0)

            def receive():
                with into() as port:
                    bytes(port.peek(timeout=0))
                    port.receive(timeout=0)
                    port.receive_batch(5, timeout=0)

            steps += [send, receive, receive, send]
        for step in steps:
            try:
                step()
            except shoal.Error:
                pass


class Damage(Case):
    def test_every_word(self):
        """Each word of an object in turn is something else."""
        chosen = random.Random(5)
        for cls, options in (
            (shoal.Ring, {"size": 4096, "members": 4}),
            (shoal.Topic, {"lane_size": 4096, "publishers": 2, "subscribers": 2}),
            (shoal.Queue, {"slots": 4, "max_message": 100, "members": 4}),
        ):
            with cls(self.name, create=True, **options) as it:
                out = it if cls is shoal.Queue else it.writer() if cls is shoal.Ring else it.publisher()
                for i in range(4):
                    out.send(b"%d" % i * 30, timeout=0)
            path = "/dev/shm/shoal." + self.name
            with open(path, "rb") as f:
                sound = f.read()
            body = struct.unpack_from("<Q", sound, 32)[0]
            places = [
                *range(0, 64, 4),
                *chosen.sample(range(64, body, 4), 20),
                *range(body, min(len(sound), body + 2400), 8),
            ]
            for at in places:
                damaged = bytearray(sound)
                word = chosen.choice([0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 1, chosen.getrandbits(32)])
                struct.pack_into("<I", damaged, at, word)
                if at >= body and chosen.random() < 0.5:
                    struct.pack_into(
                        "<I", damaged, at + 4, chosen.choice([0, 0xFFFFFFFF, 0x80000000, chosen.getrandbits(32)])
                    )
                with open(path, "r+b") as f:
                    f.write(damaged)
                try:
                    use(self.name, cls)
                except shoal.Error:
                    pass
            with open(path, "r+b") as f:
                f.write(sound)
            self.remove()

    def test_short_files(self):
        for size in (0, 1, 63, 64, 4096):
            with open("/dev/shm/shoal." + self.name, "wb") as f:
                f.write(bytes(size))
            for cls in (shoal.Ring, shoal.Topic, shoal.Queue, shoal.Mutex, shoal.Event):
                with self.assertRaises(shoal.Error):
                    cls(self.name)
            import os

            os.unlink("/dev/shm/shoal." + self.name)

    def test_versions(self):
        """A newer minor version opens, a newer major version is refused, and says so."""
        shoal.Ring(self.name).close()
        for version, opens in ((1 << 16 | 7, True), (2 << 16, False)):
            with open("/dev/shm/shoal." + self.name, "r+b") as f:
                f.seek(8)
                f.write(struct.pack("<I", version))
            if opens:
                shoal.Ring(self.name).close()
            else:
                with self.assertRaisesRegex(shoal.VersionMismatch, "version 2.0"):
                    shoal.Ring(self.name)
                with open("/dev/shm/shoal." + self.name, "r+b") as f:
                    f.seek(8)
                    f.write(struct.pack("<I", 1 << 16))
