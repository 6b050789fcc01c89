"""Ask servers about themselves by commands that read, and by no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.places import ClusterPlace, Place, SentinelPlace
from freshwell._kit.resp import Argument, Reply
from freshwell._kit.threads_link import Link
from freshwell._sync.stores.cluster import ClusterLink
from freshwell._sync.stores.sentinel import SentinelLink

__all__ = ["READ_COMMANDS", "Reader", "endpoints_at", "opened_reader"]

READ_COMMANDS: Final = frozenset(
    {
        *("ACL GETUSER", "ACL USERS", "ACL WHOAMI", "CONFIG GET", "DBSIZE", "GETRANGE", "HLEN"),
        *("HRANDFIELD", "INFO", "LATENCY LATEST", "LLEN", "LRANGE", "MEMORY USAGE"),
        *("OBJECT FREQ", "PTTL", "SCAN", "SCARD", "SLOWLOG GET", "SRANDMEMBER", "TYPE"),
        *("XINFO GROUPS", "XLEN", "ZCARD", "ZRANGE"),
    }
)
"""All that is ever sent, once the connection stands. Any other is a fault of the program's."""
_WITH_SUBCOMMANDS: Final = ("ACL", "CONFIG", "LATENCY", "MEMORY", "OBJECT", "SLOWLOG", "XINFO")


class Reader:
    """Asks one server. For one thread.

    Raises `StoreUnavailable` where it does not answer; its errors stand in the answer.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def ask(self, commands: Sequence[Sequence[Argument]]) -> list[Reply]:
        """Send commands that read in one write. Raises `ValueError` for any other, unsent."""
        for command in commands:
            words = command[: 2 if command[0] in _WITH_SUBCOMMANDS else 1]
            if " ".join(map(str, words)) not in READ_COMMANDS:
                raise ValueError(f"{words} is no command that reads")
        return self._link.batch(commands, repeat=True)

    def told(self, *command: Argument) -> Any:
        """Send one command. Return its reply, or None where the server answered an error."""
        (reply,) = self.ask([command])
        return None if isinstance(reply, ServerReplied) else reply


@contextmanager
def opened_reader(endpoint: Endpoint, timeout_s: float) -> Iterator[Reader]:
    """Open a connection to one server, on first use, with a time limit for every exchange."""
    link = Link(endpoint, connect_timeout_s=timeout_s, command_timeout_s=timeout_s, timed=False)
    with closing(link):
        yield Reader(link)


def endpoints_at(place: Place, timeout_s: float) -> Sequence[Endpoint]:
    """Return how to reach every server that takes writes. Raises `StoreUnavailable`."""
    if isinstance(place, Endpoint):
        return [place]
    limits: dict[str, Any] = {"connect_timeout_s": timeout_s, "command_timeout_s": timeout_s}
    link: ClusterLink | SentinelLink
    if isinstance(place, ClusterPlace):
        link = ClusterLink(place, **limits)
    else:
        assert isinstance(place, SentinelPlace)
        link = SentinelLink(place, **limits)
    with closing(link):
        return [place.at(*address) for address in link.survey().primaries]
