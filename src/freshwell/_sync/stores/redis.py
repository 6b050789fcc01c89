"""The L2 tier on Redis and Valkey: one key per entry or tag, and scripts of a single key.

A hit is a plain GET. What must be atomic runs in a script that reads and changes the frame's
head only (``freshwell/lua``). Scripts go by digest, and once more by text where the server
has not seen them.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from freshwell._sync.stores.base import (
    Acquired,
    Captured,
    Fill,
    Grant,
    Mark,
    Peeked,
    Settlement,
)
from freshwell._sync.stores.scripts import Call, Script, Send, run_script, script
from freshwell._sync.stores.waited import Waits
from freshwell._kit.link_errors import LinkLost, ReplicasMissing, ServerReplied
from freshwell._kit.resp import Argument, Reply, not_text, unerring
from freshwell.ground.frame import FRAME_START, intent_frame, lease_frame, tombstone_frame

__all__ = ["Commands", "RedisStore"]

_TOMBSTONE_MS = 1_000
_MAX_WRITERS = 256
_CALLS_AT_ONCE = 1_000
_FORGET_AT_ONCE = 200
"""So few that the server's other clients do not notice: it does in one go what it reads at once."""


class Commands(Protocol):
    """What a store needs of a way to its servers: a `Link` to one, or to a whole Cluster."""

    in_order: bool
    """Whether the commands of one batch are done in their order."""

    def server_ms(self, key: bytes = b"") -> int:
        """Return the clock of the server that has `key`, as estimated now. 0: not known yet."""

    def get(self, key: bytes) -> bytes | None:
        """GET."""

    def get_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """GET `key` and each of those `beside` it, which others may be asking for as well."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """GET each of the keys, in one write for each server."""

    def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write for each server. Errors stand in their place."""

    def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """Return some keys that match, and the place to go on from. None: that is all."""

    def close(self) -> None:
        """Close the connections. Idempotent."""


class RedisStore:
    """Redis or Valkey behind a link: one primary, or several. Belongs to the link's home.

    With `min_replicas`, what ends the validity of entries and tags goes over `sure_link`, and
    raises `ReplicasMissing` unless so many replicas confirm it within `replica_wait_ms`.
    """

    shared = True

    def __init__(
        self,
        link: Commands,
        *,
        lease_ms: int,
        new_token: Callable[[], bytes],
        min_replicas: int = 0,
        replica_wait_ms: int = 100,
        sure_link: Waits | None = None,
    ) -> None:
        assert min_replicas == 0 or sure_link is not None
        self._link = link
        self.sole = link.in_order
        self._sure_link = sure_link
        self._min_replicas = min_replicas
        self._replica_wait_ms = replica_wait_ms
        self._lease_ms = lease_ms
        self._new_token = new_token
        self._acquire = script("acquire")
        self._fill = script("fill")
        self._void = script("invalidate")
        self._forget = script("forget")
        self._capture = script("capture")
        self._announce = script("intend")
        self._settle = script("settle")
        # These are the link's own, since each call in between costs every hit.
        self.server_ms = link.server_ms
        self.fetch = link.get
        self.fetch_beside = link.get_beside
        self.fetch_many = link.get_many

    def clocks(self, keys: Sequence[bytes]) -> Sequence[int]:
        if self._link.in_order:  # one server
            return [self.server_ms()] * len(keys)
        return list(map(self.server_ms, keys))

    def peek(self, key: bytes) -> Peeked:
        asked = [(b"GET", key), (b"PTTL", key), (b"TYPE", key)]
        data, left, kind = self._link.batch(asked, repeat=True)
        if data is not None and not isinstance(data, bytes):
            data = not_text(data)
        if not isinstance(unerring(left), int) or not isinstance(unerring(kind), bytes):
            raise ServerReplied("an answer has an unknown form", code="PROTOCOL")
        return Peeked(data, left, kind.decode("ascii", "replace"))

    def acquire(
        self,
        keys: Sequence[bytes],
        *,
        fresh_beyond_ms: int = 0,
        forced: bool = False,
        useless: Mapping[bytes, bytes] | None = None,
        stale_does: bool = False,
    ) -> list[Acquired]:
        """Ask for leases; where the reply is lost, once more.

        The second try has a token of its own and names the first: a first try that reaches
        the server late can then not stand as a lease that is in use.
        """
        mode = b"forced" if forced else b"needed"
        token, known = self._new_token(), useless or {}
        terms = (fresh_beyond_ms, known, stale_does)
        try:
            return self._ask(keys, mode, token, b"", *terms)
        except LinkLost:
            return self._ask(keys, mode, self._new_token(), token, *terms)

    def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        calls: list[Call] = [
            (key, [token, self._lease_ms, b"beat", b"", lease_frame(key), 0, b"", 0])
            for key, token in leases
        ]
        replies = self._run(self._acquire, calls, repeat=True)
        return [_sound(reply)[0] == 2 for reply in replies]

    def fill(self, fills: Sequence[Fill]) -> list[bool]:
        calls: list[Call] = [(f.key, [f.token, f.frame, f.fresh_ms, f.keep_ms]) for f in fills]
        replies = self._run(self._fill, calls, repeat=all(f.token for f in fills))
        return [reply == 1 for reply in replies]

    def release(
        self, leases: Sequence[tuple[bytes, bytes]], *, rest_ms: int = 0, drop: bool = False
    ) -> None:
        mode = b"drop" if drop else b"rest" if rest_ms > 0 else b"release"
        calls: list[Call] = [
            (key, [mode, token, tombstone_frame(key), rest_ms]) for key, token in leases
        ]
        self._run(self._void, calls, repeat=True)

    def invalidate(self, keys: Sequence[bytes], also: Sequence[Mark] = ()) -> None:
        tombstones = [Mark(key, tombstone_frame(key), _TOMBSTONE_MS) for key in keys]
        self.void([*tombstones, *also])

    def expire(self, keys: Sequence[bytes]) -> None:
        calls: list[Call] = [
            (key, [b"expire", b"", tombstone_frame(key), _TOMBSTONE_MS]) for key in keys
        ]
        self._run(self._void, calls, send=self._written)

    def capture(self, wanted: Sequence[Mark]) -> list[Captured]:
        calls: list[Call] = [(mark.key, [mark.frame, mark.keep_ms]) for mark in wanted]
        replies = self._run(self._capture, calls, repeat=True)
        return [Captured(*_sound(reply)) for reply in replies]

    def void(self, marks: Sequence[Mark], *, first: Sequence[Mark] = ()) -> None:
        if first and not self._link.in_order:
            self._run(self._void, [_voiding(mark) for mark in first], send=self._written)
            first = ()
        calls = [_voiding(mark) for mark in (*first, *marks)]
        self._run(self._void, calls, send=self._written)

    def busy(self, key: bytes, frame: bytes, busy_ms: int) -> None:
        self._run(self._void, [(key, [b"busy", b"", frame, 0, busy_ms])], repeat=True)

    def announce(
        self, marks: Sequence[Mark], token: bytes, *, prolong: bool = False
    ) -> list[int]:
        mode = b"prolong" if prolong else b"open"
        calls: list[Call] = [
            (mark.key, [token, mark.keep_ms, intent_frame(mark.key), mode, _MAX_WRITERS])
            for mark in marks
        ]
        return self._run(self._announce, calls, repeat=True)

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        calls: list[Call] = []
        for token, left, fill, number in settlements:
            value = (b"", 0, 0) if fill is None else (fill.frame, fill.fresh_ms, fill.keep_ms)
            version = b"" if number is None else number.to_bytes(8, "big")
            calls.append((left.key, [token, left.frame, left.keep_ms, *value, version]))
        return [reply == 1 for reply in self._run(self._settle, calls, send=self._written)]

    def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        return self._link.scan(pattern, place)

    def forget(self, keys: Sequence[bytes]) -> int:
        gone = 0
        for start in range(0, len(keys), _FORGET_AT_ONCE):
            part = keys[start : start + _FORGET_AT_ONCE]
            # In a Cluster a script has the keys of one slot.
            each = [part] if self._link.in_order else [[key] for key in part]
            calls: list[Call] = [(own, [FRAME_START]) for own in each]
            gone += sum(self._run(self._forget, calls, repeat=True))
        return gone

    def post(self, key: bytes, data: bytes, keep_ms: int) -> None:
        (reply,) = self._link.batch([(b"SET", key, data, b"PX", keep_ms)], repeat=True)
        unerring(reply)

    def close(self) -> None:
        self._link.close()
        if self._sure_link is not None:
            self._sure_link.close()

    def _written(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send writes that may be repeated, and wait for replicas where that is asked for."""
        if self._sure_link is None or not self._min_replicas:
            return self._link.batch(commands, repeat=True)
        replies, confirmed = self._sure_link.batch_waited(
            self._taught(commands), self._min_replicas, self._replica_wait_ms
        )
        failed = any(isinstance(reply, ServerReplied) for reply in replies)
        if confirmed < self._min_replicas and not failed:
            raise ReplicasMissing(confirmed, self._min_replicas, self._replica_wait_ms)
        return replies

    def _taught(self, commands: Sequence[Sequence[Argument]]) -> list[Sequence[Argument]]:
        """Let the first of some calls bring its script along.

        Where it is lacking nothing would be written, and the WAIT behind it be for nothing.
        """
        texts = {script.sha: script.text for script in (self._void, self._settle)}
        (name, sha, *rest), *others = commands
        text = texts.get(sha) if name == b"EVALSHA" and isinstance(sha, bytes) else None
        return list(commands) if text is None else [(b"EVAL", text, *rest), *others]

    def _ask(
        self,
        keys: Sequence[bytes],
        mode: bytes,
        token: bytes,
        earlier: bytes,
        fresh_beyond_ms: int,
        useless: Mapping[bytes, bytes],
        stale_does: bool,
    ) -> list[Acquired]:
        terms: list[bytes | int] = [token, self._lease_ms, mode, earlier]
        calls: list[Call] = [
            (
                key,
                [*terms, lease_frame(key), fresh_beyond_ms, useless.get(key, b""), int(stale_does)],
            )
            for key in keys
        ]
        return [_acquired(reply, token) for reply in self._run(self._acquire, calls)]

    def _run(
        self,
        script: Script,
        calls: Sequence[Call],
        *,
        repeat: bool = False,
        send: Send | None = None,
    ) -> list[Reply]:
        """Run a script on each key, in one write as far as they are not very many."""
        send = send or partial(self._link.batch, repeat=repeat)
        replies: list[Reply] = []
        for start in range(0, len(calls), _CALLS_AT_ONCE):
            part = calls[start : start + _CALLS_AT_ONCE]
            replies += run_script(script, part, send)
        for reply in replies:
            if isinstance(reply, ServerReplied):
                raise reply
        return replies


def _acquired(reply: Reply, token: bytes) -> Acquired:
    grant, *rest = _sound(reply)
    if grant == 1:
        return Acquired(Grant.FRESH, token, frame=rest[0])
    if grant == 2:
        return Acquired(Grant.GRANTED, token)
    if grant == 4:
        return Acquired(Grant.ANNOUNCED, b"", left_ms=rest[0])
    return Acquired(Grant.HELD, token, left_ms=rest[0])


def _voiding(mark: Mark) -> Call:
    return mark.key, [b"void", b"", mark.frame, mark.keep_ms, mark.busy_ms]


def _sound(reply: Reply) -> list[Any]:
    """Return a script's answer. Any other shape means that something else answered."""
    if isinstance(reply, list) and reply:
        return reply
    raise ServerReplied("a script's answer has an unknown form", code="PROTOCOL")
