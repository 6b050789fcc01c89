"""Engines for the tests of what is kept in databases."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from pathlib import Path
from typing import Any

import pytest

from tests.integrations.engines_threads import closed, opened
from tests.integrations.tables import created

POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.server)


@pytest.fixture(params=["sqlite", POSTGRESQL])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give an engine for a database with the tables, which are empty."""
    url = f"sqlite:///{tmp_path / 'db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    created(url)
    made = opened(url)
    yield made
    closed(made)


@pytest.fixture
def postgres(postgres_url: str) -> Any:
    """Give an engine for PostgreSQL, with the tables that only it can have too."""
    created(postgres_url)
    made = opened(postgres_url)
    yield made
    closed(made)
