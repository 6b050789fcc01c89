"""What L2 has missed, and where it is kept until L2 can be told."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from freshwell.errors import ConfigurationError

__all__ = ["Act", "Missed", "Row", "spool_path"]

MEMORY: Final = ""
_FILE: Final = "sqlite:///"


class Act(IntEnum):
    """What L2 was to do. The numbers stand in files."""

    INVALIDATE = 1
    """Make an entry absent."""
    EXPIRE = 2
    """End an entry's freshness."""
    VOID = 3
    """Give a tag another version."""


class Missed(NamedTuple):
    """One invalidation that L2 may not have taken.

    `name` is an entry's or a tag's inner name, `version` the schema version of the cache that
    made it.
    """

    act: Act
    name: str
    version: str


class Row(NamedTuple):
    """What L2 has missed, its mark in a file, and since when, by this machine's clock."""

    missed: Missed
    mark: bytes
    since_ms: int


def spool_path(spool: str | None) -> str | None:
    """Return the path of the spool's file. Empty: it is in memory; None: there is no spool.

    Raises `ConfigurationError` for what names none.
    """
    if spool is None:
        return None
    if spool == "memory":
        return MEMORY
    if isinstance(spool, str) and spool.startswith(_FILE):
        path = spool.removeprefix(_FILE)
        if path and path != ":memory:":
            return path
    raise ConfigurationError(
        f'spool is {spool!r}: use "memory" (lost with the process), "sqlite:///spool.db" or '
        '"sqlite:////absolute/spool.db" (a file of this machine), or None (no spool: an '
        "invalidation that L2 does not take is raised)"
    )
