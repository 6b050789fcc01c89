"""The suites of sources: a right one passes, and each wrong one fails the tests it must."""

from __future__ import annotations

import pytest

from tests.testing.suites import refused

ROWS = """
import pytest
from freshwell.testing.conformance import (
    BatchSourceConformance,
    SourceConformance,
    WritableSourceConformance,
)


class Rows:
    def __init__(self):
        self.rows, self.fences = {}, {}

    def load(self, id):
        return self.rows.get(id)

    def load_many(self, ids):
        return {id: self.rows[id] for id in ids if id in self.rows}

    def save(self, id, value):
        self.rows[id] = value

    def delete(self, id):
        self.rows.pop(id, None)

    def save_many(self, values):
        for write in getattr(values, "writes", ()):
            if self.fences.get(write.id, 0) < write.sequence:
                self.fences[write.id] = write.sequence
                self.rows[write.id] = write.value
        if not hasattr(values, "writes"):
            self.rows.update(values)

    def delete_many(self, ids):
        for write in getattr(ids, "writes", ()):
            if self.fences.get(write.id, 0) < write.sequence:
                self.fences[write.id] = write.sequence
                self.rows.pop(write.id, None)
        if not hasattr(ids, "writes"):
            for id in ids:
                self.rows.pop(id, None)
"""

SUITES = {
    "Read": ("SourceConformance", "made.rows = self.values(1, 2, 3)"),
    "Written": ("WritableSourceConformance", "pass"),
    "Batches": ("BatchSourceConformance", "type(self).fenced = type(self).fences_deletes = True"),
}
CASES: dict[str, tuple[str, set[str]]] = {
    "ReadRight": ("pass", set()),
    "ReadRaisesForWhatIsNotThere": (
        "def load(self, id): return self.rows[id]",
        {"test_what_is_not_there_is_none", "test_many_are_loaded_at_the_same_time"},
    ),
    "ReadLoadsManyThatAreNotThere": (
        "def load_many(self, ids): return {id: self.rows.get(id) for id in ids}",
        {"test_load_many_gives_those_that_exist", "test_load_many_of_nothing_is_nothing"},
    ),
    "WrittenRight": ("pass", set()),
    "WrittenDropsADelete": (
        "def delete(self, id): pass",
        {
            "test_what_is_deleted_is_gone_and_nothing_else_is",
            "test_what_is_not_there_can_be_deleted",
        },
    ),
    "WrittenRaisesForASecondDelete": (
        "def delete(self, id): del self.rows[id]",
        {"test_what_is_not_there_can_be_deleted"},
    ),
    "WrittenKeepsWhatIsThere": (
        "def save(self, id, value): self.rows.setdefault(id, value)",
        {
            "test_what_is_saved_again_is_replaced_and_nothing_else_is",
        },
    ),
    "WrittenReplacesEverythingByMany": (
        "def save_many(self, values): self.rows = dict(values)",
        {"test_save_many_saves_them_all"},
    ),
    "BatchesRight": ("pass", set()),
    "BatchesLetLateOnesWin": (
        "def save_many(self, batch): self.rows.update(batch)",
        {
            "test_nothing_is_deleted_by_what_is_older",
            "test_nothing_older_replaces_what_is_there",
            "test_nothing_older_brings_back_what_was_deleted",
        },
    ),
    "BatchesForgetTheFenceOfWhatIsDeleted": (
        """def delete_many(self, ids):
        for write in ids.writes:
            if self.fences.get(write.id, 0) < write.sequence:
                self.rows.pop(write.id, None)
                self.fences.pop(write.id, None)""",
        {"test_nothing_older_brings_back_what_was_deleted"},
    ),
    "BatchesSaveTheFirstAlone": (
        "def save_many(self, batch): Rows.save_many(self, type(batch)(batch.writes[:1]))",
        {
            "test_a_batch_is_saved_and_nothing_else_is_touched",
            "test_a_batch_may_come_twice",
            "test_a_later_batch_replaces_an_earlier_one",
            "test_a_large_batch_is_saved",
            "test_what_is_deleted_is_gone_and_nothing_else_is",
            "test_nothing_older_replaces_what_is_there",
        },
    ),
}


def case_of(name: str, fault: str) -> str:
    """Return the suite of a source that is wrong in one way."""
    suite, ready = next(what for kind, what in SUITES.items() if name.startswith(kind))
    return f"""

class {name}(Rows):
    {fault}


class Test{name}({suite}):
    @pytest.fixture
    def source(self):
        made = {name}()
        {ready}
        return made
"""


def test_a_wrong_source_fails_what_it_must_and_nothing_else(pytester: pytest.Pytester) -> None:
    module = ROWS + "".join(case_of(name, fault) for name, (fault, _) in CASES.items())
    expected = {name: failed for name, (_, failed) in CASES.items()}
    assert refused(pytester, module) == expected


def test_an_async_suite_runs_in_pytest_asyncio_s_strict_mode_too(
    pytester: pytest.Pytester,
) -> None:
    module = """
        import pytest
        from freshwell.testing.conformance import AsyncSourceConformance

        class Rows:
            async def load(self, id):
                return f"value {id}" if id in (1, 2, 3) else None

        class TestRows(AsyncSourceConformance):
            @pytest.fixture
            def source(self):
                return Rows()

        class TestWrong(AsyncSourceConformance):
            @pytest.fixture
            def source(self):
                rows = Rows()
                rows.load_many = lambda ids: {}
                return rows
    """
    assert refused(pytester, module) == {
        "Rows": set(),
        "Wrong": {"test_load_many_gives_those_that_exist"},
    }


def test_a_suite_without_its_fixture_says_what_is_missing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "from freshwell.testing.conformance import SourceConformance\n\n\n"
        "class TestMine(SourceConformance):\n    pass\n"
    )
    ran = pytester.runpytest_inprocess(
        "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"
    )
    ran.stdout.fnmatch_lines(["*give the class a fixture `source`*"])
