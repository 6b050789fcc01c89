"""Hits in Redis from threads, without a copy in the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import dogpile.cache
import orjson
from django.conf import settings
from django.core.cache.backends.redis import RedisCache as DjangoRedisCache
from django_redis.cache import RedisCache as DjangoRedis
from redis import BlockingConnectionPool, Redis

from benchmarks.measure import Group, Row, interleave, timed_threads
from benchmarks.rivals.values import KEYS, SIZES, record
from freshwell import Cache

__all__ = ["run"]

_TTL_S = 600
_POOL = 64
_BATCH = [f"k:{i}" for i in range(100)]


class Work(NamedTuple):
    """What a contender does for the i-th read."""

    name: str
    read: Callable[[int], object]


def run(url: str, rounds: int, threads: Sequence[int]) -> list[Group]:
    """Measure hits of each number of `threads` on the server at `url`."""
    if not settings.configured:
        settings.configure()
    groups: list[Group] = []
    with ExitStack() as stack:
        for size, length in SIZES.items():
            rivals = Rivals(stack, url, length, size.replace(" ", ""))
            groups += [
                Group(
                    f"Sync hit in Redis, {size}, {count} thread{'s' * (count > 1)}",
                    _rows(count, rivals.single()),
                )
                for count in threads
            ]
            if length == min(SIZES.values()):
                rows = _rows(1, rivals.many(), each=60)
                groups.append(Group("Sync get of 100 keys at once, 1 thread", rows))
        interleave(groups, rounds=rounds)
    return groups


def _rows(threads: int, works: list[Work], each: int = 0) -> list[Row]:
    each = each or max(1, 1_000 // (threads + 3))
    return [Row(work.name, timed_threads(threads, each, work.read)) for work in works]


class Rivals:
    """Caches of one server whose entries are all there, with records of one length."""

    def __init__(self, stack: ExitStack, url: str, length: int, prefix: str) -> None:
        self._prefix = prefix
        value = record(length)
        pool = BlockingConnectionPool.from_url(url, max_connections=_POOL, timeout=30)
        stack.callback(pool.disconnect)
        self._redis = Redis(connection_pool=pool)
        self._own = stack.enter_context(Cache(url, namespace=f"rivals-sync-{prefix}", l1=False))
        self._region = dogpile.cache.make_region(key_mangler=lambda key: f"{prefix}:{key}")
        self._region.configure(
            "dogpile.cache.redis",
            expiration_time=_TTL_S,
            arguments={"connection_pool": pool, "redis_expiration_time": _TTL_S},
        )
        # Pools that wait: by default more threads than connections are an error.
        waits: dict[str, Any] = {"max_connections": _POOL, "timeout": 30}
        options: dict[str, Any] = {"pool_class": BlockingConnectionPool, **waits}
        self._django = DjangoRedisCache(
            url, {"KEY_PREFIX": f"d-{prefix}", "TIMEOUT": _TTL_S, "OPTIONS": options}
        )
        pool_class = "redis.BlockingConnectionPool"
        options = {"CONNECTION_POOL_CLASS": pool_class, "CONNECTION_POOL_KWARGS": waits}
        self._django_redis = DjangoRedis(
            url, {"KEY_PREFIX": f"r-{prefix}", "TIMEOUT": _TTL_S, "OPTIONS": options}
        )
        self._decorate(value)
        self._fill(value)

    def _decorate(self, value: dict[str, Any]) -> None:
        def product(n: int) -> dict[str, Any]:
            return value

        self._own_call = self._own.cached("p:{n}", ttl=_TTL_S)(product)
        self._dogpile_call = self._region.cache_on_arguments()(product)

    def _fill(self, value: dict[str, Any]) -> None:
        text = orjson.dumps(value)
        for i in range(KEYS):
            self._redis.set(f"{self._prefix}k:{i}", text)
            self._own.set(f"k:{i}", value)
            self._django.set(f"k:{i}", value)
            self._django_redis.set(f"k:{i}", value)
            self._own_call(i)
            self._dogpile_call(i)

    def single(self) -> list[Work]:
        """Return what reads one entry."""

        def raw(i: int) -> None:
            orjson.loads(self._redis.get(f"{self._prefix}k:{i % KEYS}") or b"")

        return [
            Work("redis-py GET, orjson.loads", raw),
            Work("freshwell get", lambda i: self._own.get(f"k:{i % KEYS}")),
            Work("freshwell decorated", lambda i: self._own_call(i % KEYS)),
            Work("dogpile.cache decorated", lambda i: self._dogpile_call(i % KEYS)),
            Work("Django get", lambda i: self._django.get(f"k:{i % KEYS}")),
            Work("django-redis get", lambda i: self._django_redis.get(f"k:{i % KEYS}")),
        ]

    def many(self) -> list[Work]:
        """Return what reads a hundred entries at once."""
        names = [f"{self._prefix}k:{i}" for i in range(len(_BATCH))]

        def raw(i: int) -> None:
            for found in self._redis.mget(names):
                orjson.loads(found or b"")

        return [
            Work("redis-py MGET, orjson.loads", raw),
            Work("freshwell get_many", lambda i: self._own.get_many(_BATCH)),
            Work("Django get_many", lambda i: self._django.get_many(_BATCH)),
            Work("django-redis get_many", lambda i: self._django_redis.get_many(_BATCH)),
        ]
