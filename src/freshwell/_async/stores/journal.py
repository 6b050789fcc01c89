"""What a journal must do: keep accepted writes until the source has them, whoever dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from freshwell._async.stores.base import Fill
from freshwell.ground.records import Backlog, DeadLetter, Draft, Durability, Record, Settled

__all__ = ["Desk", "Journal", "Sharing"]


class Journal(Protocol):
    """Accepted writes, in shards. Safe for any number of tasks or threads.

    Every method may raise `JournalUnavailable`, within the journal's time limits, and
    `JournalUnfit` where it must not be used (any more) as it is configured.

    A shard has one owner at a time, which alone takes from it and settles. Whoever has lost it is
    told by `take` and `settle` with `ShardLost`, and nothing is changed.
    """

    durability: Durability
    shards: int
    """They are numbered from 0. A key's shard never changes."""
    together: bool
    """Whether `accept` can leave entries in L2 in the same step."""

    def __str__(self) -> str:
        """Return what people call it, without secrets."""

    async def check(self) -> None:
        """Raise where it cannot be used as it is configured, or does not answer."""

    async def accept(self, drafts: Sequence[Draft], entries: Sequence[Fill] = ()) -> list[int]:
        """Make writes durable and return their sequences, in order. 0: there was no room for it.

        Where the journal is `together` with L2, there are `entries`, one for each draft: what
        accepting it leaves in L2 in the same step. Their tokens are empty, their frames those of
        values, or of tombstones. A writer's intent that stands there stays, and is told. Where it
        raises, some may have been accepted all the same.
        """

    async def latest(self, names: Sequence[str]) -> list[Record | None]:
        """Return, for each entry, the last write that was accepted and is not settled.

        An entry's writes are settled in order. Attempts may not be told.
        """

    async def own(self, shard: int) -> bool:
        """Become the owner of a shard, or remain it. False: another is.

        An owner that is not heard of any more loses the shard within seconds. Called every second
        for what is owned.
        """

    async def release(self, shards: Sequence[int]) -> None:
        """Give shards back, so that others need not wait. What is not owned is left alone."""

    async def take(self, shard: int, after: int, limit: int) -> list[Record]:
        """Return up to `limit` of a shard's records above the sequence `after`, in order.

        Fewer where they are large. Changes nothing: records stay until they are settled.
        """

    async def settle(self, shard: int, settled: Settled) -> int:
        """Note what came of records of a shard. Return how many were not there any more.

        Dead letters beyond the journal's bound stay where they are, as if they had failed.
        """

    async def backlog(self) -> Backlog:
        """Return what is in the journal."""

    async def oldest(self) -> list[int]:
        """Return the lowest sequence of each shard's records. 0: it has none."""

    async def newest(self) -> list[int]:
        """Return the highest sequence of each shard's records. 0: it has none."""

    async def aclose(self) -> None:
        """Release the shards and disconnect. Idempotent. What was accepted stays accepted."""


class Sharing(Journal, Protocol):
    """A journal that takes writes of several callers in one call. Those of freshwell do."""

    def shard_of(self, name: str) -> int:
        """Return the shard of an entry's writes. Never waits."""

    async def accept(
        self, drafts: Sequence[Draft], entries: Sequence[Fill] = (), *, each: bool = False
    ) -> list[Any]:
        """Make writes durable and return their sequences, in order: see `Journal`.

        `each`: they are of one shard, and of a caller each. What is refused then keeps out none
        of the others, and what is wrong with one alone stands in the place of its sequence, as an
        exception. What is raised is so for all of them.
        """


class Desk(Protocol):
    """A journal as people handle it: each of these is complete in itself."""

    async def backlog(self) -> Backlog:
        """Return what is in the journal."""

    async def flushers(self) -> list[str]:
        """Return who flushes each shard: a process, or the token of a lease. Empty: nobody."""

    async def pending(self, after: int = 0, limit: int = 100) -> list[Record]:
        """Return records above a sequence, in order, whatever shard they are in."""

    async def dead(self, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """Return dead letters above a sequence, in order."""

    async def letter(self, sequence: int) -> DeadLetter | Record | None:
        """Return a dead letter, or else a record that waits, by its sequence."""

    async def retry(self, sequence: int, *, force: bool = False) -> int | None:
        """Accept a dead letter's write anew, behind all others. Return its new sequence.

        None: there is no such letter. Without `force` one whose key has been written since is
        refused with `LetterSuperseded`, and `BacklogFull` may be raised. Its kind has
        `Kind.REVIVED` then.
        """

    async def drop(self, sequence: int) -> bool:
        """Forget a dead letter. False: there is none."""

    async def aclose(self) -> None:
        """Disconnect. Idempotent."""
