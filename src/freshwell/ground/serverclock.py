"""The server's clock, estimated over the reader's own monotonic clock.

L2 keeps deadlines on the server's clock. A reader learns that clock from the answer to TIME:
it was read between the moment the command was sent and the moment its answer was read, so
the estimate is wrong by half a round trip at the most. The reader's own wall clock is never
looked at.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ClockSample", "ahead_ns", "better", "sample"]

_TRUSTED_NS: Final = 30_000_000_000
_TICK_NS: Final = 1_000
"""The server says what time it is in whole microseconds."""


class ClockSample(NamedTuple):
    """One observation: server time minus monotonic time, and what the round trip took."""

    offset_ns: int
    round_trip_ns: int
    taken_ns: int


def sample(sent_ns: int, received_ns: int, server_us: int) -> ClockSample:
    """Return what a TIME command says that was sent and answered at these instants."""
    middle_ns = (sent_ns + received_ns) // 2
    return ClockSample(server_us * 1_000 - middle_ns, received_ns - sent_ns, received_ns)


def better(old: ClockSample | None, new: ClockSample) -> ClockSample:
    """Return the sample to go by: the tighter one, unless they contradict or the old has aged."""
    if old is None or new.round_trip_ns <= old.round_trip_ns:
        return new
    apart_ns = abs(new.offset_ns - old.offset_ns)
    agree = apart_ns <= (new.round_trip_ns + old.round_trip_ns) // 2
    return old if agree and new.taken_ns - old.taken_ns < _TRUSTED_NS else new


def ahead_ns(sample: ClockSample) -> int:
    """Return by how much the server's clock is ahead of the monotonic one at the most.

    At the most, so that nothing is taken for fresh whose freshness the server knows to be over:
    an entry that was expired a moment ago ends at that very moment.
    """
    return sample.offset_ns + sample.round_trip_ns // 2 + _TICK_NS
