"""The L2 tier on Redis and Valkey: one key per entry or tag, and scripts of a single key.

A hit is a plain GET. What must be atomic runs in a script that reads and changes the frame's
head only (``freshwell/lua``). Scripts go by digest, and once more by text where the server
has not seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple

from freshwell._async.stores.base import Acquired, Captured, Fill, Grant, Mark, Settlement
from freshwell._kit.aio_link import Link, Reply
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell.ground.frame import intent_frame, lease_frame, tombstone_frame

__all__ = ["RedisStore"]

_TOMBSTONE_MS = 1_000
_MAX_WRITERS = 256
_CALLS_AT_ONCE = 1_000
_MAX_TEACHING = 8
_FORGET_AT_ONCE = 50
"""So few that the server's other clients do not notice."""

_Call = tuple[bytes, Sequence[bytes | int]]
"""A key, and what a script is told about it."""


class _Script(NamedTuple):
    text: bytes
    sha: bytes


@cache
def _script(name: str) -> _Script:
    text = files("freshwell.lua").joinpath(f"{name}.lua").read_bytes()
    return _Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


class RedisStore:
    """One Redis or Valkey primary behind one `Link`. Belongs to the link's home."""

    shared = True

    def __init__(self, link: Link, *, lease_ms: int, new_token: Callable[[], bytes]) -> None:
        self._link = link
        self._lease_ms = lease_ms
        self._new_token = new_token
        self._acquire = _script("acquire")
        self._fill = _script("fill")
        self._void = _script("invalidate")
        self._capture = _script("capture")
        self._announce = _script("intend")
        self._settle = _script("settle")
        self.server_ms = link.server_ms

    async def fetch(self, key: bytes) -> bytes | None:
        return await self._link.get(key)

    async def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return await self._link.get_many(keys)

    async def acquire(
        self,
        keys: Sequence[bytes],
        *,
        fresh_beyond_ms: int = 0,
        forced: bool = False,
        useless: Mapping[bytes, bytes] | None = None,
    ) -> list[Acquired]:
        """Ask for leases; where the reply is lost, once more.

        The second try has a token of its own and names the first: a first try that reaches
        the server late can then not stand as a lease that is in use.
        """
        mode = b"forced" if forced else b"needed"
        token, known = self._new_token(), useless or {}
        try:
            return await self._ask(keys, mode, token, b"", fresh_beyond_ms, known)
        except LinkLost:
            return await self._ask(keys, mode, self._new_token(), token, fresh_beyond_ms, known)

    async def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        calls: list[_Call] = [
            (key, [token, self._lease_ms, b"beat", b"", lease_frame(key), 0, b""])
            for key, token in leases
        ]
        replies = await self._run(self._acquire, calls, repeat=True)
        return [_sound(reply)[0] == 2 for reply in replies]

    async def fill(self, fills: Sequence[Fill]) -> list[bool]:
        calls: list[_Call] = [(f.key, [f.token, f.frame, f.fresh_ms, f.keep_ms]) for f in fills]
        replies = await self._run(self._fill, calls, repeat=all(f.token for f in fills))
        return [reply == 1 for reply in replies]

    async def release(self, leases: Sequence[tuple[bytes, bytes]]) -> None:
        calls: list[_Call] = [
            (key, [b"release", token, tombstone_frame(key), 0]) for key, token in leases
        ]
        await self._run(self._void, calls, repeat=True)

    async def invalidate(self, keys: Sequence[bytes]) -> None:
        await self.void([Mark(key, tombstone_frame(key), _TOMBSTONE_MS) for key in keys])

    async def expire(self, keys: Sequence[bytes]) -> None:
        calls: list[_Call] = [
            (key, [b"expire", b"", tombstone_frame(key), _TOMBSTONE_MS]) for key in keys
        ]
        await self._run(self._void, calls, repeat=True)

    async def capture(self, wanted: Sequence[Mark]) -> list[Captured]:
        calls: list[_Call] = [(mark.key, [mark.frame, mark.keep_ms]) for mark in wanted]
        replies = await self._run(self._capture, calls, repeat=True)
        return [Captured(*_sound(reply)) for reply in replies]

    async def void(self, marks: Sequence[Mark], *, first: Sequence[Mark] = ()) -> None:
        if first and not self._link.in_order:
            await self._run(self._void, [_voiding(mark) for mark in first], repeat=True)
            first = ()
        calls = [_voiding(mark) for mark in (*first, *marks)]
        await self._run(self._void, calls, repeat=True)

    async def busy(self, key: bytes, frame: bytes, busy_ms: int) -> None:
        await self._run(self._void, [(key, [b"busy", b"", frame, 0, busy_ms])], repeat=True)

    async def announce(
        self, marks: Sequence[Mark], token: bytes, *, prolong: bool = False
    ) -> list[int]:
        mode = b"prolong" if prolong else b"open"
        calls: list[_Call] = [
            (mark.key, [token, mark.keep_ms, intent_frame(mark.key), mode, _MAX_WRITERS])
            for mark in marks
        ]
        return await self._run(self._announce, calls, repeat=True)

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        calls: list[_Call] = []
        for token, left, fill in settlements:
            value = (b"", 0, 0) if fill is None else (fill.frame, fill.fresh_ms, fill.keep_ms)
            calls.append((left.key, [token, left.frame, left.keep_ms, *value]))
        return [reply == 1 for reply in await self._run(self._settle, calls, repeat=True)]

    async def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        return await self._link.scan(pattern, place)

    async def forget(self, keys: Sequence[bytes]) -> int:
        gone = 0
        for start in range(0, len(keys), _FORGET_AT_ONCE):
            calls: list[_Call] = [
                (key, [b"forget", b"", tombstone_frame(key), 0])
                for key in keys[start : start + _FORGET_AT_ONCE]
            ]
            gone += sum(await self._run(self._void, calls, repeat=True))
        return gone

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _ask(
        self,
        keys: Sequence[bytes],
        mode: bytes,
        token: bytes,
        earlier: bytes,
        fresh_beyond_ms: int,
        useless: Mapping[bytes, bytes],
    ) -> list[Acquired]:
        terms: list[bytes | int] = [token, self._lease_ms, mode, earlier]
        calls: list[_Call] = [
            (key, [*terms, lease_frame(key), fresh_beyond_ms, useless.get(key, b"")])
            for key in keys
        ]
        return [_acquired(reply, token) for reply in await self._run(self._acquire, calls)]

    async def _run(
        self,
        script: _Script,
        calls: Sequence[_Call],
        *,
        repeat: bool = False,
    ) -> list[Reply]:
        """Run a script on each key, in one write as far as they are not very many."""
        replies: list[Reply] = []
        for start in range(0, len(calls), _CALLS_AT_ONCE):
            part = calls[start : start + _CALLS_AT_ONCE]
            replies += await self._run_part(script, part, repeat=repeat)
        for reply in replies:
            if isinstance(reply, ServerReplied):
                raise reply
        return replies

    async def _run_part(
        self, script: _Script, calls: Sequence[_Call], *, repeat: bool
    ) -> list[Reply]:
        """Run a script by its digest; where a server lacks it, once by its text."""
        by_digest = [(b"EVALSHA", script.sha, 1, key, *args) for key, args in calls]
        replies = await self._link.batch(by_digest, repeat=repeat)
        for teaching in range(_MAX_TEACHING + 1):
            missing = [i for i, reply in enumerate(replies) if _lacks_script(reply)]
            if not missing:
                break
            # One text teaches one server; that there is a server without it is rare.
            texts = missing if teaching == _MAX_TEACHING else missing[:1]
            again = [by_digest[i] for i in missing[len(texts) :]]
            by_text = [(b"EVAL", script.text, 1, calls[i][0], *calls[i][1]) for i in texts]
            answers = await self._link.batch([*by_text, *again])
            for i, reply in zip(missing, answers, strict=True):
                replies[i] = reply
        return replies


def _lacks_script(reply: Reply) -> bool:
    return isinstance(reply, ServerReplied) and reply.code == "NOSCRIPT"


def _acquired(reply: Reply, token: bytes) -> Acquired:
    grant, *rest = _sound(reply)
    if grant == 1:
        return Acquired(Grant.FRESH, token, frame=rest[0])
    if grant == 2:
        return Acquired(Grant.GRANTED, token)
    if grant == 4:
        return Acquired(Grant.ANNOUNCED, b"", left_ms=rest[0])
    return Acquired(Grant.HELD, token, left_ms=rest[0])


def _voiding(mark: Mark) -> _Call:
    return mark.key, [b"void", b"", mark.frame, mark.keep_ms, mark.busy_ms]


def _sound(reply: Reply) -> list[Any]:
    """Return a script's answer. Any other shape means that something else answered."""
    if isinstance(reply, list) and reply:
        return reply
    raise ServerReplied("a script's answer has an unknown form", code="PROTOCOL")
