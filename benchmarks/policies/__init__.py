"""How often the L1 table's eviction policy has the right entries, on recorded requests."""

from __future__ import annotations
