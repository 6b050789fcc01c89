"""A planted secret, looked for in everything that a cache says, sends, stores and raises."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from freshwell import AsyncCache, FreshwellError, Sealed
from freshwell._kit.aio import resolve
from tests.security._async.test_journals_told import Rows
from tests.security.parts import KEYS
from tests.security.watching import files_in, held_by, told_to
from tests.support.servers import Server

VALUE, KEY, TAG, PASSWORD = "hush-value", "patient:hush-key", "hush-tag", "hush-password"
SECRETS = (VALUE, KEY, TAG, PASSWORD, "hush")
RAW = KEYS.derived(b"seal")[b"old"], KEYS.derived(b"names")[b"old"]


class Unwritable:
    """No codec writes it, and it tells itself to whoever asks."""

    def __repr__(self) -> str:
        return VALUE


async def raised(call: Any) -> str:
    """Return what an error says in every way that it can be asked."""
    with pytest.raises((FreshwellError, OSError)) as refused:
        await resolve(call())
    error = refused.value
    return f"{error!s} {error!r} {vars(error)} {error.__cause__!r} {error.__context__!r}"


async def used(cache: AsyncCache, journal: str) -> list[str]:
    """Use a cache in every way, with the secret everywhere. Return all that it says."""

    async def load() -> dict[str, str]:
        return {"is": VALUE}

    async def fails() -> None:
        raise OSError("the source is down")

    said = [repr(cache), repr(cache.namespace("x"))]
    for place in (cache, cache.namespace("x")):
        await place.get_or_load(KEY, load, tags=[TAG], stale_ttl=60)
        await place.set(KEY, {"is": VALUE}, tags=[TAG])
        said.append(repr(await place.lookup(KEY)))
        async with place.writing(KEY, tags=[TAG]):
            await place.get_or_load(KEY, load)
        await place.set_many({KEY: [VALUE]})
        await place.expire(KEY)
        await place.invalidate(KEY)
        await place.invalidate_tags(TAG)
        await place.set(KEY, {"is": VALUE}, tags=[TAG])
    rows = cache.write_behind(
        Rows(), key="row:{}", journal=journal, name="rows", assume_durable=True, flusher=False
    )
    await rows.put(KEY, {"is": VALUE})
    said += [repr(rows), repr(await rows.backlog()), repr(cache.stats())]
    unwritable: Any = Unwritable()
    for bad in (
        partial(cache.get, KEY + "\n"),
        partial(cache.get, KEY * 1_000),
        partial(cache.set, KEY, unwritable),
        partial(cache.set, KEY, {VALUE: (1, 2)}),
        partial(cache.set, KEY, 1, tags=[TAG + "\n"]),
        partial(cache.get_or_load, KEY + "2", fails),
        partial(rows.put, KEY, unwritable),
    ):
        said.append(await raised(bad))
    return said


@pytest.mark.parametrize("where", ["beside", "file"])
async def test_nothing_tells_a_secret_where_values_are_sealed_and_names_hashed(
    redis_url: str,
    redis_server: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "j.db"
    journal = "redis" if where == "beside" else f"sqlite:///{file}"
    with told_to(redis_server) as heard:
        async with AsyncCache(
            redis_url, codec=Sealed("json", KEYS), hash_keys=KEYS, command_timeout=5
        ) as cache:
            said = await used(cache, journal)
            redis_server.ask("SET", "fw:e:default:" + cache._core.names.hidden("", KEY), "torn")
            assert await cache.get(KEY, read="fresh") is None
    files = files_in(tmp_path)
    everything = b"\n".join([*heard, held_by(redis_server), files, *(s.encode() for s in said)])
    everything += caplog.text.encode()
    assert len(everything) > 5_000
    assert "rejected" in caplog.text
    found = [told for told in (*(s.encode() for s in SECRETS), *RAW) if told in everything]
    assert found == []
    assert not [raw for raw in RAW if raw.hex().encode() in everything]


@pytest.mark.parametrize("where", ["beside", "file"])
async def test_the_same_search_finds_them_with_plain_json(
    redis_url: str, redis_server: Server, tmp_path: Path, where: str
) -> None:
    file = tmp_path / "j.db"
    journal = "redis" if where == "beside" else f"sqlite:///{file}"
    with told_to(redis_server) as heard:
        async with AsyncCache(redis_url, command_timeout=5) as cache:
            said = await used(cache, journal)
    files = files_in(tmp_path)
    held = held_by(redis_server) if where == "beside" else files
    for secret in (VALUE, KEY, TAG):
        assert secret.encode() in b"".join(heard)
    for secret in (VALUE, KEY):
        assert secret.encode() in held
    # What the library says of them tells nothing, sealed or not.
    assert not [secret for secret in SECRETS if secret in "\n".join(said)]


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{PASSWORD}@127.0.0.1:1/0",
        f"redis+cluster://user:{PASSWORD}@127.0.0.1:1",
        f"redis+sentinel://user:{PASSWORD}@127.0.0.1:1/hush/0",
    ],
    ids=["one", "cluster", "sentinel"],
)
async def test_a_server_that_is_away_does_not_make_a_cache_tell(
    caplog: pytest.LogCaptureFixture, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    async with AsyncCache(url, connect_timeout=0.2) as cache:
        said = [repr(cache), await raised(partial(cache.set, KEY, VALUE))]
        said += [await raised(partial(cache.invalidate, KEY)), repr(cache.stats())]
        said.append(await raised(partial(cache.invalidate_pattern, KEY + "*")))
        assert await cache.get(KEY) is None
    told = "\n".join([*said, caplog.text]).replace("'hush'", "").replace("/hush/", "")
    assert "L2 failed" in told or "L2 is left alone" in told
    assert not [secret for secret in SECRETS if secret in told]
