"""Write the synchronous twin of everything under an ``_async`` folder, line for line.

``python tools/twin.py`` rewrites each ``_async/**.py`` below ``src`` and ``tests`` into the
``_sync`` folder beside it; ``--check`` writes nothing, and fails when a twin is missing, stale
or orphaned, or when a rule below is used by no source.

The rewriting works on tokens and never on lines, so line n of a twin is line n of its source:

- ``async def/with/for`` lose ``async``, expressions lose ``await``.
- Names and dotted names are replaced by `RENAMES`, wherever they stand.
- ``Awaitable[T]`` and ``Coroutine[Any, Any, T]`` become ``T`` (`UNWRAPPED`); where that makes
  ``T | T``, one ``T`` is left. Spread over lines they become ``(T)``, so that lines may break.
- An imported name that the source uses and the twin does not is dropped from its import. An
  import with no name left becomes an empty line, or ``pass`` where it is indented.
- Strings stay as they are, with three exceptions: a string that is exactly a renamed name is
  renamed (``__all__``, ``getattr``), the quoted type of a ``cast`` is code, and docstrings,
  like comments, are prose.
- In prose, renamed names are renamed, ``async with`` loses its ``async``, and ``await call(``
  its ``await``; other words are the author's.
- The line ``from __future__ import annotations`` gets the mark that says "generated".

What cannot be rewritten is refused, with file and line: ``asyncio`` itself, a bare
``Awaitable``, an f-string that awaits or renames, a source without the line for the mark.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from twin_rewrite import Rules, TwinError, rewrite

__all__ = ["RENAMES", "UNWRAPPED", "check", "main", "rules", "write"]

RENAMES: Mapping[str, str] = {
    "AsyncBatchSourceConformance": "BatchSourceConformance",
    "AsyncCache": "Cache",
    "AsyncCachedFunction": "CachedFunction",
    "AsyncCountingLoader": "CountingLoader",
    "AsyncDeskConformance": "DeskConformance",
    "AsyncJournalConformance": "JournalConformance",
    "AsyncNamespace": "Namespace",
    "AsyncReadThrough": "ReadThrough",
    "AsyncSource": "Source",
    "AsyncSourceConformance": "SourceConformance",
    "AsyncStoreConformance": "StoreConformance",
    "AsyncTableSource": "TableSource",
    "AsyncWritableSource": "WritableSource",
    "AsyncWritableSourceConformance": "WritableSourceConformance",
    "AsyncWriteBehind": "WriteBehind",
    "AsyncWriteThrough": "WriteThrough",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_async": "_sync",
    "aclose": "close",
    "aio": "threads",
    "aio_feed": "threads_feed",
    "aio_flights": "threads_flights",
    "aio_link": "threads_link",
    "aio_promise": "threads_promise",
    "aio_rounds": "threads_rounds",
    "engines_aio": "engines_threads",
}
"""Names and dotted names, and what they are in the twin. A rule that no source uses is refused."""

UNWRAPPED: Mapping[str, int] = {"Awaitable": 1, "Coroutine": 3}
"""Generic types that the twin replaces by their last argument, and how many they take."""

ROOTS = ("src", "tests")
FUTURE = "from __future__ import annotations"
MARK = "  # made from _async by tools/twin.py: edit that"


def rules() -> Rules:
    """Return the tables of this repository, with no rule used yet."""
    return Rules(RENAMES, UNWRAPPED)


def twins(root: Path, table: Rules) -> dict[Path, str]:
    """Return the path and text of every twin below `root`. Raises `TwinError`."""
    found: dict[Path, str] = {}
    for folder in _folders(root, "_async"):
        for path in _files(folder):
            name = path.relative_to(root).as_posix()
            text = rewrite(path.read_text(encoding="utf-8"), name, table)
            found[folder.with_name("_sync") / path.relative_to(folder)] = _marked(text, name)
    return found


def _marked(text: str, name: str) -> str:
    if f"{FUTURE}\n" not in text:
        raise TwinError(f"{name}: no line {FUTURE!r}: it carries the mark of a generated file")
    return text.replace(f"{FUTURE}\n", f"{FUTURE}{MARK}\n", 1)


def _folders(root: Path, name: str) -> list[Path]:
    return sorted(path for top in ROOTS for path in (root / top).glob(f"**/{name}"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if path.is_file())


def _orphans(root: Path, wanted: Mapping[Path, str]) -> list[Path]:
    present = (path for folder in _folders(root, "_sync") for path in _files(folder))
    return [path for path in present if path not in wanted]


def check(root: Path, table: Rules) -> list[str]:
    """Return what is wrong with the twins below `root`, a line for each problem."""
    wanted = twins(root, table)
    problems = [p for path, text in wanted.items() for p in _difference(root, path, text)]
    problems += [
        f"orphan: {path.relative_to(root).as_posix()} has no source under _async"
        for path in _orphans(root, wanted)
    ]
    problems += [
        f"unused rule: {rule} (tools/twin.py): no source uses it" for rule in table.unused()
    ]
    return problems


def _difference(root: Path, path: Path, text: str) -> Iterator[str]:
    name = path.relative_to(root).as_posix()
    if not path.is_file():
        yield f"missing: {name}"
        return
    lines = zip_longest(path.read_text(encoding="utf-8").split("\n"), text.split("\n"))
    for number, (is_now, should_be) in enumerate(lines, start=1):
        if is_now != should_be:
            yield f"stale: {name}:{number}: is {is_now!r}, should be {should_be!r}"
            return


def write(root: Path, table: Rules) -> list[str]:
    """Bring the twins below `root` up to date, and return what was done, a line for each file.

    Orphans are deleted when they carry the mark. Raises `TwinError` for one that does not.
    """
    wanted = twins(root, table)
    done: list[str] = []
    for path, text in wanted.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            done.append(f"wrote {path.relative_to(root).as_posix()}")
    for path in _orphans(root, wanted):
        name = path.relative_to(root).as_posix()
        if MARK not in path.read_text(encoding="utf-8"):
            raise TwinError(f"{name}: has no source under _async, and no mark: move it yourself")
        path.unlink()
        done.append(f"deleted {name}")
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool. Returns the exit status: 0, or 1 when something is wrong."""
    parser = argparse.ArgumentParser(description="Write or check the synchronous twins.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on differences")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    options = parser.parse_args(arguments)
    try:
        lines = (check if options.check else write)(options.root, rules())
    except TwinError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    for line in lines:
        print(line, file=sys.stderr if options.check else sys.stdout)
    if options.check and lines:
        print("the twins are not as they should be: run `make twin`", file=sys.stderr)
    return 1 if options.check and lines else 0


if __name__ == "__main__":
    sys.exit(main())
