"""``freshwell lint``: report what is wrong with the cache calls of Python files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from freshwell.cli.lint.findings import RULES, UNREADABLE, Finding, Level
from freshwell.cli.lint.linting import lint_text
from freshwell.cli.target import UsageFault, answering, counted, print_line

__all__ = ["SCHEMA", "Format", "lint"]

SCHEMA: Final = 1
"""Of the JSON. It grows when a field goes or changes its meaning, not when one is added."""
_LEFT_OUT: Final = frozenset(
    {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv", "virtualenv"}
)
_MAX_BYTES: Final = 5_000_000


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Files, and folders with *.py below.", show_default=False
        ),
    ],
    select: Annotated[
        str | None,
        typer.Option(
            metavar="CODES",
            help='Look for these alone, such as "FW001,FW005". FW stands for all.',
            show_default=False,
        ),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(metavar="CODES", help="Look for these not.", show_default=False)
    ] = None,
    fail_on: Annotated[
        Level, typer.Option(metavar="LEVEL", help="notice or warning.")
    ] = Level.WARNING,
    output_format: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="text, json or github.")
    ] = Format.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Report what is wrong with the cache calls of Python files. Imports and runs none of them.

    It knows redis-py, valkey-py, Django, aiocache, cashews, dogpile.cache, functools and
    cachetools, and judges only what it is sure of. A comment "# freshwell: ignore[FW001]" leaves a
    line out.

    Exit code 0: nothing of the level of --fail-on was found. 1: something was. 2: the command
    cannot be carried out as it was given.
    """
    with answering("lint", unanswered=2):
        codes = _chosen(select, ignore)
        files = list(dict.fromkeys(file for path in paths for file in _files(path)))
        found = [one for file in files for one in lint_text(str(file), _text(file), codes)]
        _show(found, len(files), Format.JSON if as_json else output_format)
    if any(fail_on is Level.NOTICE or one.rule.level is Level.WARNING for one in found):
        raise typer.Exit(1)


def _chosen(select: str | None, ignore: str | None) -> set[str]:
    wanted = set(RULES) if select is None else _codes("--select", select) | {UNREADABLE}
    return wanted - (set() if ignore is None else _codes("--ignore", ignore))


def _codes(option: str, given: str) -> set[str]:
    """Return the codes that begin with those given. Raises `UsageFault` for one of none."""
    found: set[str] = set()
    for part in given.upper().split(","):
        codes = {code for code in RULES if part.strip() and code.startswith(part.strip())}
        if not codes:
            raise UsageFault(f"{option} names {part.strip()!r}: codes are FW001 to {max(RULES)}")
        found |= codes
    return found


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for file in sorted(path.rglob("*.py")):
            inner = file.relative_to(path).parts[:-1]
            if not any(part in _LEFT_OUT or part.startswith(".") for part in inner):
                yield file
    elif path.is_file():
        yield path
    else:
        raise UsageFault(f"there is no file or folder {str(path)!r}")


def _text(file: Path) -> str:
    """Return a file's text, as Python would read it. Raises `UsageFault`."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageFault(f"{str(file)!r} cannot be read ({type(error).__name__})") from None
    if len(data) > _MAX_BYTES:
        raise UsageFault(f"{str(file)!r} has more than {_MAX_BYTES:,} bytes: leave it out")
    return data.decode("utf-8-sig", "replace")


def _show(found: Sequence[Finding], files: int, how: Format) -> None:
    if how is Format.JSON:
        about = {"schema": SCHEMA, "files": files, "findings": [one.as_dict() for one in found]}
        print_line(json.dumps(about))
        return
    for one in found:
        place = f"{one.path}:{one.line}:{one.column}"
        if how is Format.GITHUB:
            print_line(_annotation(one))
        else:
            print_line(f"{place}: {one.code} {one.message} [{one.rule.level.value}]")
            print_line(f"    cure: {one.rule.cure}")
    if how is Format.TEXT:
        print_line(f"{counted(len(found), 'finding')} in {counted(files, 'file')}")


def _annotation(one: Finding) -> str:
    """Return a finding as GitHub's runners read it."""
    where = f"file={_escaped(one.path, ':,')},line={one.line},col={one.column}"
    said = _escaped(f"{one.message}: {one.rule.cure}")
    return f"::{one.rule.level.value} {where},title={one.code} {one.rule.name}::{said}"


def _escaped(text: str, more: str = "") -> str:
    for character in ("%", "\r", "\n", *more):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
