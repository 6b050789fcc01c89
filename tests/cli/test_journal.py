"""``freshwell journal``: what it shows, what it changes, and what it says when it cannot."""

from __future__ import annotations

import base64
import json
import pickle

import pytest

from freshwell.codecs.pickle import PickleCodec
from tests.cli.journaling import Keep, Kept
from tests.support.threads import until

_SECRET = "a secret of thirty-two characters!"


# -- looking ---------------------------------------------------------------------------------


def test_a_journal_without_troubles_is_in_order(kept: Kept) -> None:
    kept.rows.put("a", 1)
    kept.rows.flush(timeout=20)
    until(lambda: all(kept.json("status", "--json")[0]["flushers"]), "every shard is flushed")
    (found,) = kept.json("status", "--json")
    assert (found["records"], found["dead"], found["looks"]) == (0, 0, [])
    ran = kept.run("status")
    assert (ran.code, ran.err) == (0, "")
    assert "durability  " in ran.out
    assert kept.run("list").out == ""


def test_dead_letters_want_a_look_and_are_listed_with_why(kept: Kept) -> None:
    kept.bury("bad", 7)
    ran = kept.run("status")
    assert ran.code == 1
    assert "look at     2 dead letters: see freshwell journal list" in ran.out
    ran = kept.run("list")
    assert (ran.code, ran.err) == (0, "")
    head, *lines = ran.out.splitlines()
    assert head.split() == ["sequence", "key", "id", "kind", "attempts", "age", "reason"]
    assert sorted(line.split()[1] for line in lines) == ["row:7", "row:bad"]
    assert all(line.endswith("too long") for line in lines)


def test_writes_that_nobody_flushes_want_a_look(keep: Keep) -> None:
    kept = keep(flusher=False)
    kept.rows.put_many({"a": 1, "b": 2})
    ran = kept.run("status")
    assert ran.code == 1
    assert "2 records" in ran.out
    assert "writes wait, and nobody flushes" in ran.out
    waiting = kept.json("list", "--pending", "--json")
    assert sorted(record["id"] for record in waiting) == ["a", "b"]
    assert {record["state"] for record in waiting} == {"pending"}
    assert kept.run("show", str(waiting[0]["sequence"])).out.count("waits to be flushed") == 1


def test_a_list_goes_on_where_it_ended(kept: Kept) -> None:
    kept.bury(*range(5))
    first = kept.run("list", "--json", "--limit", "3")
    assert len(first.out.splitlines()) == 3
    last = json.loads(first.out.splitlines()[-1])["sequence"]
    assert first.err == f"there may be more: --after {last}\n"
    rest = kept.json("list", "--json", "--after", str(last))
    assert len(rest) == 2
    assert all(letter["sequence"] > last for letter in rest)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
def test_a_letter_is_shown_with_its_value_where_that_says_what_it_is(
    keep: Keep, codec: str
) -> None:
    kept = keep(codec=codec)
    kept.bury("bad")
    sequence = kept.sequence("bad")
    ran = kept.run("show", sequence)
    assert (ran.code, ran.err) == (0, "")
    assert "reason          too long" in ran.out
    assert "value           {'id': 'bad'}" in ran.out
    assert "value" not in kept.run("show", sequence, "--no-value").out
    (shown,) = kept.json("show", sequence, "--json")
    assert (shown["value"], shown["key"], shown["attempts"]) == ({"id": "bad"}, "row:bad", 1)


def test_a_value_that_takes_code_to_read_is_never_shown(keep: Keep) -> None:
    kept = keep(codec=PickleCodec(secret=_SECRET))
    kept.bury("bad")
    ran = kept.run("show", kept.sequence("bad"))
    assert "not shown: it is in neither JSON nor MessagePack" in ran.out
    (shown,) = kept.json("export")
    assert "value" not in shown
    assert shown["codec"] == 3
    assert pickle.dumps({"id": "bad"}, 5) in base64.b64decode(shown["payload"])


def test_a_value_that_json_does_not_have_is_exported_as_it_is(keep: Keep) -> None:
    kept = keep(codec="msgpack")
    kept.source.refused = {"bytes", "keys"}
    kept.rows.put_many({"bytes": {"b": b"\0"}, "keys": {1: "a"}})
    kept.rows.flush(timeout=20)
    for shown in kept.json("export"):
        assert "value" not in shown
        assert (shown["codec"], bool(shown["payload"])) == (2, True)


def test_a_long_value_is_cut(kept: Kept) -> None:
    kept.source.refused = {"bad"}
    kept.rows.put("bad", "x" * 5_000)
    kept.rows.flush(timeout=20)
    ran = kept.run("show", kept.sequence("bad"))
    assert "cut: 3,002 more characters" in ran.out
    assert "x" * 2_000 not in ran.out


def test_an_export_has_all_of_them_in_order(kept: Kept) -> None:
    ids = [f"bad{i}" for i in range(230)]
    kept.bury(*ids)
    found = kept.json("export")
    assert sorted(letter["id"] for letter in found) == sorted(ids)
    sequences = [letter["sequence"] for letter in found]
    assert sequences == sorted(sequences)
    assert {letter["value"]["id"] for letter in found} == set(ids)
    assert all(len(letter["idempotency_id"]) == 32 for letter in found)


def test_what_moves_a_terminal_is_escaped(kept: Kept) -> None:
    kept.source.refused = {"bad"}
    kept.rows.put("bad", "\x1b[31m")
    kept.rows.flush(timeout=20)
    for ran in (kept.run("show", kept.sequence("bad")), kept.run("export"), kept.run("list")):
        assert "\x1b" not in ran.out


# -- changing --------------------------------------------------------------------------------


def test_what_is_tried_again_is_stored_when_the_source_will_have_it(kept: Kept) -> None:
    kept.bury("a", "b")
    kept.source.refused = set()
    ran = kept.run("retry", kept.sequence("a"))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("retried 1 dead letter, journal '")
    kept.rows.flush(timeout=20)
    assert kept.source.rows == {"a": {"id": "a"}}
    assert kept.dead() == ["b"]


def test_a_letter_whose_key_has_been_written_since_takes_force(kept: Kept) -> None:
    kept.bury("a")
    kept.source.refused = set()
    kept.rows.put("a", "newer")
    kept.rows.flush(timeout=20)
    ran = kept.run("retry", kept.sequence("a"))
    assert ran.code == 1
    assert "its key has been written since" in ran.err
    assert ran.out.startswith("retried 0 dead letters")
    assert kept.source.rows == {"a": "newer"}
    assert "(superseded)" in kept.run("list").out
    assert kept.run("retry", kept.sequence("a"), "--force").code == 0
    kept.rows.flush(timeout=20)
    assert kept.source.rows == {"a": {"id": "a"}}


def test_all_are_tried_again_once_even_where_they_die_again(kept: Kept) -> None:
    kept.bury(*range(120))
    assert kept.run("retry", "--all").code == 2, "it asks"
    ran = kept.run("retry", "--all", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("retried 120 dead letters")
    kept.rows.flush(timeout=20)
    assert sorted(kept.dead()) == list(range(120))


def test_what_is_dropped_is_gone_and_nothing_is_without_being_meant(kept: Kept) -> None:
    kept.bury("a", "b", "c")
    sequence = kept.sequence("a")
    for words in ((sequence,), ("--all",)):
        ran = kept.run("drop", *words)
        assert (ran.code, ran.out) == (2, "")
        assert "add --yes if that is meant" in ran.err
    assert sorted(kept.dead()) == ["a", "b", "c"]
    ran = kept.run("drop", sequence, "--yes")
    assert (ran.code, ran.out[:22]) == (0, "dropped 1 dead letter,")
    assert sorted(kept.dead()) == ["b", "c"]
    assert kept.run("drop", "--all", "-y").out.startswith("dropped 2 dead letters,")
    assert kept.dead() == []


def test_a_sequence_that_no_letter_has_is_said(kept: Kept) -> None:
    kept.bury("a")
    sequence = kept.sequence("a")
    for command in ("retry", "drop"):
        ran = kept.run(command, "5", *(["--yes"] if command == "drop" else []))
        assert ran.code == 1
        assert "5: there is no such dead letter" in ran.err
    ran = kept.run("show", "5")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no letter 5" in ran.err
    assert kept.dead() == ["a"]
    assert kept.run("drop", "5", sequence, "--yes").code == 1
    assert kept.dead() == [], "the others are done"


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_which_letters_has_to_be_said(kept: Kept, command: str) -> None:
    assert "which dead letters?" in kept.run(command).err
    assert "give one of them" in kept.run(command, "5", "--all").err
