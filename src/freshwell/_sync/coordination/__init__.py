"""Floor 3: leases, loads, and what keeps L1 coherent."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that
