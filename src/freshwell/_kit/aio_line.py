"""An open connection of an event loop: commands of one tick leave together, replies in order."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from freshwell._kit.link_errors import LinkLost, LinkTimeout, ServerReplied
from freshwell._kit.resp import Reply, new_reader, pack_get, pack_mget, values_of

__all__ = ["Line"]

_CLOCK_EVERY_NS = 5_000_000_000
_NS_PER_S = 1_000_000_000
_MAX_PENDING = 100_000
_TIME = b"*1\r\n$4\r\nTIME\r\n"


Answers = dict[bytes, Reply]
"""What commands of one tick have asked for beside other keys: values, or errors in their place."""


class _Pending:
    """Commands in flight. Whoever waits for their replies has a future of their own."""

    __slots__ = ("answers", "beside", "future", "others", "replies", "sent_ns", "wanted")

    def __init__(self, future: asyncio.Future[Any], wanted: int, sent_ns: int) -> None:
        self.future = future
        self.wanted = wanted
        self.sent_ns = sent_ns
        self.replies: list[Reply] | None = None
        self.others: list[asyncio.Future[Any]] | None = None
        self.beside: list[bytes] = []
        self.answers: Answers | None = None

    def collected(self, reply: Reply) -> list[Reply] | None:
        """Return all replies once the last of them is here. None: not yet."""
        if self.replies is None:
            self.replies = []
        self.replies.append(reply)
        return self.replies if len(self.replies) == self.wanted else None

    def joined(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        """Let one more caller wait, by a future of its own."""
        if self.others is None:
            self.others = []
        self.others.append(future)
        return future

    def resolve(self, outcome: Any) -> None:
        if self.answers is not None and self.beside:
            # Even where its own caller was cancelled: others wait for these too.
            outcome = self._hand_out(outcome, self.answers)
        if not self.future.done():
            self.future.set_result(outcome)
        if self.others is not None:
            for other in self.others:
                if not other.done():
                    other.set_result(outcome)

    def _hand_out(self, reply: Reply, answers: Answers) -> Reply:
        """Put the values of an MGET among the answers, but for the last, and return that."""
        try:
            values = values_of(reply, len(self.beside) + 1)
        except ServerReplied as error:
            answers.update(dict.fromkeys(self.beside, error))
            return error
        last = values.pop()
        answers.update(zip(self.beside, values, strict=True))
        return last

    def fail(self, error: Exception) -> None:
        for future in (self.future, *(self.others or ())):
            if not future.done():
                future.set_exception(error)
                # Its caller may have been cancelled.
                future.exception()


class Line(asyncio.Protocol):
    """An open connection: writes once a tick, and hands out replies in order."""

    def __init__(
        self,
        connection: Any,
        *,
        now_ns: Callable[[], int],
        timeout_ns: int,
        timed: bool,
        clock_answered: Callable[[int, Reply], None],
    ) -> None:
        self._connection = connection
        self._transport: asyncio.Transport = connection._writer.transport
        self._reader = new_reader()
        self._loop = asyncio.get_running_loop()
        self._now_ns = now_ns
        self._timeout_ns = timeout_ns
        self._clock_answered = clock_answered
        self._clock_due_ns = now_ns() + _CLOCK_EVERY_NS if timed else sys.maxsize
        self._unsent: list[bytes] = []
        self._pending: deque[_Pending] = deque()
        self._gets: dict[bytes, _Pending] = {}
        self._answers: Answers = {}
        self._asked: dict[tuple[bytes, tuple[bytes, ...]], _Pending] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.lost: Exception | None = None
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def get(self, key: bytes) -> asyncio.Future[Reply]:
        """GET. Equal keys asked for in one tick share one command, while it has not left."""
        same = self._gets.get(key)
        if same is None:
            pending = self._append(pack_get(key), 1)
            if self._unsent and not pending.future.done():
                self._gets[key] = pending
            return pending.future
        return same.joined(self._loop.create_future())

    def get_beside(
        self, key: bytes, beside: tuple[bytes, ...]
    ) -> tuple[asyncio.Future[Reply], Answers]:
        """Ask for `key`, and for those `beside` it that no command of this tick asks for yet.

        Equal questions of one tick are one. Replies come in order, so what earlier commands ask
        for is among the answers when the reply to this one is there.
        """
        name, answers = (key, beside), self._answers
        same = self._asked.get(name)
        if same is not None:
            return same.joined(self._loop.create_future()), answers
        own = [other for other in beside if other not in answers]
        pending = self._append(pack_mget([*own, key]) if own else pack_get(key), 1)
        pending.beside, pending.answers = own, answers
        if not self._unsent:
            self._answers = {}  # it has left, or never will: later callers are not to share it
        elif not pending.future.done():
            answers.update(dict.fromkeys(own))
            self._asked[name] = pending
        return pending.future, answers

    def send(self, data: bytes, wanted: int) -> asyncio.Future[Any]:
        """Send commands that have `wanted` replies. One: the reply itself, else a list."""
        return self._append(data, wanted).future

    def _append(self, data: bytes, wanted: int) -> _Pending:
        pending = _Pending(self._loop.create_future(), wanted, self._now_ns())
        if self.lost is not None:
            pending.fail(self.lost)
        elif len(self._pending) >= _MAX_PENDING:
            pending.fail(LinkTimeout(f"{_MAX_PENDING:,} commands are waiting for their replies"))
        else:
            if not self._pending:
                # Nothing is under way: waiting for company would only cost time.
                self._transport.write(data)
                if pending.sent_ns >= self._clock_due_ns:
                    self._loop.call_soon(self._flush)
            else:
                if not self._unsent:
                    self._loop.call_soon(self._flush)
                self._unsent.append(data)
            self._pending.append(pending)
            if self._timer is None:
                self._timer = self._loop.call_later(self._timeout_ns / _NS_PER_S, self._check)
        return pending

    def _flush(self) -> None:
        """Write what was given in this tick, and now and then ask for the server's clock."""
        self._gets.clear()
        self._answers = {}
        self._asked.clear()
        if self.lost is not None:
            return
        now_ns = self._now_ns()
        if now_ns >= self._clock_due_ns:
            self._clock_due_ns = now_ns + _CLOCK_EVERY_NS
            asked = _Pending(self._loop.create_future(), 1, now_ns)
            asked.future.add_done_callback(partial(self._take_clock, now_ns))
            self._pending.append(asked)
            self._unsent.append(_TIME)
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()

    def _take_clock(self, sent_ns: int, asked: asyncio.Future[Reply]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._clock_answered(sent_ns, asked.result())

    def data_received(self, data: bytes) -> None:
        reader, pendings = self._reader, self._pending
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                pending = pendings[0]
                if pending.wanted > 1:
                    reply = pending.collected(reply)
                    if reply is None:
                        continue
                pendings.popleft().resolve(reply)
        except (ConnectionError, IndexError, TypeError):
            self.fail(LinkLost("the server answered out of protocol"))

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(LinkLost("the connection was lost"))

    def _check(self) -> None:
        """End the connection where its oldest command is late. One timer for all of them."""
        self._timer = None
        if not self._pending:
            return
        left_ns = self._pending[0].sent_ns + self._timeout_ns - self._now_ns()
        if left_ns <= 0:
            self.fail(LinkTimeout("no reply came within the time limit"))
        else:
            self._timer = self._loop.call_later(left_ns / _NS_PER_S, self._check)

    def fail(self, error: Exception) -> None:
        """End the connection: replies that are due will not be waited for."""
        if self.lost is not None:
            return
        self.lost = error
        if self._timer is not None:
            self._timer.cancel()
        for pending in self._pending:
            pending.fail(error)
        self._pending.clear()
        self._unsent.clear()
        self._transport.abort()
        # redis-py warns of a connection that still has its streams when it is collected.
        self._connection._close()
