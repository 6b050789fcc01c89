"""Answers of L2 that come late."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from typing import Any

from tests.support.threads import Latch

__all__ = ["hold"]


def hold(store: Any, method: str, applied: Latch, may_return: Latch) -> None:
    """Let the first call of a store's method return late, when it has been applied."""
    original: Callable[..., Any] = getattr(store, method)

    def late(*args: Any, **kwargs: Any) -> Any:
        setattr(store, method, original)
        result = original(*args, **kwargs)
        applied.open()
        may_return.passed()
        return result

    setattr(store, method, late)
