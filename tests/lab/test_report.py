"""The report: quantiles, what the table says, what its readers are told besides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from freshwell.cli.lab.comparison import as_comparison, comparison_notes
from freshwell.cli.lab.plan import Outcome, Part
from freshwell.cli.lab.report import as_table, notes, title
from freshwell.cli.lab.runner import Settings, _outcome, quantiles
from freshwell.cli.lab.workload import Row, generate
from tests.lab.test_stale_reads import PLAN

SETTINGS = Settings(
    contenders=("get-or-set",), workers=4, processes=2, entries=100, ttl_s=60,
    max_staleness_s=2, read="fresh", redis=None, delay_s=0, plain_requests=50,
)  # fmt: skip
OUTCOME = Outcome(
    contender="get-or-set", requests=1_000, reads=900, writes=100, loads=90, elapsed_s=0.5,
    p50_us=12.34, p99_us=5_600, stale_reads=17, overdue_reads=3, worst_stale_ms=2_500,
    memory_bytes=3 * 2**20, figures={},
)  # fmt: skip


def shown(*outcomes: Outcome) -> str:
    return rendered(as_table(outcomes, SETTINGS))


def rendered(table: Table) -> str:
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def testquantiles_are_those_of_the_sorted_values() -> None:
    values = [*range(1, 101)] * 3
    ordered = sorted(values)
    shares = (0.0, 0.5, 0.99)
    expected = [ordered[int(share * len(ordered))] for share in shares]
    assert quantiles(Counter(values), shares) == expected
    assert quantiles(Counter([7]), (0.5, 0.99)) == [7, 7]
    assert quantiles(Counter(), (0.5, 0.99)) == [0, 0]


def test_an_outcome_adds_up_the_parts_of_all_processes() -> None:
    one = Part(
        Counter({1_000: 3}), reads=3, writes=1, loads=2, stale_reads=1, worst_stale_ns=5_000_000,
        began_ns=1_000_000_000, ended_ns=2_000_000_000, figures={"hits": 1},
    )  # fmt: skip
    two = replace(
        one, latencies_ns=Counter({9_000: 5}), reads=5, worst_stale_ns=8_000_000,
        ended_ns=3_000_000_000, errors=1, first_error="TimeoutError", figures={"hits": 4},
    )  # fmt: skip
    outcome = _outcome(PLAN, [one, two])
    assert (outcome.requests, outcome.reads, outcome.writes) == (10, 8, 2)
    assert (outcome.loads, outcome.hit_ratio) == (4, 0.5)
    assert (outcome.elapsed_s, outcome.throughput) == (2, 5)
    assert (outcome.p50_us, outcome.p99_us) == (9, 9)
    assert (outcome.stale_reads, outcome.worst_stale_ms) == (2, 8)
    assert (outcome.errors, outcome.first_error) == (1, "TimeoutError")
    assert outcome.figures == {"hits": 5}


def test_the_table_shows_every_figure() -> None:
    row = next(line for line in shown(OUTCOME).splitlines() if "get-or-set" in line)
    assert row.split() == [
        "get-or-set", "1,000", "90.0", "%", "90", "12.3", "us", "5.6", "ms", "2,000", "17", "3",
        "2.5", "s", "3.0",
    ]  # fmt: skip
    assert "than 2 s" in shown(OUTCOME)


def test_a_row_without_stale_reads_has_no_worst_one() -> None:
    clean = replace(OUTCOME, stale_reads=0, overdue_reads=0, worst_stale_ms=0)
    row = next(line for line in shown(clean).splitlines() if "get-or-set" in line)
    assert row.split()[-4:] == ["0", "0", "-", "3.0"]


def test_notes_say_what_the_table_does_not() -> None:
    told = list(notes([OUTCOME], SETTINGS))
    assert any("Without --redis each process has a cache of its own" in note for note in told)
    assert not any("requests failed" in note for note in told)
    assert any("saves loads here and no time" in note for note in told)
    assert not any("no time" in note for note in notes([OUTCOME], replace(SETTINGS, delay_s=0.005)))
    failed = replace(OUTCOME, contender="no cache", errors=2, first_error="TimeoutError")
    told = list(notes([failed], replace(SETTINGS, redis="redis://localhost")))
    assert not any("Without --redis" in note for note in told)
    assert any("the first 50 requests" in note for note in told)
    assert any("2 requests failed, the first one with TimeoutError" in note for note in told)


def test_the_title_names_the_workload_and_the_settings() -> None:
    workload = generate(Row("example", 1.0, 0.5, 100, 60), requests=2_000, distinct=30, seed=1)
    text = title(workload, SETTINGS)
    assert "like example: 2,000 requests on 30 keys, 5" in text
    assert "2 processes of 4 tasks, in process, 100 entries in memory" in text
    behind = replace(SETTINGS, redis="redis://:secret@host", database="postgresql://a:secret@host")
    text = title(workload, behind)
    assert "tasks, Redis behind L1, PostgreSQL behind it, 100 entries in memory" in text
    assert "secret" not in text


def test_the_title_says_how_writes_are_made_where_it_is_not_the_usual_way() -> None:
    workload = generate(Row("example", 1.0, 0.5, 100, 60), requests=2_000, distinct=30, seed=1)
    assert "writes invalidate" not in title(workload, SETTINGS)
    tagged = title(workload, replace(SETTINGS, tags=1_000))
    assert tagged.splitlines()[2:] == ["writes invalidate by one of 1,000 tags"]
    both = title(workload, replace(SETTINGS, tags=5, writing=True))
    assert both.splitlines()[2:] == [
        "writes invalidate by one of 5 tags, and are announced where freshwell serves"
    ]


def test_the_comparison_shows_a_column_for_each_contender() -> None:
    one = replace(OUTCOME, write_p50_us=7, write_p99_us=9_000, statements=100, rows=90, lost=4)
    two = replace(one, contender="write-behind", figures={"backlog_peak": 1_500}, flush_s=0.02)
    shown = rendered(as_comparison([one, two], SETTINGS))
    lines = [line.split() for line in shown.splitlines()]
    assert ["get-or-set", "write-behind"] in lines
    assert ["write", "p99", "9.0", "ms", "9.0", "ms"] in lines
    assert ["later", "than", "2", "s", "3", "3"] in lines
    assert ["lost", "4", "4"] in lines
    assert ["rows", "90", "90"] in lines
    assert ["backlog", "at", "its", "peak", "-", "1,500"] in lines
    assert ["flush", "at", "the", "end", "-", "20.0", "ms"] in lines


def test_the_notes_of_a_comparison_say_what_each_contender_promises() -> None:
    behind = replace(OUTCOME, contender="write-behind")
    told = list(comparison_notes([OUTCOME, behind], replace(SETTINGS, contenders=["write-behind"])))
    assert any(note.startswith("get-or-set: A write returns when the database") for note in told)
    assert any(note.startswith("write-behind: A write returns when a journal") for note in told)
    assert any("is a file of SQLite in each process" in note for note in told)
    assert any("one process makes all the writes" in note for note in told)
    assert any("A read is stale when" in note for note in told)
    shared = replace(SETTINGS, redis="redis://localhost")
    assert any("assume_durable" in note for note in comparison_notes([behind], shared))
    kept = replace(shared, aof=True)
    assert not any("assume_durable" in note for note in comparison_notes([behind], kept))
