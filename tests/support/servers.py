"""Start, stop, freeze and kill Redis or Valkey servers of one's own.

The server program is ``redis-server``, else ``valkey-server``, or what the environment variable
FRESHWELL_TEST_SERVER names.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from freshwell.testing import servers as installed
from freshwell.testing.servers import ServerMissing, free_port
from tests.support.blocking import blocking_allowed
from tests.support.program import Program
from tests.support.resp import Line, ServerError

__all__ = ["Server", "ServerMissing", "free_port", "server_program"]


def server_program() -> str:
    """Return the path of the server program. Raises `ServerMissing`, which says what to do."""
    try:
        return installed.server_program()
    except ServerMissing as missing:
        raise ServerMissing(
            f"{missing}; `tools/setup.sh servers` installs one, and `make quick` runs the tests "
            "that need none"
        ) from None


class Server(Program):
    """One server process of Redis or Valkey.

    `aof`: keep an append-only file, written through on every command, so that a restart finds
    the data. `arguments`: more of the program's own, such as ``["--maxmemory", "2mb"]``.
    """

    def __init__(self, *, aof: bool = False, arguments: Sequence[str] = ()) -> None:
        super().__init__("server")
        self._aof = aof
        self._arguments = tuple(arguments)

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """End the process as an operator would, and wait for its end. Idempotent."""
        self._end(signal.SIGTERM)

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

    # -- what it is --------------------------------------------------------------------------

    def _command(self, port: int) -> list[str]:
        return [server_program(), *self._options(port)]

    def _options(self, port: int) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always"] if self._aof else []
        return [
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
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
