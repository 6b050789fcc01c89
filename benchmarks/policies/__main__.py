"""Replay traces through the L1 table and other policies: ``python -m benchmarks.policies``.

Recorded traces are read from a folder (``--traces``, see `traces.py` for the formats) and go
through tables of 0.1, 1 and 10 % of their distinct keys, or of their bytes where the trace has
sizes. Made traces (loops, scans, tiny tables and so on) have sizes of their own. freshwell is
the real table; Belady is what was possible. The cost of a hit and a put is measured as well.

Ends with 1 where, on recorded traces, the table is more than half a point below LRU in a cell,
or on average not above the best of LRU, S3-FIFO and ARC. Hashes differ from process to process,
and freshwell's figures with them by about 0.1 (`PYTHONHASHSEED=0` makes them the same).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.policies.cost import costs
from benchmarks.policies.references import REFERENCES, hits_of, hits_of_belady, hits_of_bytes
from benchmarks.policies.replay import counted_bytes, hits_of_table, hits_of_table_bytes
from benchmarks.policies.report import OURS, Cell, as_json, as_markdown, failures
from benchmarks.policies.traces import Trace, read_folder, sampled, synthetic

_MADE = 100_000
_SHORT = 20_000


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for, print it as Markdown, and write the files that are asked for."""
    options = _parser().parse_args(arguments)
    if options.traces is not None and not options.traces.is_dir():
        print(f"there is no folder {options.traces}: name one with traces", file=sys.stderr)
        return 2
    cells: list[Cell] = []
    for trace, recorded in _traces(options):
        for cell in _cells(trace, options.sizes, recorded=recorded):
            cells.append(cell)
            print(f"{cell.trace}, {cell.size} {cell.unit}", file=sys.stderr, flush=True)
    if not cells:
        print(f"there are no traces in {options.traces}", file=sys.stderr)
        return 2
    taken = {} if options.no_cost else costs(*((4_000, 3) if options.short else (40_000, 15)))
    head = {
        "day": str(datetime.now(UTC).date()),
        "python": platform.python_version(),
        "limit": options.limit,
        "short": options.short,
    }
    markdown = as_markdown(cells, taken)
    print(markdown, end="")
    if options.markdown is not None:
        options.markdown.write_text(markdown)
    if options.json is not None:
        options.json.write_text(json.dumps(as_json(head, cells, taken), indent=1) + "\n")
    below = failures(cells)
    for line in below:
        print(f"below target: {line}", file=sys.stderr)
    return 1 if below else 0


def _traces(options: argparse.Namespace) -> Iterator[tuple[Trace, bool]]:
    if options.traces is not None:
        for trace in read_folder(options.traces, options.limit):
            yield (sampled(trace, _SHORT) if options.short else trace), True
    if not options.no_made:
        for trace in synthetic(_SHORT if options.short else _MADE):
            yield trace, False


def _cells(trace: Trace, shares: Sequence[float], *, recorded: bool) -> Iterator[Cell]:
    """Replay a trace through caches of all sizes that are its own, or shares of it."""
    if trace.sizes is not None:
        counted = [counted_bytes(*pair) for pair in zip(trace.keys, trace.sizes, strict=True)]
        everything = sum(dict(zip(trace.keys, counted, strict=True)).values())
        for share in shares:
            size = max(1, int(everything * share / 100))
            yield Cell(trace.name, size, "bytes", recorded, _by_bytes(trace, counted, size))
        return
    sizes = trace.capacities or [max(1, int(trace.distinct * share / 100)) for share in shares]
    for size in sizes:
        yield Cell(trace.name, size, "entries", recorded, _by_entries(trace.keys, size))


def _by_entries(keys: Sequence[int], size: int) -> dict[str, float]:
    hits = {name: hits_of(make(), keys, size) for name, make in REFERENCES.items()}
    hits[OURS] = hits_of_table(keys, size)
    hits["Belady"] = hits_of_belady(keys, size)
    return {name: 100 * count / len(keys) for name, count in hits.items()}


def _by_bytes(trace: Trace, counted: Sequence[int], size: int) -> dict[str, float]:
    assert trace.sizes is not None
    hits = {
        name: hits_of_bytes(make(), trace.keys, counted, size) for name, make in REFERENCES.items()
    }
    hits[OURS] = hits_of_table_bytes(trace.keys, trace.sizes, size)
    return {name: 100 * count / len(trace.keys) for name, count in hits.items()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.policies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--traces", type=Path, metavar="DIR", help="a folder of recorded traces")
    add("--limit", type=int, default=1_500_000, metavar="N", help="requests of each (0: all)")
    add("--sizes", type=float, nargs="+", default=[0.1, 1, 10], metavar="PERCENT")
    add("--short", action="store_true", help="samples of the traces, in a minute")
    add("--no-made", action="store_true", help="leave out the made traces")
    add("--no-cost", action="store_true", help="do not measure time")
    add("--json", type=Path, metavar="FILE")
    add("--markdown", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
