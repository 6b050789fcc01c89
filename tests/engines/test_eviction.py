"""What the eviction policy keeps, forgets and learns."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from benchmarks.policies.references import Lru, hits_of
from benchmarks.policies.replay import hits_of_table
from freshwell.engines.entry import Entry
from freshwell.engines.eviction import AdaptiveClock
from freshwell.engines.ghosts import Ghosts
from tests.support.examples import examples


def _entry(key: str, kind: type[Entry] = Entry) -> Entry:
    return kind(key, None, 0, 0)


def _ratio(keys: Iterable[int], capacity: int) -> float:
    requests = list(keys)
    return hits_of_table(requests, capacity) / len(requests)


def _lru(keys: Iterable[int], capacity: int) -> float:
    requests = list(keys)
    return hits_of(Lru(), requests, capacity) / len(requests)


# -- which entry leaves ----------------------------------------------------------------------


def test_the_oldest_entry_leaves_where_none_was_hit() -> None:
    policy = AdaptiveClock()
    entries = [_entry(str(i)) for i in range(3)]
    for entry in entries:
        policy.insert(entry)
    assert [policy.evict() for _ in range(4)] == [*entries, None]


def test_an_entry_that_was_hit_outlives_those_that_were_not() -> None:
    policy = AdaptiveClock()
    entries = [_entry(str(i)) for i in range(5)]
    for entry in entries:
        policy.insert(entry)
    entries[0].mark = entries[2].mark = 1
    left = [policy.evict() for _ in range(5)]
    assert left == [entries[i] for i in (1, 3, 4, 0, 2)]


class _Popular(Entry):
    """Hit again the moment its mark is taken away."""

    __slots__ = ()
    mark = property(lambda _: 1, lambda _, value: None)


def test_one_eviction_ends_where_everything_is_hit_all_the_time() -> None:
    policy = AdaptiveClock()
    for i in range(1_000):
        policy.insert(_entry(str(i), _Popular))
    assert policy.evict() is not None
    policy.check()


# -- what comes of it ------------------------------------------------------------------------


def test_a_pass_over_many_keys_does_not_push_out_what_is_used() -> None:
    chance = random.Random(1)
    requests: list[int] = []
    for round_ in range(20):
        requests += [int(chance.paretovariate(0.7)) % 2_000 for _ in range(2_000)]
        requests += range(10_000 + round_ * 1_000, 11_000 + round_ * 1_000)
    assert _ratio(requests, 300) > _lru(requests, 300) + 0.02


def test_where_recency_is_all_that_counts_it_is_about_as_good_as_lru() -> None:
    chance = random.Random(1)
    requests: list[int] = []
    for i in range(40_000):
        back = int(2_000 ** chance.random())
        again = len(requests) >= back and chance.random() < 0.7
        requests.append(requests[-back] if again else i)
    assert _ratio(requests, 200) > _lru(requests, 200) - 0.01


def test_it_gets_used_to_other_keys() -> None:
    chance = random.Random(1)
    first = [int(chance.paretovariate(0.7)) % 2_000 for _ in range(30_000)]
    second = [key + 5_000 for key in first]
    alone = _ratio(first, 200)
    both = _ratio(first + second, 200)
    assert both > alone - 0.01


# -- ghosts ----------------------------------------------------------------------------------


def test_a_ghost_is_found_once_with_its_origin() -> None:
    ghosts = Ghosts()
    ghosts.add("a", 0, 10)
    ghosts.add("b", 1, 10)
    assert ghosts.take("a", 10) == 0
    assert ghosts.take("a", 10) is None
    assert ghosts.take("b", 10) == 1
    assert ghosts.take("never", 10) is None


def test_a_ghost_is_forgotten_after_as_many_newer_ones_of_its_origin() -> None:
    ghosts = Ghosts()
    ghosts.add("k", 0, 10)
    for _ in range(9):
        ghosts.add("another", 0, 10)
        ghosts.add("elsewhere", 1, 10)
    kept = ghosts.take("k", 10)
    ghosts.add("k", 0, 10)
    for _ in range(10):
        ghosts.add("another", 0, 10)
    assert (kept, ghosts.take("k", 10)) == (0, None)


def test_most_ghosts_survive_the_growth_of_their_table() -> None:
    ghosts = Ghosts()
    for i in range(1_000):
        ghosts.add(str(i), 0, 1_000)
    ghosts.add("one more", 0, 50_000)
    found = sum(ghosts.take(str(i), 2_000) == 0 for i in range(1_000))
    assert found > 600


def test_keys_that_were_never_evicted_are_not_taken_for_ghosts() -> None:
    ghosts = Ghosts()
    for i in range(10_000):
        ghosts.add(str(i), i & 1, 10_000)
    assert all(ghosts.take(f"new{i}", 10_000) is None for i in range(10_000))


# -- structure -------------------------------------------------------------------------------


class PolicyAndSet(RuleBasedStateMachine):
    """The policy holds exactly the entries that it was given and has not let go of."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = AdaptiveClock()
        self.held: dict[str, Entry] = {}

    @rule(key=st.sampled_from("abcdefgh"))
    def insert(self, key: str) -> None:
        if key not in self.held:
            self.held[key] = _entry(key)
            self.policy.insert(self.held[key])

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 99), what=st.sampled_from(["hit", "remove", "replace"]))
    def change(self, pick: int, what: str) -> None:
        key = sorted(self.held)[pick % len(self.held)]
        if what == "hit":
            self.held[key].mark = 1
        elif what == "remove":
            self.policy.remove(self.held.pop(key))
        else:
            new = _entry(key)
            self.policy.replace(self.held[key], new)
            self.held[key] = new

    @rule()
    def evict(self) -> None:
        victim = self.policy.evict()
        assert (victim is None) == (not self.held)
        if victim is not None:
            assert self.held.pop(victim.key) is victim

    @invariant()
    def holds_what_it_was_given(self) -> None:
        self.policy.check()
        entries = list(self.policy)
        assert {id(entry) for entry in entries} == {id(entry) for entry in self.held.values()}
        followed, entry = [], self.policy.following(None)
        while entry is not None:
            followed.append(entry)
            entry = self.policy.following(entry)
        assert followed == entries


TestPolicyAndSet = PolicyAndSet.TestCase
TestPolicyAndSet.settings = examples(60, stateful_step_count=40, deadline=None)
