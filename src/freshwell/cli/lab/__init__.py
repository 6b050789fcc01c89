"""The lab: a real workload, a real database, and what a cache does between them."""

from __future__ import annotations
