"""The shards of a journal in Redis, as whoever keeps it and whoever looks at it talk to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from freshwell._async.stores.redis import Commands
from freshwell._async.stores.scripts import Call, Script, Send, run_script, script
from freshwell._kit.link_errors import ReplicasMissing, ServerReplied
from freshwell._kit.resp import Argument, Reply
from freshwell.errors import JournalUnavailable, StoreUnavailable
from freshwell.ground.records import Backlog, Record
from freshwell.ground.streams import JournalKeys, ShardKeys, id_of, ms_of, record_in, sequence_in

__all__ = [
    "READ_BYTES",
    "ShardState",
    "Shards",
    "Taken",
    "backlog_of",
    "pieces",
    "sound",
    "unavailable",
]

READ_BYTES = 4_000_000
"""How much one script reads, but for the record that goes beyond."""
_MS_PER_S = 1_000

T = TypeVar("T")


class ShardState(NamedTuple):
    """What one shard holds. `first` and `last` are sequences. 0: it has no records."""

    records: int
    bytes: int
    dead: int
    first: int
    last: int
    now_ms: int


class Taken(NamedTuple):
    """Records of a shard, in order. `cut`: there may be more, for these are large."""

    records: list[Record]
    cut: bool


class Shards:
    """The way to a journal's shards. Raises `JournalUnavailable` alone."""

    def __init__(self, link: Commands, keys: JournalKeys) -> None:
        self.link = link
        self.keys = keys
        self._take = script("journal_take")
        self._state = script("journal_state")
        self._known: dict[int, ShardKeys] = {}

    def of(self, shard: int) -> ShardKeys:
        """Return the keys of a shard."""
        keys = self._known.get(shard)
        if keys is None:
            keys = self._known[shard] = self.keys.shard(shard)
        return keys

    async def run(
        self,
        script: Script,
        calls: Sequence[Call],
        *,
        repeat: bool = False,
        send: Send | None = None,
    ) -> list[Any]:
        """Run a script once for each call, in one write for each server."""
        try:
            replies = await run_script(
                script, calls, send or partial(self.link.batch, repeat=repeat)
            )
        except StoreUnavailable as error:
            raise unavailable(error) from error
        return _unerring(replies)

    async def ask(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Send commands that read."""
        try:
            replies = await self.link.batch(commands, repeat=True)
        except StoreUnavailable as error:
            raise unavailable(error) from error
        return _unerring(replies)

    async def take(
        self, shards: Sequence[int], after: int, limit: int, token: bytes = b""
    ) -> list[Taken | None]:
        """Return records of each of the shards. None: it is not owned by whose `token` it is."""
        terms: list[bytes | int] = [token, id_of(after), limit, READ_BYTES]
        calls: list[Call] = []
        for shard in shards:
            keys = self.of(shard)
            calls.append(((keys.owner, keys.records, keys.tries), terms))
        return [_taken(reply) for reply in await self.run(self._take, calls, repeat=True)]

    async def states(self, shards: int) -> list[ShardState]:
        """Return what each shard holds."""
        calls: list[Call] = []
        for shard in range(shards):
            keys = self.of(shard)
            calls.append(((keys.records, keys.about, keys.dead), ()))
        return [_state(reply) for reply in await self.run(self._state, calls, repeat=True)]


def backlog_of(states: Sequence[ShardState], durability: str) -> Backlog:
    """Return what a journal holds, from what its shards do."""
    ages_ms = [state.now_ms - ms_of(state.first) for state in states if state.records]
    return Backlog(
        records=sum(state.records for state in states),
        bytes=sum(state.bytes for state in states),
        dead=sum(state.dead for state in states),
        oldest_age_s=max((0, *ages_ms)) / _MS_PER_S,
        durability=durability,
    )


def pieces(things: Sequence[T], sizes: Sequence[int], count: int, room: int) -> Iterator[list[T]]:
    """Cut things into parts of so many and so many bytes at most, but for one that is larger."""
    part: list[T] = []
    used = 0
    for thing, size in zip(things, sizes, strict=True):
        if part and (len(part) >= count or used + size > room):
            yield part
            part, used = [], 0
        part.append(thing)
        used += size
    if part:
        yield part


def unavailable(error: StoreUnavailable) -> JournalUnavailable:
    """Return what an error on the way to the server means for whoever puts a write."""
    if isinstance(error, ReplicasMissing):
        return JournalUnavailable(
            f"accepted by the primary, not confirmed by {error.wanted} replicas in time: "
            f"{error.confirmed} did"
        )
    if isinstance(error, ServerReplied) and error.code == "OOM":
        return JournalUnavailable(
            "the server's memory is full (OOM): it takes writes again when some of the backlog "
            "is flushed, or maxmemory is raised"
        )
    return JournalUnavailable(f"the journal's server: {error}")


def sound(reply: Any, kind: type[T]) -> T:
    """Return a script's answer. Raises where something else has answered."""
    if isinstance(reply, kind):
        return reply
    raise JournalUnavailable("an answer of the journal's server has an unknown form")


def _unerring(replies: Sequence[Reply]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, ServerReplied):
            raise unavailable(reply) from reply
    return list(replies)


def _taken(reply: Any) -> Taken | None:
    status, *found = sound(reply, list)
    if status == 0:
        return None
    try:
        entries, tries = found
        records = [record_in(*pair) for pair in zip(entries, tries, strict=True)]
    except (TypeError, ValueError):
        raise JournalUnavailable("records of the journal have an unknown form") from None
    return Taken(records, status == 2)


def _state(reply: Any) -> ShardState:
    try:
        records, size, dead, first, last, now_ms = sound(reply, list)
        ends = [sequence_in(id) if id else 0 for id in (first, last)]
        return ShardState(int(records), int(size), int(dead), ends[0], ends[1], int(now_ms))
    except (TypeError, ValueError, AttributeError):
        raise JournalUnavailable("an answer of the journal's server has an unknown form") from None
