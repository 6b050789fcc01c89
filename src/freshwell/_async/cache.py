"""The cache as its users see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from freshwell._async.core import Core
from freshwell._async.namespace import AsyncNamespace
from freshwell._async.scope import Scope
from freshwell._async.snapshots import Publication
from freshwell._kit.places import place_of
from freshwell.codecs.base import Codec, check_codec
from freshwell.codecs.keyring import Keyring, hashing_key
from freshwell.engines.bus import Subscription
from freshwell.engines.counters import Stats
from freshwell.engines.hot import Hot
from freshwell.engines.metrics import Observation
from freshwell.engines.observing import Observing
from freshwell.engines.seams import Seams
from freshwell.engines.tracing import Trace
from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns
from freshwell.ground.keys import check_namespace
from freshwell.ground.options import CacheOptions, Duration, as_bool, bounded_int, check_clock
from freshwell.typing import ReadLevelName, StaleOn, StaleServeName

__all__ = ["AsyncCache"]

_LEAST_PUBLISHING_NS = 100_000_000
_MOST_PUBLISHING_NS = 600_000_000_000


class AsyncCache(Scope):
    """Keep the results of slow reads close to the code that needs them, and keep them right.

    ``AsyncCache()`` caches in this process; ``AsyncCache("redis://...")`` shares entries with
    every process of the service through Redis or Valkey, with this process's memory (L1) in
    front. Connections open on first use.

    Every entry has a TTL. What a reader may rely on is the contract (see the documentation):
    nothing loaded before an acknowledged invalidation is stored after it, and no process
    serves it from L1 for longer than `max_staleness`.

    Values are kept as they are in L1: treat what a cache returns as read-only.

    One cache belongs to one event loop at a time (`Cache`: to one process; any number of
    threads); when the loop has been closed (after a fork) it opens anew by itself. A cache that
    was closed opens anew where it is entered again (``async with``).

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``valkey://`` URL;
            ``redis+cluster://one:7000,two:7000`` for a Cluster;
            ``redis+sentinel://one:26379,two:26379/mymaster/0`` for what Sentinels watch over; or
            a client of redis-py whose connection settings are to be used. None: in this
            process only.
        namespace: Separates the entries of this cache from others on the same server:
            letters, digits, ``.``, ``_``, ``-``.
        version: The schema version of the values. Caches with different ones do not read each
            other's entries, and invalidate them all the same: old and new code may run side
            by side. Costs an extra key in L2 for each entry.
        ttl: How long entries are fresh, unless said at the call. ``"volatile"`` is 5 minutes.
        max_ttl: No entry may be told to live longer.
        stale_ttl: For how long after its TTL an entry may still be served: while it is loaded
            anew, or when that fails. 0: not at all.
        stale_serve: ``"refresh"``: such an entry is served at once, and loaded anew in the
            background. ``"error"``: only where the load fails or takes too long.
        stale_on: On which exceptions of a load it is served: classes, or a function of the
            exception. None: all but those that say that a program is wrong (see `LoadOptions`).
        stale_throttle: For how long the source is then left alone, entry by entry.
        load_soft_timeout: How long a caller who has a stale entry waits for a load, which goes
            on after that. None: as long as it takes.
        load_timeout: How long a load may take; then `LoadTimeout`, where nothing stale is there.
            A task is cancelled; the thread of a `Cache` goes on. None: for ever.
        negative_ttl: TTL of None results (0: not stored). None: as any value.
        jitter: Each TTL is shortened by a random share of up to this much, so that entries
            stored together do not expire together.
        beta: How eagerly entries are refreshed before they expire (XFetch). 0: never.
        codec: ``"json"``, ``"msgpack"`` or a codec object: how values are written to L2.
            `Sealed` encrypts them, `Signed` signs them, `Compressed` makes them smaller.
        hash_keys: Keys and tags have names in L2, and in journals, that do not tell them:
            HMACs under the keyring's primary key, or under at least 32 random bytes. Patterns
            cannot be invalidated then. Another key is another cache: all entries are misses.
        l1: Whether this process keeps copies in front of L2. Without L2 it always does.
        max_staleness: For how long after an acknowledged invalidation elsewhere L1 may serve
            the old value at the most. When all is well it is about a millisecond.
        read: Read level, unless said at the call: ``"eventual"``, ``"fresh"``, ``"source"``.
        max_entries, max_bytes: Bounds of L1. Bytes are estimated, and are those of keys, values,
            what an entry takes beside them, and each version of a tag that entries live by.
            Versions that no entry has stay known up to `max_entries`, or a quarter of `max_bytes`.
        max_loads: How many loads this process runs at a time, and `load_wait`: how long a
            load waits for its turn before it is shed (`LoadShed`).
        lease: How long after its death a process's load is taken over by another.
        intent: How long after the death of a process the entries that it was `writing` stay
            absent; at least 3 s.
        min_replicas: How many replicas must confirm an invalidation before it counts as taken.
            0: the primary's word is enough.
        max_key_bytes, max_value_bytes: Longer keys are refused; values that take more bytes in
            L2 are not stored. Without L2 only `max_bytes` bounds them.
        max_refreshes: How many background refreshes run at a time.
        connect_timeout, command_timeout: Time limits of L2, for each connection and command.
        l2_timeout: For how long L2 may keep a load in all, over several commands; after that
            the load goes on without it. None: twice the two limits above.
        breaker_failures: After how many failures in a row (a time limit, no connection, a
            server that serves nobody) L2 is left alone, so that nobody waits for it until
            a probe is answered. In a Cluster, each server by itself.
        breaker_pause: The longest pause between two probes; 10 ms to 1 s. Once L2 is back, it
            is used again after this at the latest.
        gutter_ttl: For how long a value that was loaded while L2 was down may be served again,
            as stale, until L2 is back. What other processes change meanwhile is not seen for
            as long. 0: not at all.
        drain: How long `aclose` waits for loads under way, and for L2 to take what is in the spool.
        spool: Where invalidations go that L2 does not take, to be made when it is back:
            ``"memory"`` (lost with the process) or ``"sqlite:///spool.db"``, a file of this
            machine that survives the process and the loss of power, and that processes may
            share. None: nowhere, and `InvalidationError` is raised. Without L2 of no use.
        max_spool: How many invalidations may wait in it. Beyond, `InvalidationError` is raised.
        clock: For tests: returns the time, as `time.monotonic_ns` does, by which this process
            judges its entries and L1 (see `freshwell.testing.FakeClock`). Redis goes by its own
            time all the same, and so do time limits, leases and write-behind's flusher. None:
            the machine's.

    Raises:
        ConfigurationError: An option is wrong, or an extra is not installed.
    """

    def __init__(
        self,
        url: Any = None,
        *,
        namespace: str = "default",
        version: str | int | None = None,
        ttl: Duration = "1h",
        max_ttl: Duration = "30d",
        stale_ttl: Duration = 0,
        stale_serve: StaleServeName = "refresh",
        stale_on: StaleOn | None = None,
        stale_throttle: Duration = 5,
        load_soft_timeout: Duration | None = None,
        load_timeout: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float = 0.05,
        beta: float = 1.0,
        codec: str | Codec = "json",
        hash_keys: Keyring | bytes | None = None,
        l1: bool = True,
        max_staleness: Duration = 2,
        read: ReadLevelName = "eventual",
        max_entries: int = 100_000,
        max_bytes: int = 128 * 2**20,
        max_loads: int = 64,
        load_wait: Duration = 5,
        lease: Duration = 1.5,
        intent: Duration = 3,
        min_replicas: int = 0,
        max_key_bytes: int = 1024,
        max_value_bytes: int = 16 * 2**20,
        max_refreshes: int = 32,
        connect_timeout: Duration = 0.5,
        command_timeout: Duration = 0.25,
        l2_timeout: Duration | None = None,
        breaker_failures: int = 1,
        breaker_pause: Duration = 1,
        gutter_ttl: Duration = 0,
        drain: Duration = 5,
        spool: str | None = None,
        max_spool: int = 10_000,
        clock: Callable[[], int] | None = None,
    ) -> None:
        options = CacheOptions.checked(
            namespace=namespace,
            version=version,
            ttl=ttl,
            max_ttl=max_ttl,
            stale_ttl=stale_ttl,
            stale_serve=stale_serve,
            stale_on=stale_on,
            stale_throttle=stale_throttle,
            load_soft_timeout=load_soft_timeout,
            load_timeout=load_timeout,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
            read=read,
            max_staleness=max_staleness,
            max_entries=max_entries,
            max_bytes=max_bytes,
            max_loads=max_loads,
            load_wait=load_wait,
            lease=lease,
            intent=intent,
            min_replicas=min_replicas,
            max_key_bytes=max_key_bytes,
            max_value_bytes=max_value_bytes,
            max_refreshes=max_refreshes,
            connect_timeout=connect_timeout,
            command_timeout=command_timeout,
            l2_timeout=l2_timeout,
            breaker_failures=breaker_failures,
            breaker_pause=breaker_pause,
            gutter_ttl=gutter_ttl,
            drain=drain,
            spool=spool,
            max_spool=max_spool,
        )
        place = None if url is None else place_of(url)
        check_codec(codec)
        core = Core(
            options,
            place,
            codec,
            l1=as_bool(l1, "l1"),
            seams=Seams() if clock is None else Seams(check_clock(clock)),
            hash_key=None if hash_keys is None else hashing_key(hash_keys),
        )
        super().__init__(core)
        core.shown = repr(self)

    def __repr__(self) -> str:
        core = self._core
        where = "in process" if core.place is None else repr(core.place)
        version = f" version {core.options.version!r}" if core.options.version else ""
        state = ", closed" if core.closed else ""
        return f"<{type(self).__name__} {core.options.namespace!r}{version} {where}{state}>"

    async def __aenter__(self) -> Self:
        """Return the cache. One that was closed can be used again from here on."""
        self._core.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the cache: wait for loads under way, up to `drain`, and disconnect.

        What is still in the spool then is kept in its file, or lost where it has none, and the log
        says so. Idempotent. Any use afterwards raises `CacheClosed`, until the cache is entered
        again (``async with``), with nothing in L1.
        """
        await self._core.aclose()

    def namespace(self, name: str) -> AsyncNamespace:
        """Return a namespace of this cache: keys of its own, that can be cleared at once.

        Raises `ConfigurationError` for what cannot be the name of one.
        """
        return AsyncNamespace(self._core, check_namespace(name))

    # -- looking at it -----------------------------------------------------------------------

    def trace(self) -> AbstractContextManager[Trace]:
        """Say what answered each read within a ``with`` block: which tier, how old, and why.

        ::

            with cache.trace() as trace:
                page = await render(product_id)
            response.headers["Cache-Status"] = trace.header()

        It sees the reads of this cache that are made in the block, and in tasks or copied
        contexts that are started there; blocks may be nested. While any is open in the process,
        hits of all its callers take the long way, some microseconds more. Costs nothing
        otherwise.
        """
        return self._core.observing.traces.run("freshwell")

    def subscribe(self, max_events: int = 1_000) -> Subscription:
        """Listen to what this cache tells: loads, invalidations, and whatever degrades.

        Take the events now and then with ``take()``: who tells never waits, so beyond
        `max_events` the oldest are dropped, and counted. Events name keys by digests only, and
        hits are not told.

        Raises `ConfigurationError` for a bound below 1.
        """
        return self._core.observing.bus.subscribe(bounded_int(max_events, "max_events", 1))

    def publish(self, every: Duration = 2, *, keys: bool = False) -> None:
        """Let others see how this cache is doing: ``freshwell top`` and the dashboard.

        From the first use on, a snapshot of some kilobytes is left in L2 each time `every` has
        passed (0.1 s to 10 minutes), under a key of this process that soon ends by itself. It has
        counts, sizes and the state of journals; hot keys by digests or, with `keys`, by name. A
        failure of L2 is passed over. Another call replaces the first.

        Raises `ConfigurationError` without L2, and for a time out of bounds.
        """
        if self._core.place is None:
            raise ConfigurationError(
                "publish leaves snapshots in Redis, and this cache has none: build it with a URL, "
                "or read stats() in this process"
            )
        every_ns = duration_ns(every, name="every")
        if not _LEAST_PUBLISHING_NS <= every_ns <= _MOST_PUBLISHING_NS:
            raise ConfigurationError(f"every is {every!r}: use 0.1 seconds to 10 minutes")
        self._core.publish(Publication(every_ns, keys=as_bool(keys, "keys")))

    @property
    def observing(self) -> Observing:
        """What doors such as `freshwell.opentelemetry` watch it by."""
        return self._core.observing

    def observe(self) -> Observation:
        """Return what its metrics are made from, as it is now. Costs no I/O."""
        observing = self._core.observing
        return Observation(
            self._core.options.namespace,
            self.stats(),
            observing.loads.now(),
            observing.notices.now(),
            dict(observing.kinds),
            dict(observing.journals),
            self._core.session.age_s(self._core.seams.now_ns()),
        )

    def hot_keys(self, limit: int = 10) -> list[Hot]:
        """Return the keys that were asked for most beyond this process's memory, lately.

        Counts are estimates from above. Answers from L1 are not among them: they cost nothing.
        """
        return self._core.observing.hot.top(bounded_int(limit, "limit", 1))

    def stats(self) -> Stats:
        """Return the counters and sizes as they are now. Costs no I/O."""
        return self._core.stats()
