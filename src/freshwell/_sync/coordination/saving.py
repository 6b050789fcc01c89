"""Changes of the source whose new values are at hand: announce, change, leave the values behind.

A value is left only by a writer who was alone all the time: while it stood announced nobody else
announced, invalidated or set the entry. Where writers overlap, the cache cannot tell in which
order the source took them, so nothing is left; unless the source tells each of them a version:
then the value of the highest is left when the last has ended.

With L2 its script decides that, in one step with the end of the announcement. Without, the L1
table does, by its moments: every writer drops the entry when it begins, and when it ends
(``engines/overlaps``).

An exception of the source does not tell whether the change was made. One that leaves it open
whether the source is still at it (a cancellation, a time-out, a connection lost) leaves the
announcement standing until it runs out, so that what is read meanwhile is not stored.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from operator import not_
from types import MappingProxyType
from typing import Any, NamedTuple

from freshwell._sync.coordination.keeper import Keeper, Tiers, Written
from freshwell._sync.coordination.tags import tags_of
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.coordination.writing import Intent, Intents
from freshwell._sync.stores.base import Fill
from freshwell.engines.overlaps import Overlaps, Writer
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.stamps import Bonds
from freshwell.errors import InvalidationError
from freshwell.ground.names import key_tag
from freshwell.ground.saved import AS_GIVEN, Saved
from freshwell.ground.tags import Tagging

__all__ = ["NOTHING_SAID", "Change", "Saves"]

NOTHING_SAID: Mapping[str, Any] = MappingProxyType({})


def _nothing(answer: Any) -> Mapping[str, Saved[Any]]:
    return NOTHING_SAID


class Change(NamedTuple):
    """What is about to change in the source.

    `names`: the entries it touches. `values`: what they become, where that is to be stored.
    `hear`: makes of what `act` returns what the source says of entries; it may refuse that.
    """

    names: Sequence[str]
    values: Mapping[str, Any]
    terms: Terms
    taggings: Callable[[str], Tagging]
    hear: Callable[[Any], Mapping[str, Saved[Any]]] = _nothing


class _Left(NamedTuple):
    """A value that is left in L1, and what it lives by."""

    draft: Reading
    terms: Terms
    bonds: Bonds | None


class Saves:
    """Changes made through one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper, writes: Writes, intents: Intents) -> None:
        self._t = tiers
        self._keeper = keeper
        self._writes = writes
        self._intents = intents
        self._overlaps: Overlaps[_Left] = Overlaps(tiers.table)

    def run(self, change: Change, act: Callable[[], Any]) -> None:
        """Announce a change, let `act` make it, and leave the new values, or nothing.

        Raises `InvalidationError` where L2 may not have taken the announcement (`act` was not
        called) or its end, `CodecError` for a value that cannot be written (not called
        either), what `act` raises, and, when the source has changed, what is raised for its
        answer: by `hear`, and as to the values that it says it has stored.
        """
        writer = None if self._t.store.shared else self._overlaps.join(change.names)
        try:
            self._run(change, act, writer)
        finally:
            if writer is not None and writer.names:
                self._overlaps.leave(writer)

    def _run(
        self, change: Change, act: Callable[[], Any], writer: Writer | None
    ) -> None:
        intent = self._intents.announce(change.names, (), pulse=False)
        if writer is not None:
            self._overlaps.begin(writer)
        try:
            bonds = self._bonds(change, intent)
            fills = self._fills(change, change.values, intent, bonds)
        except BaseException as error:
            self._give_up(intent, error)
            raise
        try:
            answer = act()
        except BaseException as error:
            if len(change.names) > 1 or _may_go_on(error):
                self._intents.lapse(intent)
            else:
                self._give_up(intent, error)
            raise
        stored, versions = change, NOTHING_SAID
        try:
            said = change.hear(answer)
            if said:
                stored = self._stored(change, said, intent, bonds)
                fills = self._refilled(change, stored, intent, bonds, fills)
                versions = {n: one.version for n, one in said.items() if one.version is not None}
        except BaseException as error:
            error.add_note("freshwell: the source has the change, and the entries are absent")
            self._give_up(intent, error)
            raise
        if writer is None or not change.values:
            self._settle(intent, fills, versions)
        else:
            self._keep_here(stored, bonds, versions, writer)

    def leave(self, written: Mapping[str, Written], terms: Terms) -> None:
        """Put into L1 what has been written, by names, unless somebody else came in between.

        For a cache without L2, where nobody can tell the change before. The older values are
        there until then, and are replaced in place: the write takes place in that step. Of two
        writers who overlap the first to end voids what the other leaves, and its own goes with
        that: so an entry has the last value, or is absent.
        """
        stand = self._keeper.keep_written(written.values(), terms)
        names = list(written)
        kept, lost = names, []
        if not all(stand):
            kept = list(compress(names, stand))
            lost = list(compress(names, map(not_, stand)))
        self._t.counters.fills += len(kept)
        self._t.counters.fills_refused += len(lost)
        self._writes.left(kept, lost, ())

    def _bonds(self, change: Change, intent: Intent) -> dict[str, Bonds | None]:
        """Capture the versions of the values' tags before the source changes. See `Tags.capture`.

        With L2, an entry's own tag is announced, and has no version now: see `_fills`.
        """
        tags: dict[str, list[str]] = {}
        for name, value in change.values.items():
            own = self._own_tags(change, name, value, intent)
            if own:
                tags[name] = own
        if not tags:
            return {}
        policy = change.terms.policy
        return self._t.tags.capture(tags, policy.ttl_ns + policy.stale_ns)

    def _own_tags(self, change: Change, name: str, value: Any, intent: Intent) -> list[str]:
        own = tags_of(value, change.taggings(name))
        if own and self._t.store.shared:
            announced = frozenset(intent.tags)
            return [tag for tag in own if tag not in announced]
        return own

    def _stored(
        self,
        change: Change,
        said: Mapping[str, Saved[Any]],
        intent: Intent,
        bonds: Mapping[str, Bonds | None],
    ) -> Change:
        """Return the change with the values as the source has stored them.

        Left out are those with tags that the given value had not: their versions were not
        captured before the source changed.
        """
        values = dict(change.values)
        for name, one in said.items():
            if one.value is AS_GIVEN or name not in values:
                continue
            own = self._own_tags(change, name, one.value, intent)
            known = bonds.get(name)
            captured = {digest for digest, _ in known.stamps} if known is not None else set()
            if captured.issuperset(map(self._t.names.digest, own)):
                values[name] = one.value
            else:
                del values[name]
        return change._replace(values=values)

    def _refilled(
        self,
        change: Change,
        stored: Change,
        intent: Intent,
        bonds: Mapping[str, Bonds | None],
        fills: Mapping[str, Fill],
    ) -> dict[str, Fill]:
        """Return `fills` with what the source has stored in the place of what it was given."""
        kept, others = {}, []
        for name, value in stored.values.items():
            if value is not change.values[name]:
                others.append(name)
            elif name in fills:
                kept[name] = fills[name]
        return kept | self._fills(stored, others, intent, bonds)

    def _fills(
        self,
        change: Change,
        names: Iterable[str],
        intent: Intent,
        bonds: Mapping[str, Bonds | None],
    ) -> dict[str, Fill]:
        """Return what L2 is to hold afterwards. Raises `CodecError`, for unbound values too."""
        fills: dict[str, Fill] = {}
        for name in names if self._t.store.shared else ():
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

    def _settle(
        self, intent: Intent, fills: Mapping[str, Fill], versions: Mapping[str, int]
    ) -> None:
        try:
            stored = self._intents.settle(intent, pulse=False, fills=fills, versions=versions)
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

    def _keep_here(
        self,
        change: Change,
        bonds: Mapping[str, Bonds | None],
        versions: Mapping[str, int],
        writer: Writer,
    ) -> None:
        """Put into L1 what is to be left, where nobody else has dropped it meanwhile."""
        lost = dict.fromkeys(change.names)
        kept: list[str] = []
        dropped: list[str] = []
        try:
            for name in change.names:
                left = self._left(change, name, bonds)
                ended = self._overlaps.end(writer, name, versions.get(name), left)
                if ended.waits:
                    dropped.append(name)
                elif ended.left is None or not self._kept(name, ended.left, ended.since):
                    continue
                else:
                    kept.append(name)
                del lost[name]
        finally:
            self._t.counters.fills += len(kept)
            self._t.counters.fills_refused += len(lost) + len(dropped)
            self._writes.left(kept, list(lost), dropped)

    def _left(self, change: Change, name: str, bonds: Mapping[str, Bonds | None]) -> _Left | None:
        if name not in change.values:
            return None
        draft, own = self._keeper.draft(name, change.values, change.terms, 0), bonds.get(name)
        if draft.times is None or (own is None and name in bonds):
            return None
        return _Left(draft, change.terms, own)

    def _kept(self, name: str, left: _Left, since: int) -> bool:
        """Store what a writer leaves, this one or another. Tell whether it stands."""
        times, bonds = left.draft.times, left.bonds
        if bonds is not None and self._t.names.versioned:
            bonds = self._renewed(bonds, self._t.names.digest(key_tag(name)))
            if bonds is None:
                return False
        return times is not None and self._keeper.keep(
            name, left.draft, times, times.born_ns, since, left.terms, bonds, voids=True
        )

    def _renewed(self, bonds: Bonds, own: bytes) -> Bonds | None:
        """Return bonds as of now: of an entry's `own` tag, each writer has ended the version.

        None: another tag has changed. Whoever drops an entry's own tag drops the entry first.
        """
        now, since = self._t.table.moment(), bonds.since or 0
        others = (digest for digest, _ in bonds.stamps if digest != own)
        if self._t.table.dropped_since(since, *others):
            return None
        return bonds._replace(since=now)


def _may_go_on(error: BaseException) -> bool:
    """Tell whether the source may still be at work on what it raised this for."""
    return not isinstance(error, Exception) or isinstance(error, OSError | BaseExceptionGroup)
