"""Receiving in asyncio.

Whoever has to wait does so in a thread of its own, which takes nothing: it only finds that there is a record. So
what is cancelled has lost none. The thread ends within 50 ms after that.
"""

import asyncio
import threading

from ._errors import Empty


async def _in_thread(attempt, undo=None):
    """Calls attempt in a thread until it returns something true, and returns that. undo gets what nobody waits for."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    stopped = False

    def tell(result, error):
        if future.done():
            if result and undo:
                undo(result)
        elif error:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run():
        result = error = None
        try:
            while not stopped and not result:
                result = attempt()
        except BaseException as e:
            error = e
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:  # the loop has been closed
            if result and undo:
                undo(result)

    threading.Thread(target=run, name="shoal wait", daemon=True).start()
    try:
        return await future
    finally:
        stopped = True


async def _ready(port):
    if not port._ready(0):
        await _in_thread(lambda: port._ready(0.05))


async def receive(port):
    while True:
        await _ready(port)
        try:
            return port.receive(timeout=0)
        except Empty:  # another task was quicker
            continue


async def peek(port):
    while True:
        await _ready(port)
        try:
            return port.peek(timeout=0)
        except Empty:
            continue


class records:
    """The records to come, each valid until the next round."""

    def __init__(self, port):
        self._port = port

    def __aiter__(self):
        return self

    async def __anext__(self):
        self._port._release()
        return await peek(self._port)


async def receive_message(queue):
    """The next message of a queue. One that arrives when nobody waits any more is given back."""

    def attempt():
        try:
            return queue.receive(timeout=0.05)
        except Empty:
            return None

    try:
        return queue.receive(timeout=0)
    except Empty:
        return await _in_thread(attempt, lambda message: message.nack())


class messages:
    """The messages to come: each is acknowledged when the next one is asked for, unless it has been given back."""

    def __init__(self, queue):
        self._queue = queue
        self._last = None

    def __aiter__(self):
        return self

    async def __anext__(self):
        last, self._last = self._last, None
        if last is not None and not last.released:
            last.ack()
        self._last = await receive_message(self._queue)
        return self._last
