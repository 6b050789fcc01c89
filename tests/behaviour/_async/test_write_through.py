"""Write-through: what the source and the cache have when a call has returned, or raised."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from freshwell import AsyncCache, CodecError, ConfigurationError, KeyRejected
from freshwell._kit.aio import sleep
from tests.behaviour._async.parts import Make, listening, until_so
from tests.behaviour._async.rows import Bulk, Rows
from tests.support.aio import start

# -- reading one's writes --------------------------------------------------------------------


async def test_what_was_put_is_read_without_a_load(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        assert await rows.get("a") == 1
        await rows.put("a", 2)
        assert source.rows == {"a": 2}
        assert [await rows.get("a"), await rows.get_many(["a"])] == [2, {"a": 2}]
        assert (await rows.lookup("a")).state == "fresh"
        assert (source.loads, source.saves) == (1, [2])
        assert cache.stats().fills == 2


async def test_it_is_read_by_other_processes_whose_memory_had_the_old_one(redis_url: str) -> None:
    async with AsyncCache(redis_url) as writer, AsyncCache(redis_url) as reader:
        await listening(reader)
        source = Rows(a=1)
        here = writer.write_through(source, key="row:{}")
        there = reader.write_through(source, key="row:{}")

        async def hits_memory() -> bool:
            return await there.get("a") == 1 and reader.stats().hits_l1 > 0

        await until_so(hits_memory)
        await here.put("a", 2)
        assert await reader.get("row:a", read="fresh") == 2

        async def sees_it() -> bool:
            return await there.get("a") == 2

        await until_so(sees_it)
        assert source.loads == 1


async def test_a_put_holds_for_its_ttl_and_for_reads_by_key(make: Make) -> None:
    async with make() as cache:
        rows = cache.write_through(Rows(), key="row:{}", ttl="1m", jitter=0)
        await rows.put("a", {"name": "Ada"})
        assert await cache.get("row:a") == {"name": "Ada"}
        left_s = (await rows.lookup("a")).ttl_left_s
        assert left_s is not None
        assert 50 < left_s <= 60


async def test_a_remembered_absence_ends_with_the_put(make: Make) -> None:
    async with make() as cache:
        rows = cache.write_through(Rows(), key="row:{}", negative_ttl="1m")
        assert await rows.get("a") is None
        await rows.put("a", 1)
        assert await rows.get("a") == 1


async def test_a_load_from_before_is_not_stored_over_the_value(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        old = source.lead("old")

        async def slowly() -> Any:
            old.begun.open()
            await old.commit.passed()
            return 1

        reading = await start(partial(cache.get_or_load, "row:a", slowly))
        await old.begun.passed()
        await rows.put("a", 2)
        assert await rows.get("a") == 2, "nobody joins the load from before"
        old.commit.open()
        assert await reading.result() == 1
        assert await cache.get("row:a") == 2


async def test_a_load_from_during_the_save_is_not_stored_over_the_value(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        write, old = source.lead(2), source.lead("old")

        async def slowly() -> Any:
            old.begun.open()
            await old.commit.passed()
            return 1

        putting = await start(partial(rows.put, "a", 2))
        await write.begun.passed()
        reading = await start(partial(cache.get_or_load, "row:a", slowly))
        await old.begun.passed()
        write.go()
        await putting.result()
        old.commit.open()
        assert await reading.result() == 1
        assert await cache.get("row:a") == 2


async def test_what_is_loaded_during_the_save_gives_way(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(2)
        putting = await start(partial(rows.put, "a", 2))
        await write.begun.passed()
        assert await rows.get("a") == 1
        write.go()
        await putting.result()
        assert await rows.get("a") == 2
        assert await cache.get("row:a") == 2


# -- many, and none --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Rows, Bulk])
async def test_many_are_put_at_once(make: Make, kind: type[Rows]) -> None:
    async with make() as cache:
        source = kind()
        rows = cache.write_through(source, key="row:{}")
        values = {str(n): n for n in range(40)}
        await rows.put_many(values)
        assert source.rows == values
        assert len(source.saves) == (1 if kind is Bulk else 40)
        assert await rows.get_many(list(values)) == values
        assert source.loads == 0
        await rows.put_many({})
        assert len(source.saves) == (1 if kind is Bulk else 40)


@pytest.mark.parametrize("kind", [Rows, Bulk])
async def test_where_one_of_many_fails_all_are_absent(make: Make, kind: type[Rows]) -> None:
    async with make() as cache:
        source = kind(a=1, b=1)
        rows = cache.write_through(source, key="row:{}")
        await rows.get_many(["a", "b"])
        source.fails = partial(LookupError, "refused")
        with pytest.raises(LookupError, match="refused"):
            await rows.put_many({"a": 2, "b": 2})
        assert await cache.get_many(["row:a", "row:b"]) == {}


async def test_what_was_deleted_is_gone_everywhere(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1, b=2, c=3)
        rows = cache.write_through(source, key="row:{}")
        await rows.get_many(["a", "b", "c"])
        await rows.delete("a", "b")
        assert await cache.get_many(["row:a", "row:b", "row:c"]) == {"row:c": 3}
        assert source.rows == {"c": 3}
        assert await rows.get("a") is None
        await rows.delete("c", "c")
        assert await cache.get("row:c") is None
        await rows.delete()


# -- an unknown outcome ----------------------------------------------------------------------


@pytest.mark.parametrize("error", [LookupError, TimeoutError, ConnectionError, KeyboardInterrupt])
async def test_an_unknown_outcome_leaves_the_entry_absent(
    make: Make, error: type[BaseException]
) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        await rows.get("a")
        source.fails = error
        with pytest.raises(error) as caught:
            await rows.put("a", 2)
        assert caught.type is error
        assert await cache.get("row:a") is None
        assert await cache.get("row:a", read="fresh") is None
        assert await rows.get("a") == 2, "what the source says"


async def test_after_a_refusal_entries_are_stored_again_at_once(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        source.fails = partial(LookupError, "a constraint")
        with pytest.raises(LookupError):
            await rows.put("a", 2)
        assert [await rows.get("a"), await rows.get("a")] == [2, 2]
        assert source.loads == 1


@pytest.mark.slow
async def test_after_a_time_out_nothing_is_stored_while_the_source_may_still_commit(
    redis_url: str,
) -> None:
    async with AsyncCache(redis_url, intent=3) as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}", read="fresh")
        source.fails = TimeoutError
        with pytest.raises(TimeoutError):
            await rows.put("a", 2)
        source.rows["a"] = 1  # not committed yet
        assert await rows.get("a") == 1
        source.rows["a"] = 2  # now it is
        assert await rows.get("a") == 2, "what was read before the commit was not stored"
        await sleep(3.1)
        loads = source.loads
        assert [await rows.get("a"), await rows.get("a")] == [2, 2]
        assert source.loads == loads + 1


# -- what is refused before the source is called ---------------------------------------------


async def test_a_value_that_cannot_be_written_is_refused_before_the_source_is_called(
    redis_url: str,
) -> None:
    async with AsyncCache(redis_url) as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}", tags=["rows"])
        for _ in range(2):
            with pytest.raises(CodecError):
                await rows.put("a", object())
            with pytest.raises(CodecError):
                await rows.put_many({"b": 1, "a": object()})
        assert (source.rows, source.saves) == ({"a": 1}, [])
        assert [await rows.get("a"), await rows.get("a")] == [1, 1]
        assert source.loads == 1


async def test_a_value_too_large_for_the_cache_is_saved_and_not_cached(redis_url: str) -> None:
    async with AsyncCache(redis_url, max_value_bytes=1_000) as cache:
        source = Rows(a="short")
        rows = cache.write_through(source, key="row:{}")
        await rows.get("a")
        await rows.put("a", "x" * 2_000)
        assert source.rows["a"] == "x" * 2_000
        assert await cache.get("row:a", read="fresh") is None


async def test_none_and_what_can_be_read_once_are_no_values(make: Make) -> None:
    async with make() as cache:
        source = Bulk(a=1)
        rows = cache.write_through(source, key="row:{}")
        with pytest.raises(ConfigurationError, match=r"put was given None.*delete\(id\)"):
            await rows.put("a", None)
        with pytest.raises(ConfigurationError, match="given None"):
            await rows.put_many({"b": 1, "a": None})
        with pytest.raises(ConfigurationError, match="generator"):
            await rows.put("a", (n for n in "abc"))
        with pytest.raises(ConfigurationError, match="give a mapping"):
            await rows.put_many([("a", 1)])  # type: ignore[arg-type]
        assert source.saves == []


async def test_ids_that_are_none_are_refused(make: Make) -> None:
    async with make() as cache:
        source = Bulk(a=1)
        rows = cache.write_through(source, key="row:{}")
        with pytest.raises(KeyRejected, match="one by one"):
            await rows.delete(["a", "b"])
        parts = cache.write_through(source, key="part:{id.real}")
        with pytest.raises(KeyRejected, match="same key"):
            await parts.put_many({1 + 1j: "one", 1 + 2j: "other"})
        assert (source.rows, source.saves) == ({"a": 1}, [])


async def test_a_function_of_the_value_that_raises_leaves_the_source_alone(make: Make) -> None:
    async with make() as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}", tags=[lambda value: value.team])
        with pytest.raises(AttributeError):
            await rows.put("a", 2)
        assert source.saves == []
