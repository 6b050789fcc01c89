"""What type checkers see of the public API. Checked by mypy, and never run.

Each ``type: ignore`` names an error that has to be there: one that is not needed is an error.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, assert_type

from freshwell import (
    Cache,
    CachedFunction,
    ReadThrough,
    Source,
    WritableSource,
    WriteThrough,
    Lookup,
    Saved,
    Stats,
)
from freshwell.testing import CountingLoader, Chaos, FakeClock, Seen, watched


class User:
    name: str


class Users:
    """A source with both loaders, and a service with a cached method."""

    def load(self, id: int, /) -> User | None:
        return None

    def load_many(self, ids: Sequence[int]) -> Mapping[int, User]:
        return {}


def load_user() -> User:
    return User()


def load_maybe() -> User | None:
    return None


def load_users(keys: list[str]) -> dict[str, User]:
    return {}


cache = Cache(clock=FakeClock())
Cache(clock=lambda: 1.5)  # type: ignore[arg-type,return-value]


# -- functions -------------------------------------------------------------------------------


@cache.cached("user:{user_id}", ttl="5m")
def get_user(user_id: int, *, deep: bool = False) -> User:
    return User()


@cache.cached()
def get_numbers() -> list[int]:
    return []


def functions() -> None:
    assert_type(get_user(1), User)
    assert_type(get_user(user_id=1, deep=True), User)
    call = get_user(1)
    kept = assert_type(call, User)
    assert_type(kept, User)
    assert_type(get_numbers(), list[int])
    same: CachedFunction[[], list[int]] = get_numbers
    assert_type(same.__name__, str)

    get_user("1")  # type: ignore[arg-type]
    get_user()  # type: ignore[call-arg]
    get_user(1, True)  # type: ignore[call-arg]
    get_user(1, deeply=True)  # type: ignore[call-arg]


def helpers() -> None:
    assert_type(get_user.refresh(1), User)
    assert_type(get_user.uncached(1, deep=True), User)
    assert_type(get_user.lookup(1), Lookup)
    assert_type(get_user.many([1, 2]), list[User])
    assert_type(get_user.key(1), str)
    get_user.invalidate(1)
    get_user.expire(user_id=1)

    get_user.invalidate("1")  # type: ignore[arg-type]
    get_user.expire()  # type: ignore[call-arg]
    get_user.refresh(1, True)  # type: ignore[call-arg]
    get_user.lookup(id=1)  # type: ignore[call-arg]
    get_user.uncached(None)  # type: ignore[arg-type]
    get_user.key("1")  # type: ignore[arg-type]
    get_user.forget(1)  # type: ignore[attr-defined]


# -- methods ---------------------------------------------------------------------------------


class Service:
    @cache.cached("service:{user_id}")
    def user(self, user_id: int) -> User:
        return User()


def methods(service: Service) -> None:
    assert_type(service.user(1), User)
    assert_type(service.user.refresh(1), User)
    assert_type(service.user.key(user_id=1), str)
    assert_type(Service.user(service, 1), User)
    service.user.invalidate(1)

    service.user("1")  # type: ignore[arg-type]
    service.user.invalidate("1")  # type: ignore[arg-type]
    service.user.invalidate(service, 1)  # type: ignore[call-arg, arg-type]
    Service.user(1)  # type: ignore[call-arg, arg-type]


# -- by key ----------------------------------------------------------------------------------


def by_key() -> None:
    assert_type(cache.get_or_load("user:1", load_user), User)
    assert_type(cache.get_or_load("user:1", load_maybe, ttl=60), User | None)
    assert_type(cache.get_or_load("user:1", partial(get_user, 1)), User)
    assert_type(cache.get_or_load_many(["user:1"], load_users), dict[str, User])
    assert_type(cache.lookup("user:1"), Lookup)
    assert_type(cache.stats(), Stats)
    cache.set("user:1", User(), ttl=timedelta(minutes=5), stale_ttl="1m")
    fresh_first = cache.get_or_load(
        "user:1", load_user, stale_serve="error", stale_on=(OSError,), load_timeout=None
    )
    assert_type(fresh_first, User)
    cache.get_or_load("user:1", load_user, stale_serve="always")  # type: ignore[arg-type]
    cache.get_or_load("user:1", load_user, stale_sevre="error")  # type: ignore[call-arg]
    cache.set_many({"user:1": User()}, ttl=1.5)
    cache.invalidate("user:1", "user:2")
    cache.expire("user:1")

    cache.get_or_load("user:1", load_users)  # type: ignore[arg-type]
    cache.get_or_load("user:1", User())  # type: ignore[arg-type]
    cache.get_or_load(1, load_user)  # type: ignore[arg-type]
    cache.get_or_load("user:1", load_user, ttl=b"5m")  # type: ignore[arg-type]
    cache.get_or_load("user:1", load_user, read="dirty")  # type: ignore[arg-type]
    cache.get_or_load_many(["user:1"], load_user)  # type: ignore[arg-type]
    cache.set("user:1")  # type: ignore[call-arg]
    cache.invalidate(1)  # type: ignore[arg-type]


def construction() -> None:
    with Cache("redis://localhost", namespace="shop", ttl="5m") as opened:
        assert_type(opened, Cache)
    Cache(nmespace="shop")  # type: ignore[call-arg]
    Cache(None, "shop")  # type: ignore[call-arg]
    Cache(read="dirty")  # type: ignore[arg-type]


# -- read-through ----------------------------------------------------------------------------


def by_number(id: int) -> User:
    return User()


def read_through() -> None:
    users = cache.read_through(Users(), key="user:{}")
    assert_type(users, ReadThrough[User])
    assert_type(users.get(1), User | None)
    assert_type(users.refresh(1), User | None)
    assert_type(users.key(1), str)
    assert_type(users.lookup(1), Lookup)
    users.invalidate(1, 2)

    plain = cache.read_through(by_number, key="user:{}", ttl="5m")
    assert_type(plain, ReadThrough[User])
    assert_type(plain.get(1), User | None)
    assert_type(plain.get_many([1, 2]), dict[Any, User])

    cache.read_through(User(), key="user:{}")  # type: ignore[arg-type]
    cache.read_through(Users())  # type: ignore[call-arg]


# -- write-through ---------------------------------------------------------------------------


class Writable(Users):
    def save(self, id: int, value: User, /) -> None:
        pass


class Telling(Users):
    def save(self, id: int, value: User, /) -> Saved[User]:
        return Saved(User(), 1) if id else Saved(version=1)


class Mistaken(Users):
    def save(self, id: int, value: User, /) -> Saved[User]:
        return Saved("Ada", version=1)  # type: ignore[arg-type]


def write_through() -> None:
    source: WritableSource[int, User] = Writable()
    readable: Source[int, User] = source
    users = cache.write_through(source, key="user:{}", ttl="5m", tags=["users"])
    assert_type(users, WriteThrough[User])
    assert_type(cache.write_through(Writable(), key="user:{}"), WriteThrough[User])
    assert_type(cache.write_through(Telling(), key="user:{}"), WriteThrough[User])
    assert_type(users.get(1), User | None)
    users.put(1, User())
    users.put_many({1: User()})
    users.delete(1, 2)

    users.put(1, "Ada")  # type: ignore[arg-type]
    users.put_many([User()])  # type: ignore[arg-type]
    cache.write_through(readable, key="user:{}")  # type: ignore[arg-type]
    cache.write_through(by_number, key="user:{}")  # type: ignore[arg-type]


# -- for tests -------------------------------------------------------------------------------


def in_tests() -> None:
    loads = CountingLoader({1: "a"})
    assert_type(loads(1), str | None)
    names = cache.read_through(loads, key="name:{}")
    assert_type(names.get(1), str | None)
    assert_type(Chaos().wrap("source", Users()), Users)
    with watched(cache) as seen:
        assert_type(seen, Seen)
