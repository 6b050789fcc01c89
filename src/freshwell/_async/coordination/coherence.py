"""Keep L1 coherent with L2 by the server's own invalidation messages.

One dedicated connection, the *feed*, tells which entries and tags of this cache changed. Three
facts make L1 right:

- **Moments.** An entry or tag named by the feed is dropped from L1, and every fill of it that is
  under way is voided (`Table.drop`), so the order of the two connections does not matter.
- **The session.** L1 answers only until ``time the last answered probe was sent +
  max_staleness``: whatever was acknowledged before that probe left has arrived, because the
  answer travels behind it on the same connection. A cut, half-open or stopped feed therefore
  silences L1 by itself, with no verdict of anybody needed.
- **A clean start.** Each new feed begins with an empty L1, and fills begun before it are void.

The process's own writes are reported too. They are treated like anybody's.
"""

from __future__ import annotations

from collections.abc import Callable

from freshwell._async.coordination.watch import Watch
from freshwell._kit.aio import Signal
from freshwell._kit.aio_feed import FeedLine
from freshwell._kit.feed_notices import Flushed, Invalidated, Notice, Pong, Subscribed
from freshwell._kit.link_errors import LinkTimeout, TrackingRefused
from freshwell.engines.counters import Counters
from freshwell.engines.incidents import Incidents
from freshwell.engines.observing import Observing
from freshwell.engines.session import Session, Share
from freshwell.engines.table import Table
from freshwell.errors import StoreUnavailable
from freshwell.ground.names import Names

__all__ = ["Coherence"]

_PROBES_PER_BOUND = 4
_NS_PER_S = 1_000_000_000
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 1.0


class Coherence:
    """Run one feed for one cache: listen, probe, and reconnect, until closed.

    `on_return` is called when the server is there again: it may have forgotten something.
    """

    def __init__(
        self,
        *,
        new_line: Callable[[], FeedLine],
        names: Names,
        table: Table,
        session: Session | Share,
        watch: Watch,
        counters: Counters,
        incidents: Incidents,
        observing: Observing,
        now_ns: Callable[[], int],
        on_return: Callable[[], object] = lambda: None,
    ) -> None:
        self._new_line = new_line
        self._names = names
        self._table = table
        self._session = session
        self._watch = watch
        self._counters = counters
        self._incidents = incidents
        self._observing = observing
        self._now_ns = now_ns
        self._on_return = on_return
        self._was_here = False
        self._probe_ns = session.max_staleness_ns // _PROBES_PER_BOUND
        self._stop = Signal()
        self._stopping = False
        self._line: FeedLine | None = None

    def stop(self) -> None:
        """End the background work soon."""
        self._stopping = True
        self._stop.notify()
        line = self._line
        if line is not None:
            line.interrupt()

    async def run(self) -> None:
        """Keep a feed up until `stop`, or until the server refuses to track."""
        pause_s = _FIRST_PAUSE_S
        while not self._stopping:
            line = self._line = self._new_line()
            try:
                await line.connect()
                pause_s = _FIRST_PAUSE_S
                await self._listen(line)
            except TrackingRefused as error:
                # First the rule for new fills, then the end of old ones, then the answers.
                self._session.fall_back()
                self._table.clear()
                self._session.answer()
                self._incidents.untracked(error)
                self._observing.coherence("ttl-only", live=True)
                return
            except StoreUnavailable as error:
                if not self._stopping:
                    self._incidents.l2_failed(error)
            finally:
                await line.aclose()
            if await self._stop.wait(pause_s):
                return
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    async def _listen(self, line: FeedLine) -> None:
        """Receive and probe until the line is lost or closing. A late answer is a loss."""
        self._start_over()
        if self._was_here:
            self._on_return()
        self._was_here = True
        probe, sent_ns, answered = 0, 0, True
        while not self._stopping:
            now_ns = self._now_ns()
            if answered and now_ns - sent_ns >= self._probe_ns:
                probe, sent_ns, answered = probe + 1, now_ns, False
                await line.ping(b"%d" % probe)
            elif not answered and now_ns - sent_ns >= self._session.max_staleness_ns:
                raise LinkTimeout("the feed did not answer a probe in time")
            due_ns = sent_ns + (self._probe_ns if answered else self._session.max_staleness_ns)
            notice = await line.receive(max(0.001, (due_ns - now_ns) / _NS_PER_S))
            if isinstance(notice, Pong) and notice.payload == b"%d" % probe:
                answered = True
                self._session.proven(sent_ns)
                if probe == 1:
                    self._observing.coherence("feed", live=True)
            else:
                self._take(notice)

    def _take(self, notice: Notice | None) -> None:
        if isinstance(notice, Invalidated):
            entries = self._names.names_of(notice.keys)
            tags: list[bytes] = []
            if len(entries) < len(notice.keys):
                digests = map(self._names.digest_of, notice.keys)
                tags = [digest for digest in digests if digest is not None]
            self._counters.notices += len(entries) + len(tags)
            self._table.drop_many(entries)
            if tags:
                self._table.drop_tags(tags)
            self._watch.notify(entries)
            self._observing.noticed(entries, self._now_ns())
        elif isinstance(notice, Flushed | Subscribed):
            self._start_over()

    def _start_over(self) -> None:
        self._session.restart()
        self._observing.restarted()
        self._observing.coherence("feed", live=False)
        self._table.clear()
        self._watch.notify_all()
