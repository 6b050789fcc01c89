"""Who is the primary of a service, of several answers of which some are old, and one may be wrong.

Every change of primary has an epoch of its own, which only grows. A Sentinel that has not heard
of the last change names the primary before it, so the highest epoch is the truth: unless few
Sentinels say so, and what they name is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Address", "Named", "candidates", "majority", "named"]

Address = tuple[str, int]


class Named(NamedTuple):
    """A primary, and the epoch since which it is one."""

    epoch: int
    address: Address


def majority(of: int) -> int:
    """Return how many are more than half."""
    return of // 2 + 1


def named(address: object, facts: object) -> Named | None:
    """Return whom a Sentinel names: by ``GET-MASTER-ADDR-BY-NAME`` and ``MASTER`` of one moment.

    The address of ``MASTER`` itself is the old one while a failover goes on. None: it names
    nobody, or has answered something else.
    """
    if not isinstance(address, list) or not isinstance(facts, list):
        return None
    try:
        host, port = address
        epoch = dict(zip(facts[::2], facts[1::2], strict=True))[b"config-epoch"]
        return Named(int(epoch), (host.decode(), int(port)))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def candidates(answers: Sequence[Named], known: Named | None, sentinels: int) -> list[Named]:
    """Return who may be the primary, the likeliest first: the first that says so itself is it.

    What most of all `sentinels` name ends the list: whoever is older has been deposed. What
    `known` says has been found before; it counts where the Sentinels that know it are silent.
    """
    voices = Counter(answers)
    if known is not None:
        voices.setdefault(known, 0)
    ordered = sorted(voices, key=lambda one: (one.epoch, voices[one]), reverse=True)
    for place, one in enumerate(ordered, start=1):
        if voices[one] >= majority(sentinels):
            return ordered[:place]
    return ordered
