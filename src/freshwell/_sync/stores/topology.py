"""What is known of several servers at a moment: which are primaries, and since when."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from dataclasses import dataclass
from typing import Any, Protocol

from freshwell._kit.endpoint import Endpoint

__all__ = ["Survey", "Topology"]


@dataclass(frozen=True)
class Survey:
    """The servers at the moment of asking. Unequal surveys mean that something has changed.

    `owners` stands for what addresses do not say: who has which keys, or since when.
    """

    primaries: tuple[tuple[str, int], ...]
    replicas: tuple[tuple[str, int], ...] = ()
    owners: Any = ()


class Topology(Protocol):
    """Servers of which some are primaries, and not for ever."""

    def survey(self) -> Survey:
        """Ask now, and use the primaries of the answer from then on.

        Raises `StoreUnavailable` where it cannot be told.
        """

    def endpoint(self, address: tuple[str, int]) -> Endpoint:
        """Return how to reach the server at an address."""
