"""Tables do what the suites ask of anybody's sources."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell.sqlalchemy import AsyncTableSource
from freshwell.testing.conformance import (
    AsyncBatchSourceConformance,
    AsyncSourceConformance,
    AsyncWritableSourceConformance,
)
from tests.integrations.engines_aio import AnyEngine
from tests.integrations.tables import users


class Users:
    """What the sources of this module keep."""

    def value(self, number: int) -> Any:
        return {"id": number, "name": f"user {number}", "age": number}

    def changed(self, number: int) -> Any:
        return {"id": number, "name": "changed", "age": None}


def source_of(engine: AnyEngine, **options: Any) -> AsyncTableSource[dict[str, Any]]:
    return AsyncTableSource(engine, users, columns=["name", "age"], **options)


class TestReading(Users, AsyncSourceConformance):
    @pytest.fixture
    async def source(self, engine: AnyEngine) -> Any:
        source = source_of(engine)
        await source.save_many(self.values(1, 2, 3))
        return source


class TestWriting(Users, AsyncWritableSourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine)


class TestWritingWithMarksOfDeletion(Users, AsyncWritableSourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine, fence="sequence", deleted="deleted")


class TestFencedBatches(Users, AsyncBatchSourceConformance):
    fenced = True
    fences_deletes = True

    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine, fence="sequence", deleted="deleted")


class TestPlainBatches(Users, AsyncBatchSourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine)
