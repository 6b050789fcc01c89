"""One multiplexed connection to one server, for all tasks of an event loop.

redis-py connects (URL, TLS, ACL, HELLO, SELECT); then its transport gets a protocol of ours.
Commands of one tick of the loop leave in one write; replies come back in order.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from freshwell._kit.resp import Argument, Reply, new_reader, pack, server_ms_of
from freshwell.ground.serverclock import ClockSample, better, sample, server_ms

__all__ = ["Link", "Reply"]

_CLOCK_EVERY_NS = 5_000_000_000
_NS_PER_S = 1_000_000_000
_PAUSE_AFTER_FAILURE_S = 0.05
_CHUNK = 500


class _Pending:
    """Commands in flight whose replies one caller waits for."""

    __slots__ = ("future", "replies", "sent_ns", "wanted")

    def __init__(self, future: asyncio.Future[list[Reply]], wanted: int) -> None:
        self.future = future
        self.wanted = wanted
        self.replies: list[Reply] = []
        self.sent_ns = 0


class _Line(asyncio.Protocol):
    """An open connection: writes once a tick, and hands out replies in order."""

    def __init__(self, connection: Any, now_ns: Callable[[], int], timeout_ns: int) -> None:
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._reader = new_reader()
        self._loop = asyncio.get_running_loop()
        self._now_ns = now_ns
        self._timeout_ns = timeout_ns
        self._unsent: list[bytes] = []
        self._pending: deque[_Pending] = deque()
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        self.gets: dict[bytes, asyncio.Future[list[Reply]]] = {}
        self.lost: Exception | None = None
        self.writes = 0
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def send(self, data: bytes, wanted: int) -> asyncio.Future[list[Reply]]:
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if self.lost is not None:
            future.set_exception(self.lost)
            return future
        pending = _Pending(future, wanted)
        pending.sent_ns = self._now_ns()
        self._pending.append(pending)
        self._unsent.append(data)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_ns / _NS_PER_S, self._check)
        return future

    def _flush(self) -> None:
        self._flush_due = False
        self.gets.clear()
        if self._unsent and self.lost is None:
            data = b"".join(self._unsent)
            self._unsent.clear()
            self.writes += 1
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            reply = self._reader.gets()
            while reply is not False:
                pending = self._pending[0]
                pending.replies.append(reply)
                if len(pending.replies) == pending.wanted:
                    self._pending.popleft()
                    if not pending.future.done():
                        pending.future.set_result(pending.replies)
                reply = self._reader.gets()
        except (ConnectionError, IndexError):
            self.fail(LinkLost("the server answered out of protocol"))

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(LinkLost("the connection was lost"))

    def _check(self) -> None:
        self._timer = None
        if not self._pending:
            return
        left_ns = self._pending[0].sent_ns + self._timeout_ns - self._now_ns()
        if left_ns <= 0:
            self.fail(LinkTimeout("no reply came within the time limit"))
        else:
            self._timer = self._loop.call_later(left_ns / _NS_PER_S, self._check)

    def fail(self, error: Exception) -> None:
        """End the connection: replies that are due will not be waited for."""
        if self.lost is not None:
            return
        self.lost = error
        if self._timer is not None:
            self._timer.cancel()
        for pending in self._pending:
            if not pending.future.done():
                pending.future.set_exception(error)
                # Its caller may have been cancelled.
                pending.future.exception()
        self._pending.clear()
        self._transport.abort()
        # redis-py warns of a connection that still has its streams when it is collected.
        self._connection._close()


class Link:
    """Commands to one server. Belongs to the event loop in which it is first used.

    Connects on first use, and again after a loss. A command has `command_timeout_s` from when
    it is given to its reply; one that is late ends the connection, since every later reply
    would be late too. With `repeat`, a command whose connection was lost is given once more.

    Raises `LinkLost`, `LinkTimeout` and, for single commands, `ServerReplied`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout_s: float = 0.5,
        command_timeout_s: float = 0.25,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._endpoint = endpoint
        self._connect_timeout_s = connect_timeout_s
        self._timeout_ns = int(command_timeout_s * _NS_PER_S)
        self._now_ns = now_ns
        self._line: _Line | None = None
        self._connecting: asyncio.Task[_Line] | None = None
        self._clock: ClockSample | None = None
        self._clock_due_ns = 0
        self._resting_until_ns = 0
        self._closed = False
        self.connects = 0

    def server_ms(self) -> int:
        """Return the server's clock as estimated now. 0 before the first connection."""
        clock = self._clock
        return 0 if clock is None else server_ms(clock, self._now_ns())

    async def command(self, *command: Argument, repeat: bool = False) -> Reply:
        """Send one command and return its reply."""
        return _unerring((await self._send(pack(command), 1, repeat))[0])

    async def get(self, key: bytes, *, repeat: bool = True) -> bytes | None:
        """GET. Equal keys asked for in one tick share one command, while it is not yet sent."""
        line = self._line
        if line is None or line.lost is not None:
            reply: Reply = await self.command(b"GET", key, repeat=repeat)
            return _bytes(reply)
        future = line.gets.get(key)
        if future is None:
            future = line.gets[key] = line.send(
                b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key), 1
            )
            self._watch_clock()
        try:
            return _bytes(_unerring((await _shared(future))[0]))
        except LinkLost:
            if not repeat:
                raise
        return _bytes(await self.command(b"GET", key))

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """MGET in chunks, in one write."""
        chunks = [keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK)]
        replies = await self.batch([(b"MGET", *chunk) for chunk in chunks], repeat=True)
        return [value for reply in replies for value in _unerring(reply)]

    async def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write. The server's errors stand in the answer, in their place."""
        if not commands:
            return []
        return await self._send(b"".join(map(pack, commands)), len(commands), repeat)

    async def aclose(self) -> None:
        """Close the connection. What waits for replies gets `LinkLost`. Idempotent."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        line, self._line = self._line, None
        if line is not None:
            line.fail(LinkLost("the link was closed"))
            await asyncio.sleep(0)

    async def _send(self, data: bytes, wanted: int, repeat: bool) -> list[Reply]:
        for last in (not repeat, True):
            try:
                line = await self._open_line()
                future = line.send(data, wanted)
                self._watch_clock()
                return await future
            except LinkLost:
                if last:
                    raise
        raise AssertionError("unreachable")

    async def _open_line(self) -> _Line:
        line = self._line
        if line is not None and line.lost is None:
            return line
        if self._closed:
            raise LinkLost("the link was closed")
        if self._connecting is None:
            if self._now_ns() < self._resting_until_ns:
                raise LinkLost(f"{self._endpoint!r} could not be reached a moment ago")
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    def _connected(self, task: asyncio.Task[_Line]) -> None:
        self._connecting = None
        if task.cancelled():
            return
        if task.exception() is not None:
            pause_s = _PAUSE_AFTER_FAILURE_S * (1 + random.random())
            self._resting_until_ns = self._now_ns() + int(pause_s * _NS_PER_S)
        else:
            self._line = task.result()

    async def _connect(self) -> _Line:
        from redis.exceptions import RedisError

        connection = self._endpoint.connection(
            asynchronous=True, timeout_s=self._connect_timeout_s
        )
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()
                sent_ns = self._now_ns()
                await connection.send_command("TIME")
                reply = await connection.read_response()
        except (RedisError, OSError, TimeoutError) as error:
            await connection.disconnect(nowait=True)
            raise LinkLost(
                f"{self._endpoint!r} cannot be reached ({type(error).__name__})"
            ) from None
        self._observe(sent_ns, reply)
        self.connects += 1
        return _Line(connection, self._now_ns, self._timeout_ns)

    def _watch_clock(self) -> None:
        """Ask for the server's clock now and then, in passing."""
        now_ns, line = self._now_ns(), self._line
        if now_ns < self._clock_due_ns or line is None:
            return
        self._clock_due_ns = now_ns + _CLOCK_EVERY_NS
        future = line.send(b"*1\r\n$4\r\nTIME\r\n", 1)
        future.add_done_callback(lambda done: self._clock_answered(now_ns, done))

    def _clock_answered(self, sent_ns: int, done: asyncio.Future[list[Reply]]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._observe(sent_ns, done.result()[0])

    def _observe(self, sent_ns: int, reply: Reply) -> None:
        now_ns = self._now_ns()
        if isinstance(reply, list):
            new = sample(sent_ns, now_ns, server_ms_of(reply))
            self._clock = better(self._clock, new)
            self._clock_due_ns = now_ns + _CLOCK_EVERY_NS


async def _shared(future: asyncio.Future[list[Reply]]) -> list[Reply]:
    """Wait for a reply that others may wait for too: a cancelled waiter leaves it alone."""
    return await asyncio.shield(future)


def _unerring(reply: Reply) -> Reply:
    if isinstance(reply, ServerReplied):
        raise reply
    return reply


def _bytes(reply: Reply) -> bytes | None:
    return reply if isinstance(reply, bytes) else None
