"""Journals in a file of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freshwell._sync.stores.local_journal import LocalJournal
from tests.journals._sync.parts import Local

Make = Callable[..., LocalJournal]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "writes"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Give a function that opens the journal of the test's folder; it is closed with the test."""
    made: list[LocalJournal] = []

    def one(**options: Any) -> LocalJournal:
        made.append(Local(tmp_path).made(**options))
        return made[-1]

    yield one
    for journal in made:
        journal.close()
