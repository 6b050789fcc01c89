"""The decision table, cell by cell."""

from __future__ import annotations

import itertools

import pytest

from freshwell.ground.freshness import Verdict
from freshwell.ground.plan import L2Word, Plan, plan

TABLE: dict[tuple[Verdict, L2Word | None], Plan] = {
    (Verdict.FRESH, None): Plan.SERVE_L1,
    (Verdict.FRESH, L2Word.FRESH): Plan.SERVE_L1,
    (Verdict.FRESH, L2Word.EARLY): Plan.SERVE_L1,
    (Verdict.FRESH, L2Word.STALE): Plan.SERVE_L1,
    (Verdict.FRESH, L2Word.ABSENT): Plan.SERVE_L1,
    (Verdict.FRESH, L2Word.DOWN): Plan.SERVE_L1,
    (Verdict.EARLY, None): Plan.SERVE_L1_AND_REFRESH,
    (Verdict.EARLY, L2Word.FRESH): Plan.SERVE_L1_AND_REFRESH,
    (Verdict.EARLY, L2Word.EARLY): Plan.SERVE_L1_AND_REFRESH,
    (Verdict.EARLY, L2Word.STALE): Plan.SERVE_L1_AND_REFRESH,
    (Verdict.EARLY, L2Word.ABSENT): Plan.SERVE_L1_AND_REFRESH,
    (Verdict.EARLY, L2Word.DOWN): Plan.SERVE_L1_AND_REFRESH,
    (Verdict.STALE, None): Plan.ASK_L2,
    (Verdict.STALE, L2Word.FRESH): Plan.SERVE_L2,
    (Verdict.STALE, L2Word.EARLY): Plan.SERVE_L2_AND_REFRESH,
    (Verdict.STALE, L2Word.STALE): Plan.SERVE_L2_AND_REFRESH,
    # L2 has lost it: it may have been invalidated.
    (Verdict.STALE, L2Word.ABSENT): Plan.LOAD,
    (Verdict.STALE, L2Word.DOWN): Plan.SERVE_L1,
    (Verdict.ABSENT, None): Plan.ASK_L2,
    (Verdict.ABSENT, L2Word.FRESH): Plan.SERVE_L2,
    (Verdict.ABSENT, L2Word.EARLY): Plan.SERVE_L2_AND_REFRESH,
    (Verdict.ABSENT, L2Word.STALE): Plan.SERVE_L2_AND_REFRESH,
    (Verdict.ABSENT, L2Word.ABSENT): Plan.LOAD,
    (Verdict.ABSENT, L2Word.DOWN): Plan.LOAD_ALONE,
}
"""With an L2."""

ALONE: dict[Verdict, Plan] = {
    Verdict.FRESH: Plan.SERVE_L1,
    Verdict.EARLY: Plan.SERVE_L1_AND_REFRESH,
    Verdict.STALE: Plan.SERVE_L1_AND_REFRESH,
    Verdict.ABSENT: Plan.LOAD,
}
"""Without one."""


def cell_name(cell: tuple[Verdict, L2Word | None]) -> str:
    return f"l1 {cell[0].value}, l2 {cell[1].value if cell[1] else 'not asked'}"


def test_every_cell_is_listed() -> None:
    assert set(TABLE) == set(itertools.product(Verdict, [None, *L2Word]))
    assert set(ALONE) == set(Verdict)


@pytest.mark.parametrize("cell", TABLE, ids=cell_name)
def test_a_cell_with_an_l2(cell: tuple[Verdict, L2Word | None]) -> None:
    assert plan(*cell, shared=True) is TABLE[cell]


@pytest.mark.parametrize("l1", Verdict, ids=lambda verdict: verdict.value)
def test_without_an_l2_it_is_never_asked(l1: Verdict) -> None:
    for word in (None, L2Word.ABSENT):
        assert plan(l1, word, shared=False) is ALONE[l1]


@pytest.mark.parametrize("cell", TABLE, ids=cell_name)
def test_an_answer_is_never_followed_by_the_same_question(
    cell: tuple[Verdict, L2Word | None],
) -> None:
    l1, word = cell
    assert word is None or plan(l1, word, shared=True) is not Plan.ASK_L2


@pytest.mark.parametrize("word", [None, *L2Word], ids=str)
def test_what_l1_does_not_have_is_never_served_from_it(word: L2Word | None) -> None:
    served_from_l1 = {Plan.SERVE_L1, Plan.SERVE_L1_AND_REFRESH}
    assert plan(Verdict.ABSENT, word, shared=True) not in served_from_l1
    assert plan(Verdict.ABSENT, word, shared=False) not in served_from_l1
