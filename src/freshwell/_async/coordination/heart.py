"""Prolong the leases of loads that take long, all of a cache's in one beat.

A lease is short, so that a dead holder is replaced soon; a living holder prolongs it at a
third of its length. A load that is over before the first beat costs nothing here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from threading import Lock

from freshwell._kit.aio import Owner, Signal
from freshwell.engines.incidents import Incidents
from freshwell.errors import StoreUnavailable

__all__ = ["Heart", "Lease"]

Lease = tuple[bytes, bytes]
"""An L2 key and the token under which it is leased."""

_IDLE_BEATS = 10


class Heart:
    """Beats for the leases that are held. Runs in the background only while there are any.

    `prolong` tells which of the leases it is given still stand.
    """

    def __init__(
        self,
        prolong: Callable[[Sequence[Lease]], Awaitable[Sequence[bool]]],
        owner: Owner,
        incidents: Incidents,
        *,
        lease_ms: int,
    ) -> None:
        self._prolong_all = prolong
        self._owner = owner
        self._incidents = incidents
        self._interval_s = lease_ms / 3_000
        self._mutex = Lock()
        self._leases: dict[Lease, int | None] = {}
        self._beating = False
        self._wake = Signal()
        self._stopping = False

    def hold(self, leases: Sequence[Lease], until_ns: int | None = None) -> None:
        """Keep these leases alive until they are dropped, and not beyond `until_ns`.

        That is an instant by the machine's clock.
        """
        if not leases:
            return
        with self._mutex:
            self._leases.update(dict.fromkeys(leases, until_ns))
            start = not self._beating
            self._beating = True
        if start and not self._owner.spawn("heart", self._beat):
            with self._mutex:
                self._beating = False

    def drop(self, leases: Sequence[Lease]) -> None:
        """Let these leases go."""
        if not leases:
            return
        with self._mutex:
            for lease in leases:
                self._leases.pop(lease, None)

    def held(self, leases: Sequence[Lease]) -> list[Lease]:
        """Return those of some leases that have not been dropped."""
        with self._mutex:
            return [lease for lease in leases if lease in self._leases]

    def stop(self) -> None:
        """End the background work soon."""
        self._stopping = True
        self._wake.notify()

    def hurry(self) -> None:
        """Beat now, if there is anything to beat for: earlier beats may have failed."""
        if self._beating:
            self._wake.notify()

    async def _beat(self) -> None:
        try:
            await self._beat_on()
        finally:  # whatever ended it, the next lease starts it anew
            with self._mutex:
                self._beating = False

    async def _beat_on(self) -> None:
        idle = 0
        while True:
            await self._wake.wait(self._interval_s)
            if self._stopping:
                return
            now_ns = time.monotonic_ns()
            with self._mutex:
                leases = [
                    x for x, end_ns in self._leases.items() if end_ns is None or now_ns < end_ns
                ]
                idle = 0 if leases else idle + 1
                if idle == _IDLE_BEATS:
                    self._beating = False
                    return
            if leases:
                await self._prolong(leases)

    async def _prolong(self, leases: list[Lease]) -> None:
        try:
            alive = await self._prolong_all(leases)
        except StoreUnavailable as error:
            self._incidents.l2_failed(error)
            return
        self.drop([lease for lease, lives in zip(leases, alive, strict=True) if not lives])
