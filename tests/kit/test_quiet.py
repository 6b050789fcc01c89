"""Flights for which nobody waits, until somebody needs what they bring."""

from __future__ import annotations

from freshwell._kit.flight import Announced, Flight, Roster


def roster() -> Roster[str]:
    return Roster(Flight)


def test_nobody_rides_quietly_but_who_would_lead_another_joins() -> None:
    flights = roster()
    led = flights.board(["a", "b"], quiet=True).led
    assert led is not None
    assert (len(flights), flights.carries("a"), "a" in flights.under_way) == (2, True, False)
    assert flights.join("a", (), early=True) is None
    boarding = flights.board(["a", "c"])
    assert boarding.joined == [led]
    assert boarding.flights == {"a": led, "c": boarding.led}
    assert flights.join("a", (), early=False) is led, "it is quiet no more"
    assert (len(flights), "a" in flights.under_way, "b" in flights.under_way) == (3, True, False)
    flights.land(led)
    assert flights.keys() == ["c"]


def test_a_quiet_flight_leaves_to_others_what_is_under_way() -> None:
    flights = roster()
    first = flights.board(["a"]).led
    second = flights.board(["b"], quiet=True).led
    boarding = flights.board(["a", "b", "c"], quiet=True)
    assert boarding.led not in (None, first, second)
    assert (boarding.joined, boarding.flights) == ([], {"c": boarding.led})
    assert flights.board(["a", "b", "c"], quiet=True).led is None


def test_a_quiet_flight_is_found_by_its_marks_and_forgotten() -> None:
    flights = roster()
    flights.board(["a"], marks={"a": (b"x",)}, quiet=True)
    assert flights.marked([b"x"]) == ["a"]
    flights.forget(["a"])
    assert (len(flights), flights.carries("a")) == (0, False)


def test_who_joins_a_quiet_flight_ends_what_was_announced() -> None:
    flights = roster()
    announced: Announced[str] = Announced("a")
    assert flights.announce(announced)
    rider = flights.join("a", (), early=True)
    led = flights.board(["a"], quiet=True).led
    assert led is not rider, "who waits for a look is not given a refresh"
    boarding = flights.board(["a"])
    assert (boarding.joined, boarding.void) == ([led], [rider])
    assert flights.call_off(announced) is None
