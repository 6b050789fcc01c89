"""A Redis client of a few lines, so that the kit depends on nothing that it tests."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any, Self

__all__ = ["Line", "ServerError"]


class ServerError(Exception):
    """The server answered with an error."""


class Line:
    """One blocking connection to a server on this machine. For one thread."""

    def __init__(self, port: int, timeout_s: float = 5.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect. Idempotent."""
        self._reader.close()
        self._socket.close()

    def ask(self, *words: str | bytes | int) -> Any:
        """Send one command and return its reply. Strings come as bytes, and nil as None.

        Raises `ServerError` for an error reply, and `OSError` when the server is not there.
        """
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        body = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        self._socket.sendall(b"*%d\r\n%b" % (len(parts), body))
        return self._reply()

    def _reply(self) -> Any:
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionResetError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise ServerError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self._reader.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
