"""What a source is given of writes that were accepted earlier, and what it may say of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from freshwell.typing import DurabilityName

__all__ = ["STORED", "Ack", "Batch", "Outcome", "Write"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, init=False)
class Ack:
    """A write was accepted, and is not lost by what its durability names.

    - `durability`: ``"memory"``, lost with the process; ``"local"``, on this machine's disk;
      ``"redis"``, survives this process; ``"redis+wait"``, confirmed by replicas.
    - `sequence`: the fencing number that the source will be given with it.
    - `idempotency_id`: 32 hexadecimal digits, no two writes have the same.
    """

    durability: DurabilityName
    sequence: int
    idempotency_id: str

    def __init__(self, durability: DurabilityName, sequence: int, idempotency_id: str) -> None:
        # What a frozen dataclass does by itself, in half of the time: one is made for each write.
        _set_durability(self, durability)
        _set_sequence(self, sequence)
        _set_idempotency_id(self, idempotency_id)


_set_durability, _set_sequence, _set_idempotency_id = (
    getattr(Ack, name).__set__ for name in Ack.__slots__
)


@dataclass(frozen=True, slots=True)
class Write(Generic[K, V]):
    """One write of a batch.

    - `sequence`: grows with every write of a key. A source that stores it, and lets nothing with a
      lower one replace a higher one, is safe from late repetitions: see the how-to.
    - `idempotency_id`: the same at each delivery of the same write.
    - `attempt`: 1 at the first delivery, as far as it is known.
    - `deleted`: the id is to be deleted; `value` is None.
    """

    id: K
    value: V
    sequence: int
    idempotency_id: str
    attempt: int
    deleted: bool = False


class Batch(Mapping[K, V]):
    """Values by their ids, as ``save_many`` is given them. `writes` tells more of each.

    Ids are those that ``put`` was given, or equal to them.
    """

    __slots__ = ("_values", "writes")

    def __init__(self, writes: Sequence[Write[K, V]]) -> None:
        self.writes: Final = tuple(writes)
        self._values: Final = {write.id: write.value for write in writes}

    def __getitem__(self, id: K) -> V:
        return self._values[id]

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Batch of {len(self)}>"


_MAX_REASON: Final = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a source says of one write, where it says something of each.

    ``save_many`` may return ``{id: outcome}``: ``Outcome.stored()``; ``Outcome.retry("busy")``,
    which counts as one attempt; or ``Outcome.reject("too long")``, by which the write becomes a
    dead letter now. `reason` is kept with the write and shown to people: no secrets. Of a long one
    the first 1,000 characters are kept.
    """

    kind: Literal["stored", "retry", "reject"]
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", self.reason[:_MAX_REASON])

    @classmethod
    def stored(cls) -> Outcome:
        """Say that it is stored, or that something later is."""
        return STORED

    @classmethod
    def retry(cls, reason: str) -> Outcome:
        """Say that it may be stored another time. It counts as one attempt."""
        return cls("retry", reason)

    @classmethod
    def reject(cls, reason: str) -> Outcome:
        """Say that it will never be stored: it becomes a dead letter now."""
        return cls("reject", reason)

    @classmethod
    def in_answer(cls, answer: Any, id: Any) -> Outcome:
        """Return what the answer of ``save_many`` says of one id.

        A mapping with outcomes says it for each; one that lacks an id does not say that it was
        stored. Any other answer says that all were.
        """
        if not isinstance(answer, Mapping) or not any(
            isinstance(outcome, cls) for outcome in answer.values()
        ):
            return STORED
        said = answer.get(id)
        return said if isinstance(said, cls) else cls.retry("the source did not say")


STORED: Final = Outcome("stored")
