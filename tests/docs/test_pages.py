"""Every page of the documentation does what it says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import typer.main

from tests.docs import pages as kit

_NOT_RUN: dict[str, str] = {}
"""Pages with blocks that are not run, and why. Empty, and best kept so."""

PAGES = kit.pages()
ALONE = [page for page in PAGES if not kit.url(page.read_text())]
WITH_SERVER = [page for page in PAGES if kit.url(page.read_text())]


def name(page: Path) -> str:
    return str(page.relative_to(kit.ROOT))


def check(page: Path, folder: Path, server_url: str | None = None) -> None:
    """Run a page, and compare what it prints with what it says that it prints."""
    text = page.read_text()
    file = folder / f"page_{page.stem}.py"
    file.write_text(kit.program(text))
    ran = kit.run(file, folder, server_url)
    assert ran.code == 0, f"{name(page)} (lines are the page's):\n{ran.errors}"
    assert ran.errors == ""
    last = -1
    for block in kit.blocks(text):
        if block.info == "python":
            last += 1
        elif block.is_output:
            assert last >= 0, f"{name(page)}:{block.first_line}: output of no block"
            assert ran.outputs[last] == block.text, f"{name(page)}:{block.first_line}"


@pytest.mark.parametrize("page", ALONE, ids=name)
def test_the_code_of_a_page_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    check(page, tmp_path)


@pytest.mark.parametrize("page", WITH_SERVER, ids=name)
def test_the_code_of_a_page_that_uses_a_server_runs(
    page: Path, tmp_path: Path, redis_url: str
) -> None:
    check(page, tmp_path, redis_url)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_python_of_a_page_is_left_out(page: Path) -> None:
    for block in kit.blocks(page.read_text()):
        if block.language in ("python", "py", "python3", "pycon"):
            plain = block.info == "python" and not block.indented
            assert plain or name(page) in _NOT_RUN, f"line {block.first_line}: {block.info!r}"
            assert ">>>" not in block.text, f"line {block.first_line}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    given = set(kit.commands(text, "freshwell"))
    if given:
        app = importlib.import_module("freshwell.cli.app").app
        assert given <= set(getattr(typer.main.get_command(app), "commands", {}))
    wanted = set(kit.commands(text, "make"))
    if wanted:
        rules = (kit.ROOT / "Makefile").read_text()
        assert wanted <= set(re.findall(r"^([a-z][\w-]*):(?!=)", rules, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in kit.links(page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_index_leads_to_every_page() -> None:
    index = kit.ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in kit.links(index.read_text())}
    for page in PAGES[1:]:
        assert page == index or {page, page.parent} & linked, f"{name(page)} is not in the index"


# -- the checker itself ----------------------------------------------------------------------


def test_a_page_that_prints_something_else_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    said = "```python\nprint(1)\n```\n\n<!-- output -->\n```text\n{}\n```\n"
    page.write_text(said.format(1))
    check_as_page(page)
    page.write_text(said.format(2))
    with pytest.raises(AssertionError):
        check_as_page(page)


def test_a_page_that_raises_is_caught_with_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```python\nx = 1\n```\n\nText.\n\n```python\nx / 0\n```\n")
    with pytest.raises(AssertionError, match="line 10"):
        check_as_page(page)


def test_a_warning_in_a_page_is_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nimport warnings\nwarnings.warn('old')\n```\n")
    with pytest.raises(AssertionError, match="UserWarning"):
        check_as_page(page)


def test_links_and_commands_are_found_in_their_places_only() -> None:
    text = "[a](b.md#c) [d](https://e.f)\n\n```sh\n$ make x\n.venv/bin/freshwell lab\n[g](h)\n```\n"
    assert kit.links(text) == ["b.md"]
    assert kit.commands(text, "make") == ["x"]
    assert kit.commands(text, "freshwell") == ["lab"]


def check_as_page(page: Path) -> None:
    """Check a page that is not one of the project's."""
    text = page.read_text()
    file = page.with_suffix(".py")
    file.write_text(kit.program(text))
    ran = kit.run(file, page.parent)
    assert ran.code == 0, ran.errors
    expected = [block.text for block in kit.blocks(text) if block.is_output]
    assert ran.outputs[: len(expected)] == expected
