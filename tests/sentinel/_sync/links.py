"""Links to the primary of a service, and what tests do over them."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

from contextlib import ExitStack

from freshwell._sync.stores.sentinel import SentinelLink
from freshwell._kit.threads_link import Link
from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.places import SentinelPlace, place_of
from tests.support.impostor import SILENCE, Impostor, impostor
from tests.support.resp import ServerError
from tests.support.servers import Server

__all__ = ["has", "link", "naming", "put", "sentinel_saying", "service_of"]


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


def naming(command: list[bytes], epoch: int, port: int) -> bytes:
    """Return what a Sentinel answers that names a server of this machine, since an epoch."""
    if command[0] != b"SENTINEL":
        return SILENCE
    facts = [b"name", b"mymaster", b"config-epoch", b"%d" % epoch]
    words = [b"127.0.0.1", b"%d" % port] if command[1].startswith(b"GET") else facts
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def sentinel_saying(stack: ExitStack, epoch: int, port: int) -> Impostor:
    """Start a Sentinel that names a server of this machine as primary, since an epoch."""
    return stack.enter_context(impostor(lambda command: naming(command, epoch, port)))


def service_of(*sentinels: Impostor, secrets: str = "") -> str:
    """Return the URL of the service that Sentinels know."""
    hosts = [one.url.removeprefix("redis://").removesuffix("/0") for one in sentinels]
    return f"redis+sentinel://{secrets}{','.join(hosts)}/mymaster/0"
