"""Read-through: the reader owns its loader, and call sites give an id and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from freshwell._async.coordination.errands import untagged
from freshwell._async.strategies.calls import Call, Host
from freshwell._kit.aio import each, resolve
from freshwell.engines.loading import LoadNotes
from freshwell.engines.results import by_name, storable
from freshwell.engines.shelf import Terms
from freshwell.engines.wrapper import Recipe
from freshwell.errors import ConfigurationError, KeyRejected
from freshwell.ground.keys import check_count
from freshwell.ground.memo import Memo
from freshwell.ground.tags import Computed, Tagging
from freshwell.ground.templates import Naming, compile_template, plan_tags
from freshwell.typing import Lookup

__all__ = ["ReadThrough", "Source"]

K_contra = TypeVar("K_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)
V = TypeVar("V")

_MANY_AT_ONCE = 16
_MAX_KNOWN = 4_000
"""Of how many ids of a kind the names and tags are remembered."""
_NO_IDS = (list, set, frozenset, dict)
_OF_ID = inspect.Signature([inspect.Parameter("id", inspect.Parameter.POSITIONAL_ONLY)])


class Source(Protocol[K_contra, V_co]):
    """Where values come from.

    A source may also have ``load_many(ids)``, which returns a mapping from those ids that
    exist to their values; without it ids are loaded one by one, a few at a time.
    """

    def load(self, id: K_contra, /) -> Awaitable[V_co | None]:
        """Return the value of `id`. None says that there is none."""


class ReadThrough(Generic[V]):
    """A reader over one source. Built by `read_through`; shares its cache's connections.

    Everything the cache promises of `get_or_load` holds of it, and its methods raise the same.
    Safe for any number of tasks (in the twin: threads).
    """

    def __init__(
        self,
        host: Host,
        source: Source[Any, V] | Callable[[Any], Awaitable[V | None]],
        template: str,
        terms: Terms,
        tags: tuple[tuple[str, ...], tuple[Computed, ...]] = ((), ()),
    ) -> None:
        load_one, self._load_many = _loaders(source)
        compiled = compile_template(template, ("id",), name="key", partial=True)
        if not compiled.sources:
            raise ConfigurationError(
                f'key {template!r} has no placeholder for the id: write it as in "user:{{}}"'
            )
        plan = plan_tags(*tags, ("id",), compiled.sources)
        extra = plan.sources[len(compiled.sources) :]
        recipe = Recipe(load_one, _OF_ID, compiled.sources, extra)
        self._call = Call(host, terms, recipe, Naming(compiled.sources, compiled.render), plan)
        self._shown = compiled.text
        self._known: dict[type, Memo[Any, tuple[str, Tagging]]] = {
            kind: Memo(_MAX_KNOWN) for kind in (int, str)
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown!r}>"

    def key(self, id: Any) -> str:
        """Return the key of the entry of `id`."""
        return self._call.key(id)

    async def get(self, id: Any) -> V | None:
        """Return the value of `id`, from a tier or from the source. None: there is none."""
        value: V | None = await self._call.run(id)
        return value

    async def get_many(self, ids: Sequence[Any]) -> dict[Any, V]:
        """Return the values of those `ids` that exist, asking the source once for the missing."""
        if isinstance(ids, str):
            raise KeyRejected("the ids are one text: give a list of ids")
        check_count(len(ids))
        places = self._places(ids)
        by_name = {name: id for (name, _), id in zip(places, ids, strict=True)}
        taggings = dict(places).__getitem__ if self._call.is_tagged else untagged

        async def load(names: Sequence[str], notes: LoadNotes) -> Mapping[str, Any]:
            values = await self._load_all({by_name[name]: name for name in names}, notes)
            return {name: values[by_name[name]] for name in names if by_name[name] in values}

        found = await self._call.engine.aside.get_or_load_many(
            list(by_name), load, self._call.terms, taggings
        )
        return {by_name[name]: value for name, value in found.items() if value is not None}

    async def refresh(self, id: Any) -> V | None:
        """Ask the source now, store its answer, and return it."""
        value: V | None = await self._call.refresh(id)
        return value

    async def invalidate(self, *ids: Any) -> None:
        """Make the entries of `ids` absent everywhere. Call it after the source has changed."""
        await self._call.invalidate(self._keys(ids))

    async def expire(self, *ids: Any) -> None:
        """End the freshness of the entries of `ids`; `stale_ttl` goes on."""
        await self._call.expire(self._keys(ids))

    async def lookup(self, id: Any) -> Lookup:
        """Say what the tiers have for `id`, without asking the source."""
        return await self._call.lookup(id)

    def _places(self, ids: Sequence[Any]) -> list[tuple[str, Tagging]]:
        """Return the names of the entries of `ids`, and their tags.

        Remembered where all ids are numbers or all are texts, which are nothing but themselves.
        """
        entry, kinds = self._call.entry, {*map(type, ids)}
        known = self._known.get(kinds.pop()) if len(kinds) == 1 else None
        if known is None:
            return [entry(id) for id in ids]
        try:
            return [known[id] for id in ids]
        except KeyError:
            places = [entry(id) for id in ids]
            known.keep_many(ids, places)
            return places

    def _keys(self, ids: Sequence[Any]) -> list[str]:
        """Return the keys of ids given one by one."""
        return [self.key(id) for id in self._checked(ids)]

    def _entries(self, ids: Collection[Any]) -> tuple[dict[str, Any], dict[str, Tagging]]:
        """Return the ids given one by one by the names of their entries, and those entries' tags.

        Raises `KeyRejected` for what is no id, and where two have one name.
        """
        id_of: dict[str, Any] = {}
        taggings: dict[str, Tagging] = {}
        for id in self._checked(ids):
            name, taggings[name] = self._call.entry(id)
            if id_of.setdefault(name, id) != id:
                raise KeyRejected("two of the ids have the same key: the key must tell them apart")
        return id_of, taggings

    def _checked(self, ids: Collection[Any]) -> Collection[Any]:
        """Return ids given one by one."""
        check_count(len(ids))
        for id in ids:
            self._check_id(id)
        return ids

    @staticmethod
    def _check_id(id: Any) -> None:
        """Refuse a list of ids, which is no id, and names nothing."""
        if isinstance(id, _NO_IDS):
            raise KeyRejected(
                f"an id is a {type(id).__name__}: give ids one by one, as in invalidate(*ids)"
            )

    async def _load_all(self, names: Mapping[Any, str], notes: LoadNotes) -> Mapping[Any, Any]:
        ids = list(names)
        if self._load_many is not None:
            with notes.many(names):
                found: Mapping[Any, Any] = await resolve(self._load_many(ids))
                return by_name(found, ids)

        async def load(id: Any) -> Any:
            with notes.one(names[id]):
                return storable(await resolve(self._call.function(id)))

        values = await each([partial(load, id) for id in ids], _MANY_AT_ONCE)
        return {id: value for id, value in zip(ids, values, strict=True) if value is not None}


def _loaders(
    source: Any,
) -> tuple[Callable[[Any], Any], Callable[[list[Any]], Any] | None]:
    """Return the source's loader of one id, and of many where it has one."""
    if inspect.isclass(source) and hasattr(source, "load"):
        raise ConfigurationError(
            f"the source is the class {source.__name__}: give an object of it, {source.__name__}()"
        )
    load = getattr(source, "load", None)
    if load is None and callable(source):
        return source, None
    if not callable(load):
        raise ConfigurationError(
            f"{type(source).__name__} cannot be read through: a source has a method load(id), "
            "and may have load_many(ids); a plain function of the id does too"
        )
    load_many = getattr(source, "load_many", None)
    return load, load_many if callable(load_many) else None
