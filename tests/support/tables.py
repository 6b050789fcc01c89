"""Let the engines judge their own structure after every test.

Every object of the classes in `WATCHED` that is made during a test is kept until the test is
over, and its ``check()`` is called then: it raises `AssertionError` when its structure is
broken. Classes are watched from the first test after their module was imported.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import Any

__all__ = ["WATCHED", "check_made", "watch"]

WATCHED: dict[str, str] = {"freshwell.engines.table": "Table"}
"""Modules, and the class of each that has a ``check()``."""

_made: list[Any] = []


def watch() -> None:
    """Watch the classes of the modules that have been imported by now. Idempotent."""
    for module, name in WATCHED.items():
        if module in sys.modules:
            _watch(getattr(sys.modules[module], name))


def check_made() -> None:
    """Check the objects made since the last time, and let them go."""
    made = _made.copy()
    _made.clear()
    for item in made:
        item.check()


def _watch(kind: type) -> None:
    original = kind.__init__  # type: ignore[misc]
    if getattr(original, "watched_by_tests", False):
        return

    @wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _made.append(self)

    init.watched_by_tests = True  # type: ignore[attr-defined]
    kind.__init__ = init  # type: ignore[misc]
