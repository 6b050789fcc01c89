"""Which servers there are, and which of them is primary for what, as they themselves say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.places import Address
from freshwell._kit.slots import Owners

__all__ = ["Survey", "Topology"]


@dataclass(frozen=True, slots=True)
class Survey:
    """What all primaries agreed on at one moment. Addresses are in order.

    `owners` is who is primary for which slots: where it is the same in two surveys, so is the
    place of every key. `replicas` may lack some.
    """

    primaries: tuple[Address, ...]
    replicas: tuple[Address, ...]
    owners: Owners


class Topology(Protocol):
    """Several servers, whose parts change."""

    async def survey(self) -> Survey:
        """Return what every primary has confirmed since the call began.

        Raises `StoreUnavailable` where one of them did not answer, or they do not agree.
        """

    def endpoint(self, address: Address) -> Endpoint:
        """Return how to reach the server at an address."""
