"""What looks like a credential is told by its kind, and never by its text."""

from __future__ import annotations

import base64
import hashlib
import random
import uuid

import pytest

from freshwell.cli.doctor.prefixes import NO_PREFIX, prefix_of, shown_key
from freshwell.cli.doctor.sampling import readable
from freshwell.cli.doctor.secrets import RANDOM, has_secret_field, masked, secrets_in
from freshwell.codecs.base import resolve_codec
from freshwell.ground.frame import Flag, State, encode
from tests.cli.doctor.examining import AWS_KEY, GITHUB_TOKEN, JWT, STRIPE_KEY

RANDOM_TEXT = base64.b64encode(random.Random(7).randbytes(33)).decode()
FOUND = {
    "AWS access key": f"key={AWS_KEY}",
    "GitHub token": GITHUB_TOKEN,
    "Slack token": "xox" + "b-123456789012-abcdefghij",
    "Stripe key": STRIPE_KEY,
    "Google API key": "AI" + "za" + "SyA1234567890abcdefghijklmnopqrstuv",
    "JWT": f"Bearer {JWT}",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMII",
    "URL with a password": "postgresql://app:hunter22@db/shop",
    "password field": '{"user": "ann", "db_password": "hunter22"}',
    RANDOM: RANDOM_TEXT,
}
HARMLESS = (
    "",
    "hello, this is a plain text of some length without any credential in it at all",
    str(uuid.UUID(int=2**100)),
    hashlib.sha256(b"x").hexdigest(),
    '{"password_reset_at": "2026-01-01", "has_password": true, "password": null}',
    '{"password": "****"}',
    '{"password": "$2b$12$abcdefghijklmnopqrstuv"}',
    '{"password": "pbkdf2_sha256$600000$salt$digest"}',
    '{"token_count": 17, "secretary": "ann"}',
    "https://example.com/user:1/path?x=a@b",
    "lowercase-words-that-are-joined-into-a-very-long-slug-of-an-article",
    base64.b64encode(bytes(range(200))).decode() * 3,
    "x" * 100,
)


@pytest.mark.parametrize("kind", FOUND)
def test_each_kind_is_found(kind: str) -> None:
    assert kind in secrets_in(FOUND[kind].encode())


@pytest.mark.parametrize("text", HARMLESS, ids=range(len(HARMLESS)))
def test_what_is_none_is_not(text: str) -> None:
    assert secrets_in(text.encode()) == ()


def test_random_text_in_json_is_found_and_among_other_text_not() -> None:
    assert secrets_in(f'{{"t": "{RANDOM_TEXT}"}}'.encode()) == (RANDOM,)
    assert secrets_in(f"see {RANDOM_TEXT} there".encode()) == ()


def test_fields_of_hashes_are_judged_by_their_names_and_what_they_hold() -> None:
    names = [b"name", b"db_password"]
    assert has_secret_field(names, None)
    assert has_secret_field(names, [b"ann", b"hunter22"])
    for harmless in (b"", b"***", b"$argon2id$v=19$m=1$x$y", b"no"):
        assert not has_secret_field(names, [b"password", harmless])
    assert not has_secret_field([b"name", b"passwords_changed"], None)


def test_bytes_of_any_kind_are_looked_at() -> None:
    chance = random.Random(11)
    for size in (1, 31, 200, 2_048):
        assert isinstance(secrets_in(chance.randbytes(size)), tuple)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_an_entry_of_freshwells_is_looked_at_behind_its_head(codec: str) -> None:
    payload = resolve_codec(codec).bind(dict).encode({"password": "hunter22"}, b"")
    stamps = ((bytes(8), bytes(8)),)
    data = encode(state=State.VALUE, digest=bytes(8), payload=payload, stamps=stamps)
    assert readable(data) == payload
    assert secrets_in(readable(data)) == ("password field",)
    sealed = encode(state=State.VALUE, digest=bytes(8), payload=payload, flags=Flag.SEALED)
    assert readable(sealed) == b""
    assert readable(b"fw") == b"fw"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("user:1", "user:"),
        ("plain", NO_PREFIX),
        (":x", NO_PREFIX),
        ("12345:profile", "*:"),
        ("7f3a99bc12:x", "*:"),
        ("ann@example.com:x", "*:"),
        ("user2:x", "user2:"),
        ("fw:e:shop:user:1", "fw:e:shop:"),
        ("fw:e:shop/reports:1", "fw:e:shop/reports:"),
        ("{fw:j:shop:orders:3}:latest", "{fw:j:shop:"),
        (f"{JWT}:x", "*:"),
        ("xoxb-abcdefghijklmno:x", "***:"),
        ("x" * 100 + ":1", "x" * 60 + "...:"),
    ],
)
def test_keys_are_called_by_what_they_begin_with(name: str, prefix: str) -> None:
    assert prefix_of(name.encode(), ":") == prefix


def test_another_separator_may_be_named() -> None:
    assert prefix_of(b"user/1:2", "/") == "user/"


def test_a_key_that_is_a_credential_is_shown_as_stars() -> None:
    for secret in (AWS_KEY, GITHUB_TOKEN, JWT, RANDOM_TEXT):
        shown = shown_key(f"session:{secret}".encode())
        assert "***" in shown
        assert secret[:12] not in shown
    assert shown_key(b"report:2026") == masked("report:2026") == "report:2026"
    assert shown_key(b"\xff\x00") == "\\xff\x00"
