"""Threads that put one key behind leave the last accepted value in L1, or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from freshwell import Ack, Cache
from freshwell.engines.table import Table
from tests.behaviour._sync.ledger import Ledger
from tests.support.switching import switching_every

pytestmark = pytest.mark.race

_ROUNDS = 300
_THREADS = 4


@pytest.fixture(autouse=True)
def _often() -> Iterator[None]:
    """Let threads take turns wherever they can."""
    with switching_every(1e-5):
        yield


def raced(*, changes: bool = False) -> tuple[int, int, int]:
    """Let threads put a key at the same time. Return how often L1 is right, wrong and empty.

    `changes`: another invalidates it meanwhile.
    """
    start, end = threading.Barrier(_THREADS + 1), threading.Barrier(_THREADS + 1)
    acks: dict[int, Ack] = {}
    right = wrong = empty = 0
    with Cache() as cache:
        rows = cache.write_behind(Ledger(), key="row:{}", journal="memory", flusher=False, drain=0)

        def put(number: int) -> None:
            for round in range(_ROUNDS):
                start.wait(20)
                if changes and not number:
                    cache.invalidate("row:a")
                else:
                    acks[number] = rows.put("a", [round, number])
                end.wait(20)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(_THREADS)]
        for thread in threads:
            thread.start()
        for round in range(_ROUNDS):
            start.wait(20)
            end.wait(20)
            last = max(acks, key=lambda number: acks[number].sequence)
            found: Any = cache.get("row:a")
            right += found == [round, last]
            empty += found is None
            wrong += found not in (None, [round, last]) or rows.get("a") != [round, last]
        for thread in threads:
            thread.join(20)
    return right, wrong, empty


@pytest.mark.parametrize("changes", [False, True])
def test_l1_has_what_was_accepted_last_or_nothing(changes: bool) -> None:
    right, wrong, empty = raced(changes=changes)
    assert wrong == 0, (right, wrong, empty)


def test_control_without_a_look_at_what_came_in_between_it_has_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take_in = Table._take_in

    def blind(self: Table, made: Sequence[Any], now_ns: int, voids: bool) -> list[bool]:
        return take_in(self, [(entry, None, bonds) for entry, _, bonds in made], now_ns, voids)

    monkeypatch.setattr(Table, "_take_in", blind)
    assert raced()[1] > 0
