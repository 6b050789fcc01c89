"""Bytes per entry of the L1 table over key and value: ``python -m benchmarks.memory [N]``.

N (1 million) entries of a short key and a short value are put into a dictionary, an
`OrderedDict` and an L1 table, each in a process of its own, in turn, three times. What the
process grew by (resident memory), less the keys and values themselves, is divided by N.
Decorated entries have room for the arguments of a call, whose dictionary is not counted. The
last row lets as many entries again pass through a full table, so that ghosts are kept.
"""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from freshwell.engines.table import Table

__all__ = ["fill", "main"]

_ROUNDS = 3
_TTL_NS = 300 * 1_000_000_000
_PAGE = 4_096


def main(arguments: list[str]) -> int:
    """Measure in child processes and print a table."""
    if len(arguments) == 2:
        print(_measured(arguments[0], int(arguments[1])))
        return 0
    count = int(arguments[0]) if arguments else 1_000_000
    samples: dict[str, list[float]] = {name: [] for name in _CONTENDERS}
    for _ in range(_ROUNDS):
        for name in _CONTENDERS:
            samples[name].append(_in_a_process(name, count))
    print(f"bytes per entry over key and value, {count} entries, median of {_ROUNDS}")
    for name, figures in samples.items():
        print(f"  {name:24} {statistics.median(figures):7.1f}")
    return 0


def _in_a_process(name: str, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", name, str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _measured(name: str, count: int) -> float:
    keys = [f"user:{i:09}" for i in range(2 * count)]
    values = [i + (1 << 40) for i in range(2 * count)]
    gc.collect()
    before = _resident_bytes()
    kept = _CONTENDERS[name](keys, values, count)
    gc.collect()
    after = _resident_bytes()
    assert kept is not None
    return (after - before) / count


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _dict(keys: list[str], values: list[int], count: int) -> object:
    return dict(zip(keys[:count], values, strict=False))


def _ordered_dict(keys: list[str], values: list[int], count: int) -> object:
    return OrderedDict(zip(keys[:count], values, strict=False))


def _table(keys: list[str], values: list[int], count: int) -> object:
    table = Table(max_entries=count, max_bytes=1 << 50)
    fill(table, keys[:count], values[:count])
    assert table.entries == count
    return table


def _decorated_table(keys: list[str], values: list[int], count: int) -> object:
    table = Table(max_entries=count, max_bytes=1 << 50)
    table.expect_aliases()
    fill(table, keys[:count], values[:count])
    return table


def _full_table(keys: list[str], values: list[int], count: int) -> object:
    table = Table(max_entries=count, max_bytes=1 << 50)
    fill(table, keys, values)
    assert table.evictions == count
    return table


def fill(table: Table, keys: list[str], values: list[int]) -> None:
    """Put values under keys."""
    for key, value in zip(keys, values, strict=True):
        _put(table, key, value)


def _put(table: Table, key: str, value: int) -> None:
    now_ns = table._now_ns()
    table.put(
        key,
        value,
        calm_until_ns=now_ns + _TTL_NS,
        fresh_until_ns=now_ns + _TTL_NS,
        stale_until_ns=now_ns + 2 * _TTL_NS,
        born_ns=now_ns,
        cost_ns=1_000_000 + value % 1_000_000,
        size_bytes=32,
    )


_CONTENDERS: dict[str, Callable[[list[str], list[int], int], object]] = {
    "dict": _dict,
    "OrderedDict": _ordered_dict,
    "Table": _table,
    "Table, decorated": _decorated_table,
    "Table, with ghosts": _full_table,
}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
