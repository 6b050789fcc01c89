"""The primary of a service, whoever it is at the moment: as the Sentinels say.

A failover by hand leaves the old primary alive, and writable for seconds, with all connections
open; what is written there is lost, and some Sentinels still name it. So all of them are asked,
the latest word counts, and the connections to an old primary are dropped.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from freshwell._sync.stores.topology import Survey
from freshwell._sync.stores.waited import WaitedLink
from freshwell._kit.threads import Gate, each
from freshwell._kit.threads_link import Link, Reply
from freshwell._kit.endpoint import Endpoint
from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied, Unreachable
from freshwell._kit.places import SentinelPlace
from freshwell._kit.resp import Argument
from freshwell.errors import StoreUnavailable
from freshwell.ground.sentinels import Address, Named, candidates, majority, named

__all__ = ["SentinelLink"]

_AGAIN_AFTER_NS = 100_000_000
_ELSEWHERE = frozenset({"READONLY", "LOADING", "MASTERDOWN"})
"""What a server answers that is no primary, or not yet."""

T = TypeVar("T")


class _Primary(NamedTuple):
    """A primary, and the connections to it: for all commands, and for writes with a WAIT."""

    named: Named
    link: Link
    waited: WaitedLink

    def close(self) -> None:
        self.link.close()
        self.waited.close()


class SentinelLink:
    """Commands to the primary of a service. Belongs to where it is used, as a `Link` does.

    The Sentinels are asked on first use, by `survey`, and at most ten times a second when the
    primary was lost, was late, or says that it is none. A command is then given once more where
    that finds another primary and it may be repeated. A reply of a primary that has been
    replaced meanwhile is `LinkLost`.

    `in_order`: as of a `Link`. Raises what a `Link` raises. That the server is no primary is
    raised, and stands in no batch's answer. `replica_wait_ms` is the longest
    wait that `batch_waited` will be told.
    """

    in_order = True

    def __init__(
        self,
        place: SentinelPlace,
        *,
        connect_timeout_s: float = 0.5,
        command_timeout_s: float = 0.25,
        replica_wait_ms: int = 0,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._place = place
        self._new_link = partial(Link, connect_timeout_s=connect_timeout_s, now_ns=now_ns)
        self._timeout_s = command_timeout_s
        self._wait_s = replica_wait_ms / 1_000
        self._longest_s = connect_timeout_s + command_timeout_s
        self._now_ns = now_ns
        self._sentinels = [
            self._new_link(sentinel, command_timeout_s=command_timeout_s, timed=False)
            for sentinel in place.sentinels
        ]
        self._gate = Gate(1)
        self._mutex = threading.Lock()
        self._primary: _Primary | None = None
        self._known: Named | None = None
        self._due_ns = now_ns()
        self._closed = False

    def endpoint(self, address: Address) -> Endpoint:
        """Return how to reach the server at an address."""
        return self._place.at(*address)

    def server_ms(self, key: bytes = b"") -> int:
        """Return the primary's clock as estimated now. 0 where none is known."""
        primary = self._primary
        return 0 if primary is None else primary.link.server_ms()

    def survey(self) -> Survey:
        """Ask the Sentinels now, and use the primary they name; connections to another are lost.

        `owners` is the epoch of the primary. Raises `StoreUnavailable` where fewer than most of
        the Sentinels answer, and then changes nothing, or where nobody they name is a primary.
        """
        self._enter()
        try:
            primary = self._look()
        finally:
            self._gate.leave()
        return Survey((primary.named.address,), owners=primary.named.epoch)

    def get(self, key: bytes) -> bytes | None:
        """GET, given once more where the connection was lost. No text: as if it were empty."""
        return self._carry(lambda primary: primary.link.get(key), True)

    def get_beside(
        self, key: bytes, beside: Sequence[bytes]
    ) -> tuple[bytes | None, list[bytes | None]]:
        """MGET of `key` and of those `beside` it, in one trip."""
        return self._carry(lambda primary: primary.link.get_beside(key, beside), True)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """MGET in chunks, in one write."""
        return self._carry(lambda primary: primary.link.get_many(keys), True)

    def batch(
        self, commands: Sequence[Sequence[Argument]], *, repeat: bool = False
    ) -> list[Reply]:
        """Send commands in one write. The server's errors stand in the answer, in their place."""
        return self._carry(lambda primary: _batch(primary, commands, repeat), repeat)

    def batch_waited(
        self,
        commands: Sequence[Sequence[Argument]],
        min_replicas: int,
        wait_ms: int,
        *,
        repeat: bool = True,
    ) -> tuple[list[Reply], int]:
        """Send writes, and wait until replicas have them: see `Waits`."""
        return self._carry(
            lambda primary: primary.waited.batch_waited(
                commands, min_replicas, wait_ms, repeat=repeat
            ),
            repeat,
        )

    def scan(self, pattern: bytes, place: object = None) -> tuple[object, list[bytes]]:
        """SCAN. Return some keys that match, and the place to go on from. None: that is all."""
        return self._carry(lambda primary: _scan(primary, pattern, place), False)

    def close(self) -> None:
        """Close the connections. What waits for replies gets `LinkLost`. Idempotent."""
        with self._mutex:
            self._closed = True
            primary, self._primary = self._primary, None
        if primary is not None:
            primary.close()
        for sentinel in self._sentinels:
            sentinel.close()

    # -- commands ----------------------------------------------------------------------------

    def _carry(self, send: Callable[[_Primary], T], repeat: bool) -> T:
        """Send to the primary; where that fails and it may be repeated, to the one after it."""
        primary = self._primary or self._first()
        try:
            return self._sent(primary, send)
        except StoreUnavailable as error:
            if not _may_be_elsewhere(error):
                raise
            other = self._other_than(primary)
            if other is None or not repeat:
                raise
        return self._sent(other, send)

    def _sent(self, primary: _Primary, send: Callable[[_Primary], T]) -> T:
        answer = send(primary)
        if primary is not self._primary:
            raise LinkLost("another server has become the primary meanwhile")
        return answer

    def _first(self) -> _Primary:
        self._refuse_if_closed()
        self._ask_after(None)
        primary = self._primary
        if primary is None:
            raise Unreachable(f"no primary of {self._place!r} could be found a moment ago")
        return primary

    def _other_than(self, primary: _Primary) -> _Primary | None:
        """Return who is primary instead, after asking. None: nobody, or that cannot be told."""
        try:
            self._ask_after(primary)
        except StoreUnavailable:
            return None
        other = self._primary
        return None if other is primary else other

    def _ask_after(self, primary: _Primary | None) -> None:
        """Ask the Sentinels, unless that has been done a moment ago, or has replaced `primary`."""
        if self._is_done(primary):
            return
        self._enter()
        try:
            if self._is_done(primary):
                return
            self._look()
        finally:
            self._gate.leave()

    def _is_done(self, primary: _Primary | None) -> bool:
        return self._primary is not primary or self._now_ns() < self._due_ns

    # -- one survey at a time ----------------------------------------------------------------

    def _enter(self) -> None:
        patience_s = self._longest_s * (len(self._sentinels) + 2)
        if not self._gate.enter(patience_s):
            raise LinkTimeout(f"the sentinels of {self._place!r} were asked for too long")

    def _look(self) -> _Primary:
        """Find the primary, and use it from then on. Counts where it was not cancelled."""
        try:
            primary = self._find()
        except StoreUnavailable:
            self._due_ns = self._now_ns() + _AGAIN_AFTER_NS
            raise
        self._due_ns = self._now_ns() + _AGAIN_AFTER_NS
        return primary

    def _find(self) -> _Primary:
        self._refuse_if_closed()
        answers = self._answers()
        primary = self._primary
        for one in candidates(answers, self._known, len(self._sentinels)):
            if primary is not None and one == primary.named:
                if one in answers or _is_primary(primary.link):
                    return primary
            elif (other := self._reached(one)) is not None:
                self._use(other)
                return other
        # Whoever was it has been deposed, even though nobody can be reached who has followed.
        self._use(None)
        raise Unreachable(f"nobody whom the sentinels of {self._place!r} name answers as primary")

    def _answers(self) -> list[Named]:
        """Return whom the Sentinels name. Raises `LinkLost` where too few of them answer."""
        silent: list[Link] = []
        answers = each(
            [partial(self._named_by, sentinel, silent) for sentinel in self._sentinels],
            len(self._sentinels),
        )
        return [answer for answer in answers if answer is not None]

    def _named_by(self, sentinel: Link, silent: list[Link]) -> Named | None:
        """Return whom one of them names. Raises where so many are `silent` that no more matters."""
        service = self._place.service
        questions = [
            (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", service),
            (b"SENTINEL", b"MASTER", service),
        ]
        try:
            answer = named(*sentinel.batch(questions, repeat=True))
        except StoreUnavailable:
            answer = None
        if answer is None:
            silent.append(sentinel)
            count = len(self._sentinels)
            if count - len(silent) < majority(count):
                raise Unreachable(
                    f"too few sentinels of {self._place!r} answer, or know the service"
                )
        return answer

    def _reached(self, one: Named) -> _Primary | None:
        """Connect to a server. None: it cannot be reached, or says that it is no primary."""
        endpoint = self._place.at(*one.address)
        waiting = self._new_link(endpoint, command_timeout_s=self._timeout_s + self._wait_s)
        primary = _Primary(
            one,
            self._new_link(endpoint, command_timeout_s=self._timeout_s),
            WaitedLink(waiting, patience_s=2 * (self._longest_s + self._wait_s)),
        )
        found = False
        try:
            found = _is_primary(primary.link)
        finally:
            if not found:
                primary.close()
        return primary if found else None

    def _use(self, primary: _Primary | None) -> None:
        """Use another primary, or none, and drop the connections to the one before."""
        with self._mutex:
            before = self._primary
            if primary is not None and not self._closed:
                self._known = primary.named
                self._primary, primary = primary, None
            else:
                self._primary = None
        for unused in (before, primary):
            if unused is not None:
                unused.close()
        self._refuse_if_closed()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise LinkLost("the link was closed")


def _batch(
    primary: _Primary, commands: Sequence[Sequence[Argument]], repeat: bool
) -> list[Reply]:
    replies = primary.link.batch(commands, repeat=repeat)
    for reply in replies:
        if isinstance(reply, ServerReplied) and reply.code in _ELSEWHERE:
            raise reply
    return replies


def _scan(primary: _Primary, pattern: bytes, place: object) -> tuple[object, list[bytes]]:
    """Go on with a scan, on the server where it began."""
    begun, inner = place if isinstance(place, tuple) else (primary.named, None)
    if begun != primary.named:
        raise LinkLost("another server has become the primary in the middle of a scan")
    inner, keys = primary.link.scan(pattern, inner)
    return (None if inner is None else (begun, inner)), keys


def _may_be_elsewhere(error: StoreUnavailable) -> bool:
    """Tell whether another server may be the primary now."""
    if isinstance(error, ServerReplied):
        return error.code in _ELSEWHERE
    return isinstance(error, LinkLost | LinkTimeout)


def _is_primary(link: Link) -> bool:
    """Ask a server whether it is a primary. A user who may not ask learns it by READONLY."""
    try:
        reply = link.batch([(b"ROLE",)], repeat=True)[0]
    except StoreUnavailable:
        return False
    if isinstance(reply, ServerReplied):
        return reply.code == "NOPERM"
    return isinstance(reply, list) and reply[:1] == [b"master"]
