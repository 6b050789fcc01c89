"""Many values at once, of which there is nothing to say but that they are fresh.

The usual case of a read of many entries: L1 or L2 has them, with nothing to decide. They are taken
together, without a `Reading` for each. Whatever else there is of entries is left to `Sights`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from freshwell._async.coordination.errands import untagged
from freshwell._async.coordination.keeper import Keeper, Tiers
from freshwell.engines.entry import TaggedEntry
from freshwell.engines.session import CoherenceMode
from freshwell.engines.shelf import UNREAD, Terms
from freshwell.engines.sizes import estimate_bytes
from freshwell.engines.versions import Versions
from freshwell.ground.frame import stamps_in
from freshwell.ground.frames import CalmFrames
from freshwell.ground.freshness import local_times
from freshwell.ground.tags import Tagging

__all__ = ["Asked", "Finds", "Plainly"]


class Finds(NamedTuple):
    """Values by their entries' names, as they are found: `near` in L1, `far` in L2."""

    near: dict[str, Any]
    far: dict[str, Any]

    def left_of(self, keys: Sequence[str]) -> list[str]:
        """Return those of the `keys` that have no value here, each once."""
        if len(self.near) + len(self.far) >= len(keys):
            return []  # mostly all of them have one
        return [k for k in dict.fromkeys(keys) if k not in self.near and k not in self.far]

    def and_others(self, others: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
        """Return all values, these and others, in the order of `keys`."""
        if not others and not (self.near and self.far):
            return self.near or self.far  # they were asked for in this order
        values = {**self.near, **self.far, **others}
        return {key: values[key] for key in keys if key in values}


class Asked(NamedTuple):
    """What L2 is asked for, by whom and when.

    `l2_digests`: of the keys in L2. `digests`: of the tags of each entry, or nothing where none
    has any that the caller knows of.
    `since`: the table's moment before.
    """

    keys: Sequence[str]
    l2_keys: Sequence[bytes]
    l2_digests: tuple[bytes, ...]
    digests: Sequence[tuple[bytes, ...]]
    terms: Terms
    asked_ns: int
    since: int

    def only(self, there: Sequence[int]) -> Asked:
        """Return what was asked for at these places."""
        return self._replace(
            keys=[self.keys[at] for at in there],
            l2_keys=[self.l2_keys[at] for at in there],
            l2_digests=tuple([self.l2_digests[at] for at in there]),
            digests=[self.digests[at] for at in there] if self.digests else (),
        )


class Plainly:
    """Takes values out of the tiers of one open cache. Safe for any number of tasks or threads."""

    def __init__(self, tiers: Tiers, keeper: Keeper) -> None:
        self._t = tiers
        self._keeper = keeper
        self._l1 = tiers.session.mode is not CoherenceMode.OFF

    def near(
        self, keys: Sequence[str], taggings: Callable[[str], Tagging], found: dict[str, Any]
    ) -> list[str]:
        """Take what L1 may serve with nothing to decide. Return of what else it has entries.

        Each is a hit as `engines/entry` describes it.
        """
        table, session, now_ns = self._t.table, self._t.session, self._t.now_ns
        others: list[str] = []
        for key, entry in zip(keys, table.find(keys), strict=True):
            if entry is None:
                continue
            value = entry.value  # before its deadlines: an entry is killed by its deadlines
            at_ns = now_ns()
            # None may say that the source has none.
            if at_ns < session.live_until_ns and value is not None and at_ns < entry.calm_until_ns:
                bare = taggings is untagged and entry.__class__ is not TaggedEntry
                if bare or table.is_current(entry, taggings(key).digests):
                    entry.mark = 1
                    found[key] = value
                    continue
            others.append(key)
        return others

    async def beyond(
        self, asked: Asked, blobs: Sequence[bytes | None], versions: Versions
    ) -> dict[str, Any]:
        """Take from L2's answer what has nothing to decide, and keep it in L1.

        `versions`: of the tags that callers know of. Raises `StoreUnavailable`.
        """
        t = self._t
        if not all(blobs):
            there = [at for at, blob in enumerate(blobs) if blob is not None]
            if not there:
                return {}
            asked, blobs = asked.only(there), [blobs[at] for at in there]
        servers_ms = t.store.clocks(asked.l2_keys)
        frames = cast("Sequence[bytes]", blobs)
        calm = t.shelf.calm_frames(asked.l2_digests, frames, asked.terms, servers_ms)
        if asked.digests or calm.is_tagged:
            own = asked.digests or [()] * len(blobs)
            stand = t.tags.standing(calm.stamps(), own, versions, asked.terms.level, asked.since)
            calm.leave_out(await stand)
        values = t.shelf.values(asked.l2_keys, calm, asked.terms)
        pairs = zip(asked.keys, values, strict=True)
        found = dict(pairs) if calm.is_whole else {k: v for k, v in pairs if v is not UNREAD}
        if self._l1 and found:
            self._keep(asked, values, calm, servers_ms, teaches=bool(versions))
        return found

    def _keep(
        self,
        asked: Asked,
        values: Sequence[Any],
        calm: CalmFrames,
        servers_ms: Sequence[int],
        *,
        teaches: bool,
    ) -> None:
        """Keep values in L1. What it has no room for is out early, unless it `teaches` versions."""
        asked_ns, stale_ns = asked.asked_ns, asked.terms.policy.stale_ns
        room_for = self._t.table.room_for
        parts = zip(
            asked.keys, values, calm.begins, calm.bodies, calm.times, servers_ms, strict=True
        )
        kept = [
            (
                key,
                value,
                local_times(fresh_ms, born_ms, cost_us, server_ms, asked_ns, stale_ns),
                stamps_in(bytes(body[:begin])),
                size_bytes,
            )
            for key, value, begin, body, (fresh_ms, born_ms, cost_us), server_ms in parts
            if begin >= 0
            if (size_bytes := estimate_bytes(value) if teaches else room_for(key, value))
            is not None
        ]
        if kept:
            self._keeper.keep_many(kept, asked_ns, asked.since, asked.terms)
