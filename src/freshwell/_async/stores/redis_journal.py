"""A journal in Redis Streams: each shard in one slot, with one owner by lease.

There are no consumer groups: records stay in the stream until they are settled, so what is left
is what stands there, and whoever owns the shard knows how far it has read. What only reads may
be repeated; what accepts or settles never is.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from freshwell._async.stores.base import Fill
from freshwell._async.stores.fitness import Fitness
from freshwell._async.stores.redis import Commands
from freshwell._async.stores.redis_owners import Owners
from freshwell._async.stores.redis_shards import Shards, backlog_of, pieces, sound, unavailable
from freshwell._async.stores.scripts import Call, script
from freshwell._async.stores.waited import Waits
from freshwell._kit.link_errors import ReplicasMissing
from freshwell._kit.resp import Argument, Reply
from freshwell.errors import (
    ConfigurationError,
    JournalUnavailable,
    JournalUnfit,
    StoreUnavailable,
)
from freshwell.ground.records import Backlog, Draft, Durability, Record, Settled
from freshwell.ground.streams import (
    FORMAT,
    MAX_SHARDS,
    JournalKeys,
    id_of,
    packed,
    record_in,
    sequence_in,
    sequence_text,
    shard_of,
    told,
)

__all__ = ["Layout", "RedisJournal", "Replicas"]

_AT_ONCE = 200
"""So few that the server's other clients do not notice."""
_SEND_BYTES = 2_000_000
_LEASE_MS = 5_000
_LOOK_EVERY_NS = 60_000_000_000
_STORED, _FAILED, _DEAD = range(3)


class Layout(NamedTuple):
    """What a journal is called, and how it is laid out, once and for all.

    `template` names what the writes are of. `max_records`, `max_bytes` and `max_dead` bound the
    journal; each shard has its part of them.
    """

    namespace: str
    name: str
    template: str
    shards: int = 8
    max_records: int = 100_000
    max_bytes: int = 256_000_000
    max_dead: int = 10_000

    def part(self, bound: int) -> int:
        """Return a shard's part of a bound of the journal."""
        return -(-bound // self.shards)


class Replicas(NamedTuple):
    """How many replicas are to have an accepted write within `wait_ms`, and the way to wait."""

    waits: Waits
    wanted: int
    wait_ms: int


class _Fate(NamedTuple):
    """What has become of a record, and of a dead one the letter to keep."""

    record: Record
    kind: int
    letter: bytes = b""


class _Write(NamedTuple):
    """A write as the script is told it, the key of its entry or nothing, and how much that is."""

    terms: tuple[bytes | int, ...]
    key: bytes
    bytes: int

    @classmethod
    def of(cls, draft: Draft, entry: Fill | None) -> _Write:
        terms = told(draft)
        if entry is None:
            return cls(terms, b"", draft.size)
        terms += (entry.frame, entry.fresh_ms, entry.keep_ms)
        return cls(terms, entry.key, draft.size + len(entry.frame))


class RedisJournal:
    """Accepted writes in Redis Streams: a `Journal`. Belongs to the link's home.

    `together`: the link leads to the server and database that L2 is on. `survey`, where the
    primary may be another one day, is asked for who it is, every second while shards are owned.

    Raises, besides what every journal does, `ConfigurationError` where the journal was begun with
    another layout.
    """

    def __init__(
        self,
        link: Commands,
        layout: Layout,
        *,
        fitness: Fitness,
        replicas: Replicas | None = None,
        together: bool = False,
        survey: Callable[[], Awaitable[object]] | None = None,
        lease_ms: int = _LEASE_MS,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not 1 <= layout.shards <= MAX_SHARDS:
            raise ConfigurationError(f"a journal has 1 to {MAX_SHARDS} shards")
        self.durability = Durability.REDIS if replicas is None else Durability.REDIS_WAIT
        self.shards = layout.shards
        self.together = together
        self._layout = layout
        self._bounds = layout.part(layout.max_records), layout.part(layout.max_bytes)
        self._shards = Shards(link, JournalKeys(layout.namespace, layout.name))
        self._replicas = replicas
        self._fitness = fitness
        self._owners = Owners(
            self._shards, layout.shards, lease_ms=lease_ms, survey=survey, now_ns=now_ns
        )
        self._now_ns = now_ns
        self._layout_due_ns = now_ns()
        self._closed = False
        self._accept = script("journal_accept")
        self._latest = script("journal_latest")
        self._settle = script("journal_settle")
        self._open = script("journal_open")

    def __str__(self) -> str:
        """Return what people call it."""
        return f"{self._layout.name!r} of cache {self._layout.namespace!r} on Redis"

    # -- accepting ---------------------------------------------------------------------------

    def shard_of(self, name: str) -> int:
        """Return the shard of an entry's writes."""
        return shard_of(name, self.shards)

    async def accept(
        self, drafts: Sequence[Draft], entries: Sequence[Fill] = (), *, each: bool = False
    ) -> list[int]:
        """Make writes durable and return their sequences: see `Sharing`.

        The writes of one call go to their shards side by side, those of a shard in order.
        """
        await self._check(settled=False)
        assert not entries or (self.together and len(entries) == len(drafts))
        writes = list(map(_Write.of, drafts, entries or repeat(None)))
        if each or len(drafts) == 1:
            shard = self.shard_of(drafts[0].name)
            parts = [(shard, part) for part in self._pieces(range(len(writes)), writes)]
            given = await self._given(parts, writes, b"many")
            return [sequence for sequences in given for sequence in sequences]
        todo = dict(self._parts(drafts, writes))
        found: dict[int, int] = {}
        while todo:
            sent = {shard: part for shard, left in todo.items() if (part := next(left, None))}
            given = await self._given(list(sent.items()), writes, b"one")
            for part, sequences in zip(sent.values(), given, strict=True):
                found.update(zip(part, sequences, strict=True))
            # What is behind one that was refused must not overtake it.
            todo = {s: todo[s] for s, sequences in zip(sent, given, strict=True) if all(sequences)}
        return [found.get(i, 0) for i in range(len(drafts))]

    async def _given(
        self, parts: Sequence[tuple[int, list[int]]], writes: Sequence[_Write], whose: bytes
    ) -> list[list[int]]:
        """Run the script once for each part, and return the sequences that it gives."""
        calls = [self._acceptance(shard, [writes[i] for i in part], whose) for shard, part in parts]
        replies = await self._shards.run(self._accept, calls, send=self._written)
        return [_sequences(r, len(part)) for r, (_, part) in zip(replies, parts, strict=True)]

    def _parts(
        self, drafts: Sequence[Draft], writes: Sequence[_Write]
    ) -> Iterator[tuple[int, Iterator[list[int]]]]:
        """Yield each shard and the places of its writes, in parts that go to it in one piece."""
        shards: dict[int, list[int]] = {}
        for i, draft in enumerate(drafts):
            shards.setdefault(shard_of(draft.name, self.shards), []).append(i)
        for shard, places in shards.items():
            yield shard, self._pieces(places, writes)

    @staticmethod
    def _pieces(places: Sequence[int], writes: Sequence[_Write]) -> Iterator[list[int]]:
        return pieces(places, [writes[i].bytes for i in places], _AT_ONCE, _SEND_BYTES)

    def _acceptance(self, shard: int, writes: Sequence[_Write], whose: bytes) -> Call:
        keys = self._shards.of(shard)
        terms: list[bytes | int] = [self.shards, shard, *self._bounds]
        terms += (len(writes), whose, b"", b"")
        filled: list[bytes] = []
        for own, key, _ in writes:
            terms += own
            if key:
                filled.append(key)
        first = (keys.records, keys.latest, keys.about, keys.dead, keys.deadkeys)
        return (*first, *filled), terms

    async def _written(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send writes once, and wait for replicas where that is asked for."""
        replicas = self._replicas
        if replicas is None:
            return await self._shards.link.batch(commands)
        replies, confirmed = await replicas.waits.batch_waited(
            commands, replicas.wanted, replicas.wait_ms, repeat=False
        )
        accepted = any(isinstance(reply, list) and any(reply[1:]) for reply in replies)
        if accepted and confirmed < replicas.wanted:
            raise ReplicasMissing(confirmed, replicas.wanted, replicas.wait_ms)
        return replies

    async def latest(self, names: Sequence[str]) -> list[Record | None]:
        shards: dict[int, list[str]] = {}
        for name in names:
            shards.setdefault(shard_of(name, self.shards), []).append(name)
        calls: list[Call] = []
        asked: list[str] = []
        for shard, own in shards.items():
            keys = self._shards.of(shard)
            for start in range(0, len(own), _AT_ONCE):
                part = own[start : start + _AT_ONCE]
                asked += part
                calls.append(((keys.latest, keys.records), [name.encode() for name in part]))
        replies = await self._shards.run(self._latest, calls, repeat=True)
        entries = [entry for reply in replies for entry in sound(reply, list)]
        found = {
            name: None if entry is None else _record(entry)
            for name, entry in zip(asked, entries, strict=True)
        }
        return [found[name] for name in names]

    # -- owning ------------------------------------------------------------------------------

    async def own(self, shard: int) -> bool:
        """Become the owner of a shard, or remain it: see `Journal`.

        False also where the processes that flush would not have equal parts of the shards.
        """
        await self._check(settled=True)
        return await self._owners.own(shard)

    async def release(self, shards: Sequence[int]) -> None:
        await self._owners.release(shards)

    # -- flushing ----------------------------------------------------------------------------

    async def take(self, shard: int, after: int, limit: int) -> list[Record]:
        taken = (await self._shards.take([shard], after, limit, self._owners.token))[0]
        if taken is None:
            raise self._owners.lost(shard)
        return taken.records

    async def settle(self, shard: int, settled: Settled) -> int:
        """Note what came of records: see `Journal`.

        In parts, where they are many: each is noted as a whole.
        """
        fates = [
            *(_Fate(record, _STORED) for record in settled.stored),
            *(_Fate(record, _FAILED) for record in settled.failed),
            *(_Fate(record, _DEAD, packed(record, reason)) for record, reason in settled.dead),
        ]
        gone = 0
        for part in pieces(fates, [len(fate.letter) for fate in fates], _AT_ONCE, _SEND_BYTES):
            call = self._settlement(shard, part)
            count = sound((await self._shards.run(self._settle, [call]))[0], int)
            if count < 0:
                raise self._owners.lost(shard)
            gone += count
        return gone

    def _settlement(self, shard: int, part: Sequence[_Fate]) -> Call:
        terms: list[bytes | int] = [
            self._owners.token,
            self._owners.lease_ms,
            self._layout.part(self._layout.max_dead),
            *(sum(fate.kind == kind for fate in part) for kind in (_STORED, _FAILED, _DEAD)),
        ]
        for record, kind, letter in part:
            terms.append(id_of(record.sequence))
            if kind != _FAILED:
                terms += (record.name.encode(), record.size, sequence_text(record.sequence))
            if kind != _STORED:
                terms.append(record.attempts)
            if kind == _DEAD:
                terms.append(letter)
        keys = self._shards.of(shard)
        own = (keys.owner, keys.records, keys.latest, keys.about)
        return (*own, keys.tries, keys.dead, keys.deadkeys), terms

    # -- what is there -----------------------------------------------------------------------

    async def backlog(self) -> Backlog:
        return backlog_of(await self._shards.states(self.shards), self.durability.value)

    async def oldest(self) -> list[int]:
        return [state.first for state in await self._shards.states(self.shards)]

    async def newest(self) -> list[int]:
        return [state.last for state in await self._shards.states(self.shards)]

    async def aclose(self) -> None:
        closed, self._closed = self._closed, True
        if closed:
            return
        try:
            await self._owners.leave()
        finally:
            await self._shards.link.aclose()
            if self._replicas is not None:
                await self._replicas.waits.aclose()

    # -- fitness -----------------------------------------------------------------------------

    async def check(self) -> None:
        """Raise where the journal cannot be used as it is configured, or does not answer."""
        await self._check(settled=False)

    async def _check(self, *, settled: bool) -> None:
        """Look whether the servers are fit, and the journal laid out as it is meant to be.

        `settled`: what is there already is to be flushed, even where nothing more is accepted.
        """
        try:
            await self._fitness.check()
        except JournalUnfit:
            if not (settled and self._fitness.was_fit):
                raise
        except StoreUnavailable as error:
            raise unavailable(error) from error
        if self._now_ns() >= self._layout_due_ns:
            await self._compare()
            self._layout_due_ns = self._now_ns() + _LOOK_EVERY_NS

    async def _compare(self) -> None:
        layout = self._layout
        meant = [FORMAT, b"%d" % layout.shards, layout.template.encode()]
        calls: list[Call] = [(self._shards.keys.about, meant)]
        (reply,) = await self._shards.run(self._open, calls, repeat=True)
        noted = sound(reply, list)
        if noted == meant:
            return
        words = [word.decode("utf-8", "replace") for word in noted if isinstance(word, bytes)]
        raise ConfigurationError(
            f"the journal {layout.name!r} was begun otherwise (format, shards, template: "
            f"{', '.join(words)}): keep that, or flush it with the old settings and give the new "
            "ones another name"
        )


def _sequences(reply: Any, wanted: int) -> list[int]:
    """Return the sequences that a script has given to so many writes. 0: it had no room."""
    try:
        given = [sequence_in(id) if id else 0 for id in sound(reply, list)[1:]]
    except (TypeError, ValueError, AttributeError):
        given = []
    if len(given) != wanted:
        raise JournalUnavailable("an answer of the journal's server has an unknown form")
    return given


def _record(entry: Any) -> Record | None:
    try:
        return record_in(entry)
    except ValueError:
        return None
