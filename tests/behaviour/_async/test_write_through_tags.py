"""Write-through: tags, namespaces and schema versions of what is put; and L2 away."""

from __future__ import annotations

from functools import partial

import pytest

from freshwell import AsyncCache, InvalidationError
from tests.behaviour._async.parts import Make
from tests.behaviour._async.rows import Bulk, Rows
from tests.support.aio import start
from tests.support.servers import Server

# -- L2 away ---------------------------------------------------------------------------------


async def test_where_l2_is_away_the_source_is_not_changed(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url) as cache:
        source = Bulk(a=1)
        rows = cache.write_through(source, key="row:{}")
        await rows.get("a")
        own_redis.kill()
        for call in (
            partial(rows.put, "a", 2),
            partial(rows.put_many, {"a": 2}),
            partial(rows.delete, "a"),
        ):
            with pytest.raises(InvalidationError) as caught:
                await call()
            assert len(caught.value.key_digests) == 1
        assert (source.rows, source.saves) == ({"a": 1}, [])


async def test_an_end_that_l2_may_not_have_taken_says_that_the_source_has_the_value(
    own_redis: Server,
) -> None:
    async with AsyncCache(own_redis.url) as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(2)
        putting = await start(partial(rows.put, "a", 2))
        await write.begun.passed()
        own_redis.kill()
        write.go()
        with pytest.raises(InvalidationError, match="the source has the change"):
            await putting.result()
        assert source.rows["a"] == 2
        own_redis.start()


async def test_what_the_source_raised_goes_before_what_l2_did(own_redis: Server) -> None:
    async with AsyncCache(own_redis.url) as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(2)
        source.fails = partial(LookupError, "mine")
        putting = await start(partial(rows.put, "a", 2))
        await write.begun.passed()
        own_redis.kill()
        write.go()
        with pytest.raises(LookupError, match="mine") as caught:
            await putting.result()
        assert any("freshwell" in note for note in caught.value.__notes__)


# -- tags, namespaces, versions --------------------------------------------------------------


async def test_what_was_put_lives_by_its_tags(make: Make) -> None:
    async with make() as cache:
        source = Rows()
        rows = cache.write_through(
            source, key="row:{}", tags=["row:{}", "rows", lambda value: f"team:{value}"]
        )
        for tag in ("row:a", "rows", "team:x"):
            await rows.put("a", "x")
            assert await rows.get("a") == "x"
            assert source.loads == 0
            await cache.invalidate_tags(tag)
            assert await cache.get("row:a") is None
        await rows.put("a", "y")
        await cache.invalidate_tags("team:x")
        assert await cache.get("row:a") == "y"


async def test_a_tag_invalidated_during_the_save_leaves_nothing(make: Make) -> None:
    async with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}", tags=["rows"])
        write = source.lead(1)
        putting = await start(partial(rows.put, "a", 1))
        await write.begun.passed()
        await cache.invalidate_tags("rows")
        write.go()
        await putting.result()
        assert await cache.get("row:a") is None


async def test_under_a_tag_that_is_being_changed_nothing_is_left(redis_url: str) -> None:
    async with AsyncCache(redis_url) as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}", tags=["rows"])
        async with cache.writing(tags=["rows"]):
            await rows.put("a", 1)
            assert await cache.get("row:a", read="fresh") is None
        assert await cache.get("row:a", read="fresh") is None
        assert source.rows == {"a": 1}


async def test_a_namespace_has_rows_of_its_own(make: Make) -> None:
    async with make() as cache:
        source = Rows()
        place = cache.namespace("n")
        rows = place.write_through(source, key="row:{}")
        await rows.put("a", 1)
        assert await cache.get("row:a") is None
        assert await place.get("row:a") == 1
        await place.clear()
        assert await place.get("row:a") is None


async def test_a_put_outdates_the_other_schema_versions(redis_url: str) -> None:
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        source = Rows(a=0)
        before = old.write_through(source, key="row:{}", tags=["rows"])
        after = new.write_through(source, key="row:{}", tags=["rows"])
        for number in range(1, 4):
            await before.put("a", number)
            assert await old.get("row:a") == number
            assert await new.get("row:a", read="fresh") is None
            await after.put("a", -number)
            assert await new.get("row:a") == -number
            assert await old.get("row:a", read="fresh") is None
        assert source.loads == 0


async def test_a_put_under_a_schema_version_is_stored_in_process_too() -> None:
    async with AsyncCache(version=1) as cache:
        rows = cache.write_through(Rows(), key="row:{}", tags=["rows"])
        await rows.put("a", 1)
        assert await cache.get("row:a") == 1
        await cache.invalidate("row:a")
        assert await cache.get("row:a") is None


async def test_writers_of_two_schema_versions_that_overlap_leave_nothing(redis_url: str) -> None:
    """Each is alone under its own entry. Under the tag that they share it is not."""
    async with AsyncCache(redis_url, version=1) as old, AsyncCache(redis_url, version=2) as new:
        source = Rows()
        first, second = source.lead("first"), source.lead("second")
        before = old.write_through(source, key="row:{}")
        after = new.write_through(source, key="row:{}")
        one = await start(partial(before.put, "a", "first"))
        await first.begun.passed()
        other = await start(partial(after.put, "a", "second"))
        await second.begun.passed()
        second.commit.open()
        await second.committed.passed()
        first.go()
        await one.result()  # the source has its value
        second.go()
        await other.result()  # and this one is the last to end
        assert source.rows["a"] == "first"
        assert await new.get("row:a", read="fresh") is None
        assert await old.get("row:a", read="fresh") is None
        await after.put("a", "third")
        assert await new.get("row:a", read="fresh") == "third"
