"""Compare with other caches: ``python -m benchmarks.rivals [hits] [memory] [l2] [stampede]
[invalidation]``, all of them where none is named.

``--full`` takes more rounds, more tasks and more entries: some 15 minutes in place of 3.
``--json FILE`` and ``--markdown FILE`` keep what was measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.rivals import in_process, invalidation, memory, shared, shared_sync, stampede
from benchmarks.rivals.report import (
    Table,
    as_json,
    as_markdown,
    of_groups,
    of_memory,
    of_stampedes,
    of_sweeps,
)
from tests.support.servers import Server

_PEERS = (
    "aiocache",
    "async-lru",
    "cachebox",
    "cachetools",
    "cashews",
    "diskcache",
    "django",
    "django-redis",
    "dogpile.cache",
    "fastapi-cache2",
    "theine",
    "redis",
)


def _hits(url: str, full: bool) -> list[Table]:
    return of_groups(in_process.run(15 if full else 5))


def _memory(url: str, full: bool) -> list[Table]:
    count, rounds = (1_000_000, 3) if full else (200_000, 1)
    return [of_memory(memory.run(count, rounds), count)]


def _l2(url: str, full: bool) -> list[Table]:
    tasks, threads = ((1, 16, 256, 1_000), (1, 16, 256, 1_000)) if full else ((1, 256), (1, 16))
    rounds = 9 if full else 3
    return of_groups(shared.run(url, rounds, tasks)) + of_groups(
        shared_sync.run(url, rounds, threads)
    )


def _stampede(url: str, full: bool) -> list[Table]:
    return [of_stampedes(stampede.run(url, 5 if full else 1))]


def _invalidation(url: str, full: bool) -> list[Table]:
    counts = (100_000, 1_000_000) if full else (20_000,)
    return [of_sweeps(invalidation.run(url, count), count) for count in counts]


_ALL: dict[str, Callable[[str, bool], list[Table]]] = {
    "hits": _hits,
    "memory": _memory,
    "l2": _l2,
    "stampede": _stampede,
    "invalidation": _invalidation,
}


def main() -> None:
    """Run what is named, and print and keep the tables."""
    parser = argparse.ArgumentParser(description="Compare freshwell with other caches.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_ALL))
    parser.add_argument("--full", action="store_true", help="more rounds, tasks and entries")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in _ALL:
            parser.error(f"there is no comparison {name!r}: use {', '.join(_ALL)}")
    began = time.monotonic()
    tables: list[Table] = []
    with Server() as server:
        head = _head(server)
        print(", ".join(f"{key} {value}" for key, value in head.items() if key != "versions"))
        for name in asked.names or _ALL:
            server.wipe()
            found = _ALL[name](server.url, asked.full)
            print("\n" + as_markdown(found), flush=True)
            tables += found
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(head, tables), indent=1) + "\n")
    if asked.markdown is not None:
        asked.markdown.write_text(as_markdown(tables))
    print(f"{time.monotonic() - began:.0f} s in all")


def _head(server: Server) -> dict[str, Any]:
    return {
        "date": str(datetime.now(UTC).date()),
        "python": platform.python_version(),
        "redis": ".".join(map(str, server.version())),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in _PEERS},
    }


if __name__ == "__main__":
    main()
