"""What the nodes of a Cluster tell of their slots, and where they send callers."""

from __future__ import annotations

from typing import Any

import pytest

from freshwell._kit.link_errors import ServerReplied
from freshwell._kit.resp import new_reader
from freshwell._kit.slots import key_of, redirect_of, slot_map_of


def test_slots_are_put_in_order_and_joined() -> None:
    a, b, c = [b"a", 1, b"id"], [b"b", 2, b"id"], [b"c", 3, b"id"]
    told = slot_map_of([[100, 16383, b, c], [11, 99, a], [0, 10, a, c]], "asked")
    assert told.owners == ((0, 99, ("a", 1)), (100, 16383, ("b", 2)))
    assert told.primaries == (("a", 1), ("b", 2))
    assert told.replicas == (("c", 3),)
    assert [told.owner(slot) for slot in (0, 99, 100, 16383)] == [("a", 1)] * 2 + [("b", 2)] * 2
    assert slot_map_of([[5, 5, a]], "asked").owner(6) is None


@pytest.mark.parametrize("name", [b"", None, b"?"])
def test_a_node_without_a_name_is_where_the_asked_one_is(name: bytes | None) -> None:
    assert slot_map_of([[0, 1, [name, 7, b"id", []]]], "asked").owner(0) == ("asked", 7)


NONSENSE: list[Any] = [
    *(None, 1, b"x", [], [1], [[]], [[0, 1]], [[0, 1, []]], [[0, 1, [b"a"]]], [[0, 1, 5]]),
    *([[0, 1, [b"a", 0]]], [[0, 1, [b"a", b"1"]]], [[0, 1, [b"\xff", 1]]], [[0, 1, [1, 1]]]),
    *([[-1, 1, [b"a", 1]]], [[0, 16384, [b"a", 1]]], [[2, 1, [b"a", 1]]], [[b"", 1, [b"a", 1]]]),
    [[n, n, [b"a", n + 1]] for n in range(1_025)],
]


@pytest.mark.parametrize("reply", NONSENSE, ids=range(len(NONSENSE)))
def test_an_answer_that_is_no_map_is_an_error_of_ours(reply: Any) -> None:
    with pytest.raises(ServerReplied) as caught:
        slot_map_of(reply, "asked")
    assert caught.value.code == "PROTOCOL"


def told(line: bytes) -> ServerReplied:
    reader = new_reader()
    reader.feed(b"-%b\r\n" % line)
    reply = reader.gets()
    assert isinstance(reply, ServerReplied)
    return reply


REDIRECTS = [
    (b"MOVED 1 a:7001", ("a", 7001)),
    (b"ASK 1 10.0.0.1:7001", ("10.0.0.1", 7001)),
    (b"MOVED 1 ::1:7001", ("::1", 7001)),
    (b"MOVED 1 :7001", ("asked", 7001)),
    (b"MOVED 1 ?:7001", ("asked", 7001)),
    (b"MOVED 1 a:0", None),
    (b"MOVED 1 a:x", None),
    (b"MOVED", None),
    (b"ERR a:1", None),
]


@pytest.mark.parametrize(("line", "place"), REDIRECTS, ids=range(len(REDIRECTS)))
def test_where_an_error_sends_to(line: bytes, place: tuple[str, int] | None) -> None:
    assert redirect_of(told(line), "asked") == place


def test_only_redirects_keep_what_they_say() -> None:
    assert told(b"MOVED 1 a:7001").detail == "1 a:7001"
    assert told(b"ERR of a secret key").detail == ""
    assert "7001" not in str(told(b"MOVED 1 a:7001"))


def test_the_key_of_a_command() -> None:
    assert key_of((b"SET", b"k", b"v")) == b"k"
    assert key_of(("GET", "k")) == b"k"
    assert key_of((b"EVALSHA", b"sha", 1, b"k", b"x")) == b"k"
    assert key_of((b"EVAL", b"text", 1, b"k")) == b"k"
