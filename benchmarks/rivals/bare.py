"""The least that a GET can cost in Python: the protocol itself, pipelined by each loop tick."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import hiredis

__all__ = ["BareRedis"]


class BareRedis(asyncio.Protocol):
    """One connection that sends what was asked for within a loop tick in one write.

    No time limits, no errors, no reconnecting: what a client costs above this is what it does.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def connected(cls, url: str) -> BareRedis:
        """Return a connection to the server at `url`."""
        place = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(cls, place.hostname, place.port or 6379)
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._waiting.popleft().set_result(reply)

    def ask(self, *words: bytes) -> asyncio.Future[Any]:
        """Send a command; return what it will be answered with."""
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(words))
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(future)
        return future

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def close(self) -> None:
        """Disconnect."""
        if self._transport is not None:
            self._transport.close()
