"""Ring 1: decisions. Pure functions of values: no I/O, no clock, no lock, no randomness."""

from __future__ import annotations
