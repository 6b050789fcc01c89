"""What waits for its source: sealed where the cache is, and not to be forged."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from freshwell import AsyncCache, AsyncWriteBehind, Batch, CodecError, ConfigurationError, Sealed
from freshwell.engines.journal_rows import records_after
from freshwell.ground.records import Kind, Record
from tests.security.parts import KEYS
from tests.security.watching import held_by
from tests.support.plugin import served
from tests.support.servers import Server

SECRETS = (b"hush-value", b"patient", b"4711")


class Rows:
    """A source that keeps what it is given, and can be down."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.down = False

    async def load(self, id: Any, /) -> Any:
        return self.rows.get(id)

    async def save_many(self, batch: Batch[Any, Any], /) -> None:
        self._check()
        self.rows |= {write.id: write.value for write in batch.writes}

    async def delete(self, id: Any, /) -> None:
        self._check()
        self.rows.pop(id, None)

    def _check(self) -> None:
        if self.down:
            raise OSError("down")


class Place(NamedTuple):
    """Where the journal is, and how all of it is read."""

    url: str | None
    journal: str
    file: Path
    server: Server | None

    def cache(self, **given: Any) -> AsyncCache:
        return AsyncCache(self.url, namespace="shop", command_timeout=5, **given)

    def held(self) -> bytes:
        found = held_by(self.server) if self.server is not None else b""
        files = self.file.parent.glob(self.file.name + "*")
        return b"\n".join([found, *(file.read_bytes() for file in files)])


KINDS = ("file", "file and L2", "beside", "apart")


@pytest.fixture(params=[served(kind, kind != "file") for kind in KINDS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    file = tmp_path / "pending.db"
    journal = f"sqlite:///{file}"
    if request.param == "file":
        return Place(None, journal, file, None)
    url = request.getfixturevalue("redis_url")
    server = request.getfixturevalue("redis_server")
    where = {"beside": "redis", "apart": url}.get(request.param, journal)
    return Place(url, where, file, server)


def behind(
    cache: AsyncCache, source: Rows, place: Place, **given: Any
) -> AsyncWriteBehind[dict[str, str]]:
    options = {"flush_every": "10ms", "shards": 2, "assume_durable": True, **given}
    rows: AsyncWriteBehind[dict[str, str]] = cache.write_behind(
        source, key="patient:{}", journal=place.journal, name="records", **options
    )
    return rows


HASHED: dict[str, Any] = {"codec": Sealed("json", KEYS), "hash_keys": KEYS}


@pytest.mark.parametrize("given", [{"codec": Sealed("json", KEYS)}, HASHED], ids=["", "hashed"])
async def test_what_waits_is_sealed_and_is_flushed_all_the_same(
    place: Place, given: dict[str, Any]
) -> None:
    source = Rows()
    source.rows["4712"] = {"is": "there"}
    async with place.cache(**given) as cache:
        rows = behind(cache, source, place, flusher=False)
        await rows.put("4711", {"is": "hush-value"})
        await rows.put("4713", {"is": "hush-value"})
        await rows.delete("4712")
        assert await rows.get("4711") == {"is": "hush-value"}
        assert await rows.get("4712") is None
        held = place.held()
        hidden = SECRETS if "hash_keys" in given else SECRETS[:1]
        # The template of the keys is code, and names the journal's owner.
        assert not [told for told in hidden if told in held.replace(b"patient:{}", b"")]
        await rows.start(flush=True)
        await rows.flush()
        assert source.rows == {"4711": {"is": "hush-value"}, "4713": {"is": "hush-value"}}
        assert (await rows.backlog()).dead == 0


async def test_the_same_search_finds_it_where_nothing_seals(place: Place) -> None:
    async with place.cache() as cache:
        rows = behind(cache, Rows(), place, flusher=False)
        await rows.put("4711", {"is": "hush-value"})
        held = place.held()
        assert not [told for told in SECRETS if told not in held]


async def test_ids_are_not_written_in_the_clear_where_keys_are_hashed(place: Place) -> None:
    async with place.cache(hash_keys=KEYS) as cache:
        with pytest.raises(ConfigurationError, match="hash_keys"):
            behind(cache, Rows(), place)


async def test_a_schema_version_may_change_while_writes_wait(place: Place) -> None:
    source = Rows()
    async with place.cache(version=1, **HASHED) as cache:
        await behind(cache, source, place, flusher=False).put("4711", {"is": "1"})
    async with place.cache(version=2, **HASHED) as cache, behind(cache, source, place) as rows:
        await rows.flush()
    assert source.rows == {"4711": {"is": "1"}}


def forged(own: Record, other: Record) -> dict[str, Record]:
    """Return what somebody might make of two records, who has no key."""
    return {
        "another id": own._replace(id=other.id),
        "another name": own._replace(name=other.name),
        "another value": own._replace(payload=other.payload),
        "a deletion": own._replace(kind=Kind.DELETE),
        "a deletion of nothing": own._replace(kind=Kind.DELETE, payload=b""),
        "in the clear": own._replace(payload=b'\1{"is":"forged"}', id=b'"4711"'),
        "cut": own._replace(payload=own.payload[:-1]),
    }


@pytest.mark.parametrize("given", [{"codec": Sealed("json", KEYS)}, HASHED], ids=["", "hashed"])
async def test_forged_records_never_reach_the_source(tmp_path: Path, given: dict[str, Any]) -> None:
    place = Place(None, f"sqlite:///{tmp_path / 'j.db'}", tmp_path / "j.db", None)
    source = Rows()
    async with place.cache(**given) as cache:
        rows = behind(cache, source, place, flusher=False)
        await rows.put_many({"4711": {"is": "own"}, "4712": {"is": "other"}})
        paper = rows._delivery._paper
    with sqlite3.connect(place.file) as lines:
        own, other = records_after(lines, 0, 2)
    lines.close()
    assert paper.read(own) == ("4711", {"is": "own"})
    for what, record in forged(own, other).items():
        with pytest.raises(CodecError):
            print(what, paper.read(record))
