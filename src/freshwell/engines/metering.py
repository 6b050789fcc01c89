"""What a metric is, and the ways in which metrics are read from what can be collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from freshwell.engines.counters import Stats
from freshwell.engines.spread import Spread
from freshwell.ground.records import Backlog

__all__ = [
    "Metric",
    "Observation",
    "Sample",
    "breaker",
    "coherence",
    "each",
    "journal",
    "kinds",
    "one",
    "prometheus_name",
    "session_age",
]

_UNITS = {"s": "seconds", "By": "bytes"}


class Observation(NamedTuple):
    """What can be collected of one cache at one instant."""

    namespace: str
    stats: Stats
    loads: Spread
    notices: Spread
    kinds: Mapping[str, int]
    """Names that were invalidated, by how."""
    journals: Mapping[str, Backlog]
    """What waited in each journal when that was last asked."""
    session_age_s: float | None
    """Since the feed was last proven to be alive. None: there is none, or it never was."""


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


def one(field: str, scale: float = 1) -> Callable[[Observation], Iterable[Sample]]:
    """Read one field of the counters."""
    get = attrgetter(field)

    def read(seen: Observation) -> Iterable[Sample]:
        value: Any = get(seen.stats)
        return [Sample((), value * scale if scale != 1 else value)]

    return read


def each(**fields: str) -> Callable[[Observation], Iterable[Sample]]:
    """Read several fields, each with the value of a label."""

    def read(seen: Observation) -> Iterable[Sample]:
        return [Sample((label,), getattr(seen.stats, field)) for label, field in fields.items()]

    return read


def kinds(seen: Observation) -> Iterable[Sample]:
    """Read what was invalidated, by how."""
    return [Sample((kind,), count) for kind, count in seen.kinds.items()]


def journal(field: str) -> Callable[[Observation], Iterable[Sample]]:
    """Read one field of each journal's backlog."""
    get = attrgetter(field)
    return lambda seen: [Sample((name,), get(held)) for name, held in seen.journals.items()]


def session_age(seen: Observation) -> Iterable[Sample]:
    """Read the age of the session, where there is one."""
    return [] if seen.session_age_s is None else [Sample((), seen.session_age_s)]


def coherence(seen: Observation) -> Iterable[Sample]:
    """Read how L1 is kept coherent, as a label."""
    return [Sample((seen.stats.coherence,), 1)]


def breaker(seen: Observation) -> Iterable[Sample]:
    """Read how the breaker stands, as a label."""
    return [Sample((seen.stats.breaker,), 1)]
