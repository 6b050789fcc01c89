"""A service that caches as it should. It is read by the linter, and not run."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Any

import redis
import redis.asyncio

from freshwell import AsyncCache

LOG = logging.getLogger(__name__)
PREFIX = "shop:"


@lru_cache(maxsize=256)
def slug(text: str) -> str:
    return text.lower().replace(" ", "-")


class Prices:
    def __init__(self, client: redis.Redis, database: Any) -> None:
        self._client = client
        self._database = database
        self._kept: dict[str, int] = {}

    def price(self, id: str) -> int:
        with self._client.lock(f"lock:{id}", timeout=5):
            found = self._client.get(f"price:{id}")
            if found is None:
                found = self._database.load(id)
                self._client.set(f"price:{id}", json.dumps(found), ex=300)
        return int(found)

    def change(self, id: str, to: int) -> None:
        self._database.save(id, to)
        try:
            self._client.delete(PREFIX + id)
        except redis.RedisError:
            LOG.exception("the price of %s may be old", id)
            raise

    def every(self) -> list[str]:
        return [*self._client.scan_iter("price:*"), *self._kept.keys()]


class Sessions:
    def __init__(self, url: str, box: Any) -> None:
        self._redis = redis.asyncio.from_url(url)
        self._box = box

    async def begin(self, id: str, password: str) -> None:
        del password
        await self._redis.hset(f"session:{id}", mapping={"since": "now"})
        await self._redis.expire(f"session:{id}", 3_600)

    async def remember(self, id: str, access_token: str) -> None:
        sealed = self._box.encrypt(access_token.encode())
        await self._redis.set(f"token:{id}", sealed, ex=3_600)

    async def lock(self, id: str, token: str) -> bool:
        return bool(await self._redis.set(f"lock:{id}", token, nx=True, px=5_000))


cache = AsyncCache(ttl="5m")


@cache.cached("user:{id}")
async def user(id: int) -> dict[str, int]:
    return {"id": id}


async def renamed(id: int) -> None:
    await cache.set(f"user:{id}", {"id": id})
    await cache.invalidate(f"user:{id}")
