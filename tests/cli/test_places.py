"""The commands reach every kind of place that a URL can name."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import run, service


@pytest.mark.server
@pytest.mark.parametrize("place", ["sentinel_url", "cluster_url"])
def test_both_commands_work_at_any_place(place: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(place)
    with service(url) as cache:
        cache.set_many(dict.fromkeys("abcdef", 1), tags=["users"])
        cache.set("user:1", 1)
        for key in "abc":
            ran = run("inspect", key, "--json", url=url)
            assert ran.out, ran.err
            found = json.loads(ran.out)
            assert (ran.code, found["state"]) == (0, "fresh")
            assert [(tag["name"], tag["status"]) for tag in found["tags"]] == [("users", "current")]
        assert run("invalidate", "a", "b", url=url).code == 0
        assert run("invalidate", "--pattern", "[cd]*", "--yes", url=url).code == 0
        assert list(cache.get_many([*"abcdef", "user:1"])) == ["e", "f", "user:1"]
        assert run("invalidate", "--tag", "users", url=url).code == 0
        assert list(cache.get_many([*"abcdef", "user:1"])) == ["user:1"]
