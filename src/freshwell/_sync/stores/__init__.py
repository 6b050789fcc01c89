"""Floor 2: the tiers behind L1."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that
