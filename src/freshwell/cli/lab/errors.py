"""What goes wrong in the lab. Each message is one clear sentence for whoever runs it."""

from __future__ import annotations

from freshwell.errors import FreshwellError

__all__ = ["LabInputError", "LabRunError"]


class LabInputError(FreshwellError):
    """An input of the lab cannot be used."""


class LabRunError(FreshwellError):
    """A run ended before its time, through no fault of the inputs that could be seen before."""
