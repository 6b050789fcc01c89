"""The reference pages say what the code says."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

import freshwell
import reference
import reference_cli


def test_the_reference_is_up_to_date() -> None:
    assert reference.main(["--check"]) == 0, "run tools/reference.py"


def test_every_public_name_is_in_the_reference() -> None:
    text = reference.page()
    for name in freshwell.__all__:
        assert re.search(rf"^##+ {name}$|^Sync: `{name}`\.$", text, re.MULTILINE), name


@pytest.mark.parametrize(
    "module",
    [
        "freshwell.testing",
        "freshwell.testing.conformance",
        "freshwell.journals",
        "pytest_freshwell",
    ],
)
def test_every_name_for_tests_is_in_the_reference(module: str) -> None:
    text = reference.testing()
    for name in importlib.import_module(module).__all__:
        told = rf"^##+ {name}$|^Sync: `{name}`\.$|`{name}` "
        assert re.search(told, text, re.MULTILINE), name


def test_every_public_verb_of_a_cache_is_in_the_reference() -> None:
    text = reference.page()
    for verb in (name for name in dir(freshwell.AsyncCache) if not name.startswith("_")):
        assert f"\n### AsyncCache.{verb}\n" in text, verb


@pytest.mark.parametrize("name", list(reference.PAGES))
def test_an_old_reference_is_caught_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "reference")
    assert reference.main(["--check"]) == 1
    assert f"{name} is not up to date" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    target = tmp_path / "reference" / name
    target.write_text(target.read_text() + "more\n")
    assert reference.main(["--check"]) == 1


def test_every_command_and_option_of_the_help_is_in_the_reference_and_no_other() -> None:
    app, text = importlib.import_module("freshwell.cli.app").app, reference_cli.page()
    assert set(reference_cli.COMMANDS) == set(names_of(typer.main.get_command(app)))
    for part in text.split("\n## freshwell ")[1:]:
        words = part.partition("\n")[0].split()
        shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words, "--help"]).stdout
        said = re.findall(r"^- `(?:[^:]*, `)?(--[\w-]+)", part, re.MULTILINE)
        told = re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown, re.MULTILINE)
        assert {*said, "--help"} == set(told)


def names_of(group: object) -> Iterator[str]:
    """Yield the names of a group's commands, and of those inside them."""
    for name, command in vars(group).get("commands", {}).items():
        if not getattr(command, "no_args_is_help", False):  # else it does nothing by itself
            yield name
        yield from (f"{name} {inner}" for inner in names_of(command))
