"""The wire protocol, as far as a link needs it: commands as bytes, replies by hiredis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from freshwell._kit.link_errors import ServerReplied

__all__ = [
    "Argument",
    "Reply",
    "new_reader",
    "not_text",
    "pack",
    "pack_get",
    "pack_mget",
    "scan_command",
    "scanned",
    "server_us_of",
    "unerring",
    "values_of",
]

_SCAN_COUNT = 600
"""So few that the server's other clients do not notice."""
_REDIRECTS = ("ASK", "MOVED")

Argument = bytes | str | int
Reply = Any
"""bytes, int, None, a list of replies, or `ServerReplied` where the server answered an error."""


def pack(commands: Sequence[Sequence[Argument]]) -> bytes:
    """Return commands as the server reads them."""
    packed = _packer()
    return b"".join([packed(tuple(command)) for command in commands])


def pack_get(key: bytes) -> bytes:
    """Return a GET as the server reads it."""
    return b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key)


def pack_mget(keys: Sequence[bytes]) -> bytes:
    """Return an MGET as the server reads it."""
    if len(keys) == 2:  # as of an entry and the version of its own tag: five times as fast
        a, b = keys
        return b"*3\r\n$4\r\nMGET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(a), a, len(b), b)
    return _packer()((b"MGET", *keys))


@cache
def _packer() -> Callable[[tuple[Argument, ...]], bytes]:
    """Return what packs a command: to import it each time would cost as much as a short one."""
    from hiredis import pack_command

    return cast("Callable[[tuple[Argument, ...]], bytes]", pack_command)


def new_reader() -> Any:
    """Return a parser that gives error replies as `ServerReplied` in their place."""
    import hiredis

    return hiredis.Reader(protocolError=ConnectionError, replyError=_server_replied)


def _server_replied(message: str) -> ServerReplied:
    code, _, rest = message.partition(" ")
    detail = rest if code in _REDIRECTS else ""
    return ServerReplied(f"the server answered {code}", code=code, detail=detail)


def unerring(reply: Reply) -> Reply:
    """Return a reply, or raise the error that it is."""
    if isinstance(reply, ServerReplied):
        raise reply
    return reply


def not_text(reply: Reply) -> bytes:
    """Return what a GET stands for that was answered by neither text nor nothing.

    A key of another type holds nothing of ours: empty bytes. Any other error is raised.
    """
    if isinstance(reply, ServerReplied) and reply.code != "WRONGTYPE":
        raise reply
    return b""


def values_of(reply: Reply, wanted: int) -> list[bytes | None]:
    """Return the `wanted` values that an MGET was answered by, or raise the error that it is."""
    if not isinstance(unerring(reply), list) or len(reply) != wanted:
        raise ServerReplied("the answer to MGET has an unknown form", code="PROTOCOL")
    return [v if v.__class__ is bytes or v is None else not_text(v) for v in reply]


def scan_command(pattern: bytes, place: object) -> tuple[Argument, ...]:
    """Return one step of a SCAN, from a place that `scanned` has returned (None: the start)."""
    cursor = place if isinstance(place, bytes) else b"0"
    return (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", _SCAN_COUNT)


def scanned(reply: Reply) -> tuple[object, list[bytes]]:
    """Return the place to go on from (None: that was all) and the keys of one step of a SCAN."""
    try:
        cursor, keys = unerring(reply)
        return (None if cursor == b"0" else cursor), list(keys)
    except (TypeError, ValueError):
        raise ServerReplied("the answer to SCAN has an unknown form", code="PROTOCOL") from None


def server_us_of(reply: Reply) -> int | None:
    """Return the answer of TIME in microseconds. None: it is no answer to that."""
    try:
        seconds, us = reply
        return int(seconds) * 1_000_000 + int(us)
    except (TypeError, ValueError):
        return None
