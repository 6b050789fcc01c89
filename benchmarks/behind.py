"""Write-behind: how long an accept waits, and how many rows a second are flushed.

``python -m benchmarks behind`` is the short form: the accepts. ``python -m benchmarks.behind``
measures all: accepts, flushes into SQLite and PostgreSQL, and both at a time. It starts the
servers that it needs; ``--database URL`` names another PostgreSQL.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import behind_accept

__all__ = ["run"]


def run(url: str) -> None:
    """Measure accepts, in a few rounds. `url` is not used: journals need servers that keep."""
    behind_accept.run(5, ["sqlite", "redis", "memory"])


def main(arguments: list[str]) -> int:
    """Measure what is named, or all of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.behind")
    parser.add_argument("what", nargs="*", help="accept, flush, end-to-end")
    parser.add_argument("--journals", default="sqlite,redis,redis-always,memory")
    parser.add_argument("--database", help="URL of a PostgreSQL database to write to")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args(arguments)
    what = given.what or ["accept", "flush", "end-to-end"]
    if "accept" in what:
        behind_accept.run(given.rounds, given.journals.split(","))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
