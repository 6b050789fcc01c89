"""The dashboard's server, asked without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from freshwell import Cache
from tests.cli.running import run
from tests.dashboard.serving import TOKEN, Reply, Site, served
from tests.support.servers import Server
from tests.support.threads import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a server for all tests of this module."""
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def site(server: Server) -> Iterator[Site]:
    """Give a dashboard that has a token."""
    with served(server.url) as site:
        yield site


def state(reply: Reply) -> Any:
    assert reply.status == 200
    assert reply.body.startswith(b"data: ")
    return json.loads(reply.body[6:])


def test_what_is_published_is_streamed(server: Server, site: Site) -> None:
    with Cache(server.url, namespace="shop") as cache:
        cache.publish(0.1)
        cache.get("a")
        until(lambda: bool(server.ask("KEYS", "fw:p:shop:*")))
        until(lambda: bool(state(site.ask("GET", "/state"))["namespaces"]))
        (shop,) = state(site.ask("GET", "/state"))["namespaces"]
    assert (shop["namespace"], shop["processes"]) == ("shop", 1)


def test_every_answer_has_its_safeguards(site: Site) -> None:
    for path in ("/", "/assets/page.js", "/state", "/letters", "/nothing"):
        headers = site.ask("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_the_page_needs_nothing_from_elsewhere(site: Site) -> None:
    page = site.ask("GET", "/").body.decode()
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    for name in ("page.css", "page.js", "uplot.min.css", "uplot.min.js"):
        assert f"assets/{name}" in page
        assert site.ask("GET", f"/assets/{name}").status == 200


@pytest.mark.parametrize("name", ["..%2fapp.py", "../app.py", "%2e%2e/app.py", "page.html", "x"])
def test_no_other_file_is_served(site: Site, name: str) -> None:
    assert site.ask("GET", f"/assets/{name}").status == 404


def test_a_foreign_name_reaches_nothing(site: Site) -> None:
    for path in ("/", "/state", "/letters"):
        assert site.ask("GET", path, Host="evil.com").status == 421


LETTER = {"namespace": "shop", "name": "users", "sequence": "1"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer not-the-token-at-all"}, 401),
        ({"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.com"}, 403),
        ({"Authorization": f"Bearer {TOKEN}", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Authorization": f"Bearer {TOKEN}"}, 404),
    ],
    ids=["no token", "wrong token", "foreign page", "foreign site", "right"],
)
def test_who_changes_something_shows_the_token_and_is_our_page(
    site: Site, headers: dict[str, str], status: int
) -> None:
    assert site.ask("POST", "/letters/retry", LETTER, **headers).status == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        {},
        LETTER | {"sequence": 1},
        LETTER | {"sequence": "-1"},
        LETTER | {"sequence": "\u0661"},
        LETTER | {"sequence": "9" * 20},
        LETTER | {"name": ["a"]},
        b'"' + b"x" * 10_000 + b'"',
        b"[" * 4_000,
    ],
    ids=lambda body: repr(body)[-30:],
)
def test_what_names_no_letter_is_refused(site: Site, body: object) -> None:
    reply = site.ask("POST", "/letters/drop", body, Authorization=f"Bearer {TOKEN}")
    assert reply.status == 400


def test_other_verbs_are_refused(site: Site) -> None:
    shown = {"Authorization": f"Bearer {TOKEN}"}
    assert site.ask("POST", "/letters/burn", LETTER, **shown).status == 400
    assert site.ask("GET", "/letters/drop").status == 405
    assert site.ask("POST", "/state").status == 405


def test_without_a_given_token_one_is_made_for_this_machine(server: Server) -> None:
    with served(server.url, token=None) as site:
        assert len(site.token) > 20
        ours = {"Authorization": f"Bearer {site.token}"}
        reply = site.ask("POST", "/letters/drop", LETTER, **ours)
        assert (reply.status, "no journal" in reply.json()["error"]) == (404, True)


def test_a_public_page_shows_nothing_without_the_token(server: Server) -> None:
    with served(server.url, "--host", "0.0.0.0") as site:
        local = {"Host": "localhost"}
        assert site.token == ""
        assert site.ask("GET", "/", **local).status == 200
        assert site.ask("GET", "/state", **local).status == 401
        assert site.ask("GET", "/letters", **local).status == 401
        shown = local | {"Authorization": f"Bearer {TOKEN}"}
        assert site.ask("GET", "/state", **shown).status == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "give a token"),
        (("--token", "short"), "too easy to guess"),
        (("--interval", "0"), "interval"),
        (("--host", "203.0.113.1", "--token", TOKEN), "cannot be bound"),
        (("--port", "70000"), "cannot be bound"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    ran = run("dashboard", *words, url="redis://127.0.0.1:1/0")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert TOKEN not in ran.err


def test_redis_may_be_away(own_redis: Server) -> None:
    with served(own_redis.url) as site:
        own_redis.stop()
        assert "cannot be reached" in state(site.ask("GET", "/state"))["error"]
        assert site.ask("GET", "/letters").status == 503
        own_redis.start()
        until(lambda: state(site.ask("GET", "/state"))["error"] is None)
