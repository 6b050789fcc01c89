"""Calls whose results are entries: what the decorator and read-through have in common.

A call's arguments are found in L1 by themselves, without making a key (``engines/wrapper``);
the key is made when there is more to do than to return a fresh value.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.saving import Saves
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.strategies.cache_aside import CacheAside
from freshwell._kit.threads import ASYNCHRONOUS
from freshwell.engines.counters import Counters
from freshwell.engines.lookups import as_lookup
from freshwell.engines.session import CoherenceMode, Session
from freshwell.engines.shelf import Terms
from freshwell.engines.table import Aliases, Table
from freshwell.engines.taggings import TagsOfCalls
from freshwell.engines.tracing import Traces
from freshwell.engines.wrapper import Recipe, alias_of, key_function, write_wrapper
from freshwell.ground.memo import Memo
from freshwell.ground.plan import ReadLevel
from freshwell.ground.tags import UNTAGGED, Tagging
from freshwell.ground.templates import NO_TAGS, Naming, TagPlan
from freshwell.typing import Lookup

__all__ = ["Attached", "Call", "Engine", "Host"]


_MAX_KNOWN = 2_000
"""Of how many entries each function remembers the name and the tags."""


class Attached(Protocol):
    """What is open with a cache, and is to be closed with it, before the cache itself."""

    def close(self) -> object: ...


class Engine(Protocol):
    """An open cache, as far as calls need it."""

    @property
    def tiers(self) -> Tiers: ...

    @property
    def aside(self) -> CacheAside: ...

    @property
    def writes(self) -> Writes: ...

    @property
    def saves(self) -> Saves: ...

    def attach(self, part: Attached) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Host:
    """What calls need of their cache, open or not.

    `checked` refuses keys that cannot be; `name_of` gives a key its inner name, `name` does
    both, and `tags_by` gives entries their tags as a plan says.
    """

    engine: Callable[[], Engine]
    table: Table
    session: Session
    counters: Counters
    traces: Traces
    checked: Callable[[str], str]
    name_of: Callable[[str], str]
    name: Callable[[str], str]
    tags_by: Callable[[TagPlan], TagsOfCalls]
    now_ns: Callable[[], int]


class Call:
    """One function whose calls are entries. Safe for any number of tasks or threads.

    `run` has the function's signature and answers from the tiers, or calls the function.
    """

    def __init__(
        self,
        host: Host,
        terms: Terms,
        recipe: Recipe,
        naming: Naming,
        tags: TagPlan = NO_TAGS,
    ) -> None:
        self.function = recipe.function
        self.terms = terms
        self._host = host
        self._engine = host.engine
        self._name = host.name
        self._render = naming.render
        self._tags_of = host.tags_by(tags)
        self._wide = len(recipe.sources)
        self._tagged = tags is not NO_TAGS or self._tags_of("", ()) is not UNTAGGED
        self._known = Memo[str, tuple[str, Tagging]](_MAX_KNOWN)
        self._aliases = Aliases()
        self.key = key_function(recipe, self._key)
        """Returns the key of a call's entry."""
        self.entry = key_function(recipe, self._entry)
        """Returns the inner name of a call's entry, and its tags."""
        in_l1 = host.session.mode is not CoherenceMode.OFF and terms.level is ReadLevel.EVENTUAL
        self._aliased = in_l1 and not recipe.has_many
        if self._aliased:
            host.table.expect_aliases()
        self.run = write_wrapper(
            recipe,
            slow=self._slow if self._aliased else self._straight,
            aliases=self._aliases,
            now_ns=host.now_ns,
            session=host.session,
            counters=host.counters,
            asynchronous=ASYNCHRONOUS,
            l1=self._aliased,
            stamps=host.table.stamps if self._tagged else None,
        )
        if self._aliased:
            host.traces.divert(self.run)

    @property
    def is_tagged(self) -> bool:
        """Tell whether its entries have tags, or may have some."""
        return self._tagged

    @property
    def engine(self) -> Engine:
        return self._host.engine()

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function now, store its result, and return it."""
        name, tagging = self.entry(*args, **kwargs)
        terms = replace(self.terms, level=ReadLevel.SOURCE)
        call = functools.partial(self.function, *args, **kwargs)
        return self.engine.aside.get_or_load(name, call, terms, tagging)

    def lookup(self, *args: Any, **kwargs: Any) -> Lookup:
        """Say what the tiers have for a call."""
        name, tagging = self.entry(*args, **kwargs)
        reading = self.engine.aside.look(name, self.terms, tagging)
        return as_lookup(reading, self._host.now_ns())

    def invalidate(self, keys: Sequence[str]) -> None:
        """Make entries absent everywhere."""
        if keys:
            self.engine.writes.invalidate([self._host.name_of(key) for key in keys])

    def expire(self, keys: Sequence[str]) -> None:
        """End the freshness of entries."""
        if keys:
            self.engine.writes.expire([self._host.name_of(key) for key in keys])

    def _key(self, values: tuple[Any, ...]) -> str:
        return self._host.checked(self._render(values[: self._wide]))

    def _entry(self, values: tuple[Any, ...]) -> tuple[str, Tagging]:
        key = self._render(values[: self._wide])
        return self._known.get(key) or self._new_entry(key, values)

    def _new_entry(self, key: str, values: tuple[Any, ...]) -> tuple[str, Tagging]:
        """Name an entry and work out its tags. The same key has the same, unless they need more."""
        name = self._name(key)
        entry = name, self._tags_of(name, values) if self._tagged else UNTAGGED
        return self._known.keep(key, entry) if len(values) == self._wide else entry

    def _straight(self, values: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """Answer a call that is never found by its arguments."""
        name, tagging = self._entry(values)
        return self._engine().aside.get_or_load(name, call, self.terms, tagging)

    def _slow(self, values: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        """Answer a call that was not found by its arguments, and let the next one be."""
        name, tagging = self._entry(values)
        result = self._engine().aside.get_or_load(name, call, self.terms, tagging)
        table = self._host.table
        alias = alias_of(values) if name in table else None
        if alias is not None:
            # The entry may be another's by now, who has other tags.
            table.attach(name, self._aliases, *alias, tagged=self._tagged, needed=tagging.digests)
        return result
