"""What a cache counts: plain integers, added to on the way, read when somebody asks.

Adding is not locked: under many threads a count may miss a few. It is never wrong by more,
and costs a hit next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Counters", "Stats"]


class Counters:
    """Counts since the cache was built. Named as in `Stats`."""

    __slots__ = (
        "codec_errors",
        "degraded",
        "early_refreshes",
        "fills",
        "fills_refused",
        "flush_errors",
        "gutter_serves",
        "hits_l1",
        "hits_l2",
        "invalidations",
        "l2_errors",
        "l2_openings",
        "l2_refused",
        "l2_slow",
        "lease_waits",
        "leases_won",
        "load_errors",
        "load_ns",
        "load_timeouts",
        "loads",
        "loads_alone",
        "misses",
        "negative_hits",
        "not_modified",
        "notices",
        "outdated",
        "oversize",
        "refresh_errors",
        "rejected_frames",
        "replayed",
        "shed",
        "soft_timeouts",
        "spooled",
        "stale_on_error",
        "stale_serves",
        "writes_dead",
        "writes_lost",
        "writes_retried",
        "writes_stored",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    codec_errors: int
    degraded: int
    early_refreshes: int
    fills: int
    fills_refused: int
    flush_errors: int
    gutter_serves: int
    hits_l1: int
    hits_l2: int
    invalidations: int
    l2_errors: int
    l2_openings: int
    l2_refused: int
    l2_slow: int
    lease_waits: int
    leases_won: int
    load_errors: int
    load_ns: int
    load_timeouts: int
    loads: int
    loads_alone: int
    misses: int
    negative_hits: int
    not_modified: int
    notices: int
    outdated: int
    oversize: int
    refresh_errors: int
    rejected_frames: int
    replayed: int
    shed: int
    soft_timeouts: int
    spooled: int
    stale_on_error: int
    stale_serves: int
    writes_dead: int
    writes_lost: int
    writes_retried: int
    writes_stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A cache's counters and sizes at one instant.

    - ``hits_l1``, ``hits_l2``: answers from a tier, fresh or stale; ``misses``: the loader was
      asked, or there was nothing to give; ``negative_hits``: of the hits, those that said
      "there is none"; ``stale_serves``: answers past their TTL.
    - ``stale_on_error``: of those, the ones that were given because a load had failed or was
      shed, or has failed so lately that the source is left alone; ``soft_timeouts``: those that
      were given because the load took longer than `load_soft_timeout`; ``load_timeouts``: callers
      whose load took longer than `load_timeout`, whatever they were given then.
    - ``loads``, ``load_errors``, ``load_ns``: calls of loaders, those that raised, and the
      nanoseconds spent in them; ``shed``: loads refused by `max_loads`; ``not_modified``: loads
      that found their old value still right.
    - ``fills``, ``fills_refused``: values stored, and values that an invalidation overtook;
      ``oversize``: values too large to store.
    - ``leases_won``: leases granted by L2; ``lease_waits``: waits for a load in another process;
      ``early_refreshes``: refreshes begun before expiry; ``refresh_errors``: background refreshes
      that failed.
    - ``invalidations``: keys, tags and namespaces invalidated here; ``notices``: keys and tags
      that the feed named; ``outdated``: entries found in L2 whose tags had changed.
    - ``spooled``: invalidations of keys, tags and namespaces that L2 did not take and the spool
      did; ``replayed``: those that L2 has taken from it since; ``spool_records``: how many wait
      in it, and ``spool_age_s``: for how many seconds the oldest of them has.
    - ``l2_errors``: calls of L2 that failed; ``l2_refused``: calls that were not made, because
      L2 was being left alone; ``l2_openings``: how often that began; ``l2_slow``: loads for
      which L2 had used up its time (`l2_timeout`).
    - ``degraded``: answers given without L2, because it was down, too slow, or took nothing:
      loaded and not shared, or from what this process had; ``loads_alone``: entries loaded
      without a lease for that reason; ``gutter_serves``: of the stale answers, those that
      `gutter_ttl` allowed.
    - ``rejected_frames``: bytes from L2 that were no
      entry of ours; ``codec_errors``: entries of ours that the codec could not read.
    - ``writes_stored``: writes accepted by write-behind that the source has, or a later one of
      their key; ``writes_retried``: refusals after which a write is tried again;
      ``writes_dead``: dead letters made; ``writes_lost``: writes that the journal had lost when
      it was told what came of them; ``flush_errors``: flushes that failed for another reason:
      the source or the journal was down.
    - ``entries``, ``bytes``, ``evictions``, ``expirations``: the L1 table.
    - ``coherence``: how L1 learns of invalidations ("alone", "feed", "ttl-only", "off"), and
      ``l1_live``: whether it may answer now.
    - ``breaker``: whether L2 is asked ("closed"), left alone ("open"), or probed ("half-open");
      of a Cluster, the worst of its nodes. ``servers_down``: how many servers are left alone.
    - ``in_flight``: keys being loaded by this process now.
    """

    hits_l1: int
    hits_l2: int
    misses: int
    negative_hits: int
    stale_serves: int
    stale_on_error: int
    soft_timeouts: int
    loads: int
    load_errors: int
    load_ns: int
    load_timeouts: int
    not_modified: int
    shed: int
    fills: int
    fills_refused: int
    oversize: int
    lease_waits: int
    leases_won: int
    early_refreshes: int
    refresh_errors: int
    invalidations: int
    notices: int
    outdated: int
    spooled: int
    replayed: int
    spool_records: int
    spool_age_s: float
    l2_errors: int
    l2_refused: int
    l2_slow: int
    l2_openings: int
    degraded: int
    loads_alone: int
    gutter_serves: int
    rejected_frames: int
    codec_errors: int
    writes_stored: int
    writes_retried: int
    writes_dead: int
    writes_lost: int
    flush_errors: int
    entries: int
    bytes: int
    evictions: int
    expirations: int
    coherence: str
    l1_live: bool
    breaker: str
    servers_down: int
    in_flight: int

    def __repr__(self) -> str:
        """Show what there is to see: counts of 0 are left out."""
        told = {name: v for name, v in self.as_dict().items() if v or v is False}
        shown = [f"{name}={value!r}" for name, value in told.items()]
        return f"Stats({', '.join([f'hit_ratio={self.hit_ratio:.3f}', *shown])})"

    @property
    def hit_ratio(self) -> float:
        """The share of answers that needed no loader. 0.0 where nothing was asked."""
        hits = self.hits_l1 + self.hits_l2
        return hits / (hits + self.misses) if hits + self.misses else 0.0

    @classmethod
    def of(cls, counters: Counters, **rest: Any) -> Stats:
        """Return the counters as they are, with the sizes given."""
        counts = {name: getattr(counters, name) for name in Counters.__slots__}
        return cls(**counts, **rest)

    def as_dict(self) -> dict[str, int | float | str | bool]:
        """Return the fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
