"""Changes of the source whose new values are at hand: announce, change, leave the values behind.

A value is left only by a writer who was alone all the time: while it stood announced nobody else
announced, invalidated or set the entry. Where writers overlap, the cache cannot tell in which
order the source took them, so nothing is left.

With L2 its script decides that, in one step with the end of the announcement. Without, the L1
table does, by its moments: every writer drops the entry when it begins, and when it ends.

An exception of the source does not tell whether the change was made. One that leaves it open
whether the source is still at it (a cancellation, a time-out, a connection lost) leaves the
announcement standing until it runs out, so that what is read meanwhile is not stored.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.tags import tags_of
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.coordination.writing import Intent, Intents
from freshwell._sync.stores.base import Fill
from freshwell.engines.shelf import Terms
from freshwell.engines.stamps import Bonds
from freshwell.errors import InvalidationError
from freshwell.ground.names import key_tag
from freshwell.ground.tags import Tagging

__all__ = ["Change", "Saves"]


class Change(NamedTuple):
    """What is about to change in the source.

    `names`: the entries it touches. `values`: what they become, where that is to be stored.
    """

    names: Sequence[str]
    values: Mapping[str, Any]
    terms: Terms
    taggings: Callable[[str], Tagging]


class Saves:
    """Changes made through one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper, writes: Writes, intents: Intents) -> None:
        self._t = tiers
        self._keeper = keeper
        self._writes = writes
        self._intents = intents

    def run(self, change: Change, act: Callable[[], Any]) -> None:
        """Announce a change, let `act` make it, and leave the new values, or nothing.

        Raises `InvalidationError` where L2 may not have taken the announcement (`act` was not
        called) or its end, `CodecError` for a value that cannot be written (not called
        either), and what `act` raises.
        """
        intent = self._intents.announce(change.names, (), pulse=False)
        since = self._t.table.moment()
        try:
            bonds = self._bonds(change, intent)
            fills = self._fills(change, intent, bonds) if self._t.store.shared else {}
        except BaseException as error:
            self._give_up(intent, error)
            raise
        try:
            act()
        except BaseException as error:
            if len(change.names) > 1 or _may_go_on(error):
                self._intents.lapse(intent)
            else:
                self._give_up(intent, error)
            raise
        if self._t.store.shared or not change.values:
            self._settle(intent, fills)
        else:
            self._keep_here(change, bonds, since)

    def _bonds(self, change: Change, intent: Intent) -> dict[str, Bonds | None]:
        """Capture the versions of the values' tags before the source changes. See `Tags.capture`.

        With L2, an entry's own tag is announced, and has no version now: see `_fills`.
        """
        announced = frozenset(intent.tags) if self._t.store.shared else frozenset()
        tags: dict[str, list[str]] = {}
        for name, value in change.values.items():
            own = [t for t in tags_of(value, change.taggings(name)) if t not in announced]
            if own:
                tags[name] = own
        if not tags:
            return {}
        policy = change.terms.policy
        return self._t.tags.capture(tags, policy.ttl_ns + policy.stale_ns)

    def _fills(
        self, change: Change, intent: Intent, bonds: Mapping[str, Bonds | None]
    ) -> dict[str, Fill]:
        """Return what L2 is to hold afterwards. Raises `CodecError`, for unbound values too."""
        fills: dict[str, Fill] = {}
        for name in change.values:
            draft = self._keeper.draft(name, change.values, change.terms, 0)
            bound = own = bonds.get(name)
            if self._t.names.versioned:
                # The version that its own tag gets if the writer was alone under that as well.
                stamp = (self._t.names.digest(key_tag(name)), intent.token)
                bound = Bonds.of((*(() if own is None else own.stamps), stamp), None)
            fill = self._keeper.fill_of(name, draft, change.terms, intent.token, 0, bound)
            if fill is not None and (own is not None or name not in bonds):
                fills[name] = fill
        return fills

    def _settle(self, intent: Intent, fills: Mapping[str, Fill]) -> None:
        try:
            stored = self._intents.settle(intent, pulse=False, fills=fills)
        except InvalidationError as error:
            raise InvalidationError(
                "the source has the change, and L2 may not have been told that it is over: the "
                f"entries stay absent for as long as it was announced ({error.__cause__})",
                error.key_digests,
            ) from error
        self._t.counters.fills += stored
        self._t.counters.fills_refused += len(fills) - stored

    def _give_up(self, intent: Intent, reason: BaseException) -> None:
        """Leave the entries absent. `reason` is on its way to the caller and stays what it is."""
        try:
            self._intents.settle(intent, pulse=False)
        except InvalidationError as error:
            reason.add_note(f"freshwell: {error}")

    def _keep_here(self, change: Change, bonds: Mapping[str, Bonds | None], since: int) -> None:
        """Put the values into L1 where nobody has dropped them since this writer began."""
        kept: dict[str, None] = {}
        try:
            for name in change.values:
                draft = self._keeper.draft(name, change.values, change.terms, 0)
                own = bonds.get(name)
                if draft.times is None or (own is None and name in bonds):
                    continue
                born_ns = draft.times.born_ns
                if self._keeper.keep(
                    name, draft, draft.times, born_ns, since, change.terms, own, voids=True
                ):
                    kept[name] = None
        finally:
            lost = [name for name in change.names if name not in kept]
            self._t.counters.fills += len(kept)
            self._t.counters.fills_refused += len(lost)
            self._writes.left(list(kept), lost)


def _may_go_on(error: BaseException) -> bool:
    """Tell whether the source may still be at work on what it raised this for."""
    return not isinstance(error, Exception) or isinstance(error, OSError | BaseExceptionGroup)
