"""What tests may put in the place of the world: the time, and the parts that reach others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Seams"]

T = TypeVar("T")


class Seams:
    """One cache's clock, and what is put around its parts when they are made.

    `now_ns` is fixed: what is on the way of a hit has it by heart. `wrapper` is asked once for
    each part: ``"store"``, ``"feed"`` (each connection) and ``"journal"``.
    """

    __slots__ = ("now_ns", "wrapper")

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self.now_ns = now_ns
        self.wrapper: Callable[[str, Any], Any] | None = None

    def wrap(self, where: str, part: T) -> T:
        """Return the part, or what a test has put around it."""
        return part if self.wrapper is None else self.wrapper(where, part)
