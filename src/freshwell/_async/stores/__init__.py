"""Floor 2: the tiers behind L1."""

from __future__ import annotations
