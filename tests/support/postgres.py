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
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, LiteralString

import psycopg

from tests.support.blocking import blocking_allowed
from tests.support.program import Program, signal_to
from tests.support.servers import ServerMissing

__all__ = ["Postgres", "postgres_programs"]

_DEBIAN = Path("/usr/lib/postgresql")
_NEEDED = ("initdb", "postgres")
_USERS = ("postgres", "nobody")
_READY_LINE = 7


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


class Postgres(Program):
    """One PostgreSQL server. To restart it, or end it, cuts connections and keeps the data."""

    _start_s: ClassVar[float] = 30.0
    _stop_s: ClassVar[float] = 10.0
    _last: ClassVar[signal.Signals] = signal.SIGQUIT
    """Unlike SIGKILL, it leaves no shared memory behind."""

    def __init__(self) -> None:
        self._programs = postgres_programs()
        super().__init__("postgres")
        self._data = self.folder / "data"
        self._password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """The URL of its one database, as PostgreSQL's own programs and psycopg read it."""
        return f"postgresql://freshwell:{self._password}@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """End the server as an operator would: connections are cut, data is kept. Idempotent."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all its processes with SIGKILL, as a crash would. Idempotent."""
        if self._process is not None:
            os.kill(self.pid, signal.SIGSTOP)  # it would start others in place of those that died
            for child in self._children():
                signal_to(child, signal.SIGKILL)
        self._end(signal.SIGKILL)

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

    # -- what it is --------------------------------------------------------------------------

    def _prepare(self) -> None:
        if self._data.exists():
            return
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

    def _user(self) -> dict[str, Any]:
        return _as_not_root()

    def _command(self, port: int) -> list[str]:
        return [str(self._programs / "postgres"), *self._options(port)]

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

    def _answers(self, port: int) -> bool:
        # It keeps a file that says whether it takes connections.
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


def _not_root() -> dict[str, Any]:
    """Return the user to be instead of root, and its group."""
    for name in _USERS:
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid}
    raise ServerMissing("PostgreSQL refuses root, and there is no user postgres or nobody")


def _as_not_root() -> dict[str, Any]:
    return {**_not_root(), "extra_groups": []} if os.geteuid() == 0 else {}
