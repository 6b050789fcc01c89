"""The generated twin is right under threads, where no section is atomic by itself.

The interpreter switches threads as often as it can, and barriers let them start together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from freshwell import Cache
from freshwell._sync.coordination.loads import Loads
from tests.support.switching import switching_every

_THREADS = 8


@pytest.fixture(autouse=True)
def hurried() -> Iterator[None]:
    """Let threads switch after about every bytecode."""
    with switching_every(1e-6):
        yield


def at_once(work: Callable[[int], object], threads: int = _THREADS) -> None:
    """Run ``work(i)`` in threads that start together. Raises what the first of them raised."""
    start, errors = threading.Barrier(threads), []

    def carry(number: int) -> None:
        try:
            start.wait(20)
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    group = [threading.Thread(target=carry, args=(i,)) for i in range(threads)]
    for thread in group:
        thread.start()
    for thread in group:
        thread.join()
    if errors:
        raise errors[0]


class Source:
    """Counts the loads of each key."""

    def __init__(self) -> None:
        self.loads: dict[int, list[int]] = {}

    def loader(self, key: int) -> Callable[[], int]:
        count = self.loads.setdefault(key, [])

        def load() -> int:
            count.append(1)
            return key

        return load

    @property
    def doubles(self) -> int:
        """How many keys were loaded more than once."""
        return sum(len(count) > 1 for count in self.loads.values())


def stampedes(cache: Cache, source: Source, keys: range) -> None:
    """Let all threads ask for every key, one key after the other, each key at the same time."""
    rounds = threading.Barrier(_THREADS)
    loaders = {key: source.loader(key) for key in keys}

    def ask(number: int) -> None:
        for key in keys:
            rounds.wait(20)
            assert cache.get_or_load(f"k:{key}", loaders[key]) == key

    at_once(ask)


@pytest.mark.race
def test_a_key_is_loaded_once_however_threads_interleave() -> None:
    source = Source()
    with Cache() as cache:
        stampedes(cache, source, range(400))
        assert source.doubles == 0
        assert cache.stats().loads == 400


@pytest.mark.race
@pytest.mark.slow
def test_without_the_second_judgement_keys_are_loaded_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The control: a thread that missed before a load landed, and leads a flight after it.
    monkeypatch.setattr(Loads, "_look_again", lambda self, keys, errand: {})
    source = Source()
    with Cache() as cache:
        for first in range(0, 20_000, 200):
            stampedes(cache, source, range(first, first + 200))
            if source.doubles:
                return
    pytest.fail("the race does not detect a missing second judgement")


@pytest.mark.race
def test_a_decorated_function_is_called_once_per_argument() -> None:
    calls: list[int] = []
    with Cache() as cache:

        @cache.cached("double:{n}")
        def double(n: int) -> int:
            calls.append(n)
            return 2 * n

        def ask(number: int) -> None:
            for n in range(300):
                assert double(n) == 2 * n

        at_once(ask)
        assert sorted(calls) == list(range(300))


@pytest.mark.race
def test_no_thread_reads_what_was_invalidated_before_it_asked() -> None:
    versions = [0] * 4
    stop = threading.Event()
    with Cache() as cache:

        def load(key: int) -> int:
            return versions[key]

        def work(number: int) -> None:
            if number < len(versions):
                write(number)
            else:
                read(number)

        def write(key: int) -> None:
            for _ in range(300):
                versions[key] += 1
                cache.invalidate(f"k:{key}")
                acknowledged[key] = versions[key]
            if key == 0:
                stop.set()

        def read(number: int) -> None:
            key = number
            while not stop.is_set():
                key = (key + 1) % len(versions)
                known = acknowledged[key]
                found = cache.get_or_load(f"k:{key}", lambda key=key: load(key))  # type: ignore[misc]
                assert found >= known

        acknowledged = [0] * len(versions)
        at_once(work)


@pytest.mark.race
def test_all_kinds_of_calls_at_once_leave_a_sound_table() -> None:
    with Cache(max_entries=50) as cache:

        def work(number: int) -> None:
            for i in range(300):
                key = f"k:{(i * (number + 3)) % 97}"
                match (i + number) % 6:
                    case 0:
                        cache.set(key, i)
                    case 1:
                        cache.invalidate(key)
                    case 2:
                        cache.expire(key)
                    case 3:
                        cache.get_many([key, "k:1", "k:2"])
                    case _:
                        cache.get_or_load(key, lambda: 1, stale_ttl=1)

        at_once(work)
        assert cache.stats().entries <= 50
