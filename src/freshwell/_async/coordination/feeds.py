"""A feed for each primary of a Cluster or of a service, and who the primaries are.

A feed proves that all has arrived which *its* server has acknowledged. Where servers take each
other's place, that alone proves nothing: an old primary goes on answering. So L1 answers while
each primary's feed is proven **and** it has been confirmed, as recently, that these are the
primaries (`Topology.survey`). A change of primaries empties L1, and what was invalidated here a
moment ago is said again: the old primary may not have passed it on.

Replicas need no feed: one that becomes primary begins with an empty L1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from freshwell._async.coordination.coherence import Coherence
from freshwell._async.stores.topology import Survey, Topology
from freshwell._kit.aio import Owner, Signal
from freshwell._kit.endpoint import Endpoint
from freshwell.engines.incidents import Incidents
from freshwell.engines.session import CoherenceMode, Proofs, Session, Share
from freshwell.engines.table import Table
from freshwell.errors import StoreUnavailable
from freshwell.ground.sentinels import Address

__all__ = ["Feeds"]

_SURVEYS_PER_BOUND = 4
_NS_PER_S = 1_000_000_000
_SHORTEST_S = 0.05
_LONGEST_S = 1.0
_SURVEY = "survey"
_GOSSIP_NS = 100_000_000
"""How long a new primary may be at work before the others, who are asked, have heard of it."""


class Feeds:
    """Keep the feeds of one cache up, until closed. Where L1 is off, only the surveys."""

    def __init__(
        self,
        topology: Topology,
        *,
        new_coherence: Callable[[Endpoint, Share], Coherence],
        owner: Owner,
        session: Session,
        table: Table,
        incidents: Incidents,
        now_ns: Callable[[], int],
        say_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._topology = topology
        self._new_coherence = new_coherence
        self._owner = owner
        self._session = session
        self._proofs = Proofs(session)
        self._table = table
        self._incidents = incidents
        self._now_ns = now_ns
        self._say_again = say_again
        self._stop = Signal()
        self._stopping = False
        self._primaries: tuple[Address, ...] = ()
        self._running: dict[Address, Coherence] = {}
        self._margin_ns = min(_GOSSIP_NS, session.max_staleness_ns // 2)
        pause_s = session.max_staleness_ns / _NS_PER_S / _SURVEYS_PER_BOUND
        self._pause_s = min(max(pause_s, _SHORTEST_S), _LONGEST_S)

    def stop(self) -> None:
        """End the background work soon."""
        self._stopping = True
        self._stop.notify()
        for feed in list(self._running.values()):
            feed.stop()

    async def run(self) -> None:
        """Ask again and again who the primaries are, and follow them, until `stop`."""
        while not self._stopping:
            asked_ns = self._now_ns()
            try:
                survey = await self._topology.survey()
            except StoreUnavailable as error:
                if not self._stopping:
                    self._incidents.l2_failed(error)
            else:
                if survey.primaries != self._primaries:
                    self._follow(survey)
                self._proofs.prove(_SURVEY, asked_ns - self._margin_ns)
            if await self._stop.wait(self._pause_s):
                return

    def _follow(self, survey: Survey) -> None:
        """Listen to these primaries and to no others. Nothing here waits."""
        before, self._primaries = self._primaries, survey.primaries
        if self._session.mode is CoherenceMode.FEED:
            self._proofs.require([_SURVEY, *survey.primaries])
            self._table.clear()
            for address in self._running.keys() - set(survey.primaries):
                self._running.pop(address).stop()
            for address in survey.primaries:
                if address not in self._running and not self._stopping:
                    self._listen(address)
        if before:
            self._owner.spawn("say again", self._say_again)

    def _listen(self, address: Address) -> None:
        feed = self._new_coherence(self._topology.endpoint(address), self._proofs.share(address))
        if self._owner.spawn("feed", feed.run):
            self._running[address] = feed
        if self._stopping:  # it was said meanwhile, when this feed was not there to hear it
            feed.stop()
