"""Whether an exception of a source says that the source is down, and nothing of the writes."""

from __future__ import annotations

from typing import Final

__all__ = ["is_down"]

_NAMES: Final = frozenset({"OperationalError", "InterfaceError"})
"""What drivers of databases call it (PEP 249); SQLAlchemy and Django name theirs alike."""


def is_down(error: BaseException) -> bool:
    """Tell whether a source cannot be reached, or cannot work, rather than refuses a write.

    True for an `OSError`, which `ConnectionError` and `TimeoutError` are; for what is, or derives
    from, a class with the name ``OperationalError`` or ``InterfaceError``; and for a group of
    such errors alone.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_down(inner) for inner in error.exceptions)
    return isinstance(error, OSError) or any(
        kind.__name__ in _NAMES for kind in type(error).__mro__
    )
