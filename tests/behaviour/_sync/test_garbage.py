"""What a call leaves behind: nothing that only the cyclic collector could free."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import gc

from freshwell import Cache
from freshwell._kit.threads import sleep


def test_hits_misses_and_invalidations_leave_no_cycles() -> None:
    with Cache(max_entries=50) as cache:

        @cache.cached("n:{n}")
        def load(n: int) -> int:
            sleep(0)
            return n

        def use(numbers: range) -> None:
            for n in numbers:
                load(n)
                load(n)
                cache.get_or_load_many([f"m:{n}", f"o:{n}"], many)
                load.invalidate(n)

        def many(keys: list[str]) -> dict[str, int]:
            return dict.fromkeys(keys, 1)

        use(range(100))
        gc.collect()
        gc.disable()
        try:
            use(range(100, 300))
            assert gc.collect() < 20
        finally:
            gc.enable()
