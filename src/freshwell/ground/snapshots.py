"""What a process publishes of a cache for others: a small text under a key with a short life.

Read back without trust: whatever the bytes are, nothing is raised, and nothing is taken that has
another form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["JournalState", "Snapshot", "packed", "snapshot_key", "snapshot_pattern", "unpacked"]

_PREFIX: Final = "fw:p:"
_FORM: Final = 1
_MOST_BYTES: Final = 65_536
_MOST_HOT: Final = 100
_MOST_TEXT: Final = 200
_UNFIT: Final = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class JournalState:
    """What waits in one journal of write-behind."""

    name: str
    records: int
    bytes: int
    dead: int
    oldest_age_s: float
    source_down: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One cache of one process, as it was a moment ago.

    - `process`: unlike those of others. `up_ms`: how long the cache has been published; the counts
      are since it was built.
    - `counts`: the fields of `Stats` that are numbers, by name. `coherence`: the one that is none.
    - `load_counts`: how many loads took up to each bound of `engines/spread`, and longer.
    - `hot`: keys, or digests of keys, and about how often they were asked for beyond memory.
    """

    namespace: str
    process: str
    every_ms: int
    up_ms: int
    counts: Mapping[str, int]
    coherence: str = ""
    load_counts: Sequence[int] = ()
    hot: Sequence[tuple[str, int]] = ()
    journals: Sequence[JournalState] = field(default=())


def snapshot_key(namespace: str, process: str) -> bytes:
    """Return the key that a process publishes under."""
    return f"{_PREFIX}{namespace}:{process}".encode()


def snapshot_pattern(namespace: str | None = None) -> bytes:
    """Return the glob that finds the snapshots of a cache, or of all."""
    return f"{_PREFIX}{namespace}:*".encode() if namespace else f"{_PREFIX}*".encode()


def packed(snapshot: Snapshot) -> bytes:
    """Return the bytes to publish."""
    data = {
        "form": _FORM,
        "namespace": snapshot.namespace,
        "process": snapshot.process,
        "every_ms": snapshot.every_ms,
        "up_ms": snapshot.up_ms,
        "counts": dict(snapshot.counts),
        "coherence": snapshot.coherence,
        "load_counts": list(snapshot.load_counts),
        "hot": [list(one) for one in snapshot.hot[:_MOST_HOT]],
        "journals": [
            {
                "name": one.name,
                "records": one.records,
                "bytes": one.bytes,
                "dead": one.dead,
                "oldest_age_s": round(one.oldest_age_s, 3),
                "source_down": one.source_down,
            }
            for one in snapshot.journals
        ],
    }
    return json.dumps(data, separators=(",", ":")).encode()


def unpacked(data: bytes | None) -> Snapshot | None:
    """Return the snapshot that bytes are. None: they are none that this version knows."""
    if data is None or len(data) > _MOST_BYTES:
        return None
    try:
        found = json.loads(data)
        if found["form"] != _FORM:
            return None
        return Snapshot(
            namespace=_text(found["namespace"]),
            process=_text(found["process"]),
            every_ms=_count(found["every_ms"]),
            up_ms=_count(found["up_ms"]),
            counts={_text(name): _count(value) for name, value in found["counts"].items()},
            coherence=_text(found["coherence"]),
            load_counts=tuple(_count(value) for value in found["load_counts"]),
            hot=tuple((_text(key), _count(reads)) for key, reads in found["hot"][:_MOST_HOT]),
            journals=tuple(map(_journal, found["journals"])),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _journal(found: Any) -> JournalState:
    return JournalState(
        _text(found["name"]),
        _count(found["records"]),
        _count(found["bytes"]),
        _count(found["dead"]),
        max(0.0, float(found["oldest_age_s"])),
        found["source_down"] is True,
    )


def _text(value: Any) -> str:
    """Return text that can be shown on a terminal: others may have written it."""
    if not isinstance(value, str):
        raise TypeError("no text")
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value[:_MOST_TEXT])


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("no count")
    return value
