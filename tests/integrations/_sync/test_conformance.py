"""Tables do what the suites ask of anybody's sources."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from typing import Any

import pytest

from freshwell.sqlalchemy import TableSource
from freshwell.testing.conformance import (
    BatchSourceConformance,
    SourceConformance,
    WritableSourceConformance,
)
from tests.integrations.engines_threads import AnyEngine
from tests.integrations.tables import users


class Users:
    """What the sources of this module keep."""

    def value(self, number: int) -> Any:
        return {"id": number, "name": f"user {number}", "age": number}

    def changed(self, number: int) -> Any:
        return {"id": number, "name": "changed", "age": None}


def source_of(engine: AnyEngine, **options: Any) -> TableSource[dict[str, Any]]:
    return TableSource(engine, users, columns=["name", "age"], **options)


class TestReading(Users, SourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        source = source_of(engine)
        source.save_many(self.values(1, 2, 3))
        return source


class TestWriting(Users, WritableSourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine)


class TestWritingWithMarksOfDeletion(Users, WritableSourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine, fence="sequence", deleted="deleted")


class TestFencedBatches(Users, BatchSourceConformance):
    fenced = True
    fences_deletes = True

    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine, fence="sequence", deleted="deleted")


class TestPlainBatches(Users, BatchSourceConformance):
    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine)
