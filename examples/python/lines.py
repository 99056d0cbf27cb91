"""lines.py RING

Prints lines from a ring in asyncio, up to an empty one.
"""

import asyncio
import sys

import shoal


async def main(name):
    with shoal.Ring(name) as ring, ring.reader() as reader:
        async for record in reader:
            line = bytes(record).decode()
            if not line:
                record.release()
                break
            print(line, flush=True)
        print("end")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
