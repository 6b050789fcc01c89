"""What a source may say of a value that it has saved: as what it stands there, and its version."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

__all__ = ["AS_GIVEN", "MAX_VERSION", "AsGiven", "Saved", "is_version"]

V = TypeVar("V")

MAX_VERSION: Final = 2**63 - 1


class AsGiven(Enum):
    """The class of `AS_GIVEN`."""

    AS_GIVEN = "as given"

    def __repr__(self) -> str:
        return "AS_GIVEN"


AS_GIVEN: Final = AsGiven.AS_GIVEN
"""The value that was to be saved, as it was given."""


@dataclass(frozen=True, slots=True)
class Saved(Generic[V]):
    """What a source may return from ``save``, and by its ids from ``save_many``.

    - `value`: what the source has now, where it makes something else of what it was given. It is
      what the cache gets. By default the value that was given.
    - `version`: a whole number from 0 to 2**63 - 1 that grows with each change of the row, whoever
      makes it, in the order of the commits: a counter in the row. Of writers who overlapped, the
      cache then keeps the value with the highest. None: there is none.
    """

    value: V | AsGiven = AS_GIVEN
    version: int | None = None


def is_version(version: object) -> bool:
    """Tell whether something is a version: a whole number from 0 to `MAX_VERSION`."""
    return type(version) is int and 0 <= version <= MAX_VERSION
