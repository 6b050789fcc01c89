"""Each fault that the linter knows is found, and not where it is cured."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

import pytest

from freshwell.cli.lint.findings import RULES, UNREADABLE
from freshwell.cli.lint.linting import lint_text
from tests.cli.lint.cases import CASES, NAMES, Case


def codes(source: str) -> list[str]:
    return [one.code for one in lint_text("x.py", textwrap.dedent(source), RULES)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_found_once_and_its_cure_silences_it(case: Case) -> None:
    assert codes(case.head + case.fault) == [case.code]
    assert codes(case.head + case.cure) == []


def test_every_rule_has_a_fault_and_its_cure() -> None:
    assert {case.code for case in CASES} == set(RULES) - {UNREADABLE}


class Place(NamedTuple):
    """Where a finding stands in the text."""

    line: int
    column: int


def test_a_finding_names_the_place() -> None:
    source = "import redis\n\n\ndef f(r: redis.Redis) -> None:\n    x = r.set('a', 1)\n"
    (found,) = lint_text("x.py", source, RULES)
    assert Place(found.line, found.column) == Place(5, 9)


@pytest.mark.parametrize("source", NAMES["caches"], ids=range(len(NAMES["caches"])))
def test_a_cache_is_known_by_import_assignment_and_annotation(source: str) -> None:
    assert codes(source) == ["FW006"]


@pytest.mark.parametrize("source", NAMES["others"], ids=range(len(NAMES["others"])))
def test_what_is_not_known_to_be_a_cache_is_not_judged(source: str) -> None:
    assert codes(source) == []


REDIS = "import redis\nr = redis.Redis()\n"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("r.set('a', 1)  # freshwell: ignore[FW001]", []),
        ("r.set('a', 1)  # freshwell: ignore[FW005, fw001] - it lasts", []),
        ("r.set('a', 1)  # freshwell: ignore", []),
        ("r.set('a', 1)  # noqa  # freshwell: ignore[FW001]", []),
        ("r.set(\n    'a',\n    1,\n)  # freshwell: ignore[FW001]", []),
        ("r.set(\n    'a',  # freshwell: ignore[FW001]\n    1,\n)", []),
        ("r.set('a', 1)  # freshwell: ignore[FW005]", ["FW001"]),
        ("r.set('a', 1)  # freshwell: ignored", ["FW001"]),
        ("r.set('a', 1)  # freshwell: ignore[]", ["FW001"]),
        ("r.set('a', '# freshwell: ignore')", ["FW001"]),
        ("# freshwell: ignore\nr.set('a', 1)", ["FW001"]),
    ],
)
def test_a_comment_leaves_out_what_it_names_on_its_own_statement(
    line: str, left: list[str]
) -> None:
    assert codes(f"{REDIS}{line}\n") == left


def test_an_expression_of_any_depth_is_no_end_of_the_linter() -> None:
    depth = 5_000
    text = f"import redis\nr = redis.Redis()\nr.get({'+'.join(['a'] * depth)})\nr.keys()\n"
    found = {one.code for one in lint_text("x.py", text, RULES)}
    assert found
    assert found <= {"FW000", "FW006", "FW012"}


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\0'\n", "\tx\n  y\n", "(" * 400])
def test_what_is_no_python_is_one_finding(text: str) -> None:
    (found,) = lint_text("x.py", text, RULES)
    assert found.code == UNREADABLE
    assert lint_text("x.py", text, {"FW001"}) == []
