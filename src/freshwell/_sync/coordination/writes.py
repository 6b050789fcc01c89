"""Change entries on the caller's word: set, invalidate, expire.

L2 first, then this process's L1, then the flights under way: when the call returns, nothing
loaded before it is given to anyone who asks this process afterwards. What L2 does not take goes
into the spool, where there is one.

Where the cache has a schema version, each entry also has a tag made of its key, which the
entries of other versions share: what is changed here is outdated there.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from freshwell._sync.coordination.keeper import Keeper, Tiers
from freshwell._sync.coordination.spooling import Spooling
from freshwell._sync.coordination.tags import tags_of
from freshwell._sync.stores.base import Fill
from freshwell._kit.threads import sleep
from freshwell.engines.recent import Recent
from freshwell.engines.shelf import Reading, Terms
from freshwell.engines.stamps import Bonds
from freshwell.errors import CodecError, InvalidationError, StoreUnavailable
from freshwell.ground.freshness import times_after_load
from freshwell.ground.keys import short_digest
from freshwell.ground.names import PULSE, is_users, key_tag
from freshwell.ground.plan import L2Word
from freshwell.ground.spooling import Act, Missed
from freshwell.ground.tags import Tagging
from freshwell.ground.ttl import jittered_ns

__all__ = ["Flying", "Writes"]

_TRIES = 5
_BETWEEN_TRIES_S = 0.5
_NO_PAYLOADS: Mapping[str, bytes | None] = MappingProxyType({})


class Flying(Protocol):
    """The loads under way in this process."""

    def forget(self, keys: Sequence[str]) -> None:
        """Let callers from now on start loads of their own for keys."""

    def forget_tagged(self, digests: Sequence[bytes], *, by_users: bool) -> None:
        """Let callers from now on start loads of their own for entries that have such a tag.

        `by_users`: there are some that users have named.
        """

    def names(self) -> list[str]:
        """Return what is being loaded."""


class Writes:
    """Writes of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper, flying: Flying) -> None:
        self._t = tiers
        self._keeper = keeper
        self._flying = flying
        self._recent = Recent()
        self.spooling = Spooling(
            tiers.spool,
            self._tell,
            self._forget,
            counters=tiers.counters,
            incidents=tiers.incidents,
            now_ns=tiers.now_ns,
        )

    def put(
        self, values: Mapping[str, Any], terms: Terms, taggings: Callable[[str], Tagging]
    ) -> None:
        """Store values whatever stands there; loads under way for them are void.

        Where a writer has announced a change, nothing is stored, and nothing is left there.

        Raises `CodecError`, with nothing stored, for a value that cannot be written or is too
        large, and `StoreUnavailable` when L2 may not have taken them.
        """
        drafts = {key: self._draft(value, terms) for key, value in values.items()}
        if not self._t.store.shared:
            self._put_here(drafts, terms, taggings)
            return
        try:
            if len(self._t.spool):
                # What L2 has missed came before this, and would make an end of it.
                tags = [tag for key in values for tag in taggings(key).known]
                self.spooling.catch_up([*values, *tags])
            if self._t.names.versioned:
                self._t.store.void([self._t.tags.mark(tag) for tag in map(key_tag, values)])
            fills = self._fills(drafts, terms, taggings)
            unbound = [key for key in drafts if key not in fills]
            if unbound:
                self._t.store.invalidate([self._t.names.entry(key) for key in unbound])
            self._t.store.fill(list(fills.values()))
        finally:
            self.drop(list(drafts))

    def fill(self, key: str, value: Any, terms: Terms, payload: bytes | None) -> Fill:
        """Return what makes L2 hold a value that has no tags. See `fills`."""
        return _fitting(key, self._keeper.fill_written(key, value, terms, payload))

    def fills(
        self,
        values: Mapping[str, Any],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        payloads: Mapping[str, bytes | None] = _NO_PAYLOADS,
    ) -> dict[str, Fill]:
        """Return what makes L2 hold values whatever stands there, and store nothing yet.

        Left out are those that must not be held: one of their tags is being changed. Raises as
        `put` does. `payloads`: of those that the codec has written already.
        """
        drafts = {key: self._draft(value, terms) for key, value in values.items()}
        return self._fills(drafts, terms, taggings, payloads)

    def _fills(
        self,
        drafts: Mapping[str, Reading],
        terms: Terms,
        taggings: Callable[[str], Tagging],
        payloads: Mapping[str, bytes | None] = _NO_PAYLOADS,
    ) -> dict[str, Fill]:
        values = {key: draft.value for key, draft in drafts.items()}
        bonds = self.bonds(values, terms, taggings)
        unbound = [key for key, own in bonds.items() if own is None]
        self._t.counters.fills_refused += len(unbound)
        return {
            key: self._fill(key, draft, terms, bonds.get(key), payloads.get(key))
            for key, draft in drafts.items()
            if key not in unbound
        }

    def _put_here(
        self, drafts: Mapping[str, Reading], terms: Terms, taggings: Callable[[str], Tagging]
    ) -> None:
        self.drop(list(drafts))
        since = self._t.table.moment()
        values = {key: draft.value for key, draft in drafts.items()}
        bonds = self.bonds(values, terms, taggings)
        for key, draft in drafts.items():
            if draft.times is not None:
                born_ns, own = draft.times.born_ns, bonds.get(key)
                self._keeper.keep(key, draft, draft.times, born_ns, since, terms, own)

    def bonds(
        self, values: Mapping[str, Any], terms: Terms, taggings: Callable[[str], Tagging]
    ) -> dict[str, Bonds | None]:
        """Capture the versions of the tags of those entries that have any, in one round trip.

        None: a tag is being changed, or its version is not told.
        """
        tags: dict[str, list[str]] = {}
        for key, value in values.items():
            own = tags_of(value, taggings(key))
            if own:
                tags[key] = own
        if not tags:
            return {}
        return self._t.tags.capture(tags, terms.policy.ttl_ns + terms.policy.stale_ns)

    def invalidate(self, keys: Sequence[str], *, spools: bool = True) -> None:
        """Make the entries absent everywhere and void the loads of them that are under way.

        Raises `InvalidationError` when L2 may not have taken it, nor the spool; L1 has dropped
        them even so. `spools` False: the caller has it from L2, or repeats the call.
        """
        self.remember(keys, ())
        if self._t.store.shared:
            self._t.observing.sent(keys, self._t.now_ns())
        try:
            also = [self._t.tags.mark(key_tag(key)) for key in keys if self._t.names.versioned]
            with self._t.observing.spans("invalidate", keys=keys):
                self._t.store.invalidate([self._t.names.entry(key) for key in keys], also)
        except StoreUnavailable as error:
            if not spools:
                raise self.not_taken(keys, error) from error
            self.missed(error, Act.INVALIDATE, keys)
        else:
            self.done(keys, ())
            self._t.observing.invalidated("keys", len(keys))
        finally:
            self.drop(keys)

    def invalidate_here(self, keys: Sequence[str]) -> None:
        """Make entries absent as `invalidate` does, where there is no L2. Never waits."""
        observing = self._t.observing
        if observing.spans.opener is None:  # three calls less, for each write behind
            self._gone_here(keys)
        else:
            with observing.spans("invalidate", keys=keys):
                self._gone_here(keys)

    def _gone_here(self, keys: Sequence[str]) -> None:
        self._t.counters.invalidations += len(keys)
        self._t.observing.invalidated("keys", len(keys))
        self.drop(keys)

    def invalidate_tags(self, tags: Sequence[str], *, pulse: bool) -> None:
        """Make all entries of tags absent everywhere, and void the loads of such entries.

        `tags` are inner names; `pulse`: tags of the user's, which may follow from a value.
        Costs one write for each tag, whatever its size. Raises as `invalidate` does.
        """
        mark = self._t.tags.mark
        self.remember((), tags)
        first = [mark(PULSE)] if pulse else ()
        try:
            with self._t.observing.spans("invalidate_tags", count=len(tags)):
                self._t.store.void([mark(tag) for tag in tags], first=first)
        except StoreUnavailable as error:
            self.missed(error, Act.VOID, tags)
        else:
            self.done((), tags)
            self._t.observing.invalidated("tags", len(tags))
        finally:
            self.drop_tags(tags)

    def expire(self, keys: Sequence[str]) -> None:
        """End the freshness of the entries, and void loads of them that are under way.

        Callers who accept stale values go on getting them until a load has replaced them.
        Raises `InvalidationError` when L2 may not have taken it, nor the spool.
        """
        try:
            self._t.store.expire([self._t.names.entry(key) for key in keys])
        except StoreUnavailable as error:
            self.missed(error, Act.EXPIRE, keys)
        else:
            self._t.counters.invalidations += len(keys)
            self._t.observing.invalidated("expire", len(keys))
        finally:
            for key in keys:
                self._t.table.expire(key)
            self._flying.forget(keys)

    def remember(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Note what is being invalidated, before L2 is told and when it has confirmed.

        Before, because another may become primary between the answer of one and the end of the
        call: what is said again then must not lack it.
        """
        if self._t.store.shared:
            now_ns = self._t.now_ns()
            self._recent.note(keys, now_ns, tags=False)
            self._recent.note(tags, now_ns, tags=True)

    def done(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Note what has been invalidated, as L2 has confirmed."""
        self._t.counters.invalidations += len(keys) + len(tags)
        self.remember(keys, tags)

    def say_again(self, within_ns: int) -> None:
        """Invalidate once more what was invalidated lately: L2 may have forgotten it.

        Tried a few times: a new primary may not be ready.
        """
        keys, tags = self._recent.latest(self._t.now_ns(), within_ns=within_ns)
        for _ in range(_TRIES if keys or tags else 0):
            try:
                again = [*tags, *map(key_tag, keys)] if self._t.names.versioned else tags
                self._say([self._t.names.entry(key) for key in keys], again)
            except StoreUnavailable as error:
                self._t.incidents.l2_failed(error)
                sleep(_BETWEEN_TRIES_S)
            else:
                return

    def _say(self, l2_keys: Sequence[bytes], tags: Sequence[str]) -> None:
        """Invalidate entries and tags of any kind. Raises `StoreUnavailable`."""
        mark = self._t.tags.mark
        self._t.store.invalidate(l2_keys)
        first = [mark(PULSE)] if tags else []
        self._t.store.void([mark(tag) for tag in tags], first=first)

    # -- what L2 has missed ------------------------------------------------------------------

    def missed(
        self, error: StoreUnavailable, act: Act, names: Sequence[str], tags: Sequence[str] = ()
    ) -> None:
        """Put what L2 may not have taken into the spool: `act` on each name, and `tags` voided.

        To be called before this process forgets them. Raises `InvalidationError` where there is no
        spool, or it does not take it either.
        """
        version = self._t.names.version
        missed = [Missed(act, name, version) for name in names]
        missed += [Missed(Act.VOID, tag, version) for tag in tags]
        refusal = self.spooling.take(missed)
        if refusal is not None:
            raise self.not_taken([*names, *tags], error, refusal) from error
        self._t.incidents.l2_failed(error)

    def _tell(self, missed: Sequence[Missed]) -> None:
        """Tell L2 what it has missed. Raises `StoreUnavailable`."""
        l2_keys: dict[Act, list[bytes]] = {Act.INVALIDATE: [], Act.EXPIRE: []}
        keys = [one.name for one in missed if one.act is Act.INVALIDATE]
        tags = [one.name for one in missed if one.act is Act.VOID]
        for act, name, version in missed:
            if act is not Act.VOID:
                l2_keys[act].append(self._t.names.of_version(version).entry(name))
            if act is Act.INVALIDATE and (version or self._t.names.versioned):
                tags.append(key_tag(name))
        self.remember(keys, tags)
        if l2_keys[Act.EXPIRE]:
            self._t.store.expire(l2_keys[Act.EXPIRE])
        self._say(l2_keys[Act.INVALIDATE], list(dict.fromkeys(tags)))
        self.remember(keys, tags)

    def _forget(self, missed: Sequence[Missed]) -> None:
        """Let this process forget what L2 has now been told."""
        entries = [one.name for one in missed if one.act is not Act.VOID]
        tags = [one.name for one in missed if one.act is Act.VOID]
        if entries:
            self.drop(entries)
        if tags:
            self.drop_tags(tags)

    def drop(self, keys: Sequence[str]) -> None:
        """Let this process forget entries, and the loads of them that are under way."""
        self._t.table.drop_many(keys)
        self._dropped(keys)

    def _dropped(self, keys: Sequence[str]) -> None:
        if self._t.names.versioned:
            self._t.table.drop_tags([self._t.names.digest(key_tag(key)) for key in keys])
        self._flying.forget(keys)

    def left(self, kept: Sequence[str], lost: Sequence[str], dropped: Sequence[str]) -> None:
        """Note which entries a writer has left in L1; the others, and loads of any, are void.

        `dropped`: those that have left the table already.
        """
        if lost:
            self.drop(lost)
        if dropped:
            self._dropped(dropped)
        self._flying.forget(kept)
        count = len(kept) + len(lost) + len(dropped)
        self._t.counters.invalidations += count
        self._t.observing.invalidated("writes", count)

    def drop_tags(self, tags: Sequence[str]) -> None:
        """Let this process forget the entries of tags, and the loads of such entries."""
        digests = [self._t.names.digest(tag) for tag in tags]
        self._t.table.drop_tags(digests)
        self._flying.forget_tagged(digests, by_users=any(map(is_users, tags)))

    def not_taken(
        self, names: Sequence[str], error: StoreUnavailable, refusal: str = ""
    ) -> InvalidationError:
        """Return the error that says which keys or tags L2 may still hold to be valid.

        `refusal`: why the spool did not take them either.
        """
        self._t.incidents.l2_failed(error)
        why = f"{error}; {refusal}" if refusal else str(error)
        return InvalidationError(
            f"L2 may still serve what {len(names)} key(s) or tag(s) stand for, which were to be "
            f"invalidated: repeat the call when L2 answers again ({why})",
            tuple(short_digest(name) for name in names),
        )

    def _draft(self, value: Any, terms: Terms) -> Reading:
        policy = terms.policy
        times = times_after_load(
            self._t.now_ns(),
            ttl_ns=jittered_ns(policy.ttl_ns, policy.jitter, self._t.uniform()),
            stale_ns=policy.stale_ns,
            cost_ns=0,
        )
        return Reading(L2Word.FRESH, value, False, times)

    def _fill(
        self, key: str, draft: Reading, terms: Terms, bonds: Bonds | None, payload: bytes | None
    ) -> Fill:
        return _fitting(key, self._keeper.fill_of(key, draft, terms, b"", 0, bonds, payload))


def _fitting(key: str, fill: Fill | None) -> Fill:
    if fill is None:
        raise CodecError(
            f"the value for key {short_digest(key)} is larger than max_value_bytes: nothing "
            "was stored. Store less of it, or raise the bound where the cache is built"
        )
    return fill
