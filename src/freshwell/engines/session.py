"""The L1 tier's right to answer, judged at the moment of serving.

An L1 entry may be served while the connection that carries the invalidations is known to be
whole: ``now < live_until_ns``. The feed moves that instant forward each time one of its probes
is answered, to the time the probe was *sent* plus `max_staleness`; nothing else keeps it alive.
Only the reader's own monotonic clock is used.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum
from threading import Lock

__all__ = ["FOREVER_NS", "CoherenceMode", "Proofs", "Session", "Share"]

FOREVER_NS = 2**63 - 1


class CoherenceMode(Enum):
    """How L1 learns of invalidations made elsewhere."""

    ALONE = "alone"
    """There is no L2: this process is the only one."""
    FEED = "feed"
    """The server pushes them; L1 answers while the feed proves to be alive."""
    TTL_ONLY = "ttl-only"
    """The server would not push them: L1 keeps entries for `max_staleness` only."""
    OFF = "off"
    """L1 is switched off."""


_TTL_ONLY = CoherenceMode.TTL_ONLY  # to look a member up costs Python 3.11 as much as a call


class Session:
    """Whether L1 may answer now. Read without a lock by every hit, written by the feed alone."""

    __slots__ = ("live_until_ns", "max_staleness_ns", "mode")

    def __init__(self, mode: CoherenceMode, max_staleness_ns: int) -> None:
        self.max_staleness_ns = max_staleness_ns
        self.mode = mode
        self.live_until_ns = FOREVER_NS if mode is CoherenceMode.ALONE else -1

    def proven(self, probe_sent_ns: int) -> None:
        """Note that a probe sent at `probe_sent_ns` was answered on the feed."""
        self.live_until_ns = max(self.live_until_ns, probe_sent_ns + self.max_staleness_ns)

    def restart(self) -> None:
        """Forbid L1 to answer until the next probe is answered."""
        if self.mode is CoherenceMode.FEED:
            self.live_until_ns = -1

    def fall_back(self) -> None:
        """Go on without a feed: new entries live for `max_staleness` from when L2 was asked.

        L1 is silent until `answer`: what it has was stored under another rule.
        """
        self.live_until_ns = -1
        self.mode = CoherenceMode.TTL_ONLY

    def answer(self) -> None:
        """Let L1 answer without a feed, after `fall_back`."""
        self.live_until_ns = FOREVER_NS

    def age_s(self, now_ns: int) -> float | None:
        """Return for how long the feed has not been proven to be alive. None: it never was."""
        if self.mode is not CoherenceMode.FEED or self.live_until_ns < 0:
            return None
        return max(0, now_ns - self.live_until_ns + self.max_staleness_ns) / 1_000_000_000

    def cap_ns(self, asked_ns: int) -> int:
        """Return until when an entry read from L2 at `asked_ns` may stay in L1."""
        if self.mode is _TTL_ONLY:
            return asked_ns + self.max_staleness_ns
        return FOREVER_NS


class Share:
    """One of several proofs that a session needs, with the face of a session."""

    __slots__ = ("_name", "_proofs", "max_staleness_ns")

    def __init__(self, proofs: Proofs, name: Hashable) -> None:
        self._proofs = proofs
        self._name = name
        self.max_staleness_ns = proofs.session.max_staleness_ns

    def proven(self, asked_ns: int) -> None:
        """Note that what was asked at `asked_ns` was answered."""
        self._proofs.prove(self._name, asked_ns)

    def restart(self) -> None:
        """Forbid L1 to answer until this proof is given anew."""
        self._proofs.prove(self._name, -1)

    def fall_back(self) -> None:
        """Let the session go on without any feed: see `Session.fall_back`."""
        self._proofs.session.fall_back()

    def answer(self) -> None:
        """Let L1 answer without a feed, after `fall_back`."""
        self._proofs.session.answer()


class Proofs:
    """Keep a session alive by several proofs: as long as the oldest of them allows.

    One for each server that pushes invalidations, and one for the knowledge that it is these
    servers. Thread-safe.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._mutex = Lock()
        self._asked_ns: dict[Hashable, int] = {}

    def require(self, names: Iterable[Hashable]) -> None:
        """Need these proofs from now on. L1 is silent until the new ones are given."""
        with self._mutex:
            self._asked_ns = {name: self._asked_ns.get(name, -1) for name in names}
            self._apply()

    def share(self, name: Hashable) -> Share:
        """Return the session as the giver of one proof sees it."""
        return Share(self, name)

    def prove(self, name: Hashable, asked_ns: int) -> None:
        """Note when the latest answered question was asked; -1: what was proven is void."""
        with self._mutex:
            if name in self._asked_ns:  # one that is not needed any more proves nothing
                known_ns = self._asked_ns[name]
                self._asked_ns[name] = asked_ns if asked_ns < 0 else max(known_ns, asked_ns)
                self._apply()

    def _apply(self) -> None:
        if self.session.mode is not CoherenceMode.FEED:
            return
        oldest_ns = min(self._asked_ns.values(), default=-1)
        if oldest_ns < 0:
            self.session.live_until_ns = -1
        else:
            self.session.live_until_ns = oldest_ns + self.session.max_staleness_ns
