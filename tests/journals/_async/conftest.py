"""The places of journals that the contract is tested in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journals._async.parts import Local, Place

KINDS = ("memory", "sqlite")


@pytest.fixture(params=KINDS, ids=str)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give an empty place of one kind."""
    return Local(None if request.param == "memory" else tmp_path)
