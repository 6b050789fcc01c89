"""Benchmarks: ``python -m benchmarks``. Ratios to a reference of the same run, never absolutes."""

from __future__ import annotations
