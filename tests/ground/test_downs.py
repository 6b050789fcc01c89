"""Exceptions that say that the source is down, and those that do not."""

from __future__ import annotations

import sqlite3

import pytest

from freshwell.ground.downs import is_down


class OperationalError(Exception):
    """As drivers name it that are not installed here."""


class LockNotAvailable(OperationalError):
    """As they derive from it."""


class InterfaceError(Exception):
    """As drivers name it."""


DOWN = (
    ConnectionRefusedError(),
    TimeoutError(),
    OSError(),
    OperationalError(),
    LockNotAvailable(),
    InterfaceError(),
    sqlite3.OperationalError("database is locked"),
    ExceptionGroup("several", [TimeoutError(), ExceptionGroup("more", [OperationalError()])]),
)
AT_WORK = (
    ValueError(),
    KeyError("OperationalError"),
    sqlite3.IntegrityError("NOT NULL"),
    ExceptionGroup("several", [TimeoutError(), ValueError()]),
)


@pytest.mark.parametrize("error", DOWN, ids=repr)
def test_it_is_down(error: Exception) -> None:
    assert is_down(error)


@pytest.mark.parametrize("error", AT_WORK, ids=repr)
def test_it_is_at_work(error: Exception) -> None:
    assert not is_down(error)
