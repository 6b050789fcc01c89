"""What a feed can tell, and how it is read off the wire (RESP2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CHANNEL", "Flushed", "Invalidated", "Notice", "Pong", "Subscribed", "notice_of"]

CHANNEL = b"__redis__:invalidate"
"""Where the server tells a connection what it tracks."""


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


def notice_of(reply: Any) -> Notice | None:
    """Return what a message on the feed's connection says. None: nothing that concerns us."""
    if not isinstance(reply, list) or not reply:
        return None
    kind = reply[0]
    if kind == b"message":
        return _told(reply[2])
    if kind == b"pong":
        return Pong(reply[1])
    return Subscribed() if kind == b"subscribe" else None


def _told(content: Any) -> Notice | None:
    """Return what a message says. Anyone may publish on the channel: text is nothing of ours."""
    if content is None:
        return Flushed()
    return Invalidated(tuple(content)) if isinstance(content, list) else None
