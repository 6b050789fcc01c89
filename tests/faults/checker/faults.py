"""What is done to a run while it goes on. Each fault ends by itself, and leaves all as it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from freshwell.testing import DOWN, FaultProxy
from tests.faults.checker.sites import Clustered, Service, Site, until
from tests.support.history import History
from tests.support.processes import Worker
from tests.support.resp import Line, ServerError
from tests.support.sentinels import Sentinels

__all__ = ["FAULTS", "Missed", "Scene"]

_READERS_SHARE = 0.7
_CROWD_BYTES = 2 * 2**20
_CROWD_VALUE = b"x" * 8_192
_CROWD_AT_ONCE = 50
_UNREPLICATED_NS = 500_000_000
_SAID_AGAIN_S = 1.0


class Missed(Exception):
    """The fault found nothing to break just now."""


@dataclass(frozen=True)
class Scene:
    """A run, as far as faults need it. `bound_s` is the run's `max_staleness`."""

    site: Site
    workers: Sequence[Worker]
    past: History
    random: Random
    bound_s: float

    def rest(self, least: float, most: float) -> None:
        """Wait for so many bounds, by chance."""
        time.sleep(self.random.uniform(least, most) * self.bound_s)

    def link(self) -> FaultProxy:
        """Return the way of one process to the server: of a reader, most of the time."""
        links = self.site.links
        return self.random.choice(links[::2] if self.random.random() < _READERS_SHARE else links)

    def pair(self, *, feed: bool) -> Any:
        """Return the connection of one process that carries its feed, or its data."""
        found = [p for p in self.link().pairs if (b"TRACKING" in p.passed) is feed and p.passed]
        if not found:
            raise Missed
        return found[-1]


def feed_cut(scene: Scene) -> None:
    scene.pair(feed=True).cut()


def feed_held(scene: Scene) -> None:
    """Let a process hear nothing more of its feed, which seems to stand."""
    pair = scene.pair(feed=True)
    pair.held = True
    scene.rest(1.5, 3)
    pair.held = False


def feed_late(scene: Scene) -> None:
    pair = scene.pair(feed=True)
    pair.late_s = 0.9 * scene.bound_s
    scene.rest(2, 4)
    pair.late_s = 0.0


def data_cut(scene: Scene) -> None:
    scene.pair(feed=False).cut()


def data_late(scene: Scene) -> None:
    """Let the answers of L2 come late and irregularly, so that notices overtake them."""
    link, late_s = scene.link(), scene.random.uniform(0.02, 0.2)
    for pair in link.pairs:
        pair.late_s = 0.0 if b"TRACKING" in pair.passed else late_s
    scene.rest(2, 4)
    link.heal()


def answers_late(scene: Scene) -> None:
    link = scene.link()
    link.delay(scene.random.uniform(0.001, 0.1), DOWN)
    scene.rest(1, 3)
    link.delay(0.0)


def partition(scene: Scene) -> None:
    """Hold everything between one process and the server."""
    link = scene.link()
    link.freeze()
    scene.rest(1.5, 3)
    link.heal()


def refused(scene: Scene) -> None:
    link = scene.link()
    link.refuse()
    scene.rest(1.5, 3)
    link.heal()


def process_frozen(scene: Scene) -> None:
    worker = scene.random.choice(scene.workers)
    worker.freeze()
    scene.rest(0.2, 4)
    worker.thaw()


def server_frozen(scene: Scene) -> None:
    server = scene.site.primary(scene.random)
    server.freeze()
    scene.rest(0.2, 3)
    server.thaw()


def server_killed(scene: Scene) -> None:
    """Kill the server and start it again, empty."""
    server = scene.site.primary(scene.random)
    server.kill()
    scene.rest(0, 2)
    server.start()


def flushed(scene: Scene) -> None:
    scene.site.primary(scene.random).ask("FLUSHALL")


def versions_lost(scene: Scene) -> None:
    """Delete tags' versions one by one, as eviction would, and nothing else."""
    server = scene.site.primary(scene.random)
    until_s = time.monotonic() + scene.random.uniform(2, 4) * scene.bound_s
    while time.monotonic() < until_s:
        names = server.ask("KEYS", "fw:t:*")
        for name in scene.random.sample(names, (len(names) + 3) // 4):
            server.ask("UNLINK", name)
        scene.rest(0.05, 0.3)


def crowded(scene: Scene) -> None:
    """Leave so little memory that entries, leases, tombstones and versions are evicted."""
    server = scene.site.primary(scene.random)
    server.ask("CONFIG", "SET", "maxmemory-policy", scene.random.choice(_EVICTING))
    server.ask("CONFIG", "SET", "maxmemory", _CROWD_BYTES)
    until_s = time.monotonic() + scene.random.uniform(2, 4) * scene.bound_s
    with Line(server.port) as line:
        while time.monotonic() < until_s:
            for _ in range(_CROWD_AT_ONCE):
                with suppress(ServerError):  # full for the moment
                    line.ask("SET", b"crowd:%d" % scene.random.randrange(2_000), _CROWD_VALUE)
            time.sleep(0.005)
    server.ask("CONFIG", "SET", "maxmemory", 0)


_EVICTING = ("allkeys-lru", "allkeys-random", "allkeys-lfu", "volatile-ttl")

# -- where another server takes the primary's place ------------------------------------------


def failover_by_hand(scene: Scene) -> None:
    """Have another primary appointed while the old one is well.

    Under Sentinels the old one goes on and takes writes, which are lost. In a Cluster it waits
    for the new one, and all is due as ever.
    """
    if isinstance(scene.site, Clustered):
        scene.site.failover(scene.random)
        return
    service = _service(scene)
    with _weakened(scene):
        service.failover(scene.random.randrange(len(service.sentinels)))
        scene.rest(2, 6)


def primary_killed(scene: Scene) -> None:
    """Kill a primary, wait for another, and start the old one again: it follows then."""
    with _weakened(scene):
        if isinstance(scene.site, Clustered):
            scene.site.lose_primary(scene.random)
        else:
            service = _service(scene)
            old = service.kill_primary()
            until(lambda: service.primary is not old, "another is primary")


def slots_moved(scene: Scene) -> None:
    """Move slots that have keys of the run to another primary, one after the other."""
    assert isinstance(scene.site, Clustered)
    scene.site.move_slots(scene.random)


@contextmanager
def _weakened(scene: Scene) -> Iterator[None]:
    """Count nothing as due that was acknowledged around a failover, until it is through.

    What the old primary has taken and not passed on is lost with it. Who invalidated says it
    again as soon as it knows the new primary, and that takes the servers' agreement.
    """
    end = scene.past.weaken(time.monotonic_ns() - _UNREPLICATED_NS)
    yield
    scene.site.settle()
    time.sleep(_SAID_AGAIN_S)
    end()


def _service(scene: Scene) -> Sentinels:
    assert isinstance(scene.site, Service)
    return scene.site.service


FAULTS: dict[str, Callable[[Scene], None]] = {
    fault.__name__.replace("_", " "): fault
    for fault in (
        *(feed_cut, feed_held, feed_late, data_cut, data_late, answers_late),
        *(partition, refused, process_frozen, server_frozen, server_killed, flushed),
        *(versions_lost, crowded, failover_by_hand, primary_killed, slots_moved),
    )
}
"""By name. Raises `Missed` where there is nothing to break."""
