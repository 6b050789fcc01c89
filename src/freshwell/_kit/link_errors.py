"""What goes wrong on the way to Redis or Valkey."""

from __future__ import annotations

from freshwell.errors import StoreUnavailable

__all__ = ["LinkLost", "LinkTimeout", "ServerReplied", "TrackingRefused"]


class LinkLost(StoreUnavailable):
    """The connection was refused, or lost before the reply. The command may have been done."""


class LinkTimeout(StoreUnavailable):
    """No reply came within the time limit. The command may have been done."""


class ServerReplied(StoreUnavailable):
    """The server answered with an error. `code` is its first word, such as ``OOM``."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class TrackingRefused(StoreUnavailable):
    """The server would not push invalidations: forbidden, or unknown to it."""
