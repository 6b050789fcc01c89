"""Write intents: what is announced before the source changes, and settled afterwards.

While an announcement stands in L2 the entry is absent and nothing is stored under it, by anyone;
a tag's announcement makes its entries absent likewise. It is prolonged while its writer lives. A
writer who dies between the source's commit and the end leaves an announcement that runs out by
itself, and no old value: there is none that could come back.

However the block ends, the entries are left absent: an exception does not tell whether the
source has taken the change.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Sequence

from freshwell._sync.coordination.heart import Heart, Lease
from freshwell._sync.coordination.keeper import Tiers
from freshwell._sync.coordination.writes import Writes
from freshwell._sync.stores.base import Mark, Settlement
from freshwell.errors import StoreUnavailable
from freshwell.ground.frame import tombstone_frame
from freshwell.ground.names import PULSE, key_tag

__all__ = ["Intent", "Intents"]

_TOMBSTONE_MS = 1_000
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

    def stop(self) -> None:
        """End the background work soon."""
        self._heart.stop()

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

    def settle(self, intent: Intent, *, pulse: bool) -> None:
        """End an announcement: the entries are absent, the tags have new versions.

        Raises `InvalidationError` where L2 may not have taken it.
        """
        self._heart.drop(self._leases(intent))
        settlements = [Settlement(intent.token, mark) for mark in self._left_behind(intent)]
        try:
            if pulse:
                self._t.store.void([self._t.tags.mark(PULSE)])
            self._t.store.settle(settlements)
        except StoreUnavailable as error:
            raise self._writes.not_taken([*intent.keys, *intent.tags], error) from error
        finally:
            self._forget(intent, pulse=pulse)
        self._writes.done(intent.keys, intent.tags)

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

    def _left_behind(self, intent: Intent) -> list[Mark]:
        entries = [self._t.names.entry(key) for key in intent.keys]
        tombstones = [
            Mark(key, tombstone_frame(key, intent.token), _TOMBSTONE_MS) for key in entries
        ]
        return tombstones + [self._t.tags.mark(tag, stamp=intent.token) for tag in intent.tags]

    def _prolong(self, leases: Sequence[Lease]) -> list[bool]:
        """Prolong announcements, and the time for which writers of tags are known to be busy."""
        by_token: dict[bytes, list[bytes]] = {}
        for key, token in leases:
            by_token.setdefault(token, []).append(key)
        for token, keys in by_token.items():
            marks = [Mark(key, b"", self._lifetime_ms) for key in keys]
            self._t.store.announce(marks, token, prolong=True)
        pulse = self._t.tags.mark(PULSE)
        self._t.store.busy(pulse.key, pulse.frame, self._lifetime_ms)
        return [True] * len(leases)
