"""Start, stop, freeze and kill PostgreSQL servers of one's own.

The programs are those of the folder that FRESHWELL_TEST_POSTGRES names; else of the newest
under ``/usr/lib/postgresql``, where Debian puts them; else those on the PATH. A server listens on
a free loopback port, with a password of its own, keeps its files in a temporary folder, and
writes through (``fsync`` is on). PostgreSQL does not run as root: then it runs as ``postgres``,
else as ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import psycopg

from tests.support.blocking import blocking_allowed
from tests.support.servers import ServerMissing, ends_with_us, free_port

__all__ = ["Postgres", "postgres_programs"]

_DEBIAN = Path("/usr/lib/postgresql")
_NEEDED = ("initdb", "postgres")
_USERS = ("postgres", "nobody")
_READY_LINE = 7
_START_S = 30.0
_STOP_S = 10.0
_POLL_S = 0.02
_TRIES = 5


def postgres_programs() -> Path:
    """Return the folder of the programs. Raises `ServerMissing`, which says what to do."""
    named = os.environ.get("FRESHWELL_TEST_POSTGRES")
    if named:
        folders = [Path(named)]
    else:
        debian = sorted(_DEBIAN.glob("*/bin"), key=lambda path: -_version(path.parent.name))
        found = shutil.which("postgres")
        folders = [*debian, *([Path(found).resolve().parent] if found else [])]
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in _NEEDED):
            return folder
    raise ServerMissing(
        f"PostgreSQL is not installed{f' in {named!r}' if named else ''}: run `tools/setup.sh "
        "servers`, or set FRESHWELL_TEST_POSTGRES to the folder with initdb and postgres; "
        "`make quick` runs the tests that need no server"
    )


def _version(name: str) -> int:
    digits = re.match(r"\d+", name)
    return int(digits[0]) if digits else 0


class Postgres:
    """One PostgreSQL server, started on entering and gone on leaving.

    All methods return when what they say is done. They may be called from async tests.
    """

    def __init__(self) -> None:
        self._programs = postgres_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="freshwell-postgres-"))
        self._data = self.folder / "data"
        self._password = secrets.token_urlsafe(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []
        self.port = 0

    def __repr__(self) -> str:
        return f"<Postgres port={self.port} {'up' if self.running else 'down'}>"

    def __enter__(self) -> Self:
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
        """The URL of its one database, as PostgreSQL's own programs and psycopg read it."""
        return f"postgresql://freshwell:{self._password}@127.0.0.1:{self.port}/postgres"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id. Raises `AssertionError` when it is not running."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the server, on the port and with the data it had before if it had any."""
        assert not self.running, "the server is running already"
        assert self.folder.exists(), "the server has been disposed of"
        with blocking_allowed():
            if not self._data.exists():
                self._create()
            for _ in range(1 if self.port else _TRIES):
                port = self.port or free_port()
                if self._start_on(port):
                    self.port = port
                    return
            raise AssertionError(f"the server did not start:\n{self.log()}")

    def stop(self) -> None:
        """End the server as an operator would: connections are cut, data is kept. Idempotent."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all its processes with SIGKILL, as a crash would. Idempotent."""
        if self._process is not None:
            os.kill(self.pid, signal.SIGSTOP)  # it would start others in place of those that died
            for child in self._children():
                _signal(child, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill the server, and start it anew on the same port."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop all its processes: connections stay open, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        self._frozen = [self.pid, *self._children()]
        for pid in self._frozen:
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on. Idempotent."""
        frozen, self._frozen = self._frozen, []
        for pid in reversed(frozen):
            _signal(pid, signal.SIGCONT)

    def ask(self, statement: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own, and return its rows."""
        with blocking_allowed(), psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def wipe(self) -> None:
        """Cut all connections, and empty the database."""
        self.ask(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        self.ask("DROP SCHEMA public CASCADE")
        self.ask("CREATE SCHEMA public")

    def log(self) -> str:
        """Return what the server has written to its log."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def dispose(self) -> None:
        """End the server and delete its files. It cannot be used again. Idempotent."""
        self._end(signal.SIGQUIT)  # unlike SIGKILL, it leaves no shared memory behind
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- inside ------------------------------------------------------------------------------

    def _create(self) -> None:
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if os.geteuid() == 0:
            for path in (self.folder, secret):
                shutil.chown(path, **_not_root())
        made = subprocess.run(
            [
                *(self._programs / "initdb", "-D", self._data, "-U", "freshwell"),
                *("--auth=scram-sha-256", f"--pwfile={secret}", "--no-locale", "--encoding=UTF8"),
                "--no-sync",
            ],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            **_as_not_root(),
        )
        secret.unlink()
        assert made.returncode == 0, f"initdb failed:\n{made.stderr}"

    def _start_on(self, port: int) -> bool:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ends_with_us(), str(self._programs / "postgres"), *self._options(port)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                **_as_not_root(),
            )
        ready = False
        try:
            ready = self._comes_up()
        finally:
            if not ready:
                self._end(signal.SIGQUIT)
        return ready

    def _comes_up(self) -> bool:
        deadline_s = time.monotonic() + _START_S
        while self.running and time.monotonic() < deadline_s:
            if self._is_ready():
                return True
            time.sleep(_POLL_S)
        return False

    def _options(self, port: int) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": "50",
            "fsync": "on",
            "synchronous_commit": "on",
        }
        words = (("-c", f"{name}={value}") for name, value in settings.items())
        return ["-D", str(self._data), "-p", str(port), *(word for pair in words for word in pair)]

    def _is_ready(self) -> bool:
        """Tell whether this process takes connections, by the file that it keeps for that."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        written = len(lines) > _READY_LINE and lines[_READY_LINE].strip() == "ready"
        return written and lines[0] == str(self.pid)

    def _children(self) -> list[int]:
        """Return the processes that the server has started, one for each connection among them."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                if int(path.read_text().rsplit(")", 1)[1].split()[1]) == self.pid:
                    found.append(int(path.parent.name))
        return found

    def _end(self, by: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with blocking_allowed():
            process.send_signal(by)
            self.thaw()
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _not_root() -> dict[str, Any]:
    """Return the user to be instead of root, and its group."""
    for name in _USERS:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid}
    raise ServerMissing("PostgreSQL refuses root, and there is no user postgres or nobody")


def _as_not_root() -> dict[str, Any]:
    return {**_not_root(), "extra_groups": []} if os.geteuid() == 0 else {}


def _signal(pid: int, by: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, by)
