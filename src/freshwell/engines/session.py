"""The L1 tier's right to answer, judged at the moment of serving.

An L1 entry may be served while the connection that carries the invalidations is known to be
whole: ``now < live_until_ns``. The feed moves that instant forward each time one of its probes
is answered, to the time the probe was *sent* plus `max_staleness`; nothing else keeps it alive.
Only the reader's own monotonic clock is used.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["FOREVER_NS", "CoherenceMode", "Session"]

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

    def cap_ns(self, asked_ns: int) -> int:
        """Return until when an entry read from L2 at `asked_ns` may stay in L1."""
        if self.mode is CoherenceMode.TTL_ONLY:
            return asked_ns + self.max_staleness_ns
        return FOREVER_NS
