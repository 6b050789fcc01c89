"""All that a server holds, and all that it is told, as bytes to be searched."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Final

from tests.support.blocking import blocking_allowed
from tests.support.servers import Server

__all__ = ["files_in", "held_by", "told_to"]

_READ: Final[dict[bytes, tuple[str, ...]]] = {
    b"string": ("GET", "KEY"),
    b"hash": ("HGETALL", "KEY"),
    b"stream": ("XRANGE", "KEY", "-", "+"),
    b"list": ("LRANGE", "KEY", "0", "-1"),
    b"set": ("SMEMBERS", "KEY"),
    b"zset": ("ZRANGE", "KEY", "0", "-1", "WITHSCORES"),
}
_END: Final = b"the end of what was told"


def held_by(server: Server) -> bytes:
    """Return every key of a server and what it holds, one after the other."""
    found: list[bytes] = []
    for key in server.ask("KEYS", "*"):
        words = _READ[server.ask("TYPE", key)]
        found += [key, *_flat(server.ask(*(key if word == "KEY" else word for word in words)))]
    return b"\n".join(found)


def files_in(folder: Path) -> bytes:
    """Return what the files of a folder hold, one after the other."""
    return b"\n".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


@contextmanager
def told_to(server: Server) -> Iterator[list[bytes]]:
    """Listen to every command that a server is sent; what it was is there at the end."""
    heard: list[bytes] = []
    with blocking_allowed(), socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(b"MONITOR\r\n")
        assert line.recv(5) == b"+OK\r\n"
        thread = Thread(target=_listen, args=(line, heard))
        thread.start()
        try:
            yield heard
        finally:
            server.ask("ECHO", _END)
            with blocking_allowed():
                thread.join(10)


def _listen(line: socket.socket, heard: list[bytes]) -> None:
    while not heard or _END not in b"".join(heard[-2:]):
        more = line.recv(65_536)
        if not more:
            return
        heard.append(more)


def _flat(reply: Any) -> Iterator[bytes]:
    if isinstance(reply, list):
        for part in reply:
            yield from _flat(part)
    elif isinstance(reply, bytes):
        yield reply
    else:
        yield str(reply).encode()
