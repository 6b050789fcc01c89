"""A TCP proxy that cuts, freezes and delays what goes through it, each direction by itself.

It stands between a cache and a server, which stay untouched: what a test breaks here is the
network. It runs in threads of its own, so tests of either colour use it alike.
"""

from __future__ import annotations

import math
import random
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Self

from freshwell.errors import ConfigurationError

__all__ = ["DOWN", "UP", "FaultProxy"]

UP = "up"
"""From the client to the server."""
DOWN = "down"
"""From the server to the client."""

_READ_BYTES = 65536
_POLL_S = 0.002
_IDLE_POLL_S = 0.1
_HEAD_BYTES = 4_096
_TAIL_BYTES = 16_384


class FaultProxy:
    """A door of its own to the server at a port, whose network a test can break.

    ::

        with FaultProxy(6379) as proxy, Cache(proxy.url) as cache:
            ...
            proxy.cut()

    Listens on a free loopback port from the beginning of the block to its end. All methods return
    at once; any thread may call them, and event loops are not held up. Connections to other
    addresses that a server names (of a Cluster, of a primary behind Sentinels) do not go through
    it. `seed`: of the chance in a connection's `late_s`.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", *, seed: int = 0) -> None:
        self._target = (host, port)
        self._chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._mutex = threading.Lock()
        self._pairs: list[Pair] = []
        self._refusing = False
        self._frozen = {UP: False, DOWN: False}
        self._delay_s = {UP: 0.0, DOWN: 0.0}
        self._bytes_per_s = {UP: 0, DOWN: 0}
        self._drops: float = 0
        self.closed = False
        self.accepted = 0
        """How many connections have come, refused ones too."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, name="freshwell-proxy", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port that it listens on, on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL of database 0 of a Redis or Valkey server behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pairs(self) -> list[Pair]:
        """The connections that are open, the oldest first. Each can be cut or held by itself."""
        with self._mutex:
            return [pair for pair in self._pairs if pair.open]

    def cut(self) -> None:
        """Close every connection there is; new ones are let through."""
        for pair in self.pairs:
            pair.cut()

    def refuse(self) -> None:
        """Close every connection there is, and new ones as soon as they come."""
        self._refusing = True
        self.cut()

    def drop_replies(self, times: float = math.inf) -> None:
        """Let what is sent arrive, and lose what the server says next: a cut comes instead.

        So often, over all connections; without a number until `heal`.
        """
        if times < 1:
            raise ConfigurationError(f"times is {times!r}: how often, 1 or more")
        with self._mutex:
            self._drops = times

    def freeze(self, *directions: str) -> None:
        """Hold the bytes of these directions (none named: both), of all connections.

        Both: the connections are half-open. New ones are accepted, and hear nothing either.
        """
        for direction in _checked(directions):
            self._frozen[direction] = True

    def delay(self, seconds: float, *directions: str) -> None:
        """Let bytes that come from now on arrive so much later (no direction named: both)."""
        for direction in _checked(directions, seconds):
            self._delay_s[direction] = seconds

    def throttle(self, bytes_per_s: int, *directions: str) -> None:
        """Take no more than so many bytes in a second; 0: all (no direction named: both)."""
        for direction in _checked(directions, bytes_per_s):
            self._bytes_per_s[direction] = bytes_per_s

    def heal(self) -> None:
        """End all of it. Bytes that were held arrive now."""
        self._refusing, self._drops = False, 0
        for direction in (UP, DOWN):
            self._frozen[direction] = False
            self._delay_s[direction] = 0.0
            self._bytes_per_s[direction] = 0
        for pair in self.pairs:
            pair.held, pair.late_s = False, 0.0

    def _serve(self) -> None:
        """Accept connections until `close`."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                self._join(client)

    def close(self) -> None:
        """Close everything, which ends the threads."""
        self.closed = True
        # Closing alone would leave a thread in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _holds(self, direction: str) -> bool:
        """Tell whether a direction is frozen."""
        return self._frozen[direction]

    def _late_s(self, direction: str, late_s: float) -> float:
        """Return how much later bytes are to arrive that come now."""
        with self._mutex:
            by_chance_s = self._chance.uniform(0, late_s) if direction == DOWN else 0.0
        return self._delay_s[direction] + by_chance_s

    def _drops_reply(self) -> bool:
        """Tell whether an answer that comes now is to be lost. Counts it."""
        with self._mutex:
            dropped = self._drops > 0
            self._drops -= dropped
        return dropped

    def _pause_s(self, direction: str, size: int) -> float:
        """Return how long to rest after having taken so many bytes."""
        rate = self._bytes_per_s[direction]
        return size / rate if rate else 0.0

    def _join(self, client: socket.socket) -> None:
        if self._refusing:
            client.close()
            return
        try:
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        pair = Pair(self, client, server)
        with self._mutex:
            self._pairs.append(pair)
        pair.start()


def _checked(directions: tuple[str, ...], amount: float = 0) -> tuple[str, ...]:
    """Return the directions that are meant. Raises `ConfigurationError` for what is none."""
    if not {UP, DOWN}.issuperset(directions) or amount < 0:
        raise ConfigurationError(
            f"directions are {directions!r} (use UP, DOWN or none), and the amount is {amount!r} "
            "(use 0 or more)"
        )
    return directions or (UP, DOWN)


class _Way:
    """What is under way in one direction of a connection: when it is due, and the bytes."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.news = threading.Event()

    def add(self, due_s: float, data: bytes) -> None:
        self.waiting.append((due_s, data))
        self.news.set()


class Pair:
    """One connection through the proxy."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._head = b""
        self._tail = b""
        self.held = False
        """Whether the bytes of this connection are held, both ways."""
        self.late_s = 0.0
        """Up to how much later, by chance, bytes from the server come, in their order."""
        self.open = True
        for own in (client, server):
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def passed(self) -> bytes:
        """What the client sent, as far as it was let through: the beginning, and the latest."""
        return self._head + self._tail

    def start(self) -> None:
        for origin, target, direction in (
            (self._client, self._server, UP),
            (self._server, self._client, DOWN),
        ):
            way = _Way()
            for work in (self._read, self._write):
                threading.Thread(
                    target=work, args=(origin, target, direction, way), daemon=True
                ).start()

    def cut(self) -> None:
        """Close both ends."""
        self.open = False
        for own in (self._client, self._server):
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)

    def _read(
        self, origin: socket.socket, target: socket.socket, direction: str, way: _Way
    ) -> None:
        with suppress(OSError):
            while data := origin.recv(_READ_BYTES):
                if direction == DOWN and self._proxy._drops_reply():
                    self.cut()
                    break
                way.add(time.monotonic() + self._proxy._late_s(direction, self.late_s), data)
                if pause_s := self._proxy._pause_s(direction, len(data)):
                    time.sleep(pause_s)
        # An end is news too: a half-open link hears nothing of it.
        way.add(0.0, b"")

    def _write(
        self, origin: socket.socket, target: socket.socket, direction: str, way: _Way
    ) -> None:
        waiting = way.waiting
        with suppress(OSError):
            while self.open:
                if not waiting:
                    way.news.wait(_IDLE_POLL_S)
                    way.news.clear()
                    continue
                if self.held or self._proxy._holds(direction):
                    time.sleep(_POLL_S)
                    continue
                due_s, data = waiting[0]
                if (left_s := due_s - time.monotonic()) > 0:
                    time.sleep(min(left_s, _POLL_S))
                    continue
                waiting.popleft()
                if not data:
                    break
                target.sendall(data)
                if direction == UP:
                    self._note(data)
        self.cut()
        target.close()

    def _note(self, data: bytes) -> None:
        room = _HEAD_BYTES - len(self._head)
        self._head += data[:room] if room else b""
        self._tail = (self._tail + data[room:])[-_TAIL_BYTES:]
