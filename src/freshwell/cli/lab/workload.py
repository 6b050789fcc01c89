"""Workloads: what is asked of the cache, in which order.

A workload comes from a trace file (`traces`) or is generated here from a row of production
statistics: key popularity (Zipf), the mix of operations, value sizes and TTLs. The rows are
from "A large scale analysis of hundreds of in-memory cache clusters at Twitter" (Yang, Yue,
Rashmi, OSDI 2020; statistics CC BY 4.0, Twitter). A generated workload is *like* the row's
cluster in these figures and in nothing else.
"""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from random import Random
from typing import Final

from freshwell.cli.lab.errors import LabInputError
from freshwell.errors import ConfigurationError
from freshwell.ground.durations import duration_ns

__all__ = ["ROWS", "Row", "Workload", "generate", "named_row", "read_row", "with_writes"]

_NS_PER_S: Final = 1_000_000_000
_READS: Final = frozenset({"get", "gets"})
_MAX_TTL_S: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Row:
    """Statistics of one production cluster."""

    name: str
    zipf_alpha: float
    write_share: float
    value_bytes: int
    ttl_s: float
    """The TTL that most of its entries have."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A sequence of requests. Ids are dense: 0 to `distinct` - 1."""

    name: str
    ids: array[int]
    writes: bytearray
    """1 where the request of the same position is a write."""
    distinct: int
    value_bytes: int
    ttl_s: float

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def write_share(self) -> float:
        """The share of requests that write."""
        return sum(self.writes) / len(self.writes) if self.writes else 0.0

    def part(self, index: int, of: int) -> Workload:
        """Return every `of`-th request from `index` on: one process's share of the work."""
        return replace(self, ids=self.ids[index::of], writes=self.writes[index::of])

    def part_by_writer(self, index: int, of: int) -> Workload:
        """Return a share as `part` does, but for the writes: each id has one process's writes."""
        mine = [
            (id if is_write else place) % of == index
            for place, (id, is_write) in enumerate(zip(self.ids, self.writes, strict=True))
        ]
        ids = array("I", compress(self.ids, mine))
        return replace(self, ids=ids, writes=bytearray(compress(self.writes, mine)))

    def first(self, count: int) -> Workload:
        """Return the first `count` requests."""
        return replace(self, ids=self.ids[:count], writes=self.writes[:count])


ROWS: Final[Mapping[str, Row]] = {
    row.name: row
    for row in (
        Row("cluster4", 1.1004, 0.07, 2439, 60),
        Row("cluster7", 1.0666, 0.18, 1936, 6480),
        Row("cluster16", 1.7862, 0.05, 115, 3600),
        Row("cluster19", 0.735, 0.25, 101, 27_000),
        Row("cluster29", 1.2323, 0.13, 799, 3600),
        Row("cluster34", 1.1401, 0.06, 322, 38_160),
        Row("cluster40", 0.8551, 0.50, 155, 28_800),
        Row("cluster52", 1.2117, 0.06, 273, 86_400),
    )
}
"""Rows that come with the library: read-mostly, mixed, and write-heavy (`cluster40`)."""


def generate(row: Row, *, requests: int, distinct: int, seed: int) -> Workload:
    """Generate a workload like `row`. The same arguments give the same workload."""
    random = Random(seed)  # noqa: S311  # no secret
    ranks = array("I", range(distinct))
    random.shuffle(ranks)
    cumulated = _zipf(distinct, row.zipf_alpha)
    ids = array("I", random.choices(ranks, cum_weights=cumulated, k=requests))
    writes = bytearray(random.random() < row.write_share for _ in range(requests))
    return Workload(f"like {row.name}", ids, writes, distinct, row.value_bytes, row.ttl_s)


def with_writes(workload: Workload, share: float, seed: int) -> Workload:
    """Return the workload with a random share of its requests turned into writes."""
    random = Random(seed)  # noqa: S311  # no secret
    writes = bytearray(random.random() < share for _ in range(len(workload)))
    return Workload(
        workload.name, workload.ids, writes, workload.distinct, workload.value_bytes, workload.ttl_s
    )


def read_row(path: Path, name: str) -> Row:
    """Return the row `name` of a statistics file. Raises `LabInputError` in one sentence."""
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabInputError(f"{path} cannot be read as statistics: {error}") from None
    wanted = ("cluster", "zipf_alpha", "operations", "value_bytes", "common_ttls")
    if not rows or any(column not in rows[0] for column in wanted):
        raise LabInputError(f"{path} is no statistics file: it lacks one of {', '.join(wanted)}")
    for row in rows:
        if row["cluster"] == name:
            return _row(row, path)
    raise LabInputError(f"{path} has no row {name!r}; it has {_some(r['cluster'] for r in rows)}")


def named_row(name: str) -> Row:
    """Return a row that comes with the library. Raises `LabInputError` in one sentence."""
    row = ROWS.get(name)
    if row is None:
        raise LabInputError(f"there is no row {name!r}: use one of {', '.join(ROWS)}, or --stats")
    return row


def _row(row: Mapping[str, str], path: Path) -> Row:
    try:
        alpha, value_bytes = float(row["zipf_alpha"]), int(row["value_bytes"])
        writes = _write_share(row["operations"])
        return Row(row["cluster"], alpha, writes, value_bytes, _common_ttl_s(row["common_ttls"]))
    except (ValueError, ConfigurationError):
        raise LabInputError(
            f"row {row['cluster']!r} of {path} lacks a figure that a workload needs"
        ) from None


def _write_share(operations: str) -> float:
    shares = {op: float(share) for op, share in re.findall(r"(\w+):([0-9.]+)", operations)}
    if not shares:
        raise ValueError(operations)
    return 1.0 - sum(shares.get(op, 0.0) for op in _READS) / sum(shares.values())


def _common_ttl_s(ttls: str) -> float:
    parts = re.findall(r"([0-9.]+[a-z]+):([0-9.]+)", ttls)
    if not parts:
        raise ValueError(ttls)
    text, _ = max(parts, key=lambda part: float(part[1]))
    return min(duration_ns(text, name="common_ttls") / _NS_PER_S, _MAX_TTL_S)


def _zipf(distinct: int, alpha: float) -> list[float]:
    total, cumulated = 0.0, []
    for rank in range(1, distinct + 1):
        total += math.exp(-alpha * math.log(rank))
        cumulated.append(total)
    return cumulated


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
