"""Threads that take turns far more often than they do by themselves, so that races show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["switching_every"]


@contextmanager
def switching_every(seconds: float) -> Iterator[None]:
    """Let threads take turns after so long: a microsecond is about every bytecode."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
