"""What can be cached at all: functions that return their result once."""

from __future__ import annotations

import inspect
from typing import Final

from freshwell.errors import ConfigurationError

__all__ = ["check_function", "check_runs", "shown_name"]

_GENERATORS: Final = {
    True: "an async generator",
    False: "a generator",
}


def check_function(function: object) -> None:
    """Refuse what is no function, and generators. Raises `ConfigurationError`."""
    if isinstance(function, property):
        raise ConfigurationError("cached stands above a property: put @property above it")
    if not callable(function):
        raise ConfigurationError(f"cached needs a function, and was given {shown_name(function)}")
    asynchronous = inspect.isasyncgenfunction(function)
    if asynchronous or inspect.isgeneratorfunction(function):
        raise ConfigurationError(
            f"{shown_name(function)} is {_GENERATORS[asynchronous]}, whose items can be read "
            "only once: return a list"
        )


def check_runs(method: object, name: str) -> None:
    """Refuse what a call would not run. Raises `ConfigurationError`, which says `name`."""
    if not callable(method):
        raise ConfigurationError(f"{name} is no method, but a {type(method).__name__}")
    if inspect.isasyncgenfunction(method) or inspect.isgeneratorfunction(method):
        raise ConfigurationError(f"{name} is a generator, and a call would not run it: no `yield`")


def shown_name(function: object) -> str:
    """Return by what name errors speak of a function: its own, or its class's. Never its repr."""
    name = getattr(function, "__qualname__", None)
    return repr(name) if isinstance(name, str) else f"an object of type {type(function).__name__}"
