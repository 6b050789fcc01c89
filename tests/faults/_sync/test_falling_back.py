"""The moment in which a cache goes on without a feed."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import time
from typing import Any

from freshwell._sync.coordination.coherence import Coherence
from freshwell._sync.coordination.watch import Watch
from freshwell._kit.link_errors import TrackingRefused
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.observing import Observing
from freshwell.engines.session import FOREVER_NS, CoherenceMode, Session
from freshwell.ground.names import Names


class Refused:
    """A feed that the server will not have."""

    def connect(self) -> None:
        raise TrackingRefused("forbidden")

    def close(self) -> None:
        return None


class Emptied:
    """A table that notes how the session stood when it was emptied."""

    def __init__(self, session: Session) -> None:
        self.stood: list[tuple[CoherenceMode, int]] = []
        self._session = session

    def clear(self) -> None:
        self.stood.append((self._session.mode, self._session.live_until_ns))


def test_l1_is_emptied_under_the_new_rule_and_before_it_answers() -> None:
    session = Session(CoherenceMode.FEED, 2_000_000_000)
    session.proven(time.monotonic_ns())
    table: Any = Emptied(session)
    refused: Any = Refused
    coherence = Coherence(
        new_line=refused,
        names=Names("n"),
        table=table,
        session=session,
        watch=Watch(),
        counters=Counters(),
        incidents=Incidents(Counters(), "n"),
        observing=Observing("n"),
        now_ns=time.monotonic_ns,
    )
    coherence.run()
    assert table.stood == [(CoherenceMode.TTL_ONLY, -1)]
    assert session.live_until_ns == FOREVER_NS
