"""``freshwell journal``: what waits in a journal, what is dead, and what to do about it."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from freshwell.cli.desks import (
    AtDesk,
    JournalArgument,
    JournalCacheOption,
    NameOption,
    WhereOption,
    entries,
    opened_desk,
)
from freshwell.cli.letters import HEAD, exported, letter_facts, letter_line, letter_rows
from freshwell.cli.standing import standing_of
from freshwell.cli.target import (
    UsageFault,
    answering,
    confirm,
    counted,
    print_line,
    print_rows,
    say,
)
from freshwell.errors import LetterSuperseded
from freshwell.ground.records import DeadLetter, Record

__all__ = ["drop", "export", "journals", "list_", "retry", "show", "status"]

_LETTER: Final = "dead letter"
_MOST_SEQUENCE: Final = 2**63 - 1

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
PendingOption = Annotated[
    bool, typer.Option("--pending", help="Records that wait to be flushed, and no dead letters.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All dead letters that there are now.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
SequencesArgument = Annotated[
    list[int] | None,
    typer.Argument(
        metavar="SEQUENCE",
        min=1,
        max=_MOST_SEQUENCE,
        help="Dead letters, by their sequences.",
        show_default=False,
    ),
]

journals = typer.Typer(
    help="Look at a journal of write-behind, and clear it up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@journals.command()
def status(
    journal: JournalArgument,
    url: WhereOption = None,
    cache: JournalCacheOption = "default",
    name: NameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a journal holds, who flushes it, and whether its servers are fit. Changes nothing.

    Exit code 0: nothing has to be done. 1: something needs a look, as the last lines say: dead
    letters, writes that nobody flushes, a server that may evict writes. 2: that is not known.
    """
    with (
        answering("journal status", unanswered=2),
        opened_desk(journal, url, cache, name) as at,
    ):
        standing = standing_of(at)
        if as_json:
            print_line(json.dumps(standing.as_dict()))
        else:
            print_rows(standing.rows())
        if standing.looks:
            raise typer.Exit(1)


@journals.command("list")
def list_(
    journal: JournalArgument,
    url: WhereOption = None,
    cache: JournalCacheOption = "default",
    name: NameOption = None,
    pending: PendingOption = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, at most.")] = 100,
    after: Annotated[
        int, typer.Option(metavar="SEQUENCE", min=0, help="Those above this sequence.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """List dead letters, or records that wait, in the order of their acceptance.

    Exit code 0: these are those. 2: that is not known.
    """
    with answering("journal list", unanswered=2), opened_desk(journal, url, cache, name) as at:
        found = entries(at.desk, pending=pending, after=after, most=limit)
        last, listed = 0, 0
        for page in _pages(found):
            if as_json:
                for entry in page:
                    print_line(json.dumps(letter_facts(entry)))
            else:
                _print_table(page)
            last, listed = _sequence(page[-1]), listed + len(page)
        if listed == limit:
            typer.echo(f"there may be more: --after {last}", err=True)
        elif not listed and not as_json:
            what = "nothing waits" if pending else "no dead letters"
            typer.echo(f"{what}, {at}", err=True)


@journals.command()
def show(
    journal: JournalArgument,
    sequence: Annotated[
        int,
        typer.Argument(
            metavar="SEQUENCE",
            min=1,
            max=_MOST_SEQUENCE,
            help="A dead letter, or a record that waits.",
            show_default=False,
        ),
    ],
    url: WhereOption = None,
    cache: JournalCacheOption = "default",
    name: NameOption = None,
    no_value: Annotated[
        bool,
        typer.Option(
            "--no-value",
            help="Leave out the value, which is shown as Python writes it, up to 2,000 characters, "
            "where it is JSON or MessagePack.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show all of one dead letter, or of a record that waits.

    Exit code 0: there it is. 1: there is none of this sequence. 2: that is not known.
    """
    with answering("journal show", unanswered=2), opened_desk(journal, url, cache, name) as at:
        entry = at.desk.letter(sequence)
        if entry is None:
            say("journal show", f"there is no letter {sequence}, {at}")
            raise typer.Exit(1)
        if as_json:
            print_line(json.dumps(letter_facts(entry) if no_value else exported(entry)))
        else:
            print_rows(letter_rows(entry, _now_ms(), with_value=not no_value))


@journals.command()
def retry(
    journal: JournalArgument,
    sequences: SequencesArgument = None,
    url: WhereOption = None,
    cache: JournalCacheOption = "default",
    name: NameOption = None,
    every: AllOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also those whose key has been written since.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Accept dead letters anew, behind all other writes, with new sequences. --all asks first.

    Exit code 0: done. 1: some were not, as is said, or the journal did not answer: repeat the
    command. 2: nothing was done.
    """
    command = "journal retry"
    with answering(command, unanswered=1), opened_desk(journal, url, cache, name) as at:
        _check_which(sequences, every=every)
        if every and not yes:
            _ask("retry", at.desk.backlog().dead, at, undone="nothing was retried")

        def again(sequence: int) -> str | None:
            try:
                found = at.desk.retry(sequence, force=force)
            except LetterSuperseded:
                return "its key has been written since: to store it all the same, add --force"
            return None if found is not None else "there is no such dead letter"

        _each(command, "retried", at, sequences, again)


@journals.command()
def drop(
    journal: JournalArgument,
    sequences: SequencesArgument = None,
    url: WhereOption = None,
    cache: JournalCacheOption = "default",
    name: NameOption = None,
    every: AllOption = False,
    yes: YesOption = False,
) -> None:
    """Forget dead letters: their writes are lost. Asks first; see export for a copy.

    Exit code 0: done. 1: some were not there, as is said, or the journal did not answer: repeat
    the command. 2: nothing was done.
    """
    command = "journal drop"
    with answering(command, unanswered=1), opened_desk(journal, url, cache, name) as at:
        _check_which(sequences, every=every)
        if not yes:
            number = len(sequences) if sequences else at.desk.backlog().dead
            _ask("drop", number, at, undone="nothing was dropped")
        _each(
            command,
            "dropped",
            at,
            sequences,
            lambda sequence: None if at.desk.drop(sequence) else "there is no such dead letter",
        )


@journals.command()
def export(
    journal: JournalArgument,
    url: WhereOption = None,
    cache: JournalCacheOption = "default",
    name: NameOption = None,
    pending: PendingOption = False,
) -> None:
    """Print all dead letters, or records that wait, with their values: JSON, one object a line.

    A value that JSON does not have is printed as `payload`, in Base64, with the number of its
    codec. Changes nothing.

    Exit code 0: these are all. 2: they are not.
    """
    with answering("journal export", unanswered=2), opened_desk(journal, url, cache, name) as at:
        for entry in entries(at.desk, pending=pending):
            print_line(json.dumps(exported(entry)))


# -- inside ----------------------------------------------------------------------------------


def _check_which(sequences: list[int] | None, *, every: bool) -> None:
    if not sequences and not every:
        raise UsageFault("which dead letters? Give sequences, or --all")
    if sequences and every:
        raise UsageFault("sequences and --all are given: give one of them")


def _ask(verb: str, number: int, at: AtDesk, *, undone: str) -> None:
    if number:
        confirm(verb, f"{counted(number, _LETTER)}, {at}", undone=undone)


def _each(
    command: str,
    done: str,
    at: AtDesk,
    sequences: list[int] | None,
    act: Callable[[int], str | None],
) -> None:
    """Do something to each letter, and say how many it was done to and why not to others.

    `act` returns why not. None of `sequences`: all that are there now.
    """
    refused = 0
    with _tally(done, at) as count:
        for sequence in sequences or _dead_now(at):
            why_not = act(sequence)
            if why_not is None:
                count()
            else:
                refused += 1
                say(command, f"{sequence}: {why_not}")
    if refused:
        raise typer.Exit(1)


def _dead_now(at: AtDesk) -> Iterator[int]:
    """Yield what is dead now: what is tried again may die again meanwhile, behind all others."""
    number = at.desk.backlog().dead
    return map(_sequence, itertools.islice(entries(at.desk, pending=False), number))


@contextmanager
def _tally(done: str, at: AtDesk) -> Iterator[Callable[[], None]]:
    """Count, and print how many it came to, wherever it ended."""
    number = 0

    def count() -> None:
        nonlocal number
        number += 1

    try:
        yield count
    finally:
        print_line(f"{done} {counted(number, _LETTER)}, {at}")


def _pages(found: Iterator[Any]) -> Iterator[list[Any]]:
    while page := list(itertools.islice(found, 100)):
        yield page


def _print_table(page: list[Record | DeadLetter]) -> None:
    now_ms = _now_ms()
    lines = [HEAD, *(letter_line(entry, now_ms) for entry in page)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        print_line("  ".join(padded).rstrip())


def _sequence(entry: Record | DeadLetter) -> int:
    return entry.record.sequence if isinstance(entry, DeadLetter) else entry.sequence


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
