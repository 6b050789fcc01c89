"""Floor 1: how values become bytes and values again."""

from __future__ import annotations
