"""Many threads ask for one cold entry: one of them loads, and all get its result."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from freshwell import Cache


def slow_query() -> str:
    print("  the one query")
    time.sleep(0.2)
    return "the result"


def main() -> None:
    with Cache() as cache, ThreadPoolExecutor(50) as threads:
        results = list(
            threads.map(lambda _: cache.get_or_load("query", slow_query, ttl="1m"), range(50))
        )
        print(len(results), "answers,", len(set(results)), "of them different")
        print("loads:", cache.stats().loads)


if __name__ == "__main__":
    main()
