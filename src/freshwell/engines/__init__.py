"""Ring 2: plain, thread-safe state that both colours share."""

from __future__ import annotations
