"""Write intents: what readers see while a writer is at work, dies, or overlaps with others."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from functools import partial

import pytest

from freshwell import Cache, ConfigurationError, InvalidationError, KeyRejected
from freshwell._kit.threads import sleep
from freshwell.testing import Chaos
from tests.behaviour._sync.parts import Make, of
from tests.support.threads import Latch, start, until
from tests.support.servers import Server


class Source:
    """A row that is read and written."""

    def __init__(self) -> None:
        self.value = 1
        self.loads = 0

    def load(self) -> int:
        self.loads += 1
        return self.value


def test_after_the_block_readers_get_the_new_value(make: Make) -> None:
    with make() as cache:
        source = Source()
        assert cache.get_or_load("a", source.load) == 1
        with cache.writing("a"):
            source.value = 2
        assert cache.get("a") is None
        assert [cache.get_or_load("a", source.load) for _ in range(2)] == [2, 2]
        assert source.loads == 2


def test_during_the_block_nothing_is_stored_by_anyone(redis_url: str) -> None:
    with Cache(redis_url) as writer, Cache(redis_url) as reader:
        source = Source()
        reader.get_or_load("a", source.load)
        with writer.writing("a"):
            for _ in range(2):
                assert reader.get_or_load("a", source.load, read="fresh") == 1
            assert source.loads == 3
            assert reader.get("a", read="fresh") is None
            reader.set("a", "by hand")
            assert reader.get("a", read="fresh") is None
            source.value = 2
        assert reader.get_or_load("a", source.load, read="fresh") == 2
        assert reader.get("a", read="fresh") == 2


def test_a_load_from_before_the_block_is_not_stored(redis_url: str) -> None:
    with Cache(redis_url) as writer, Cache(redis_url) as reader:
        begun, let_go = Latch(), Latch()

        def load() -> str:
            begun.open()
            let_go.passed()
            return "old"

        reading = start(partial(reader.get_or_load, "a", load))
        begun.passed()
        with writer.writing("a"):
            let_go.open()
            assert reading.result() == "old"
        assert reader.get("a", read="fresh") is None


def test_overlapping_writers_leave_nothing_before_the_last_has_ended(redis_url: str) -> None:
    with Cache(redis_url) as one, Cache(redis_url) as other:
        source = Source()
        first, second = one.writing("a", tags=["x"]), other.writing("a", tags=["x"])
        first.__enter__()
        second.__enter__()
        read = partial(one.get_or_load, "a", source.load, read="fresh")
        tagged = partial(one.get_or_load, "b", source.load, tags=["x"], read="fresh")
        first.__exit__(None, None, None)
        for _ in range(2):
            read()
            tagged()
        assert source.loads == 4, "the second is still at work"
        second.__exit__(None, None, None)
        for _ in range(2):
            read()
            tagged()
        assert source.loads == 6


def test_an_exception_leaves_the_entry_absent_and_passes_through(make: Make) -> None:
    with make() as cache:
        source = Source()
        cache.get_or_load("a", source.load)
        with pytest.raises(LookupError, match="unknown outcome"):
            with cache.writing("a"):
                raise LookupError("unknown outcome")
        assert cache.get("a") is None


def test_tags_are_announced_too(make: Make) -> None:
    with make() as cache:
        source = Source()
        read = partial(cache.get_or_load, "a", source.load, tags=["x"])
        read()
        with cache.writing(tags=["x"]):
            assert cache.get("a") is None
            assert read() == 1
            source.value = 2
        assert [read(), read()] == [2, 2]


def test_during_the_block_nothing_is_stored_under_the_tag(redis_url: str) -> None:
    with Cache(redis_url) as writer, Cache(redis_url) as reader:
        source = Source()
        known = partial(reader.get_or_load, "a", source.load, tags=["x"], read="fresh")
        computed = partial(
            reader.get_or_load, "b", source.load, tags=[lambda value: "x"], read="fresh"
        )
        with writer.writing(tags=["x"]):
            for _ in range(2):
                known()
                computed()
            assert source.loads == 4
            reader.set("a", 9, tags=["x"])
            assert reader.get("a", read="fresh") is None
        for _ in range(2):
            known()
            computed()
        assert source.loads == 6


def test_an_invalidation_by_others_does_not_end_an_announcement(redis_url: str) -> None:
    with Cache(redis_url) as writer, Cache(redis_url) as other:
        source = Source()
        with writer.writing("a", tags=["x"]):
            other.invalidate("a")
            other.expire("a")
            other.invalidate_tags("x")
            other.invalidate_pattern("*")
            for _ in range(2):
                other.get_or_load("a", source.load, read="fresh")
                other.get_or_load("b", source.load, tags=["x"], read="fresh")
            assert source.loads == 4
        other.get_or_load("a", source.load, read="fresh")
        assert other.get("a", read="fresh") == 1


def abandoned(url: str) -> None:
    """Do what a writer does that is killed between the source's commit and the end."""
    with Cache(url, drain=0) as cache:
        intents = cache._core.engine().intents
        intent = intents.announce(["a"], ["#x"], pulse=True)
        intents._heart.drop(intents._leases(intent))


@pytest.mark.slow
def test_what_a_dead_writer_announced_runs_out_and_nothing_old_remains(
    redis_url: str,
) -> None:
    with Cache(redis_url) as reader:
        source = Source()
        read = partial(reader.get_or_load, "a", source.load, read="fresh")
        tagged = partial(reader.get_or_load, "b", source.load, tags=["x"], read="fresh")
        read()
        tagged()
        abandoned(redis_url)
        source.value = 2  # what the dead writer has committed
        assert (read(), tagged()) == (2, 2)
        assert reader.get("a", read="fresh") is None, "the announcement stands"
        sleep(3.1)
        assert (read(), tagged()) == (2, 2)
        loads = source.loads
        assert (read(), tagged()) == (2, 2)
        assert source.loads == loads, "it has run out: entries are stored again"


@pytest.mark.slow
def test_a_long_block_keeps_its_announcement(redis_url: str) -> None:
    with Cache(redis_url) as writer, Cache(redis_url) as reader:
        source = Source()
        with writer.writing("a", tags=["x"]):
            sleep(3.5)
            for _ in range(2):
                reader.get_or_load("a", source.load, read="fresh")
                reader.get_or_load("b", source.load, tags=["x"], read="fresh")
            assert source.loads == 4
        for _ in range(2):
            reader.get_or_load("a", source.load, read="fresh")
        assert source.loads == 5


def test_without_an_announcement_a_dead_writer_leaves_the_old_value(redis_url: str) -> None:
    """The control: the invalidation that comes after the commit, and never came."""
    with Cache(redis_url) as reader:
        source = Source()
        reader.get_or_load("a", source.load)
        source.value = 2
        assert reader.get_or_load("a", source.load, read="fresh") == 1


def test_the_block_is_not_run_where_l2_is_away(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        cache.set("a", 1)
        own_redis.kill()
        with pytest.raises(InvalidationError) as caught:
            with cache.writing("a", tags=["x"]):
                pytest.fail("the source must not be changed")
        assert len(caught.value.key_digests) == 2


def test_an_end_that_l2_may_not_have_taken_is_an_error(own_redis: Server) -> None:
    with Cache(own_redis.url) as cache:
        with pytest.raises(InvalidationError):
            with cache.writing("a"):
                own_redis.kill()
        own_redis.start()
        until(lambda: cache.stats().breaker == "closed", "a probe was answered")
        block, error = cache.writing("a"), LookupError("mine")
        block.__enter__()
        own_redis.kill()
        block.__exit__(LookupError, error, None)
        assert any("freshwell" in note for note in error.__notes__)


def test_a_block_runs_once(make: Make) -> None:
    with make() as cache:
        block = cache.writing("a")
        with block:
            pass
        with pytest.raises(ConfigurationError, match="runs once"):
            block.__enter__()


def test_what_cannot_be_named_is_refused_before_anything_is_announced(make: Make) -> None:
    with make() as cache:
        with pytest.raises(KeyRejected):
            cache.writing("")
        with pytest.raises(KeyRejected):
            cache.writing("a", tags=["a\n"])
        with pytest.raises(KeyRejected, match="list of tags"):
            cache.writing("a", tags="users")
        with cache.writing():
            pass


def test_more_writers_than_can_be_are_refused(redis_url: str) -> None:
    with Cache(redis_url) as cache:
        blocks = [cache.writing("a") for _ in range(256)]
        for block in blocks:
            block.__enter__()
        with pytest.raises(InvalidationError, match="too many writers"):
            cache.writing("a").__enter__()
        for block in blocks:
            block.__exit__(None, None, None)
        source = Source()
        for _ in range(2):
            cache.get_or_load("a", source.load, read="fresh")
        assert source.loads == 1


def test_what_is_prolonged_while_it_ends_is_over_all_the_same(redis_url: str) -> None:
    chaos, source = Chaos(), Source()
    with of(redis_url) as cache:
        chaos.into(cache)
        blocks = [cache.writing("a", tags=["x"]) for _ in range(2)]
        for block in blocks:
            block.__enter__()
        late = chaos.delay("store.announce", 0.3, times=1)
        until(lambda: late.struck == 1, "the first of them is being prolonged")
        for block in blocks:
            block.__exit__(None, None, None)
        sleep(0.5)
        for _ in range(2):
            cache.get_or_load("a", source.load, read="fresh", tags=["x"])
        assert source.loads == 1, "it is stored again"
