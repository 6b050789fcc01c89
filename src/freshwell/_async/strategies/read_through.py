"""Read-through: the reader owns its loader, and call sites give an id and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from freshwell._async.coordination.writes import Writes
from freshwell._async.strategies.cache_aside import CacheAside, as_lookup
from freshwell._kit.aio import each, resolve
from freshwell.engines.shelf import Terms
from freshwell.errors import ConfigurationError
from freshwell.ground.plan import ReadLevel
from freshwell.ground.templates import compile_template
from freshwell.typing import Lookup

__all__ = ["ReadThrough", "Source"]

K_contra = TypeVar("K_contra", contravariant=True)
V_co = TypeVar("V_co", covariant=True)
V = TypeVar("V")

_MANY_AT_ONCE = 16


class Source(Protocol[K_contra, V_co]):
    """Where values come from.

    A source may also have ``load_many(ids)``, which returns a mapping from those ids that
    exist to their values; without it ids are loaded one by one, a few at a time.
    """

    def load(self, id: K_contra, /) -> Awaitable[V_co]:
        """Return the value of `id`. None says that there is none."""


class _Engine(Protocol):
    """The open cache, as far as a reader needs it."""

    @property
    def aside(self) -> CacheAside: ...

    @property
    def writes(self) -> Writes: ...


class ReadThrough(Generic[V]):
    """A reader over one source. Built by `read_through`; shares its cache's connections.

    Everything the cache promises of `get_or_load` holds of it, and its methods raise the same.
    Safe for any number of tasks (in the twin: threads).
    """

    def __init__(
        self,
        engine: Callable[[], _Engine],
        source: Source[Any, V] | Callable[[Any], Awaitable[V]],
        template: str,
        terms: Terms,
        checked: Callable[[str], str],
    ) -> None:
        self._engine = engine
        self._load_one, self._load_many = _loaders(source)
        self._template = compile_template(template, ("id",), name="key")
        self._terms = terms
        self._checked = checked

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._template.text!r}>"

    def key(self, id: Any) -> str:
        """Return the key of the entry of `id`."""
        return self._checked(self._template.render((id,)))

    async def get(self, id: Any) -> V | None:
        """Return the value of `id`, from a tier or from the source. None: there is none."""
        return await self._get(id, self._terms)

    async def get_many(self, ids: Sequence[Any]) -> dict[Any, V]:
        """Return the values of those `ids` that exist, asking the source once for the missing."""
        by_key = {self.key(id): id for id in ids}

        async def load(keys: Sequence[str]) -> Mapping[str, Any]:
            values = await self._load_all([by_key[key] for key in keys])
            return {key: values[by_key[key]] for key in keys if by_key[key] in values}

        aside = self._engine().aside
        found = await aside.get_or_load_many(list(by_key), load, self._terms)
        return {by_key[key]: value for key, value in found.items() if value is not None}

    async def refresh(self, id: Any) -> V | None:
        """Ask the source now, store its answer, and return it."""
        return await self._get(id, replace(self._terms, level=ReadLevel.SOURCE))

    async def invalidate(self, *ids: Any) -> None:
        """Make the entries of `ids` absent everywhere. Call it after the source has changed."""
        if ids:
            await self._engine().writes.invalidate([self.key(id) for id in ids])

    async def expire(self, *ids: Any) -> None:
        """End the freshness of the entries of `ids`; `stale_ttl` goes on."""
        if ids:
            await self._engine().writes.expire([self.key(id) for id in ids])

    async def lookup(self, id: Any) -> Lookup:
        """Say what the tiers have for `id`, without asking the source."""
        return as_lookup(await self._engine().aside.look(self.key(id), self._terms))

    async def _get(self, id: Any, terms: Terms) -> V | None:
        key = self.key(id)

        async def load(keys: Sequence[str]) -> Mapping[str, Any]:
            return {key: await resolve(self._load_one(id))}

        value: V | None = await self._engine().aside.get_or_load(key, load, terms)
        return value

    async def _load_all(self, ids: list[Any]) -> Mapping[Any, Any]:
        if self._load_many is not None:
            return await resolve(self._load_many(ids))

        async def load(id: Any) -> Any:
            return await resolve(self._load_one(id))

        values = await each([partial(load, id) for id in ids], _MANY_AT_ONCE)
        return {id: value for id, value in zip(ids, values, strict=True) if value is not None}


def _loaders(
    source: Any,
) -> tuple[Callable[[Any], Any], Callable[[list[Any]], Any] | None]:
    """Return the source's loader of one id, and of many where it has one."""
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
