"""The page on the doctor and the linter has every finding, with its meaning and its cure."""

from __future__ import annotations

import importlib
import re

from tests.docs import pages as kit

PAGE = (kit.ROOT / "docs" / "how-to" / "doctor-and-lint.md").read_text()


def rows() -> list[str]:
    """Return the rows that the tables should have, in their order."""
    checks = importlib.import_module("freshwell.cli.doctor.findings").CHECKS
    rules = importlib.import_module("freshwell.cli.lint.findings").RULES
    return [
        *(f"| `{code}` | {check.meaning} | {check.cure} |" for code, check in checks.items()),
        *(
            f"| `{code}` {rule.name} | {rule.level.value} | {rule.meaning} | {rule.cure} |"
            for code, rule in rules.items()
        ),
    ]


def listed() -> list[str]:
    """Return the rows of the page's tables of codes."""
    tables = re.findall(r"^\| code \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert len(tables) == 2
    return [row for table in tables for row in table.splitlines()]


def test_the_tables_have_every_finding_as_the_code_has_it_and_no_other() -> None:
    assert listed() == rows()


def test_the_rights_on_the_page_are_those_that_the_doctor_needs() -> None:
    commands = importlib.import_module("freshwell.cli.doctor.reading").READ_COMMANDS
    needed = {f"+{command.lower().replace(' ', '|')}" for command in commands}
    block = next(b.text for b in kit.blocks(PAGE) if b.text.startswith("%R~*"))
    assert set(re.findall(r"\+[a-z|]+", block)) == needed
