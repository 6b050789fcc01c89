"""The library with one of its mechanisms taken out: what the checker must catch.

Each function changes the classes of this process, and is called in a worker before its cache is
built. All of it is hooked into the parts that both colours share, or into both.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["CONTROLS", "sabotage"]

CONTROLS: dict[str, Callable[[], None]] = {}
"""By name: what takes a mechanism out."""


def sabotage(name: str) -> None:
    """Take out the mechanism of that name. Empty: none."""
    if name:
        CONTROLS[name]()
