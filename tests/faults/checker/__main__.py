"""The long form: ``python -m tests.faults.checker --minutes 10 --seed 7 --topology cluster``.

Runs the cases in turn, each for a while and with a seed of its own, until the time is over, and
prints a line for each. Ends with status 1 where there was a violation, or where a process failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.checker.cases import CONTROLS, LONG_CASES
from tests.faults.checker.director import Case, Outcome, run
from tests.faults.checker.sites import SITES
from tests.support.processes import WorkerFailed

__all__ = ["main"]

_TURN_S = 30.0
_CAP_S = 120.0
_SEEDS = 1_000_000


def main(words: Sequence[str] | None = None) -> int:
    """Run the checker as told on the command line. Returns the exit status."""
    told = _told(words)
    cases = [
        case
        for case in (CONTROLS if told.controls else LONG_CASES)
        if told.topology in ("all", case.topology) and told.case in case.name
    ]
    if not cases:
        print(f"no case of this topology has {told.case!r} in its name")
        return 2
    print(f"seed {told.seed}, raised by one for each line")
    print(_line("case", "reads", "violations", "forgiven", "writes", "worst", "faults"))
    until_s = time.monotonic() + 60 * told.minutes
    wrong, turn = 0, 0
    while turn < len(cases) if told.controls else time.monotonic() < until_s:
        case = cases[turn % len(cases)]
        left_s = max(0.0, until_s - time.monotonic())
        wrong += _take_turn(case, told.seed + turn, min(_TURN_S, left_s), caught=told.controls)
        turn += 1
    return 1 if wrong else 0


def _take_turn(case: Case, seed: int, seconds: float, *, caught: bool) -> int:
    """Run one case and print its line. Returns 1 where it went wrong."""
    with tempfile.TemporaryDirectory(prefix="checker-") as folder:
        try:
            outcome = run(
                case,
                Path(folder),
                seed=seed,
                reads=2**62 if caught else 0,
                seconds=seconds,
                cap_s=_CAP_S,
                until_caught=caught,
            )
        except WorkerFailed as failed:
            print(f"{case.name} (seed {seed}): {failed}")
            return 1
    print(_shown(outcome), flush=True)
    if bool(outcome.violations) is caught:
        return 0
    print(f"  NOT AS IT SHOULD BE: {outcome}", flush=True)
    return 1


def _shown(outcome: Outcome) -> str:
    counts = outcome.counts
    told = ", ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items()))
    return _line(
        outcome.case.name,
        f"{outcome.reads:,}",
        f"{outcome.violations:,}",
        f"{counts['forgiven']:,}",
        f"{counts['writes']:,}",
        f"{outcome.worst_ms:.0f} ms",
        told,
    )


def _line(name: str, *words: str) -> str:
    *numbers, faults = words
    return f"{name:32}" + "".join(f"{number:>12}" for number in numbers) + f"  {faults}"


def _told(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.faults.checker", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=time.monotonic_ns() % _SEEDS)
    parser.add_argument("--topology", choices=[*SITES, "all"], default="all")
    parser.add_argument("--case", default="", help="only cases with this in their name")
    parser.add_argument("--controls", action="store_true", help="the controls: each once")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
