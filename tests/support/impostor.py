"""A server that answers as a test wants: late, wrongly, or not at all.

It speaks just enough of the protocol to let a client connect. It runs in threads of its own.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import hiredis

from tests.support.blocking import blocking_allowed

__all__ = ["CUT", "SILENCE", "Impostor", "impostor"]

SILENCE = b""
"""No answer, and the connection stays open."""
CUT = None
"""No answer, and the connection is closed."""

Answer = Callable[[list[bytes]], bytes | None]

_GREETINGS = frozenset({b"CLIENT", b"SELECT", b"AUTH", b"HELLO"})


class Impostor:
    """What the test sees of the server: its URL, and the commands that reached it."""

    def __init__(self, answer: Answer, clock: bytes | None = None) -> None:
        self._answer = answer
        self._clock = clock
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.connections = 0
        self.commands: list[list[bytes]] = []
        """Commands in the order they came, without those of the handshake and TIME."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def say(self, data: bytes) -> None:
        """Send bytes on every connection, asked for or not."""
        for connection in self._open:
            with suppress(OSError), blocking_allowed():
                connection.sendall(data)

    def serve(self) -> None:
        """Accept connections until `close`."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Close everything, which ends the threads."""
        # Closing alone would leave a thread in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _talk(self, connection: socket.socket) -> None:
        reader = hiredis.Reader()
        with suppress(OSError):
            while data := connection.recv(65536):
                reader.feed(data)
                while (command := reader.gets()) is not False:
                    reply = self._reply(command)
                    if reply is CUT:
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    connection.sendall(reply)

    def _reply(self, command: list[bytes]) -> bytes | None:
        if command[0] in _GREETINGS:
            return b"+OK\r\n"
        if command[0] == b"TIME" and self._clock is not None:
            return self._clock
        if command[0] == b"TIME":
            seconds, rest = divmod(time.time_ns(), 1_000_000_000)
            parts = [b"%d" % seconds, b"%d" % (rest // 1_000)]
            return b"*2\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        self.commands.append(command)
        return self._answer(command)


@contextmanager
def impostor(answer: Answer, *, clock: bytes | None = None) -> Iterator[Impostor]:
    """Run a server that answers every command by ``answer(command)``, and TIME by `clock`."""
    server = Impostor(answer, clock)
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield server
    finally:
        server.close()
