"""Leave alone what is down, and find out by one call at a time whether it is back."""

from __future__ import annotations

from enum import Enum
from threading import Lock

from freshwell.ground.backoff import backoff_ns

__all__ = ["Breaker", "Passage"]


class Passage(Enum):
    """What a breaker says to one who wants to call."""

    NO = "no"
    YES = "yes"
    PROBE = "probe"
    """As the only one: its outcome decides for all."""


class Breaker:
    """Closed, open until an instant, or half-open with one probe. Thread-safe; never waits.

    It opens after `threshold` failures in a row, for `base_ns`, and for twice as long each time
    a probe fails, up to `most_ns`, with jitter. Whoever gets a `Passage.PROBE` reports by one of
    `succeeded`, `failed` or `gave_up`; where nothing is heard for `most_ns`, another may probe.
    """

    def __init__(self, *, base_ns: int, most_ns: int, threshold: int = 1) -> None:
        self._base_ns = base_ns
        self._most_ns = most_ns
        self._threshold = threshold
        self._mutex = Lock()
        self._failures = 0
        self._openings = 0
        self._until_ns = 0
        self._probe_until_ns: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has opened, and no call has succeeded since: true for half-open too."""
        return self._openings > 0

    @property
    def is_probing(self) -> bool:
        """Whether it is open, and a probe is under way: half-open."""
        return self._probe_until_ns is not None

    @property
    def opens_until_ns(self) -> int:
        """When a probe may go. 0: it is closed."""
        return self._until_ns

    def allows(self, now_ns: int) -> Passage:
        """Tell whether to call now."""
        if not self._openings:
            return Passage.YES
        with self._mutex:
            if not self._openings:
                return Passage.YES
            probing = self._probe_until_ns is not None and now_ns < self._probe_until_ns
            if probing or now_ns < self._until_ns:
                return Passage.NO
            self._probe_until_ns = now_ns + self._most_ns
            return Passage.PROBE

    def succeeded(self) -> None:
        """Close: a call was answered, whether it was the probe or one from before."""
        with self._mutex:
            self._failures = self._openings = self._until_ns = 0
            self._probe_until_ns = None

    def failed(self, now_ns: int, u: float) -> None:
        """Count a failure, and open where it is one too many. `u` is a draw from [0, 1).

        While it is open, only the probe's failure prolongs it: calls that were under way when it
        opened say nothing new.
        """
        with self._mutex:
            self._failures += 1
            if self._openings and self._probe_until_ns is None:
                return
            if not self._openings and self._failures < self._threshold:
                return
            self._openings += 1
            self._probe_until_ns = None
            self._until_ns = now_ns + backoff_ns(
                self._openings, base_ns=self._base_ns, most_ns=self._most_ns, u=u
            )

    def hurry(self, now_ns: int) -> None:
        """Let a probe go now: there is a sign of life."""
        with self._mutex:
            self._until_ns = min(self._until_ns, now_ns)

    def gave_up(self) -> None:
        """Let another probe: this one ended without an answer. Nothing where there is none."""
        with self._mutex:
            self._probe_until_ns = None
