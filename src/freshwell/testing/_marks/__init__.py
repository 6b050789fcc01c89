"""What the suites of each colour are marked with: a pair, written by hand."""

from __future__ import annotations
