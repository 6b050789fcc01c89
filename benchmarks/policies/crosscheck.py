"""The references beside libCacheSim's: ``python -m benchmarks.policies.crosscheck``.

Needs libcachesim (PyPI) and nothing of freshwell, in an environment of its own. FIFO, LRU,
SIEVE and Belady must give the very same hits; where papers leave room (ARC, S3-FIFO,
W-TinyLFU) the difference is shown, and judged by nobody.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.policies.references import (
    REFERENCES,
    Fifo,
    hits_of,
    hits_of_belady,
)
from benchmarks.policies.traces import synthetic

_THEIRS = {
    "FIFO": "FIFO",
    "LRU": "LRU",
    "SIEVE": "Sieve",
    "ARC": "ARC",
    "S3-FIFO": "S3FIFO",
    "W-TinyLFU": "WTinyLFU",
    "Belady": "Belady",
}
_SAME = {"FIFO", "LRU", "SIEVE", "Belady"}


def main() -> int:
    """Print hits in percent, ours and theirs. Return 1 where two differ that may not."""
    try:
        library = importlib.import_module("libcachesim")
    except ImportError:
        print("libcachesim is not installed: pip install libcachesim", file=sys.stderr)
        return 2
    wrong = 0
    for trace in synthetic(20_000):
        for capacity in trace.capacities:
            print(f"{trace.name}, {capacity} entries")
            for name, theirs in _THEIRS.items():
                ours = _ours(name, trace.keys, capacity)
                other = _hits_of_library(library, theirs, trace.keys, capacity)
                differs = name in _SAME and ours != other
                wrong += differs
                count = len(trace.keys) / 100
                mark = "  DIFFERS" if differs else ""
                print(f"  {name:10} {ours / count:6.2f} {other / count:6.2f}{mark}")
    return 1 if wrong else 0


def _ours(name: str, keys: Sequence[int], capacity: int) -> int:
    if name == "Belady":
        return hits_of_belady(keys, capacity)
    return hits_of(Fifo() if name == "FIFO" else REFERENCES[name](), keys, capacity)


def _hits_of_library(library: Any, name: str, keys: Sequence[int], capacity: int) -> int:
    never = (1 << 63) - 1
    following, last = [never] * len(keys), dict[int, int]()
    for at in range(len(keys) - 1, -1, -1):
        following[at] = last.get(keys[at], never)
        last[keys[at]] = at
    cache = getattr(library, name)(cache_size=capacity)
    hits = 0
    for key, again in zip(keys, following, strict=True):
        request = library.Request()
        request.obj_id, request.obj_size, request.next_access_vtime = key, 1, again
        hits += bool(cache.get(request))
    return hits


if __name__ == "__main__":
    raise SystemExit(main())
