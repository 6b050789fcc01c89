"""The library works with nothing but Python, and imports no more than it needs."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.tidy.places import REPOSITORY

EXTRAS = (
    *("redis", "hiredis", "msgspec", "pydantic", "pydantic_core", "orjson"),
    *("rich", "typer", "click", "matplotlib", "cryptography", "zstandard", "psycopg", "sqlalchemy"),
)
SLOW = (
    *("freshwell.cli", "freshwell.testing", "pytest", "sqlite3", "multiprocessing"),
    *("http", "email", "unittest", "xml", "csv"),
)

_REFUSE = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""

_LOAD = """
import asyncio
from freshwell import AsyncCache, Cache

async def load():
    return 42

async def main():
    async with AsyncCache() as cache:
        assert await cache.get_or_load("answer", load) == 42
        assert await cache.get("answer") == 42

        @cache.cached("double:{n}")
        async def double(n: int) -> int:
            return 2 * n

        assert [await double(4), await double(4)] == [8, 8]

asyncio.run(main())
with Cache() as cache:
    assert cache.get_or_load("answer", lambda: 42) == 42
    assert cache.get("answer") == 42
print("served")
"""


def test_both_caches_load_and_serve_with_no_extra_installed() -> None:
    assert _python(_REFUSE + _LOAD) == "served"


def test_the_refusal_refuses() -> None:
    assert "No module named 'redis'" in _python(
        _REFUSE + "try:\n    import redis.asyncio\nexcept ImportError as error:\n    print(error)"
    )


def test_what_is_for_tests_needs_no_extra_and_no_pytest() -> None:
    refuse = _REFUSE.replace("in ('redis'", "in ('pytest', 'redis'")
    assert "'pytest', 'redis'" in refuse
    assert (
        _python(refuse + "import freshwell.testing, freshwell.journals\nprint('there')") == "there"
    )


def test_without_its_extra_a_url_says_what_to_install() -> None:
    told = _python(
        _REFUSE + "import freshwell\n"
        "try:\n    freshwell.Cache('redis://localhost')\n"
        "except freshwell.ConfigurationError as error:\n    print(error)"
    )
    assert 'pip install "freshwell[redis]"' in told


def test_without_its_extra_a_door_says_what_to_install() -> None:
    told = _python(
        _REFUSE + "try:\n    import freshwell.sqlalchemy\nexcept ImportError as e:\n    print(e)"
    )
    assert 'pip install "freshwell[sqlalchemy]"' in told


def test_importing_the_library_imports_no_extra_and_nothing_slow() -> None:
    loaded = _python("import sys, freshwell\nprint(*sys.modules)").split()
    assert "freshwell.engines.table" in loaded
    assert sorted({*EXTRAS, *SLOW}.intersection(loaded)) == []


def _python(code: str) -> str:
    """Run `code` in a Python of its own, warnings being errors, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
