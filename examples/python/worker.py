"""worker.py QUEUE

Multiplies the two numbers in each message. If it dies over one another worker gets that; what kills two of them is
given up.
"""

import sys

import shoal


def main(name):
    with shoal.Queue(name) as jobs:
        for job in jobs:  # acknowledged when the loop goes on
            text = bytes(job).decode()
            try:
                if job.deliveries > 2:
                    raise ValueError
                a, b = text.split()
                print(f"{text}: {int(a) * int(b)}", flush=True)
            except ValueError:
                print(f"{text}: given up", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
