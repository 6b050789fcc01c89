"""Write-through: tags, namespaces and schema versions of what is put; and L2 away."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache, InvalidationError
from tests.behaviour._sync.parts import Make
from tests.behaviour._sync.rows import Bulk, Rows
from tests.support.threads import start
from tests.support.servers import Server

# -- L2 away ---------------------------------------------------------------------------------


def test_where_l2_is_away_the_source_is_not_changed(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        source = Bulk(a=1)
        rows = cache.write_through(source, key="row:{}")
        rows.get("a")
        own_redis.kill()
        for call in (
            partial(rows.put, "a", 2),
            partial(rows.put_many, {"a": 2}),
            partial(rows.delete, "a"),
        ):
            with pytest.raises(InvalidationError) as caught:
                call()
            assert len(caught.value.key_digests) == 1
        assert (source.rows, source.saves) == ({"a": 1}, [])


def test_an_end_that_l2_may_not_have_taken_says_that_the_source_has_the_value(
    own_redis: Server,
) -> None:
    with Cache(own_redis.url) as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(2)
        putting = start(partial(rows.put, "a", 2))
        write.begun.passed()
        own_redis.kill()
        write.go()
        with pytest.raises(InvalidationError, match="the source has the change"):
            putting.result()
        assert source.rows["a"] == 2
        own_redis.start()


def test_what_the_source_raised_goes_before_what_l2_did(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        source = Rows(a=1)
        rows = cache.write_through(source, key="row:{}")
        write = source.lead(2)
        source.fails = partial(LookupError, "mine")
        putting = start(partial(rows.put, "a", 2))
        write.begun.passed()
        own_redis.kill()
        write.go()
        with pytest.raises(LookupError, match="mine") as caught:
            putting.result()
        assert any("freshwell" in note for note in caught.value.__notes__)


# -- tags, namespaces, versions --------------------------------------------------------------


def test_what_was_put_lives_by_its_tags(make: Make) -> None:
    with make() as cache:
        source = Rows()
        rows = cache.write_through(
            source, key="row:{}", tags=["row:{}", "rows", lambda value: f"team:{value}"]
        )
        for tag in ("row:a", "rows", "team:x"):
            rows.put("a", "x")
            assert rows.get("a") == "x"
            assert source.loads == 0
            cache.invalidate_tags(tag)
            assert cache.get("row:a") is None
        rows.put("a", "y")
        cache.invalidate_tags("team:x")
        assert cache.get("row:a") == "y"


def test_a_tag_invalidated_during_the_save_leaves_nothing(make: Make) -> None:
    with make() as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}", tags=["rows"])
        write = source.lead(1)
        putting = start(partial(rows.put, "a", 1))
        write.begun.passed()
        cache.invalidate_tags("rows")
        write.go()
        putting.result()
        assert cache.get("row:a") is None


def test_under_a_tag_that_is_being_changed_nothing_is_left(redis_url: str) -> None:
    with Cache(redis_url) as cache:
        source = Rows()
        rows = cache.write_through(source, key="row:{}", tags=["rows"])
        with cache.writing(tags=["rows"]):
            rows.put("a", 1)
            assert cache.get("row:a", read="fresh") is None
        assert cache.get("row:a", read="fresh") is None
        assert source.rows == {"a": 1}


def test_a_namespace_has_rows_of_its_own(make: Make) -> None:
    with make() as cache:
        source = Rows()
        place = cache.namespace("n")
        rows = place.write_through(source, key="row:{}")
        rows.put("a", 1)
        assert cache.get("row:a") is None
        assert place.get("row:a") == 1
        place.clear()
        assert place.get("row:a") is None


def test_a_put_outdates_the_other_schema_versions(redis_url: str) -> None:
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        source = Rows(a=0)
        before = old.write_through(source, key="row:{}", tags=["rows"])
        after = new.write_through(source, key="row:{}", tags=["rows"])
        for number in range(1, 4):
            before.put("a", number)
            assert old.get("row:a") == number
            assert new.get("row:a", read="fresh") is None
            after.put("a", -number)
            assert new.get("row:a") == -number
            assert old.get("row:a", read="fresh") is None
        assert source.loads == 0


def test_a_put_under_a_schema_version_is_stored_in_process_too() -> None:
    with Cache(version=1) as cache:
        rows = cache.write_through(Rows(), key="row:{}", tags=["rows"])
        rows.put("a", 1)
        assert cache.get("row:a") == 1
        cache.invalidate("row:a")
        assert cache.get("row:a") is None


def test_writers_of_two_schema_versions_that_overlap_leave_nothing(redis_url: str) -> None:
    """Each is alone under its own entry. Under the tag that they share it is not."""
    with Cache(redis_url, version=1) as old, Cache(redis_url, version=2) as new:
        source = Rows()
        first, second = source.lead("first"), source.lead("second")
        before = old.write_through(source, key="row:{}")
        after = new.write_through(source, key="row:{}")
        one = start(partial(before.put, "a", "first"))
        first.begun.passed()
        other = start(partial(after.put, "a", "second"))
        second.begun.passed()
        second.commit.open()
        second.committed.passed()
        first.go()
        one.result()  # the source has its value
        second.go()
        other.result()  # and this one is the last to end
        assert source.rows["a"] == "first"
        assert new.get("row:a", read="fresh") is None
        assert old.get("row:a", read="fresh") is None
        after.put("a", "third")
        assert new.get("row:a", read="fresh") == "third"
