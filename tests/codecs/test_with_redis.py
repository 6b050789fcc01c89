"""What callers of a cache on Redis see of its codec."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from freshwell import Cache, CodecError, ConfigurationError
from freshwell.codecs.pickle import PickleCodec
from tests.codecs import shapes

CODECS: list[Any] = ["json", "msgpack", PickleCodec("0123456789abcdef")]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=["json", "msgpack", "pickle"])


@each_codec
def test_both_tiers_give_the_annotated_value(redis_url: str, codec: Any) -> None:
    born = shapes.User(id=1, born=dt.date(2026, 1, 1), tags={"a"})
    with Cache(redis_url, codec=codec) as here, Cache(redis_url, codec=codec) as there:

        @here.cached("user:{id}")
        def user(id: int) -> shapes.User:
            return born

        assert user(1) == born
        assert there.get("user:1", type=shapes.User) == born
        assert there.stats().hits_l2 == 1


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_a_loaded_value_that_would_change_is_refused_and_the_next_load_need_not_wait(
    redis_url: str, codec: str
) -> None:
    with Cache(redis_url, codec=codec, lease=30) as cache:
        for _ in range(2):
            with pytest.raises(CodecError, match="a tuple comes back as a list"):
                cache.get_or_load("pair", lambda: (1, 2))
        assert cache.get("pair") is None
        assert cache.get_or_load("pair", lambda: [1, 2]) == [1, 2]


def test_a_value_that_would_change_is_not_set(redis_url: str) -> None:
    with Cache(redis_url) as cache:
        cache.set("a", [1])
        with pytest.raises(CodecError):
            cache.set("a", {1})


def test_bytes_of_another_codec_or_type_are_a_counted_miss(redis_url: str) -> None:
    with (
        Cache(redis_url, codec="json") as one,
        Cache(redis_url, codec="msgpack") as other,
        Cache(redis_url, codec="json") as third,
    ):
        one.set("a", {"name": "Ada"})
        assert other.get("a") is None
        assert other.stats().codec_errors == 1
        assert third.get("a", type=int) is None
        assert third.stats().codec_errors == 1


def test_a_return_type_that_cannot_come_back_is_refused_where_it_is_decorated(
    redis_url: str,
) -> None:
    with Cache(redis_url) as cache:

        def foreign(id: int) -> shapes.ForeignClass:
            return shapes.ForeignClass()

        with pytest.raises(ConfigurationError, match="ForeignClass"):
            cache.cached("foreign:{id}")(foreign)
