"""What is down is left alone, and asked by one call at a time whether it is back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from freshwell.engines.breaker import Breaker, Passage

MS = 1_000_000
S = 1_000 * MS
NO, YES, PROBE = Passage.NO, Passage.YES, Passage.PROBE


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(base_ns=100 * MS, most_ns=30 * S)


def test_it_is_closed_at_first(breaker: Breaker) -> None:
    assert [breaker.allows(0), breaker.allows(0)] == [YES, YES]
    assert not breaker.is_open
    assert breaker.opens_until_ns == 0


def test_a_failure_opens_it_for_a_while(breaker: Breaker) -> None:
    breaker.failed(5 * S, 0.0)
    assert breaker.is_open
    assert breaker.opens_until_ns == 5 * S + 100 * MS
    assert breaker.allows(breaker.opens_until_ns - 1) is NO


def test_one_probe_goes_then_and_no_other(breaker: Breaker) -> None:
    breaker.failed(0, 0.0)
    assert [breaker.allows(100 * MS) for _ in range(3)] == [PROBE, NO, NO]
    assert breaker.is_open


def test_its_success_closes_it_and_the_next_failure_begins_anew(breaker: Breaker) -> None:
    for now_ns in (0, 1 * S, 2 * S):
        breaker.allows(now_ns)
        breaker.failed(now_ns, 0.0)
    breaker.succeeded()
    assert breaker.allows(2 * S) is YES
    breaker.failed(3 * S, 0.0)
    assert breaker.opens_until_ns == 3 * S + 100 * MS


def test_each_failed_probe_doubles_the_wait_up_to_the_most(breaker: Breaker) -> None:
    waits_ms, now_ns = [], 0
    breaker.failed(now_ns, 0.0)
    for _ in range(11):
        waits_ms.append((breaker.opens_until_ns - now_ns) // MS)
        now_ns = breaker.opens_until_ns
        assert breaker.allows(now_ns) is PROBE
        breaker.failed(now_ns, 0.0)
    assert waits_ms[:4] == [100, 200, 400, 800]
    assert waits_ms[-2:] == [30_000, 30_000]


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_it(breaker: Breaker) -> None:
    for _ in range(50):
        breaker.failed(0, 0.0)
    assert breaker.opens_until_ns == 100 * MS


def test_the_wait_is_jittered(breaker: Breaker) -> None:
    breaker.failed(0, 0.5)
    assert breaker.opens_until_ns == 75 * MS


def test_a_probe_that_ended_without_an_answer_lets_another_go(breaker: Breaker) -> None:
    breaker.failed(0, 0.0)
    assert breaker.allows(1 * S) is PROBE
    breaker.gave_up()
    assert breaker.allows(1 * S) is PROBE


def test_a_probe_that_is_never_heard_of_lets_another_go_in_the_end(breaker: Breaker) -> None:
    breaker.failed(0, 0.0)
    assert breaker.allows(1 * S) is PROBE
    assert breaker.allows(31 * S - 1) is NO
    assert breaker.allows(31 * S) is PROBE


def test_with_a_threshold_it_takes_so_many_failures_in_a_row() -> None:
    breaker = Breaker(base_ns=1, most_ns=8, threshold=3)
    for fails in (True, True, False, True, True):
        if fails:
            breaker.failed(0, 0.0)
        else:
            breaker.succeeded()
    assert not breaker.is_open
    breaker.failed(0, 0.0)
    assert breaker.is_open


def test_of_many_threads_one_gets_the_probe(breaker: Breaker) -> None:
    breaker.failed(0, 0.0)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: breaker.allows(1 * S), range(200)))
    assert said.count(PROBE) == 1
    assert said.count(NO) == 199


def test_a_sign_of_life_lets_a_probe_go_at_once(breaker: Breaker) -> None:
    breaker.failed(0, 0.0)
    assert breaker.allows(1 * MS) is NO
    breaker.hurry(1 * MS)
    assert not breaker.is_probing
    assert [breaker.allows(1 * MS) for _ in range(2)] == [PROBE, NO]
    assert breaker.is_probing


def test_a_sign_of_life_does_not_open_what_is_closed(breaker: Breaker) -> None:
    breaker.hurry(5 * MS)
    assert breaker.allows(5 * MS) is YES
