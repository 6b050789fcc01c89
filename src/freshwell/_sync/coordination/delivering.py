"""Deliver records to their source, and find out which of them it refuses.

A call that raises says nothing of the single records. Where the source is down, none of them is
to blame, and all wait. Else the batch is halved until the ones that fail alone are found: some
twenty calls for one among a thousand. Where none but failures are found, it is the source that
is at fault after all.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from freshwell.engines.breaker import Breaker
from freshwell.engines.incidents import Incidents
from freshwell.engines.window import Handout
from freshwell.ground.batches import Outcome

__all__ = ["Courier", "Deliver", "Report"]

Deliver = Callable[[Sequence[Handout]], Sequence[Outcome]]
"""Calls the source. Returns an outcome for each, or raises what the source raised."""

_MOST_CALLS: Final = 128
_MOST_LEAVES: Final = 8
_REASON_CHARACTERS: Final = 200


@dataclass(slots=True)
class Report:
    """What came of handouts: each is in one of the lists.

    `failed`, `rejected`: with the reason. `back`: they were not tried, or it was not their fault;
    `last`: the same, but others should go first.
    """

    stored: list[Handout] = field(default_factory=list)
    failed: list[tuple[Handout, str]] = field(default_factory=list)
    rejected: list[tuple[Handout, str]] = field(default_factory=list)
    back: list[Handout] = field(default_factory=list)
    last: list[Handout] = field(default_factory=list)
    calls: int = 0
    answered: bool = False


class Courier:
    """Calls one source, for all shards. Safe for any number of tasks or threads.

    `most` says how many records to hand out at a time: few after the source was down, and twice
    as many with each call that it answers, so that one record which brings the source down does
    not hold up all others.
    """

    def __init__(
        self,
        deliver: Deliver,
        breaker: Breaker,
        incidents: Incidents,
        *,
        batch: int,
        is_down: Callable[[BaseException], bool],
        now_ns: Callable[[], int],
        uniform: Callable[[], float],
    ) -> None:
        self._deliver = deliver
        self._breaker = breaker
        self._incidents = incidents
        self._batch = batch
        self._is_down = is_down
        self._now_ns = now_ns
        self._uniform = uniform
        self._mutex = Lock()
        self.most = batch

    def run(self, handouts: Sequence[Handout]) -> Report:
        """Deliver. What the source raises is in the report, but for what is no `Exception`."""
        report = Report()
        groups = [list(handouts)]
        try:
            while groups and report.calls < _MOST_CALLS:
                group = groups.pop()
                error = self._try(group, report)
                if error is None:
                    continue
                if self._is_down(error):
                    report.last += group
                    self._trip(error)
                    break
                if len(group) > 1:
                    half = len(group) // 2
                    groups += [group[half:], group[:half]]
                    continue
                report.failed.append((group[0], _named(error)))
                if self._is_hopeless(report):
                    self._trip(error)
                    break
        except BaseException:
            self._breaker.gave_up()
            raise
        report.back += [handout for group in reversed(groups) for handout in group]
        return report

    def _try(self, group: list[Handout], report: Report) -> Exception | None:
        """Call the source once. Return what it raised."""
        report.calls += 1
        try:
            outcomes = self._deliver(group)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
            return error
        for handout, outcome in zip(group, outcomes, strict=True):
            reason = outcome.reason[:_REASON_CHARACTERS]
            match outcome.kind:
                case "stored":
                    report.stored.append(handout)
                case "retry":
                    report.failed.append((handout, reason))
                case "reject":
                    report.rejected.append((handout, reason))
        report.answered = True
        self._breaker.succeeded()
        with self._mutex:
            self.most = min(2 * self.most, self._batch)
        return None

    def _is_hopeless(self, report: Report) -> bool:
        """Tell whether failures are the source's: a probe failed, or so many and nothing else."""
        alone = self._breaker.is_open or len(report.failed) >= _MOST_LEAVES
        return alone and not report.answered

    def _trip(self, error: Exception) -> None:
        self._breaker.failed(self._now_ns(), self._uniform())
        with self._mutex:
            self.most = 1
        self._incidents.source_down(_named(error))


def _named(error: Exception) -> str:
    """Return what may be kept of an exception: its text may have secrets, its class has none."""
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"[:_REASON_CHARACTERS]
