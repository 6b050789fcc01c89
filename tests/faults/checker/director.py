"""Run a case: start its processes, break things on a seeded schedule, and add up what was seen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.checker.faults import FAULTS, Missed, Scene
from tests.faults.checker.orders import Orders
from tests.faults.checker.sites import SITES, Site
from tests.faults.checker.tally import COUNTED, Tallies
from tests.support.history import History
from tests.support.processes import Worker, workers

__all__ = ["Case", "Outcome", "run"]

_CHECKER = "tests.faults.checker"
_NS_PER_MS = 1_000_000
_PAUSE_S = 0.05
_SUMS = COUNTED.index("worst_ns")


@dataclass(frozen=True)
class Case:
    """Processes that read and write a history, and the faults that befall them.

    Each colour is there once as a reader and once as a writer; they share one L2.
    """

    name: str
    orders: Orders
    faults: tuple[str, ...] = ()
    topology: str = "standalone"
    least_s: float = 0.0
    """How long it takes at least, for what it looks for to happen."""
    colours: tuple[str, ...] = ("_async", "_sync")


@dataclass
class Outcome:
    """What a run has shown."""

    case: Case
    seed: int
    counts: dict[str, int] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    worst: str = ""
    """The worst violation, in words."""

    @property
    def reads(self) -> int:
        return self.counts["reads"]

    @property
    def violations(self) -> int:
        return self.counts["violations"]

    @property
    def worst_ms(self) -> float:
        """How outdated an answer was at the most."""
        return self.counts["worst_ns"] / _NS_PER_MS

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        faults = ", ".join(f"{name} x{count}" for name, count in self.faults.items())
        return f"{self.case.name} (seed {self.seed}): {counts}; {faults or 'no faults'}{self.worst}"


def run(
    case: Case,
    folder: Path,
    *,
    seed: int,
    reads: int,
    writes: int = 0,
    seconds: float = 0.0,
    cap_s: float,
    until_caught: bool = False,
) -> Outcome:
    """Run a case until it has so many reads and writes, lasted so long, and had all its faults.

    Ends after `cap_s` in any case, and with `until_caught` at the first violation. Raises
    `WorkerFailed` where a process raised anything.
    """
    outcome = Outcome(case, seed)
    past = History.create(folder / "history", case.orders.cells)
    with SITES[case.topology]() as site, _started(case, site, folder, seed) as (tallies, crew):
        began_s = time.monotonic()
        scene = Scene(site, crew, past, Random(seed), case.orders.bound_s)

        def is_over() -> bool:
            lasted_s = time.monotonic() - began_s
            enough = tallies.total("reads") >= reads and tallies.total("writes") >= writes
            done = enough and lasted_s >= max(seconds, case.least_s)
            caught = until_caught and tallies.total("violations") > 0
            return lasted_s > cap_s or caught or (done and set(case.faults) <= set(outcome.faults))

        _break_things(scene, case.faults, outcome.faults, is_over)
        site.settle()
        tallies.end()
        for worker in crew:
            worker.result()
        outcome.seconds = time.monotonic() - began_s
        _add_up(outcome, tallies)
    return outcome


def _break_things(scene: Scene, faults: Sequence[str], done: Counter[str], is_over: Any) -> None:
    """Let one fault after the other befall the run, in an order of chance, until it is over."""
    while True:
        for fault in scene.random.sample(faults, len(faults)) or ("",):
            if is_over():
                return
            scene.rest(0.2, 1)
            if fault:
                try:
                    FAULTS[fault](scene)
                    done[fault] += 1
                except Missed:
                    time.sleep(_PAUSE_S)


@contextmanager
def _started(
    case: Case, site: Site, folder: Path, seed: int
) -> Iterator[tuple[Tallies, list[Worker]]]:
    """Start the processes of a case, each with a way to the servers and a row of its own."""
    parts = [(colour, part) for colour in case.colours for part in ("reader", "writer")]
    tallies = Tallies.create(folder / "tallies", len(parts))
    crew: list[Worker] = []
    with ExitStack() as stack:
        for row, ((colour, part), url) in enumerate(zip(parts, site.urls(len(parts)), strict=True)):
            arguments = {
                "url": url,
                "folder": str(folder),
                "row": row,
                "seed": 1_000 * seed + 10 * row,
                "orders": case.orders.told(),
            }
            target = f"{_CHECKER}.{colour}.parts:reader"
            if part == "writer":
                target, arguments["colour"] = f"{_CHECKER}.nursery:writers", colour
            crew += stack.enter_context(workers(target, [arguments]))
        for worker in crew:
            worker.wait_ready()
        for worker in crew:
            worker.go()
        yield tallies, crew


def _add_up(outcome: Outcome, tallies: Tallies) -> None:
    for name in COUNTED[:_SUMS]:
        outcome.counts[name] = tallies.total(name)
    outcome.counts["worst_ns"] = tallies.greatest("worst_ns")
    for row, tally in enumerate(tallies.rows()):
        if tally["late_ns"]:
            outcome.worst += (
                f"; process {row}: version {tally['late_version']} of cell {tally['late_cell']} "
                f"was served {tally['late_ns'] / _NS_PER_MS:.1f} ms after its end"
            )
