"""Writes that wait until replicas have them: WAIT, behind the writes that it is about."""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import threading
from collections.abc import Sequence
from typing import Protocol

from freshwell._kit.threads import Gate
from freshwell._kit.threads_link import Link, Reply
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from freshwell._kit.resp import Argument
from freshwell.errors import StoreUnavailable

__all__ = ["WaitedLink", "Waits"]

_MAX_WAITING = 100_000


class Waits(Protocol):
    """What sends writes and waits for replicas: to one server or to several."""

    def batch_waited(
        self,
        commands: Sequence[Sequence[Argument]],
        min_replicas: int,
        wait_ms: int,
        *,
        repeat: bool = True,
    ) -> tuple[list[Reply], int]:
        """Send writes, and wait until replicas have them.

        Without `repeat`, they are not given again where their reply is lost.

        Returns the replies, errors in their place, and how many replicas have all of it: of
        several servers, the one with the fewest. Raises `StoreUnavailable` where the writes may
        not have been done.
        """

    def close(self) -> None:
        """Close the connections. Idempotent."""


class _Round:
    """Writes that leave together, and what came of them."""

    def __init__(self) -> None:
        self.commands: list[Sequence[Argument]] = []
        self.min_replicas = 0
        self.wait_ms = 0
        self.repeat = True
        self.sent = False
        self.replies: list[Reply] | None = None
        self.confirmed = 0
        self.error: StoreUnavailable | None = None


class WaitedLink:
    """Writes to one server that wait for its replicas, over a link of their own.

    WAIT holds up all that comes after it on its connection. So what comes while others wait
    leaves together, in one write with one WAIT: nobody waits for more than two of them. The
    link's time limit must be above the wait, and `patience_s` above what one of them can take.
    """

    def __init__(self, link: Link, *, patience_s: float) -> None:
        self._link = link
        self._patience_s = patience_s
        self._gate = Gate(1)
        self._mutex = threading.Lock()
        self._next = _Round()

    def batch_waited(
        self,
        commands: Sequence[Sequence[Argument]],
        min_replicas: int,
        wait_ms: int,
        *,
        repeat: bool = True,
    ) -> tuple[list[Reply], int]:
        """Send writes, and wait until replicas have them: see `Waits`.

        Nothing is repeated of what leaves together with writes that must not be.
        """
        own, first = self._join(commands, min_replicas, wait_ms, repeat)
        if not self._gate.enter(self._patience_s):
            raise LinkTimeout("the writes before this one have waited for too long")
        try:
            if own.replies is None and own.error is None:
                self._send(own)
        finally:
            self._gate.leave()
        if own.replies is None:
            assert own.error is not None
            raise own.error
        return own.replies[first : first + len(commands)], own.confirmed

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._link.close()

    def _join(
        self, commands: Sequence[Sequence[Argument]], min_replicas: int, wait_ms: int, repeat: bool
    ) -> tuple[_Round, int]:
        """Put writes into the round that leaves next, and return it and their place in it."""
        with self._mutex:
            own = self._next
            first = len(own.commands)
            if first >= _MAX_WAITING:
                raise LinkTimeout(f"{first:,} writes are waiting for their replicas")
            own.commands.extend(commands)
            own.min_replicas = max(own.min_replicas, min_replicas)
            own.wait_ms = max(own.wait_ms, wait_ms)
            own.repeat = own.repeat and repeat
        return own, first

    def _send(self, own: _Round) -> None:
        """Send a round; nobody joins it any more.

        Where the sender is cancelled, it is sent again, if it may be.
        """
        with self._mutex:
            if self._next is own:
                self._next = _Round()
            again, own.sent = own.sent, True
        if again and not own.repeat:
            own.error = LinkLost("whoever sent it, with other writes, was cancelled meanwhile")
            return
        wait = (b"WAIT", own.min_replicas, own.wait_ms)
        try:
            *replies, confirmed = self._link.batch([*own.commands, wait], repeat=own.repeat)
            own.confirmed = _count(replies, confirmed)
            own.replies = replies
        except StoreUnavailable as error:
            own.error = error


def _count(replies: Sequence[Reply], confirmed: Reply) -> int:
    """Return WAIT's answer. Raises the writes' own error first, where that is one too."""
    if isinstance(confirmed, int):
        return confirmed
    for reply in (*replies, confirmed):
        if isinstance(reply, ServerReplied):
            raise reply
    raise ServerReplied("the answer to WAIT has an unknown form", code="PROTOCOL")
