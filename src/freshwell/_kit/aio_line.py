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
_MAX_ASKED = 500
_TIME = b"*1\r\n$4\r\nTIME\r\n"


Answers = dict[bytes, Reply]
"""What commands of one tick have asked for beside other keys: values, or errors in their place."""


class _Pending:
    """Commands in flight. Whoever waits for their replies has a future of their own."""

    __slots__ = ("future", "others", "replies", "sent_ns", "wanted")

    def __init__(self, future: asyncio.Future[Any], wanted: int, sent_ns: int) -> None:
        self.future = future
        self.wanted = wanted
        self.sent_ns = sent_ns
        self.replies: list[Reply] | None = None
        self.others: list[asyncio.Future[Any]] | None = None

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
        if not self.future.done():
            self.future.set_result(outcome)
        if self.others is not None:
            for other in self.others:
                if not other.done():
                    other.set_result(outcome)

    def fail(self, error: Exception) -> None:
        for future in (self.future, *(self.others or ())):
            if not future.done():
                future.set_exception(error)
                # Its caller may have been cancelled.
                future.exception()


class _Question:
    """An MGET of what callers want to know beside their keys, or one caller's key as well.

    Replies come in order: so what it brings is among the `answers` when commands behind it are
    answered. `asker`: gets the value of the last key. `at`: its place among what has not left
    yet, to be packed when nobody can add to it any more.
    """

    __slots__ = ("answers", "asker", "at", "keys", "sent_ns")

    wanted = 1

    def __init__(
        self,
        keys: list[bytes],
        answers: Answers,
        sent_ns: int,
        *,
        at: int = 0,
        asker: _Pending | None = None,
    ) -> None:
        self.keys = keys
        self.answers = answers
        self.sent_ns = sent_ns
        self.at = at
        self.asker = asker

    def resolve(self, reply: Reply) -> None:
        try:
            values: list[Reply] = [*values_of(reply, len(self.keys))]
        except ServerReplied as error:
            values = [error] * len(self.keys)
        self.answers.update(zip(self.keys, values, strict=True))
        if self.asker is not None:
            self.asker.resolve(values[-1])

    def fail(self, error: Exception) -> None:
        if self.asker is not None:
            self.asker.fail(error)


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
        self._pending: deque[_Pending | _Question] = deque()
        self._gets: dict[bytes, _Pending] = {}
        self._answers: Answers = {}
        self._asked: dict[bytes, tuple[tuple[bytes, ...], _Pending]] = {}
        self._question: _Question | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.lost: Exception | None = None
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def get(self, key: bytes) -> asyncio.Future[Reply]:
        """GET. Equal keys asked for in one tick share one command, while it has not left."""
        same = self._gets.get(key)
        if same is None:
            pending = _Pending(self._loop.create_future(), 1, self._now_ns())
            self._append(pack_get(key), pending)
            if self._unsent and not pending.future.done():
                self._gets[key] = pending
            return pending.future
        return same.joined(self._loop.create_future())

    def get_beside(
        self, key: bytes, beside: tuple[bytes, ...]
    ) -> tuple[asyncio.Future[Reply], Answers]:
        """Ask for `key`, and for those `beside` it that nobody of this tick asks for yet.

        What is asked for beside keys in one tick is one command, in front of those for the keys. So
        it is among the answers when the reply for `key` is there. Equal calls are one.
        """
        answers, same = self._answers, self._asked.get(key)
        if same is not None and same[0] == beside:
            return same[1].joined(self._loop.create_future()), answers
        own = [other for other in beside if other not in answers]
        pending = _Pending(self._loop.create_future(), 1, self._now_ns())
        if own and not self._pending:  # it leaves at once, and nobody shares it
            question = _Question([*own, key], {}, pending.sent_ns, asker=pending)
            self._append(pack_mget(question.keys), question)
            return pending.future, question.answers
        if own:
            self._ask(own, pending.sent_ns)
        self._append(pack_get(key), pending)
        if self._unsent and not pending.future.done():
            self._asked[key] = beside, pending
        return pending.future, answers

    def _ask(self, keys: list[bytes], now_ns: int) -> None:
        """Add keys to what this tick asks for."""
        question = self._question
        if question is None or len(question.keys) >= _MAX_ASKED:
            self._close_question()
            question = _Question([], self._answers, now_ns, at=len(self._unsent))
            if not self._append(b"", question):
                return  # nor will the command for the key itself
            self._question = question
        question.keys += keys
        self._answers.update(dict.fromkeys(keys))

    def _close_question(self) -> None:
        """Pack what was asked for: nobody adds to it any more."""
        question, self._question = self._question, None
        if question is not None:
            self._unsent[question.at] = pack_mget(question.keys)

    def send(self, data: bytes, wanted: int) -> asyncio.Future[Any]:
        """Send commands that have `wanted` replies. One: the reply itself, else a list."""
        pending = _Pending(self._loop.create_future(), wanted, self._now_ns())
        self._append(data, pending)
        return pending.future

    def _append(self, data: bytes, pending: _Pending | _Question) -> bool:
        """Let commands leave. False: they cannot, and whoever waits for them is told."""
        if self.lost is not None:
            pending.fail(self.lost)
            return False
        if len(self._pending) >= _MAX_PENDING:
            pending.fail(LinkTimeout(f"{_MAX_PENDING:,} commands are waiting for their replies"))
            return False
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
        return True

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
            self._close_question()
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
                    assert isinstance(pending, _Pending)
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
        self._question = None
        self._transport.abort()
        # redis-py warns of a connection that still has its streams when it is collected.
        self._connection._close()
