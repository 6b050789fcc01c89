"""On which exceptions of a load an entry past its TTL is served, and on which it is not."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from freshwell.errors import (
    CacheClosed,
    CodecError,
    ConfigurationError,
    JournalError,
    KeyRejected,
    NestedLoadError,
)
from freshwell.typing import StaleOn

__all__ = ["serves_by_default", "stale_test"]

_NEVER = (CacheClosed, CodecError, ConfigurationError, JournalError, KeyRejected, NestedLoadError)
"""What an old value would only hide. Behind a journal that is silent, a newer one may wait."""


def serves_by_default(error: Exception) -> bool:
    """Tell whether an exception says that the source fails, and not that a program is wrong."""
    return not isinstance(error, _NEVER)


def stale_test(given: StaleOn) -> Callable[[Exception], bool]:
    """Return the function that `stale_on` stands for. One that raises has said no.

    Raises `ConfigurationError` for what is neither exception classes nor a plain function.
    """
    if isinstance(given, type | tuple):
        return _of_classes(given if isinstance(given, tuple) else (given,))
    if not callable(given) or inspect.iscoroutinefunction(given):
        kind = "an async function" if callable(given) else f"an object of type {_kind(given)}"
        raise ConfigurationError(
            f"stale_on is {kind}: give exception classes, such as (OSError,), or a plain function "
            "of the exception"
        )
    function = given

    def serves(error: Exception) -> bool:
        try:
            return bool(function(error))
        except Exception:  # noqa: BLE001 - the loader's exception is the one to be seen
            return False

    return serves


def _of_classes(classes: tuple[type[Exception], ...]) -> Callable[[Exception], bool]:
    for one in classes:
        if not isinstance(one, type) or not issubclass(one, Exception):
            raise ConfigurationError(
                f"stale_on is to hold exception classes, and has {one!r}: give subclasses of "
                "Exception, or a function of the exception"
            )
    return lambda error: isinstance(error, classes)


def _kind(given: object) -> str:
    return type(given).__name__
