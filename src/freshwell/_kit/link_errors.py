"""What goes wrong on the way to Redis or Valkey."""

from __future__ import annotations

from typing import Final

from freshwell.errors import StoreUnavailable

__all__ = [
    "LeftAlone",
    "LinkLost",
    "LinkTimeout",
    "ReplicasMissing",
    "ServerReplied",
    "TrackingRefused",
    "Unreachable",
    "feed_error",
    "is_outage",
]

_REFUSES_READS: Final = frozenset(
    {
        "LOADING",  # it reads its data
        "BUSY",  # a script has been running for too long
        "MASTERDOWN",  # a replica that has lost its primary, and is not to serve what it has
        "CLUSTERDOWN",  # slots are without an owner, or most primaries away
        "NOAUTH",  # a password was set since
    }
)
"""What a server answers that serves nobody now.

READONLY, OOM, MISCONF and NOREPLICAS are not among them: it refuses writes and goes on serving
what it has. NOPERM concerns one command, MOVED another server.
"""


class LinkLost(StoreUnavailable):
    """The connection was refused, or lost before the reply. The command may have been done."""


class Unreachable(LinkLost):
    """No connection came about: nothing was sent."""


class LeftAlone(StoreUnavailable):
    """L2 has failed a moment ago, and was not asked."""

    was_asked = False


class LinkTimeout(StoreUnavailable):
    """No reply came within the time limit. The command may have been done."""


class ServerReplied(StoreUnavailable):
    """The server answered with an error. `code` is its first word, such as ``OOM``.

    `detail` is the rest of it where a Cluster's node sends elsewhere, and empty otherwise: other
    errors may hold keys and values.
    """

    def __init__(self, message: str, *, code: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


class ReplicasMissing(StoreUnavailable):
    """The primary has applied it, and fewer replicas than asked for confirmed it in time."""

    def __init__(self, confirmed: int, wanted: int, wait_ms: int) -> None:
        super().__init__(
            f"applied on the primary; {confirmed} of {wanted} replicas confirmed within "
            f"{wait_ms} ms"
        )
        self.confirmed = confirmed
        self.wanted = wanted


class TrackingRefused(StoreUnavailable):
    """The server would not push invalidations: forbidden, or unknown to it."""


def is_outage(error: object, *, repeated: bool = False) -> bool:
    """Tell whether an error says that its server would not serve the next caller either.

    A connection that was lost says nothing, since there may be another at once; unless the
    command was `repeated` over another, which was lost too.
    """
    if isinstance(error, ServerReplied):
        return error.code in _REFUSES_READS
    return isinstance(error, Unreachable | LinkTimeout) or (
        repeated and isinstance(error, LinkLost)
    )


def feed_error(error: Exception) -> StoreUnavailable:
    """Return what it means that a feed could not be set up because of `error`.

    Only a server that does not know tracking, or forbids it, refuses for good. One that is
    busy, loading or away will be asked again.
    """
    from redis.exceptions import NoPermissionError, ResponseError

    # redis-py keeps the words of an error, but not the code ERR before them.
    word = str(error).partition(" ")[0]
    unknown = type(error) is ResponseError and not word.isupper()
    replied = error.code if isinstance(error, ServerReplied) else ""
    if isinstance(error, NoPermissionError) or unknown or replied in ("ERR", "NOPERM"):
        code = replied or ("ERR" if unknown else "NOPERM")
        return TrackingRefused(f"the server refused client tracking ({code})")
    return LinkLost(f"the feed could not connect ({type(error).__name__})")
