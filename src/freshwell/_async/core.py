"""What a cache and its namespaces share: options, L1, and the parts that are open in a home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, Never

from freshwell._async.assembly import Opened, open_here
from freshwell._async.coordination.spooling import end_spool, new_spool
from freshwell._async.snapshots import Publication, snapshot_of
from freshwell._async.stores.guard import worst_of
from freshwell._kit.aio import home, home_is_gone
from freshwell._kit.places import Place
from freshwell.codecs.base import BoundCodec, Codec, narrowed, resolve_codec
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.late import LateCodec
from freshwell.codecs.none import NO_CODEC
from freshwell.codecs.sensitive import bind_checked
from freshwell.codecs.types import Unresolved
from freshwell.engines.counters import Counters, Stats
from freshwell.engines.incidents import Incidents
from freshwell.engines.observing import Observing
from freshwell.engines.seams import Seams
from freshwell.engines.session import CoherenceMode, Session
from freshwell.engines.shelf import Terms
from freshwell.engines.spool import Spool
from freshwell.engines.table import Table
from freshwell.errors import CacheClosed, ConfigurationError
from freshwell.ground.hiding import Hiding
from freshwell.ground.keys import check_key
from freshwell.ground.names import Names
from freshwell.ground.options import CacheOptions, as_read_level
from freshwell.ground.snapshots import Snapshot
from freshwell.typing import LoadOptions, ReadLevelName

__all__ = ["Core"]

_MAX_KNOWN_TERMS = 1_000
_NOTHING_SAID = dict.fromkeys(("ttl", "stale_ttl", "negative_ttl", "jitter", "beta"))


class Core:
    """One cache without its verbs. Thread-safe. `shown` is what errors call it."""

    def __init__(
        self,
        options: CacheOptions,
        place: Place | None,
        codec: str | Codec,
        *,
        l1: bool,
        hash_key: bytes | None = None,
        seams: Seams,
    ) -> None:
        self.options = options
        self.checked = partial(check_key, max_bytes=options.max_key_bytes)
        """Returns a key if it can name an entry. Raises `KeyRejected`."""
        self.place = place
        self.given_codec = codec
        hiding = None if hash_key is None else Hiding(hash_key, options.namespace)
        self.names = Names(options.namespace, options.version, hiding)
        self.session = Session(_mode(place is not None, l1), options.max_staleness_ns)
        self.seams = seams
        self.table = Table(
            max_entries=options.max_entries, max_bytes=options.max_bytes, now_ns=seams.now_ns
        )
        self.counters = Counters()
        self.observing = Observing(options.namespace)
        self.spool = self._new_spool()
        self.incidents = Incidents(
            self.counters, options.namespace, seams.now_ns, bus=self.observing.bus
        )
        self.opened: Opened | None = None
        self.closed = False
        self._closers = 0
        self.shown = "<AsyncCache>"
        self._codec = None if place is None else self.resolved(codec)
        self._bindings = Bindings(self._bound_anew)
        self._publication: Publication | None = None
        self._mutex = Lock()
        self.plain_terms = self._new_terms(Any, None, {})
        self._known_terms: dict[Any, Terms] = {}
        self._known_loads: dict[Any, tuple[Terms, Terms]] = {}

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{self.shown} has connections and locks, and cannot be pickled or copied: build it in "
            "each process, such as in a module that all of them import"
        )

    def enter(self) -> None:
        """Let a cache that was closed be used again: it opens on first use, as it did before.

        Raises `CacheClosed` while it is being closed, and what a new cache raises for its spool.
        """
        with self._mutex:
            if self._closers:
                raise self.used_closed()
            if self.closed and self.spool.file is not None:
                # It waits for the disk in here: nobody can use the cache before that is done.
                self.spool = self._new_spool()
            self.closed = False

    async def aclose(self) -> None:
        """Close what is open. Idempotent."""
        with self._mutex:
            opened, self.opened, self.closed = self.opened, None, True
            self._closers += 1
        try:
            await self._end(opened)
        finally:
            self.session.restart()
            self.table.clear()
            with self._mutex:
                self._closers -= 1

    async def _end(self, opened: Opened | None) -> None:
        try:
            if opened is not None and not home_is_gone(opened.home):
                await opened.aclose()
        finally:
            await end_spool(self.spool)

    def _new_spool(self) -> Spool:
        path = None if self.place is None else self.options.spool_path
        return new_spool(
            self.names, self.options.namespace, path, self.options.max_spool, self.seams.now_ns()
        )

    def bound(self, type: Any) -> BoundCodec:
        """Return the codec for values of a type."""
        if self._codec is None:
            return NO_CODEC
        if isinstance(type, Unresolved):
            return LateCodec(self._codec, type, bind_checked)
        return self._bindings.of(type)

    def _bound_anew(self, type: Any) -> BoundCodec:
        assert self._codec is not None
        return bind_checked(self._codec, type)

    def resolved(self, codec: str | Codec) -> Codec:
        """Return the codec that was given, within the bounds of this cache."""
        return narrowed(resolve_codec(codec), self.options.max_value_bytes)

    def terms(self, type: Any, read: ReadLevelName | None = None, **policy: Any) -> Terms:
        """Return the terms of a call. Calls spelled alike share one object."""
        if type is Any and read is None and (not policy or policy == _NOTHING_SAID):
            return self.plain_terms
        spelled = (type, read, *((name, value, value.__class__) for name, value in policy.items()))
        try:
            known = self._known_terms.get(spelled)
        except TypeError:  # a type or a value that cannot be hashed
            return self._new_terms(type, read, policy)
        if known is None:
            known = self._new_terms(type, read, policy)
            if len(self._known_terms) < _MAX_KNOWN_TERMS:
                self._known_terms[spelled] = known
        return known

    def with_loads(self, terms: Terms, loads: LoadOptions) -> Terms:
        """Return terms with what a call says of its loads. Calls spelled alike share one object.

        Apart from `terms`, because most calls say nothing of them.
        """
        spelled = (id(terms), *((name, value, value.__class__) for name, value in loads.items()))
        try:
            known = self._known_loads.get(spelled)
        except TypeError:  # a value that cannot be hashed
            return replace(terms, policy=terms.policy.narrowed(**loads))
        if known is None:
            # With the terms that they follow from, which keep their id for as long.
            known = terms, replace(terms, policy=terms.policy.narrowed(**loads))
            if len(self._known_loads) < _MAX_KNOWN_TERMS:
                self._known_loads[spelled] = known
        return known[1]

    def _new_terms(self, type: Any, read: ReadLevelName | None, policy: Mapping[str, Any]) -> Terms:
        level = self.options.read if read is None else as_read_level(read)
        return Terms(self.options.policy.narrowed(**policy), self.bound(type), level)

    def engine(self) -> Opened:
        """Return the parts that are open in the caller's home; open them on first use."""
        opened = self.opened
        if opened is not None and opened.home == home():
            return opened
        return self._open()

    def stats(self) -> Stats:
        """Return the counters and sizes as they are now."""
        table, session, opened = self.table, self.session, self.opened
        now_ns = self.seams.now_ns()
        states = [] if opened is None else opened.guards.states()
        return Stats.of(
            self.counters,
            entries=table.entries,
            bytes=table.bytes,
            evictions=table.evictions,
            expirations=table.expirations,
            coherence=session.mode.value,
            l1_live=now_ns < session.live_until_ns,
            spool_records=len(self.spool),
            spool_age_s=self.spool.age_s(now_ns),
            breaker=worst_of(states),
            servers_down=sum(state != "closed" for state in states),
            in_flight=0 if opened is None else opened.aside.in_flight,
        )

    def publish(self, publication: Publication) -> None:
        """Publish snapshots from now on, in whatever home the cache is open."""
        with self._mutex:
            self._publication, opened = publication, self.opened
        if opened is not None and opened.home == home():
            self._publish_in(opened)

    def _publish_in(self, opened: Opened) -> None:
        publication = self._publication
        if publication is not None:
            opened.publish(lambda: self._snapshot(opened, publication), publication.every_ms)

    async def _snapshot(self, opened: Opened, publication: Publication) -> Snapshot:
        namespace, parts = self.options.namespace, opened.attached
        return await snapshot_of(namespace, publication, self.stats(), self.observing, parts)

    def used_closed(self) -> CacheClosed:
        """Return the error for a use after the close."""
        return CacheClosed(
            f"{self.shown} was used after its close: a cache lives as long as the service; where "
            "that is not so, enter it again in a with block, or build a new one"
        )

    def _open(self) -> Opened:
        here = home()
        with self._mutex:
            if self.closed:
                raise self.used_closed()
            opened = self.opened
            if opened is not None and opened.home == here:
                return opened
            if opened is not None:
                if not home_is_gone(opened.home):
                    raise ConfigurationError(
                        f"{self.shown} is in use by another running event loop: build one cache "
                        "for each loop"
                    )
                if self.place is not None:
                    # The feed that kept L1 coherent has ended with its home.
                    self.session.restart()
                    self.table.clear()
            self.opened = open_here(
                self.options,
                self.place,
                names=self.names,
                table=self.table,
                session=self.session,
                counters=self.counters,
                observing=self.observing,
                spool=self.spool,
                incidents=self.incidents,
                seams=self.seams,
            )
            self._publish_in(self.opened)
            return self.opened


def _mode(shared: bool, l1: bool) -> CoherenceMode:
    if not shared:
        return CoherenceMode.ALONE
    return CoherenceMode.FEED if l1 else CoherenceMode.OFF
