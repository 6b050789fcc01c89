"""Start, stop, freeze and kill Redis or Valkey servers of one's own.

The server program is ``redis-server``, else ``valkey-server``, or what the environment variable
FRESHWELL_TEST_SERVER names. Servers listen on a free loopback port and keep their files in a
temporary folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from freshwell.testing.servers import free_port
from tests.support.blocking import blocking_allowed
from tests.support.resp import Line, ServerError

__all__ = ["Server", "ServerMissing", "ends_with_us", "free_port", "server_program"]

_PROGRAMS = ("redis-server", "valkey-server")
_START_S = 15.0
_STOP_S = 5.0
_POLL_S = 0.01
_TRIES = 5


class ServerMissing(Exception):
    """There is no server program on this machine."""


def server_program() -> str:
    """Return the path of the server program. Raises `ServerMissing`, which says what to do."""
    named = os.environ.get("FRESHWELL_TEST_SERVER")
    for wanted in [named] if named else _PROGRAMS:
        found = shutil.which(wanted)
        if found is not None:
            return found
    raise ServerMissing(
        f"{named or _PROGRAMS[0]!r} is not installed: run `tools/setup.sh servers`, or set "
        "FRESHWELL_TEST_SERVER to the path of redis-server or valkey-server; "
        "`make quick` runs the tests that need no server"
    )


def ends_with_us() -> list[str]:
    """Return a command that makes the kernel end the server when this process is killed.

    It would end it with the starting thread too, so it is for the main thread only.
    """
    guard = shutil.which("setpriv")
    in_main = threading.current_thread() is threading.main_thread()
    return [guard, "--pdeathsig", "KILL", "--"] if guard and in_main else []


class Server:
    """One server process, started on entering, where it is not up already, and gone on leaving.

    `aof`: keep an append-only file, written through on every command, so that a restart finds
    the data. `arguments`: more of the program's own, such as ``["--maxmemory", "2mb"]``.

    All methods return when what they say is done. They may be called from async tests.
    """

    def __init__(self, *, aof: bool = False, arguments: Sequence[str] = ()) -> None:
        self._aof = aof
        self._arguments = tuple(arguments)
        self._folder = Path(tempfile.mkdtemp(prefix="freshwell-server-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False
        self.port = 0

    def __repr__(self) -> str:
        return f"<Server port={self.port} {'up' if self.running else 'down'}>"

    def __enter__(self) -> Self:
        if not self.running:
            try:
                self.start()
            except BaseException:
                self.dispose()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dispose()

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        return self._frozen

    @property
    def pid(self) -> int:
        """The process's id. Raises `AssertionError` when it is not running."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the process, on the port it had before if it had one, and wait for its PONG.

        Whatever is raised, no process is left behind but one that ran already.
        """
        assert not self.running, "the server is running already"
        assert self._folder.exists(), "the server has been disposed of"
        with blocking_allowed():
            tries = 1 if self.port else _TRIES
            for attempt in range(tries):
                port = self.port or free_port()
                if self._start_on(port):
                    self.port = port
                    return
                if attempt + 1 == tries:
                    raise AssertionError(f"the server did not start:\n{self.log()}")

    def stop(self) -> None:
        """End the process as an operator would, and wait for its end. Idempotent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process with SIGKILL, as a crash would, and wait for its end. Idempotent."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the process, and start it anew on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop the process with SIGSTOP: its connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let a frozen process go on. Idempotent."""
        if self._frozen:
            os.kill(self.pid, signal.SIGCONT)
            self._frozen = False

    def ask(self, *words: str | bytes | int) -> Any:
        """Run one command on a connection of its own and return its reply, strings as bytes.

        Raises `ServerError` for an error reply.
        """
        with blocking_allowed(), Line(self.port) as line:
            return line.ask(*words)

    def info(self, section: str) -> dict[str, str]:
        """Return one section of the server's INFO."""
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def version(self) -> tuple[int, ...]:
        """Return the server's own version, Valkey's where it is Valkey."""
        facts = self.info("server")
        text = facts.get("valkey_version", facts["redis_version"])
        return tuple(int(part) for part in text.split("."))

    def wipe(self) -> None:
        """Empty every database and forget every script, as a new server would."""
        self.ask("FLUSHALL")
        self.ask("SCRIPT", "FLUSH", "SYNC")

    def log(self) -> str:
        """Return what the server has written to its log."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def dispose(self) -> None:
        """End the process and delete its files. The server cannot be used again. Idempotent."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- inside ------------------------------------------------------------------------------

    def _start_on(self, port: int) -> bool:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ends_with_us(), server_program(), *self._options(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ready = False
        try:
            ready = self._comes_up(port)
        finally:
            if not ready:
                self.kill()
        return ready

    def _comes_up(self, port: int) -> bool:
        deadline_s = time.monotonic() + _START_S
        while self.running and time.monotonic() < deadline_s:
            if self._answers(port):
                return True
            time.sleep(_POLL_S)
        return False

    def _options(self, port: int) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always"] if self._aof else []
        return [
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._folder)),
            *("--save", "", "--enable-debug-command", "local", "--daemonize", "no"),
            # Else one that was a replica would start again with what it once got from its primary.
            *("--rdb-del-sync-files", "yes"),
            *durable,
            *self._arguments,
        ]

    def _answers(self, port: int) -> bool:
        """Tell whether this process, and not another on the same port, is ready."""
        try:
            with Line(port, timeout_s=1.0) as line:
                ready = line.ask("PING") == b"PONG"
                return ready and b"process_id:%d\r" % self.pid in line.ask("INFO", "server")
        except (OSError, ServerError):
            return False

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with blocking_allowed():
            if self._frozen:
                process.send_signal(signal.SIGCONT)
                self._frozen = False
            process.send_signal(by)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
