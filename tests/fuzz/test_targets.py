"""The targets of the fuzzers, each for a moment; ``make fuzz`` goes on for longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freshwell.codecs import guards
from tests.cli.running import run
from tests.fuzz.targets import HINTS, TARGETS
from tests.support.examples import examples


@pytest.mark.parametrize("name", TARGETS)
@examples(60, deadline=None)
@given(data=st.data())
def test_a_target_holds_for_any_bytes(name: str, data: st.DataObject) -> None:
    hint = st.sampled_from([b"", *HINTS[name]])
    TARGETS[name](data.draw(hint) + data.draw(st.binary(max_size=120)))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_what_it_is_about(name: str) -> None:
    for hint in HINTS[name]:
        for cut in range(len(hint) + 1):
            TARGETS[name](hint[:cut])


def test_a_target_fails_where_a_promise_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.Guarded, "decode", lambda self, data, associated: None)
    sealed = next(hint for hint in HINTS["codecs"] if hint[:2] == b"\2\0")
    with pytest.raises(AssertionError):
        TARGETS["codecs"](sealed)


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
