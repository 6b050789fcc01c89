"""Keys that somebody chose to do harm: refused by every verb, or names like any other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, KeyRejected
from freshwell._kit.aio import resolve
from freshwell.ground.keys import MAX_AT_ONCE
from tests.security.parts import KEYS
from tests.support.plugin import served

REFUSED: dict[str, Any] = {
    "empty": "",
    "1 MB": "k" * 2**20,
    "1 MB of four bytes each": "\N{SNAKE}" * 2**18,
    "newline": "a\r\nFLUSHALL\r\n",
    "zero": "a\0b",
    "unit separator": "\x1fother:a",
    "escape": "\x1b[2J",
    "delete": "a\x7f",
    "lone surrogate": "\ud800",
    "bytes": b"a",
    "number": 7,
    "none": None,
    "list": ["a"],
}
TAKEN = {
    "glob": "*",
    "globs": "[a-z]*?\\",
    "braces": "{fw:e:shop}",
    "separators": "shop/x:a",
    "spaces": "  a  b ",
    "turned": "\N{RIGHT-TO-LEFT OVERRIDE}a",
    "formats": "%s {0} ${HOME} `id` '; DROP TABLE a; --",
    "longest": "k" * 1_024,
}


async def load(*ids: Any) -> Any:
    return 1


def verbs(cache: Any, key: Any) -> dict[str, Callable[[], Any]]:
    """Return every verb that takes a key, with this one."""
    return {
        "get": partial(cache.get, key),
        "get_many": partial(cache.get_many, [key]),
        "get_or_load": partial(cache.get_or_load, key, load),
        "get_or_load_many": partial(cache.get_or_load_many, [key], load),
        "lookup": partial(cache.lookup, key),
        "set": partial(cache.set, key, 1),
        "set_many": partial(cache.set_many, _mapping(key)),
        "invalidate": partial(cache.invalidate, key),
        "expire": partial(cache.expire, key),
        "writing": partial(cache.writing, key),
        "invalidate_tags": partial(cache.invalidate_tags, key),
        "tags": partial(cache.set, "a", 1, tags=[key] if isinstance(key, str) else ["\n"]),
    }


def _mapping(key: Any) -> dict[Any, int]:
    return {key: 1} if isinstance(key, str) else {7: 1}


KINDS = ("in process", "shared", "hashed")


@pytest.fixture(params=[served(kind, kind != "in process") for kind in KINDS])
def cache(request: pytest.FixtureRequest) -> Callable[[], AsyncCache]:
    """Give what builds a cache of each kind."""
    if request.param == "in process":
        return AsyncCache
    url = request.getfixturevalue("redis_url")
    hash_keys = KEYS if request.param == "hashed" else None
    return partial(AsyncCache, url, namespace="shop", hash_keys=hash_keys, command_timeout=5)


@pytest.mark.parametrize("key", REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_a_key_is_refused_by_every_verb_and_not_repeated(
    cache: Callable[[], AsyncCache], key: Any
) -> None:
    async with cache() as made:
        for place in (made, made.namespace("x")):
            for name, verb in verbs(place, key).items():
                with pytest.raises(KeyRejected) as refused:
                    await resolve(verb())
                said = str(refused.value)
                assert len(said) < 400, name
                assert said.isprintable(), name
                assert "FLUSHALL" not in said


@pytest.mark.parametrize("key", TAKEN.values(), ids=TAKEN.keys())
async def test_what_may_be_a_key_names_its_own_entry_alone(
    cache: Callable[[], AsyncCache], key: str
) -> None:
    async with cache() as made:
        others = {other: 0 for other in TAKEN.values() if other != key}
        await made.set_many(others)
        await made.namespace("x").set("a", 0)
        await made.set(key, 1)
        assert await made.get(key) == 1
        await made.invalidate(key)
        assert await made.get_many([*TAKEN.values()]) == others
        assert await made.namespace("x").get("a") == 0


async def test_a_call_names_a_bounded_number_of_keys() -> None:
    many = [str(n) for n in range(MAX_AT_ONCE + 1)]
    async with AsyncCache() as made:
        rows: Any = made.read_through(load, key="row:{}")
        verbs: list[Callable[[], Any]] = [
            partial(made.get_many, many),
            partial(made.get_or_load_many, many, load),
            partial(made.set_many, dict.fromkeys(many, 1)),
            partial(made.invalidate, *many),
            partial(made.expire, *many),
            partial(made.invalidate_tags, *many),
            partial(made.writing, *many),
            partial(made.writing, tags=many),
            partial(rows.get_many, many),
            partial(rows.invalidate, *many),
        ]
        for verb in verbs:
            with pytest.raises(KeyRejected, match="at most 100,000"):
                await resolve(verb())
