"""One multiplexed connection to one server, for all tasks of an event loop.

redis-py connects (URL, TLS, ACL, HELLO, SELECT); then its transport gets a protocol of ours.
A command leaves at once where nothing is under way; otherwise all commands of one tick of the
loop leave in one write. Replies come back in order.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from freshwell._kit.aio_line import Line
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, Unreachable
from freshwell._kit.resp import (
    Argument,
    Reply,
    not_text,
    pack,
    pack_mget,
    scan_command,
    scanned,
    server_us_of,
    unerring,
    values_of,
)
from freshwell.ground.serverclock import ClockSample, ahead_ns, better, sample

__all__ = ["Link", "Reply"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_PAUSE_AFTER_FAILURE_S = 0.05
_CHUNK = 500


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
        self._line: Line | None = None
        self._connecting: asyncio.Task[Line] | None = None
        self._clock: ClockSample | None = None
        self._ahead_ns: int | None = None
        self._resting_until_ns = 0
        self._closed = False
        self.connects = 0

    def server_ms(self, key: bytes = b"") -> int:
        """Return the server's clock as estimated now. 0 before the first connection."""
        ahead_ns = self._ahead_ns
        return 0 if ahead_ns is None else (self._now_ns() + ahead_ns) // _NS_PER_MS

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

    async def get_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """MGET of `key` and of those `beside` it, in one trip.

        Callers of one tick of the loop share one question about each key beside theirs.
        """
        line = self._line
        if line is None or line.lost is not None:
            line = await self._open_line()
        asked = tuple(beside)
        future, answers = line.get_beside(key, asked)
        try:
            reply = await future
        except LinkLost:
            future, answers = (await self._open_line()).get_beside(key, asked)
            reply = await future
        others = [
            value if (value := answers[k]).__class__ is bytes or value is None else unerring(value)
            for k in asked
        ]
        return reply if reply.__class__ is bytes or reply is None else not_text(reply), others

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """MGET in chunks, in one write."""
        if 0 < len(keys) <= _CHUNK:
            (reply,) = await self._send(pack_mget(keys), 1, repeat=True)
            return values_of(reply, len(keys))
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
        return await self._send(pack(commands), len(commands), repeat=repeat)

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

    async def _send(self, data: bytes, wanted: int, *, repeat: bool) -> list[Reply]:
        line = self._line
        if line is None or line.lost is not None:
            line = await self._open_line()
        try:
            replies = await line.send(data, wanted)
        except LinkLost:
            if not repeat:
                raise
            line = await self._open_line()
            replies = await line.send(data, wanted)
        return replies if wanted > 1 else [replies]

    async def _open_line(self) -> Line:
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

    def _connected(self, task: asyncio.Task[Line]) -> None:
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

    async def _connect(self) -> Line:
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
        return Line(
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
            clock = better(self._clock, sample(sent_ns, self._now_ns(), server_us))
            self._clock, self._ahead_ns = clock, ahead_ns(clock)


async def _let_go(connection: Any) -> None:
    """Close a connection of redis-py without waiting for its peer."""
    writer = connection._writer
    if writer is not None:
        writer.transport.abort()
    await connection.disconnect(nowait=True)
