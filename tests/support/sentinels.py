"""Servers that replicate, and Sentinels that watch over them and appoint the primary.

All are real processes. What the Sentinels do by the clock is hurried where nothing depends on
it, and left as it is where tests do: an old primary that is alive stays writable for some eight
seconds after another has been appointed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from tests.support.blocking import blocking_allowed
from tests.support.resp import Line, ServerError
from tests.support.servers import Server

__all__ = ["Replicated", "Sentinel", "Sentinels"]

_HURRIED = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
_LIMIT_S = 30.0
_ANSWER_S = 1.0
_POLL_S = 0.02
_OWN_HASTE = (
    # A frozen Sentinel, or a busy machine, would keep it from acting for half a minute.
    *("TILT-TRIGGER", "600000"),
    *("INFO-PERIOD", "300", "PING-PERIOD", "200", "ASK-PERIOD", "200"),
)
_GOSSIP_HURRIED_MS = 100
_GOSSIP_MS = 2_000
"""How often Sentinels tell each other: as by default. Four of these make an old primary yield."""


class Sentinel(Server):
    """A Sentinel that watches over one service. What it has learnt outlives a restart."""

    def __init__(
        self, service: str, primary_port: int, quorum: int, *, arguments: Sequence[str] = ()
    ) -> None:
        super().__init__(arguments=arguments)
        self._service = service
        self._file = self.folder / "sentinel.conf"
        self._file.write_text(
            f"sentinel monitor {service} 127.0.0.1 {primary_port} {quorum}\n"
            f"sentinel down-after-milliseconds {service} 500\n"
            f"sentinel failover-timeout {service} 3000\n"
            f"sentinel parallel-syncs {service} 4\n"
        )

    def start(self) -> None:
        super().start()
        self.ask("SENTINEL", "DEBUG", *_OWN_HASTE)

    def named(self) -> tuple[int, int] | None:
        """Return the epoch and the port of the primary that it names. None: it does not answer."""
        try:
            with blocking_allowed(), Line(self.port, _ANSWER_S) as line:
                _, port = line.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
                facts = _paired(line.ask("SENTINEL", "MASTER", self._service))
        except (OSError, ServerError):
            return None
        return int(facts["config-epoch"]), int(port)

    def is_content(self, replicas: int, others: int) -> bool:
        """Tell whether it sees the primary, so many replicas and other Sentinels, all sound."""
        seen = {
            "master": [_paired(self.ask("SENTINEL", "MASTER", self._service))],
            "slave": [_paired(one) for one in self.ask("SENTINEL", "REPLICAS", self._service)],
            "sentinel": [_paired(one) for one in self.ask("SENTINEL", "SENTINELS", self._service)],
        }
        sound = all(one["flags"] == kind for kind, ones in seen.items() for one in ones)
        roles = all(one["role-reported"] == "slave" for one in seen["slave"])
        return sound and roles and (len(seen["slave"]), len(seen["sentinel"])) == (replicas, others)

    def _options(self, port: int) -> list[str]:
        return [str(self._file), "--sentinel", *super()._options(port)]


class Replicated:
    """One primary with one replica, and nobody who would appoint another. A context manager.

    Tests may freeze them: `settle` makes them usable again.
    """

    def __init__(self) -> None:
        self.primary = Server(arguments=_HURRIED)
        self.replica = Server(arguments=_HURRIED)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self.primary)
            stack.enter_context(self.replica)
            _follow(self.replica, self.primary)
            self.settle()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def settle(self) -> None:
        """Thaw both, and wait until the replica follows."""
        self.primary.thaw()
        self.replica.thaw()
        _until(lambda: _is_in_step([self.replica], self.primary), "the replica is in step")

    def wipe(self) -> None:
        """Empty every database, on both."""
        self.primary.wipe()
        assert _reaches(self.primary, 1)


class Sentinels:
    """One primary, two replicas and three Sentinels. A context manager; starts in seconds.

    Tests may kill, freeze and fail over what they like: `settle` makes it usable again.
    """

    service = "mymaster"

    def __init__(self) -> None:
        self.servers = [Server(arguments=_HURRIED) for _ in range(3)]
        self.sentinels: list[Sentinel] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            for server in self.servers:
                stack.enter_context(server)
            primary, *replicas = self.servers
            for replica in replicas:
                _follow(replica, primary)
            # A Sentinel looks for replicas when it starts, and then not soon again.
            _until(lambda: _is_in_step(replicas, primary), "the replicas are in step")
            for _ in range(3):
                sentinel = Sentinel(self.service, primary.port, quorum=2)
                self.sentinels.append(sentinel)
                stack.enter_context(sentinel)
            self._gossip_every(_GOSSIP_HURRIED_MS)
            self.settle()
            # Not hurried any more: they would take one that is being promoted for an old primary.
            self._gossip_every(_GOSSIP_MS)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """The URL of database 0 of the service."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.service}/0"

    @property
    def primary(self) -> Server:
        """The server that the Sentinels name now: those that know the latest."""
        named = [name for sentinel in self.sentinels if (name := sentinel.named()) is not None]
        _, port = max(named)
        return next(server for server in self.servers if server.port == port)

    def wipe(self) -> None:
        """Empty every database and forget every script, on the replicas too."""
        primary = self.primary
        primary.wipe()
        for server in self.servers:
            server.ask("SCRIPT", "FLUSH", "SYNC")
        assert _reaches(primary, len(self.servers) - 1)

    def kill_primary(self) -> Server:
        """End the primary with SIGKILL and return it. The Sentinels appoint another by themselves.

        `Server.start` brings it back, and so does `settle`.
        """
        primary = self.primary
        primary.kill()
        return primary

    def failover(self, sentinel: int = 0) -> tuple[Server, Server]:
        """Have one of the Sentinels appoint another primary, and return the old and the new one.

        Others may still name the old one for a moment, and it stays alive and writable for
        seconds: nobody has told it.
        """
        old = self.primary
        leader = self.sentinels[sentinel]
        _until(lambda: self._begins(leader), "a failover can begin")
        _until(lambda: self.primary is not old, "another is primary")
        new = self.primary
        _until(lambda: new.ask("ROLE")[0] == b"master", "it knows")
        return old, new

    def settle(self) -> None:
        """Bring everything back up, and wait until all agree on one primary and its replicas."""
        for process in (*self.servers, *self.sentinels):
            if not process.running:
                process.start()
            process.thaw()
        _until(self._settles, "all agree on one primary")

    # -- inside ------------------------------------------------------------------------------

    def _begins(self, leader: Sentinel) -> bool:
        try:
            leader.ask("SENTINEL", "FAILOVER", self.service)
        except ServerError as error:
            if not str(error).startswith(("INPROG", "NOGOODSLAVE")):
                raise
            return False
        return True

    def _gossip_every(self, ms: int) -> None:
        for sentinel in self.sentinels:
            sentinel.ask("SENTINEL", "DEBUG", "PUBLISH-PERIOD", ms)

    def _settles(self) -> bool:
        """Tell whether all agree; where servers follow another, tell them whom to follow."""
        named = {sentinel.named() for sentinel in self.sentinels}
        if len(named) != 1 or None in named:
            return False
        primary = self.primary
        if primary.ask("ROLE")[0] != b"master":
            return False
        replicas = [server for server in self.servers if server is not primary]
        for replica in replicas:
            if not _follows(replica, primary):
                _follow(replica, primary)
        return _is_in_step(replicas, primary) and all(
            sentinel.is_content(replicas=2, others=2) for sentinel in self.sentinels
        )


def _follow(replica: Server, primary: Server) -> None:
    replica.ask("REPLICAOF", "127.0.0.1", primary.port)


def _follows(replica: Server, primary: Server) -> bool:
    facts = replica.info("replication")
    return facts["role"] == "slave" and facts["master_port"] == str(primary.port)


def _is_in_step(replicas: Sequence[Server], primary: Server) -> bool:
    """Tell whether a primary is one, and its replicas follow it and get what it is told."""
    facts = primary.info("replication")
    return (
        facts["role"] == "master"
        and sum("state=online" in fact for fact in facts.values()) == len(replicas)
        and all(_follows(replica, primary) for replica in replicas)
        and all(r.info("replication")["master_link_status"] == "up" for r in replicas)
        and _reaches(primary, len(replicas))
    )


def _reaches(primary: Server, replicas: int) -> bool:
    """Tell whether replicas confirm something new. The first word takes them up to a second."""
    with Line(primary.port) as line:
        line.ask("PUBLISH", "tests", "something new")
        return bool(line.ask("WAIT", replicas, 2_000) == replicas)


def _paired(reply: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode() for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def _until(holds: Callable[[], Any], what: str) -> None:
    """Wait until something holds. Raises `AssertionError` when that takes far too long."""
    with blocking_allowed():
        deadline_s = time.monotonic() + _LIMIT_S
        while not holds():
            assert time.monotonic() < deadline_s, f"waited in vain until {what}"
            time.sleep(_POLL_S)
