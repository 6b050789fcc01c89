"""The cache as its users see it."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

from freshwell._sync.assembly import Opened, open_here
from freshwell._sync.decorators import Decoration, check_decorating, decorate
from freshwell._sync.strategies.cache_aside import as_lookup, single
from freshwell._sync.strategies.calls import Host
from freshwell._sync.strategies.read_through import ReadThrough, Source
from freshwell._kit.threads import home, home_is_gone, resolve
from freshwell._kit.endpoint import Endpoint
from freshwell.codecs.base import BoundCodec, Codec, check_codec, resolve_codec
from freshwell.codecs.late import LateCodec
from freshwell.codecs.none import NO_CODEC
from freshwell.codecs.types import Unresolved
from freshwell.engines.counters import Counters, Stats
from freshwell.engines.results import by_name, check_mapping, storable
from freshwell.engines.session import CoherenceMode, Session
from freshwell.engines.shelf import Terms
from freshwell.engines.table import Table
from freshwell.errors import CacheClosed, ConfigurationError, KeyRejected
from freshwell.ground.keys import check_key
from freshwell.ground.options import CacheOptions, Duration, as_bool, as_read_level
from freshwell.typing import Lookup, ReadLevelName

__all__ = ["Cache"]

T = TypeVar("T")
D = TypeVar("D")

_MAX_KNOWN_TERMS = 1_000
_NOTHING_SAID = dict.fromkeys(("ttl", "stale_ttl", "negative_ttl", "jitter", "beta"))


class Cache:
    """Keep the results of slow reads close to the code that needs them, and keep them right.

    ``Cache()`` caches in this process; ``Cache("redis://...")`` shares entries with
    every process of the service through Redis or Valkey, with this process's memory (L1) in
    front. Connections open on first use.

    Every entry has a TTL. What a reader may rely on is the contract (see the documentation):
    nothing loaded before an acknowledged invalidation is stored after it, and no process
    serves it from L1 for longer than `max_staleness`.

    Values are kept as they are in L1: treat what a cache returns as read-only.

    One cache belongs to one event loop at a time (`Cache`: to one process; any number of
    threads); when the loop has been closed (after a fork) it opens anew by itself.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://`` or ``valkey://`` URL, or a client of
            redis-py whose connection settings are to be used. None: in this process only.
        namespace: Separates the entries of this cache from others on the same server:
            letters, digits, ``.``, ``_``, ``-``.
        ttl: How long entries are fresh, unless said at the call. ``"volatile"`` is 5 minutes.
        max_ttl: No entry may be told to live longer.
        stale_ttl: For how long after its TTL an entry may still be served while it is
            loaded anew in the background. 0: not at all.
        negative_ttl: TTL of None results (0: not stored). None: as any value.
        jitter: Each TTL is shortened by a random share of up to this much, so that entries
            stored together do not expire together.
        beta: How eagerly entries are refreshed before they expire (XFetch). 0: never.
        codec: ``"json"``, ``"msgpack"`` or a codec object: how values are written to L2.
        l1: Whether this process keeps copies in front of L2. Without L2 it always does.
        max_staleness: For how long after an acknowledged invalidation elsewhere L1 may serve
            the old value at the most. When all is well it is about a millisecond.
        read: Read level, unless said at the call: ``"eventual"``, ``"fresh"``, ``"source"``.
        max_entries, max_bytes: Bounds of L1. Bytes are estimated.
        max_loads: How many loads this process runs at a time, and `load_wait`: how long a
            load waits for its turn before it is shed (`LoadShed`).
        lease: How long after its death a process's load is taken over by another.
        max_key_bytes, max_value_bytes: Longer keys are refused; values that take more bytes in
            L2 are not stored. Without L2 only `max_bytes` bounds them.
        max_refreshes: How many background refreshes run at a time.
        connect_timeout, command_timeout: Time limits of L2.
        drain: How long `close` waits for loads under way.

    Raises:
        ConfigurationError: An option is wrong, or an extra is not installed.
    """

    def __init__(
        self,
        url: Any = None,
        *,
        namespace: str = "default",
        ttl: Duration = "1h",
        max_ttl: Duration = "30d",
        stale_ttl: Duration = 0,
        negative_ttl: Duration | None = None,
        jitter: float = 0.05,
        beta: float = 1.0,
        codec: str | Codec = "json",
        l1: bool = True,
        max_staleness: Duration = 2,
        read: ReadLevelName = "eventual",
        max_entries: int = 100_000,
        max_bytes: int = 128 * 2**20,
        max_loads: int = 64,
        load_wait: Duration = 5,
        lease: Duration = 1.5,
        max_key_bytes: int = 1024,
        max_value_bytes: int = 16 * 2**20,
        max_refreshes: int = 32,
        connect_timeout: Duration = 0.5,
        command_timeout: Duration = 0.25,
        drain: Duration = 5,
    ) -> None:
        self._options = CacheOptions.checked(
            namespace=namespace,
            ttl=ttl,
            max_ttl=max_ttl,
            stale_ttl=stale_ttl,
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
            max_key_bytes=max_key_bytes,
            max_value_bytes=max_value_bytes,
            max_refreshes=max_refreshes,
            connect_timeout=connect_timeout,
            command_timeout=command_timeout,
            drain=drain,
        )
        self._endpoint = None if url is None else Endpoint.of(url)
        check_codec(codec)
        self._codec = None if url is None else resolve_codec(codec)
        self._session = Session(
            _mode(url is not None, as_bool(l1, "l1")), self._options.max_staleness_ns
        )
        self._table = Table(
            max_entries=self._options.max_entries, max_bytes=self._options.max_bytes
        )
        self._counters = Counters()
        self._mutex = Lock()
        self._opened: Opened | None = None
        self._closed = False
        self._plain_terms = self._new_terms(Any, None, {})
        self._known_terms: dict[Any, Terms] = {}
        self._host = Host(self._engine, self._table, self._session, self._counters, self._checked)

    def __repr__(self) -> str:
        where = "in process" if self._endpoint is None else repr(self._endpoint)
        state = ", closed" if self._closed else ""
        return f"<{type(self).__name__} {self._options.namespace!r} {where}{state}>"

    def __enter__(self) -> Self:
        if self._closed:
            raise self._used_closed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the cache: wait for loads under way, up to `drain`, and disconnect.

        Idempotent. Any use afterwards raises `CacheClosed`.
        """
        with self._mutex:
            opened, self._opened, self._closed = self._opened, None, True
        if opened is not None and not home_is_gone(opened.home):
            opened.close()
        self._session.restart()
        self._table.clear()

    # -- reading -----------------------------------------------------------------------------

    def get(
        self,
        key: str,
        default: D | None = None,
        *,
        type: Any = Any,
        read: ReadLevelName | None = None,
    ) -> Any | D | None:
        """Return the fresh value stored under `key`, or `default`.

        `type` is what L2's bytes are decoded to. Never raises because of L2: a tier that is
        down, or bytes that cannot be decoded, are a miss. Cost: an L1 hit is a dictionary
        lookup, an L2 hit one round trip.

        Raises:
            KeyRejected: `key` is empty, too long, or not text.
        """
        key = self._checked(key)
        reading = self._engine().aside.get(key, self._terms(type, read))
        return default if reading is None else reading.value

    def get_many(
        self, keys: Sequence[str], *, type: Any = Any, read: ReadLevelName | None = None
    ) -> dict[str, Any]:
        """Return the fresh values stored under `keys`, by key.

        Left out are those that are absent, and those that the source is known not to have.

        One round trip at the most. Raises as `get` does.
        """
        checked = self._all_checked(keys)
        return self._engine().aside.get_many(checked, self._terms(type, read))

    def get_or_load(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
    ) -> T:
        """Return the value stored under `key`, or what `loader` returns, and store that.

        Callers that ask at the same time share one load, across processes too. None is a
        value like any other. `loader` runs in a copy of the caller's context, and is cancelled
        only when nobody waits for it any more.

        The options default to the cache's. With `stale_ttl`, an entry past its TTL is
        returned at once while one load runs in the background.

        Raises:
            Exception: What `loader` raises, as it is, at every caller who waited for it.
            LoadShed: No load slot came free within `load_wait`.
            NestedLoadError: `loader` waits for this very entry.
            CodecError: The value cannot be written to L2.
            KeyRejected, ConfigurationError: The key or an option is wrong.
        """
        key = self._checked(key)
        terms = self._terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
        )
        value: T = self._engine().aside.get_or_load(key, single(key, loader), terms)
        return value

    def get_or_load_many(
        self,
        keys: Sequence[str],
        loader: Callable[[list[str]], Mapping[str, T]],
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
    ) -> dict[str, T]:
        """Return the values of `keys`, calling `loader` once with those that are missing.

        `loader` gets a list of keys and returns a mapping. Keys that it leaves out do not
        exist: they are remembered as absent for `negative_ttl` (one minute where that is not
        set) and left out of the answer. Keys being loaded by other callers are waited for.
        Raises as `get_or_load` does.
        """
        checked = self._all_checked(keys)
        terms = self._terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
        )

        def load(missing: Sequence[str]) -> Mapping[str, T]:
            return by_name(resolve(loader(list(missing))), missing)

        return self._engine().aside.get_or_load_many(checked, load, terms)

    def lookup(
        self,
        key: str,
        *,
        type: Any = Any,
        stale_ttl: Duration | None = None,
        read: ReadLevelName | None = None,
    ) -> Lookup:
        """Say what the tiers have under `key`: value, state, age, tier and reason.

        Loads nothing and refreshes nothing. Raises `KeyRejected` for a bad key.
        """
        key = self._checked(key)
        terms = self._terms(type, read, stale_ttl=stale_ttl)
        reading = self._engine().aside.look(key, terms)
        return as_lookup(reading)

    # -- writing -----------------------------------------------------------------------------

    def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        jitter: float | None = None,
        type: Any = Any,
    ) -> None:
        """Store `value` under `key`, whatever is there; loads of it under way are void.

        For values that come from a source, prefer `get_or_load`: two writers who set different
        values leave the one that arrived last, which need not be the newer.

        Raises:
            StoreUnavailable: L2 may not have taken it. It may still hold the old value.
            CodecError: The value cannot be written, or is larger than `max_value_bytes`.
            KeyRejected, ConfigurationError: The key or an option is wrong.
        """
        self.set_many({key: value}, ttl=ttl, stale_ttl=stale_ttl, jitter=jitter, type=type)

    def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        jitter: float | None = None,
        type: Any = Any,
    ) -> None:
        """Store many values, in one round trip. Raises as `set` does."""
        check_mapping(values, "set_many")
        checked = {self._checked(key): storable(value) for key, value in values.items()}
        terms = self._terms(type, None, ttl=ttl, stale_ttl=stale_ttl, jitter=jitter)
        self._engine().writes.put(checked, terms)

    def invalidate(self, *keys: str) -> None:
        """Make the entries absent, in every tier and process; void loads of them under way.

        Call it after the source has changed. When it returns, L2 has applied it (the *ack*):
        nothing loaded before is stored afterwards anywhere, this process serves nothing older,
        and others serve it from L1 for `max_staleness` at the most. One round trip.

        Raises:
            InvalidationError: L2 may not have taken it: repeat the call. Safe to repeat.
            KeyRejected: A key is wrong; nothing was invalidated.
        """
        checked = [self._checked(key) for key in keys]
        if checked:
            self._engine().writes.invalidate(checked)

    def expire(self, *keys: str) -> None:
        """End the freshness of the entries, as if their TTL had passed.

        Unlike `invalidate`, callers with a `stale_ttl` go on being served while one load
        runs. Loads under way are void. Raises as `invalidate` does.
        """
        checked = [self._checked(key) for key in keys]
        if checked:
            self._engine().writes.expire(checked)

    # -- strategies --------------------------------------------------------------------------

    def cached(
        self,
        key: str | None = None,
        *,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = None,
        read: ReadLevelName | None = None,
        ignore: str | Sequence[str] = (),
    ) -> Decoration:
        """Cache the results of a function or method by its arguments.

        ``key`` is a template over the parameters, such as ``"user:{user_id}"`` or
        ``"page:{self.site}:{n}"``; without one the key is made from the function's name and
        all its arguments, typed, so that ``1``, ``"1"`` and ``True`` never meet. Parameters
        named in `ignore` are no part of it. All is checked here, when decorating. Stands above
        ``@classmethod`` and ``@staticmethod``, and below ``@property``. Generators are refused:
        return a list.

        The function keeps its signature, and gets helpers that take the same arguments:
        ``.invalidate``, ``.expire``, ``.refresh``, ``.lookup``, ``.key``, ``.uncached``, and
        ``.many`` for a list of calls. L2's bytes are decoded to the annotated return type
        (`type` overrides it).

        Raises:
            ConfigurationError: The template, an option, or the return type cannot work.
        """
        check_decorating(key, ignore)
        ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        level = None if read is None else as_read_level(read)
        policy = self._options.policy.narrowed(
            ttl=ttl, stale_ttl=stale_ttl, negative_ttl=negative_ttl, jitter=jitter, beta=beta
        )

        def terms_for(result_type: Any) -> Terms:
            return Terms(policy, self._bound(result_type), level or self._options.read)

        return decorate(self._host, terms_for, template=key, type=type, ignore=ignored)

    def read_through(
        self,
        source: Source[Any, T] | Callable[[Any], T | None],
        *,
        key: str,
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
    ) -> ReadThrough[T]:
        """Return a reader that owns its loader: a `source` with ``load(id)``.

        `key` is a template with one placeholder for the id, such as ``"user:{}"``. A source
        that also has ``load_many(ids)`` is asked once for all ids that are missing.

        Raises:
            ConfigurationError: The source has no ``load``, or the template cannot work.
        """
        terms = self._terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
        )
        return ReadThrough(self._host, source, key, terms)

    # -- looking at it -----------------------------------------------------------------------

    def stats(self) -> Stats:
        """Return the counters and sizes as they are now. Costs no I/O."""
        table, session, opened = self._table, self._session, self._opened
        return Stats.of(
            self._counters,
            entries=table.entries,
            bytes=table.bytes,
            evictions=table.evictions,
            expirations=table.expirations,
            coherence=session.mode.value,
            l1_live=time.monotonic_ns() < session.live_until_ns,
            in_flight=0 if opened is None else opened.aside.in_flight,
        )

    # -- inside ------------------------------------------------------------------------------

    def _checked(self, key: str) -> str:
        check_key(key, self._options.max_key_bytes)
        return key

    def _all_checked(self, keys: Sequence[str]) -> list[str]:
        if isinstance(keys, str):
            raise KeyRejected("the keys are one text: give a list of keys")
        return [self._checked(key) for key in keys]

    def _bound(self, type: Any) -> BoundCodec:
        if self._codec is None:
            return NO_CODEC
        if isinstance(type, Unresolved):
            return LateCodec(self._codec, type)
        return self._codec.bind(type)

    def _terms(self, type: Any, read: ReadLevelName | None = None, **policy: Any) -> Terms:
        """Return the terms of a call. Calls spelled alike share one object."""
        if type is Any and read is None and (not policy or policy == _NOTHING_SAID):
            return self._plain_terms
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

    def _new_terms(self, type: Any, read: ReadLevelName | None, policy: Mapping[str, Any]) -> Terms:
        level = self._options.read if read is None else as_read_level(read)
        return Terms(self._options.policy.narrowed(**policy), self._bound(type), level)

    def _engine(self) -> Opened:
        opened = self._opened
        if opened is not None and opened.home == home():
            return opened
        return self._open()

    def _used_closed(self) -> CacheClosed:
        return CacheClosed(
            f"{self!r} was used after its close: a cache lives as long as the service; build a "
            "new one where that is not so"
        )

    def _open(self) -> Opened:
        here = home()
        with self._mutex:
            if self._closed:
                raise self._used_closed()
            opened = self._opened
            if opened is not None and opened.home == here:
                return opened
            if opened is not None:
                if not home_is_gone(opened.home):
                    raise ConfigurationError(
                        f"{self!r} is in use by another running event loop: build one cache "
                        "for each loop"
                    )
                if self._endpoint is not None:
                    # The feed that kept L1 coherent has ended with its home.
                    self._session.restart()
                    self._table.clear()
            self._opened = open_here(
                self._options,
                self._endpoint,
                table=self._table,
                session=self._session,
                counters=self._counters,
            )
            return self._opened


def _mode(shared: bool, l1: bool) -> CoherenceMode:
    if not shared:
        return CoherenceMode.ALONE
    return CoherenceMode.FEED if l1 else CoherenceMode.OFF
