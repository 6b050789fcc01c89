"""Tags: entries that are forgotten together."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError, InvalidationError, KeyRejected
from freshwell._kit.threads import sleep
from tests.support.threads import Latch, all_of, start, until
from tests.support.servers import Server

Make = Callable[[], Cache]

KINDS = ("in process", "shared", "shared without L1")


@pytest.fixture(params=KINDS, ids=str)
def make(request: pytest.FixtureRequest) -> Make:
    """Give a function that makes caches of one kind; those that are shared share entries."""
    if request.param == "in process":
        return Cache
    url = request.getfixturevalue("redis_url")
    return partial(Cache, url, l1=request.param == "shared")


class Loader:
    """Counts its calls and returns their number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


class Held(Loader):
    """A loader that waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let_go = Latch(), Latch()

    def __call__(self) -> int:
        number = super().__call__()
        self.begun.open()
        self.let_go.passed()
        return number


@dataclass
class User:
    id: int
    team: str


def is_live(cache: Cache) -> bool:
    return cache.stats().l1_live


def listening(cache: Cache) -> None:
    """Wait until the cache's L1 may answer."""
    cache.get("nothing")
    until(partial(is_live, cache), "L1 is live")


def test_a_tag_ends_all_of_its_entries_and_no_others(make: Make) -> None:
    with make() as cache:
        loads = {key: Loader() for key in "abc"}

        def read(key: str, *tags: str) -> int:
            return cache.get_or_load(key, loads[key], tags=tags)

        for _ in range(2):
            all_of(
                partial(read, "a", "x"), partial(read, "b", "x", "y"), partial(read, "c", "y")
            )
        assert [load.calls for load in loads.values()] == [1, 1, 1]
        cache.invalidate_tags("x")
        assert cache.get("a") is None
        assert cache.get_many(["a", "b", "c"]) == {"c": 1}
        assert (read("a", "x"), read("b", "x", "y"), read("c", "y")) == (2, 2, 1)
        assert read("a", "x") == 2, "it is stored under the new version"
        assert cache.stats().invalidations == 1


def test_an_entry_ends_with_any_of_its_tags(make: Make) -> None:
    with make() as cache:
        load = Loader()
        for tag in ("x", "y", "z"):
            before = cache.get_or_load("a", load, tags=["x", "y", "z"])
            cache.invalidate_tags(tag)
            assert cache.get_or_load("a", load, tags=["x", "y", "z"]) == before + 1


def test_several_tags_end_at_once(make: Make) -> None:
    with make() as cache:
        for key in "xyz":
            cache.set(key, 1, tags=[key])
        cache.invalidate_tags("x", "y")
        assert cache.get_many(list("xyz")) == {"z": 1}
        cache.invalidate_tags()


def test_another_process_misses_after_the_ack(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(other)
        one.set("a", 1, tags=["x"])
        assert other.get("a") == 1
        assert other.get("a", read="fresh") == 1
        one.invalidate_tags("x")
        assert other.get("a", read="fresh") is None
        until(lambda: other.stats().notices > 0, "the feed tells")
        assert other.get("a") is None


def test_l1_holds_entries_by_their_tags(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(other)
        one.set("a", 1, tags=["x"])
        until_so(partial(in_l1, other))
        told = other.stats().notices
        one.invalidate_tags("x")
        until(lambda: other.stats().notices > told, "the feed tells")
        assert other.lookup("a").tier is None


def until_so(question: Callable[[], bool]) -> None:
    """Wait until the answer is yes."""
    for _ in range(1_000):
        if question():
            return
        sleep(0.01)
    raise AssertionError("it never came true")


def in_l1(cache: Cache) -> bool:
    cache.get("a")
    return cache.lookup("a").tier == "l1"


def test_what_was_loaded_before_an_invalidation_is_returned_and_not_stored(
    make: Make,
) -> None:
    with make() as cache:
        load = Held()
        reading = start(partial(cache.get_or_load, "a", load, tags=["x"]))
        load.begun.passed()
        cache.invalidate_tags("x")
        load.let_go.open()
        assert reading.result() == 1, "who waited gets it"
        assert cache.get("a") is None, "and nobody else"


def test_a_tag_of_the_value_ends_the_entry(make: Make) -> None:
    with make() as cache:
        users = {1: User(1, "red"), 2: User(2, "blue")}

        def read(id: int) -> User:
            def load() -> User:
                return users[id]

            return cache.get_or_load(
                f"u{id}", load, tags=["users", lambda user: f"team:{user.team}"], type=User
            )

        assert read(1) == users[1]
        assert read(2) == users[2]
        assert cache.get("u1", type=User) == users[1]
        cache.invalidate_tags("team:red")
        assert cache.get("u1", type=User) is None
        assert cache.get("u2", type=User) == users[2]


def test_a_tag_of_the_value_that_changes_during_the_load_refuses_it(make: Make) -> None:
    with make() as cache:
        load = Held()
        tags = [lambda number: ["even", "odd"][number % 2]]
        reading = start(partial(cache.get_or_load, "a", load, tags=tags))
        load.begun.passed()
        cache.invalidate_tags("odd")
        load.let_go.open()
        assert reading.result() == 1
        assert cache.get("a") is None
        assert cache.stats().fills_refused >= 1 or cache.stats().entries == 0


def test_a_function_among_the_tags_may_return_several_and_none(make: Make) -> None:
    with make() as cache:

        def read(key: str, *tags: str) -> str:
            def load() -> str:
                return key

            return cache.get_or_load(key, load, tags=[lambda value: tags])

        read("a", "x", "y")
        read("b")
        cache.invalidate_tags("y")
        assert cache.get_many(["a", "b"]) == {"b": "b"}


def test_what_a_function_among_the_tags_raises_reaches_the_caller(make: Make) -> None:
    with make() as cache:

        def broken(value: int) -> str:
            raise LookupError("no such team")

        def no_text(value: int) -> Any:
            return [1]

        with pytest.raises(LookupError, match="no such team"):
            cache.get_or_load("a", Loader(), tags=[broken])
        with pytest.raises(KeyRejected, match="a tag is text"):
            cache.get_or_load("a", Loader(), tags=[no_text])
        assert cache.get("a") is None


def test_an_entry_without_the_callers_tag_is_of_no_use_to_that_caller(make: Make) -> None:
    with make() as cache:
        cache.set("a", 0)
        assert cache.get("a") == 0
        load = Loader()
        assert cache.get_or_load("a", load, tags=["x"]) == 1
        assert cache.get_or_load("a", load, tags=["x"]) == 1
        assert cache.get("a") == 1, "one who names no tag gets any"


def test_absence_is_tagged_too(make: Make) -> None:
    with make() as cache:
        names: dict[str, str] = {}

        def load(keys: list[str]) -> dict[str, str]:
            return {key: names[key] for key in keys if key in names}

        read = partial(cache.get_or_load_many, ["a", "b"], load, tags=["names"])
        assert read() == {}
        names["a"] = "Ada"
        assert read() == {}, "that there is none is remembered"
        cache.invalidate_tags("names")
        assert read() == {"a": "Ada"}


def test_many_entries_are_read_and_loaded_under_tags(make: Make) -> None:
    with make() as cache:
        loaded: list[list[str]] = []

        def load(keys: list[str]) -> dict[str, str]:
            loaded.append(keys)
            return {key: key.upper() for key in keys}

        read = partial(cache.get_or_load_many, list("abc"), load, tags=["all", lambda v: v])
        for _ in range(2):
            assert read() == {"a": "A", "b": "B", "c": "C"}
        cache.invalidate_tags("B")
        read()
        cache.invalidate_tags("all")
        read()
        assert loaded == [list("abc"), ["b"], list("abc")]


def test_stale_service_ends_with_a_tag(make: Make) -> None:
    with make() as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"], stale_ttl=60)
        read()
        cache.expire("a")
        assert read() == 1, "stale, while it is refreshed"
        until(lambda: load.calls == 2 and not cache.stats().in_flight, "it is refreshed")
        cache.invalidate_tags("x")
        assert read() == 3


def test_a_caller_after_the_ack_does_not_join_a_load_from_before(make: Make) -> None:
    with make() as cache:
        load = Held()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        first = start(read)
        load.begun.passed()
        cache.invalidate_tags("x")
        second = start(read)
        sleep(0.05)
        load.let_go.open()
        assert first.result() == 1
        assert second.result() == 2


# -- versions in L2 --------------------------------------------------------------------------


def test_a_lost_version_is_a_miss_and_brings_nothing_back(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url, l1=False) as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        assert [read(), read()] == [1, 1]
        cache.invalidate_tags("x")
        for _ in range(2):
            for key in redis_server.ask("KEYS", "fw:t:*"):
                redis_server.ask("DEL", key)
            assert cache.get("a") is None
        assert read() == 2
        assert read() == 2


def test_two_processes_load_once_after_a_tag_was_invalidated(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        listening(one)
        listening(other)
        load = Loader()

        def slowly() -> int:
            number = load()
            sleep(0.2)
            return number

        def read(cache: Cache) -> int:
            return cache.get_or_load("a", slowly, tags=["x"])

        for round_ in range(1, 4):
            assert set(all_of(*[partial(read, c) for c in (one, other)] * 3)) == {round_}
            assert load.calls == round_
            one.invalidate_tags("x")
            # The bound on staleness is the other's: this is about loads.
            until_so(partial(misses, other))


def misses(cache: Cache) -> bool:
    return cache.get("a") is None


def test_versions_have_an_end_and_are_kept_as_long_as_entries_need_them(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url) as cache:
        cache.invalidate_tags("unused")
        cache.get_or_load("a", Loader(), tags=["x"], ttl=3600)
        left = [redis_server.ask("PTTL", key) for key in redis_server.ask("KEYS", "fw:t:*")]
        assert all(ms > 0 for ms in left)
        assert max(left) > 3_600_000


def test_foreign_bytes_in_the_place_of_a_version_are_a_miss(
    redis_url: str, redis_server: Server
) -> None:
    with Cache(redis_url, l1=False) as cache:
        load = Loader()
        read = partial(cache.get_or_load, "a", load, tags=["x"])
        for number, junk in enumerate((b"", b"fw", b"fw\x01S" + bytes(70)), start=1):
            assert read() == number
            for key in redis_server.ask("KEYS", "fw:t:*"):
                redis_server.ask("SET", key, junk)
            assert cache.get("a") is None


def test_an_invalidation_that_l2_may_not_have_taken_is_an_error(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        cache.set("a", 1, tags=["x"])
        own_redis.kill()
        with pytest.raises(InvalidationError) as caught:
            cache.invalidate_tags("x", "y")
        assert len(caught.value.key_digests) == 2
        assert "x" not in caught.value.key_digests


# -- decorated functions and readers ---------------------------------------------------------


def test_a_cached_functions_tags_are_templates_over_its_arguments(make: Make) -> None:
    with make() as cache:
        calls: list[Any] = []

        @cache.cached(
            "page:{site}:{n}", tags=["pages", "site:{site}", lambda text: f"length:{len(text)}"]
        )
        def page(site: str, n: int) -> str:
            calls.append((site, n))
            return site * n

        def all_pages() -> None:
            for site, n in (("a", 1), ("a", 2), ("b", 2)):
                page(site, n)
                page(site, n)

        all_pages()
        assert len(calls) == 3
        cache.invalidate_tags("site:b")
        all_pages()
        assert calls[3:] == [("b", 2)]
        cache.invalidate_tags("length:2")
        all_pages()
        assert calls[4:] == [("a", 2), ("b", 2)]
        cache.invalidate_tags("pages")
        page.many([("a", 1), ("b", 2)])
        page.many([("a", 1), ("b", 2)])
        assert calls[6:] == [("a", 1), ("b", 2)]
        page.invalidate("a", 1)
        assert not page.lookup("a", 1).found
        page.refresh("a", 1)
        assert page.lookup("a", 1).found


def test_a_tag_may_name_what_is_no_part_of_the_key(make: Make) -> None:
    with make() as cache:
        calls: list[int] = []

        @cache.cached("user:{id}", ignore="tenant", tags=["tenant:{tenant.name}"])
        def user(id: int, tenant: Any) -> int:
            calls.append(id)
            return id

        class Tenant:
            name = "acme"

        user(1, Tenant())
        user(1, tenant=Tenant())
        assert calls == [1]
        cache.invalidate_tags("tenant:acme")
        user(1, Tenant())
        assert calls == [1, 1]


def test_hits_of_a_tagged_function_are_found_by_their_arguments() -> None:
    with Cache() as cache:

        @cache.cached("a:{n}", tags=["x"])
        def number(n: int) -> int:
            return n

        number(1)
        for _ in range(5):
            number(1)
        assert cache.stats().hits_l1 == 5
        cache.invalidate_tags("other")
        assert number(1) == 1, "a change of another tag costs a second look, no load"
        assert cache.stats().loads == 1


def test_a_readers_tags_are_templates_over_the_id(make: Make) -> None:
    with make() as cache:
        loads: list[int] = []

        def load(id: int) -> int:
            loads.append(id)
            return id

        reader = cache.read_through(load, key="user:{}", tags=["user:{}", lambda n: f"m{n % 2}"])
        assert reader.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert reader.get(2) == 2
        cache.invalidate_tags("user:2", "m1")
        assert reader.get_many([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
        assert sorted(loads) == [1, 1, 2, 2, 3, 3]


# -- what is refused -------------------------------------------------------------------------


def test_tags_that_cannot_be_are_refused(make: Make) -> None:
    with make() as cache:
        tags: Any
        for tags in ("x", 5, [5], ["x"] * 65):
            with pytest.raises(ConfigurationError, match="tag"):
                cache.get_or_load("a", Loader(), tags=tags)
        for tags in ([""], ["a\nb"], ["x" * 201], ["\ud800"]):
            with pytest.raises(KeyRejected, match="tag"):
                cache.get_or_load("a", Loader(), tags=tags)
            with pytest.raises(KeyRejected, match="tag"):
                cache.invalidate_tags(*tags)
        with pytest.raises(ConfigurationError, match="no parameter"):

            @cache.cached("a:{n}", tags=["b:{m}"])
            def number(n: int) -> int:
                return n
