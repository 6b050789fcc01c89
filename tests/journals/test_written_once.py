"""What is put into a journal beside the entries is written by the codec once."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell import AsyncCache
from freshwell.codecs.checked import Checked
from tests.behaviour._async.ledger import Ledger


async def test_a_value_is_encoded_once_for_the_record_and_its_entry(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[Any] = []
    encode = Checked.encode

    def counted(self: Checked, value: Any, associated: bytes) -> bytes:
        encoded.append(value)
        return encode(self, value, associated)

    monkeypatch.setattr(Checked, "encode", counted)
    async with AsyncCache(redis_url, namespace="once") as cache:
        rows = cache.write_behind(
            Ledger(), key="row:{}", journal="redis", flusher=False, assume_durable=True, drain=0
        )
        await rows.put("a", {"n": 1})
        await rows.put_many({"b": {"n": 2}, "c": {"n": 3}})
        assert encoded == [{"n": 1}, {"n": 2}, {"n": 3}]
        async with AsyncCache(redis_url, namespace="once") as other:
            assert await other.get("row:a") == {"n": 1}
            assert await other.get_many(["row:b", "row:c"]) == {
                "row:b": {"n": 2},
                "row:c": {"n": 3},
            }
