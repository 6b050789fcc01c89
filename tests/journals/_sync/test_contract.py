"""Our own journals and desks do what the suites ask of anybody's."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import pytest

from freshwell.testing.conformance import DeskConformance, JournalConformance
from tests.journals._sync.parts import Make, Place


class TestInMemory(JournalConformance, DeskConformance):
    kept = False

    @pytest.fixture
    def make(self, in_memory: Place) -> Make:
        return in_memory.made


class TestInAFile(JournalConformance, DeskConformance):
    @pytest.fixture
    def make(self, in_file: Place) -> Make:
        return in_file.made


class TestInRedis(JournalConformance, DeskConformance):
    @pytest.fixture
    def make(self, in_redis: Place) -> Make:
        return in_redis.made
