"""Write-behind: how long an accept waits, and how many rows a second are flushed.

``python -m benchmarks behind`` is the short form: accepts into a file and into Redis.
``python -m benchmarks.behind`` measures all: accepts, flushes into SQLite and PostgreSQL, and both
at a time. It starts the servers that it needs; ``--database URL`` names another PostgreSQL.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack

from benchmarks import behind_accept, behind_flush
from tests.support.postgres import Postgres

__all__ = ["run"]


def run(url: str) -> None:
    """Measure accepts, in a few rounds. `url` is not used: journals need servers that keep."""
    behind_accept.run(3, ["sqlite", "redis"])


def main(arguments: list[str]) -> int:
    """Measure what is named, or all of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.behind")
    parser.add_argument("what", nargs="*", help="accept, flush, end-to-end")
    parser.add_argument("--journals", default="sqlite,redis,redis-always,memory")
    parser.add_argument("--database", help="URL of a PostgreSQL database to write to")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--flush-rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    what = given.what or ["accept", "flush", "end-to-end"]
    if "accept" in what:
        behind_accept.run(given.rounds, given.journals.split(","))
    if "flush" in what or "end-to-end" in what:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            server = given.database or stack.enter_context(Postgres()).url
            databases = {
                "SQLite": f"sqlite:///{folder}/people.db",
                "PostgreSQL": server.replace("postgresql://", "postgresql+psycopg://"),
            }
            for name, url in databases.items():
                if "flush" in what:
                    behind_flush.run(name, url, given.flush_rounds)
                if "end-to-end" in what:
                    behind_flush.end_to_end(name, url)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
