"""The twin tool: what it rewrites, what it leaves, what it refuses, and what ``--check`` finds."""

from __future__ import annotations

from pathlib import Path

import pytest

import twin
from twin_rewrite import Rules, TwinError, rewrite

TABLE = {
    "AsyncCache": "Cache",
    "AsyncIterator": "Iterator",
    "__aenter__": "__enter__",
    "_async": "_sync",
    "aclose": "close",
    "aio": "threads",
    "redis.asyncio": "redis",
}
ROOT = Path(__file__).resolve().parents[2]


def rules() -> Rules:
    return Rules(TABLE, twin.UNWRAPPED)


def twin_of(source: str) -> str:
    return rewrite(source, "x.py", rules())


CODE = {
    "async def": ("async def f(): pass", "def f(): pass"),
    "async with and for": (
        "async def f():\n    async with a, b:\n        async for x in y: pass",
        "def f():\n    with a, b:\n        for x in y: pass",
    ),
    "await as a statement": ("async def f():\n    await g()", "def f():\n    g()"),
    "await within expressions": (
        "async def f(): return not await g(await h(1), x=await i)",
        "def f(): return not g(h(1), x=i)",
    ),
    "parentheses that bound the await alone": (
        "async def f(): return (await g(1))[0] + (await h.i[2].j)",
        "def f(): return g(1)[0] + h.i[2].j",
    ),
    "parentheses that bind more": (
        "async def f(): return (await g() or 1) + h(await i)",
        "def f(): return (g() or 1) + h(i)",
    ),
    "async comprehension": (
        "async def f(): return [x async for x in y if await x]",
        "def f(): return [x for x in y if x]",
    ),
    "names, attributes and keywords": (
        "AsyncCache.AsyncCache(aclose=x.aclose)",
        "Cache.Cache(close=x.close)",
    ),
    "whole names only": ("AsyncCaches = my_aclose", "AsyncCaches = my_aclose"),
    "module paths": (
        "from p._async.q import r\nfrom p._kit import aio\naio.r(r)",
        "from p._sync.q import r\nfrom p._kit import threads\nthreads.r(r)",
    ),
    "dotted names": (
        "import redis.asyncio as redis\nfrom redis.asyncio import Redis",
        "import redis as redis\nfrom redis import Redis",
    ),
    "Awaitable": ("x: Awaitable[int]", "x: int"),
    "Coroutine": ("x: Callable[P, Coroutine[Any, Any, R]]", "x: Callable[P, R]"),
    "nested wrappers": (
        "x: Awaitable[Coroutine[Any, Any, Awaitable[dict[str, int]]]]",
        "x: dict[str, int]",
    ),
    "one of two equal types is left": (
        "x: Callable[[], Awaitable[T] | T]\ny: T | Awaitable[T] | None",
        "x: Callable[[], T]\ny: T | None",
    ),
    "one of two equal generic types is left": (
        "x: Awaitable[Mapping[str, T]] | Mapping[str, T]",
        "x: Mapping[str, T]",
    ),
    "unequal types both stay": (
        "x: Awaitable[T] | T.U\ny: Awaitable[T] | T[int]\nz: U.T | Awaitable[T]",
        "x: T | T.U\ny: T | T[int]\nz: U.T | T",
    ),
    "wrapper over several lines": (
        "x: Awaitable[\n    int,\n]\ny: Coroutine[\n    Any,\n    Any,\n    R,\n]",
        "x: (\n    int\n)\ny: (\n\n\n    R\n)",
    ),
    "string that is a name": (
        "__all__ = ['AsyncCache', 'aclose']",
        "__all__ = ['Cache', 'close']",
    ),
    "other strings": (
        "x = 'await an AsyncCache', 'async with', b'aio', f'{a} AsyncCache'",
        "x = 'await an AsyncCache', 'async with', b'aio', f'{a} AsyncCache'",
    ),
    "quoted type of a cast": (
        "cast('Callable[[], Awaitable[AsyncCache]]', x)",
        "cast('Callable[[], Cache]', x)",
    ),
    "nested f-string": (
        "x = f'{a:>{b}} {{c}} {d!r}' + f'''{\n e}'''",
        "x = f'{a:>{b}} {{c}} {d!r}' + f'''{\n e}'''",
    ),
    "continued lines": (
        "async def f():\n    x = await g(\n        1,  # one\n    ) + \\\n        await h()",
        "def f():\n    x = g(\n        1,  # one\n    ) + \\\n        h()",
    ),
    "blanks and comments": (
        "async def f():  # here\n\n    # an AsyncCache\n    await g()  # await g() twice\n\n",
        "def f():  # here\n\n    # a Cache\n    g()  # g() twice\n\n",
    ),
}


@pytest.mark.parametrize(("source", "expected"), CODE.values(), ids=CODE.keys())
def test_code_is_rewritten(source: str, expected: str) -> None:
    assert twin_of(source + "\n") == expected + "\n"


PROSE = {
    "names": ("an AsyncCache, An `AsyncCache`, aio", "a Cache, A `Cache`, threads"),
    "example": (
        ">>> async with AsyncCache() as cache:\n    ...     await cache.get('a')",
        ">>> with Cache() as cache:\n    ...     cache.get('a')",
    ),
    "the author's own words": (
        "Those who await the result (of an async function) await it.",
        "Those who await the result (of an async function) await it.",
    ),
}


@pytest.mark.parametrize(("text", "expected"), PROSE.values(), ids=PROSE.keys())
@pytest.mark.parametrize("frame", ['"""{}"""\n', 'def f():\n    r"""{}"""\n', "x = 1\n'''{}'''\n"])
def test_docstrings_are_prose(frame: str, text: str, expected: str) -> None:
    assert twin_of(frame.replace("{}", text)) == frame.replace("{}", expected)


IMPORTS = {
    "name no longer used": (
        "from a import Awaitable, Callable\nx: Awaitable[Callable]",
        "from a import Callable\nx: Callable",
    ),
    "last name no longer used": (
        "from a import Any, Coroutine  # why\nx: Coroutine[Any, Any, int]\ny: Any",
        "from a import Any  # why\nx: int\ny: Any",
    ),
    "what only the wrapper used goes with it": (
        "from a import Coroutine\nfrom b import Any, T\nx: Coroutine[Any, Any, T]",
        "\nfrom b import T\nx: T",
    ),
    "import within brackets": (
        "from a import (\n    Awaitable,\n    Callable,\n)\nx: Awaitable[Callable]",
        "from a import (\n\n    Callable,\n)\nx: Callable",
    ),
    "import within brackets, all gone": (
        "from a import (\n    Awaitable,\n)\nx: Awaitable[int]",
        "\n\n\nx: int",
    ),
    "import in a block, all gone": (
        "if TYPE_CHECKING:\n    from a import Awaitable\nx: Awaitable[int]",
        "if TYPE_CHECKING:\n    pass\nx: int",
    ),
    "import under another name": (
        "from a import Any as A, Coroutine\nx: Coroutine[A, A, int]",
        "\nx: int",
    ),
    "renaming made it double": (
        "from a import AsyncIterator, Iterator\nx: AsyncIterator[Iterator[int]]",
        "from a import Iterator\nx: Iterator[Iterator[int]]",
    ),
    "never used at all: a re-export": (
        "from a import AsyncCache, other\n__all__ = ['AsyncCache', 'other']",
        "from a import Cache, other\n__all__ = ['Cache', 'other']",
    ),
    "a docstring's words are no use": (
        '"""Any Awaitable."""\nfrom a import Any, Awaitable, T\nx: Awaitable[T]\ny: Any',
        '"""Any Awaitable."""\nfrom a import Any, T\nx: T\ny: Any',
    ),
}


@pytest.mark.parametrize(("source", "expected"), IMPORTS.values(), ids=IMPORTS.keys())
def test_imports_without_a_use_are_dropped(source: str, expected: str) -> None:
    assert twin_of(source + "\n") == expected + "\n"


REFUSED = {
    "asyncio": ("import asyncio\n", "x.py:1: asyncio has no twin"),
    "bare wrapper": ("\nisinstance(x, Awaitable)\n", "x.py:2: a bare or dotted Awaitable"),
    "dotted wrapper": ("x: abc.Awaitable[int]\n", "x.py:1: a bare or dotted Awaitable"),
    "wrong number of arguments": ("x: Coroutine[int]\n", "x.py:1: Coroutine takes 3 arguments"),
    "f-string that awaits": ("async def f():\n f'{await x}'\n", "x.py:2: an f-string awaits"),
    "f-string that renames": ("f'{AsyncCache!r}'\n", "x.py:1: an f-string uses AsyncCache"),
    "f-string with a renamed attribute": ("f'{x.aclose}'\n", "x.py:1: an f-string uses aclose"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_twin_is_refused_with_its_line(source: str, message: str) -> None:
    with pytest.raises(TwinError) as error:
        twin_of(source)
    assert str(error.value).startswith(message)


def test_each_twin_has_its_sources_lines() -> None:
    for path in sorted((ROOT / "src" / "freshwell" / "_async").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        text = rewrite(source, path.name, twin.rules())
        assert _defined_at(text) == _defined_at(source.replace("async def", "def"))


def _defined_at(text: str) -> list[int]:
    """Return the numbers of the lines that define a function or class."""
    lines = enumerate(text.split("\n"), start=1)
    return [number for number, line in lines if line.lstrip().startswith(("def ", "class "))]


# -- folders ---------------------------------------------------------------------------------

SOURCE = """\
from __future__ import annotations

class AsyncCache:
    async def aclose(self) -> None: ...
"""
TWIN = f"""\
from __future__ import annotations{twin.MARK}

class Cache:
    def close(self) -> None: ...
"""
SMALL = {"AsyncCache": "Cache", "aclose": "close"}


def small() -> Rules:
    return Rules(SMALL, {})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a repository of two sources, with their twins."""
    for folder in ("src/p/_async/q", "tests/r/_async"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "cache.py").write_text(SOURCE)
    twin.write(tmp_path, small())
    return tmp_path


def test_twins_are_found_by_folder_and_written(tree: Path) -> None:
    assert (tree / "src/p/_sync/q/cache.py").read_text() == TWIN
    assert (tree / "tests/r/_sync/cache.py").read_text() == TWIN
    assert twin.check(tree, small()) == []


def test_writing_again_writes_nothing(tree: Path) -> None:
    assert twin.write(tree, small()) == []


def test_check_reports_a_missing_twin(tree: Path) -> None:
    (tree / "src/p/_sync/q/cache.py").unlink()
    assert twin.check(tree, small()) == ["missing: src/p/_sync/q/cache.py"]


def test_check_reports_a_stale_twin_with_its_first_differing_line(tree: Path) -> None:
    (tree / "src/p/_async/q/cache.py").write_text(SOURCE.replace("None", "int"))
    assert twin.check(tree, small()) == [
        "stale: src/p/_sync/q/cache.py:4: is '    def close(self) -> None: ...', "
        "should be '    def close(self) -> int: ...'"
    ]


def test_check_compares_whole_files(tree: Path) -> None:
    (tree / "src/p/_sync/q/cache.py").write_text(TWIN + "more\n")
    (tree / "tests/r/_sync/cache.py").write_text(TWIN.removesuffix("\n"))
    problems = twin.check(tree, small())
    assert [problem.split(": is")[0] for problem in problems] == [
        "stale: src/p/_sync/q/cache.py:5",
        "stale: tests/r/_sync/cache.py:5",
    ]


def test_check_reports_an_orphan_and_writing_deletes_it(tree: Path) -> None:
    (tree / "src/p/_async/q/cache.py").unlink()
    assert twin.check(tree, small()) == [
        "orphan: src/p/_sync/q/cache.py has no source under _async"
    ]
    assert twin.write(tree, small()) == ["deleted src/p/_sync/q/cache.py"]


def test_a_hand_written_orphan_is_never_deleted(tree: Path) -> None:
    mine = tree / "src/p/_sync/mine.py"
    mine.write_text("x = 1\n")
    with pytest.raises(TwinError, match="no mark"):
        twin.write(tree, small())
    assert mine.exists()


def test_a_rule_that_no_source_uses_is_an_error(tree: Path) -> None:
    table = Rules({**SMALL, "AsyncThing": "Thing"}, {"Awaitable": 1})
    assert twin.check(tree, table) == [
        "unused rule: AsyncThing (tools/twin.py): no source uses it",
        "unused rule: Awaitable (tools/twin.py): no source uses it",
    ]


def test_a_source_without_the_line_for_the_mark_is_refused(tree: Path) -> None:
    (tree / "src/p/_async/q/cache.py").write_text("x = 1\n")
    with pytest.raises(TwinError, match=r"src/p/_async/q/cache\.py: no line"):
        twin.check(tree, small())


def test_the_command_tells_what_to_do(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert twin.main(["--check", str(tree)]) == 1
    said = capsys.readouterr().err
    assert "unused rule: aio_link" in said
    assert "run `make twin`" in said


def test_the_command_refuses_in_words(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "src/p/_async/q/cache.py").write_text("import asyncio\n")
    assert twin.main([str(tree)]) == 1
    assert "refused: src/p/_async/q/cache.py:1: asyncio" in capsys.readouterr().err


def test_the_repositorys_own_twins_are_up_to_date() -> None:
    assert twin.check(ROOT, twin.rules()) == []
