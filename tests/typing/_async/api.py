"""What type checkers see of the public API. Checked by mypy, and never run.

Each ``type: ignore`` names an error that has to be there: one that is not needed is an error.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, assert_type

from freshwell import (
    AsyncCache,
    AsyncCachedFunction,
    AsyncReadThrough,
    AsyncSource,
    AsyncWritableSource,
    AsyncWriteThrough,
    Lookup,
    Saved,
    Stats,
)
from freshwell.testing import AsyncCountingLoader, Chaos, FakeClock, Seen, watched


class User:
    name: str


class Users:
    """A source with both loaders, and a service with a cached method."""

    async def load(self, id: int, /) -> User | None:
        return None

    async def load_many(self, ids: Sequence[int]) -> Mapping[int, User]:
        return {}


async def load_user() -> User:
    return User()


async def load_maybe() -> User | None:
    return None


async def load_users(keys: list[str]) -> dict[str, User]:
    return {}


cache = AsyncCache(clock=FakeClock())
AsyncCache(clock=lambda: 1.5)  # type: ignore[arg-type,return-value]


# -- functions -------------------------------------------------------------------------------


@cache.cached("user:{user_id}", ttl="5m")
async def get_user(user_id: int, *, deep: bool = False) -> User:
    return User()


@cache.cached()
async def get_numbers() -> list[int]:
    return []


async def functions() -> None:
    assert_type(await get_user(1), User)
    assert_type(await get_user(user_id=1, deep=True), User)
    call = get_user(1)
    kept = assert_type(call, Coroutine[Any, Any, User])
    assert_type(await kept, User)
    assert_type(await get_numbers(), list[int])
    same: AsyncCachedFunction[[], list[int]] = get_numbers
    assert_type(same.__name__, str)

    await get_user("1")  # type: ignore[arg-type]
    await get_user()  # type: ignore[call-arg]
    await get_user(1, True)  # type: ignore[call-arg]
    await get_user(1, deeply=True)  # type: ignore[call-arg]


async def helpers() -> None:
    assert_type(await get_user.refresh(1), User)
    assert_type(await get_user.uncached(1, deep=True), User)
    assert_type(await get_user.lookup(1), Lookup)
    assert_type(await get_user.many([1, 2]), list[User])
    assert_type(get_user.key(1), str)
    await get_user.invalidate(1)
    await get_user.expire(user_id=1)

    await get_user.invalidate("1")  # type: ignore[arg-type]
    await get_user.expire()  # type: ignore[call-arg]
    await get_user.refresh(1, True)  # type: ignore[call-arg]
    await get_user.lookup(id=1)  # type: ignore[call-arg]
    await get_user.uncached(None)  # type: ignore[arg-type]
    get_user.key("1")  # type: ignore[arg-type]
    get_user.forget(1)  # type: ignore[attr-defined]


# -- methods ---------------------------------------------------------------------------------


class Service:
    @cache.cached("service:{user_id}")
    async def user(self, user_id: int) -> User:
        return User()


async def methods(service: Service) -> None:
    assert_type(await service.user(1), User)
    assert_type(await service.user.refresh(1), User)
    assert_type(service.user.key(user_id=1), str)
    assert_type(await Service.user(service, 1), User)
    await service.user.invalidate(1)

    await service.user("1")  # type: ignore[arg-type]
    await service.user.invalidate("1")  # type: ignore[arg-type]
    await service.user.invalidate(service, 1)  # type: ignore[call-arg, arg-type]
    await Service.user(1)  # type: ignore[call-arg, arg-type]


# -- by key ----------------------------------------------------------------------------------


async def by_key() -> None:
    assert_type(await cache.get_or_load("user:1", load_user), User)
    assert_type(await cache.get_or_load("user:1", load_maybe, ttl=60), User | None)
    assert_type(await cache.get_or_load("user:1", partial(get_user, 1)), User)
    assert_type(await cache.get_or_load_many(["user:1"], load_users), dict[str, User])
    assert_type(await cache.lookup("user:1"), Lookup)
    assert_type(cache.stats(), Stats)
    await cache.set("user:1", User(), ttl=timedelta(minutes=5), stale_ttl="1m")
    fresh_first = await cache.get_or_load(
        "user:1", load_user, stale_serve="error", stale_on=(OSError,), load_timeout=None
    )
    assert_type(fresh_first, User)
    await cache.get_or_load("user:1", load_user, stale_serve="always")  # type: ignore[arg-type]
    await cache.get_or_load("user:1", load_user, stale_sevre="error")  # type: ignore[call-arg]
    await cache.set_many({"user:1": User()}, ttl=1.5)
    await cache.invalidate("user:1", "user:2")
    await cache.expire("user:1")

    await cache.get_or_load("user:1", load_users)  # type: ignore[arg-type]
    await cache.get_or_load("user:1", User())  # type: ignore[arg-type]
    await cache.get_or_load(1, load_user)  # type: ignore[arg-type]
    await cache.get_or_load("user:1", load_user, ttl=b"5m")  # type: ignore[arg-type]
    await cache.get_or_load("user:1", load_user, read="dirty")  # type: ignore[arg-type]
    await cache.get_or_load_many(["user:1"], load_user)  # type: ignore[arg-type]
    await cache.set("user:1")  # type: ignore[call-arg]
    await cache.invalidate(1)  # type: ignore[arg-type]


async def construction() -> None:
    async with AsyncCache("redis://localhost", namespace="shop", ttl="5m") as opened:
        assert_type(opened, AsyncCache)
    AsyncCache(nmespace="shop")  # type: ignore[call-arg]
    AsyncCache(None, "shop")  # type: ignore[call-arg]
    AsyncCache(read="dirty")  # type: ignore[arg-type]


# -- read-through ----------------------------------------------------------------------------


async def by_number(id: int) -> User:
    return User()


async def read_through() -> None:
    users = cache.read_through(Users(), key="user:{}")
    assert_type(users, AsyncReadThrough[User])
    assert_type(await users.get(1), User | None)
    assert_type(await users.refresh(1), User | None)
    assert_type(users.key(1), str)
    assert_type(await users.lookup(1), Lookup)
    await users.invalidate(1, 2)

    plain = cache.read_through(by_number, key="user:{}", ttl="5m")
    assert_type(plain, AsyncReadThrough[User])
    assert_type(await plain.get(1), User | None)
    assert_type(await plain.get_many([1, 2]), dict[Any, User])

    cache.read_through(User(), key="user:{}")  # type: ignore[arg-type]
    cache.read_through(Users())  # type: ignore[call-arg]


# -- write-through ---------------------------------------------------------------------------


class Writable(Users):
    async def save(self, id: int, value: User, /) -> None:
        pass


class Telling(Users):
    async def save(self, id: int, value: User, /) -> Saved[User]:
        return Saved(User(), 1) if id else Saved(version=1)


class Mistaken(Users):
    async def save(self, id: int, value: User, /) -> Saved[User]:
        return Saved("Ada", version=1)  # type: ignore[arg-type]


async def write_through() -> None:
    source: AsyncWritableSource[int, User] = Writable()
    readable: AsyncSource[int, User] = source
    users = cache.write_through(source, key="user:{}", ttl="5m", tags=["users"])
    assert_type(users, AsyncWriteThrough[User])
    assert_type(cache.write_through(Writable(), key="user:{}"), AsyncWriteThrough[User])
    assert_type(cache.write_through(Telling(), key="user:{}"), AsyncWriteThrough[User])
    assert_type(await users.get(1), User | None)
    await users.put(1, User())
    await users.put_many({1: User()})
    await users.delete(1, 2)

    await users.put(1, "Ada")  # type: ignore[arg-type]
    await users.put_many([User()])  # type: ignore[arg-type]
    cache.write_through(readable, key="user:{}")  # type: ignore[arg-type]
    cache.write_through(by_number, key="user:{}")  # type: ignore[arg-type]


# -- for tests -------------------------------------------------------------------------------


async def in_tests() -> None:
    loads = AsyncCountingLoader({1: "a"})
    assert_type(await loads(1), str | None)
    names = cache.read_through(loads, key="name:{}")
    assert_type(await names.get(1), str | None)
    assert_type(Chaos().wrap("source", Users()), Users)
    with watched(cache) as seen:
        assert_type(seen, Seen)
