"""The ``cached`` decorator: a function whose results are entries, and its helpers.

A plain function becomes a plain function, written anew from its signature so that a hit costs
one dictionary lookup (``engines/wrapper``), with the helpers as attributes. A method becomes a
descriptor, so that the helpers of ``obj.method`` know their object.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from freshwell._async.assembly import Opened
from freshwell._async.strategies.cache_aside import as_lookup, single
from freshwell._kit.aio import ASYNCHRONOUS, check_kind, each
from freshwell.codecs.types import return_type
from freshwell.engines.counters import Counters
from freshwell.engines.session import CoherenceMode, Session
from freshwell.engines.shelf import Terms
from freshwell.engines.table import Table
from freshwell.engines.wrapper import Recipe, alias_of, key_function, write_wrapper
from freshwell.ground.plan import ReadLevel
from freshwell.ground.templates import Naming, compile_template, default_naming
from freshwell.typing import Lookup

__all__ = ["CachedFunction", "Decoration", "Host", "decorate"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

_HELPERS = ("expire", "invalidate", "key", "lookup", "many", "refresh", "uncached")
_MANY_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Host:
    """What a decorated function needs of its cache."""

    engine: Callable[[], Opened]
    table: Table
    session: Session
    counters: Counters


class CachedFunction(Protocol[P, R]):
    """A cached function, or a cached method bound to its object.

    Each helper takes the arguments of the function, and names the entry that the same call
    names. The helpers raise what the cache's methods of the same name raise.
    """

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Return the cached result, or call the function and cache its result."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Make this call's entry absent everywhere; void a load of it that is under way."""

    async def expire(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """End the freshness of this call's entry; `stale_ttl` goes on."""

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function now, store its result, and return it."""

    async def lookup(self, *args: P.args, **kwargs: P.kwargs) -> Lookup:
        """Say what the tiers have for this call, without calling the function."""

    async def uncached(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself. Reads and stores nothing."""

    async def many(self, calls: Iterable[Any]) -> list[R]:
        """Return the results of many calls, in order, asking the tiers once for all.

        Each call is a tuple of positional arguments, or the one argument. What is missing is
        loaded by calling the function, a few at a time.
        """

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of this call's entry."""

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> CachedFunction[P, R]: ...

    @overload
    def __get__(
        self: CachedFunction[Concatenate[S, Q], R], instance: S, owner: type | None = None
    ) -> CachedFunction[Q, R]: ...


class Decoration(Protocol):
    """What `cached(...)` returns: it keeps the function's signature."""

    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CachedFunction[P, R]:
        """Return the function, cached."""


def decorate(
    host: Host,
    terms_for: Callable[[Any], Terms],
    checked: Callable[[str], str],
    *,
    template: str | None,
    type: Any,
    ignore: tuple[str, ...],
) -> Decoration:
    """Return the decorator for the options given to `cached`."""

    def decoration(function: Callable[P, Coroutine[Any, Any, R]], /) -> CachedFunction[P, R]:
        check_kind(function)
        recipe, naming = _recipe(function, template, ignore)
        result_type = return_type(function) if type is None else type
        entry = _Cached(host, terms_for(result_type), checked, recipe, naming)
        return cast("CachedFunction[P, R]", _dressed(entry))

    return decoration


class _Cached:
    """What the wrapper and the helpers of one function share."""

    def __init__(
        self,
        host: Host,
        terms: Terms,
        checked: Callable[[str], str],
        recipe: Recipe,
        naming: Naming,
    ) -> None:
        self.function = recipe.function
        self.terms = terms
        self._host = host
        self._checked = checked
        self._naming = naming
        self._aliases: dict[Any, Any] = {}
        self._values = key_function(recipe)
        in_l1 = host.session.mode is not CoherenceMode.OFF and terms.level is ReadLevel.EVENTUAL
        self._aliased = in_l1 and not recipe.has_many
        if self._aliased:
            host.table.expect_aliases()
        self.call = write_wrapper(
            recipe,
            slow=self.slow,
            aliases=self._aliases,
            now_ns=time.monotonic_ns,
            session=host.session,
            counters=host.counters,
            asynchronous=ASYNCHRONOUS,
            l1=self._aliased,
        )

    @property
    def engine(self) -> Opened:
        return self._host.engine()

    def key(self, *args: Any, **kwargs: Any) -> str:
        return self._checked(self._naming.render(self._values(*args, **kwargs)))

    async def slow(self, values: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """Answer a call that the wrapper found no alias for, and leave one for the next."""
        key = self._checked(self._naming.render(values))
        result = await self.engine.aside.get_or_load(key, single(key, call), self.terms)
        alias = alias_of(values) if self._aliased else None
        if alias is not None:
            self._host.table.attach(key, self._aliases, *alias)
        return result

    async def refresh(self, *args: Any, **kwargs: Any) -> Any:
        key = self.key(*args, **kwargs)
        terms = replace(self.terms, level=ReadLevel.SOURCE)
        call = functools.partial(self.function, *args, **kwargs)
        return await self.engine.aside.get_or_load(key, single(key, call), terms)

    async def many(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        keys = [self.key(*args) for args in calls]
        by_key = dict(zip(keys, calls, strict=True))

        async def load(missing: Sequence[str]) -> Mapping[str, Any]:
            work = [functools.partial(self.function, *by_key[key]) for key in missing]
            return dict(zip(missing, await each(work, _MANY_AT_ONCE), strict=True))

        found = await self.engine.aside.get_or_load_many(keys, load, self.terms)
        return [found.get(key) for key in keys]


class _Helpers:
    """The helpers of a cached function; of a method, with its object filled in."""

    __slots__ = ("_bound", "_cached")

    def __init__(self, cached: _Cached, bound: tuple[Any, ...] = ()) -> None:
        self._cached = cached
        self._bound = bound

    def key(self, *args: Any, **kwargs: Any) -> str:
        return self._cached.key(*self._bound, *args, **kwargs)

    async def invalidate(self, *args: Any, **kwargs: Any) -> None:
        await self._cached.engine.writes.invalidate([self.key(*args, **kwargs)])

    async def expire(self, *args: Any, **kwargs: Any) -> None:
        await self._cached.engine.writes.expire([self.key(*args, **kwargs)])

    async def refresh(self, *args: Any, **kwargs: Any) -> Any:
        return await self._cached.refresh(*self._bound, *args, **kwargs)

    async def lookup(self, *args: Any, **kwargs: Any) -> Lookup:
        key = self.key(*args, **kwargs)
        return as_lookup(await self._cached.engine.aside.look(key, self._cached.terms))

    async def uncached(self, *args: Any, **kwargs: Any) -> Any:
        return await self._cached.function(*self._bound, *args, **kwargs)

    async def many(self, calls: Iterable[Any]) -> list[Any]:
        rows = [call if isinstance(call, tuple) else (call,) for call in calls]
        return await self._cached.many([self._bound + row for row in rows])


class _Bound(_Helpers):
    """A cached method, bound to its object."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._cached.call(*self._bound, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Return what every function has, such as its name, as the wrapped one has it."""
        return getattr(self._cached.function, name)


class _Method(_Bound):
    """A cached method as its class holds it."""

    def __init__(self, cached: _Cached) -> None:
        super().__init__(cached)
        functools.update_wrapper(self, cached.function)

    def __get__(self, instance: object, owner: type | None = None) -> _Bound:
        return self if instance is None else _Bound(self._cached, (instance,))


def _recipe(
    function: Callable[..., Any], template: str | None, ignore: tuple[str, ...]
) -> tuple[Recipe, Naming]:
    """Work out how the function's arguments name its entries."""
    signature = inspect.signature(function)
    names = tuple(signature.parameters)
    if template is None:
        naming = default_naming(function.__module__, function.__qualname__, names, ignore)
    else:
        kinds = {name: p.annotation for name, p in signature.parameters.items()}
        compiled = compile_template(template, names, annotations=kinds, ignore=ignore)
        naming = Naming(compiled.sources, compiled.render)
    return Recipe(function, signature, naming.sources), naming


def _dressed(cached: _Cached) -> Any:
    """Return what takes the function's place: a function with helpers, or a descriptor."""
    if next(iter(inspect.signature(cached.function).parameters), None) == "self":
        return _Method(cached)
    wrapper: Any = functools.update_wrapper(cached.call, cached.function)
    helpers = _Helpers(cached)
    for name in _HELPERS:
        setattr(wrapper, name, getattr(helpers, name))
    return wrapper
