"""subscriber.py TOPIC COUNT

Receives so many ticks from publishers in whatever language, and prints them: publisher.py is one in Python.
"""

import sys

import shoal


def main(name, count):
    with (
        shoal.Topic(name, type=[("number", "i8"), ("price", "f8")]) as topic,
        topic.subscriber(on_death="raise") as ticks,
    ):
        print("waiting", flush=True)
        for _ in range(int(count)):
            with ticks.peek() as record:  # where it lies, until the end of the block
                print(f"{record.array['number']} {record.array['price']:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
