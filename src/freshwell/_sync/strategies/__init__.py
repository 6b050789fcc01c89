"""Floor 4: what a strategy does with a hit, a miss and a write."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that
