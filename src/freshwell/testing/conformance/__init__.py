"""Suites that say whether a source, a journal or a store does what freshwell relies on.

::

    class TestUsers(AsyncWritableSourceConformance):
        @pytest.fixture
        def source(self):
            return Users(...)

Subclass one in a module of tests, override its fixture, and pytest runs the suite on yours;
freshwell's own run through the same. Needs pytest; suites whose names begin with ``Async`` need
pytest-asyncio too.
"""

from __future__ import annotations

from freshwell.testing._async.desks import AsyncDeskConformance
from freshwell.testing._async.journals import AsyncJournalConformance
from freshwell.testing._async.sources import (
    AsyncBatchSourceConformance,
    AsyncSourceConformance,
    AsyncWritableSourceConformance,
)
from freshwell.testing._async.stores import AsyncStoreConformance
from freshwell.testing._sync.desks import DeskConformance
from freshwell.testing._sync.journals import JournalConformance
from freshwell.testing._sync.sources import (
    BatchSourceConformance,
    SourceConformance,
    WritableSourceConformance,
)
from freshwell.testing._sync.stores import StoreConformance

__all__ = [
    "AsyncBatchSourceConformance",
    "AsyncDeskConformance",
    "AsyncJournalConformance",
    "AsyncSourceConformance",
    "AsyncStoreConformance",
    "AsyncWritableSourceConformance",
    "BatchSourceConformance",
    "DeskConformance",
    "JournalConformance",
    "SourceConformance",
    "StoreConformance",
    "WritableSourceConformance",
]
