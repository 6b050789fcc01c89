"""What a public module shows is what its ``__all__`` says."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.imports import modules_under
from tests.tidy.places import PACKAGE

MODULES = modules_under(PACKAGE)
PUBLIC = sorted(
    name
    for name in MODULES
    if name == "freshwell" or (name.count(".") == 1 and not name.startswith("freshwell._"))
)
LISTED = sorted(name for name, path in MODULES.items() if "\n__all__ = " in path.read_text("utf-8"))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_module_shows_what_it_says(name: str) -> None:
    said = getattr(importlib.import_module(name), "__all__", [])
    shown = set(_shown(MODULES[name]))
    assert sorted(said) == sorted(shown)


@pytest.mark.parametrize("name", LISTED)
def test_what_a_module_says_it_shows_is_there_once(name: str) -> None:
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    assert [missing for missing in module.__all__ if not hasattr(module, missing)] == []


def test_the_root_shows_every_error() -> None:
    errors, root = (importlib.import_module(name) for name in ("freshwell.errors", "freshwell"))
    assert set(errors.__all__) <= set(root.__all__)


def _shown(path: Path) -> Iterator[str]:
    """Yield the names without underscore that the module defines, or takes from this library."""
    for node in ast.parse(path.read_text("utf-8")).body:
        for name in _bound(node):
            if not name.startswith("_"):
                yield name


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("freshwell"):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
