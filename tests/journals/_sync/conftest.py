"""The places of journals that the suites run in."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from pathlib import Path

import pytest

from tests.journals._sync.parts import Local, Place, Served


@pytest.fixture
def in_memory() -> Place:
    return Local(None)


@pytest.fixture
def in_file(tmp_path: Path) -> Place:
    return Local(tmp_path)


@pytest.fixture
def in_redis(redis_url: str) -> Place:
    return Served(redis_url)
