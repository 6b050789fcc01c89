"""The marks of suites whose tests are plain functions: none."""

from __future__ import annotations

from typing import Final

import pytest

__all__ = ["MARKS"]

MARKS: Final[list[pytest.MarkDecorator]] = []
