"""What is remembered: up to a bound, and not in vain."""

from __future__ import annotations

from freshwell.ground.memo import Memo


def test_a_full_one_takes_up_nothing_for_a_while_and_then_begins_anew() -> None:
    memo = Memo[int, int](10)
    assert [memo.keep(n, -n) for n in range(50)] == [-n for n in range(50)]
    assert [*memo] == [*range(10)]
    assert (memo.keep(50, -50), [*memo]) == (-50, [])
    memo.keep(51, -51)
    assert memo == {51: -51}


def test_what_is_remembered_already_is_replaced_though_there_is_no_room() -> None:
    memo = Memo[int, int](1)
    memo.keep(1, 1)
    memo.keep(1, 2)
    assert memo == {1: 2}


def test_many_begin_anew_where_they_do_not_fit() -> None:
    memo = Memo[int, int](4)
    memo.keep_many([1, 2, 3], [1, 2, 3])
    memo.keep_many([3, 4], [3, 4])
    assert memo == {3: 3, 4: 4}
    memo.keep_many([*range(9)], range(9))
    assert [*memo] == [0, 1, 2, 3]
