"""Who may ask the dashboard's server for what."""

from __future__ import annotations

import pytest

from freshwell import ConfigurationError
from freshwell.dashboard.guard import Guard, is_loopback

TOKEN = "sixteen-or-more-characters"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_only_this_machine_reaches_the_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.evil", ""])
def test_others_reach_any_other_address(host: str) -> None:
    assert not is_loopback(host)


def test_a_public_server_has_a_token() -> None:
    with pytest.raises(ConfigurationError, match="give a token"):
        Guard(None, public=True)
    assert Guard(TOKEN, public=True).public


@pytest.mark.parametrize("token", ["", "short", "fifteen-charact", "n\u00f6t all of it is ASCII"])
def test_a_token_that_could_be_guessed_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="too easy to guess"):
        Guard(token)


@pytest.mark.parametrize(
    "header", ["localhost", "LOCALHOST:8765", "127.0.0.1:1", "[::1]:5", "it.is.me"]
)
def test_the_server_goes_by_these_names(header: str) -> None:
    assert Guard(TOKEN, hosts=["It.Is.Me"]).knows_host(header)


@pytest.mark.parametrize(
    "header",
    ["", "evil.com", "evil.com:8765", "localhost.evil.com", "[", "127.0.0.1.nip.io", "a@b"],
)
def test_the_server_goes_by_no_other_name(header: str) -> None:
    assert not Guard(TOKEN).knows_host(header)


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer ", False),
        ("", False),
        ("Bearer \u00e9\u20ac", False),
    ],
)
def test_the_token_is_right_or_wrong(header: str, right: bool) -> None:
    assert Guard(TOKEN).knows_token(header) is right


def test_without_a_token_nothing_is_one() -> None:
    guard = Guard(None)
    assert not guard.can_change
    assert not guard.knows_token("Bearer ")
    assert not guard.knows_token("Bearer None")


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"host": "localhost:1"}, True),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, True),
        (
            {
                "host": "localhost:1",
                "origin": "http://localhost:1",
                "sec-fetch-site": "same-origin",
            },
            True,
        ),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, False),
        ({"host": "localhost:1", "origin": "http://evil.com"}, False),
        ({"host": "localhost:1", "origin": "null"}, False),
        ({"host": "localhost:1", "sec-fetch-site": "cross-site"}, False),
        ({"host": "localhost:1", "sec-fetch-site": "same-site"}, False),
    ],
    ids=str,
)
def test_requests_of_other_pages_are_told(headers: dict[str, str], own: bool) -> None:
    assert Guard(TOKEN).is_own_origin(headers) is own
