"""A journal in Redis as people handle it: what waits, what is dead, and what to do about it."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import heapq
from collections.abc import Sequence
from operator import attrgetter

from freshwell._sync.stores.redis import Commands
from freshwell._sync.stores.redis_shards import Shards, backlog_of, sound
from freshwell._sync.stores.scripts import Call, script
from freshwell.errors import ConfigurationError, JournalUnavailable, LetterSuperseded
from freshwell.ground.records import Backlog, DeadLetter, Draft, Kind, Record
from freshwell.ground.streams import (
    FORMAT,
    MAX_SHARDS,
    JournalKeys,
    is_superseded,
    letter_in,
    sequence_in,
    sequence_text,
    shard_of_sequence,
    told,
)

__all__ = ["RedisDesk"]

_AT_ONCE = 10
"""How many letters are read at a time: they may be large."""
_MOST = 2**63 - 1
_NO_BOUND = -1
_NO_LETTER = -1
_SUPERSEDED = -2


class RedisDesk:
    """A journal in Redis, to be looked at and cleared up: a `Desk`. Belongs to the link's home.

    Raises `JournalUnavailable`, and `ConfigurationError` where there is no such journal. No
    method asks whether the server is fit.
    """

    def __init__(self, link: Commands, namespace: str, name: str) -> None:
        self._shards = Shards(link, JournalKeys(namespace, name))
        self._shown = f"{name!r} of {namespace!r}"
        self._count = 0
        self._accept = script("journal_accept")
        self._drop = script("journal_drop")

    def backlog(self) -> Backlog:
        return backlog_of(self._shards.states(self._counted()), "redis")

    def flushers(self) -> list[str]:
        shards = range(self._counted())
        tokens = self._shards.ask([(b"GET", self._shards.of(s).owner) for s in shards])
        return [(token or b"").decode("ascii", "replace") for token in tokens]

    def pending(self, after: int = 0, limit: int = 100) -> list[Record]:
        every = range(self._counted())
        taken = [found for found in self._shards.take(every, after, limit) if found]
        records = list(heapq.merge(*(t.records for t in taken), key=attrgetter("sequence")))
        # Behind the end of what was cut off, records of that shard would be missing.
        ends = [found.records[-1].sequence for found in taken if found.cut]
        known = records if not ends else [r for r in records if r.sequence <= min(ends)]
        return known[:limit]

    def dead(self, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        shards = self._counted()
        asked = [(b"HKEYS", self._shards.of(shard).dead) for shard in range(shards)]
        replies = self._shards.ask(asked)
        found = {int(field) for reply in replies for field in reply if field.isdigit()}
        wanted = sorted(sequence for sequence in found if sequence > after)[:limit]
        letters: list[DeadLetter] = []
        for start in range(0, len(wanted), _AT_ONCE):
            letters += self._letters(wanted[start : start + _AT_ONCE])
        return letters

    def letter(self, sequence: int) -> DeadLetter | Record | None:
        shards = self._counted()
        if not 0 < sequence <= _MOST:
            return None
        if letters := self._letters([sequence]):
            return letters[0]
        taken = self._shards.take([shard_of_sequence(sequence, shards)], sequence - 1, 1)
        records = [record for found in taken if found for record in found.records]
        return next((record for record in records if record.sequence == sequence), None)

    def retry(self, sequence: int, *, force: bool = False) -> int | None:
        """Accept a dead letter's write anew: see `Desk`. No bound of the journal is in its way."""
        shards = self._counted()
        letters = self._letters([sequence])
        if not letters:
            return None
        record = letters[0].record
        draft = Draft(
            record.name, record.id, record.kind | Kind.REVIVED, record.payload, record.token
        )
        shard = shard_of_sequence(sequence, shards)
        keys = self._shards.of(shard)
        own = (keys.records, keys.latest, keys.about, keys.dead, keys.deadkeys)
        terms: list[bytes | int] = [shards, shard, _NO_BOUND, _NO_BOUND, 1, b"one"]
        terms += (sequence_text(sequence), b"force" if force else b"", *told(draft))
        call: Call = own, terms
        status, *ids = sound(self._shards.run(self._accept, [call])[0], list)
        if status == _NO_LETTER:
            return None
        if status == _SUPERSEDED:
            raise LetterSuperseded(
                "the letter's key has been written since: to store the older value all the same, "
                "force it"
            )
        return sequence_in(ids[0])

    def drop(self, sequence: int) -> bool:
        self._counted()
        letters = self._letters([sequence])
        if not letters:
            return False
        keys = self._shards.of(shard_of_sequence(sequence, self._count))
        terms = (sequence_text(sequence), letters[0].record.name.encode())
        reply = self._shards.run(self._drop, [((keys.dead, keys.deadkeys), terms)])
        return bool(reply[0] == 1)

    def close(self) -> None:
        self._shards.link.close()

    def _letters(self, sequences: Sequence[int]) -> list[DeadLetter]:
        """Return those of the dead letters that there are, in order."""
        keys = [self._shards.of(shard_of_sequence(s, self._count)) for s in sequences]
        kept = self._shards.ask(
            [(b"HGET", k.dead, sequence_text(s)) for k, s in zip(keys, sequences, strict=True)]
        )
        pairs = zip(sequences, kept, keys, strict=True)
        known = [(s, data, k) for s, data, k in pairs if isinstance(data, bytes)]
        letters = [letter_in(s, data) for s, data, _ in known]
        marks = self._shards.ask(
            [
                (b"HGET", k.deadkeys, letter.record.name)
                for letter, (_, _, k) in zip(letters, known, strict=True)
            ]
        )
        return [
            letter._replace(superseded=is_superseded(letter.record.sequence, mark))
            for letter, mark in zip(letters, marks, strict=True)
        ]

    def _counted(self) -> int:
        """Return how many shards there are: never another number, once the journal is begun."""
        if not self._count:
            about = self._shards.keys.about
            (noted,) = self._shards.ask([(b"HMGET", about, b"format", b"shards")])
            form, shards = noted
            if form is None:
                raise ConfigurationError(f"there is no journal {self._shown} there")
            if form != FORMAT or not shards.isdigit() or not 0 < int(shards) <= MAX_SHARDS:
                raise JournalUnavailable("the journal is of a format that is not known here")
            self._count = int(shards)
        return self._count
