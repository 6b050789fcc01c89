"""Whether a server may keep a journal: what follows from what it tells."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.fitness import (
    Facts,
    Fit,
    Unfit,
    Warned,
    facts_in_config,
    facts_in_info,
    judge_fitness,
)
from freshwell.ground.records import Durability

POLICIES = (None, "noeviction", "volatile-lru", "volatile-ttl", "allkeys-lru", "allkeys-random")
FACTS = [
    Facts(*facts) for facts in product(POLICIES, (None, False, True), (None, "no", "everysec"))
]


def judged(facts: Facts, assumed: bool) -> type:
    return type(judge_fitness(facts, Durability.REDIS, assumed=assumed))


@pytest.mark.parametrize("facts", FACTS)
@pytest.mark.parametrize("assumed", [False, True])
def test_it_follows_from_the_facts(facts: Facts, assumed: bool) -> None:
    evicts = (facts.policy or "").startswith("allkeys-")
    doubtful = facts.policy is None or not facts.appended
    if evicts:
        expected: type = Unfit
    elif doubtful:
        expected = Warned if assumed else Unfit
    else:
        expected = Warned if facts.synced == "no" else Fit
    assert judged(facts, assumed) is expected


@pytest.mark.parametrize("facts", FACTS)
def test_replicas_are_no_other_case(facts: Facts) -> None:
    for assumed in (False, True):
        alone = judge_fitness(facts, Durability.REDIS, assumed=assumed)
        assert judge_fitness(facts, Durability.REDIS_WAIT, assumed=assumed) == alone


def test_journals_that_are_elsewhere_do_not_depend_on_it() -> None:
    for durability in (Durability.MEMORY, Durability.LOCAL):
        assert judge_fitness(Facts("allkeys-lru"), durability, assumed=False) == Fit()


def test_facts_are_read_from_config() -> None:
    reply = [b"maxmemory-policy", b"noeviction", b"appendonly", b"yes", b"appendfsync", b"no"]
    assert facts_in_config(reply) == Facts("noeviction", True, "no")
    assert facts_in_config(reply[:4]) == Facts("noeviction", True, None)
    assert facts_in_config(reply[:2]) is None
    assert facts_in_config([]) is None
    assert facts_in_config(Exception()) is None


def test_facts_are_read_from_info() -> None:
    memory = b"# Memory\r\nused_memory:1\r\nmaxmemory_policy:volatile-lru\r\n"
    persistence = b"# Persistence\r\naof_enabled:0\r\nloading:0\r\n"
    assert facts_in_info(memory, persistence) == Facts("volatile-lru", False)
    assert facts_in_info(memory, Exception()) == Facts("volatile-lru")
    assert facts_in_info() == Facts()


@given(st.none() | st.integers() | st.binary() | st.lists(st.binary() | st.none()))
def test_any_answer_is_read(reply: object) -> None:
    facts_in_config(reply)
    facts_in_info(reply, reply)
