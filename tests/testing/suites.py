"""Run the suites, as users do, over implementations that are wrong in one way."""

from __future__ import annotations

import pytest

import freshwell.testing.conformance  # noqa: F401  # else each inner run imports it anew

__all__ = ["refused"]

_OPTIONS = (
    *("-p", "no:cacheprovider", "-p", "no:randomly", "--tb=no", "-q"),
    *("-o", "asyncio_default_fixture_loop_scope=function"),
)


def refused(pytester: pytest.Pytester, module: str) -> dict[str, set[str]]:
    """Run a module of tests. Return, for each of its classes, the names of what failed."""
    pytester.makepyfile(module)
    ran = pytester.inline_run(
        "-p", "no:cacheprovider", "-p", "no:randomly", "--tb=no", "-q", *_OPTIONS
    )
    failed: dict[str, set[str]] = {}
    for report in ran.getreports("pytest_runtest_logreport"):
        owner, _, name = report.location[2].partition(".")
        names = failed.setdefault(owner.removeprefix("Test"), set())
        if report.failed:
            names.add(name)
    return failed
