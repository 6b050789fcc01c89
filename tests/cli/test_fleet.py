"""What looks at a fleet say: rates by each process's own clock, sums, and tables."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from freshwell.cli.fleet.board import board, spark
from freshwell.cli.fleet.model import Fleet, View, as_dict
from freshwell.engines.spread import BOUNDS_S
from freshwell.ground.snapshots import JournalState, Snapshot


def snapshot(process: str = "a", up_ms: int = 1_000, **counts: Any) -> Snapshot:
    others: dict[str, Any] = {
        name: counts.pop(name) for name in ("hot", "journals", "load_counts") if name in counts
    }
    namespace = counts.pop("namespace", "shop")
    return Snapshot(namespace, process, 1_000, up_ms, {"l1_live": 1, **counts}, "feed", **others)


def shown(view: View) -> str:
    console = Console(width=140, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(board(view, "redis://here"))
    return captured.get()


def test_rates_lie_between_two_snapshots_of_a_process() -> None:
    fleet = Fleet()
    fleet.look([snapshot(up_ms=10_000, hits_l1=100, misses=100)])
    view = fleet.look([snapshot(up_ms=12_000, hits_l1=160, hits_l2=20, misses=120)])
    rates = view.namespaces[0].rates
    assert (rates.reads, rates.hits_l1, rates.misses) == (50.0, 30.0, 10.0)
    assert rates.hit_ratio == 0.8


def test_at_the_first_look_they_are_those_since_the_start() -> None:
    view = Fleet().look([snapshot(up_ms=4_000, hits_l1=20)])
    assert view.processes[0].rates.reads == 5.0


def test_the_same_snapshot_seen_twice_changes_no_rate() -> None:
    fleet = Fleet()
    fleet.look([snapshot(up_ms=1_000, loads=0)])
    fleet.look([snapshot(up_ms=2_000, loads=5)])
    assert fleet.look([snapshot(up_ms=2_000, loads=5)]).processes[0].rates.loads == 5.0


def test_a_process_that_began_anew_is_not_below_nothing() -> None:
    fleet = Fleet()
    fleet.look([snapshot(up_ms=60_000, loads=600)])
    assert fleet.look([snapshot(up_ms=1_000, loads=3)]).processes[0].rates.loads == 3.0


def test_processes_are_summed_up_by_their_namespace() -> None:
    journal = JournalState("users", 5, 100, 1, 2.5, False)
    view = Fleet().look(
        [
            snapshot("a", hits_l1=10, entries=3, hot=[("x", 5), ("y", 1)], journals=[journal]),
            snapshot("b", misses=10, entries=4, hot=[("x", 2)], journals=[journal], l1_live=0),
            snapshot("c", namespace="other", misses=1),
        ]
    )
    other, shop = view.namespaces
    assert (other.namespace, other.processes, other.hot) == ("other", 1, [])
    assert (shop.processes, shop.silent, shop.entries) == (2, 1, 7)
    assert shop.rates.hit_ratio == 0.5
    assert shop.hot == [("x", 7), ("y", 1)]
    assert shop.journals == [journal]


def test_who_publishes_no_more_is_forgotten() -> None:
    fleet = Fleet()
    fleet.look([snapshot("a"), snapshot("b", namespace="other")])
    view = fleet.look([snapshot("a")])
    assert [one.namespace for one in view.namespaces] == ["shop"]
    assert len(view.processes) == 1


def test_the_history_has_a_gap_where_nothing_was_read() -> None:
    fleet = Fleet()
    fleet.look([snapshot(up_ms=1_000, hits_l1=1)])
    view = fleet.look([snapshot(up_ms=2_000, hits_l1=1)])
    assert view.namespaces[0].history == [1.0, None]
    assert spark([1.0, None, 0.0, 0.5]) == "█ ▁▅"


@pytest.mark.parametrize(
    ("counts", "p99"),
    [
        ([], None),
        ([100], BOUNDS_S[0]),
        ([98, 2], BOUNDS_S[1]),
        ([0] * len(BOUNDS_S) + [1], float("inf")),
    ],
    ids=["none", "quick", "one of fifty", "slow"],
)
def test_the_time_of_slow_loads_is_a_bound(counts: list[int], p99: float | None) -> None:
    view = Fleet().look([snapshot(load_counts=counts)])
    assert view.processes[0].load_p99_s == p99
    assert "inf" not in str(as_dict(view))


def test_people_see_what_is_wrong() -> None:
    journal = JournalState("users", 5, 4_200, 1, 2.5, True)
    view = Fleet().look(
        [
            snapshot("web.1", up_ms=1_000, hits_l1=9, misses=1, stale_serves=2, l1_live=0),
            snapshot("web.2", up_ms=1_000, shed=3, journals=[journal], hot=[("user:7", 40)]),
        ]
    )
    text = shown(view)
    for word in ("shop", "(1 silent)", "90.0%", "feed: no", "users", "4 KB", "down", "user:7"):
        assert word in text, word


def test_markup_of_others_is_shown_as_it_is() -> None:
    text = shown(Fleet().look([snapshot("[red]x[/red]", hot=[("[link=http://a]k[/link]", 1)])]))
    assert "[red]x[/red]" in text
    assert "[link=http://a]k[/link]" in text


def test_where_nobody_publishes_it_is_said_how_to() -> None:
    assert "cache.publish()" in shown(Fleet().look([]))
