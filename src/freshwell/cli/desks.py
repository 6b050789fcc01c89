"""What the commands of ``freshwell journal`` have in common: their options, and opening a journal.

Journals are worked on beside the processes whose they are: nothing here takes a lock for long,
and no bound of theirs is in the way of what people decide.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NamedTuple

import typer

from freshwell._kit.places import Place, place_of
from freshwell._sync.stores.journal import Desk
from freshwell._sync.stores.journal_places import journals_at, open_desk
from freshwell.cli.target import UsageFault, checked
from freshwell.ground.journaling import JournalKind, journal_name, journal_spec
from freshwell.ground.keys import check_namespace
from freshwell.ground.records import DeadLetter, Record
from freshwell.ground.streams import JournalName

__all__ = [
    "AtDesk",
    "JournalArgument",
    "JournalCacheOption",
    "NameOption",
    "WhereOption",
    "entries",
    "opened_desk",
]

_CONNECT_S: Final = 2.0
_COMMAND_S: Final = 5.0
_NO_BOUND: Final = 2**62
_PAGE: Final = 100
_MOST_NAMED: Final = 20

JournalArgument = Annotated[
    str,
    typer.Argument(
        metavar="JOURNAL",
        help='The journal, as its code gives it: sqlite:///pending.db, "redis" for the one beside '
        "the entries, or the URL of another Redis.",
        show_default=False,
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="FRESHWELL_URL",
        help='Where the entries are, for the journal "redis".',
        show_default=False,
    ),
]
JournalCacheOption = Annotated[
    str,
    typer.Option(
        "--cache",
        metavar="NAME",
        help="On Redis: the cache, as in Cache(namespace=NAME); shop/reports for namespace reports "
        "in it.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="On Redis: what the journal is called. Left out, it is looked for among all keys of "
        "the server, in small steps.",
        show_default=False,
    ),
]


class AtDesk(NamedTuple):
    """An open journal. `place`: the Redis where it is, or None."""

    desk: Desk
    called: str
    place: Place | None

    def __str__(self) -> str:
        """Return what people call it, without secrets."""
        return f"journal {self.called}"


@contextmanager
def opened_desk(journal: str, url: str | None, cache: str, name: str | None) -> Iterator[AtDesk]:
    """Open the journal that a command is about. A file is opened on first use.

    Raises `UsageFault` and `ConfigurationError` where there is none of that name, and
    `StoreUnavailable` where the server did not say which there are.
    """
    at = _at_desk(journal, url, cache, name)
    try:
        yield at
    finally:
        at.desk.close()


def entries(
    desk: Desk, *, pending: bool, after: int = 0, most: int | None = None
) -> Iterator[Record | DeadLetter]:
    """Yield dead letters, or records that wait, in order. Holds a page of them at a time."""
    left = most
    while left is None or left > 0:
        limit = _PAGE if left is None else min(left, _PAGE)
        page = desk.pending(after, limit) if pending else desk.dead(after, limit)
        if not page:
            return
        yield from page
        last = page[-1]
        after = last.sequence if isinstance(last, Record) else last.record.sequence
        left = None if left is None else left - len(page)


def _at_desk(journal: str, url: str | None, cache: str, name: str | None) -> AtDesk:
    if name is not None:
        journal_name(name, "")
    for part in cache.split("/"):
        checked("--cache", check_namespace, part)
    spec = journal_spec(journal, None, shared=True)
    if spec.kind is JournalKind.MEMORY:
        raise UsageFault("a journal in memory is seen by its own process alone")
    if spec.kind is JournalKind.FILE:
        if name is not None:
            raise UsageFault("--name is for journals on Redis: a file holds one journal")
        return _in_file(spec.place)
    if spec.kind is JournalKind.BESIDE and url is None:
        raise UsageFault(
            'the journal "redis" is beside the entries: say where those are, with --url'
        )
    place = place_of(url if spec.kind is JournalKind.BESIDE else spec.place)
    named = JournalName(cache, name or _only_name(place, cache))
    desk = open_desk(
        place,
        named.namespace,
        named.name,
        connect_timeout_s=_CONNECT_S,
        command_timeout_s=_COMMAND_S,
    )
    return AtDesk(desk, f"{named.name!r} of cache {cache!r} at {place!r}", place)


def _in_file(path: str) -> AtDesk:
    from freshwell._sync.stores.local_journal import LocalJournal

    desk = LocalJournal(
        path, owner=None, max_records=_NO_BOUND, max_bytes=_NO_BOUND, max_dead=_NO_BOUND
    )
    return AtDesk(desk, str(desk), None)


def _only_name(place: Place, cache: str) -> str:
    """Return the name of the only journal of a cache. Raises `UsageFault`, which lists them."""
    every = journals_at(place, connect_timeout_s=_CONNECT_S, command_timeout_s=_COMMAND_S)
    own = [found.name for found in every if found.namespace == cache]
    if len(own) == 1:
        return own[0]
    if own:
        raise UsageFault(
            f"cache {cache!r} has {len(own)} journals at {place!r}: give --name, one of "
            f"{_listed(own)}"
        )
    others = [f"--cache {found.namespace} --name {found.name}" for found in every]
    known = f"; there are {_listed(others)}" if others else ", and no other cache has one"
    raise UsageFault(f"cache {cache!r} has no journal at {place!r}{known}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(itertools.islice(names, _MOST_NAMED)) + more
