"""The fixtures that pytest finds where freshwell is installed, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.places import REPOSITORY

OURS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

UNUSED = """
import sys

def test_nothing_of_freshwell_is_imported():
    assert "pytest_freshwell" in sys.modules
    assert [name for name in sys.modules if name.split(".")[0] == "freshwell"] == []
"""

USED = """
import asyncio

import pytest

from freshwell import Cache, FreshwellError


def test_the_caches_go_by_the_clock(freshwell_cache, freshwell_async_cache, freshwell_clock):
    freshwell_cache.set("a", 1, ttl="1m", jitter=0)
    asyncio.run(freshwell_async_cache.set("a", 1, ttl="1m", jitter=0))
    freshwell_clock.advance(59)
    assert freshwell_cache.get("a") == asyncio.run(freshwell_async_cache.get("a")) == 1
    freshwell_clock.advance(2)
    assert freshwell_cache.get("a") is asyncio.run(freshwell_async_cache.get("a")) is None


@pytest.mark.parametrize("time", range(2))
def test_the_server_is_empty_each_time(freshwell_redis, time):
    with Cache(freshwell_redis.url, l1=False, command_timeout=5, connect_timeout=5) as cache:
        assert cache.get("a") is None
        cache.set("a", 1)
        assert cache.get("a") == 1


def test_the_network_can_be_broken(fault_proxy):
    with Cache(fault_proxy.url, l1=False, command_timeout=5, connect_timeout=5) as cache:
        cache.set("a", 1)
        fault_proxy.refuse()
        with pytest.raises(FreshwellError):
            cache.set("a", 2)
        fault_proxy.heal()
        assert fault_proxy.accepted > 0
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Give a folder of packages in which freshwell is installed, as far as pytest sees."""
    facts = tmp_path / "site" / "freshwell_as_installed-1.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: freshwell-as-installed\nVersion: 1\n"
    )
    lines = [f"{name} = {value}\n" for name, value in OURS["entry-points"]["pytest11"].items()]
    (facts / "entry_points.txt").write_text("[pytest11]\n" + "".join(lines))
    return facts.parent


def run(site: Path, module: str, **environment: str) -> str:
    """Run a module of tests in a pytest of its own. Return what it says."""
    folder = site.with_name("project")
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra -p no:cacheprovider\n")
    (folder / "test_it.py").write_text(module)
    paths = os.pathsep.join((str(site), str(REPOSITORY / "src")))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:asyncio", "-W", "error"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.stdout + done.stderr


def test_who_uses_no_fixture_imports_nothing(site: Path) -> None:
    assert " 1 passed" in run(site, UNUSED)


@pytest.mark.slow
def test_the_fixtures_do_what_they_say(site: Path, redis_url: str) -> None:
    assert " 4 passed" in run(site, USED)


@pytest.mark.slow
def test_without_a_server_program_the_tests_that_need_one_are_skipped(site: Path) -> None:
    said = run(site, USED, FRESHWELL_TEST_SERVER="no-such-server")
    assert " 1 passed, 3 skipped" in said
    assert "'no-such-server' is not installed: install Redis or Valkey" in said


def test_the_plugin_is_in_the_wheel() -> None:
    assert OURS["entry-points"]["pytest11"] == {"freshwell": "pytest_freshwell"}
    built = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packages = built["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in packages} == {"freshwell", "pytest_freshwell"}
