"""Read the imports of a package out of its source, and hold them against the floors."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.tidy.floors import FLOORS, NEIGHBOURS, ROOT, STANDARD_LIBRARY_ONLY, TWINS

__all__ = ["Edge", "cycle", "edges_of", "modules_under", "objections"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One import: who, in which line, whom."""

    importer: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.importer} imports {self.target} in line {self.line}"


def modules_under(folder: Path) -> dict[str, Path]:
    """Return the modules of the package in `folder`, by dotted name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def edges_of(modules: Mapping[str, Path]) -> list[Edge]:
    """Return every import, wherever it stands: at the top, in a function, for types only."""
    return [
        Edge(name, node.lineno, target)
        for name, path in modules.items()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in _targets(node, name, path, modules)
    ]


def _targets(
    node: ast.Import | ast.ImportFrom, name: str, path: Path, modules: Mapping[str, Path]
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    else:
        source = node.module or ""
        if node.level:
            depth = node.level - (path.name == "__init__.py")
            above = name.split(".")
            source = ".".join([*above[: len(above) - depth], *source.split(".")]).rstrip(".")
        for alias in node.names:
            whole = f"{source}.{alias.name}"
            yield whole if whole in modules else source


def objections(edges: Iterable[Edge]) -> list[str]:
    """Return, in words, what is wrong with these imports."""
    return [f"{edge}: {why}" for edge in edges for why in _objections(edge)]


def _objections(edge: Edge) -> Iterator[str]:
    importer, target = _place(edge.importer), _place(edge.target)
    if importer is None:
        yield "it stands on no floor; give it one in tests/tidy/floors.py"
        return
    if not _within(edge.target, ROOT):
        package = edge.target.partition(".")[0]
        if importer[1] in STANDARD_LIBRARY_ONLY and package not in sys.stdlib_module_names:
            yield "the ground floor uses the standard library alone"
        return
    if target is None:
        yield "what it imports stands on no floor"
        return
    (here, group), (there, other) = importer, target
    if there > here:
        yield f"that is up, from {FLOORS[here][0]} to {FLOORS[there][0]}"
    elif there == here and group != other and (group, other) not in NEIGHBOURS:
        yield f"they are neighbours ({FLOORS[here][0]}) who may not know each other"
    elif {_colour(edge.importer), _colour(edge.target)} == set(TWINS):
        yield "the twins may not know each other"


def _place(module: str) -> tuple[int, str] | None:
    """Return the number of the floor of `module`, and the name it stands there under."""
    places = [
        (number, name)
        for number, (_, names) in enumerate(FLOORS)
        for name in names
        if module == name or (name != ROOT and _within(module, name))
    ]
    return max(places, key=lambda place: len(place[1]), default=None)


def _colour(module: str) -> str | None:
    return next((twin for twin in TWINS if _within(module, twin)), None)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def cycle(edges: Iterable[Edge]) -> list[str]:
    """Return the modules of one circle of imports, the first named twice, or nothing."""
    targets: dict[str, list[str]] = {}
    for edge in edges:
        targets.setdefault(edge.importer, []).append(edge.target)
    done: set[str] = set()
    way: list[str] = []

    def walk(module: str) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        way.append(module)
        for target in targets.get(module, ()):
            if found := walk(target):
                return found
        done.add(way.pop())
        return []

    for module in targets:
        if found := walk(module):
            return found
    return []
