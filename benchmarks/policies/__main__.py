"""Simulate eviction on traces: ``python -m benchmarks.policies --traces DIR [--limit N]``.

A trace is a file ``*.trace`` or ``*.trace.xz`` of big-endian unsigned 32-bit keys, one per
request. Tables of 0.1, 1 and 10 % of each trace's distinct keys are simulated, over the first
N requests (1.5 million where nothing is said). Prints hit ratios in percent. Hashes differ
from process to process, and figures with them by about 0.1.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.policies.references import Clock, SmallAndMain, hits_of_lru, hits_of_policy
from freshwell.engines.eviction import AdaptiveClock, Policy

_SHARES = (0.001, 0.01, 0.1)
_POLICIES: dict[str, Callable[[], Policy]] = {
    "Clock": Clock,
    "S3-FIFO, 1 bit": SmallAndMain,
    "AdaptiveClock": AdaptiveClock,
}
_TOLERANCE = 0.5


def main(arguments: Sequence[str]) -> int:
    """Print a table of hit ratios per trace. Return 1 where ours is more than 0.5 below LRU."""
    options = _parser().parse_args(arguments)
    paths = sorted(path for path in options.traces.iterdir() if ".trace" in path.suffixes)
    if not paths:
        print(f"there are no traces in {options.traces}", file=sys.stderr)
        return 2
    sums: dict[str, list[float]] = {}
    for path in paths:
        for name, ratios in _ratios(path, options.limit).items():
            cells = " ".join(f"{ratio:6.2f}" for ratio in ratios)
            print(f"{path.name.partition('.')[0]:16} {name:16} {cells}", flush=True)
            sums.setdefault(name, []).extend(ratios)
    print()
    worst = 0.0
    for name, ratios in sums.items():
        worst = min(a - b for a, b in zip(ratios, sums["LRU"], strict=True))
        mean = sum(ratios) / len(ratios)
        print(f"{'mean':16} {name:16} {mean:6.2f}   least above LRU: {worst:+.2f}")
    return 1 if worst < -_TOLERANCE else 0


def _ratios(path: Path, limit: int) -> dict[str, list[float]]:
    everything = _read(path)
    keys = everything[:limit].tolist()
    distinct = len(set(everything))
    ratios: dict[str, list[float]] = {name: [] for name in ("LRU", *_POLICIES)}
    for share in _SHARES:
        capacity = max(1, int(distinct * share))
        ratios["LRU"].append(100 * hits_of_lru(keys, capacity) / len(keys))
        for name, make in _POLICIES.items():
            ratios[name].append(100 * hits_of_policy(keys, capacity, make) / len(keys))
    return ratios


def _read(path: Path) -> array[int]:
    data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    keys = array("I", data)
    if sys.byteorder == "little":
        keys.byteswap()
    return keys


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policies", description=__doc__)
    parser.add_argument("--traces", type=Path, required=True, metavar="DIR")
    parser.add_argument("--limit", type=int, default=1_500_000, metavar="N")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
