"""Keep what L2 has missed, and tell it when it is back.

An invalidation that L2 does not take goes into the spool, where there is one, and its call returns.
From then on this process withholds what it names (``engines/spool``). In the background L2 is
told, oldest first, with pauses that grow; when it has taken some, they leave the spool. To be told
twice does no harm but misses: so what is in doubt is told again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from freshwell._kit.aio import Owner, Signal, sleep
from freshwell._kit.aio_promise import Promise, deliver_all
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.spool import Held, Spool
from freshwell.errors import JournalError, JournalUnavailable, StoreUnavailable
from freshwell.ground.backoff import backoff_ns
from freshwell.ground.names import Names
from freshwell.ground.spooling import Missed, Row

__all__ = ["Spooling", "end_spool", "new_spool"]

_BATCH = 500
_PAUSE_NS = (50_000_000, 1_000_000_000)
_NS_PER_S = 1_000_000_000
_DISK_S = 10.0
_GRACE_S = 0.2
_DRAIN_POLL_S = 0.01


def new_spool(names: Names, namespace: str, path: str | None, limit: int, now_ns: int) -> Spool:
    """Return a cache's spool, with what an earlier process has left in its file.

    `path` None: there is none; empty: it is in memory. Waits for the disk. Raises
    `ConfigurationError` where the file cannot be used.
    """
    if not path:
        return Spool(names, 0 if path is None else limit)
    # Those who use it need sqlite3, which is slow to import.
    from freshwell.engines.spool_file import SpoolFile

    file = SpoolFile(path, namespace, deliver_all)
    spool = Spool(names, limit, file)
    spool.take_over(file.rows(), now_ns, file.now_ms())
    return spool


async def end_spool(spool: Spool) -> None:
    """Close the spool's file. What waits in it stays. Idempotent."""
    ended: Promise[None] = Promise()
    if spool.file is not None and spool.file.close(ended):
        try:
            await ended.wait(_DISK_S)
        except TimeoutError:
            return  # its thread ends with the disk's answer, or with the process


class Spooling:
    """The spool of one open cache, at work. Safe for any number of tasks or threads.

    - `tell`: tells L2 what it has missed; `forget`: lets this process forget it once more.
    """

    def __init__(
        self,
        spool: Spool,
        tell: Callable[[Sequence[Missed]], Awaitable[None]],
        forget: Callable[[Sequence[Missed]], None],
        *,
        counters: Counters,
        incidents: Incidents,
        now_ns: Callable[[], int],
    ) -> None:
        self._spool = spool
        self._tell = tell
        self._forget = forget
        self._counters = counters
        self._incidents = incidents
        self._now_ns = now_ns
        self._owner = Owner("freshwell", 1)
        self._more = Signal()
        self._idle = self._stopping = False

    def start(self) -> None:
        """Tell L2 in the background, from now on, where anything waits."""
        if len(self._spool) and not len(self._owner):
            self._owner.spawn("spool", self._run)

    def hurry(self) -> None:
        """Try now: L2 may be there again."""
        if len(self._spool):
            self._more.notify()

    async def take(self, missed: Sequence[Missed]) -> str | None:
        """Keep what L2 may not have taken. Return why that cannot be; None: it is kept.

        Empty: there is no spool.
        """
        if not self._spool.limit:
            return ""
        held = self._spool.add(missed, self._now_ns())
        if held is None:
            refusal = f"the spool holds {len(self._spool)}, and max_spool is {self._spool.limit}"
        else:
            refusal = await self._written(held)
        if refusal:
            self._incidents.spool_refused(refusal)
            return refusal
        self._incidents.spooled(len(missed), len(self._spool))
        return None

    async def catch_up(self, names: Sequence[str]) -> None:
        """Tell L2 what waits of these entries and tags. Raises `StoreUnavailable`."""
        waiting = self._spool.oldest(len(self._spool), set(names))
        if waiting:
            await self._replay(waiting)

    async def aclose(self, drain_s: float) -> None:
        """Go on until nothing waits, for up to `drain_s` seconds, and end. Says what is left."""
        until_s = time.monotonic() + drain_s
        self.start()
        self.hurry()
        try:
            while len(self._spool) and time.monotonic() < until_s:
                await sleep(_DRAIN_POLL_S)
        finally:
            self._stopping = True
            self._more.notify()
            await self._owner.aclose(_GRACE_S)
        if len(self._spool):
            self._incidents.spool_left(len(self._spool), durable=self._spool.file is not None)

    # -- the file ----------------------------------------------------------------------------

    async def _written(self, held: Sequence[Held]) -> str:
        """Make durable what was added. Return why that cannot be, and it is as if not added."""
        try:
            file = self._spool.file
            if file is not None:
                since_ms = file.now_ms()
                rows = [Row(missed, mark, since_ms) for missed, mark, _ in held]
                await _asked(file.record, rows)
        except JournalError as error:
            self._spool.take_back(held)
            return str(error)
        finally:  # whoever is cancelled here has added it all the same
            self.start()
            if self._idle:
                self._more.notify()
        return ""

    # -- in the background -------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while not self._stopping:
            self._idle = True  # before the look: who adds after it sees this, and gives notice
            if not len(self._spool):
                await self._more.wait()
                continue
            self._idle = False
            try:
                await self._replay(self._spool.oldest(_BATCH))
                failures = 0
            except StoreUnavailable as error:
                self._incidents.l2_failed(error)
                failures += 1
                await self._more.wait(self._pause_s(failures))

    def _pause_s(self, failures: int) -> float:
        base_ns, most_ns = _PAUSE_NS
        u = random.random()  # noqa: S311 - it spreads load
        return backoff_ns(failures, base_ns=base_ns, most_ns=most_ns, u=u) / _NS_PER_S

    async def _replay(self, held: Sequence[Held]) -> None:
        missed = [one.missed for one in held]
        await self._tell(missed)
        # While they are still withheld, for who has asked L2 before: see ``engines/spool``.
        self._forget(missed)
        self._counters.replayed += self._spool.remove(held)
        if self._spool.file is not None:
            try:
                await _asked(self._spool.file.remove, [one.mark for one in held])
            except JournalError as error:
                self._incidents.spool_failed(error)


async def _asked(ask: Callable[..., None], *arguments: object) -> Any:
    promise: Promise[Any] = Promise()
    ask(*arguments, promise)
    try:
        return await promise.wait(_DISK_S)
    except TimeoutError:
        raise JournalUnavailable(f"the spool did not answer within {_DISK_S:g} s") from None
