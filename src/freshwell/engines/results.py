"""What loaders return and callers store: refused where it cannot be what was meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final, TypeVar

from freshwell.engines.loading import NotModified
from freshwell.errors import ConfigurationError
from freshwell.ground.keys import check_count
from freshwell.ground.saved import AS_GIVEN, Saved, is_version

__all__ = ["by_name", "check_mapping", "checked_saved", "storable"]

K = TypeVar("K")
V = TypeVar("V")

_PLAIN_KINDS: Final = frozenset({dict, list, tuple, str, bytes, int, float, bool})
"""What values mostly are. `storable` has nothing against them."""
_SUSPECT: Final = frozenset({AsyncGeneratorType, CoroutineType, GeneratorType, NotModified})


def storable(value: V) -> V:
    """Return `value`, unless it is something that can be read only once.

    Raises `ConfigurationError` for iterators (generators, ``map``, cursors, open files), for
    coroutines that nobody awaited, and for the answer "not modified" of a load that is over.
    """
    if value.__class__ in _PLAIN_KINDS:
        return value
    if value.__class__ not in _SUSPECT:
        if _is_iterator(value):
            raise _read_once(f"an iterator ({value.__class__.__name__})")
        return value
    if isinstance(value, NotModified):
        value.check()
        return value
    if isinstance(value, CoroutineType):
        value.close()
        raise ConfigurationError("the value is a coroutine: await it first")
    raise _read_once("a generator" if isinstance(value, GeneratorType) else "an async generator")


def _is_iterator(value: Any) -> bool:
    """Tell whether a loop over `value` uses it up: an iterator's own iterator is itself.

    That it has ``__next__`` does not say so alone: mocks have every method.
    """
    kind = value.__class__
    if hasattr(kind, "__next__"):
        return iter(value) is value
    return hasattr(kind, "__anext__") and aiter(value) is value


def _read_once(kind: str) -> ConfigurationError:
    return ConfigurationError(f"the value is {kind}, which can be read only once: give a list")


def check_mapping(values: object, method: str) -> None:
    """Refuse what is no mapping, and one that is too large.

    Raises `ConfigurationError` and `KeyRejected`.
    """
    if not isinstance(values, Mapping):
        raise ConfigurationError(
            f"{method} was given an object of type {values.__class__.__name__}: give a mapping "
            "from keys to values"
        )
    check_count(len(values))


def checked_saved(saved: Saved[V], method: str) -> Saved[V]:
    """Return what a source's `method` said of a value that it has saved, if that can be.

    Raises `ConfigurationError`: the version is none, or the value is None or can be read only
    once.
    """
    version = saved.version
    if version is not None and not is_version(version):
        said = f"of type {type(version).__name__}"
        if type(version) is int:
            said = str(version) if version.bit_length() < 256 else "larger by far"
        raise ConfigurationError(
            f"{method} returned a Saved whose version is {said}: a version is a whole number from "
            "0 to 2**63 - 1, raised with each change of the row; leave it out where there is none"
        )
    if saved.value is None:
        raise ConfigurationError(
            f"{method} returned a Saved whose value is None, which stands for an id that does not "
            "exist: leave the value out where the source has what it was given"
        )
    if saved.value is not AS_GIVEN:
        storable(saved.value)
    return saved


def by_name(found: Mapping[K, Any], asked: Collection[K]) -> Mapping[K, Any]:
    """Return what a loader of many found, if that can be an answer to what was asked.

    What a loader leaves out is remembered as absent; so a loader that answers otherwise than
    by a mapping from what it was asked for must not be believed.

    Raises `ConfigurationError`: it is no mapping, has only names that nobody asked for, or
    has values that can be read only once.
    """
    if not isinstance(found, Mapping):
        raise ConfigurationError(
            f"the loader returned an object of type {found.__class__.__name__}: a loader of many "
            "returns a mapping from what it was asked for to values, without what does not exist"
        )
    if found and not any(name in found for name in asked):
        raise ConfigurationError(
            "the loader returned a mapping that has nothing of what it was asked for: its keys "
            "must be equal to those that it was given"
        )
    for value in found.values():
        storable(value)
    return found
