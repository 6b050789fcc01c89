"""Links to the primary of a service, and what tests do over them."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._kit.threads_link import Link
from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.places import SentinelPlace, place_of
from tests.support.resp import ServerError
from tests.support.servers import Server

__all__ = ["has", "link", "put"]


def place(url: str) -> SentinelPlace:
    found = place_of(url)
    assert isinstance(found, SentinelPlace)
    return found


def link(url: str, timeout_s: float = 5.0) -> SentinelLink:
    return SentinelLink(place(url), connect_timeout_s=timeout_s, command_timeout_s=timeout_s)


def put(own: SentinelLink | Link, text: str) -> None:
    """Write, once only. Raises the error that the reply is."""
    reply = own.batch([("SET", "k", text)])[0]
    if isinstance(reply, ServerReplied):
        raise reply


def has(server: Server, text: bytes) -> bool:
    try:
        return bool(server.ask("GET", "k") == text)
    except (OSError, ServerError):
        return False
