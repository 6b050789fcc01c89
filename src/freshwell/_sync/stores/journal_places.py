"""Open a journal where a URL says: on one server, under Sentinels, or in a Cluster."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from freshwell._sync.stores.cluster import ClusterLink
from freshwell._sync.stores.cluster_waits import ClusterWaits
from freshwell._sync.stores.fitness import Ask, Fitness, facts_of
from freshwell._sync.stores.redis import Commands
from freshwell._sync.stores.redis_desk import RedisDesk
from freshwell._sync.stores.redis_journal import Layout, RedisJournal, Replicas
from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._sync.stores.waited import WaitedLink, Waits
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import ClusterPlace, Place, SentinelPlace
from freshwell._kit.resp import Argument, Reply
from freshwell.ground.fitness import Facts
from freshwell.ground.records import Durability
from freshwell.ground.streams import JournalName, every_about, name_in

__all__ = ["journals_at", "open_desk", "open_journal", "servers_at"]

_MOST_JOURNALS = 10_000

_CONNECT_S = 1.0
_COMMAND_S = 2.0
_WAIT_MS = 1_000


class _Way(NamedTuple):
    """How to reach a place: for commands, for writes with a WAIT, and for who the primaries are."""

    link: Commands
    waits: Waits | None
    ask: Ask
    survey: Callable[[], object] | None


def open_journal(
    place: Place,
    layout: Layout,
    *,
    min_replicas: int = 0,
    replica_wait_ms: int = _WAIT_MS,
    together: bool = False,
    assume_durable: bool = False,
    connect_timeout_s: float = _CONNECT_S,
    command_timeout_s: float = _COMMAND_S,
) -> RedisJournal:
    """Return a journal in the home of the caller, with connections of its own.

    Connects on first use. With `min_replicas` a write is accepted when so many replicas have it.
    `together`: L2 is at this place too; in a Cluster that is of no use, where entries and
    records lie in different slots. `assume_durable`: see ``ground/fitness``.
    """
    way = _way(place, connect_timeout_s, command_timeout_s, replica_wait_ms if min_replicas else 0)
    replicas = None if way.waits is None else Replicas(way.waits, min_replicas, replica_wait_ms)
    fitness = Fitness(
        way.ask,
        durability=Durability.REDIS_WAIT if replicas else Durability.REDIS,
        assumed=assume_durable,
        patience_s=4 * (connect_timeout_s + command_timeout_s),
    )
    return RedisJournal(
        way.link,
        layout,
        fitness=fitness,
        replicas=replicas,
        together=together and not isinstance(place, ClusterPlace),
        survey=way.survey,
    )


def open_desk(
    place: Place,
    namespace: str,
    name: str,
    *,
    connect_timeout_s: float = _CONNECT_S,
    command_timeout_s: float = _COMMAND_S,
) -> RedisDesk:
    """Return the desk of a journal, in the home of the caller. Connects on first use."""
    return RedisDesk(_way(place, connect_timeout_s, command_timeout_s, 0).link, namespace, name)


def journals_at(
    place: Place, *, connect_timeout_s: float = _CONNECT_S, command_timeout_s: float = _COMMAND_S
) -> list[JournalName]:
    """Return which journals there are, in order. Goes over all keys of the servers, in steps.

    Raises `StoreUnavailable`.
    """
    link = _way(place, connect_timeout_s, command_timeout_s, 0).link
    found: set[JournalName] = set()
    at: object = None
    try:
        while True:
            at, keys = link.scan(every_about(), at)
            found.update(name for name in map(name_in, keys) if name is not None)
            if at is None or len(found) >= _MOST_JOURNALS:
                return sorted(found)
    finally:
        link.close()


def servers_at(
    place: Place, *, connect_timeout_s: float = _CONNECT_S, command_timeout_s: float = _COMMAND_S
) -> list[Facts]:
    """Return what every server that takes writes tells of its settings.

    Raises `StoreUnavailable`.
    """
    way = _way(place, connect_timeout_s, command_timeout_s, 0)
    try:
        return facts_of(way.ask)
    finally:
        way.link.close()


def _way(place: Place, connect_s: float, command_s: float, wait_ms: int) -> _Way:
    limits: dict[str, Any] = {"connect_timeout_s": connect_s, "command_timeout_s": command_s}
    if isinstance(place, ClusterPlace):
        cluster = ClusterLink(place, **limits)
        waits = ClusterWaits(cluster, replica_wait_ms=wait_ms, **limits) if wait_ms else None
        return _Way(cluster, waits, cluster.on_primaries, None)
    if isinstance(place, SentinelPlace):
        watched = SentinelLink(place, replica_wait_ms=wait_ms, **limits)
        sure = watched if wait_ms else None
        return _Way(watched, sure, _asking(watched), watched.survey)
    link = Link(place, **limits)
    return _Way(link, _waited(place, connect_s, command_s, wait_ms), _asking(link), None)


def _waited(place: Endpoint, connect_s: float, command_s: float, wait_ms: int) -> WaitedLink | None:
    if not wait_ms:
        return None
    longest_s = command_s + wait_ms / 1_000
    link = Link(place, connect_timeout_s=connect_s, command_timeout_s=longest_s)
    return WaitedLink(link, patience_s=2 * (connect_s + longest_s))


def _asking(link: Commands) -> Ask:
    def ask(commands: Sequence[Sequence[Argument]]) -> list[list[Reply]]:
        return [link.batch(commands, repeat=True)]

    return ask
