"""What looks at a fleet say of it: rates between two snapshots of a process, and sums. Pure.

Times are each process's own: how much time lies between two of its snapshots, it says itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from freshwell.engines.spread import BOUNDS_S
from freshwell.ground.snapshots import JournalState, Snapshot

__all__ = ["Fleet", "NamespaceView", "ProcessView", "View", "as_dict"]

_HISTORY: Final = 60
_MOST_HOT: Final = 10
_ERRORS: Final = ("l2_errors", "rejected_frames", "codec_errors", "load_errors", "refresh_errors")


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened each second between two snapshots, or since the start where there is one."""

    reads: float = 0.0
    hits_l1: float = 0.0
    hits_l2: float = 0.0
    misses: float = 0.0
    stale: float = 0.0
    loads: float = 0.0
    errors: float = 0.0
    shed: float = 0.0
    invalidations: float = 0.0

    @property
    def hit_ratio(self) -> float | None:
        """The share of reads that a tier answered. None: nothing was read."""
        return (self.hits_l1 + self.hits_l2) / self.reads if self.reads else None


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process's cache. `load_p99_s`: up to which bound 99 of 100 loads were; None: no loads."""

    snapshot: Snapshot
    rates: Rates
    load_p99_s: float | None

    @property
    def live(self) -> bool:
        return bool(self.snapshot.counts.get("l1_live", 0))


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """The caches of one namespace, in all processes. `history`: hit ratios of the last looks."""

    namespace: str
    processes: int
    rates: Rates
    entries: int
    bytes: int
    silent: int
    """Processes whose memory does not answer at the moment."""
    hot: Sequence[tuple[str, int]]
    journals: Sequence[JournalState]
    history: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class View:
    """One look at the fleet."""

    namespaces: Sequence[NamespaceView]
    processes: Sequence[ProcessView] = field(default=())


class Fleet:
    """Remembers looks, to tell rates and histories. Not for several threads."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], Snapshot] = {}
        self._rates: dict[tuple[str, str], Rates] = {}
        self._history: dict[str, deque[float | None]] = {}

    def look(self, snapshots: Iterable[Snapshot]) -> View:
        """Return what the snapshots of all processes say, with those of earlier looks."""
        now = {(one.namespace, one.process): one for one in snapshots}
        for name, snapshot in now.items():
            before = self._before.get(name)
            if before is None or before.up_ms != snapshot.up_ms:
                self._rates[name] = _rates(before, snapshot)
        self._rates = {name: self._rates[name] for name in now}
        self._before = now
        processes = [
            ProcessView(now[name], self._rates[name], _p99_s(now[name].load_counts))
            for name in sorted(now)
        ]
        names = sorted({namespace for namespace, _ in now})
        self._history = {name: self._history.get(name, deque(maxlen=_HISTORY)) for name in names}
        return View([self._summed(name, processes) for name in names], processes)

    def _summed(self, namespace: str, processes: Sequence[ProcessView]) -> NamespaceView:
        own = [one for one in processes if one.snapshot.namespace == namespace]
        rates = _sum_of([one.rates for one in own])
        self._history[namespace].append(rates.hit_ratio)
        hot: Counter[str] = Counter()
        for one in own:
            hot.update(dict(one.snapshot.hot))
        return NamespaceView(
            namespace=namespace,
            processes=len(own),
            rates=rates,
            entries=sum(one.snapshot.counts.get("entries", 0) for one in own),
            bytes=sum(one.snapshot.counts.get("bytes", 0) for one in own),
            silent=sum(not one.live for one in own),
            hot=hot.most_common(_MOST_HOT),
            journals=_journals(own),
            history=list(self._history[namespace]),
        )


def _rates(before: Snapshot | None, now: Snapshot) -> Rates:
    restarted = before is None or before.up_ms > now.up_ms
    earlier: Mapping[str, int] = {} if before is None or restarted else before.counts
    since_ms = 0 if before is None or restarted else before.up_ms
    seconds = max(now.up_ms - since_ms, 1) / 1_000

    def each_second(*names: str) -> float:
        return sum(max(0, now.counts.get(n, 0) - earlier.get(n, 0)) for n in names) / seconds

    return Rates(
        reads=each_second("hits_l1", "hits_l2", "misses"),
        hits_l1=each_second("hits_l1"),
        hits_l2=each_second("hits_l2"),
        misses=each_second("misses"),
        stale=each_second("stale_serves"),
        loads=each_second("loads"),
        errors=each_second(*_ERRORS),
        shed=each_second("shed"),
        invalidations=each_second("invalidations"),
    )


def _sum_of(rates: Sequence[Rates]) -> Rates:
    return Rates(*(sum(getattr(one, name) for one in rates) for name in Rates.__slots__))


def _p99_s(counts: Sequence[int]) -> float | None:
    total, seen = sum(counts), 0
    for bound, count in zip((*BOUNDS_S, float("inf")), counts, strict=False):
        seen += count
        if total and seen >= 0.99 * total:
            return bound
    return None


def _journals(processes: Sequence[ProcessView]) -> list[JournalState]:
    """Return each journal once: processes that share one all tell of it."""
    found: dict[str, JournalState] = {}
    for one in processes:
        for journal in one.snapshot.journals:
            known = found.get(journal.name)
            if known is None or journal.records > known.records:
                found[journal.name] = journal
    return [found[name] for name in sorted(found)]


def as_dict(view: View) -> dict[str, Any]:
    """Return a view in plain types, for scripts and pages."""
    return {
        "namespaces": [
            {
                "namespace": one.namespace,
                "processes": one.processes,
                "silent": one.silent,
                "entries": one.entries,
                "bytes": one.bytes,
                **_rates_as_dict(one.rates),
                "history": list(one.history),
                "hot": [{"key": key, "reads": reads} for key, reads in one.hot],
                "journals": [asdict(journal) for journal in one.journals],
            }
            for one in view.namespaces
        ],
        "processes": [
            {
                "process": one.snapshot.process,
                "namespace": one.snapshot.namespace,
                "up_s": one.snapshot.up_ms / 1_000,
                "coherence": one.snapshot.coherence,
                "live": one.live,
                "load_p99_s": None if one.load_p99_s == float("inf") else one.load_p99_s,
                **_rates_as_dict(one.rates),
                "counts": dict(one.snapshot.counts),
            }
            for one in view.processes
        ],
    }


def _rates_as_dict(rates: Rates) -> dict[str, Any]:
    each = {f"{name}_per_s": round(getattr(rates, name), 3) for name in Rates.__slots__}
    ratio = rates.hit_ratio
    return {"hit_ratio": None if ratio is None else round(ratio, 4), **each}
