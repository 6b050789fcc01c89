"""A private Redis or Valkey server for the time of some tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["RedisServer", "ServerMissing", "free_port", "server_program"]

_PROGRAMS = ("redis-server", "valkey-server")
_START_S = 15.0
_STOP_S = 5.0
_POLL_S = 0.01
_TRIES = 5


class ServerMissing(Exception):
    """No server program is installed."""


class RedisServer:
    """A server on a free loopback port, from the beginning of the block to its end.

    The program is ``redis-server``, else ``valkey-server``, or what the environment variable
    ``FRESHWELL_TEST_SERVER`` names. It keeps nothing on disk, and asks for no password.

    Raises `ServerMissing` at once where there is none, and `RuntimeError`, on entering, where it
    does not start. Not for an event loop: entering and leaving wait.
    """

    def __init__(self) -> None:
        self._program = server_program()
        self._folder = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __repr__(self) -> str:
        return f"<RedisServer port={self.port}>"

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._folder = tempfile.mkdtemp(prefix="freshwell-testing-")
        try:
            for _ in range(_TRIES):
                if self._starts(free_port()):
                    return self
            raise RuntimeError(f"{self._program} did not start:\n{self._log()}")
        except BaseException:
            self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def wipe(self) -> None:
        """Empty every database. Raises `OSError` where the server does not answer."""
        if self._ask(b"FLUSHALL") != b"+OK":
            raise RuntimeError("the server would not be emptied")

    # -- inside ------------------------------------------------------------------------------

    def _starts(self, port: int) -> bool:
        with (Path(self._folder) / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program that the user has installed
                [
                    *(self._program, "--port", str(port), "--bind", "127.0.0.1"),
                    *("--dir", self._folder, "--save", "", "--appendonly", "no"),
                    *("--daemonize", "no"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.port = port
        deadline_s = time.monotonic() + _START_S
        while self._process.poll() is None and time.monotonic() < deadline_s:
            try:
                # Another server may have taken the port meanwhile: only ours has our folder.
                if self._folder.encode() in self._ask(b"CONFIG", b"GET", b"dir"):
                    return True
            except OSError:
                pass
            time.sleep(_POLL_S)
        self._stop()
        return False

    def _ask(self, *words: bytes) -> bytes:
        parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=_STOP_S) as line:
            line.sendall(b"*%d\r\n" % len(words) + parts)
            return line.recv(4_096).rstrip(b"\r\n")

    def _log(self) -> str:
        return (Path(self._folder) / "log").read_text(errors="replace")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _end(self) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def server_program() -> str:
    """Return the path of the server program. Raises `ServerMissing`, which says what to do."""
    named = os.environ.get("FRESHWELL_TEST_SERVER")
    for wanted in [named] if named else _PROGRAMS:
        found = shutil.which(wanted)
        if found is not None:
            return found
    raise ServerMissing(
        f"{named or 'redis-server'!r} is not installed: install Redis or Valkey, or set "
        "FRESHWELL_TEST_SERVER to the path of redis-server or valkey-server"
    )


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
