"""What goes wrong with the lab's inputs."""

from __future__ import annotations

from freshwell.errors import FreshwellError

__all__ = ["LabInputError"]


class LabInputError(FreshwellError):
    """An input of the lab cannot be used. The message is one clear sentence for its user."""
