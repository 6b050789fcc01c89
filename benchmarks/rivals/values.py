"""What all rivals store: small and large records, of the same keys."""

from __future__ import annotations

from typing import Any

__all__ = ["KEYS", "SIZES", "record"]

KEYS = 1_024
"""More than there are tasks, so that few ask for the same at the same time."""
SIZES = {"100 B": 40, "10 KB": 9_900}
"""How large a record is as JSON, and how long its text has to be for that."""


def record(length: int, number: int = 7) -> dict[str, Any]:
    """Return a record with a text of that length."""
    return {"id": number, "title": "a product", "price": 12.5, "body": "x" * length}
