"""The L2 tier on Redis and Valkey: one key per entry, three single-key scripts.

A hit is a plain GET. What must be atomic runs in a script that reads and changes the frame's
head only (``freshwell/lua``). Scripts go by digest, and once more by text where the server
has not seen them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

from freshwell._async.stores.base import Acquired, Fill, Grant
from freshwell._kit.link_errors import LinkLost, ServerReplied
from freshwell._kit.resp import Argument, Reply
from freshwell.ground.frame import lease_frame, tombstone_frame

__all__ = ["Commands", "RedisStore"]

_TOMBSTONE_MS = 1_000

_Call = tuple[bytes, Sequence[bytes | int]]
"""A key, and what a script is told about it."""


class _Script(NamedTuple):
    text: bytes
    sha: bytes


@cache
def _script(name: str) -> _Script:
    text = files("freshwell.lua").joinpath(f"{name}.lua").read_bytes()
    return _Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


class Commands(Protocol):
    """What a store needs of a way to its servers: a `Link` to one, or to a whole Cluster."""

    def server_ms(self, key: bytes = b"") -> int:
        """Return the clock of the server that has `key`, as estimated now. 0: not known yet."""

    async def get(self, key: bytes) -> bytes | None:
        """GET."""

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """GET each of the keys, in one write for each server."""

    async def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write for each server. Errors stand in their place."""

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""


class RedisStore:
    """Redis or Valkey behind one link. Belongs to the link's home."""

    shared = True

    def __init__(self, link: Commands, *, lease_ms: int, new_token: Callable[[], bytes]) -> None:
        self._link = link
        self._lease_ms = lease_ms
        self._new_token = new_token
        self._acquire = _script("acquire")
        self._fill = _script("fill")
        self._void = _script("invalidate")
        self.server_ms = link.server_ms

    async def fetch(self, key: bytes) -> bytes | None:
        return await self._link.get(key)

    async def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return await self._link.get_many(keys)

    async def acquire(
        self, keys: Sequence[bytes], *, fresh_beyond_ms: int = 0, forced: bool = False
    ) -> list[Acquired]:
        """Ask for leases; where the reply is lost, once more.

        The second try has a token of its own and names the first: a first try that reaches
        the server late can then not stand as a lease that is in use.
        """
        mode = b"forced" if forced else b"needed"
        token = self._new_token()
        try:
            return await self._ask(keys, mode, token, b"", fresh_beyond_ms)
        except LinkLost:
            return await self._ask(keys, mode, self._new_token(), token, fresh_beyond_ms)

    async def beat(self, leases: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        calls: list[_Call] = [
            (key, [token, self._lease_ms, b"beat", b"", lease_frame(key), 0])
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
        commands = [(b"SET", key, tombstone_frame(key), b"PX", _TOMBSTONE_MS) for key in keys]
        for reply in await self._link.batch(commands, repeat=True):
            if isinstance(reply, ServerReplied):
                raise reply

    async def expire(self, keys: Sequence[bytes]) -> None:
        calls: list[_Call] = [
            (key, [b"expire", b"", tombstone_frame(key), _TOMBSTONE_MS]) for key in keys
        ]
        await self._run(self._void, calls, repeat=True)

    async def aclose(self) -> None:
        await self._link.aclose()

    async def _ask(
        self,
        keys: Sequence[bytes],
        mode: bytes,
        token: bytes,
        earlier: bytes,
        fresh_beyond_ms: int,
    ) -> list[Acquired]:
        calls: list[_Call] = [
            (key, [token, self._lease_ms, mode, earlier, lease_frame(key), fresh_beyond_ms])
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
        """Run a script on each key in one write; by its text where the server lacks it."""
        by_digest = [(b"EVALSHA", script.sha, 1, key, *args) for key, args in calls]
        replies = await self._link.batch(by_digest, repeat=repeat)
        missing = [i for i, reply in enumerate(replies) if _lacks_script(reply)]
        if missing:
            by_text = [(b"EVAL", script.text, 1, calls[i][0], *calls[i][1]) for i in missing]
            for i, reply in zip(missing, await self._link.batch(by_text), strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, ServerReplied):
                raise reply
        return replies


def _lacks_script(reply: Reply) -> bool:
    return isinstance(reply, ServerReplied) and reply.code == "NOSCRIPT"


def _acquired(reply: Reply, token: bytes) -> Acquired:
    grant, *rest = _sound(reply)
    if grant == 1:
        return Acquired(Grant.FRESH, token, frame=rest[0])
    if grant == 2:
        return Acquired(Grant.GRANTED, token)
    return Acquired(Grant.HELD, token, left_ms=rest[0])


def _sound(reply: Reply) -> list[Any]:
    """Return a script's answer. Any other shape means that something else answered."""
    if isinstance(reply, list) and reply:
        return reply
    raise ServerReplied("the acquire script's answer has an unknown form", code="PROTOCOL")
