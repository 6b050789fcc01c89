"""The wire protocol, as far as a link needs it: commands as bytes, replies by hiredis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from freshwell._kit.link_errors import ServerReplied

__all__ = ["Argument", "Reply", "new_reader", "pack", "server_ms_of"]

Argument = bytes | str | int
Reply = Any
"""bytes, int, None, a list of replies, or `ServerReplied` where the server answered an error."""


def pack(command: Sequence[Argument]) -> bytes:
    """Return a command as the server reads it."""
    parts = [b"*%d\r\n" % len(command)]
    for argument in command:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def new_reader() -> Any:
    """Return a parser that gives error replies as `ServerReplied` in their place."""
    import hiredis

    return hiredis.Reader(protocolError=ConnectionError, replyError=_server_replied)


def _server_replied(message: str) -> ServerReplied:
    code = message.partition(" ")[0]
    return ServerReplied(f"the server answered {code}", code=code)


def server_ms_of(reply: Sequence[bytes]) -> int:
    """Return the answer of TIME in microseconds."""
    return int(reply[0]) * 1_000_000 + int(reply[1])
