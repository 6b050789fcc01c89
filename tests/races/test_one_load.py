"""One load in a fleet, and one more when its holder is killed."""

from __future__ import annotations

import time

import pytest

from tests.support.processes import Worker, workers

_LEASE_S = 1.0


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize(("colour", "callers"), [("_async", 1_000), ("_sync", 100)])
def test_four_processes_that_ask_for_a_cold_key_load_it_once(
    redis_url: str, colour: str, callers: int
) -> None:
    arguments = [{"url": redis_url, "callers": callers, "load_s": 0.2}] * 4
    with workers(f"tests.races.{colour}.parts:crowd", arguments, gate=True) as group:
        assert sum(group.results()) == 1


@pytest.mark.race
@pytest.mark.slow
@pytest.mark.parametrize("colour", ["_async", "_sync"])
def test_when_the_holder_is_killed_one_other_process_takes_over(
    redis_url: str, colour: str
) -> None:
    parts = f"tests.races.{colour}.parts"
    shared = {"url": redis_url, "lease_s": _LEASE_S}
    holder = Worker(f"{parts}:holder", shared)
    try:
        assert holder.hear() == "loading"
        heirs = [shared | {"callers": 20}] * 3
        with workers(f"{parts}:successor", heirs, gate=True) as group:
            # The holder's heart beats on: nobody takes over while it lives.
            time.sleep(1.5 * _LEASE_S)
            holder.kill()
            killed_ns = time.monotonic_ns()
            results = group.results()
    finally:
        holder.kill()
    assert sum(result["loads"] for result in results) == 1
    for result in results:
        waited_s = (result["done_ns"] - killed_ns) / 1e9
        assert 0 < waited_s < _LEASE_S + 0.3
