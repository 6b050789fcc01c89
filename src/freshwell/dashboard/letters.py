"""Dead letters of the journals on one Redis: list them, retry them, drop them.

Each call opens what it needs and closes it: people are slow, and connections are not kept for them.
Called in worker threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from freshwell._kit.places import Place
from freshwell._sync.stores.journal import Desk
from freshwell._sync.stores.journal_places import journals_at, open_desk
from freshwell.cli.letters import letter_facts
from freshwell.errors import BacklogFull, LetterSuperseded
from freshwell.ground.streams import JournalName

__all__ = ["Letters"]

_CONNECT_S: Final = 2.0
_COMMAND_S: Final = 5.0
_MOST: Final = 100


class Letters:
    """The dead letters at one place."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def journals(self) -> list[dict[str, Any]]:
        """Return each journal, with its dead letters (at most 100) but without their values.

        Costs the server a look at each of its keys, in small steps. Raises `StoreUnavailable`,
        `JournalUnavailable`.
        """
        found = journals_at(self._place, connect_timeout_s=_CONNECT_S, command_timeout_s=_COMMAND_S)
        return [self._journal(name) for name in sorted(found)]

    def retry(self, namespace: str, name: str, sequence: int) -> str:
        """Accept a dead letter's write anew. Return in a sentence what came of it."""
        with self._desk(JournalName(namespace, name)) as desk:
            try:
                renewed = desk.retry(sequence)
            except LetterSuperseded:
                return "not retried: its key has been written since"
            except BacklogFull:
                return "not retried: the journal is full"
        return "it is not there any more" if renewed is None else "accepted anew"

    def drop(self, namespace: str, name: str, sequence: int) -> str:
        """Forget a dead letter. Return in a sentence what came of it."""
        with self._desk(JournalName(namespace, name)) as desk:
            return "dropped" if desk.drop(sequence) else "it is not there any more"

    def _journal(self, name: JournalName) -> dict[str, Any]:
        with self._desk(name) as desk:
            backlog, dead = desk.backlog(), desk.dead(0, _MOST)
        return {
            "namespace": name.namespace,
            "name": name.name,
            "records": backlog.records,
            "bytes": backlog.bytes,
            "dead": backlog.dead,
            "oldest_age_s": backlog.oldest_age_s,
            # Sequences as text: a browser's numbers are not wide enough.
            "letters": [
                facts | {"sequence": str(facts["sequence"])} for facts in map(letter_facts, dead)
            ],
        }

    @contextmanager
    def _desk(self, name: JournalName) -> Iterator[Desk]:
        desk = open_desk(
            self._place,
            name.namespace,
            name.name,
            connect_timeout_s=_CONNECT_S,
            command_timeout_s=_COMMAND_S,
        )
        try:
            yield desk
        finally:
            desk.close()
