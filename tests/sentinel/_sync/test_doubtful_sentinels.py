"""Sentinels that are silent, or do not know, or lie: who the primary is, all the same."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from freshwell._kit.threads import sleep
from freshwell._kit.link_errors import LinkLost
from freshwell.errors import StoreUnavailable
from tests.sentinel._sync.links import has, link, naming, put, sentinel_saying, service_of
from tests.support.threads import all_of
from tests.support.impostor import impostor
from tests.support.sentinels import Sentinels
from tests.support.servers import Server


def test_one_frozen_sentinel_does_not_stop_it(sentinels: Sentinels) -> None:
    own = link(sentinels.url, 0.3)
    before = own.survey()
    sentinels.sentinels[0].freeze()
    assert own.survey() == before
    put(own, "v")
    fresh = link(sentinels.url, 0.3)
    assert fresh.get(b"k") == b"v"
    own.close()
    fresh.close()


def test_two_frozen_sentinels_leave_no_majority_and_the_primary_stays_in_use(
    sentinels: Sentinels,
) -> None:
    own, fresh = link(sentinels.url, 0.2), link(sentinels.url, 0.2)
    put(own, "v")
    sentinels.sentinels[0].freeze()
    sentinels.sentinels[2].freeze()
    with pytest.raises(StoreUnavailable, match="too few sentinels"):
        own.survey()
    assert own.get(b"k") == b"v"
    with pytest.raises(StoreUnavailable):
        fresh.get(b"k")
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        fresh.get(b"k")
    own.close()
    fresh.close()


def test_sentinels_that_do_not_know_the_service_are_as_good_as_silent(
    sentinels: Sentinels,
) -> None:
    own = link(sentinels.url.replace("/mymaster/", "/unknown/"))
    with pytest.raises(StoreUnavailable, match="know the service"):
        own.get(b"k")
    own.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_many_callers_at_once_ask_the_sentinels_once(
    redis_server: Server, stack: ExitStack
) -> None:
    one, other = (sentinel_saying(stack, 1, redis_server.port) for _ in range(2))
    own = link(service_of(one, other))
    all_of(*[partial(own.get, b"k")] * 30)
    assert (len(one.commands), len(other.commands)) == (2, 2)
    own.survey()
    assert (len(one.commands), len(other.commands)) == (4, 4)
    own.close()


def test_one_lying_sentinel_does_not_stop_it(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    primary, replica = make_redis(), make_redis()
    replica.ask("REPLICAOF", "127.0.0.1", primary.port)
    for lie in (replica.port, 1):
        url = service_of(
            sentinel_saying(stack, 999, lie),
            sentinel_saying(stack, 1, primary.port),
            sentinel_saying(stack, 1, primary.port),
        )
        own = link(url)
        put(own, "v")
        assert own.survey().primaries == (("127.0.0.1", primary.port),)
        own.close()


def test_the_latest_word_counts_even_where_one_sentinel_alone_has_heard_it(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    old, new = make_redis(), make_redis()
    url = service_of(
        sentinel_saying(stack, 1, old.port),
        sentinel_saying(stack, 1, old.port),
        sentinel_saying(stack, 2, new.port),
    )
    own = link(url)
    survey = own.survey()
    assert (survey.primaries, survey.owners) == ((("127.0.0.1", new.port),), 2)
    own.close()


def test_a_primary_that_was_found_is_not_left_for_one_before_it(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    old, new = make_redis(), make_redis()
    last = sentinel_saying(stack, 2, new.port)
    url = service_of(last, sentinel_saying(stack, 1, old.port), sentinel_saying(stack, 1, old.port))
    own = link(url)
    survey = own.survey()
    last.close()
    assert own.survey() == survey
    new.ask("REPLICAOF", "127.0.0.1", old.port)
    assert own.survey().primaries == (("127.0.0.1", old.port),)
    own.close()


def test_a_primary_that_was_deposed_is_left_even_where_its_successor_is_away(
    make_redis: Callable[[], Server], stack: ExitStack
) -> None:
    old, new = make_redis(), make_redis()
    epoch_and_port = [1, old.port]

    saying = impostor(lambda command: naming(command, *epoch_and_port))
    own = link(service_of(stack.enter_context(saying)))
    put(own, "v")
    epoch_and_port[:] = [2, new.port]
    new.kill()
    with pytest.raises(LinkLost, match="nobody whom the sentinels"):
        own.survey()
    sleep(0.15)
    with pytest.raises(StoreUnavailable):
        own.get(b"k")
    new.start()
    own.survey()
    put(own, "w")
    assert has(new, b"w")
    own.close()


def test_errors_tell_no_secrets(stack: ExitStack) -> None:
    one = sentinel_saying(stack, 1, 1)
    own = link(service_of(one, secrets="me:hunter2@"))
    with pytest.raises(LinkLost) as caught:
        own.get(b"k")
    assert "hunter2" not in str(caught.value)
    one.close()
    with pytest.raises(LinkLost) as caught:
        own.survey()
    assert "hunter2" not in str(caught.value)
    own.close()


def test_a_user_who_may_not_ask_for_the_role_is_served(
    own_redis: Server, stack: ExitStack
) -> None:
    own_redis.ask("ACL", "SETUSER", "me", "on", ">pw", "~*", "+@all", "-role")
    own = link(service_of(sentinel_saying(stack, 1, own_redis.port), secrets="me:pw@"))
    put(own, "v")
    assert has(own_redis, b"v")
    own.close()
