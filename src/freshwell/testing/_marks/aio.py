"""The marks of suites whose tests are coroutines: pytest-asyncio runs them, in any mode."""

from __future__ import annotations

from typing import Final

import pytest

__all__ = ["MARKS"]

MARKS: Final[list[pytest.MarkDecorator]] = [pytest.mark.asyncio]
