"""Put the parts of a cache together for one home: an event loop, or a process of threads.

What must outlive a home (the L1 table, the counters, the options) is made by the facade;
what is bound to one (connections, flights, background work) is made here, and made anew
when the home is gone: a loop that was closed, a parent process after a fork.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

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
from freshwell._sync.stores.guard import Guards
from freshwell._sync.stores.topology import Topology
from freshwell._sync.stores.ways import guards_of, store_at
from freshwell._sync.strategies.cache_aside import CacheAside
from freshwell._sync.strategies.calls import Attached
from freshwell._kit.threads import Gate, Owner, home
from freshwell._kit.threads_feed import FeedLine
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import Place
from freshwell.engines.counters import Counters
from freshwell.engines.gutter import Gutter
from freshwell.engines.incidents import Incidents
from freshwell.engines.observing import Observing
from freshwell.engines.seams import Seams
from freshwell.engines.session import CoherenceMode, Session, Share
from freshwell.engines.shelf import Shelf
from freshwell.engines.spool import Spool
from freshwell.engines.table import Table
from freshwell.engines.tokens import Tokens
from freshwell.ground.names import PULSE, Names
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

    def __init__(self, options: CacheOptions, tiers: Tiers, chores: Owner, guards: Guards) -> None:
        self.home = home()
        self.guards = guards
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

    def l2_is_back(self, after_ns: int) -> None:
        """Use L2 again, and do at once what could not be done while it was left alone."""
        self.tiers.gutter.clear()
        self.tiers.incidents.l2_is_back(after_ns)
        self.tiers.heart.hurry()
        self.intents.hurry()
        self.writes.spooling.hurry()

    def say_again(self, within_ns: int) -> None:
        """Invalidate in the background, once more, what was invalidated lately.

        L2 may be there again, or another server: what it has missed comes too, and where it is
        still left alone it is probed now.
        """
        self.guards.hurry()
        self.writes.spooling.hurry()
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
            self.writes.spooling.close(max(0.0, until_s - time.monotonic()))
        finally:
            if self._listening is not None:
                self._listening.stop()
            self.guards.stop()
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
    spool: Spool,
    incidents: Incidents,
    seams: Seams,
) -> Opened:
    """Open a cache in the home of the caller. Connects on first use, not here."""
    chores = Owner("freshwell", _MAX_CHORES)
    watch = Watch()
    stamp, now_ns = Tokens(8), seams.now_ns
    gutter = Gutter(table, ttl_ns=options.gutter_ns, now_ns=now_ns)
    guards = guards_of(options, chores, incidents, lambda after_ns: opened.l2_is_back(after_ns))
    probe_key = names.version_key(names.digest(PULSE))
    store, topology = store_at(options, place, guards, probe_key)
    store = seams.wrap("store", store)
    tags = Tags(store, table, session, names, incidents, spool, now_ns=now_ns, new_stamp=stamp)
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
        tags=tags,
        gutter=gutter,
        spool=spool,
        now_ns=now_ns,
        uniform=random.random,
        load_wait_ns=options.load_wait_ns,
        l2_timeout_ns=options.l2_timeout_ns,
        new_token=Tokens(8),
    )
    opened = Opened(options, tiers, chores, guards)
    opened.writes.spooling.start()
    if isinstance(place, Endpoint):
        if session.mode is CoherenceMode.FEED:
            opened.listen(_coherence(tiers, opened, seams, place, session))
    elif topology is not None:
        opened.listen(_feeds(tiers, opened, seams, topology))
    return opened


def _feeds(tiers: Tiers, opened: Opened, seams: Seams, topology: Topology) -> Feeds:
    return Feeds(
        topology,
        new_coherence=partial(_coherence, tiers, opened, seams),
        owner=tiers.chores,
        session=tiers.session,
        table=tiers.table,
        incidents=tiers.incidents,
        now_ns=tiers.now_ns,
        on_change=partial(opened.say_again, _FAILOVER_NS),
    )


def _coherence(
    tiers: Tiers, opened: Opened, seams: Seams, endpoint: Endpoint, session: Session | Share
) -> Coherence:
    return Coherence(
        new_line=lambda: seams.wrap("feed", FeedLine(endpoint, tiers.names.prefixes)),
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
