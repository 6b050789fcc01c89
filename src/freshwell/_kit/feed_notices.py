"""What a feed can tell."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Flushed", "Invalidated", "Notice", "Pong", "Subscribed"]


@dataclass(frozen=True, slots=True)
class Invalidated:
    """These keys were changed, by whomever."""

    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Flushed:
    """All keys are gone."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The feed is armed, anew."""


@dataclass(frozen=True, slots=True)
class Pong:
    """A probe was answered."""

    payload: bytes


Notice = Invalidated | Flushed | Subscribed | Pong
