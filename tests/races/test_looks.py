"""Threads that are given what another's look has found never read what was before a change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from freshwell import Cache
from freshwell._sync.strategies.sharing import SharedLoads
from tests.support.switching import switching_every

_READERS = 6
_SECONDS = 2.0
_CAP_S = 20.0


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    with switching_every(1e-5):
        yield


def violations(url: str, *, tagged: bool, until_found: bool) -> tuple[int, int]:
    """Let readers race with a writer. Return how many reads were too old, and how many shared."""
    source, acknowledged, found, over = [0], [0], [], threading.Event()
    tags = ["t"] if tagged else []
    with Cache(url, max_bytes=1, command_timeout=10) as cache:

        def read() -> None:
            while not over.is_set():
                least = acknowledged[0]
                value = cache.get_or_load("a", lambda: source[0], tags=tags)
                if value < least:
                    found.append(value)

        readers = [threading.Thread(target=read) for _ in range(_READERS)]
        for reader in readers:
            reader.start()
        began = monotonic()
        while monotonic() - began < (_CAP_S if until_found and not found else _SECONDS):
            source[0] += 1
            if tagged:
                cache.invalidate_tags("t")
            else:
                cache.invalidate("a")
            acknowledged[0] = source[0]
            over.wait(0.002)
        over.set()
        for reader in readers:
            reader.join(20)
        stats = cache.stats()
    return len(found), stats.hits_l2


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize("tagged", [False, True])
def test_nobody_is_given_what_was_before_a_change(redis_url: str, tagged: bool) -> None:
    found, hits = violations(redis_url, tagged=tagged, until_found=False)
    assert hits > 100
    assert found == 0


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.server
def test_the_control_gives_it(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SharedLoads, "_shows", lambda *_: True)
    found, _ = violations(redis_url, tagged=False, until_found=True)
    assert found > 0, "the race does not detect"
