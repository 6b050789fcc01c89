"""One multiplexed connection to one server, for all tasks of an event loop.

redis-py connects (URL, TLS, ACL, HELLO, SELECT); then its transport gets a protocol of ours.
A command leaves at once where nothing is under way; otherwise all commands of one tick of the
loop leave in one write. Replies come back in order.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, Unreachable
from freshwell._kit.resp import (
    Argument,
    Reply,
    new_reader,
    not_text,
    pack,
    scan_command,
    scanned,
    server_us_of,
    values_of,
)
from freshwell.ground.serverclock import ClockSample, better, sample, server_ms

__all__ = ["Link", "Reply"]

_CLOCK_EVERY_NS = 5_000_000_000
_NS_PER_S = 1_000_000_000
_PAUSE_AFTER_FAILURE_S = 0.05
_CHUNK = 500
_MAX_PENDING = 100_000
_TIME = b"*1\r\n$4\r\nTIME\r\n"


class _Pending:
    """Commands in flight. Whoever waits for their replies has a future of their own."""

    __slots__ = ("future", "others", "replies", "sent_ns", "wanted")

    def __init__(self, future: asyncio.Future[Any], wanted: int, sent_ns: int) -> None:
        self.future = future
        self.wanted = wanted
        self.sent_ns = sent_ns
        self.replies: list[Reply] | None = None
        self.others: list[asyncio.Future[Any]] | None = None

    def collected(self, reply: Reply) -> list[Reply] | None:
        """Return all replies once the last of them is here. None: not yet."""
        if self.replies is None:
            self.replies = []
        self.replies.append(reply)
        return self.replies if len(self.replies) == self.wanted else None

    def resolve(self, outcome: Any) -> None:
        if not self.future.done():
            self.future.set_result(outcome)
        if self.others is not None:
            for other in self.others:
                if not other.done():
                    other.set_result(outcome)

    def fail(self, error: Exception) -> None:
        for future in (self.future, *(self.others or ())):
            if not future.done():
                future.set_exception(error)
                # Its caller may have been cancelled.
                future.exception()


class _Line(asyncio.Protocol):
    """An open connection: writes once a tick, and hands out replies in order."""

    def __init__(
        self,
        connection: Any,
        *,
        now_ns: Callable[[], int],
        timeout_ns: int,
        timed: bool,
        clock_answered: Callable[[int, Reply], None],
    ) -> None:
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._reader = new_reader()
        self._loop = asyncio.get_running_loop()
        self._now_ns = now_ns
        self._timeout_ns = timeout_ns
        self._clock_answered = clock_answered
        self._clock_due_ns = now_ns() + _CLOCK_EVERY_NS if timed else sys.maxsize
        self._unsent: list[bytes] = []
        self._pending: deque[_Pending] = deque()
        self._gets: dict[bytes, _Pending] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.lost: Exception | None = None
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def get(self, key: bytes) -> asyncio.Future[Reply]:
        """GET. Equal keys asked for in one tick share one command, while it has not left."""
        same = self._gets.get(key)
        if same is None:
            pending = self._append(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key), 1)
            if self._unsent:
                self._gets[key] = pending
            return pending.future
        future: asyncio.Future[Reply] = self._loop.create_future()
        if same.others is None:
            same.others = []
        same.others.append(future)
        return future

    def send(self, data: bytes, wanted: int) -> asyncio.Future[Any]:
        """Send commands that have `wanted` replies. One: the reply itself, else a list."""
        return self._append(data, wanted).future

    def _append(self, data: bytes, wanted: int) -> _Pending:
        pending = _Pending(self._loop.create_future(), wanted, self._now_ns())
        if self.lost is not None:
            pending.fail(self.lost)
        elif len(self._pending) >= _MAX_PENDING:
            pending.fail(LinkTimeout(f"{_MAX_PENDING:,} commands are waiting for their replies"))
        else:
            if not self._pending:
                # Nothing is under way: waiting for company would only cost time.
                self._transport.write(data)
                if pending.sent_ns >= self._clock_due_ns:
                    self._loop.call_soon(self._flush)
            else:
                if not self._unsent:
                    self._loop.call_soon(self._flush)
                self._unsent.append(data)
            self._pending.append(pending)
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_ns / _NS_PER_S, self._check)
        return pending

    def _flush(self) -> None:
        """Write what was given in this tick, and now and then ask for the server's clock."""
        self._gets.clear()
        if self.lost is not None:
            return
        now_ns = self._now_ns()
        if now_ns >= self._clock_due_ns:
            self._clock_due_ns = now_ns + _CLOCK_EVERY_NS
            asked = _Pending(self._loop.create_future(), 1, now_ns)
            asked.future.add_done_callback(partial(self._take_clock, now_ns))
            self._pending.append(asked)
            self._unsent.append(_TIME)
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _take_clock(self, sent_ns: int, asked: asyncio.Future[Reply]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._clock_answered(sent_ns, asked.result())

    def data_received(self, data: bytes) -> None:
        reader, pendings = self._reader, self._pending
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                pending = pendings[0]
                if pending.wanted > 1:
                    reply = pending.collected(reply)
                    if reply is None:
                        continue
                pendings.popleft().resolve(reply)
        except (ConnectionError, IndexError, TypeError):
            self.fail(LinkLost("the server answered out of protocol"))

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(LinkLost("the connection was lost"))

    def _check(self) -> None:
        """End the connection where its oldest command is late. One timer for all of them."""
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
            pending.fail(error)
        self._pending.clear()
        self._unsent.clear()
        self._transport.abort()
        # redis-py warns of a connection that still has its streams when it is collected.
        self._connection._close()


class Link:
    """Commands to one server. Belongs to the event loop in which it is first used.

    Connects on first use, and again after a loss. A command has `command_timeout_s` from when
    it is given to its reply; one that is late ends the connection, since every later reply
    would be late too. With `repeat`, a command whose connection was lost is given once more.
    Where it is not `timed`, the server's clock is not asked for: Sentinels tell none.

    Raises `LinkLost` (`Unreachable` where no connection came about), `LinkTimeout`, and
    `ServerReplied` where one reply is asked for.
    `in_order`: the commands of one batch are done in their order.
    """

    in_order = True

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connect_timeout_s: float = 0.5,
        command_timeout_s: float = 0.25,
        timed: bool = True,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._endpoint = endpoint
        self._timed = timed
        self._connect_timeout_s = connect_timeout_s
        self._timeout_ns = int(command_timeout_s * _NS_PER_S)
        self._now_ns = now_ns
        self._line: _Line | None = None
        self._connecting: asyncio.Task[_Line] | None = None
        self._clock: ClockSample | None = None
        self._resting_until_ns = 0
        self._closed = False
        self.connects = 0

    def server_ms(self, key: bytes = b"") -> int:
        """Return the server's clock as estimated now. 0 before the first connection."""
        clock = self._clock
        return 0 if clock is None else server_ms(clock, self._now_ns())

    async def get(self, key: bytes) -> bytes | None:
        """GET, given once more where the connection was lost. No text: as if it were empty."""
        line = self._line
        if line is None or line.lost is not None:
            line = await self._open_line()
        try:
            reply = await line.get(key)
        except LinkLost:
            line = await self._open_line()
            reply = await line.get(key)
        return reply if reply.__class__ is bytes or reply is None else not_text(reply)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """MGET in chunks, in one write."""
        chunks = [keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK)]
        replies = await self.batch([(b"MGET", *chunk) for chunk in chunks], repeat=True)
        return [
            value
            for chunk, reply in zip(chunks, replies, strict=True)
            for value in values_of(reply, len(chunk))
        ]

    async def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write. The server's errors stand in the answer, in their place."""
        if not commands:
            return []
        return await self._send(b"".join(map(pack, commands)), len(commands), repeat)

    async def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """SCAN. Return some keys that match, and the place to go on from. None: that is all."""
        command = scan_command(pattern, place)
        return scanned((await self.batch([command], repeat=True))[0])

    async def aclose(self) -> None:
        """Close the connection. What waits for replies gets `LinkLost`. Idempotent."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,), timeout=self._connect_timeout_s)
        line, self._line = self._line, None
        if line is not None:
            line.fail(LinkLost("the link was closed"))
            await asyncio.sleep(0)

    async def _send(self, data: bytes, wanted: int, repeat: bool) -> list[Reply]:
        line = await self._open_line()
        try:
            replies = await line.send(data, wanted)
        except LinkLost:
            if not repeat:
                raise
            line = await self._open_line()
            replies = await line.send(data, wanted)
        return replies if wanted > 1 else [replies]

    async def _open_line(self) -> _Line:
        line = self._line
        if line is not None and line.lost is None:
            return line
        if self._closed:
            raise LinkLost("the link was closed")
        if self._connecting is None:
            if self._now_ns() < self._resting_until_ns:
                raise Unreachable(f"{self._endpoint!r} could not be reached a moment ago")
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and connecting.cancelled() and not (task and task.cancelling()):
                raise LinkLost("the link was closed") from None
            raise

    def _connected(self, task: asyncio.Task[_Line]) -> None:
        self._connecting = None
        if task.cancelled():
            return
        if task.exception() is not None:
            pause_s = _PAUSE_AFTER_FAILURE_S * (1 + random.random())  # noqa: S311 - no secret
            self._resting_until_ns = self._now_ns() + int(pause_s * _NS_PER_S)
        elif self._closed:
            task.result().fail(LinkLost("the link was closed"))
        else:
            self._line = task.result()

    async def _connect(self) -> _Line:
        connection = self._endpoint.connection(asynchronous=True, timeout_s=self._connect_timeout_s)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await connection.connect()
                if self._timed:
                    await self._ask_clock(connection)
        except BaseException as error:
            await _let_go(connection)
            if not isinstance(error, Exception):
                raise
            raise Unreachable(
                f"{self._endpoint!r} cannot be reached ({type(error).__name__})"
            ) from None
        self.connects += 1
        return _Line(
            connection,
            now_ns=self._now_ns,
            timeout_ns=self._timeout_ns,
            timed=self._timed,
            clock_answered=self._observe,
        )

    async def _ask_clock(self, connection: Any) -> None:
        sent_ns = self._now_ns()
        await connection.send_command("TIME")
        self._observe(sent_ns, await connection.read_response())

    def _observe(self, sent_ns: int, reply: Reply) -> None:
        server_us = server_us_of(reply)
        if server_us is not None:
            self._clock = better(self._clock, sample(sent_ns, self._now_ns(), server_us))


async def _let_go(connection: Any) -> None:
    """Close a connection of redis-py without waiting for its peer."""
    writer = connection._writer
    if writer is not None:
        writer.transport.abort()
    await connection.disconnect(nowait=True)
