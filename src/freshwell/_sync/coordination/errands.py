"""What a load is told, what it brings back, and what it learns on its way."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from freshwell._kit.threads import resolve
from freshwell.engines.allowance import Allowance
from freshwell.engines.loading import LoadNotes
from freshwell.engines.lookups import as_lookup
from freshwell.engines.results import storable
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.versions import Tagged
from freshwell.errors import ConfigurationError, LoadTimeout
from freshwell.ground.tags import UNTAGGED, Tagging
from freshwell.typing import Lookup

__all__ = [
    "NOTHING",
    "Course",
    "Errand",
    "Load",
    "Loaded",
    "Loader",
    "Look",
    "Run",
    "Taggings",
    "alike",
    "check_loader",
    "single",
    "too_late",
    "untagged",
]

_NS_PER_S = 1_000_000_000

Load = Callable[[Sequence[str], LoadNotes], Mapping[str, Any]]
"""A loader of many keys at once. Keys that it leaves out do not exist in the source."""

Loader = Callable[[], Any]
"""A loader of one entry, as users write it."""


Taggings = Callable[[str], Tagging]
"""The tags of each entry of a call."""


class Look(NamedTuple):
    """On whose terms, and for an entry with which tags, somebody has looked into L2.

    `since` is the table's moment before that.
    """

    terms: Terms
    digests: tuple[bytes, ...]
    since: int


class Loaded(NamedTuple):
    """A value that a flight brings back.

    `began_ns` is when its load began (-1: it was found in a tier); `valid_at_ns` is an instant
    at which it is known to have been current. Both are by the cache's clock. `alone`: L2 had no
    part in it, and does not have it. `stale_since_ns`: it is past its TTL since then, and its
    source is left alone. `digests`: the tags by which its load was watched, or it was judged.
    `look`: there was no load, and this has found it.
    """

    value: Any
    negative: bool
    began_ns: int
    valid_at_ns: int
    found: bool = True
    alone: bool = False
    stale_since_ns: int | None = None
    digests: tuple[bytes, ...] = ()
    look: Look | None = None


def untagged(name: str) -> Tagging:
    """Return what tags an entry has where none are given: none."""
    return UNTAGGED


NOTHING = Loaded(None, False, -1, -1, found=False)
"""A refresh that somebody else is doing already."""


def alike(tagging: Tagging) -> Callable[[str], Tagging]:
    """Return what gives each entry of a call the same tags."""
    return untagged if tagging is UNTAGGED else lambda name: tagging


def single(key: str, loader: Loader) -> Load:
    """Return the loader of one entry as a loader of many."""

    def load(keys: Sequence[str], notes: LoadNotes) -> Mapping[str, Any]:
        with notes.one(key):
            return {key: storable(resolve(loader()))}

    return load


def check_loader(given: object) -> None:
    """Refuse what cannot be called. Raises `ConfigurationError`."""
    if callable(given):
        return
    hint = ": give the function without calling it, such as lambda: load(1)"
    if inspect.iscoroutine(given):
        given.close()
        raise ConfigurationError("the loader is a coroutine, which can run only once" + hint)
    raise ConfigurationError(f"the loader is an object of type {type(given).__name__}" + hint)


@dataclass(slots=True)
class Errand:
    """What a flight's leader is to do.

    - `load`: asks the source. `taggings`: the tags of each entry.
    - `old`: what its caller has seen of the entries, as far as there is anything.
    - `forced`: load even where a tier has a fresh value.
    - `refresh_within_ms`: replace values with at most this much freshness left (None: a
      foreground load, which waits where another process is loading; a refresh gives up).
    - `l2_spent_ns`: for how long L2 has kept the caller already.
    """

    load: Load
    terms: Terms
    taggings: Callable[[str], Tagging] = untagged
    old: Mapping[str, Reading] = field(default_factory=dict)
    forced: bool = False
    refresh_within_ms: int | None = None
    l2_spent_ns: int = 0

    @property
    def stale_does(self) -> bool:
        """Tell whether an entry past its TTL may be brought while its source is left alone."""
        return self.terms.policy.stale_ns > 0 and not self.forced

    def notes(self, now_ns: Callable[[], int]) -> LoadNotes:
        """Return what is to be told to the loader, and by it."""

        def previous(name: str) -> Lookup | None:
            reading = self.old.get(name)
            return None if reading is None else as_lookup(reading, now_ns())

        return LoadNotes(
            self.terms.policy, previous, lambda name: bool(self.taggings(name).computed)
        )


class Course:
    """What has come of one errand on its way: `useless` values of L2, and keys loaded `alone`.

    `until_ns`: when it takes longer than it may, by the machine's clock, as those who wait go.
    """

    __slots__ = ("allowance", "alone", "is_too_slow", "until_ns", "useless")

    def __init__(self, allowance: Allowance, limit_ns: int | None) -> None:
        self.useless: dict[bytes, bytes] = {}
        self.alone: set[str] = set()
        self.allowance = allowance
        self.is_too_slow = False
        self.until_ns = None if limit_ns is None else time.monotonic_ns() + limit_ns

    @property
    def is_late(self) -> bool:
        """Tell whether nobody waits any more: a thread cannot be cancelled."""
        return self.until_ns is not None and time.monotonic_ns() >= self.until_ns


class Run(NamedTuple):
    """One call of a loader: when it began, what it took, what was said, what stood before it.

    `newest`: values of loads that began earlier are not to replace what it brings.
    """

    began_ns: int
    cost_ns: int
    since: int
    before: Tagged | None
    notes: LoadNotes
    newest: bool


def too_late(terms: Terms) -> LoadTimeout:
    """Return the error for a load that took longer than it may."""
    limit_s = (terms.policy.limit_ns or 0) / _NS_PER_S
    return LoadTimeout(
        f"the load was not over after {limit_s:g} s: the source is slow (load_timeout; with "
        "stale_ttl an old value would be served)"
    )
