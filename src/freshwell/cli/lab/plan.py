"""What one contender's run is made of. Plain values, so that it travels to worker processes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from freshwell.cli.lab.database import Where

__all__ = ["Outcome", "Part", "Plan", "WorkerFailure"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One contender's run. `run` names it on a shared server.

    `tags`: of how many categories each product has one, by whose tag a write invalidates. 0:
    a write invalidates its product's entry. `writing`: freshwell announces writes. `journal` is
    where write-behind keeps accepted writes; the process's id fits into it. `assume_durable`:
    it may, although the server does not keep them when it dies.
    """

    contender: str
    run: str
    database: Where
    ttl_s: float
    max_staleness_s: float
    entries: int
    workers: int
    read: str
    redis: str | None
    delay_s: float
    tags: int = 0
    writing: bool = False
    value_bytes: int = 0
    journal: str = "memory"
    assume_durable: bool = False


@dataclass(slots=True)
class Part:
    """What one process measured. `latencies_ns` and `write_latencies_ns` count durations.

    `statements` and `rows` are the database's writes, those of the flush at the end included,
    which took `flush_ns` when all processes had done their requests.
    """

    latencies_ns: Counter[int] = field(default_factory=Counter)
    write_latencies_ns: Counter[int] = field(default_factory=Counter)
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
    flush_ns: int = 0
    statements: int = 0
    rows: int = 0
    memory_bytes: int = 0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerFailure:
    """What a process sends in place of its part when it cannot go on."""

    reason: str


@dataclass(slots=True)
class Outcome:
    """What a run measured, over all its processes. Latencies are in microseconds.

    A read is stale when it returns a version that had been outdated before the read began: a
    newer version's write had returned, its invalidation included. How late it is counts from
    the return of the first such write. `overdue_reads` are later than `max_staleness`.
    `errors` are requests that raised; their latencies are not counted.

    `statements` and `rows`: what the database was given to write, and the rows it changed.
    `flush_s`: how long it took after the last request until the database had everything that
    was accepted. `lost`: acknowledged writes that it did not have then, nor anything newer.
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
    write_p50_us: float = 0.0
    write_p99_us: float = 0.0
    statements: int = 0
    rows: int = 0
    flush_s: float = 0.0
    lost: int = 0

    @property
    def hit_ratio(self) -> float:
        """The share of reads that did not ask the source."""
        return max(0.0, 1.0 - self.loads / self.reads) if self.reads else 0.0

    @property
    def throughput(self) -> float:
        """Requests per second."""
        return self.requests / self.elapsed_s if self.elapsed_s else 0.0
