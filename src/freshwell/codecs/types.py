"""Types of values: what a function returns, and who can decode it."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from freshwell.errors import ConfigurationError

__all__ = ["Adapter", "adapter_for", "return_type"]


def return_type(function: Callable[..., Any]) -> Any:
    """Return what a function's calls yield, by its annotations; Any where they do not say."""
    try:
        found = typing.get_type_hints(inspect.unwrap(function)).get("return", Any)
    except (NameError, TypeError):
        return Any
    if typing.get_origin(found) in (Awaitable, Coroutine):
        return typing.get_args(found)[-1]
    return found


@dataclass(frozen=True, slots=True)
class Adapter:
    """A pydantic ``TypeAdapter``, with what its dumping and its validating are to be told."""

    type: Any
    dump: Mapping[str, Any]
    validate: Mapping[str, Any]


def adapter_for(type_: Any) -> Adapter | None:
    """Return pydantic's adapter where a type holds pydantic models, else None.

    Imports pydantic only for a type that holds a model.

    Raises `ConfigurationError` for a type of which pydantic cannot make one.
    """
    if not _holds_models(type_, set()):
        return None
    import pydantic

    try:
        adapter = pydantic.TypeAdapter(type_)
    except (pydantic.PydanticUserError, TypeError, NameError) as error:
        raise ConfigurationError(f"pydantic cannot read {type_!r}: {error}") from None
    # Fields may be dumped under one alias and validated under another; names are the same.
    if "by_name" in inspect.signature(adapter.validate_json).parameters:
        return Adapter(adapter, {"by_alias": False}, {"by_alias": False, "by_name": True})
    return Adapter(adapter, {"by_alias": True}, {})


def _holds_models(type_: Any, seen: set[int]) -> bool:
    """Say whether a type is, or has somewhere in it, a class that pydantic validates."""
    if id(type_) in seen:
        return False
    seen.add(id(type_))
    if isinstance(type_, type) and hasattr(type_, "__pydantic_validator__"):
        return True
    return any(_holds_models(part, seen) for part in _parts(type_))


def _parts(type_: Any) -> Iterable[Any]:
    yield from typing.get_args(type_)
    yield getattr(type_, "__value__", None)
    if dataclasses.is_dataclass(type_) or typing.is_typeddict(type_) or _is_named_tuple(type_):
        try:
            yield from typing.get_type_hints(type_).values()
        except (NameError, TypeError):
            return


def _is_named_tuple(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, tuple) and hasattr(type_, "_fields")
