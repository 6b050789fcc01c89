"""A value that goes into a journal and into L2 is written once, where its bytes are the same."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell.codecs.base import Codec
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.keyring import Keyring
from freshwell.codecs.paper import Paper
from freshwell.codecs.signed import Signed


class Marking:
    """A codec of a user's, whose bytes say where they belong."""

    name = "marking"
    id = 70

    def bind(self, type_: Any) -> Marking:
        return self

    def encode(self, value: Any, associated: bytes) -> bytes:
        return associated + str(value).encode()

    def decode(self, data: bytes | memoryview, associated: bytes) -> Any:
        return bytes(data).removeprefix(associated).decode()


def test_what_stands_behind_the_mark_is_what_an_entry_has() -> None:
    codec = JsonCodec().bind(Any)
    paper = Paper(codec, "shop", hides_ids=False)
    _, _, payload = paper.written("user:1", 1, {"a": 1})
    at = paper.payload_at(codec)
    assert payload[at:] == codec.encode({"a": 1}, b"an entry's key")


@pytest.mark.parametrize("kind", [Marking(), Signed("json", Keyring({"k": bytes(range(32))}))])
def test_bytes_that_may_belong_to_a_place_are_written_for_each(kind: Codec) -> None:
    codec = kind.bind(Any)
    assert Paper(codec, "shop", hides_ids=False).payload_at(codec) is None


def test_another_codec_than_that_of_the_entries_is_another() -> None:
    paper = Paper(JsonCodec().bind(Any), "shop", hides_ids=False)
    assert paper.payload_at(JsonCodec().bind(Any)) is None
