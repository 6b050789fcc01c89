"""Globs are read as Redis reads them."""

from __future__ import annotations

from random import Random

import pytest

from freshwell.ground.globs import glob_of, is_broad, is_everything
from tests.support.servers import Server

ALPHABET = "ab*?[]^-\\z"


def test_globs_match_what_redis_says_they_match(redis_url: str, redis_server: Server) -> None:
    random = Random(7)
    keys = {"".join(random.choices("abz-^]*?[\\", k=random.randint(1, 4))) for _ in range(300)}
    for key in keys:
        redis_server.ask("SET", key, "1")
    for _ in range(400):
        glob = "".join(random.choices(ALPHABET, k=random.randint(1, 6)))
        theirs = {key.decode() for key in redis_server.ask("KEYS", glob)}
        matches = glob_of(glob).fullmatch
        assert {key for key in keys if matches(key)} == theirs, glob


def test_many_stars_do_not_take_for_ever() -> None:
    assert not glob_of("*a" * 3 + "*" * 500 + "b").fullmatch("a" * 300)


def test_everything_is_known() -> None:
    assert is_everything("*")
    assert is_everything("***")
    assert not is_everything("a*")


@pytest.mark.parametrize("glob", ["*", "?*", "*:*", "[a-z]*", "[^x]", "\\*", "[", "*[ab", "\\"])
def test_a_pattern_without_a_letter_or_digit_is_broad(glob: str) -> None:
    assert is_broad(glob)


@pytest.mark.parametrize("glob", ["a*", "*:2026", "*é*", "\\a", "[ab]c", "?1"])
def test_a_pattern_with_a_letter_or_digit_is_not_broad(glob: str) -> None:
    assert not is_broad(glob)
