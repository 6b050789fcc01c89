"""Keyrings: which keys they take, and that they never tell them."""

from __future__ import annotations

import base64
import copy
import pickle
from typing import Any

import pytest

from freshwell import Cache, ConfigurationError, Keyring
from tests.security.parts import KEYS, NEWER

GOOD = bytes(range(32))
TEXT = base64.b64encode(GOOD).decode()


def test_the_first_key_writes_unless_another_is_named() -> None:
    keys = {"a": GOOD, "b": GOOD[::-1]}
    assert Keyring(keys).primary == "a"
    assert Keyring(keys, primary="b").ids == ("b", "a")


def test_a_new_key_is_random_and_can_be_read() -> None:
    made = {Keyring.new_key() for _ in range(50)}
    assert len(made) == 50
    for key in made:
        assert Keyring.from_base64(f"2026:{key}").ids == ("2026",)


def test_keys_come_from_a_text_and_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    other = base64.urlsafe_b64encode(b"\xff\xfe" + GOOD).decode()
    monkeypatch.setenv("CACHE_KEYS", f" new:{other}, old:{TEXT} ,")
    monkeypatch.setenv("FRESHWELL_KEYS", f"old:{TEXT}")
    read = Keyring.from_env("CACHE_KEYS")
    assert read.ids == ("new", "old")
    assert read.derived(b"x")[b"old"] == Keyring.from_env().derived(b"x")[b"old"]
    assert read.derived(b"x")[b"old"] == Keyring({"old": GOOD}).derived(b"x")[b"old"]


def test_each_use_has_a_key_of_its_own() -> None:
    made = {KEYS.derived(use)[b"old"] for use in (b"seal", b"sign", b"names")}
    assert len(made) == 3
    assert all(len(key) == 32 for key in made)


BAD: list[Any] = [
    None,
    {},
    [],
    "a:" + TEXT,
    {"a": GOOD[:31]},
    {"a": b""},
    {"a": b"short secret"},
    {"a": bytes(32)},
    {"a": b"ab" * 16},
    {"a": GOOD * 33},
    {"a": TEXT},
    {"a": bytearray(GOOD)},
    {"a": None},
    {"": GOOD},
    {"a b": GOOD},
    {"a\n": GOOD},
    {"x" * 33: GOOD},
    {1: GOOD},
    {"a": GOOD, "b": GOOD},
    {str(n): bytes([n]) + GOOD for n in range(65)},
]


@pytest.mark.parametrize("keys", BAD, ids=range(len(BAD)))
def test_what_can_be_no_keys_is_refused_and_not_repeated(keys: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Keyring(keys)
    for told in (TEXT, "short secret", "abab", repr(GOOD)):
        assert told not in str(refused.value)


@pytest.mark.parametrize("primary", ["b", "", 7])
def test_the_primary_key_is_one_of_them(primary: Any) -> None:
    with pytest.raises(ConfigurationError, match="primary"):
        Keyring({"a": GOOD}, primary=primary)


@pytest.mark.parametrize(
    "text", ["", " , ", TEXT, f"a={TEXT}", "a:", "a:!!!", f"a:{TEXT},a:{TEXT}", f"a:{TEXT[:20]}", 5]
)
def test_a_text_that_holds_no_keys_is_refused_and_not_repeated(text: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Keyring.from_base64(text)
    assert TEXT[:12] not in str(refused.value)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CACHE_KEYS", raising=False)
    with pytest.raises(ConfigurationError, match="CACHE_KEYS is not set"):
        Keyring.from_env("CACHE_KEYS")
    monkeypatch.setenv("CACHE_KEYS", "nonsense")
    with pytest.raises(ConfigurationError, match="CACHE_KEYS: keys are written as"):
        Keyring.from_env("CACHE_KEYS")


def test_a_keyring_shows_ids_and_goes_nowhere() -> None:
    assert repr(NEWER) == "<Keyring writes with 'new', reads 'old' too>"
    assert not hasattr(NEWER, "__dict__")
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="keyring"):
            take(NEWER)


@pytest.mark.parametrize("keys", ["x" * 32, b"short", bytes(32), 7, {"a": GOOD}])
def test_a_key_for_names_that_cannot_be_is_refused_when_the_cache_is_built(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="hash_keys"):
        Cache(hash_keys=keys)
