"""Modules and functions stay small enough to be read at one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tests.tidy.places import REPOSITORY, own_sources

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 50

EXCEPTIONS: Final = {
    "src/freshwell/_async/scope.py": (
        665,
        "the public face of the cache: half of it is signatures and the contracts under them",
    ),
    "src/freshwell/engines/table.py": (
        585,
        "one invariant over all of it: what holds the guard, and what must not need it",
    ),
}
"""Modules that may be longer: up to how many lines, and why."""


def test_modules_are_small() -> None:
    found = []
    for path in own_sources():
        name = path.relative_to(REPOSITORY).as_posix()
        limit, _ = EXCEPTIONS.get(name, (MODULE_LINES, ""))
        lines = len(path.read_text("utf-8").splitlines())
        if lines > limit:
            found.append(f"{name} has {lines} lines, {limit} are allowed: make two of it")
    assert not found, "\n" + "\n".join(found)


def test_exceptions_are_still_needed() -> None:
    for name in EXCEPTIONS:
        lines = len((REPOSITORY / name).read_text("utf-8").splitlines())
        assert lines > MODULE_LINES, f"{name} is small enough: take it off the list"


def test_functions_are_small() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{line}: {name} has {length} lines"
        for path in own_sources()
        for name, line, length in _functions(path.read_text("utf-8"))
        if length > FUNCTION_LINES
    ]
    assert not found, "\n" + "\n".join(found)


def _functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, line and length of each function: of its body, without the docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            first = body[1] if ast.get_docstring(node) is not None and len(body) > 1 else body[0]
            yield node.name, node.lineno, (node.end_lineno or 0) - first.lineno + 1


def test_the_signature_and_the_docstring_do_not_count() -> None:
    source = 'def f(\n    a,\n    b,\n):\n    """Say.\n\n    More.\n    """\n    a()\n    b()\n'
    assert list(_functions(source)) == [("f", 1, 2)]


def test_a_long_function_is_seen() -> None:
    source = "class C:\n    async def f(self):\n" + "        self.g()\n" * 51
    assert list(_functions(source)) == [("f", 2, 51)]
