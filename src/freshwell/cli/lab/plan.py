"""What one contender's run is made of. Plain values, so that it travels to worker processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Outcome", "Part", "Plan", "WorkerFailure"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One contender's run. `run` names it on a shared server.

    `tags`: of how many categories each product has one, by whose tag a write invalidates. 0:
    a write invalidates its product's entry. `writing`: freshwell announces writes.
    """

    contender: str
    run: str
    database: str
    ttl_s: float
    max_staleness_s: float
    entries: int
    workers: int
    read: str
    redis: str | None
    delay_s: float
    tags: int = 0
    writing: bool = False


@dataclass(slots=True)
class Part:
    """What one process measured. `latencies_ns` counts reads by their duration."""

    latencies_ns: Counter[int] = field(default_factory=Counter)
    reads: int = 0
    writes: int = 0
    loads: int = 0
    stale_reads: int = 0
    overdue_reads: int = 0
    worst_stale_ns: int = 0
    errors: int = 0
    first_error: str = ""
    began_ns: int = 0
    ended_ns: int = 0
    memory_bytes: int = 0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """What a process sends in place of its part when it cannot go on."""

    reason: str


@dataclass(slots=True)
class Outcome:
    """What a run measured, over all its processes. Latencies are of reads, in microseconds.

    A read is stale when it returns a version that had been outdated before the read began: a
    newer version's write had returned, its invalidation included. How late it is counts from
    the return of the first such write. `overdue_reads` are later than `max_staleness`.
    `errors` are requests that raised; their latencies are not counted.
    """

    contender: str
    requests: int
    reads: int
    writes: int
    loads: int
    elapsed_s: float
    p50_us: float
    p99_us: float
    stale_reads: int
    overdue_reads: int
    worst_stale_ms: float
    memory_bytes: int
    figures: dict[str, float]
    errors: int = 0
    first_error: str = ""

    @property
    def hit_ratio(self) -> float:
        """The share of reads that did not ask the source."""
        return max(0.0, 1.0 - self.loads / self.reads) if self.reads else 0.0

    @property
    def throughput(self) -> float:
        """Requests per second."""
        return self.requests / self.elapsed_s if self.elapsed_s else 0.0
