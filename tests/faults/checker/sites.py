"""Where a run takes place: servers, and the ways by which its processes reach them."""

from __future__ import annotations

from contextlib import ExitStack
from random import Random
from types import TracebackType
from typing import Any, Self

from tests.support.proxy import Proxy, proxy
from tests.support.sentinels import Sentinels
from tests.support.servers import Server

__all__ = ["SITES", "Site", "Standalone"]


class Site:
    """Servers that are up on entering and gone on leaving.

    `links`: a proxy for each process, where the site has them.
    """

    def __init__(self) -> None:
        self.links: list[Proxy] = []
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
        self.links = [self.stack.enter_context(proxy(self.server.port)) for _ in range(count)]
        return [link.url for link in self.links]

    def primary(self, random: Random) -> Server:
        return self.server

    def settle(self) -> None:
        for link in self.links:
            link.heal()
        self.server.thaw()
        if not self.server.running:
            self.server.start()


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


SITES: dict[str, Any] = {"standalone": Standalone, "sentinel": Service}
"""By the name of a topology."""
