"""What a loader is told of the load that it does, and what it may say of the entry.

The context of a load is found by `loading()`, in the loader itself and in whatever runs in a copy
of its context. It ends with the loader: what is said later would change nothing, and is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, Token
from threading import Lock
from typing import Any, Final, NamedTuple, Self

from freshwell.errors import ConfigurationError
from freshwell.ground.options import Duration, EntryPolicy
from freshwell.ground.tags import check_tag
from freshwell.typing import Lookup

__all__ = ["NOTHING_SAID", "LoadContext", "LoadNotes", "NotModified", "Said", "loading", "unheard"]

_current: ContextVar[LoadContext | None] = ContextVar("current_load", default=None)


class Said(NamedTuple):
    """What a loader has said of one entry. None: nothing."""

    ttl_ns: int | None = None
    stale_ns: int | None = None
    tags: tuple[str, ...] = ()
    stored: bool = True


NOTHING_SAID: Final = Said()


class NotModified:
    """The answer of a loader whose entry is as it was."""

    __slots__ = ("_context",)

    def __init__(self, context: LoadContext) -> None:
        self._context = context

    def check(self) -> None:
        """Raise `ConfigurationError` where it is no answer to a load that runs now."""
        self._context._check()

    def is_of(self, context: LoadContext | None) -> bool:
        """Tell whether it is the answer of this load."""
        return self._context is context


class LoadContext:
    """The load of an entry, as its loader sees it. `loading()` returns it.

    Safe for any number of tasks or threads that the loader starts. After the loader's end its
    methods raise `ConfigurationError`.
    """

    def __init__(
        self,
        policy: EntryPolicy,
        *,
        previous: Lookup | None,
        taggable: bool,
        part: Callable[[Any], LoadContext] | None = None,
    ) -> None:
        self._policy = policy
        self._previous = previous
        self._taggable = taggable
        self._part = part
        self._mutex = Lock()
        self._said = NOTHING_SAID
        self._over = False
        self._token: Token[LoadContext | None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' over' if self._over else ''}>"

    @property
    def previous(self) -> Lookup | None:
        """The entry that is to be replaced, as the caller found it: its value, age and state.

        None where the caller found none, or did not look (`refresh`, the read level ``"source"``).
        Of a load of many, each `entry` has its own.
        """
        return self._previous

    def set(self, *, ttl: Duration | None = None, stale_ttl: Duration | None = None) -> None:
        """Let the entry live by these, and not by the options of the call. None: as it was.

        They are checked as the options are; jitter goes on. `stale_ttl` says for how long the entry
        is kept; how much of that a reader accepts is the reader's own `stale_ttl`.

        Raises `ConfigurationError`: a value is out of bounds, or the load is over.
        """
        changed = self._policy.narrowed(ttl=ttl, stale_ttl=stale_ttl)
        said: dict[str, int] = {}
        if ttl is not None:
            said["ttl_ns"] = changed.ttl_ns
        if stale_ttl is not None:
            said["stale_ns"] = changed.stale_ns
        self._say(**said)

    def add_tags(self, *tags: str) -> None:
        """Let the entry have these tags too.

        The call must have said that its loader adds some, by `added_tags` among its ``tags=``, or
        by any function of the value there: only then it is noticed what is invalidated during the
        load.

        Raises:
            ConfigurationError: It has not, or the load is over.
            KeyRejected: A tag is none.
        """
        if not self._taggable:
            raise ConfigurationError(
                "the loader adds tags, and the call has not said so: give it tags=[added_tags], "
                "beside other tags"
            )
        checked = [check_tag(tag) for tag in tags]
        with self._mutex:
            self._check()
            merged = dict.fromkeys((*self._said.tags, *checked))
            self._said = self._said._replace(tags=tuple(merged))

    def do_not_store(self) -> None:
        """Give the value to those who wait, and store it nowhere. What was stored is removed."""
        self._say(stored=False)

    def not_modified(self) -> Any:
        """Return what the loader is to return where the source says that nothing has changed.

        The previous value then stays, and is as fresh as one that was loaded now; tags that
        follow from it are asked for anew.

        Raises `ConfigurationError`: there is no `previous`, or the load is over.
        """
        self._check()
        if self._previous is None:
            hint = "of a load of many, each entry(key) has its own" if self._part else "load it"
            raise ConfigurationError(f"not_modified: there is no previous value; {hint}")
        return NotModified(self)

    def entry(self, key: Any) -> LoadContext:
        """Return the context of one entry of a load of many, by what the loader was given for it.

        What it is told goes before what the load as a whole is told; tags are added.

        Raises `ConfigurationError`: this load is of one entry, or was not asked for that one.
        """
        self._check()
        if self._part is None:
            raise ConfigurationError("this load is of one entry, and has no entry(key)")
        return self._part(key)

    # -- inside ------------------------------------------------------------------------------

    def _check(self) -> None:
        """Raise `ConfigurationError` where the load is over."""
        if self._over:
            raise ConfigurationError(
                "the load is over: what its context is told must be told before the loader returns"
            )

    def _finish(self) -> None:
        """Let the context hear nothing more."""
        if self._over:
            return
        with self._mutex:
            self._over = True
            self._part = None  # which knows this context: they would wait for the collector

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, *raised: object) -> None:
        token, self._token = self._token, None
        assert token is not None
        _current.reset(token)
        self._finish()

    def _say(self, **said: Any) -> None:
        with self._mutex:
            self._check()
            self._said = self._said._replace(**said)


class LoadNotes:
    """What loaders say of the entries of one call, by their inner names."""

    def __init__(
        self,
        policy: EntryPolicy,
        previous: Callable[[str], Lookup | None],
        taggable: Callable[[str], bool],
    ) -> None:
        self._policy = policy
        self._previous = previous
        self._taggable = taggable
        self._mutex = Lock()
        self._parts: dict[str, LoadContext] = {}
        self._whole: LoadContext | None = None

    def one(self, name: str) -> LoadContext:
        """Return the context of one entry. To be entered around its loader."""
        with self._mutex:
            part = self._parts.get(name)
            if part is None:
                part = self._parts[name] = LoadContext(
                    self._policy, previous=self._previous(name), taggable=self._taggable(name)
                )
            return part

    def many(self, names: Mapping[Any, str]) -> LoadContext:
        """Return the context of a loader of many, given what it is asked for by and the names."""

        def part(key: Any) -> LoadContext:
            if key not in names:
                raise ConfigurationError("entry(key): the loader was not asked for that key")
            return self.one(names[key])

        taggable = all(self._taggable(name) for name in names.values())
        self._whole = LoadContext(self._policy, previous=None, taggable=taggable, part=part)
        return self._whole

    def finish(self) -> None:
        """End all contexts: the loaders have returned."""
        for context in (self._whole, *self._parts.values()):
            if context is not None:
                context._finish()

    def of(self, name: str) -> Said:
        """Return what was said of one entry, and of all."""
        whole = NOTHING_SAID if self._whole is None else self._whole._said
        part = self._parts.get(name)
        own = NOTHING_SAID if part is None else part._said
        if own is NOTHING_SAID:  # as most loaders do
            return whole
        return Said(
            whole.ttl_ns if own.ttl_ns is None else own.ttl_ns,
            whole.stale_ns if own.stale_ns is None else own.stale_ns,
            (*whole.tags, *own.tags),
            whole.stored and own.stored,
        )

    def resolved(self, values: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
        """Return the values with the old ones in the place of "not modified", and how many.

        Raises `ConfigurationError` where that was said of another entry.
        """
        kept = [name for name, value in values.items() if value.__class__ is NotModified]
        if not kept:
            return values, 0
        changed = dict(values)
        for name in kept:
            previous = self._previous(name)
            if previous is None or not values[name].is_of(self._parts.get(name)):
                raise ConfigurationError("not_modified was said of another entry: use entry(key)")
            if previous.negative:
                del changed[name]
            else:
                changed[name] = previous.value
        return changed, len(kept)

    def longest_ns(self, names: Iterable[str]) -> int:
        """Return how long the longest-lived of the entries lives, as far as loaders have said."""
        if not self._parts and self._whole is None:
            return 0
        policy, said = self._policy, [self.of(name) for name in names]
        return max(
            (policy.ttl_ns if one.ttl_ns is None else one.ttl_ns)
            + (policy.stale_ns if one.stale_ns is None else one.stale_ns)
            for one in said
        )


def loading() -> LoadContext:
    """Return the context of the load that the caller is part of.

    To be called in a loader, or in what it calls. Threads that you start yourself see it in a copy
    of the loader's context (``contextvars.copy_context``).

    Raises `ConfigurationError` outside of any load.
    """
    context = _current.get()
    if context is None:
        raise ConfigurationError(
            "loading() was called outside of a load: call it in a loader, or in a thread that runs "
            "in a copy of the loader's context (contextvars.copy_context)"
        )
    return context


def unheard(policy: EntryPolicy) -> LoadContext:
    """Return the context of a call that is no load: what is said there goes nowhere."""
    return LoadContext(policy, previous=None, taggable=True)
