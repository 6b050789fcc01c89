"""Where a run takes place: servers, and the ways by which its processes reach them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from types import TracebackType
from typing import Any, Self

from freshwell.testing import FaultProxy
from tests.support.cluster import Cluster
from tests.support.sentinels import Sentinels
from tests.support.servers import Server

__all__ = ["SITES", "Clustered", "Service", "Site", "Standalone", "Untracked", "until"]

_LIMIT_S = 30.0
_POLL_S = 0.02
_REPLICAS = 3
_MOVED = 5
_RIGHTS = ("+@all", "-client|tracking")


class Site:
    """Servers that are up on entering and gone on leaving.

    `links`: a proxy for each process, where the site has them.
    """

    def __init__(self) -> None:
        self.links: list[FaultProxy] = []
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        with self.stack as stack:
            self.open()
            self.stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stack.close()

    def open(self) -> None:
        """Start what there is to start, on `stack`."""
        raise NotImplementedError

    def urls(self, count: int) -> list[str]:
        """Return a URL for each process."""
        raise NotImplementedError

    def primary(self, random: Random) -> Server:
        """Return a server that takes writes."""
        raise NotImplementedError

    def settle(self) -> None:
        """Bring everything back up."""
        raise NotImplementedError


class Standalone(Site):
    """One server that keeps nothing on disk, and a proxy in front of it for each process."""

    server: Server

    def open(self) -> None:
        self.server = self.stack.enter_context(Server())

    def urls(self, count: int) -> list[str]:
        self.links = [self.stack.enter_context(FaultProxy(self.server.port)) for _ in range(count)]
        return [link.url for link in self.links]

    def primary(self, random: Random) -> Server:
        return self.server

    def settle(self) -> None:
        for link in self.links:
            link.heal()
        self.server.thaw()
        if not self.server.running:
            self.server.start()


class Untracked(Standalone):
    """The same, where processes may not have the server tell them of changes."""

    def open(self) -> None:
        super().open()
        self.server.ask(*("ACL", "SETUSER", "plain", "on", ">plain", "~*", "&*"), *_RIGHTS)

    def urls(self, count: int) -> list[str]:
        return [url.replace("redis://", "redis://plain:plain@") for url in super().urls(count)]


class Service(Site):
    """A primary with replicas, under Sentinels. Processes go where these say: no proxies."""

    service: Sentinels

    def open(self) -> None:
        self.service = self.stack.enter_context(Sentinels())

    def urls(self, count: int) -> list[str]:
        return [self.service.url] * count

    def primary(self, random: Random) -> Server:
        return self.service.primary

    def settle(self) -> None:
        self.service.settle()


class Clustered(Site):
    """Three primaries with a replica each. Processes follow the slots: no proxies."""

    cluster: Cluster

    def open(self) -> None:
        self.cluster = self.stack.enter_context(Cluster())

    def urls(self, count: int) -> list[str]:
        return [self.cluster.url] * count

    def primary(self, random: Random) -> Server:
        return random.choice(self.cluster.primaries)

    def settle(self) -> None:
        for node in self.cluster.nodes:
            node.thaw()
            if not node.running:
                node.start()
        self.cluster.settle()
        until(lambda: len(self.cluster.replicas) == _REPLICAS, "each primary has its replica")

    def failover(self, random: Random) -> None:
        """Have a replica take over from a primary that is well."""
        self.cluster.failover(self.primary(random))

    def lose_primary(self, random: Random) -> None:
        """Kill a primary, and wait until its replica has taken over."""
        lost = self.primary(random)
        heir = self.cluster.replica_of(lost)
        lost.kill()
        until(lambda: heir in self.cluster.primaries, "the replica has taken over")

    def move_slots(self, random: Random) -> None:
        """Move some slots with keys from one primary to another."""
        source, target = random.sample(self.cluster.primaries, 2)
        slots = [
            self.cluster.slot_of(key)
            for key in source.ask("SCAN", 0, "MATCH", "fw:*", "COUNT", 1_000)[1]
        ]
        for slot in random.sample(slots, min(len(slots), _MOVED)):
            if self.cluster.owner(slot) is source:
                self.cluster.migrate_slot(slot, target)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds. Raises `AssertionError` when that takes far too long."""
    deadline_s = time.monotonic() + _LIMIT_S
    while not holds():
        assert time.monotonic() < deadline_s, f"waited in vain until {what}"
        time.sleep(_POLL_S)


SITES: dict[str, Any] = {
    "standalone": Standalone,
    "untracked": Untracked,
    "sentinel": Service,
    "cluster": Clustered,
}
"""By the name of a topology."""
