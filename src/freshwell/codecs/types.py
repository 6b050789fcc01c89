"""Types of values: what a function returns, and who can decode it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from freshwell.codecs.sensitive import holds_secrets, is_secret
from freshwell.errors import ConfigurationError

__all__ = ["Adapter", "Unresolved", "adapter_for", "return_type", "revealed_by"]


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A return annotation that names what is not there yet."""

    function: Callable[..., Any]
    name: str

    def resolve(self) -> Any:
        """Try again. Returns the type, Any, or an `Unresolved` as before."""
        return return_type(self.function)


def return_type(function: Callable[..., Any]) -> Any:
    """Return what a function's calls yield, by its annotations; Any where they do not say.

    Only the return annotation is looked at: those of parameters may be for type checkers only.
    Where it names what is not defined yet, the answer is an `Unresolved`.
    """
    inner = _annotated(function)
    said = getattr(inner, "__annotations__", {}).get("return", Any)
    lone = SimpleNamespace(__annotations__={"return": said})
    try:
        found = typing.get_type_hints(lone, globalns=getattr(inner, "__globals__", {}))["return"]
    except (NameError, AttributeError):
        return Unresolved(function, repr(getattr(inner, "__qualname__", "a function")))
    except (TypeError, SyntaxError):
        return Any
    if typing.get_origin(found) in (Awaitable, Coroutine):
        return typing.get_args(found)[-1]
    return found


def _annotated(function: Any) -> Any:
    """Return the function that holds the annotations of a callable."""
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    if inspect.isroutine(inner) or isinstance(inner, type):
        return inner
    return type(inner).__call__


@dataclass(frozen=True, slots=True)
class Adapter:
    """A pydantic ``TypeAdapter``, with what its dumping and its validating are to be told."""

    type: Any
    dump: Mapping[str, Any]
    validate: Mapping[str, Any]
    has_secrets: bool = False
    """It has secrets of pydantic's in it, which are written as asterisks."""


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
        by_name = {"by_alias": False}
        return Adapter(adapter, by_name, {**by_name, "by_name": True}, holds_secrets(type_))
    return Adapter(adapter, {"by_alias": True}, {}, holds_secrets(type_))


def revealed_by(adapter: Adapter, value: Any) -> Any:
    """Return what pydantic makes of a value for JSON, with its secrets as they are."""
    import pydantic_core

    parts = adapter.type.dump_python(value, mode="python", warnings="none", **adapter.dump)
    return pydantic_core.to_jsonable_python(_revealed(parts))


def _revealed(part: Any) -> Any:
    if isinstance(part, dict):
        return {_revealed(key): _revealed(item) for key, item in part.items()}
    if isinstance(part, list | tuple | set | frozenset):
        return [_revealed(item) for item in part]
    return _revealed(part.get_secret_value()) if is_secret(type(part)) else part


def _holds_models(type_: Any, seen: set[int]) -> bool:
    """Say whether a type is, or has somewhere in it, a class that pydantic validates."""
    if id(type_) in seen:
        return False
    seen.add(id(type_))
    if isinstance(type_, type) and hasattr(type_, "__pydantic_validator__"):
        return True
    if is_secret(type_):
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
