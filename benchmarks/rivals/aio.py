"""aiocache with a pool that waits: its own raises when all connections are in use."""

from __future__ import annotations

from typing import Any

import aiocache
from aiocache.serializers import JsonSerializer
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis

__all__ = ["aiocache_options", "pooled"]


def aiocache_options(**options: Any) -> dict[str, Any]:
    """Return what its decorators get. Their caches are connected by `pooled`."""
    return {
        "cache": aiocache.RedisCache,
        "serializer": JsonSerializer(),
        "timeout": 30,
        **options,
    }


def pooled(cache: Any, url: str, connections: int) -> Any:
    """Connect a cache of aiocache's to the server at `url`, by so many connections at the most."""
    pool = BlockingConnectionPool.from_url(url, max_connections=connections, timeout=30)
    cache.client = AsyncRedis(connection_pool=pool)
    return cache
