"""The proxy of `freshwell.testing`, by the names that it had here."""

from __future__ import annotations

from freshwell.testing import DOWN, UP, FaultProxy

__all__ = ["DOWN", "UP", "Proxy", "proxy"]

Proxy = FaultProxy
proxy = FaultProxy
