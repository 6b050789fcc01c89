"""What a server's counters say: hits, evictions, memory, waiting, and slow commands. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from freshwell.cli.doctor.findings import Finding, Severity
from freshwell.cli.doctor.seen import ServerSeen
from freshwell.cli.target import counted

__all__ = ["judge_load"]

_ENOUGH_READS: Final = 10_000
_FEW_HITS: Final = 0.5
_FAST_EVICTIONS: Final = 0.1
_SOME_EVICTIONS: Final = 1_000
_FRAGMENTED: Final = 1.5
_SWAPPED: Final = 0.9
_MUCH_MEMORY: Final = 100 * 2**20
_MANY_BLOCKED: Final = 50
_SLOW_EVENT_MS: Final = 100
_OVER_ALL: Final = frozenset(
    {
        *("KEYS", "SMEMBERS", "HGETALL", "HKEYS", "HVALS", "LRANGE", "ZRANGE", "ZRANGEBYSCORE"),
        *("SORT", "SUNION", "SINTER", "SDIFF", "FLUSHALL", "FLUSHDB", "DEL", "XRANGE"),
    }
)


def judge_load(seen: ServerSeen) -> Iterator[Finding]:
    """Yield what the counters of a server say."""
    yield from _hits(seen)
    yield from _memory(seen)
    blocked = seen.number("blocked_clients") or 0
    if blocked >= _MANY_BLOCKED:
        evidence = f"{counted(blocked, 'client')} of {seen.number('connected_clients')} wait"
        yield Finding("blocked-clients", Severity.NOTICE, evidence)
    used = seen.calls("keys")
    if used:
        evidence = f"KEYS was run {counted(used, 'time')} since the server started"
        yield Finding("keys-used", Severity.WARNING, evidence)
    yield from _slow(seen)
    for event, longest_ms in seen.latency:
        if longest_ms >= _SLOW_EVENT_MS:
            yield Finding("latency", Severity.NOTICE, f"{event} took up to {longest_ms:,} ms")


def _hits(seen: ServerSeen) -> Iterator[Finding]:
    hits, misses = seen.number("keyspace_hits") or 0, seen.number("keyspace_misses") or 0
    reads = hits + misses
    if reads >= _ENOUGH_READS and hits < _FEW_HITS * reads:
        evidence = f"{hits / reads:.0%} of {reads:,} reads found something"
        yield Finding("hit-ratio", Severity.WARNING, evidence)
    evicted, expired = seen.number("evicted_keys") or 0, seen.number("expired_keys") or 0
    # Of the keys that went, so many before their time that the rest hardly had one.
    if evicted >= _SOME_EVICTIONS and evicted > _FAST_EVICTIONS * (evicted + expired):
        evidence = f"{evicted:,} keys were evicted, and {expired:,} came to their end"
        yield Finding("evictions", Severity.NOTICE, evidence)


def _memory(seen: ServerSeen) -> Iterator[Finding]:
    used = seen.number("used_memory") or 0
    try:
        ratio = float(seen.info.get("mem_fragmentation_ratio", ""))
    except ValueError:
        return
    if used < _MUCH_MEMORY:  # else what an empty server takes would count
        return
    if ratio >= _FRAGMENTED or ratio < _SWAPPED:
        evidence = f"mem_fragmentation_ratio is {ratio:.2f} at {used / 2**20:,.0f} MiB used"
        yield Finding("fragmentation", Severity.WARNING, evidence)


def _slow(seen: ServerSeen) -> Iterator[Finding]:
    times: defaultdict[str, list[int]] = defaultdict(list)
    for command, us in seen.slow:
        if command in _OVER_ALL:
            times[command].append(us)
    for command, its in sorted(times.items(), key=lambda pair: -max(pair[1])):
        evidence = (
            f"{command} is {counted(len(its), 'time')} in the slow log, the longest took "
            f"{max(its) / 1_000:,.1f} ms"
        )
        yield Finding("slow-commands", Severity.WARNING, evidence)
