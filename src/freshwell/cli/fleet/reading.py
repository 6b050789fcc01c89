"""Read what processes have published, from whatever is at a URL. Changes nothing."""

from __future__ import annotations

from typing import Final

from freshwell._sync.cache import Cache
from freshwell.ground.snapshots import Snapshot, snapshot_pattern, unpacked

__all__ = ["snapshots_at"]

_MOST: Final = 10_000


def snapshots_at(cache: Cache, namespace: str | None = None) -> list[Snapshot]:
    """Return all snapshots that stand now, of one cache or of all (None).

    Costs the server a look at each of its keys, in small steps. Raises `StoreUnavailable`.
    """
    store = cache._core.engine().tiers.store
    pattern = snapshot_pattern(namespace)
    place: object = None
    keys: dict[bytes, None] = {}
    while len(keys) < _MOST:
        place, found = store.scan(pattern, place)
        keys.update(dict.fromkeys(found))
        if place is None:
            break
    snapshots = (unpacked(data) for data in store.fetch_many(list(keys)))
    return [snapshot for snapshot in snapshots if snapshot is not None]
