"""Tell events to whoever listens. Who tells never waits, and who listens slowly loses some."""

from __future__ import annotations

from collections import deque
from threading import Lock
from types import TracebackType
from typing import Self

from freshwell.ground.events import Event

__all__ = ["Bus", "Subscription"]


class Subscription:
    """What has been told since it was opened, up to a bound: the oldest make room.

    Any thread may take from it. `dropped` counts those that nobody took in time. Close it, or use
    it in a ``with`` block: it costs each event a little for as long as it is open.
    """

    def __init__(self, bus: Bus, limit: int) -> None:
        self._bus = bus
        self._mutex = Lock()
        self._waiting: deque[Event] = deque()
        self._limit = limit
        self.dropped = 0

    def take(self) -> list[Event]:
        """Return what has been told since the last call, oldest first. Never waits."""
        with self._mutex:
            taken = list(self._waiting)
            self._waiting.clear()
        return taken

    def close(self) -> None:
        """Listen no more. What was told can still be taken. Idempotent."""
        self._bus.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, event: Event) -> None:
        """Keep an event, and let go of the oldest where there are too many."""
        with self._mutex:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(event)


class Bus:
    """The events of one cache. Thread-safe.

    Who has something to tell looks at `heard` first, so that nothing is made for nobody.
    """

    def __init__(self) -> None:
        self._mutex = Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self.heard = False
        """Whether anybody listens."""

    def subscribe(self, limit: int) -> Subscription:
        """Listen from now on, with room for `limit` events."""
        subscription = Subscription(self, limit)
        with self._mutex:
            self._subscriptions = (*self._subscriptions, subscription)
            self.heard = True
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Tell that one no more."""
        with self._mutex:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)
            self.heard = bool(self._subscriptions)

    def tell(self, event: Event) -> None:
        """Give an event to all who listen."""
        for subscription in self._subscriptions:
            subscription.put(event)
