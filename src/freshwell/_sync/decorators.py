"""The ``cached`` decorator: a function whose results are entries, and its helpers.

A plain function becomes a plain function, written anew from its signature so that a hit costs
one dictionary lookup (``engines/wrapper``), with the helpers as attributes. A method becomes a
descriptor, so that the helpers of ``obj.method`` know their object. A class method does too, where
``cached`` stands above ``@classmethod``; below it, its helpers take the class first.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial, update_wrapper
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from freshwell._sync.strategies.calls import Call, Host
from freshwell._kit.threads import check_kind, each
from freshwell._kit.callables import shown_name
from freshwell.codecs.types import return_type
from freshwell.engines.loading import LoadNotes, unheard
from freshwell.engines.results import storable
from freshwell.engines.shelf import Terms
from freshwell.engines.wrapper import Recipe
from freshwell.errors import ConfigurationError, KeyRejected
from freshwell.ground.keys import check_count
from freshwell.ground.tags import Computed
from freshwell.ground.templates import Naming, compile_template, default_naming, plan_tags
from freshwell.typing import Lookup

__all__ = ["CachedFunction", "Decoration", "check_decorating", "decorate"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

_HELPERS = ("expire", "invalidate", "key", "lookup", "many", "refresh", "uncached")
_MANY_AT_ONCE = 16
_WRAPPED = (classmethod, staticmethod)


class CachedFunction(Protocol[P, R]):
    """A cached function, or a cached method bound to its object.

    Each helper takes the arguments of the function, and names the entry that the same call
    names. The helpers raise what the cache's methods of the same name raise.
    """

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the cached result, or call the function and cache its result."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Make this call's entry absent everywhere; void a load of it that is under way."""

    def expire(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """End the freshness of this call's entry; `stale_ttl` goes on."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function now, store its result, and return it."""

    def lookup(self, *args: P.args, **kwargs: P.kwargs) -> Lookup:
        """Say what the tiers have for this call, without calling the function."""

    def uncached(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself. Reads and stores nothing."""

    def many(self, calls: Iterable[Any]) -> list[R]:
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

    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]:
        """Return the function, cached."""


def check_decorating(template: object, ignore: object) -> None:
    """Refuse options of `cached` that are of the wrong kind, before there is a function."""
    if callable(template):
        raise ConfigurationError(
            f"cached was given {shown_name(template)} as its key: write @cache.cached(), with "
            'parentheses, or give a template, such as @cache.cached("user:{user_id}")'
        )
    if not isinstance(ignore, Iterable):
        raise ConfigurationError(
            f"ignore is an object of type {ignore.__class__.__name__}: give names of parameters"
        )


def decorate(
    host: Host,
    terms_for: Callable[[Any], Terms],
    *,
    template: str | None,
    type: Any,
    ignore: tuple[str, ...],
    tags: tuple[tuple[str, ...], tuple[Computed, ...]] = ((), ()),
) -> Decoration:
    """Return the decorator for the options given to `cached`."""

    def decoration(function: Callable[P, R], /) -> CachedFunction[P, R]:
        inner: Any = function.__func__ if isinstance(function, _WRAPPED) else function
        check_kind(inner)
        recipe, naming = _recipe(inner, template, ignore)
        kinds = {name: p.annotation for name, p in recipe.signature.parameters.items()}
        plan = plan_tags(*tags, list(kinds), recipe.sources, kinds)
        recipe = replace(recipe, extra=plan.sources[len(recipe.sources) :])
        result_type = return_type(inner) if type is None else type
        call = Call(host, terms_for(result_type), recipe, naming, plan)
        return cast("CachedFunction[P, R]", _dressed(call, function.__class__))

    return decoration


class _Helpers:
    """The helpers of a cached function; of a method, with its object filled in."""

    __slots__ = ("_bound", "_call")

    def __init__(self, call: Call, bound: tuple[Any, ...] = ()) -> None:
        self._call = call
        self._bound = bound

    def key(self, *args: Any, **kwargs: Any) -> str:
        return self._call.key(*self._bound, *args, **kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> None:
        self._call.invalidate([self.key(*args, **kwargs)])

    def expire(self, *args: Any, **kwargs: Any) -> None:
        self._call.expire([self.key(*args, **kwargs)])

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        return self._call.refresh(*self._bound, *args, **kwargs)

    def lookup(self, *args: Any, **kwargs: Any) -> Lookup:
        return self._call.lookup(*self._bound, *args, **kwargs)

    def uncached(self, *args: Any, **kwargs: Any) -> Any:
        with unheard(self._call.terms.policy):
            return self._call.function(*self._bound, *args, **kwargs)

    def many(self, calls: Iterable[Any]) -> list[Any]:
        if isinstance(calls, str):
            raise KeyRejected("many() was given one text: give a list of calls")
        rows = [call if isinstance(call, tuple) else (call,) for call in calls]
        check_count(len(rows))
        entries = [self._call.entry(*self._bound, *row) for row in rows]
        by_name = {name: row for (name, _), row in zip(entries, rows, strict=True)}
        taggings = dict(entries)

        def call(name: str, notes: LoadNotes) -> Any:
            with notes.one(name):
                return storable(self._call.function(*self._bound, *by_name[name]))

        def load(missing: Sequence[str], notes: LoadNotes) -> Mapping[str, Any]:
            work = [partial(call, name, notes) for name in missing]
            return dict(zip(missing, each(work, _MANY_AT_ONCE), strict=True))

        aside, names = self._call.engine.aside, [name for name, _ in entries]
        found = aside.get_or_load_many(names, load, self._call.terms, taggings.__getitem__)
        return [found.get(name) for name in names]


class _Bound(_Helpers):
    """A cached method, bound to its object or class. Each method has a subclass of its own."""

    __slots__ = ()

    _hung: Mapping[str, Any]
    """What other decorators have hung on the method, which its class holds."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call.run(*self._bound, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Return what every function has, such as its name, as the wrapped one has it."""
        if name in self._hung:
            return self._hung[name]
        return getattr(self._call.function, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Bound):
            return NotImplemented
        ours, theirs = self._bound, other._bound
        return self._call is other._call and [*map(id, ours)] == [*map(id, theirs)]

    def __hash__(self) -> int:
        return hash((id(self._call), *map(id, self._bound)))

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Be pickled as any method is: by its object and name, or by its class's name."""
        function = self._call.function
        return (
            (getattr, (*self._bound, function.__name__)) if self._bound else function.__qualname__
        )

    def __repr__(self) -> str:
        return f"<cached method {shown_name(self._call.function)}>"


class _Method(_Bound):
    """A cached method as its class holds it. Other decorators may hang attributes on it."""

    def __init__(self, call: Call, kind: type[_Bound]) -> None:
        super().__init__(call)
        self._kind = kind
        type(self)._hung = kind._hung = vars(self)

    def __get__(self, instance: object, owner: type | None = None) -> _Bound:
        return self if instance is None else self._kind(self._call, (instance,))


class _ClassMethod(_Method):
    """A cached class method as its class holds it."""

    def __get__(self, instance: object, owner: type | None = None) -> _Bound:
        return self._kind(self._call, (type(instance) if owner is None else owner,))


def _method(call: Call, held: type[_Method]) -> _Method:
    """Return a cached method that tells of itself what the function tells."""
    function = call.function
    signature = inspect.signature(function)
    said: dict[str, Any] = {
        "__annotations__": getattr(function, "__annotations__", {}),
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__wrapped__": staticmethod(function),  # which keeps it from being bound
    }
    parameters = list(signature.parameters.values())[1:]
    bound = {"__slots__": (), "__signature__": signature.replace(parameters=parameters)}
    kind = type("BoundCachedMethod", (_Bound,), said | bound)
    made = type("CachedMethod", (held,), said | {"__signature__": signature})
    return cast("_Method", made(call, kind))


def _recipe(
    function: Callable[..., Any], template: str | None, ignore: tuple[str, ...]
) -> tuple[Recipe, Naming]:
    """Work out how the function's arguments name its entries."""
    signature = inspect.signature(function)
    names = tuple(signature.parameters)
    if template is None:
        _check_named(function)
        naming = default_naming(function.__module__, function.__qualname__, names, ignore)
    else:
        kinds = {name: p.annotation for name, p in signature.parameters.items()}
        compiled = compile_template(template, names, annotations=kinds, ignore=ignore)
        naming = Naming(compiled.sources, compiled.render)
    return Recipe(function, signature, naming.sources), naming


def _check_named(function: Callable[..., Any]) -> None:
    """Refuse functions whose name says too little to be the key of their results."""
    name = getattr(function, "__qualname__", None)
    if name is None or "<lambda>" in name or inspect.ismethod(function):
        raise ConfigurationError(
            f"the key cannot be made from the name of {shown_name(function)}, which others may "
            "share (lambdas, bound methods and partial objects have no name of their own): "
            'give a template, such as cached("user:{user_id}")'
        )


def _dressed(call: Call, given: type) -> Any:
    """Return what takes the function's place: a function with helpers, or a descriptor."""
    if given is classmethod:
        return _method(call, _ClassMethod)
    first = next(iter(inspect.signature(call.function).parameters), None)
    if first == "self" and given is not staticmethod:
        return _method(call, _Method)
    wrapper: Any = update_wrapper(call.run, call.function)
    helpers = _Helpers(call)
    for name in _HELPERS:
        setattr(wrapper, name, getattr(helpers, name))
    return staticmethod(wrapper) if given is staticmethod else wrapper
