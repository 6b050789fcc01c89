"""A session that needs several proofs."""

from __future__ import annotations

from freshwell.engines.recent import Recent
from freshwell.engines.session import CoherenceMode, Proofs, Session

BOUND = 100


def proofs(*names: str) -> tuple[Session, Proofs]:
    session = Session(CoherenceMode.FEED, BOUND)
    own = Proofs(session)
    own.require(names)
    return session, own


def test_l1_is_silent_until_every_proof_is_given() -> None:
    session, own = proofs("a", "b")
    assert session.live_until_ns == -1
    own.prove("a", 10)
    assert session.live_until_ns == -1
    own.prove("b", 5)
    assert session.live_until_ns == 5 + BOUND


def test_the_oldest_proof_counts() -> None:
    session, own = proofs("a", "b")
    own.prove("a", 10)
    own.prove("b", 20)
    own.prove("b", 30)
    assert session.live_until_ns == 10 + BOUND
    own.prove("a", 25)
    assert session.live_until_ns == 25 + BOUND
    own.prove("a", 7)
    assert session.live_until_ns == 25 + BOUND, "an earlier question proves nothing new"


def test_a_proof_that_is_void_silences_l1() -> None:
    session, own = proofs("a", "b")
    own.prove("a", 10)
    own.prove("b", 10)
    own.share("a").restart()
    assert session.live_until_ns == -1
    own.prove("b", 20)
    assert session.live_until_ns == -1
    own.share("a").proven(15)
    assert session.live_until_ns == 15 + BOUND


def test_a_new_server_silences_l1_until_it_has_proven_itself() -> None:
    session, own = proofs("a")
    own.prove("a", 10)
    own.require(["a", "b"])
    assert session.live_until_ns == -1
    own.prove("b", 12)
    assert session.live_until_ns == 10 + BOUND


def test_a_server_that_is_not_needed_any_more_proves_and_voids_nothing() -> None:
    session, own = proofs("a", "b")
    own.prove("a", 10)
    own.prove("b", 10)
    own.require(["a"])
    own.prove("b", -1)
    assert session.live_until_ns == 10 + BOUND
    own.prove("b", 99)
    assert session.live_until_ns == 10 + BOUND


def test_without_a_feed_proofs_change_nothing() -> None:
    session, own = proofs("a")
    share = own.share("a")
    share.fall_back()
    share.answer()
    live = session.live_until_ns
    share.restart()
    share.proven(5)
    assert session.live_until_ns == live
    assert session.mode is CoherenceMode.TTL_ONLY


def test_recent_invalidations_are_remembered_for_a_while_and_in_number() -> None:
    recent = Recent(limit=3, life_ns=100)
    recent.note(["a", "b"], 0, tags=False)
    recent.note(["a"], 50, tags=True)
    assert recent.latest(60) == (["a", "b"], ["a"])
    recent.note(["a"], 60, tags=False)
    assert recent.latest(120) == (["a"], ["a"])
    recent.note(["c", "d", "e"], 130, tags=False)
    assert recent.latest(130) == (["c", "d", "e"], [])
    assert recent.latest(300) == ([], [])
    assert len(recent) == 0
