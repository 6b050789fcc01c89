"""Write intents: what is announced before the source changes, and settled afterwards.

While an announcement stands in L2 the entry is absent and nothing is stored under it, by anyone;
a tag's announcement makes its entries absent likewise. It is prolonged while its writer lives. A
writer who dies between the source's commit and the end leaves an announcement that runs out by
itself, and no old value: there is none that could come back.

However a block ends, the entries are left absent: an exception does not tell whether the source
has taken the change. A writer that has the new value at hand may leave it (``saving``).
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from freshwell._sync.coordination.heart import Heart, Lease
from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.stores.base import Fill, Mark, Settlement
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import tombstone_frame
from freshwell.ground.names import PULSE, key_tag
from freshwell.ground.spooling import Act

__all__ = ["Intent", "Intents"]

_TOMBSTONE_MS = 1_000
_OUTLIVES = 4
"""A version is kept so many times longer than the entry that is stored with it."""
TOO_MANY = -1


class Intent:
    """What one writer has announced."""

    __slots__ = ("announced", "keys", "tags", "token")

    def __init__(self, keys: Sequence[str], tags: Sequence[str], token: bytes) -> None:
        self.keys = keys
        self.tags = tags
        self.token = token
        self.announced = False


class Intents:
    """The announcements of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, writes: Writes, *, lifetime_ms: int) -> None:
        self._t = tiers
        self._writes = writes
        self._lifetime_ms = lifetime_ms
        self._heart = Heart(self._prolong, tiers.chores, tiers.incidents, lease_ms=lifetime_ms)
        self._prolonging = b""
        self._overtaken: set[bytes] = set()

    def stop(self) -> None:
        """End the background work soon."""
        self._heart.stop()

    def hurry(self) -> None:
        """Prolong what is announced now: it may not have been possible for a while."""
        self._heart.hurry()

    def announce(self, keys: Sequence[str], tags: Sequence[str], *, pulse: bool) -> Intent:
        """Announce a change of entries and of tags (their inner names).

        Raises `InvalidationError` where L2 may not have taken it; nothing is announced then, but
        for what runs out by itself.
        """
        if self._t.names.versioned:
            tags = [*tags, *map(key_tag, keys)]
        intent = Intent(keys, tags, self._t.new_token())
        names = [*keys, *tags]
        try:
            if pulse:
                self._t.store.void([self._t.tags.mark(PULSE, busy_ms=self._lifetime_ms)])
            if self._t.store.shared:
                others = self._t.store.announce(self._marks(intent), intent.token)
                if TOO_MANY in others:
                    raise StoreUnavailable("too many writers are changing it at a time")
        except StoreUnavailable as error:
            raise self._writes.not_taken(names, error) from error
        finally:
            self._forget(intent, pulse=pulse)
        intent.announced = self._t.store.shared
        if intent.announced:
            self._heart.hold(self._leases(intent))
        return intent

    def settle(
        self,
        intent: Intent,
        *,
        pulse: bool,
        fills: Mapping[str, Fill] = MappingProxyType({}),
        versions: Mapping[str, int] = MappingProxyType({}),
    ) -> int:
        """End an announcement: the entries are absent, the tags have new versions.

        Instead, an entry in `fills` (under the intent's token) holds that value where its writer
        was alone all the time, or overlapped only with writers that have `versions` (the source's)
        too, and lower ones. Returns how many hold this value, or one of a higher version.

        Raises `InvalidationError` where L2 may not have taken it, nor the spool.
        """
        self._heart.drop(self._leases(intent))
        if self._prolonging == intent.token:
            self._overtaken.add(intent.token)
        self._writes.remember(intent.keys, intent.tags)
        settlements = self._settlements(intent, fills, versions)
        try:
            if pulse:
                self._t.store.void([self._t.tags.mark(PULSE)])
            stored = self._t.store.settle(settlements)
        except StoreUnavailable as error:
            self._writes.missed(error, Act.INVALIDATE, intent.keys, intent.tags)
            return 0
        else:
            self._writes.done(intent.keys, intent.tags)
            return sum(stored[: len(intent.keys)])
        finally:
            self._forget(intent, pulse=pulse)

    def lapse(self, intent: Intent) -> None:
        """Leave an announcement to run out by itself: the source may still be at work.

        Without L2, the entries are dropped now.
        """
        self._heart.drop(self._leases(intent))
        self._writes.remember(intent.keys, intent.tags)
        self._forget(intent, pulse=False)

    def _forget(self, intent: Intent, *, pulse: bool) -> None:
        if intent.keys:
            self._writes.drop(intent.keys)
        if intent.tags or pulse:
            self._writes.drop_tags([*intent.tags, PULSE] if pulse else intent.tags)

    def _l2_keys(self, intent: Intent) -> list[bytes]:
        names = self._t.names
        entries = [names.entry(key) for key in intent.keys]
        return entries + [names.version_key(names.digest(tag)) for tag in intent.tags]

    def _marks(self, intent: Intent) -> list[Mark]:
        return [Mark(key, b"", self._lifetime_ms) for key in self._l2_keys(intent)]

    def _leases(self, intent: Intent) -> list[Lease]:
        return [(key, intent.token) for key in self._l2_keys(intent)]

    def _settlements(
        self, intent: Intent, fills: Mapping[str, Fill], versions: Mapping[str, int]
    ) -> list[Settlement]:
        token, names, mark = intent.token, self._t.names, self._t.tags.mark
        ends: list[Settlement] = []
        for key in intent.keys:
            end = self._tombstone(names.entry(key), token)
            ends.append(end._replace(fill=fills.get(key), version=versions.get(key)))
        filled = {key_tag(key): key for key in fills}
        for tag in intent.tags:
            left = mark(tag, stamp=token)
            key_of = filled.get(tag)
            if key_of is None:
                ends.append(Settlement(token, left))
                continue
            # The entry names the version that is left by one who was alone under its own tag.
            alone = Fill(left.key, token, left.frame, 0, _OUTLIVES * fills[key_of].keep_ms)
            ends.append(Settlement(token, mark(tag), alone, versions.get(key_of)))
        return ends

    @staticmethod
    def _tombstone(key: bytes, token: bytes) -> Settlement:
        return Settlement(token, Mark(key, tombstone_frame(key, token), _TOMBSTONE_MS))

    def _prolong(self, leases: Sequence[Lease]) -> list[bool]:
        """Prolong announcements, and the time for which writers of tags are known to be busy."""
        by_token: dict[bytes, list[bytes]] = {}
        for key, token in leases:
            by_token.setdefault(token, []).append(key)
        for token, keys in by_token.items():
            self._prolonging = token  # before it is asked what is held: see `settle`
            try:
                # Others have been settled meanwhile: what is announced anew would stand for nobody.
                mine = self._heart.held([(key, token) for key in keys])
                marks = [Mark(key, b"", self._lifetime_ms) for key, _ in mine]
                self._t.store.announce(marks, token, prolong=True)
            finally:
                self._prolonging = b""
                settled = token in self._overtaken
                self._overtaken.discard(token)
            if settled:
                self._t.store.settle([self._tombstone(key, token) for key, _ in mine])
        pulse = self._t.tags.mark(PULSE)
        self._t.store.busy(pulse.key, pulse.frame, self._lifetime_ms)
        return [True] * len(leases)
