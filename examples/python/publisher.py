"""publisher.py TOPIC COUNT

Publishes so many ticks. A subscriber that is slow holds it up; see the policies of shoal.Topic.
"""

import sys

import shoal


def main(name, count):
    with shoal.Topic(name, type=[("number", "i8"), ("price", "f8")]) as topic, topic.publisher() as ticks:
        for i in range(int(count)):
            with ticks.loan() as loan:  # the place where subscribers see it, from the end of the block on
                loan.array["number"] = i
                loan.array["price"] = 100 + i / 4
        print("sent", count)


if __name__ == "__main__":
    main(*sys.argv[1:])
