"""What can be done with entries: the verbs that a cache and its namespaces share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Unpack

from freshwell._async.coordination.errands import alike, check_loader, untagged
from freshwell._async.coordination.sweeps import Progress
from freshwell._async.core import Core
from freshwell._async.decorators import Decoration, check_decorating, decorate
from freshwell._async.journals import delivery_to, journal_opener
from freshwell._async.strategies.calls import Host
from freshwell._async.strategies.delivering import BatchSource
from freshwell._async.strategies.read_through import ReadThrough, Source
from freshwell._async.strategies.write_behind import WriteBehind
from freshwell._async.strategies.write_through import WritableSource, WriteThrough
from freshwell._async.writing import Writing
from freshwell._kit.aio import resolve
from freshwell.codecs.base import Codec
from freshwell.engines.loading import LoadNotes
from freshwell.engines.lookups import as_lookup
from freshwell.engines.results import by_name, check_mapping, storable
from freshwell.engines.shelf import Terms
from freshwell.engines.taggings import Taggings
from freshwell.errors import ConfigurationError, KeyRejected
from freshwell.ground.downs import is_down
from freshwell.ground.globs import check_glob
from freshwell.ground.journaling import BehindOptions, journal_name, journal_spec
from freshwell.ground.keys import check_count, check_keys
from freshwell.ground.names import named, namespace_tag, user_tag
from freshwell.ground.options import Duration, as_read_level
from freshwell.ground.tags import UNTAGGED, Computed, Tagging, check_tag, split_tags
from freshwell.typing import DurabilityName, LoadOptions, Lookup, ReadLevelName

__all__ = ["Scope"]

T = TypeVar("T")
D = TypeVar("D")


class Scope:
    """The entries of a cache that are in one namespace, or in none where that is empty."""

    def __init__(self, core: Core, namespace: str = "") -> None:
        self._core = core
        self._namespace = namespace
        parts = namespace.split("/") if namespace else []
        paths = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        self._hiding = core.names.hiding is not None
        self._renames = self._hiding or bool(namespace)
        self._implied = tuple(namespace_tag(path) for path in paths)
        self._tags = Taggings(core.names, self._implied)
        # In no namespace the name is the key itself.
        self._name = self._checked_name if namespace or self._hiding else core.checked
        self._host = Host(
            core.engine,
            core.table,
            core.session,
            core.counters,
            core.observing.traces,
            core.checked,
            self._name_of,
            self._name,
            self._tags.planned,
            core.seams.now_ns,
        )

    # -- reading -----------------------------------------------------------------------------

    async def get(
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
        name, plain = self._name(key), type is Any and read is None
        terms = self._core.plain_terms if plain else self._core.terms(type, read)
        return await self._core.engine().aside.get(name, terms, self._tagging(name), default)

    async def get_many(
        self, keys: Sequence[str], *, type: Any = Any, read: ReadLevelName | None = None
    ) -> dict[str, Any]:
        """Return the fresh values stored under `keys`, by key.

        Left out are those that are absent, and those that the source is known not to have.

        One round trip at the most. Raises as `get` does.
        """
        names, terms = self._names(keys), self._core.terms(type, read)
        taggings = untagged if self._tags.is_bare else self._taggings(())
        found = await self._core.engine().aside.get_many(names, terms, taggings)
        return self._by_key(found, names, keys)

    async def get_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
        **loads: Unpack[LoadOptions],
    ) -> T:
        """Return the value stored under `key`, or what `loader` returns, and store that.

        Callers that ask at the same time share one load, across processes too. None is a
        value like any other. `loader` runs in a copy of the caller's context, and is cancelled
        only when nobody waits for it any more.

        The options default to the cache's. With `stale_ttl`, an entry past its TTL is
        returned at once while one load runs in the background, or where that fails: `loads`
        says which, and how long a load may take (see `LoadOptions`). What `loader` has to say
        of its entry it says to `loading()`.

        The entry lives by its `tags` too: words, or functions from the loaded value to words,
        which are not asked about None. An entry that was stored without one of the words is
        absent to this call. Costs a round trip where a tag's version is not known yet.

        Raises:
            Exception: What `loader`, or a function among the tags, raises, as it is, at every
                caller who waited for it.
            LoadShed: No load slot came free within `load_wait`.
            LoadTimeout: The load was not over after `load_timeout`.
            NestedLoadError: `loader` waits for this very entry.
            CodecError: The value cannot be written to L2.
            KeyRejected, ConfigurationError: The key or an option is wrong.
        """
        name = self._name(key)
        terms = self._core.terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
        )
        if loads:
            terms = self._core.with_loads(terms, loads)
        check_loader(loader)
        tagging = self._tagging(name, tags)
        value: T = await self._core.engine().aside.get_or_load(name, loader, terms, tagging)
        return value

    async def get_or_load_many(
        self,
        keys: Sequence[str],
        loader: Callable[[list[str]], Awaitable[Mapping[str, T]]],
        *,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
        **loads: Unpack[LoadOptions],
    ) -> dict[str, T]:
        """Return the values of `keys`, calling `loader` once with those that are missing.

        `loader` gets a list of keys and returns a mapping. Keys that it leaves out do not
        exist: they are remembered as absent for `negative_ttl` (one minute where that is not
        set) and left out of the answer. Keys being loaded by other callers are waited for.
        `tags` are those of every entry; functions among them are asked about each value.
        A load that fails or is slow (`loads`) is answered with what is stale only where all keys
        that it was to bring have that. Raises as `get_or_load` does.
        """
        names = self._names(keys)
        terms = self._core.terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
            **loads,
        )

        async def load(missing: Sequence[str], notes: LoadNotes) -> Mapping[str, T]:
            key_of = dict(zip(names, keys, strict=True))
            wanted = {key_of[name]: name for name in missing}
            with notes.many(wanted):
                found = by_name(await resolve(loader(list(wanted))), list(wanted))
            return {wanted[key]: value for key, value in found.items() if key in wanted}

        found = await self._core.engine().aside.get_or_load_many(
            names, load, terms, self._taggings(tags)
        )
        return self._by_key(found, names, keys)

    async def lookup(
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
        name = self._name(key)
        terms = self._core.terms(type, read, stale_ttl=stale_ttl)
        reading = await self._core.engine().aside.look(name, terms, self._tagging(name))
        return as_lookup(reading, self._core.seams.now_ns())

    # -- writing -----------------------------------------------------------------------------

    async def set(
        self,
        key: str,
        value: Any,
        *,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        jitter: float | None = None,
        type: Any = Any,
    ) -> None:
        """Store `value` under `key`, whatever is there; loads of it under way are void.

        For values that come from a source, prefer `get_or_load`: two writers who set different
        values leave the one that arrived last, which need not be the newer. Where a writer
        has announced a change (`writing`), nothing is stored, and the entry is absent.

        Raises:
            StoreUnavailable: L2 may not have taken it. It may still hold the old value.
            CodecError: The value cannot be written, or is larger than `max_value_bytes`.
            KeyRejected, ConfigurationError: The key or an option is wrong.
        """
        values = {self._core.checked(key): value}
        await self.set_many(
            values, tags=tags, ttl=ttl, stale_ttl=stale_ttl, jitter=jitter, type=type
        )

    async def set_many(
        self,
        values: Mapping[str, Any],
        *,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        jitter: float | None = None,
        type: Any = Any,
    ) -> None:
        """Store many values, in one round trip; one more under tags. Raises as `set` does."""
        check_mapping(values, "set_many")
        checked = {self._name(key): storable(value) for key, value in values.items()}
        terms = self._core.terms(type, None, ttl=ttl, stale_ttl=stale_ttl, jitter=jitter)
        await self._core.engine().writes.put(checked, terms, self._taggings(tags, loaded=False))

    async def invalidate(self, *keys: str) -> None:
        """Make the entries absent, in every tier and process; void loads of them under way.

        Call it after the source has changed. When it returns, L2 has applied it (the *ack*):
        nothing loaded before is stored afterwards anywhere, this process serves nothing older,
        and others serve it from L1 for `max_staleness` at the most. One round trip.

        With a `spool`, it returns too where L2 may not have taken it: what the keys name is not
        served by this process until L2 has it, and others may serve the old value until then, up
        to its TTL (`stats().spool_records`).

        Raises:
            InvalidationError: L2 may not have taken it, nor a spool: repeat the call. Safe to
                repeat.
            KeyRejected: A key is wrong; nothing was invalidated.
        """
        names = self._each_name(keys)
        if names:
            await self._core.engine().writes.invalidate(names)

    async def expire(self, *keys: str) -> None:
        """End the freshness of the entries, as if their TTL had passed.

        Unlike `invalidate`, callers with a `stale_ttl` go on being served while one load
        runs. Loads under way are void. Raises as `invalidate` does.
        """
        names = self._each_name(keys)
        if names:
            await self._core.engine().writes.expire(names)

    async def invalidate_tags(self, *tags: str) -> None:
        """Make all entries that have one of the tags absent, in every tier and process.

        Loads of such entries that are under way are void. One round trip (two in a Cluster) and
        one write for each tag, however many entries it has. The ack means what it means of
        `invalidate`, and a `spool` does too. Tags belong to the whole cache, not to a namespace.

        Raises:
            InvalidationError: L2 may not have taken it, nor a spool: repeat the call. Safe to
                repeat.
            KeyRejected: A tag is wrong; nothing was invalidated.
        """
        check_count(len(tags))
        inner = [user_tag(check_tag(tag)) for tag in tags]
        if inner:
            await self._core.engine().writes.invalidate_tags(inner, pulse=True)

    async def invalidate_pattern(self, pattern: str, *, progress: Progress | None = None) -> int:
        """Make all entries absent whose keys match a glob. Return how many there were.

        ``*``, ``?``, ``[abc]``, ``[a-z]``, ``[^a]`` and a backslash mean what they mean to Redis.
        Costs L2 a look at each of its keys, on every primary, in small steps that its other
        clients do not notice: prefer tags. `progress` is called after each step with the count so
        far. When the call returns, the ack means what it means of `invalidate`. No spool takes it.

        Raises:
            InvalidationError: L2 stopped answering in between: repeat the call.
            KeyRejected: The pattern is empty or too long.
            ConfigurationError: The cache has `hash_keys`: its names in L2 match no pattern.
        """
        glob = check_glob(pattern)
        if self._hiding:
            raise ConfigurationError(
                "this cache has hash_keys, and hashed names match no pattern: invalidate by keys "
                "or tags, or clear a namespace"
            )
        sweeps = self._core.engine().sweeps
        return await sweeps.invalidate(self._namespace, glob, progress)

    def writing(self, *keys: str, tags: Sequence[str] = ()) -> Writing:
        """Announce a change of the source, and invalidate when it is done.

        ::

            async with cache.writing("user:42", tags=["users"]):
                await repo.update(user)

        From before the block begins until it ends, the entries are absent in L2 and nothing is
        stored under them, by any process: readers go to the source. (Without L2, what they load
        meanwhile is served to others until the block ends.) A process that dies between the
        source's commit and the end of the block leaves no stale entry: what it has announced
        stands for `intent` (3 s) longer, and nothing old comes after it. Writers may overlap.
        However the block ends, the entries are absent afterwards.

        Raises:
            InvalidationError: On entering: L2 may not have taken the announcement, and the
                block was not run. On leaving: L2 may not have taken its end, nor a spool, and the
                entries stay absent for `intent`; an exception of the block goes before.
            KeyRejected: A key or tag is wrong.
        """
        names = self._each_name(keys)
        if isinstance(tags, str):
            raise KeyRejected("the tags are one text: give a list of tags")
        check_count(len(tags))
        inner = [user_tag(check_tag(tag)) for tag in tags]
        return Writing(self._core.engine, names, inner)

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
        tags: Sequence[str | Computed] = (),
        **loads: Unpack[LoadOptions],
    ) -> Decoration:
        """Cache the results of a function or method by its arguments.

        ``key`` is a template over the parameters, such as ``"user:{user_id}"`` or
        ``"page:{self.site}:{n}"``; without one the key is made from the function's name and
        all its arguments, typed, so that ``1``, ``"1"`` and ``True`` never meet. Parameters
        named in `ignore` are no part of it. All is checked here, when decorating. Stands above
        ``@classmethod`` and ``@staticmethod``, and below ``@property``. Generators are refused:
        return a list.

        `tags` are templates over the parameters too, such as ``["users", "team:{team.id}"]``,
        or functions from the result to tags. `loads`: see `LoadOptions`.

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
        options = self._core.options
        policy = options.policy.narrowed(
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
            **loads,
        )

        def terms_for(result_type: Any) -> Terms:
            return Terms(policy, self._core.bound(result_type), level or options.read)

        return decorate(
            self._host, terms_for, template=key, type=type, ignore=ignored, tags=split_tags(tags)
        )

    def read_through(
        self,
        source: Source[Any, T] | Callable[[Any], Awaitable[T | None]],
        *,
        key: str,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
        **loads: Unpack[LoadOptions],
    ) -> ReadThrough[T]:
        """Return a reader that owns its loader: a `source` with ``load(id)``.

        `key` is a template with one placeholder for the id, such as ``"user:{}"``. A source
        that also has ``load_many(ids)`` is asked once for all ids that are missing. `tags` are
        templates over the id, or functions from the value to tags. `loads`: see `LoadOptions`.

        Raises:
            ConfigurationError: The source has no ``load``, or the template cannot work.
        """
        terms = self._core.terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
            **loads,
        )
        return ReadThrough(self._host, source, key, terms, split_tags(tags))

    def write_through(
        self,
        source: WritableSource[Any, T],
        *,
        key: str,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
        **loads: Unpack[LoadOptions],
    ) -> WriteThrough[T]:
        """Return a reader that writes too: to a `source` with ``load(id)`` and ``save(id, value)``.

        As `read_through`, and ``put``, ``put_many`` and ``delete`` besides, which announce the
        change, make it in the source, and leave the new value in the cache.

        Raises:
            ConfigurationError: The source lacks a method or has one that cannot be called, or
                the template cannot work.
        """
        terms = self._core.terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
            **loads,
        )
        return WriteThrough(self._host, source, key, terms, split_tags(tags, loaded=False))

    def write_behind(
        self,
        source: WritableSource[Any, T] | BatchSource[Any, T],
        *,
        key: str,
        journal: Any,
        durability: DurabilityName | None = None,
        name: str | None = None,
        batch: int = 500,
        flush_every: Duration = "100ms",
        max_backlog: int = 100_000,
        max_backlog_bytes: int = 256 * 2**20,
        on_full: Literal["block", "reject"] = "block",
        full_wait: Duration = 5,
        max_attempts: int = 8,
        retry_after: Duration = "200ms",
        retry_at_most: Duration = "1m",
        max_dead: int = 10_000,
        coalesce: bool = True,
        is_down: Callable[[BaseException], bool] = is_down,
        shards: int = 8,
        replicas: int = 1,
        assume_durable: bool = False,
        flusher: bool = True,
        drain: Duration = 10,
        codec: str | Codec | None = None,
        tags: Sequence[str | Computed] = (),
        ttl: Duration | None = None,
        stale_ttl: Duration | None = None,
        negative_ttl: Duration | None = None,
        jitter: float | None = None,
        beta: float | None = None,
        type: Any = Any,
        read: ReadLevelName | None = None,
        **loads: Unpack[LoadOptions],
    ) -> WriteBehind[T]:
        """Return a reader whose writes a journal acknowledges; the source gets them in batches.

        As `read_through`, and ``put``, ``put_many`` and ``delete`` besides, which return when the
        journal has the write. A `source` has ``load(id)``, and ``save_many(batch)`` or
        ``save(id, value)``; see `Batch` for what it is told of each write, and `Outcome` for what
        it may answer.

        - `journal`: ``"sqlite:///pending.db"``, a file of this machine, for one process that
          writes; ``"redis"``, beside the entries on the cache's own Redis; the URL of another
          Redis, or a client of redis-py; ``"memory"``, lost with the process; or a journal of
          your own, an object as `freshwell.journals` says, which is closed with this.
        - `durability`: what an accepted write survives, where the journal leaves a choice:
          ``"redis"`` or ``"redis+wait"``, confirmed by `replicas` replicas.
        - `name`: what the journal is called on its Redis. None: after `key`.
        - `batch`: how many writes the source is given at a time; `flush_every`: how long one waits
          for others.
        - `max_backlog`, `max_backlog_bytes`: how much the journal holds; on Redis, each shard a
          share of it. `on_full`: whether a writer waits for room, for up to `full_wait`, or is
          refused at once.
        - `max_attempts`: how often the source may refuse a write before it is a dead letter, of
          which `max_dead` are kept. `retry_after`: the pause before the second try; it doubles up
          to `retry_at_most`. While the source is down nothing is counted.
        - `coalesce`: whether the source is spared values that newer ones have replaced meanwhile.
        - `is_down`: tells of an exception of the source that it is down, and that nothing is wrong
          with the writes. By default an `OSError`, and what drivers call ``OperationalError``
          or ``InterfaceError``.
        - `shards`: into how many parts a journal on Redis is divided: as many are flushed at a
          time. Fixed once it is begun.
        - `assume_durable`: use a Redis whose settings would lose accepted writes, or are not told.
        - `flusher`: whether this process flushes. Where none does, run ``freshwell flush-worker``.
        - `drain`: how long closing waits for what is not flushed yet.
        - `codec`: how values are written to the journal. None: as to L2.

        Raises:
            ConfigurationError: The source lacks a method or has one that cannot be called, an
                option is wrong, or the template cannot work.
        """
        options = BehindOptions.checked(
            batch=batch,
            flush_every=flush_every,
            max_backlog=max_backlog,
            max_backlog_bytes=max_backlog_bytes,
            on_full=on_full,
            full_wait=full_wait,
            max_attempts=max_attempts,
            retry_after=retry_after,
            retry_at_most=retry_at_most,
            max_dead=max_dead,
            coalesce=coalesce,
            shards=shards,
            replicas=replicas,
            assume_durable=assume_durable,
            flusher=flusher,
            drain=drain,
        )
        terms = self._core.terms(
            type,
            read,
            ttl=ttl,
            stale_ttl=stale_ttl,
            negative_ttl=negative_ttl,
            jitter=jitter,
            beta=beta,
            **loads,
        )
        spec = journal_spec(journal, durability, shared=self._core.place is not None)
        called = journal_name(name, key)
        return WriteBehind(
            self._host,
            source,
            key,
            terms,
            split_tags(tags, loaded=False),
            delivery=delivery_to(self._core, source, codec, type, is_down, spec),
            open_journal=journal_opener(
                self._core,
                spec,
                options,
                namespace=self._namespace,
                name=called,
                owner=key,
            ),
            journal_name=called,
            options=options,
            hides_from_l2=spec.is_local and self._core.place is not None,
        )

    # -- inside ------------------------------------------------------------------------------

    def _checked_name(self, key: str) -> str:
        """Return the inner name of a key. Raises `KeyRejected` for what is none."""
        return self._name_of(self._core.checked(key))

    def _each_name(self, keys: Sequence[str]) -> list[str]:
        check_count(len(keys))
        check_keys(keys, self._core.options.max_key_bytes)
        return [*map(self._name_of, keys)] if self._renames else list(keys)

    def _name_of(self, key: str) -> str:
        if self._hiding:
            key = self._core.names.hidden(self._namespace, key)
        return named(self._namespace, key) if self._namespace else key

    def _names(self, keys: Sequence[str]) -> list[str]:
        """Return the inner name of each of the keys that are to be read."""
        if isinstance(keys, str):
            raise KeyRejected("the keys are one text: give a list of keys")
        return self._each_name(keys)

    def _by_key(
        self, found: dict[str, T], names: Sequence[str], keys: Sequence[str]
    ) -> dict[str, T]:
        """Return by keys what was found of their inner names, in the order of the keys."""
        if not self._renames:
            return found
        return {k: found[name] for k, name in zip(keys, names, strict=True) if name in found}

    def _tagging(self, name: str, tags: Sequence[str | Computed] = ()) -> Tagging:
        """Return the tags of an entry: those given, and those it has by itself."""
        if not tags:
            return UNTAGGED if self._tags.is_bare else self._tags.of(name)
        return self._tags.of(name, *split_tags(tags))

    def _taggings(
        self, tags: Sequence[str | Computed], *, loaded: bool = True
    ) -> Callable[[str], Tagging]:
        """Return what gives each entry of a call its tags."""
        texts, functions = split_tags(tags, loaded=loaded)
        if self._tags.are_alike:
            return alike(self._tags.of("", texts, functions))
        return lambda name: self._tags.of(name, texts, functions)
