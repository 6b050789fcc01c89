"""Put the parts of a cache together for one home: an event loop, or a process of threads.

What must outlive a home (the L1 table, the counters, the options) is made by the facade;
what is bound to one (connections, flights, background work) is made here, and made anew
when the home is gone: a loop that was closed, a parent process after a fork.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from freshwell._sync.coordination.coherence import Coherence
from freshwell._sync.coordination.feeds import Feeds
from freshwell._sync.coordination.heart import Heart
from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.publishing import Publisher
from freshwell._sync.coordination.saving import Saves
from freshwell._sync.coordination.sweeps import Sweeps
from freshwell._sync.coordination.tags import Tags
from freshwell._sync.coordination.watch import Watch
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.coordination.writing import Intents
from freshwell._sync.stores.base import NullStore, Store
from freshwell._sync.stores.cluster import ClusterLink
from freshwell._sync.stores.cluster_waits import ClusterWaits
from freshwell._sync.stores.redis import Commands, RedisStore
from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._sync.stores.topology import Topology
from freshwell._sync.stores.waited import WaitedLink, Waits
from freshwell._sync.strategies.cache_aside import CacheAside
from freshwell._sync.strategies.calls import Attached
from freshwell._kit.threads import Gate, Owner, home
from freshwell._kit.threads_feed import FeedLine
from freshwell._kit.threads_link import Link
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import Place, SentinelPlace
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.observing import Observing
from freshwell.engines.session import CoherenceMode, Session, Share
from freshwell.engines.shelf import Shelf
from freshwell.engines.table import Table
from freshwell.engines.tokens import Tokens
from freshwell.ground.names import Names
from freshwell.ground.options import CacheOptions
from freshwell.ground.snapshots import Snapshot

__all__ = ["Opened", "open_here"]

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_MAX_CHORES = 256
_CHORES_DRAIN_S = 0.2
_FAILOVER_NS = 60 * _NS_PER_S
"""A failover may take this long, and what came just before it may be lost."""
_RETURN_NS = 5 * _NS_PER_S
"""A server that is back may have lost what it had not yet written down."""


class Listening(Protocol):
    """What keeps L1 coherent in the background."""

    def run(self) -> None: ...

    def stop(self) -> None: ...


class Opened:
    """One cache, open in one home."""

    def __init__(self, options: CacheOptions, tiers: Tiers, chores: Owner) -> None:
        self.home = home()
        self.tiers = tiers
        self.aside = CacheAside(tiers)
        self.writes = Writes(tiers, self.aside.keeper, self.aside)
        self.sweeps = Sweeps(tiers, self.writes, self.aside)
        self.intents = Intents(tiers, self.writes, lifetime_ms=options.intent_ms)
        self.saves = Saves(tiers, self.aside.keeper, self.writes, self.intents)
        self._drain_s = options.drain_ns / _NS_PER_S
        self._chores = chores
        self._listening: Listening | None = None
        self._attached: list[Attached] = []
        self._publisher: Publisher | None = None

    def listen(self, listening: Listening) -> None:
        """Keep L1 coherent from now on."""
        self._listening = listening
        self._chores.spawn("feed", listening.run)

    @property
    def attached(self) -> Sequence[Attached]:
        """What is open with this cache."""
        return self._attached

    def publish(self, snapshot: Callable[[], Snapshot], every_ms: int) -> None:
        """Publish snapshots from now on, in place of what was published before."""
        if self._publisher is not None:
            self._publisher.stop()
        self._publisher = Publisher(self.tiers.store, snapshot, every_ms=every_ms)
        self._chores.spawn("publish", self._publisher.run)

    def attach(self, part: Attached) -> None:
        """Close a part with this cache, before the cache itself."""
        self._attached.append(part)

    def say_again(self, within_ns: int) -> None:
        """Invalidate in the background, once more, what was invalidated lately."""
        self._chores.spawn("say again", lambda: self.writes.say_again(within_ns))

    def close(self) -> None:
        """End background work, wait for loads under way up to the drain time, disconnect."""
        try:
            for part in self._attached:
                part.close()
        finally:
            self._end()

    def _end(self) -> None:
        until_s = time.monotonic() + self._drain_s
        try:
            self.tiers.owner.close(self._drain_s)
            self.aside.close(max(0.0, until_s - time.monotonic()))
        finally:
            if self._listening is not None:
                self._listening.stop()
            self.tiers.heart.stop()
            if self._publisher is not None:
                self._publisher.stop()
            self.intents.stop()
            try:
                self._chores.close(_CHORES_DRAIN_S)
            finally:
                self.tiers.store.close()


def open_here(
    options: CacheOptions,
    place: Place | None,
    *,
    names: Names,
    table: Table,
    session: Session,
    counters: Counters,
    observing: Observing,
) -> Opened:
    """Open a cache in the home of the caller. Connects on first use, not here."""
    chores = Owner("freshwell", _MAX_CHORES)
    store, topology = _store(options, place)
    watch = Watch()
    incidents = Incidents(counters, options.namespace, bus=observing.bus)
    tiers = Tiers(
        table=table,
        session=session,
        store=store,
        shelf=Shelf(incidents, max_value_bytes=options.max_value_bytes),
        watch=watch,
        heart=Heart(store.beat, chores, incidents, lease_ms=options.lease_ms),
        gate=Gate(options.max_loads),
        owner=Owner("freshwell", options.max_refreshes),
        chores=chores,
        counters=counters,
        incidents=incidents,
        observing=observing,
        names=names,
        tags=Tags(
            store,
            table,
            session,
            names,
            incidents,
            now_ns=time.monotonic_ns,
            new_stamp=Tokens(8),
        ),
        now_ns=time.monotonic_ns,
        uniform=random.random,
        load_wait_ns=options.load_wait_ns,
        new_token=Tokens(8),
    )
    opened = Opened(options, tiers, chores)
    if isinstance(place, Endpoint):
        if session.mode is CoherenceMode.FEED:
            opened.listen(_coherence(tiers, opened, place, session))
    elif topology is not None:
        opened.listen(
            Feeds(
                topology,
                new_coherence=partial(_coherence, tiers, opened),
                owner=chores,
                session=session,
                table=table,
                incidents=incidents,
                now_ns=time.monotonic_ns,
                on_change=partial(opened.say_again, _FAILOVER_NS),
            )
        )
    return opened


def _store(options: CacheOptions, place: Place | None) -> tuple[Store, Topology | None]:
    """Return the store at a place, and what tells who its primaries are where they may change."""
    if place is None:
        return NullStore(), None
    limits: dict[str, Any] = {
        "connect_timeout_s": options.connect_timeout_ns / _NS_PER_S,
        "command_timeout_s": options.command_timeout_ns / _NS_PER_S,
    }
    wait_ms = max(1, options.command_timeout_ns // _NS_PER_MS) if options.min_replicas else 0
    link: Commands
    sure_link: Waits | None
    topology: Topology | None
    if isinstance(place, Endpoint):
        link, topology = Link(place, **limits), None
        sure_link = _sure_link(place, limits, wait_ms) if wait_ms else None
    elif isinstance(place, SentinelPlace):
        link = sure_link = topology = SentinelLink(place, replica_wait_ms=wait_ms, **limits)
    else:
        link = topology = cluster = ClusterLink(place, **limits)
        sure_link = ClusterWaits(cluster, replica_wait_ms=wait_ms, **limits) if wait_ms else None
    store = RedisStore(
        link,
        lease_ms=options.lease_ms,
        new_token=Tokens(8),
        min_replicas=options.min_replicas,
        replica_wait_ms=wait_ms,
        sure_link=sure_link,
    )
    return store, topology


def _sure_link(place: Endpoint, limits: Mapping[str, Any], wait_ms: int) -> WaitedLink:
    wait_s = wait_ms / 1_000
    longest_s = sum(limits.values()) + wait_s
    limits = {**limits, "command_timeout_s": limits["command_timeout_s"] + wait_s}
    return WaitedLink(Link(place, **limits), patience_s=2 * longest_s)


def _coherence(
    tiers: Tiers, opened: Opened, endpoint: Endpoint, session: Session | Share
) -> Coherence:
    return Coherence(
        new_line=partial(FeedLine, endpoint, tiers.names.prefixes),
        names=tiers.names,
        table=tiers.table,
        session=session,
        watch=tiers.watch,
        counters=tiers.counters,
        incidents=tiers.incidents,
        observing=tiers.observing,
        now_ns=tiers.now_ns,
        on_return=partial(opened.say_again, _RETURN_NS),
    )
