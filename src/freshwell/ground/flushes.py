"""How accepted writes are flushed to their source: sizes, times and patience."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FlushOptions"]

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushOptions:
    """What a flusher goes by.

    - `batch`, `batch_bytes`: the most writes of one call of the source, and their size; one that
      is larger goes alone.
    - `flush_every_ns`: how long the first write of a batch waits for others.
    - `coalesce`: the last write of a key stands for those before it.
    - `max_attempts`: how often the source may refuse a write before it becomes a dead letter.
    - `retry_base_ns`, `retry_most_ns`: the wait after the first refusal, and the longest.
    - `breaker_base_ns`, `breaker_most_ns`: the same for a source that is down.
    - `window_records`, `window_bytes`: the most that is held of a shard. Where so much waits for
      another try, the shard waits with it.
    - `beat_ns`: how often the ownership of shards is renewed, and asked for where another has it.
    - `trust_ns`: how long it is relied on without renewal. Shorter than a journal lets it stand.
    - `look_ns`: how often the journal is asked how much waits.
    """

    batch: int = 500
    batch_bytes: int = 4 * 2**20
    flush_every_ns: int = _NS_PER_S // 10
    coalesce: bool = True
    max_attempts: int = 8
    retry_base_ns: int = _NS_PER_S // 5
    retry_most_ns: int = 60 * _NS_PER_S
    breaker_base_ns: int = _NS_PER_S // 10
    breaker_most_ns: int = 30 * _NS_PER_S
    window_records: int = 10_000
    window_bytes: int = 64 * 2**20
    beat_ns: int = _NS_PER_S
    trust_ns: int = 3 * _NS_PER_S
    look_ns: int = 10 * _NS_PER_S
