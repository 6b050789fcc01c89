"""Who is the primary, of what several Sentinels say."""

from __future__ import annotations

import pytest

from freshwell.ground.sentinels import Named, candidates, majority, named

A, B, C = (Named(5, ("a", 1)), Named(6, ("b", 1)), Named(9, ("c", 1)))


@pytest.mark.parametrize(("of", "most"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority_is_more_than_half(of: int, most: int) -> None:
    assert majority(of) == most


def test_what_a_sentinel_answers_is_an_address_and_an_epoch() -> None:
    facts = [b"name", b"m", b"ip", b"10.0.0.9", b"config-epoch", b"7"]
    assert named([b"10.0.0.1", b"6379"], facts) == Named(7, ("10.0.0.1", 6379))


@pytest.mark.parametrize(
    ("address", "facts"),
    [
        (None, [b"config-epoch", b"1"]),
        ([b"a", b"1"], ValueError("no such master")),
        ([b"a", b"1"], [b"name", b"m"]),
        ([b"a", b"1"], [b"config-epoch"]),
        ([b"a", b"x"], [b"config-epoch", b"1"]),
        ([b"a", b"1"], [b"config-epoch", b"x"]),
        ([b"\xff", b"1"], [b"config-epoch", b"1"]),
        ([b"a", b"1"], [[b"config-epoch"], b"1"]),
        ([b"a"], [b"config-epoch", b"1"]),
        ([1, 2], [b"config-epoch", b"1"]),
        (b"ab", [b"config-epoch", b"1"]),
    ],
    ids=range(11),
)
def test_anything_else_names_nobody(address: object, facts: object) -> None:
    assert named(address, facts) is None


def test_the_latest_is_the_primary_even_where_one_alone_knows_it() -> None:
    assert candidates([A, A, B], None, 3)[0] == B


def test_who_is_older_than_what_most_name_is_no_candidate() -> None:
    assert candidates([B, A, B], None, 3) == [B]
    assert candidates([C, B, B], A, 3) == [C, B]


def test_where_no_name_has_a_majority_all_are_candidates() -> None:
    assert candidates([A, B], None, 3) == [B, A]


def test_what_was_found_before_is_not_forgotten_when_those_that_know_it_are_silent() -> None:
    assert candidates([A, A], B, 3) == [B, A]


def test_of_two_names_of_one_epoch_the_more_frequent_comes_first() -> None:
    other = Named(5, ("z", 1))
    assert candidates([other, A, A], None, 3) == [A]
    assert candidates([A, other, A], None, 5) == [A, other]
