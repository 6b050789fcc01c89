"""Answers of L2 that come late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.aio import Latch

__all__ = ["hold"]


def hold(store: Any, method: str, applied: Latch, may_return: Latch) -> None:
    """Let the first call of a store's method return late, when it has been applied."""
    original: Callable[..., Awaitable[Any]] = getattr(store, method)

    async def late(*args: Any, **kwargs: Any) -> Any:
        setattr(store, method, original)
        result = await original(*args, **kwargs)
        applied.open()
        await may_return.passed()
        return result

    setattr(store, method, late)
