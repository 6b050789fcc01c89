"""Journals of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freshwell import Cache, WriteBehind
from tests.cli.journaling import Keep, Kept, Picky, behind


@pytest.fixture(params=["file", "redis"])
def keep(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keep]:
    """Give a function that opens a journal as a process does, and keeps it open."""
    is_file = request.param == "file"
    url: str | None = None if is_file else request.getfixturevalue("redis_url")
    journal = f"sqlite:///{tmp_path / 'pending.db'}" if is_file else "redis"
    words = (journal,) if url is None else (journal, "--url", url, "--cache", "shop")
    codec = "json" if url is None else "msgpack"
    with Cache(url, namespace="shop", l1=is_file, codec=codec) as cache:
        opened: list[WriteBehind[Any]] = []

        def open_one(**given: Any) -> Kept:
            source = Picky()
            rows = behind(cache, source, journal, **given)
            opened.append(rows)
            return Kept(rows, source, words)

        yield open_one
        for rows in opened:
            rows.close(drain=0)


@pytest.fixture
def kept(keep: Keep) -> Kept:
    """Give a journal that is flushed."""
    return keep()
