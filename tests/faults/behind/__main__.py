"""The long form: ``python -m tests.faults.behind --kills 50 --seed 7``.

Runs each campaign with so many kills of writers and as many of flushers, and prints a line for
each. With ``--controls``, what is not safe: each must show a loss. Ends with status 1 where it is
not as it should be, or where a process failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.behind.cases import CONTROLS, long_form
from tests.faults.behind.director import Case, run
from tests.support.postgres import Postgres

__all__ = ["main"]

_LEASE_S = 5.0
_SEEDS = 1_000_000


def main(words: Sequence[str] | None = None) -> int:
    """Run the campaigns as told on the command line. Returns the exit status."""
    told = _told(words)
    cases = CONTROLS if told.controls else long_form(told.kills, told.lease)
    chosen = [case for case in cases if told.case in case.name]
    if not chosen:
        print(f"no campaign has {told.case!r} in its name")
        return 2
    print(f"seed {told.seed}, raised by one for each campaign")
    with Postgres() as source:
        wrong = [
            _goes_wrong(case, source, told.seed + i, loses=told.controls)
            for i, case in enumerate(chosen)
        ]
    return 1 if any(wrong) else 0


def _goes_wrong(case: Case, source: Postgres, seed: int, *, loses: bool) -> bool:
    """Run one campaign and print what it has shown."""
    source.wipe()
    with tempfile.TemporaryDirectory(prefix="behind-") as folder:
        try:
            outcome = run(case, Path(folder), source, seed=seed)
        except AssertionError as failed:
            print(f"{case.name} (seed {seed}): {failed}", flush=True)
            return True
    print(outcome, flush=True)
    wrong = outcome.verdict.lost == 0 if loses else bool(outcome.verdict.wrong)
    if wrong:
        print("  NOT AS IT SHOULD BE", flush=True)
    return wrong


def _told(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults.behind", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of writers, and of flushers")
    parser.add_argument("--seed", type=int, default=time.monotonic_ns() % _SEEDS)
    parser.add_argument("--lease", type=float, default=_LEASE_S, help="of a shard, in seconds")
    parser.add_argument("--case", default="", help="only campaigns with this in their name")
    parser.add_argument("--controls", action="store_true", help="the controls: each once")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
