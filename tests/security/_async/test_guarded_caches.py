"""Who can write to Redis can cause misses, and nothing else, where entries are guarded."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, Keyring, Sealed, Signed
from freshwell.ground.frame import Flag, Frame, State, decode, encode
from freshwell.ground.keys import digest8
from tests.security.parts import GUARDED, KEYS, NEWER, OTHERS
from tests.support.servers import Server

A, B = "fw:e:shop:a", "fw:e:shop:b"
Build = Any
"""Builds a cache that shares entries with others; takes what a cache takes."""

KINDS = ("sealed", "signed", "sealed pickle")


@pytest.fixture
def build(redis_url: str) -> Build:
    return partial(AsyncCache, redis_url, namespace="shop", l1=False, command_timeout=5)


@pytest.fixture(params=KINDS)
def guarded(request: pytest.FixtureRequest, build: Build) -> Build:
    """Give what builds caches whose entries are guarded."""
    return partial(build, codec=GUARDED[request.param](KEYS))


def frame_at(server: Server, key: str) -> Frame:
    frame = decode(server.ask("GET", key), digest8(key.encode()))
    assert isinstance(frame, Frame)
    return frame


def put(server: Server, key: str, frame: Frame, **changes: Any) -> None:
    """Store a frame as somebody would who knows how frames are made, but has no key."""
    fields = frame._asdict() | {"payload": bytes(frame.payload)} | changes
    data = encode(**(fields | {"digest": digest8(key.encode())}))
    server.ask("SET", key, data, "PX", 60_000)


async def missed(cache: AsyncCache, key: str, reason: str) -> None:
    """Check that an entry is a miss, counted, with that reason."""
    before = cache.stats().codec_errors
    assert (await cache.lookup(key)).reason == reason
    assert await cache.get(key, "missed") == "missed"
    assert await cache.get_many([key]) == {}
    assert cache.stats().codec_errors == before + 3


async def test_caches_share_values_and_word_that_there_is_none(guarded: Build) -> None:
    async with guarded() as one, guarded(l1=True) as other:

        async def nothing(keys: list[str]) -> dict[str, Any]:
            return {}

        await one.set("a", [1, "two"])
        await one.get_or_load_many(["b"], nothing)
        assert await other.get("a") == [1, "two"]
        assert await one.get_many(["a", "b", "c"]) == {"a": [1, "two"]}
        found = await other.lookup("b")
        assert (found.found, found.negative, found.value) == (True, True, None)
        assert other.stats().codec_errors == 0


async def test_bytes_copied_to_another_key_are_a_miss(guarded: Build, redis_server: Server) -> None:
    async with guarded() as cache:
        await cache.set_many({"a": "of a", "b": "of b"})
        put(redis_server, B, frame_at(redis_server, A))
        await missed(cache, "b", "not authentic")
        assert await cache.get("a") == "of a"


async def test_the_same_copy_is_served_without_a_guard(build: Build, redis_server: Server) -> None:
    async with build() as cache:
        await cache.set_many({"a": "of a", "b": "of b"})
        put(redis_server, B, frame_at(redis_server, A))
        assert await cache.get("b") == "of a"


@pytest.mark.parametrize("flags", [0, 4, 8, 12], ids=["bare", "sealed", "signed", "both"])
async def test_word_that_there_is_none_cannot_be_forged(
    guarded: Build, redis_server: Server, flags: int
) -> None:
    async with guarded() as cache:
        await cache.set("a", "of a")
        own = frame_at(redis_server, A)
        for payload in (b"", bytes(own.payload)):
            for codec in (0, own.codec):
                put(redis_server, A, own, flags=1 | flags, codec=codec, payload=payload)
                found = await cache.lookup("a")
                assert not found.found
                assert found.reason in ("codec", "unguarded", "not authentic")
                assert await cache.get("a", "missed") == "missed"


async def test_the_same_forgery_is_believed_without_a_guard(
    build: Build, redis_server: Server
) -> None:
    async with build() as cache:
        await cache.set("a", "of a")
        put(redis_server, A, frame_at(redis_server, A), flags=1, codec=0, payload=b"")
        assert (await cache.lookup("a")).negative


@pytest.mark.parametrize("reader", ["sealed", "signed"])
@pytest.mark.parametrize("relabelled", [False, True], ids=["as it is", "relabelled"])
async def test_bytes_of_another_algorithm_are_a_miss(
    build: Build, redis_server: Server, reader: str, *, relabelled: bool
) -> None:
    codecs = {"plain": "json", "sealed": Sealed("json", KEYS), "signed": Signed("json", KEYS)}
    async with build(codec=codecs[reader]) as cache:
        await cache.set("a", "of a")
        wanted = frame_at(redis_server, A).flags
        for writer in codecs.keys() - {reader}:
            async with build(codec=codecs[writer]) as other:
                await other.set("a", "forged")
                if relabelled:
                    put(redis_server, A, frame_at(redis_server, A), flags=wanted)
                found = await cache.lookup("a")
                assert (found.found, found.reason) in [
                    (False, reason) for reason in ("unguarded", "not authentic", "unknown key")
                ]


async def test_bytes_of_another_namespace_or_schema_version_are_a_miss(
    guarded: Build, redis_server: Server
) -> None:
    for place, key in (
        ({"namespace": "other"}, "fw:e:other:a"),
        ({"version": 2}, "fw:e:shop@2:a"),
    ):
        async with guarded(**place) as other, guarded() as cache:
            await other.set("a", "of another")
            assert await other.get("a") == "of another"
            put(redis_server, A, frame_at(redis_server, key), stamps=())
            await missed(cache, "a", "not authentic")


async def test_changed_and_torn_payloads_are_a_miss(guarded: Build, redis_server: Server) -> None:
    async with guarded() as cache:
        await cache.set("a", "of a")
        own = frame_at(redis_server, A)
        for place in range(len(own.payload)):
            changed = bytearray(own.payload)
            changed[place] ^= 1
            put(redis_server, A, own, payload=bytes(changed))
            assert await cache.get("a", "missed") == "missed"
            put(redis_server, A, own, payload=bytes(own.payload[:place]))
            assert await cache.get("a", "missed") == "missed"
        put(redis_server, A, own)
        assert await cache.get("a") == "of a"


async def test_a_bomb_is_a_miss(build: Build, redis_server: Server) -> None:
    zstandard = pytest.importorskip("zstandard")
    from freshwell import Compressed

    async with build(codec=Compressed("json"), max_value_bytes=100_000) as cache:
        await cache.set("a", "a" * 5_000)
        own = frame_at(redis_server, A)
        assert own.flags == Flag.COMPRESSED
        assert own.state is State.VALUE
        assert len(own.payload) < 100
        assert await cache.get("a") == "a" * 5_000
        bomb = zstandard.ZstdCompressor().compress(b'"' + b"a" * 200_000 + b'"')
        put(redis_server, A, own, payload=b"\1" + bomb)
        await missed(cache, "a", "too large")


async def test_keys_rotate_while_the_service_runs(build: Build) -> None:
    async def load() -> str:
        return "loaded anew"

    def with_keys(keys: Keyring) -> AsyncCache:
        cache: AsyncCache = build(codec=Sealed("json", keys))
        return cache

    async with with_keys(KEYS) as old, with_keys(NEWER) as both, with_keys(OTHERS) as new:
        await old.set("a", "by the old key")
        assert await both.get("a") == "by the old key"
        await missed(new, "a", "unknown key")
        assert await new.get_or_load("a", load) == "loaded anew"
        await both.set("b", "by the new key")
        assert await new.get("b") == "by the new key"
        await missed(old, "b", "unknown key")
