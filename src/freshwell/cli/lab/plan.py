"""What one contender's run is made of. Plain values, so that it travels to worker processes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Outcome", "Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One contender's run. `run` names it on a shared server."""

    contender: str
    run: str
    database: str
    ttl_s: float
    entries: int
    workers: int
    read: str
    redis: str | None
    delay_s: float


@dataclass(slots=True)
class Outcome:
    """What a run measured, over all its processes. Times are seconds, latencies microseconds."""

    contender: str
    requests: int
    reads: int
    writes: int
    loads: int
    elapsed_s: float
    p50_us: float
    p99_us: float
    stale_reads: int
    worst_stale_ms: float
    memory_bytes: int
    figures: dict[str, float]
    errors: int = 0

    @property
    def hit_ratio(self) -> float:
        """The share of reads that did not ask the source."""
        return max(0.0, 1.0 - self.loads / self.reads) if self.reads else 0.0

    @property
    def throughput(self) -> float:
        """Requests per second."""
        return self.requests / self.elapsed_s if self.elapsed_s else 0.0
