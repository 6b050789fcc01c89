"""What is measured besides times of single operations."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Stampede", "Sweep"]


class Stampede(NamedTuple):
    """What the callers of a rival cost, as medians over rounds."""

    name: str
    loads: float
    commands: float
    seconds: float
    errors: float


class Sweep(NamedTuple):
    """What it took a rival to invalidate all entries of a tag, a pattern or a namespace."""

    name: str
    seconds: float
    longest_ping_ms: float
