"""Write-through: what a source says of the values that it has saved, and what it cannot say."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial
from typing import Any

import pytest

from freshwell import Cache, CodecError, ConfigurationError, Saved
from tests.behaviour._sync.parts import Make
from tests.behaviour._sync.versioned import Versioned
from tests.support.threads import start


class Bulk(Versioned):
    """It saves many at once, and says what `told` makes of each version."""

    def save_many(self, values: dict[str, Any]) -> Any:
        self.saves.append(dict(values))
        (write,) = {self.led.get(repr(value)) for value in values.values()}
        if write is not None:
            write.begun.open()
            write.commit.passed()
        versions = {id: self.commit(id, value) for id, value in values.items()}
        if write is not None:
            write.committed.open()
            write.end.passed()
        return {id: self.told(version, values[id]) for id, version in versions.items()}


class One(Versioned):
    """It forgets that it was given many."""

    def save_many(self, values: dict[str, Any]) -> Any:
        for id, value in values.items():
            self.commit(id, value)
        return Saved(version=1)


# -- the value -------------------------------------------------------------------------------


def test_what_the_source_made_of_a_value_is_what_is_read(make: Make) -> None:
    with make() as cache:
        source = Bulk(told=lambda version, value: Saved(value.strip(), version))
        rows = cache.write_through(source, key="row:{}", tags=["rows"])
        rows.put("a", " Ada ")
        assert rows.get("a") == "Ada"
        rows.put_many({"a": " Eve ", "b": "Bob"})
        assert rows.get_many(["a", "b"]) == {"a": "Eve", "b": "Bob"}
        assert source.loads == 0


def test_it_may_be_said_without_a_version(make: Make) -> None:
    with make() as cache:
        source = Versioned(told=lambda version, value: Saved(value.strip()))
        rows = cache.write_through(source, key="row:{}")
        rows.put("a", " Ada ")
        assert rows.get("a") == "Ada"
        assert source.loads == 0


def test_a_stored_value_that_has_another_tag_than_the_given_one_is_not_cached(
    make: Make,
) -> None:
    """The tag's version was not captured before the save: it may have changed during it."""
    with make() as cache:
        source = Versioned(told=lambda version, value: Saved(value.replace("x", ""), version))
        rows = cache.write_through(source, key="row:{}", tags=["rows", lambda value: [*value]])
        rows.put("a", "abx")
        assert cache.get("row:a") == "ab"
        cache.invalidate_tags("b")
        assert cache.get("row:a") is None
        source.told = lambda version, value: Saved("abc", version)
        rows.put("a", "ab")
        assert cache.get("row:a") is None
        assert rows.get("a") == "ab"


def test_a_stored_value_that_cannot_be_written_is_an_error_that_says_where_it_is(
    redis_url: str,
) -> None:
    with Cache(redis_url) as cache:
        source = Versioned(told=lambda version, value: Saved(object(), version))
        rows = cache.write_through(source, key="row:{}")
        with pytest.raises(CodecError) as caught:
            rows.put("a", 1)
        assert any("the source has the change" in note for note in caught.value.__notes__)
        assert source.rows == {"a": 1}
        assert cache.get("row:a") is None
        assert [rows.get("a"), rows.get("a")] == [1, 1]
        assert source.loads == 1


def test_a_stored_value_too_large_for_the_cache_is_not_cached(redis_url: str) -> None:
    with Cache(redis_url, max_value_bytes=1_000) as cache:
        source = Versioned(told=lambda version, value: Saved(value * 2_000, version))
        rows = cache.write_through(source, key="row:{}")
        rows.put("a", "x")
        assert cache.get("row:a", read="fresh") is None


# -- what cannot be --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        (Saved(version=-1), "version is -1: a version is a whole number from 0 to"),
        (Saved(version=2**63), "version is 9223372036854775808"),
        (Saved(version=10**5_000), "version is larger by far"),
        (Saved(version=True), "version is of type bool"),
        (Saved(version=1.5), "version is of type float"),  # type: ignore[arg-type]
        (Saved(version="7"), "version is of type str"),  # type: ignore[arg-type]
        (Saved(None, 1), "value is None, which stands for an id that does not"),
        (Saved((n for n in "abc"), 1), "generator, which can be read only once"),
    ],
)
@pytest.mark.parametrize("kind", [Versioned, Bulk])
def test_an_answer_that_cannot_be_is_an_error_and_leaves_the_entry_absent(
    make: Make, kind: type[Versioned], saved: Saved[Any], said: str
) -> None:
    with make() as cache:
        source = kind()
        rows = cache.write_through(source, key="row:{}")
        rows.put_many({"a": 0, "b": 0})
        source.told = lambda version, value: saved if value == 1 else Saved(version=version)
        for call, of in (
            (partial(rows.put, "a", 1), "save"),
            (partial(rows.put_many, {"b": 2, "a": 1}), "save_many" if kind is Bulk else "save"),
        ):
            with pytest.raises(ConfigurationError, match=said) as caught:
                call()
            if "generator" not in said:
                assert str(caught.value).startswith(f"{kind.__name__}.{of} returned a Saved whose")
            assert any("the source has the change" in note for note in caught.value.__notes__)
            assert source.rows["a"] == 1
            assert cache.get("row:a") is None
        assert cache.get("row:b") is None
        loads = source.loads
        assert [rows.get("a"), rows.get("a")] == [1, 1]
        assert source.loads == loads + 1, "it was announced no more"


def test_one_answer_for_many_is_an_error(make: Make) -> None:
    with make() as cache:
        source = One()
        rows = cache.write_through(source, key="row:{}")
        with pytest.raises(ConfigurationError, match=r"One\.save_many returned one Saved for many"):
            rows.put_many({"a": 1, "b": 2})
        assert source.rows == {"a": 1, "b": 2}
        assert cache.get_many(["row:a", "row:b"]) == {}


@pytest.mark.parametrize("answer", [None, 7, "text", {"a": 1}, {}, []])
@pytest.mark.parametrize("kind", [Versioned, Bulk])
def test_any_other_answer_says_nothing(
    make: Make, kind: type[Versioned], answer: Any
) -> None:
    with make() as cache:
        source = kind(told=lambda version, value: answer)
        rows = cache.write_through(source, key="row:{}")
        rows.put("a", 1)
        rows.put_many({"b": 2, "c": 3})
        assert rows.get_many(["a", "b", "c"]) == {"a": 1, "b": 2, "c": 3}
        assert source.loads == 0


# -- many ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["12", "21"])
def test_of_many_that_are_put_twice_at_a_time_the_highest_versions_are_left(
    make: Make, ends: str
) -> None:
    """But for those of which the source has said nothing."""
    with make() as cache:
        source = Bulk(
            told=lambda version, value: None if version % 10 == 0 else Saved(version=version)
        )
        rows = cache.write_through(source, key="row:{}")
        ids = [*"abcdefghij"]
        writes = {number: source.lead(f"value{number}") for number in "12"}
        puts = {}
        for number in "12":
            puts[number] = start(partial(rows.put_many, dict.fromkeys(ids, f"value{number}")))
            writes[number].begun.passed()
        for number in "21":
            writes[number].commit.open()
            writes[number].committed.passed()
        for number in ends:
            writes[number].end.open()
            puts[number].result()
        found = cache.get_many([f"row:{id}" for id in ids])
        assert found == {f"row:{id}": "value1" for id in ids[:-1]}
