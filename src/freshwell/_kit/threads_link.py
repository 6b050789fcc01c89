"""Connections to one server, one for each thread that uses it at the moment.

redis-py connects (URL, TLS, ACL, HELLO, SELECT); then its blocking socket is ours, with a
deadline over the whole of each exchange. Idle connections are kept, the last used first.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
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
_READ_BYTES = 65536
_CHUNK = 500
_MAX_CONNECTIONS = 64


class _Line:
    """An open connection. Used by one thread at a time."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        self.connection = connection
        self._socket: socket.socket = connection._sock
        self._reader = new_reader()
        self._timeout_s = timeout_s
        self._socket.settimeout(timeout_s)

    def exchange(self, data: bytes, wanted: int) -> list[Reply]:
        """Send commands and return their replies, within the time limit for all together."""
        deadline = time.monotonic() + self._timeout_s
        replies: list[Reply] = []
        try:
            self._socket.sendall(data)
            while len(replies) < wanted:
                reply = self._reader.gets()
                if reply is not False:
                    replies.append(reply)
                    continue
                received = self._socket.recv(_READ_BYTES)
                if not received:
                    raise LinkLost("the connection was lost")
                self._reader.feed(received)
                if time.monotonic() > deadline:
                    raise LinkTimeout("no whole reply came within the time limit")
        except TimeoutError:
            raise LinkTimeout("no reply came within the time limit") from None
        except (OSError, ConnectionError) as error:
            raise LinkLost(f"the connection was lost ({type(error).__name__})") from None
        return replies

    def close(self) -> None:
        self.connection.disconnect()


class Link:
    """Commands to one server. Safe for any number of threads, and after a fork.

    Connects on first use, and again after a loss. A command has `command_timeout_s` from when
    it is sent to its whole reply. With `repeat`, a command whose connection was lost is given
    once more. At most 64 connections; a thread waits for one as long as for a reply.

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
        self._timeout_s = command_timeout_s
        self._now_ns = now_ns
        self._mutex = threading.Lock()
        self._idle: list[_Line] = []
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        self._pid = os.getpid()
        self._clock: ClockSample | None = None
        self._clock_due_ns = 0
        self._resting_until_ns = 0
        self._closed = False
        self.connects = 0

    def server_ms(self) -> int:
        """Return the server's clock as estimated now. 0 before the first connection."""
        clock = self._clock
        return 0 if clock is None else server_ms(clock, self._now_ns())

    def command(self, *command: Argument, repeat: bool = False) -> Reply:
        """Send one command and return its reply."""
        return _unerring(self._send(pack(command), 1, repeat)[0])

    def get(self, key: bytes, *, repeat: bool = True) -> bytes | None:
        """GET."""
        data = b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)
        reply = _unerring(self._send(data, 1, repeat)[0])
        return reply if isinstance(reply, bytes) else None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """MGET in chunks, in one write."""
        chunks = [keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK)]
        replies = self.batch([(b"MGET", *chunk) for chunk in chunks], repeat=True)
        return [value for reply in replies for value in _unerring(reply)]

    def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write. The server's errors stand in the answer, in their place."""
        if not commands:
            return []
        return self._send(b"".join(map(pack, commands)), len(commands), repeat)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        with self._mutex:
            self._closed = True
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()

    def _send(self, data: bytes, wanted: int, repeat: bool) -> list[Reply]:
        if not self._slots.acquire(timeout=self._timeout_s):
            raise LinkTimeout(f"all {_MAX_CONNECTIONS} connections were in use for too long")
        try:
            for last in (not repeat, True):
                try:
                    return self._exchange(data, wanted)
                except LinkLost:
                    if last:
                        raise
        finally:
            self._slots.release()
        raise AssertionError("unreachable")

    def _exchange(self, data: bytes, wanted: int) -> list[Reply]:
        line = self._take()
        whole = False
        try:
            if self._now_ns() >= self._clock_due_ns:
                self._ask_clock(line)
            replies = line.exchange(data, wanted)
            whole = True
        finally:
            if whole and not self._closed:
                self._idle.append(line)
            else:
                line.close()
        return replies

    def _take(self) -> _Line:
        if self._pid != os.getpid():
            # In a child: the sockets are the parent's.
            self._idle, self._pid = [], os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> _Line:
        from redis.exceptions import RedisError

        if self._closed:
            raise LinkLost("the link was closed")
        if self._now_ns() < self._resting_until_ns:
            raise LinkLost(f"{self._endpoint!r} could not be reached a moment ago")
        connection = self._endpoint.connection(
            asynchronous=False, timeout_s=self._connect_timeout_s
        )
        try:
            connection.connect()
        except (RedisError, OSError) as error:
            connection.disconnect()
            pause_s = _PAUSE_AFTER_FAILURE_S * (1 + random.random())
            self._resting_until_ns = self._now_ns() + int(pause_s * _NS_PER_S)
            raise LinkLost(
                f"{self._endpoint!r} cannot be reached ({type(error).__name__})"
            ) from None
        self.connects += 1
        return _Line(connection, self._timeout_s)

    def _ask_clock(self, line: _Line) -> None:
        sent_ns = self._now_ns()
        self._clock_due_ns = sent_ns + _CLOCK_EVERY_NS
        reply = line.exchange(b"*1\r\n$4\r\nTIME\r\n", 1)[0]
        if isinstance(reply, list):
            new = sample(sent_ns, self._now_ns(), server_ms_of(reply))
            self._clock = better(self._clock, new)


def _unerring(reply: Reply) -> Reply:
    if isinstance(reply, ServerReplied):
        raise reply
    return reply
