"""Take the pictures of the README: ``python tools/pictures.py``. Needs Chromium and a Redis server.

Three processes work on a cache of a shop, with popular keys, a slow source that is down for a
moment, and a journal with a dead letter; ``freshwell top`` and the dashboard look at them.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Console

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from freshwell import Batch, Cache, Outcome  # noqa: E402
from freshwell.cli.fleet.board import board  # noqa: E402
from freshwell.cli.fleet.model import Fleet  # noqa: E402
from freshwell.cli.fleet.reading import snapshots_at  # noqa: E402
from tests.dashboard.serving import browser, served  # noqa: E402
from tests.support.servers import Server  # noqa: E402

__all__ = ["main"]

_FOLDER: Final = ROOT / "docs" / "images"
_PROCESSES: Final = 3
_KEYS: Final = 20_000
_WARM_S: Final = 30.0
_LOOKS: Final = 40


class _Rows:
    """A source that will not have one row."""

    def load(self, id: int, /) -> Any:
        return None

    def save_many(self, batch: Batch[int, Any], /) -> dict[int, Outcome]:
        time.sleep(0.05)
        return {w.id: Outcome.reject("name is too long") for w in batch.writes if w.id == 13}


def main() -> None:
    """Take them."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with Server(aof=True) as server:
        workers = [
            multiprocessing.get_context("spawn").Process(
                target=_work, args=(server.url, number), daemon=True
            )
            for number in range(_PROCESSES)
        ]
        for worker in workers:
            worker.start()
        try:
            with served(server.url) as site, browser(width=1_440, height=1_180) as page:
                page.get(site.url)
                time.sleep(_WARM_S)
                page.save_screenshot(str(_FOLDER / "dashboard.png"))
            _top(server.url)
        finally:
            for worker in workers:
                worker.terminate()
                worker.join()


def _top(url: str) -> None:
    console, fleet = Console(width=120, record=True), Fleet()
    with Cache(url, l1=False) as cache:
        for _ in range(_LOOKS):
            view = fleet.look(snapshots_at(cache))
            time.sleep(0.25)
    console.print(board(view, url))
    console.save_svg(str(_FOLDER / "top.svg"), title="freshwell top")


def _work(url: str, number: int) -> None:
    chance = random.Random(number)  # noqa: S311 - no secret
    with Cache(url, namespace="shop", ttl="20s", stale_ttl="1m", max_entries=8_000) as cache:
        cache.publish(0.25, keys=True)
        users = cache.write_behind(_Rows(), key="user:{}", journal="redis", name="users")
        began_s = time.monotonic()

        def load() -> dict[str, int]:
            time.sleep(0.002)
            if number == 0 and 12 < time.monotonic() - began_s < 15:
                raise ConnectionError("the database is away")
            return {"price": 7}

        while True:
            for _ in range(60):
                key = int(_KEYS * chance.random() ** 4)
                with suppress(ConnectionError):
                    cache.get_or_load(f"product:{key}", load)
            if chance.random() < 0.5:
                cache.invalidate(f"product:{chance.randrange(200)}")
            if number == 1 and chance.random() < 0.3:
                users.put(chance.randrange(40), {"name": "Ada"})
            time.sleep(0.01)


if __name__ == "__main__":
    main()
