"""The L1 table against a dictionary: whatever the sequence, what it serves is what was stored."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from freshwell.engines.entry import ENTRY_BYTES, Aliases, Entry
from freshwell.testing import FakeClock
from tests.engines.parts import NS, fill, make_table
from tests.support.examples import examples

_KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f"])
_TTLS_S = st.integers(1, 20)
_MAX_BYTES = 5 * (ENTRY_BYTES + 50)


class TableAndModel(RuleBasedStateMachine):
    """`model` holds, per key, what may be served: the value and its two deadlines.

    The table may hold less (evictions, early ends), never more and never anything else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.table = make_table(self.clock, max_entries=4, max_bytes=_MAX_BYTES)
        self.model: dict[str, tuple[int, int, int]] = {}
        self.aliases = Aliases()
        self.fills: list[tuple[str, int, bool]] = []
        self.count = 0

    # -- what is done ------------------------------------------------------------------------

    @rule(key=_KEYS, ttl_s=_TTLS_S, stale_s=st.integers(0, 20), size=st.integers(0, 600))
    def put(self, key: str, ttl_s: int, stale_s: int, size: int) -> None:
        self._put(key, ttl_s, stale_s, size, None)

    @rule(key=_KEYS)
    def begin(self, key: str) -> None:
        self.fills.append((key, self.table.moment(), True))

    @precondition(lambda self: self.fills)
    @rule(pick=st.integers(0, 1 << 30), ttl_s=_TTLS_S)
    def finish(self, pick: int, ttl_s: int) -> None:
        key, since, valid = self.fills.pop(pick % len(self.fills))
        if valid:
            self._put(key, ttl_s, 0, 0, since)
        else:
            assert fill(self.table, self.clock, key, "stale fill", since=since) is None

    @rule(key=_KEYS)
    def drop(self, key: str) -> None:
        assert self.table.drop(key) <= (key in self.model)
        self.model.pop(key, None)
        self._void({key})

    @rule(keys=st.lists(_KEYS))
    def drop_many(self, keys: list[str]) -> None:
        self.table.drop_many(keys)
        for key in keys:
            self.model.pop(key, None)
        self._void(set(keys))

    @rule(key=_KEYS)
    def expire(self, key: str) -> None:
        self.table.expire(key)
        if key in self.model:
            value, fresh_until_ns, stale_until_ns = self.model[key]
            self.model[key] = (value, min(fresh_until_ns, self.clock()), stale_until_ns)
        self._void({key})

    @rule()
    def clear(self) -> None:
        self.table.clear()
        self.model.clear()
        self._void(None)

    @rule(limit=st.integers(1, 5))
    def sweep(self, limit: int) -> None:
        assert self.table.sweep(limit) <= limit

    @rule(key=_KEYS)
    def attach(self, key: str) -> None:
        known = self.table.get(key) is not None
        assert self.table.attach(key, self.aliases, key, str) == known
        assert self.aliases.get(key) is self.table.get(key)

    @rule(seconds=st.integers(0, 10))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    # -- what holds --------------------------------------------------------------------------

    @rule(key=_KEYS)
    def read(self, key: str) -> None:
        self._judge(key, self.table.get(key))

    @invariant()
    def everything_is_whole(self) -> None:
        self.table.check()
        for key, entry in self.aliases.items():
            self._judge(key, entry)

    def _judge(self, key: str, entry: Entry | None) -> None:
        if entry is None or entry.stale_until_ns <= self.clock():
            return
        value, fresh_until_ns, stale_until_ns = self.model[key]
        assert entry.value == value
        assert entry.calm_until_ns <= entry.fresh_until_ns
        assert abs(entry.fresh_until_ns - fresh_until_ns) <= NS
        assert entry.fresh_until_ns <= fresh_until_ns
        assert entry.stale_until_ns <= stale_until_ns

    def _put(self, key: str, ttl_s: int, stale_s: int, size: int, since: int | None) -> None:
        self.count += 1
        entry = fill(
            self.table,
            self.clock,
            key,
            self.count,
            ttl_s=ttl_s,
            stale_s=stale_s,
            size_bytes=size,
            since=since,
        )
        fresh_until_ns = self.clock() + ttl_s * NS
        self.model[key] = (self.count, fresh_until_ns, fresh_until_ns + stale_s * NS)
        assert entry is not None
        assert self.table.get(key) is entry, "a new entry was evicted by its own arrival"

    def _void(self, keys: set[str] | None) -> None:
        self.fills = [
            (key, since, valid and keys is not None and key not in keys)
            for key, since, valid in self.fills
        ]


TestTableAndModel = TableAndModel.TestCase
TestTableAndModel.settings = examples(60, stateful_step_count=40, deadline=None)
