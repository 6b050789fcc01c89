"""Tables do what the suites ask of anybody's sources."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from freshwell.sqlalchemy import AsyncTableSource
from freshwell.testing.conformance import (
    AsyncBatchSourceConformance,
    AsyncSourceConformance,
    AsyncWritableSourceConformance,
)
from tests.integrations.engines_aio import AnyEngine, closed, opened
from tests.integrations.tables import created, users
from tests.support.plugin import served

_NEXT_IDS = count(0, 1_000)


@pytest.fixture(scope="module", params=[served("sqlite", False), served("postgresql", True)])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database whose tables are there: to make them for each test takes longer than it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('tables') / 'db'}"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        server.wipe()
        url = server.url
    created(url)
    return url


@pytest.fixture
async def engine(url: str) -> Any:
    made = opened(url)
    yield made
    await closed(made)


class Users:
    """What the sources of this module keep. Each test has ids of its own."""

    @pytest.fixture(autouse=True)
    def first_id(self) -> None:
        self.first = next(_NEXT_IDS)

    def id(self, number: int) -> int:
        return self.first + number

    def value(self, number: int) -> Any:
        return {"id": self.id(number), "name": f"user {number}", "age": number}

    def changed(self, number: int) -> Any:
        return {"id": self.id(number), "name": "changed", "age": None}


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
        return source_of(engine, deleted="deleted")


class TestFencedBatches(Users, AsyncBatchSourceConformance):
    fenced = True
    fences_deletes = True

    @pytest.fixture
    def source(self, engine: AnyEngine) -> Any:
        return source_of(engine, fence="sequence", deleted="deleted")
