"""Every metric of a cache, in one table: what exporters, pages and alerts are made from.

Names are OpenTelemetry's; `prometheus_name` gives the other. Values are read from the counters when
somebody collects, so that being watched costs a hit nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from freshwell.engines.counters import Stats
from freshwell.engines.spread import Spread

__all__ = ["METRICS", "Metric", "Observation", "Sample", "prometheus_name"]

_NS_PER_S = 1_000_000_000
_UNITS = {"s": "seconds", "By": "bytes"}


class Observation(NamedTuple):
    """What can be collected of one cache at one instant."""

    namespace: str
    stats: Stats
    loads: Spread
    notices: Spread


class Sample(NamedTuple):
    """A number, with the values of the metric's labels in their order."""

    labels: tuple[str, ...]
    value: float | Spread


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Every sample has the label ``namespace`` besides its own.

    `unit` is a UCUM code: ``s``, ``By``, ``1``, or a thing in braces that is counted.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    text: str
    read: Callable[[Observation], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def prometheus_name(metric: Metric) -> str:
    """Return the metric's name in Prometheus, with its unit; counters end in ``_total``."""
    name = metric.name.replace(".", "_")
    unit = _UNITS.get(metric.unit, "")
    if unit and not name.endswith(unit):
        name = f"{name}_{unit}"
    return f"{name}_total" if metric.kind == "counter" else name


def _one(field: str, scale: float = 1) -> Callable[[Observation], Iterable[Sample]]:
    """Read one field of the counters."""
    get = attrgetter(field)

    def read(seen: Observation) -> Iterable[Sample]:
        value: Any = get(seen.stats)
        return [Sample((), value * scale if scale != 1 else value)]

    return read


def _each(**fields: str) -> Callable[[Observation], Iterable[Sample]]:
    """Read several fields, each with the value of a label."""

    def read(seen: Observation) -> Iterable[Sample]:
        return [Sample((label,), getattr(seen.stats, field)) for label, field in fields.items()]

    return read


def _coherence(seen: Observation) -> Iterable[Sample]:
    return [Sample((seen.stats.coherence,), 1)]


def _breaker(seen: Observation) -> Iterable[Sample]:
    return [Sample((seen.stats.breaker,), 1)]


METRICS: tuple[Metric, ...] = (
    Metric(
        "freshwell.hits",
        "counter",
        "{answer}",
        "Answers from a tier, fresh or stale.",
        _each(l1="hits_l1", l2="hits_l2"),
        ("tier",),
    ),
    Metric(
        "freshwell.misses",
        "counter",
        "{answer}",
        "Reads for which no tier had an answer.",
        _one("misses"),
    ),
    Metric(
        "freshwell.hits.negative",
        "counter",
        "{answer}",
        "Hits that said that the source has no such thing.",
        _one("negative_hits"),
    ),
    Metric(
        "freshwell.hits.stale",
        "counter",
        "{answer}",
        "Hits past their time to live.",
        _one("stale_serves"),
    ),
    Metric(
        "freshwell.hits.fallback",
        "counter",
        "{answer}",
        "Answers past their time to live that stood in for a load that failed, or was slow.",
        _each(failed="stale_on_error", slow="soft_timeouts"),
        ("reason",),
    ),
    Metric("freshwell.loads", "counter", "{load}", "Calls of loaders.", _one("loads")),
    Metric(
        "freshwell.load.errors",
        "counter",
        "{load}",
        "Loads that failed: a caller's, or one in the background.",
        _each(any="load_errors", refresh="refresh_errors"),
        ("of",),
    ),
    Metric(
        "freshwell.load.timeouts",
        "counter",
        "{wait}",
        "Waits for a load that its time limit ended.",
        _one("load_timeouts"),
    ),
    Metric(
        "freshwell.load.unmodified",
        "counter",
        "{load}",
        "Loads that found the old value still right.",
        _one("not_modified"),
    ),
    Metric(
        "freshwell.load.duration",
        "histogram",
        "s",
        "How long loaders took.",
        lambda seen: [Sample((), seen.loads)],
    ),
    Metric(
        "freshwell.loads.shed",
        "counter",
        "{load}",
        "Loads refused because max_loads were running.",
        _one("shed"),
    ),
    Metric(
        "freshwell.loads.in_flight",
        "gauge",
        "{key}",
        "Keys being loaded by this process now.",
        _one("in_flight"),
    ),
    Metric(
        "freshwell.lease.waits",
        "counter",
        "{wait}",
        "Waits for a load in another process.",
        _one("lease_waits"),
    ),
    Metric(
        "freshwell.refreshes.early",
        "counter",
        "{load}",
        "Refreshes begun before expiry.",
        _one("early_refreshes"),
    ),
    Metric(
        "freshwell.fills",
        "counter",
        "{value}",
        "Loaded values: stored, overtaken by an invalidation, or too large to store.",
        _each(stored="fills", refused="fills_refused", oversize="oversize"),
        ("outcome",),
    ),
    Metric(
        "freshwell.invalidations",
        "counter",
        "{name}",
        "Keys, tags and namespaces invalidated by this process.",
        _one("invalidations"),
    ),
    Metric(
        "freshwell.notices",
        "counter",
        "{name}",
        "Keys and tags that the feed named.",
        _one("notices"),
    ),
    Metric(
        "freshwell.notice.delay",
        "histogram",
        "s",
        "From sending an invalidation until this process's own feed told of it.",
        lambda seen: [Sample((), seen.notices)],
    ),
    Metric(
        "freshwell.outdated",
        "counter",
        "{entry}",
        "Entries found in L2 whose tags had changed.",
        _one("outdated"),
    ),
    Metric(
        "freshwell.errors",
        "counter",
        "{error}",
        "Calls of L2 that failed, bytes in L2 that are no entry, entries that cannot be decoded.",
        _each(call="l2_errors", frame="rejected_frames", codec="codec_errors"),
        ("kind",),
    ),
    Metric(
        "freshwell.degraded",
        "counter",
        "{answer}",
        "Answers given without L2, because it was down, too slow, or took nothing.",
        _one("degraded"),
    ),
    Metric(
        "freshwell.hits.gutter",
        "counter",
        "{answer}",
        "Stale answers that gutter_ttl allowed.",
        _one("gutter_serves"),
    ),
    Metric(
        "freshwell.loads.alone",
        "counter",
        "{entry}",
        "Entries loaded without a lease, because L2 gave none.",
        _one("loads_alone"),
    ),
    Metric(
        "freshwell.l2.spared",
        "counter",
        "{call}",
        "Calls of L2 not made because it is down, and loads for which it had used up its time.",
        _each(down="l2_refused", slow="l2_slow"),
        ("reason",),
    ),
    Metric(
        "freshwell.breaker.openings",
        "counter",
        "{opening}",
        "How often a server of L2 was found to be down.",
        _one("l2_openings"),
    ),
    Metric(
        "freshwell.breaker.servers",
        "gauge",
        "{server}",
        "Servers of L2 that are left alone now.",
        _one("servers_down"),
    ),
    Metric(
        "freshwell.breaker.state",
        "gauge",
        "1",
        "1, with how the breaker stands: closed, open or half-open.",
        _breaker,
        ("state",),
    ),
    Metric(
        "freshwell.spool.invalidations",
        "counter",
        "{name}",
        "Invalidations that L2 did not take: recorded, and made after all.",
        _each(recorded="spooled", replayed="replayed"),
        ("outcome",),
    ),
    Metric(
        "freshwell.spool.records",
        "gauge",
        "{name}",
        "Invalidations that wait for L2.",
        _one("spool_records"),
    ),
    Metric(
        "freshwell.spool.age",
        "gauge",
        "s",
        "How long the oldest of them has waited.",
        _one("spool_age_s"),
    ),
    Metric(
        "freshwell.behind.writes",
        "counter",
        "{write}",
        "Accepted writes by what came of them.",
        _each(
            stored="writes_stored",
            retried="writes_retried",
            dead="writes_dead",
            lost="writes_lost",
        ),
        ("outcome",),
    ),
    Metric(
        "freshwell.behind.flush.errors",
        "counter",
        "{flush}",
        "Flushes that failed because the source or the journal was down.",
        _one("flush_errors"),
    ),
    Metric("freshwell.l1.entries", "gauge", "{entry}", "Entries in memory.", _one("entries")),
    Metric("freshwell.l1.size", "gauge", "By", "Estimated bytes of them.", _one("bytes")),
    Metric(
        "freshwell.l1.removals",
        "counter",
        "{entry}",
        "Entries that left memory: for others, or at the end of their time.",
        _each(evicted="evictions", expired="expirations"),
        ("reason",),
    ),
    Metric(
        "freshwell.l1.live",
        "gauge",
        "1",
        "1 while memory may answer, 0 while the feed is not proven to be alive.",
        _one("l1_live"),
    ),
    Metric(
        "freshwell.l1.coherence",
        "gauge",
        "1",
        "1, with how memory learns of invalidations.",
        _coherence,
        ("mode",),
    ),
)
