"""Types of values: what a function returns, and who can decode it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

__all__ = ["adapter_for", "return_type"]


def return_type(function: Callable[..., Any]) -> Any:
    """Return what a function's calls yield, by its annotations; Any where they do not say."""
    try:
        found = typing.get_type_hints(inspect.unwrap(function)).get("return", Any)
    except (NameError, TypeError):
        return Any
    if typing.get_origin(found) in (Awaitable, Coroutine):
        return typing.get_args(found)[-1]
    return found


def adapter_for(type_: Any) -> Any:
    """Return pydantic's adapter where a type holds pydantic models, else None."""
    try:
        import pydantic
    except ImportError:
        return None
    return pydantic.TypeAdapter(type_) if _holds_models(type_, pydantic.BaseModel) else None


def _holds_models(type_: Any, model: type) -> bool:
    if isinstance(type_, type) and issubclass(type_, model):
        return True
    return any(_holds_models(part, model) for part in typing.get_args(type_))
