"""What the processes of a campaign are told, all of them the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["Orders"]


@dataclass(frozen=True)
class Orders:
    """Where things are, and what is different from how it should be.

    - `journal`: ``"redis"``, beside the entries; ``"file"``, in `folder`; or ``"memory"``.
    - `lease_s`: how long a dead flusher keeps its shards. The library's own is 5 s.
    - `fenced`: whether the source refuses what is older than what it has.
    - `sabotage`: the mechanism that is taken out of the library. Empty: none.
    """

    journal: str = "redis"
    url: str = ""
    source: str = ""
    folder: str = ""
    lease_s: float = 5.0
    shards: int = 4
    coalesce: bool = True
    fenced: bool = True
    assume_durable: bool = False
    sabotage: str = ""

    def told(self) -> dict[str, Any]:
        """Return it as JSON can carry it."""
        return asdict(self)

    @classmethod
    def heard(cls, told: dict[str, Any]) -> Self:
        """Return what `told` has told."""
        return cls(**told)
