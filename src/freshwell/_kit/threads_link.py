"""Connections to one server, one for each thread that uses it at the moment.

redis-py connects (URL, TLS, ACL, HELLO, SELECT); then its blocking socket is ours, with a
deadline over the whole of each exchange. Idle connections are kept, the last used first.
"""

from __future__ import annotations

import os
import random
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, Unreachable
from freshwell._kit.resp import (
    Argument,
    Reply,
    new_reader,
    not_text,
    pack,
    pack_get,
    pack_mget,
    scan_command,
    scanned,
    server_us_of,
    values_of,
)
from freshwell.ground.serverclock import ClockSample, ahead_ns, better, sample

__all__ = ["Link", "Reply"]

_CLOCK_EVERY_NS = 5_000_000_000
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_PAUSE_AFTER_FAILURE_S = 0.05
_READ_BYTES = 65536
_WRITE_BYTES = 65536
_CHUNK = 500
_MAX_CONNECTIONS = 64
_TRUSTED_IDLE_S = 1.0
_SHORTEST_S = 0.001


class _Line:
    """An open connection. Used by one thread at a time."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        self._connection = connection
        self._socket: socket.socket = connection._sock
        self._reader = new_reader()
        self._timeout_s = timeout_s
        self._hurried = False
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.used_s = 0.0
        _limit(self._socket, timeout_s)

    def exchange(self, data: bytes, wanted: int) -> list[Reply]:
        """Send commands and return their replies, within the time limit for all together."""
        self.used_s = time.monotonic()
        replies: list[Reply] = []
        reader = self._reader
        try:
            self._send(data)
            while True:
                received = self._socket.recv(_READ_BYTES)
                if not received:
                    raise LinkLost("the connection was lost")
                reader.feed(received)
                while (reply := reader.gets()) is not False:
                    replies.append(reply)
                if len(replies) >= wanted:
                    break
                self._hurry()
        except (TimeoutError, BlockingIOError):
            raise LinkTimeout("no whole reply came within the time limit") from None
        except (OSError, TypeError) as error:  # out of protocol is a ConnectionError or TypeError
            raise LinkLost(f"the connection was lost ({type(error).__name__})") from None
        if len(replies) > wanted:
            raise LinkLost("the server answered out of protocol")
        if self._hurried:
            self._hurried = False
            _limit(self._socket, self._timeout_s)
        return replies

    def _send(self, data: bytes) -> None:
        if len(data) <= _WRITE_BYTES:
            self._socket.sendall(data)
            return
        # A peer that reads slowly would start the time limit anew with each piece it takes.
        view = memoryview(data)
        for start in range(0, len(data), _WRITE_BYTES):
            self._socket.sendall(view[start : start + _WRITE_BYTES])
            self._hurry()

    def _hurry(self) -> None:
        """Leave the next call on the socket what is left of the time. Raises `TimeoutError`."""
        left_s = self.used_s + self._timeout_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        if left_s < self._timeout_s / 2:
            self._hurried = True
            _limit(self._socket, left_s)

    def is_whole(self) -> bool:
        """Tell whether a line that has lain idle is still open, and nothing came on it."""
        if time.monotonic() - self.used_s < _TRUSTED_IDLE_S:
            return True
        return not self._poll.poll(0)

    def close(self) -> None:
        self._connection.disconnect()


def _limit(own: socket.socket, timeout_s: float) -> None:
    """Give every call on a socket a time limit: by the kernel, which costs no extra call."""
    timeout_s = max(timeout_s, _SHORTEST_S)  # zero would be without limit
    if isinstance(own, ssl.SSLSocket):
        own.settimeout(timeout_s)
        return
    own.settimeout(None)
    timeval = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1_000_000))
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


class Link:
    """Commands to one server. Safe for any number of threads, and after a fork.

    Connects on first use, and again after a loss. A command has `command_timeout_s` from when
    it is sent to its whole reply, and each step of connecting (reaching the server, and up to
    four questions) `connect_timeout_s`. With `repeat`, a command whose connection was lost is
    given once more. At most 64 connections; a thread waits for one as long as for a reply.
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
        self._connect_timeout_s = connect_timeout_s
        self._timeout_s = command_timeout_s
        self._now_ns = now_ns
        self._freed = threading.Condition(threading.Lock())
        self._idle: list[_Line] = []
        self._open = 0
        self._waiting = 0
        self._pid = os.getpid()
        self._clock: ClockSample | None = None
        self._ahead_ns: int | None = None
        self._clock_due_ns = 0 if timed else sys.maxsize
        self._resting_until_ns = 0
        self._closed = False
        self.connects = 0

    def server_ms(self, key: bytes = b"") -> int:
        """Return the server's clock as estimated now. 0 before the first connection."""
        ahead_ns = self._ahead_ns
        return 0 if ahead_ns is None else (self._now_ns() + ahead_ns) // _NS_PER_MS

    def get(self, key: bytes) -> bytes | None:
        """GET, given once more where the connection was lost. No text: as if it were empty."""
        reply = self._send(pack_get(key), 1, repeat=True)[0]
        return reply if reply.__class__ is bytes or reply is None else not_text(reply)

    def get_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """MGET of `key` and of those `beside` it, in one trip."""
        value, *others = self.get_many([key, *beside])
        return value, others

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """MGET in chunks, in one write."""
        if 0 < len(keys) <= _CHUNK:
            (reply,) = self._send(pack_mget(keys), 1, repeat=True)
            return values_of(reply, len(keys))
        chunks = [keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK)]
        replies = self.batch([(b"MGET", *chunk) for chunk in chunks], repeat=True)
        return [
            value
            for chunk, reply in zip(chunks, replies, strict=True)
            for value in values_of(reply, len(chunk))
        ]

    def batch(self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False) -> list[Reply]:
        """Send commands in one write. The server's errors stand in the answer, in their place."""
        if not commands:
            return []
        return self._send(pack(commands), len(commands), repeat=repeat)

    def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """SCAN. Return some keys that match, and the place to go on from. None: that is all."""
        command = scan_command(pattern, place)
        return scanned((self.batch([command], repeat=True))[0])

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._closed = True
        self._close_idle()

    def _send(self, data: bytes, wanted: int, *, repeat: bool) -> list[Reply]:
        line = self._take()
        try:
            return self._exchange(line, data, wanted)
        except LinkLost:
            # What broke one connection has most likely broken those that lie idle.
            self._close_idle()
            if not repeat:
                raise
        return self._exchange(self._take(), data, wanted)

    def _exchange(self, line: _Line, data: bytes, wanted: int) -> list[Reply]:
        whole = False
        try:
            if self._now_ns() >= self._clock_due_ns:
                self._ask_clock(line)
            replies = line.exchange(data, wanted)
            whole = True
        finally:
            self._give_back(line, whole)
        return replies

    # A list's append and pop are atomic, so a line is taken and given back without a lock,
    # unless threads wait for one: a waiter says so before it looks, a giver looks afterwards.

    def _take(self) -> _Line:
        if self._pid != os.getpid():
            # In a child: the sockets are the parent's, and a thread that is not here may
            # have held the lock.
            self._freed = threading.Condition(threading.Lock())
            self._idle, self._open, self._waiting, self._pid = [], 0, 0, os.getpid()
        while (line := self._pop()) is not None:
            if line.is_whole():
                return line
            self._discard(line)
        return self._wait_or_connect()

    def _pop(self) -> _Line | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _wait_or_connect(self) -> _Line:
        deadline_s = time.monotonic() + self._timeout_s
        with self._freed:
            self._waiting += 1
            try:
                while self._open >= _MAX_CONNECTIONS:
                    if (line := self._pop()) is not None:
                        return line
                    if not self._freed.wait(deadline_s - time.monotonic()):
                        raise LinkTimeout(
                            f"all {_MAX_CONNECTIONS} connections were in use for too long"
                        )
                self._open += 1
            finally:
                self._waiting -= 1
        try:
            return self._connect()
        except BaseException:
            self._one_less()
            raise

    def _give_back(self, line: _Line, whole: bool) -> None:
        if not whole or self._closed:
            self._discard(line)
            return
        self._idle.append(line)
        if self._waiting:
            with self._freed:
                self._freed.notify()
        if self._closed:
            self._close_idle()  # closed in between

    def _discard(self, line: _Line) -> None:
        line.close()
        self._one_less()

    def _one_less(self) -> None:
        with self._freed:
            self._open -= 1
            self._freed.notify()

    def _close_idle(self) -> None:
        while (line := self._pop()) is not None:
            self._discard(line)

    def _connect(self) -> _Line:
        if self._closed:
            raise LinkLost("the link was closed")
        if self._now_ns() < self._resting_until_ns:
            raise Unreachable(f"{self._endpoint!r} could not be reached a moment ago")
        connection = self._endpoint.connection(
            asynchronous=False, timeout_s=self._connect_timeout_s
        )
        try:
            connection.connect()
        except BaseException as error:
            connection.disconnect()
            if not isinstance(error, Exception):
                raise
            pause_s = _PAUSE_AFTER_FAILURE_S * (1 + random.random())  # noqa: S311 - no secret
            self._resting_until_ns = self._now_ns() + int(pause_s * _NS_PER_S)
            raise Unreachable(
                f"{self._endpoint!r} cannot be reached ({type(error).__name__})"
            ) from None
        self.connects += 1
        return _Line(connection, self._timeout_s)

    def _ask_clock(self, line: _Line) -> None:
        sent_ns = self._now_ns()
        reply = line.exchange(b"*1\r\n$4\r\nTIME\r\n", 1)[0]
        # An answer that was lost is asked for again: without a clock no entry can be judged.
        self._clock_due_ns = sent_ns + _CLOCK_EVERY_NS
        server_us = server_us_of(reply)
        if server_us is not None:
            clock = better(self._clock, sample(sent_ns, self._now_ns(), server_us))
            self._clock, self._ahead_ns = clock, ahead_ns(clock)
