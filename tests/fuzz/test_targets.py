"""The targets of the fuzzers, each for a moment; ``make fuzz`` goes on for longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.frame import State, encode
from tests.cli.running import run
from tests.fuzz.targets import DIGEST, TARGETS
from tests.support.examples import examples

HINTS = {
    "frames": [b"fw\1", encode(state=State.VALUE, digest=DIGEST, codec=1, payload=b"[1]")],
    "codecs": [b"", b"\0\0[1]", b"\1\0\x93", b"\3\0\1\1k"],
    "records": [b"", b"\1[1]", b"\0\4\1", b'{"u": "'],
    "urls": [b"h:1/0", b"h:1,i:2/main", b"h?db=1", b"[::1]:7/"],
    "names": [b"a:{a}:{b.c}", b"*[^a-z]?\\*", b"{a}" * 9],
}


@pytest.mark.parametrize("name", TARGETS)
@examples(60, deadline=None)
@given(data=st.data())
def test_a_target_holds_for_any_bytes(name: str, data: st.DataObject) -> None:
    hint = st.sampled_from([b"", *HINTS[name]])
    TARGETS[name](data.draw(hint) + data.draw(st.binary(max_size=120)))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_a_target_is_given_what_it_is_about(target: Callable[[bytes], None]) -> None:
    for hint in (hint for hints in HINTS.values() for hint in hints):
        target(hint)


SWITCHES = ["--json", "--value", "--tag", "--pattern", "*", "--yes", "--", "-h", "\x1b[2J"]
COMMANDS = ["inspect", "invalidate", "journal"]
WORD = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    ["--json", "--value", "--tag", "--pattern", "*", "--yes", "--", "-h", "\x1b[2J"]
)


@examples(25, deadline=None)
@given(command=st.sampled_from(COMMANDS), words=st.lists(WORD, max_size=4))
def test_any_words_end_a_command_with_an_answer(command: str, words: list[str]) -> None:
    ran = run(command, *words, url="redis://user:hush-word@127.0.0.1:1/0")
    assert ran.code in (0, 1, 2)
    assert "hush-word" not in ran.out + ran.err
    assert "Traceback" not in ran.err
