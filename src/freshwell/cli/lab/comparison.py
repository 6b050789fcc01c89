"""Show strategies beside each other as to what they read *and* write: a table, and its notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from rich import box
from rich.table import Table

from freshwell.cli.lab.copies import SQLITE
from freshwell.cli.lab.errors import LabRunError
from freshwell.cli.lab.plan import Outcome
from freshwell.cli.lab.report import alarming, notes, time_text
from freshwell.cli.lab.runner import Settings

__all__ = ["as_comparison", "check_lost", "comparison_notes"]

_PROMISES: Final[Mapping[str, str]] = {
    "no cache": "A write returns when the database has it.",
    "get-or-set": "A write returns when the database has it and the key is deleted.",
    "cache-aside": (
        "A write returns when the database has it and the entry is gone everywhere. The next "
        "read loads it."
    ),
    "read-through": "As cache-aside: it differs in who calls the loader.",
    "write-through": (
        "A write returns when the database has it and the new value is in the cache. It costs a "
        "round trip more than an invalidation where there is Redis, and saves the next load."
    ),
    "write-behind": (
        "A write returns when a journal has it and the new value is in the cache. The database "
        "is given batches, about 100 ms later, with the newest value of each key: less work, and "
        "whoever reads the database itself is behind. The requests per s are those until the last "
        "acknowledgement, without the flush at the end."
    ),
}


def as_comparison(outcomes: Sequence[Outcome], settings: Settings) -> Table:
    """Return the outcomes as a table, a column for each contender."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for outcome in outcomes:
        table.add_column(outcome.contender, justify="right", no_wrap=True)
    for name, text in _ROWS:
        shown = name.format(max_staleness=f"{settings.max_staleness_s:g} s")
        table.add_row(shown, *(text(outcome) for outcome in outcomes))
    return table


def _behind(text: Callable[[Outcome], str]) -> Callable[[Outcome], str]:
    """Return the text of an outcome whose writes reach the database later; of others, a dash."""
    return lambda outcome: text(outcome) if "backlog_peak" in outcome.figures else "-"


_ROWS: Final[tuple[tuple[str, Callable[[Outcome], str]], ...]] = (
    ("requests per s", lambda o: f"{o.throughput:,.0f}"),
    ("read p50", lambda o: time_text(o.p50_us)),
    ("read p99", lambda o: time_text(o.p99_us)),
    ("write p50", lambda o: time_text(o.write_p50_us)),
    ("write p99", lambda o: time_text(o.write_p99_us)),
    ("hit ratio", lambda o: f"{100 * o.hit_ratio:.1f} %"),
    ("stale reads", lambda o: alarming(o.stale_reads, "yellow")),
    ("  later than {max_staleness}", lambda o: alarming(o.overdue_reads, "red")),
    ("writes acknowledged", lambda o: f"{o.writes:,}"),
    ("  lost", lambda o: alarming(o.lost, "red")),
    ("database writes: statements", lambda o: f"{o.statements:,}"),
    ("  rows", lambda o: f"{o.rows:,}"),
    ("backlog at its peak", _behind(lambda o: f"{o.figures['backlog_peak']:,.0f}")),
    ("flush at the end", _behind(lambda o: time_text(1_000_000 * o.flush_s))),
)


def comparison_notes(outcomes: Sequence[Outcome], settings: Settings) -> Iterator[str]:
    """Yield what each contender promises, and what else a reader of the table has to know."""
    for outcome in outcomes:
        yield f"{outcome.contender}: {_PROMISES[outcome.contender]}"
    if any(outcome.contender == "write-behind" for outcome in outcomes):
        yield f"The journal {_journal(settings)}."
    if settings.database == SQLITE:
        yield "The database's commits survive a crash of this machine too (synchronous=FULL)."
    yield (
        "writes lost: acknowledged ones that the database had not in the end, nor anything newer "
        "of the same key. A write's time is that until it was acknowledged."
    )
    if settings.by_writer:
        yield "Of each key, one process makes all the writes; all of them read it."
    yield from notes(outcomes, settings)


def _journal(settings: Settings) -> str:
    if settings.redis is None:
        each = "a file of SQLite" if settings.processes == 1 else "a file of SQLite in each process"
        return f"is {each}: what it has acknowledged survives a crash of this machine"
    if settings.aof:
        return "is on the server at --redis, which writes to its disk as its appendfsync says"
    return (
        "is on the server at --redis, which keeps no append-only file: a service is refused such a "
        "server, unless it says assume_durable, as the lab did"
    )


def check_lost(outcomes: Sequence[Outcome]) -> None:
    """Raise `LabRunError` where a contender has lost what it had acknowledged."""
    for outcome in outcomes:
        if outcome.lost:
            raise LabRunError(
                f"{outcome.contender} lost {outcome.lost:,} of {outcome.writes:,} "
                "acknowledged writes"
            )
