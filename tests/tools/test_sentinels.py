"""Servers that replicate, and the Sentinels that watch over them."""

from __future__ import annotations

import pytest

from tests.support.resp import ServerError
from tests.support.sentinels import Replicated, Sentinels
from tests.support.threads import until


def test_what_the_primary_is_told_reaches_its_replica(replicated: Replicated) -> None:
    replicated.primary.ask("SET", "key", 1)
    until(lambda: replicated.replica.ask("GET", "key") == b"1", "it is replicated")
    with pytest.raises(ServerError, match="READONLY"):
        replicated.replica.ask("SET", "key", 2)


def test_a_pair_that_was_frozen_is_in_step_again(replicated: Replicated) -> None:
    replicated.replica.freeze()
    replicated.primary.ask("SET", "key", 1)
    replicated.settle()
    assert replicated.replica.ask("GET", "key") == b"1"
    replicated.wipe()
    assert replicated.replica.ask("DBSIZE") == 0


def test_all_sentinels_name_one_primary_that_is_empty(
    sentinels: Sentinels, sentinel_url: str
) -> None:
    assert len({sentinel.named() for sentinel in sentinels.sentinels}) == 1
    primary = sentinels.primary
    assert primary.ask("ROLE")[0] == b"master"
    assert len(primary.ask("ROLE")[2]) == 2
    assert all(server.ask("DBSIZE") == 0 for server in sentinels.servers)
    primary.ask("SET", "key", 1)
    sentinels.wipe()
    assert all(server.ask("DBSIZE") == 0 for server in sentinels.servers)
    assert sentinel_url == sentinels.url
    assert all(f"127.0.0.1:{one.port}" in sentinel_url for one in sentinels.sentinels)


@pytest.mark.slow
def test_after_a_failover_by_hand_the_old_primary_still_takes_writes_which_vanish(
    sentinels: Sentinels,
) -> None:
    old, new = sentinels.failover()
    assert new is sentinels.primary
    assert old is not new
    assert old.ask("SET", "key", "to the old") == b"OK"
    new.ask("SET", "key", "to the new")
    sentinels.settle()
    assert sentinels.primary is new
    assert old.ask("ROLE")[0] == b"slave"
    assert {server.ask("GET", "key") for server in sentinels.servers} == {b"to the new"}


@pytest.mark.slow
def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(sentinels: Sentinels) -> None:
    killed = sentinels.kill_primary()
    until(lambda: sentinels.primary is not killed, "another is appointed")
    sentinels.settle()
    assert sentinels.primary is not killed
    assert killed.ask("ROLE")[0] == b"slave"


@pytest.mark.slow
def test_one_failover_may_follow_another(sentinels: Sentinels) -> None:
    for sentinel in range(3):
        old, new = sentinels.failover(sentinel)
        sentinels.settle()
        assert sentinels.primary is new
        assert old.ask("ROLE")[0] == b"slave"


def test_sentinels_that_were_frozen_or_killed_agree_again(sentinels: Sentinels) -> None:
    first, second, third = sentinels.sentinels
    first.freeze()
    second.kill()
    assert first.named() is None
    assert second.named() is None
    assert third.named() is not None
    sentinels.settle()
    assert len({sentinel.named() for sentinel in sentinels.sentinels}) == 1


def test_tests_that_ask_for_sentinels_are_marked_by_themselves(
    request: pytest.FixtureRequest, sentinels: Sentinels
) -> None:
    assert "server" in request.keywords
