"""The wire protocol, as far as a link needs it: commands as bytes, replies by hiredis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from freshwell._kit.link_errors import ServerReplied

__all__ = [
    "Argument",
    "Reply",
    "new_reader",
    "not_text",
    "pack",
    "pack_mget",
    "scan_command",
    "scanned",
    "server_us_of",
    "unerring",
    "values_of",
]

_SCAN_COUNT = 500
"""So few that the server's other clients do not notice."""
_REDIRECTS = ("ASK", "MOVED")
_KNOWN_SIZES = 512
_SIZES = [b"$%d" % size for size in range(_KNOWN_SIZES)]
"""What stands before an argument of each size: to look it up takes a third of writing it."""

Argument = bytes | str | int
Reply = Any
"""bytes, int, None, a list of replies, or `ServerReplied` where the server answered an error."""


def pack(command: Sequence[Argument]) -> bytes:
    """Return a command as the server reads it."""
    parts = [b"*%d" % len(command)]
    for argument in command:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        size = len(data)
        parts += (_SIZES[size] if size < _KNOWN_SIZES else b"$%d" % size, data)
    parts.append(b"")
    return b"\r\n".join(parts)


def pack_mget(keys: Sequence[bytes]) -> bytes:
    """Return an MGET as the server reads it."""
    parts = [b"$%d\r\n%b\r\n" % (len(key), key) for key in keys]
    return b"*%d\r\n$4\r\nMGET\r\n%b" % (len(keys) + 1, b"".join(parts))


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
