"""Our own journals and desks do what the suites ask of anybody's."""

from __future__ import annotations

import pytest

from freshwell.testing.conformance import AsyncDeskConformance, AsyncJournalConformance
from tests.journals._async.parts import Make, Place


class TestInMemory(AsyncJournalConformance, AsyncDeskConformance):
    kept = False

    @pytest.fixture
    def make(self, in_memory: Place) -> Make:
        return in_memory.made


class TestInAFile(AsyncJournalConformance, AsyncDeskConformance):
    @pytest.fixture
    def make(self, in_file: Place) -> Make:
        return in_file.made


class TestInRedis(AsyncJournalConformance, AsyncDeskConformance):
    @pytest.fixture
    def make(self, in_redis: Place) -> Make:
        return in_redis.made
