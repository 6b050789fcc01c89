"""Clients of redis-py, of both of its colours, with settings that caches do not share."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

__all__ = ["CLIENTS", "from_settings", "from_url"]

_CLASSES: dict[str, Any] = {"of_threads": redis.Redis, "of_tasks": redis.asyncio.Redis}
CLIENTS = tuple(_CLASSES)


def from_url(colour: str, url: str) -> Any:
    """Return a client that decodes replies, speaks RESP3, waits long, and has one connection."""
    return _CLASSES[colour].from_url(
        url, decode_responses=True, protocol=3, socket_timeout=77, max_connections=1
    )


def from_settings(colour: str, **settings: Any) -> Any:
    """Return a client made by keywords, as most are."""
    return _CLASSES[colour](**settings)
