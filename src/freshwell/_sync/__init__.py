"""Ring 4: everything that waits. Written here in async; ``_sync`` is generated from it."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that
