"""Imports go down only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy.imports import Edge, cycle, edges_of, modules_under, objections
from tests.tidy.places import PACKAGE


@pytest.fixture(scope="module")
def edges() -> list[Edge]:
    return edges_of(modules_under(PACKAGE))


def test_imports_go_down_only(edges: list[Edge]) -> None:
    assert len(edges) > 100, "the sources were not found"
    found = objections(edges)
    assert not found, "\n" + "\n".join(found)


def test_there_is_no_circle_of_imports(edges: list[Edge]) -> None:
    found = cycle(edges)
    assert not found, " -> ".join(found)


# -- the checker itself ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("importer", "target", "word"),
    [
        ("ground.keys", "engines.table", "that is up, from ground to engines"),
        ("_async.stores.redis", "_async.coordination.loads", "from stores to coordination"),
        ("_async.cache", "cli.app", "from facade to doors"),
        ("engines.table", "", "from engines to shop window"),
        ("codecs.json", "engines.table", "neighbours"),
        ("_async.stores.base", "_sync.stores.base", "neighbours"),
        ("_async.cache", "_sync.stores.base", "the twins"),
        ("cli.app", "testing", "neighbours"),
        ("attic", "ground.keys", "stands on no floor"),
    ],
)
def test_a_wrong_import_is_told_in_words(importer: str, target: str, word: str) -> None:
    edge = Edge(f"freshwell.{importer}", 7, f"freshwell.{target}".rstrip("."))
    (told,) = objections([edge])
    assert told.startswith(f"{edge.importer} imports {edge.target} in line 7: ")
    assert word in told


def test_the_ground_floor_uses_the_standard_library_alone() -> None:
    assert objections([Edge("freshwell.ground.keys", 1, "hashlib")]) == []
    assert objections([Edge("freshwell.engines.table", 1, "msgspec")]) == []
    (told,) = objections([Edge("freshwell.ground.keys", 1, "msgspec")])
    assert "standard library alone" in told


@pytest.mark.parametrize(
    ("spelling", "target"),
    [
        ("import freshwell.cli.app", "freshwell.cli.app"),
        ("from freshwell.cli.app import app", "freshwell.cli.app"),
        ("from freshwell.cli import app as x", "freshwell.cli.app"),
        ("from ..cli import app", "freshwell.cli.app"),
        ("from .. import errors", "freshwell.errors"),
        ("from .. import AsyncCache", "freshwell"),
        ("def late():\n    import freshwell.cli.app", "freshwell.cli.app"),
        ("if TYPE_CHECKING:\n    from freshwell.cli.app import app", "freshwell.cli.app"),
    ],
)
def test_a_planted_upward_import_is_caught_however_it_is_spelled(
    tmp_path: Path, spelling: str, target: str
) -> None:
    package = _package(
        tmp_path,
        {"__init__": "", "errors": "", "cli/__init__": "", "cli/app": "", "engines/ring": spelling},
    )
    (edge,) = edges_of(modules_under(package))
    assert (edge.importer, edge.target) == ("freshwell.engines.ring", target)
    assert len(objections([edge])) == (target != "freshwell.errors")


def test_relative_imports_of_a_package_start_at_itself(tmp_path: Path) -> None:
    package = _package(
        tmp_path,
        {"engines/__init__": "from .ring import a\nfrom . import table", "engines/table": ""},
    )
    targets = [edge.target for edge in edges_of(modules_under(package))]
    assert targets == ["freshwell.engines.ring", "freshwell.engines.table"]


def test_a_planted_circle_is_caught(tmp_path: Path) -> None:
    package = _package(
        tmp_path,
        {
            "engines/a": "from freshwell.engines.b import x",
            "engines/b": "def f():\n    from freshwell.engines import c",
            "engines/c": "import freshwell.engines.a",
            "engines/d": "from freshwell.engines.a import x",
        },
    )
    found = cycle(edges_of(modules_under(package)))
    assert found == [f"freshwell.engines.{name}" for name in "abca"]


def test_two_ways_to_one_module_are_no_circle() -> None:
    ways = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]
    assert cycle([Edge(importer, 1, target) for importer, target in ways]) == []


def _package(folder: Path, sources: dict[str, str]) -> Path:
    for name, text in sources.items():
        path = folder / "freshwell" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "freshwell"
