"""Tags by unique versions, captured before the load and compared at each read.

A tag's version is a random stamp under a key of its own. An entry carries the stamps that its
tags had before it was loaded, and is worth nothing once one of them is another. A version that
has been lost (evicted, expired, flushed) counts as changed, and is never made again: so loss
costs misses, and never brings an old value back. Nothing lists an entry's tag's members.

This process remembers stamps while the feed would tell it of a change (``engines/stamps``).

**Tags that follow from the value** are not known before the load. So before it the *pulse* is
captured, a version that changes before any tag does; after it the tags' stamps, and then
the pulse once more. If it is the same, no tag has been invalidated in between. Writers who have
announced themselves change the pulse when they begin and when they end; for one who dies in
between, `busy_ms` says how long a load must not have taken for its tag's announcement to have
been seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from freshwell._async.stores.base import ALONE_STAMP, Mark, Store
from freshwell.engines.incidents import Incidents
from freshwell.engines.session import CoherenceMode, Session
from freshwell.engines.shelf import ABSENT, Reading
from freshwell.engines.spool import Spool
from freshwell.engines.stamps import Bonds, Stamped
from freshwell.engines.table import Table
from freshwell.engines.versions import Kept, Question, Tagged, Versions
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import stamp_frame, stamps_in
from freshwell.ground.memo import Memo
from freshwell.ground.names import PULSE, Names, user_tag
from freshwell.ground.plan import L2Word, ReadLevel
from freshwell.ground.tags import UNTAGGED, Tagging

__all__ = ["OUTDATED", "Tags", "tags_of"]

_NS_PER_MS = 1_000_000
_STAMP_MS = 60_000
"""How long a version that nobody relies on is kept: those who do prolong it."""
_SEEN_FOR_MS = 1_500
"""An announcement stands for at least this long after its writer has died."""
_MAX_KNOWN = 2_000
"""How many questions are remembered."""
# Members of enumerations: to look one up costs Python 3.11 as much as a call.
_NOTHING = (L2Word.ABSENT, L2Word.DOWN)
_EVENTUAL = ReadLevel.EVENTUAL
_ALONE = CoherenceMode.ALONE
_FEED = CoherenceMode.FEED

_UNLIKE = b"-"
"""In the place of what no stamps are like: theirs are 16 bytes each."""

_KEPT_ALONE = Kept(ALONE_STAMP, 0)
"""Where there is no L2: what an entry lives by is its cell."""


class Tags:
    """The tags of one open cache. Safe for any number of tasks or threads."""

    def __init__(
        self,
        store: Store,
        table: Table,
        session: Session,
        names: Names,
        incidents: Incidents,
        spool: Spool,
        *,
        now_ns: Callable[[], int],
        new_stamp: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._table = table
        self._session = session
        self._names = names
        self._incidents = incidents
        self._spool = spool
        self._now_ns = now_ns
        self._new_stamp = new_stamp
        self._questions = Memo[tuple[bytes, ...], Question](_MAX_KNOWN)

    # -- reading -----------------------------------------------------------------------------

    def question(self, digests: tuple[bytes, ...], level: ReadLevel) -> Question | None:
        """Return what is to be asked beside an entry with these tags, to read on this level."""
        if level is _EVENTUAL and self._is_told():
            if self._table.stamps.written(digests) is not None:
                return None
            digests = tuple(self.unknown(digests, level))
        question = self._questions.get(digests)
        if question is None:
            places = map(self._names.version_place, digests)
            question = self._questions.keep(digests, Question(digests, places))
        return question

    def stamps(
        self, digests: tuple[bytes, ...], question: Question | None, answer: Sequence[bytes | None]
    ) -> bytes | None:
        """Return what an entry carries that stands under these tags and no others.

        `question`: what was asked beside it, and the answer; None: the versions are known here.
        None: it is not as simple as that; ask `stands`.
        """
        if self._spool.limit:
            return None
        if question is None:
            return self._table.stamps.written(digests)
        return question.stamps(answer) if len(question.digests) == len(digests) else None

    def unknown(self, digests: Iterable[bytes], level: ReadLevel) -> list[bytes]:
        """Return the tags whose versions must be asked for, to read on this level."""
        if level is not _EVENTUAL or not self._is_told():
            return list(digests)
        known = self._table.stamps.known
        return [digest for digest in digests if known(digest) is None]

    async def fetch(
        self, keys: Sequence[bytes], digests: Sequence[bytes]
    ) -> tuple[list[bytes | None], Versions]:
        """Return what is stored under entries' keys, and the versions of tags, in one trip."""
        if not digests:
            return await self._store.fetch_many(keys), {}
        # Not remembered: what is asked of many entries at once is seldom asked again.
        question = Question(digests, map(self._names.version_place, digests))
        blobs = await self._store.fetch_many([*keys, *question.keys])
        return blobs[: len(keys)], question.versions(blobs[len(keys) :])

    async def verified(
        self,
        readings: Mapping[str, Reading],
        taggings: Callable[[str], Tagging],
        level: ReadLevel,
        versions: Versions,
        since: int,
    ) -> dict[str, Reading]:
        """Return the readings, with absence in the place of those whose tags have changed.

        `since`: the table's moment before L2 was asked for them, or for the versions.

        An entry that lacks a tag by which the caller would have it forgotten is of no use to
        that caller either. Raises `StoreUnavailable`.
        """
        carried = {digest for reading in readings.values() for digest, _ in reading.stamps}
        versions = await self._with(carried, versions, level)
        return {
            name: reading if self.stands(reading, taggings(name), versions, since) else OUTDATED
            for name, reading in readings.items()
        }

    async def standing(
        self,
        stamps: Sequence[bytes | None],
        digests: Sequence[tuple[bytes, ...]],
        versions: Versions,
        level: ReadLevel,
        since: int,
    ) -> list[bool]:
        """Tell of each of many entries whether it `stands`, by its stamps as they are written.

        `digests`: of the tags that its caller knows of. False where there are no stamps (None).
        Raises `StoreUnavailable`.
        """
        usual = self._usual(digests, versions)
        judged = [one == usual[own] for one, own in zip(stamps, digests, strict=True)]
        others = zip(stamps, digests, judged, strict=True)
        odd = {(one, own) for one, own, stands in others if one is not None and not stands}
        if not odd:
            return judged
        carried = {one: stamps_in(one) for one, _ in odd}
        missing = {digest for found in carried.values() for digest, _ in found}
        versions = await self._with(missing, versions, level)
        known = {(one, own): self._stand(carried[one], own, versions, since) for one, own in odd}
        pairs = zip(stamps, digests, judged, strict=True)
        return [stands or (one is not None and known[one, own]) for one, own, stands in pairs]

    def _usual(
        self, digests: Sequence[tuple[bytes, ...]], versions: Versions
    ) -> Mapping[tuple[bytes, ...], bytes]:
        """Return the stamps of entries that stand under such tags and no others, as written."""
        each = {*digests}
        if self._spool.limit:  # it may know more of them
            return dict.fromkeys(each, _UNLIKE)
        now = {}
        for digest in {*chain.from_iterable(each)}:
            stamp = self._current(digest, versions)
            now[digest] = _UNLIKE if stamp is None else digest + stamp
        return {own: b"".join(map(now.__getitem__, own)) for own in each}

    async def _with(self, carried: set[bytes], versions: Versions, level: ReadLevel) -> Versions:
        missing = self.unknown(carried.difference(versions), level)
        if not missing:
            return versions
        _, more = await self.fetch((), missing)
        return {**versions, **more}

    def needs(self, reading: Reading, versions: Versions, level: ReadLevel) -> bool:
        """Tell whether more versions must be asked for to judge a reading: see `verified`."""
        missing = [digest for digest, _ in reading.stamps if digest not in versions]
        return bool(missing and self.unknown(missing, level))

    def stands(self, reading: Reading, tagging: Tagging, versions: Versions, since: int) -> bool:
        """Tell whether an entry's tags are as they were, and whether it has the caller's."""
        if reading.word in _NOTHING:
            return True
        return self._stand(reading.stamps, tagging.digests, versions, since)

    def _stand(
        self, stamps: Stamped, digests: tuple[bytes, ...], versions: Versions, since: int
    ) -> bool:
        for digest, stamp in stamps:
            if self._spool.limit and self._is_missed(digest, since):
                return False
            if self._current(digest, versions) != stamp:
                return False
        if not digests:
            return True
        return {digest for digest, _ in stamps}.issuperset(digests)

    def _current(self, digest: bytes, versions: Versions) -> bytes | None:
        """Return a version: what L2 has said, or what is known here where it was not asked."""
        if digest in versions:
            return versions[digest]
        cell = self._table.stamps.known(digest)
        return None if cell is None else cell.stamp

    def _is_missed(self, digest: bytes, since: int) -> bool:
        """Tell whether L2 did not know that a tag has changed, when it was asked at `since`.

        Where it has been told in the meantime, the tag was dropped once more.
        """
        if self._spool.withholds_tag(digest):
            return True
        return self._table.dropped_since(since, digest)

    def _is_told(self) -> bool:
        """Tell whether this process would know of a change of a version that it remembers."""
        session = self._session
        if session.mode is _ALONE:
            return True
        return session.mode is _FEED and self._now_ns() < session.live_until_ns

    # -- loading -----------------------------------------------------------------------------

    async def before_load(self, taggings: Iterable[Tagging], life_ns: int) -> Tagged:
        """Capture the versions of tags for entries that are about to be loaded.

        Costs a round trip where a version is not known here, or not kept for long enough.
        L2's failure is no error: those entries will not be stored.
        """
        since, began_ns = self._table.moment(), self._now_ns()
        tags = {text: None for tagging in taggings for text in tagging.known}
        if any(tagging.computed for tagging in taggings):
            tags[PULSE] = None
        versions, busy_ms = await self._captured(tags, life_ns)
        return Tagged(versions, life_ns, since, began_ns, busy_ms)

    async def after_load(
        self,
        before: Tagged,
        values: Mapping[str, Any],
        taggings: Callable[[str], Tagging],
        added: Callable[[str], Iterable[str]],
        life_ns: int,
    ) -> dict[str, Bonds | None]:
        """Return by which versions loaded values stand. None: they are not to be stored.

        `added` are the tags that the loader has added to each. `life_ns` is how long the longest
        of them lives, as it turned out; versions are kept for that long.

        Raises what a function of the value raises, and `KeyRejected` for what is no tag.
        """
        computed = {
            name: [user_tag(tag) for tag in tagging.of_value(value, own)]
            for name, value in values.items()
            if (own := added(name)) or (value is not None and taggings(name).computed)
            if (tagging := taggings(name)).computed
        }
        if before.versions and life_ns > before.life_ns:
            before = await self._prolonged(before, [taggings(name) for name in values], life_ns)
        versions, sure = dict(before.versions), True
        if computed:
            sure = self._names.digest(PULSE) in versions
            more = {tag: None for tags in computed.values() for tag in tags}
            if sure and more:
                versions.update((await self._captured(more, before.life_ns))[0])
                sure = await self._is_unchanged(before)
        bonds: dict[str, Bonds | None] = {}
        for name in values:
            tags = [*taggings(name).known, *computed.get(name, ())]
            stands = sure or name not in computed
            bonds[name] = self._bonds(tags, versions, before.since) if stands else None
        return bonds

    async def _prolonged(self, before: Tagged, taggings: Iterable[Tagging], life_ns: int) -> Tagged:
        """Have the versions kept for longer, as far as they are still the same."""
        tags = dict.fromkeys(text for tagging in taggings for text in tagging.known)
        now, _ = await self._captured(tags, life_ns)
        same = {
            digest: now[digest]
            for digest, kept in before.versions.items()
            if digest in now and now[digest].stamp == kept.stamp
        }
        return before._replace(versions={**before.versions, **same}, life_ns=life_ns)

    async def _is_unchanged(self, before: Tagged) -> bool:
        """Tell whether no tag can have been invalidated since `before` was captured."""
        digest = self._names.digest(PULSE)
        if not self._store.shared:
            return True  # L1 compares moments
        if before.busy_ms and self._now_ns() - before.began_ns > _SEEN_FOR_MS * _NS_PER_MS:
            return False
        try:
            _, versions = await self.fetch((), [digest])
        except StoreUnavailable as error:
            self._incidents.l2_failed(error)
            return False
        return versions[digest] == before.versions[digest].stamp

    async def capture(
        self, tags: Mapping[str, Sequence[str]], life_ns: int
    ) -> dict[str, Bonds | None]:
        """Capture versions for values that are at hand, by entry. None: it cannot be stored now."""
        since = self._table.moment()
        wanted = dict.fromkeys(tag for own in tags.values() for tag in own)
        versions, _ = await self._captured(wanted, life_ns)
        return {name: self._bonds(own, versions, since) for name, own in tags.items()}

    def _bonds(
        self, tags: Iterable[str], versions: Mapping[bytes, Kept], since: int
    ) -> Bonds | None:
        """Return what an entry lives by, or None where one of its tags has no version now."""
        digests = list(dict.fromkeys(map(self._names.digest, tags)))
        try:
            kept = [versions[digest] for digest in digests]
        except KeyError:
            return None
        stamps, untils_ns = zip(*kept, strict=True) if kept else ((), ())
        return Bonds(tuple(zip(digests, stamps, strict=True)), untils_ns, since)

    async def _captured(self, tags: Iterable[str], life_ns: int) -> tuple[dict[bytes, Kept], int]:
        """Return versions by digest, and for how many ms writers of tags may be at work."""
        if not self._store.shared:
            return dict.fromkeys(map(self._names.digest, tags), _KEPT_ALONE), 0
        now_ns, busy_ms, told = self._now_ns(), 0, self._is_told()
        versions: dict[bytes, Kept] = {}
        asked: dict[bytes, Mark] = {}
        for tag in tags:
            digest = self._names.digest(tag)
            if self._spool.withholds_tag(digest):
                continue
            cell = self._table.stamps.known(digest) if told and tag != PULSE else None
            if cell is not None and cell.until_ns >= now_ns + life_ns:
                versions[digest] = Kept(cell.stamp, cell.until_ns)
            else:
                asked[digest] = self.mark(tag, keep_ms=max(1, life_ns // _NS_PER_MS))
        if asked:
            try:
                answers = await self._store.capture(list(asked.values()))
            except StoreUnavailable as error:
                self._incidents.l2_failed(error)
                return versions, busy_ms
            for digest, (stamp, left_ms, busy) in zip(asked, answers, strict=True):
                busy_ms = max(busy_ms, busy)
                if stamp:
                    versions[digest] = Kept(stamp, now_ns + left_ms * _NS_PER_MS)
        return versions, busy_ms

    # -- invalidating ------------------------------------------------------------------------

    def mark(
        self, tag: str, *, keep_ms: int = _STAMP_MS, busy_ms: int = 0, stamp: bytes = b""
    ) -> Mark:
        """Return a new version of a tag, to be stored (`stamp`: it, where it is not to be made)."""
        key = self._names.version_key(self._names.digest(tag))
        frame = stamp_frame(key, stamp or self._new_stamp(), self._names.told(tag))
        return Mark(key, frame, keep_ms, busy_ms)


OUTDATED = ABSENT._replace(reason="tags")
"""What an entry is whose tags have changed."""


def tags_of(value: Any, tagging: Tagging, added: Iterable[str] = ()) -> list[str]:
    """Return all tags of a value that is at hand, and those that its loader has `added`.

    Raises as `Tagging.of_value` does.
    """
    if tagging is UNTAGGED:
        return []
    return [*tagging.known, *map(user_tag, tagging.of_value(value, added))]
