"""The places of journals that the contract is tested in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journals._async.parts import Local, Place, Served
from tests.support.plugin import served

KINDS = ("memory", "sqlite", "redis")


@pytest.fixture(params=[served(kind, kind == "redis") for kind in KINDS])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give an empty place of one kind."""
    if request.param == "memory":
        return Local(None)
    if request.param == "sqlite":
        return Local(tmp_path)
    return Served(request.getfixturevalue("redis_url"))
