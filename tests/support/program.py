"""A server program of one's own: on a free loopback port, with its files in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from freshwell.testing.servers import free_port
from tests.support.blocking import blocking_allowed

__all__ = ["Program", "signal_to"]

_POLL_S = 0.01
_TRIES = 5


class Program(ABC):
    """One server, started on entering, where it is not up already, and gone on leaving.

    All methods return when what they say is done. They may be called from async tests.
    """

    _start_s: ClassVar[float] = 15.0
    _stop_s: ClassVar[float] = 5.0
    _last: ClassVar[signal.Signals] = signal.SIGKILL
    """How to end it where nobody wants its data."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"freshwell-{name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: Sequence[int] = ()
        self.port = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} port={self.port} {'up' if self.running else 'down'}>"

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
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def frozen(self) -> bool:
        return bool(self._frozen)

    @property
    def pid(self) -> int:
        """The process's id. Raises `AssertionError` when it is not running."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port and with the data it had before if any, and wait until it answers.

        Whatever is raised, no process is left behind but one that ran already.
        """
        assert not self.running, "the server is running already"
        assert self.folder.exists(), "the server has been disposed of"
        with blocking_allowed():
            self._prepare()
            for _ in range(1 if self.port else _TRIES):
                port = self.port or free_port()
                if self._start_on(port):
                    self.port = port
                    return
            raise AssertionError(f"the server did not start:\n{self.log()}")

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would, and wait for its end. Idempotent."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it, and start it anew on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop all its processes: connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = (self.pid, *self._children())
        for pid in self._frozen:
            signal_to(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, if it is frozen. Idempotent."""
        frozen, self._frozen = self._frozen, ()
        for pid in reversed(frozen):
            signal_to(pid, signal.SIGCONT)

    def log(self) -> str:
        """Return what it has written to its log."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def dispose(self) -> None:
        """End it and delete its files. It cannot be used again. Idempotent."""
        self._end(self._last)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what it is --------------------------------------------------------------------------

    @abstractmethod
    def _command(self, port: int) -> list[str]:
        """Return the words that start it. Raises `ServerMissing`."""

    @abstractmethod
    def _answers(self, port: int) -> bool:
        """Tell whether this process, and not another on the same port, is ready."""

    def _prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Make what it needs before its first start."""

    def _children(self) -> Sequence[int]:
        """Return the processes that it has started."""
        return ()

    def _user(self) -> dict[str, Any]:
        """Return whom it runs as, for `Popen`. Empty: as this process does."""
        return {}

    # -- inside ------------------------------------------------------------------------------

    def _start_on(self, port: int) -> bool:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_ends_with_us(), *self._command(port)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._user(),
            )
        ready = False
        try:
            ready = self._comes_up(port)
        finally:
            if not ready:
                self._end(self._last)
        return ready

    def _comes_up(self, port: int) -> bool:
        deadline_s = time.monotonic() + self._start_s
        while self.running and time.monotonic() < deadline_s:
            if self._answers(port):
                return True
            time.sleep(_POLL_S)
        return False

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with blocking_allowed():
            process.send_signal(by)
            self.thaw()
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(self._stop_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def signal_to(pid: int, by: signal.Signals) -> None:
    """Send a signal to a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, by)


def _ends_with_us() -> list[str]:
    """Return a command that makes the kernel end the server when this process is killed.

    It would end it with the starting thread too, so it is for the main thread only.
    """
    guard = shutil.which("setpriv")
    in_main = threading.current_thread() is threading.main_thread()
    return [guard, "--pdeathsig", "KILL", "--"] if guard and in_main else []
