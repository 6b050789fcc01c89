"""The connection over which the server tells which keys have changed (asyncio)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.feed_notices import CHANNEL, Notice, notice_of
from freshwell._kit.link_errors import LinkLost, feed_error
from freshwell._kit.resp import Reply, new_reader, pack, unerring

__all__ = ["FeedLine"]

_MOST_KEPT = 1_000


class _Incoming(asyncio.Protocol):
    """What arrives on a connection that redis-py has opened, in order. For one that waits.

    A process hears of each of its own writes: redis-py's reader, and a time limit for each
    message, cost more than sending the write.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._reader = new_reader()
        self._kept: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._until_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._lost: str | None = None
        transport.set_protocol(self)
        transport.resume_reading()

    def send(self, *command: bytes) -> None:
        """Send a command. Raises `LinkLost`."""
        if self._lost is not None:
            raise LinkLost(f"the feed was lost ({self._lost})")
        self._transport.write(pack([command]))

    async def next(self, timeout_s: float) -> Reply | None:
        """Return the next message, or None after `timeout_s`. Raises `LinkLost`."""
        if not self._kept and self._lost is None:
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            self._until_s = self._loop.time() + timeout_s
            self._arm()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._kept:
            return self._kept.popleft()
        if self._lost is not None:
            raise LinkLost(f"the feed was lost ({self._lost})")
        return None

    def end(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._kept.append(reply)
        except ConnectionError:
            self._lost = "it answered out of protocol"
            self._transport.abort()
        if len(self._kept) > _MOST_KEPT and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = self._lost or type(error or EOFError()).__name__
        self.end()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _arm(self) -> None:
        """See to it that a timer ends no later than the wait does: one for many messages."""
        if self._timer is not None:
            if self._timer.when() <= self._until_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._until_s, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() >= self._until_s:
            self._wake()
        else:
            self._arm()


class FeedLine:
    """One pub/sub connection that tracks prefixes and redirects to itself (RESP2).

    Never reconnects. Used by one task at a time.
    """

    def __init__(
        self, endpoint: Endpoint, prefixes: Sequence[bytes], *, timeout_s: float = 1.0
    ) -> None:
        self._connection = endpoint.connection(asynchronous=True, timeout_s=timeout_s)
        self._prefixes = prefixes
        self._timeout_s = timeout_s
        self._incoming: _Incoming | None = None

    async def connect(self) -> None:
        """Connect and arm the tracking.

        Raises `TrackingRefused` where the server will not, `LinkLost` where it is not there.
        """
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                await self._connection.connect()
                await self._arm()
        except Exception as error:  # noqa: BLE001 - whatever redis-py makes of its peer
            raise feed_error(error) from None

    async def _arm(self) -> None:
        own_id = await self._ask("CLIENT", "ID")
        prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
        await self._ask("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
        # Only now can messages come: none of them is to be left in redis-py's buffer.
        self._incoming = _Incoming(self._connection._writer.transport)
        self._incoming.send(b"SUBSCRIBE", CHANNEL)
        unerring(await self._incoming.next(self._timeout_s))

    async def _ask(self, *command: Any) -> Any:
        await self._connection.send_command(*command)
        return await self._connection.read_response()

    async def ping(self, payload: bytes) -> None:
        """Send a probe; `receive` will return a `Pong` with its payload."""
        assert self._incoming is not None
        self._incoming.send(b"PING", payload)

    async def receive(self, timeout_s: float) -> Notice | None:
        """Return the next notice, or None after `timeout_s`. Raises `LinkLost`."""
        assert self._incoming is not None
        return notice_of(await self._incoming.next(timeout_s))

    def interrupt(self) -> None:
        """Have `receive` end soon, with `LinkLost`, because the connection is to be closed."""
        writer = self._connection._writer
        if writer is not None:
            writer.transport.abort()

    async def aclose(self) -> None:
        """Close the connection. Idempotent."""
        self.interrupt()  # a graceful end of TLS would wait for the server
        if self._incoming is not None:
            self._incoming.end()
        try:
            await self._connection.disconnect(nowait=True)
        except Exception:  # noqa: BLE001 - it is gone either way
            return
