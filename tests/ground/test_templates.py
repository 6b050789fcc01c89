"""Key templates: checked when they are written, and never one key for two calls."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshwell.errors import ConfigurationError, KeyRejected
from freshwell.ground.templates import compile_template, default_naming
from tests.ground.values import Colour, Size, Tone, same, tiny
from tests.ground.values import texts as hostile
from tests.support.examples import examples


def key(text: str, *values: Any, kinds: tuple[Any, ...] = ()) -> str:
    """Return the key of a call of f(a, b, ...) with these arguments."""
    names = "abcdefgh"[: len(values)]
    annotations = dict(zip(names, kinds, strict=False))
    return compile_template(text, tuple(names), annotations=annotations).render(values)


# -- what is refused at decoration time -------------------------------------------------------

REFUSED: dict[str, tuple[str, str]] = {
    "an unknown name": ("user:{usr_id}:{b}", r"'usr_id'.*did you mean \{user_id\}\?"),
    "an unknown name like no other": ("user:{zzzz}:{b}", r"'zzzz', which is no parameter \(there"),
    "an unknown root": ("user:{usr_id.x}:{b}", r"'usr_id'.*did you mean \{user_id\}\?"),
    "a lone opening brace": ("user:{user_id}:{b}:{", r"a lone '\{': write it twice"),
    "a lone closing brace": ("user:{user_id}}:{b}", r"a lone '\}': write it twice"),
    "an opening brace in a placeholder": ("{user_id:{b}", r"a lone '\{'"),
    "neighbours": ("{user_id}{b}", "side by side"),
    "an unused parameter": ("user:{user_id}", r"leaves out 'b'.*ignore=\('b',\)"),
    "no parameter at all": ("users", "leaves out 'user_id', 'b'"),
    "an empty placeholder among several parameters": ("{}:{b}", "empty placeholder"),
    "a conversion": ("{user_id!r}:{b}", "only names and attributes"),
    "a format": ("{user_id:>5}:{b}", "only names and attributes"),
    "an index": ("{user_id[0]}:{b}", "only names and attributes"),
    "a call": ("{user_id()}:{b}", "only names and attributes"),
    "a blank": ("{ user_id}:{b}", "only names and attributes"),
    "a dot at the end": ("{user_id.}:{b}", "only names and attributes"),
    "a number": ("{0}:{b}", "only names and attributes"),
    "a separator that marks escapes": ("{user_id}%{b}", "another separator"),
    "nothing": ("", "give a template"),
}


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=list(REFUSED))
def test_a_wrong_template_is_refused_when_it_is_written(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        compile_template(text, ("user_id", "b"), name="key")
    assert str(caught.value).startswith("key ")


@pytest.mark.parametrize("text", [None, 5, b"user:{user_id}", ()], ids=repr)
def test_a_template_is_text(text: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^tags is "):
        compile_template(text, ("user_id",), name="tags")


def test_ignored_parameters_may_be_left_out() -> None:
    template = compile_template("user:{user_id}", ("user_id", "session"), ignore=("session",))
    assert template.sources == ("user_id",)
    assert template.render((5,)) == "user:5"


def test_an_unknown_name_in_ignore_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ignore names 'sesion', which is no parameter"):
        compile_template("user:{user_id}", ("user_id", "session"), ignore=("session", "sesion"))
    with pytest.raises(ConfigurationError, match="ignore names 'b'"):
        default_naming("app", "f", ("a",), ignore=("b",))


def test_a_partial_template_may_leave_parameters_out() -> None:
    """A tag names what several entries have in common."""
    template = compile_template("user:{user_id}", ("user_id", "page"), partial=True)
    assert template.render((5,)) == "user:5"


def test_the_object_of_a_method_need_not_be_named() -> None:
    assert compile_template("user:{user_id}", ("self", "user_id")).sources == ("user_id",)


# -- what keys look like ----------------------------------------------------------------------


def test_the_empty_placeholder_stands_for_the_only_parameter() -> None:
    template = compile_template("user:{}", ("user_id",))
    assert template.sources == ("user_id",)
    assert template.render((5,)) == "user:5"


def test_doubled_braces_are_braces() -> None:
    assert key("{{user}}:{a}", 5) == "{user}:5"


def test_attributes_are_sources_of_their_own() -> None:
    template = compile_template("{user.id}:{user.group.name}", ("user",))
    assert template.sources == ("user.id", "user.group.name")
    assert template.render((5, "staff")) == "5:staff"


def test_one_value_may_be_named_twice() -> None:
    assert compile_template("{a}:{a}", ("a",)).render((1, 1)) == "1:1"


def test_a_template_without_parameters_is_its_text() -> None:
    assert compile_template("settings", ()).render(()) == "settings"


SOME_ID = UUID("12345678-1234-5678-1234-567812345678")
WRITTEN: list[tuple[Any, Any, str]] = [
    (None, 42, "42"),
    (None, -42, "-42"),
    (None, "abc", "abc"),
    (None, "a b:c", "a b:c"),
    (None, "42", "~s2:42"),
    (None, "-4.5e3", "~s6:-4.5e3"),
    (None, "None", "~s4:None"),
    (None, "True", "~s4:True"),
    (None, "False", "~s5:False"),
    (None, "nan", "~s3:nan"),
    (None, "-inf", "~s4:-inf"),
    (None, "~n", "~s4:%7En"),
    (None, "", "~s0:"),
    (None, None, "~n"),
    (None, True, "~t"),
    (None, 1.5, "~f1.5"),
    (None, b"ab", "~b6162"),
    (None, SOME_ID, "~g12345678123456781234567812345678"),
    (None, (1, "a"), "~T(i1,s1:a)"),
    (int, 42, "42"),
    (int, "42", "~s2:42"),
    (int, "abc", "abc"),
    (int, True, "~t"),
    (int, 42.0, "~f42.0"),
    ("int", 42, "42"),
    (str, "42", "42"),
    (str, "None", "None"),
    (str, "~n", "~s4:%7En"),
    (str, 42, "~i42"),
    ("str", "42", "42"),
    (UUID, SOME_ID, str(SOME_ID)),
    (UUID, str(SOME_ID), "~s36:" + str(SOME_ID)),
    (UUID, 42, "~i42"),
    ("UUID", SOME_ID, str(SOME_ID)),
    ("uuid.UUID", SOME_ID, str(SOME_ID)),
    (float, 42, "42"),
    (int | None, 42, "42"),
    (Annotated[int, []], 42, "42"),
]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    WRITTEN,
    ids=[f"{value!r} under {kind}" for kind, value, _ in WRITTEN],
)
def test_a_value_is_written_as_plainly_as_it_can_be(kind: Any, value: Any, text: str) -> None:
    assert key("user:{a}", value, kinds=(kind,)) == f"user:{text}"


def test_a_separator_is_escaped_in_values() -> None:
    assert key("{a}:{b}", "x:y", "z") == "x%3Ay:z"
    assert key("{a}:{b}", "x", "y:z") == "x:y%3Az"
    assert key("{a},{b}", (1, 2), 3) == "~T(i1%2Ci2),3"
    assert key("{a}/{b}:{c}", "a/b:c%", 1, 2) == "a%2Fb%3Ac%25/1:2"


def test_text_around_the_placeholders_is_not_escaped_in_values() -> None:
    assert key("user:{a}", "x:y") == "user:x:y"


def test_a_very_long_number_is_named_by_its_digest() -> None:
    """Python refuses to write it in decimals."""
    assert key("n:{a}", 10**5_000).startswith("n:~#")
    assert key("n:{a}", 10**5_000) != key("n:{a}", 10**5_000 + 1)


def test_a_value_without_a_canonical_form_is_refused() -> None:
    with pytest.raises(KeyRejected, match="object"):
        key("n:{a}", object())


# -- different calls, different keys ----------------------------------------------------------

TEMPLATES = [
    *("{a}:{b}", "{a}::{b}", "{a}-{b}", "{a}~{b}", "{a} {b}", "{a}x:{b}", "{a}:x{b}", "{a}s{b}"),
    *("{a}0{b}", "{a}2{b}", "{a}C{b}", "{a}.{b}", "{a},{b}", "({a}){b}", "{a}\u00e9{b}", "{a}#{b}"),
    *("p:{a}/{b}:q", "{b}:{a}", "{a}={b}=", "{a}i{b}", "{a}10{b}", "{a}\n{b}", "{a}}}{{{b}"),
]
KINDS = [None, int, str, UUID, float, "str"]
near = st.sampled_from(
    [
        *(
            "",
            ":",
            "::",
            "a",
            "a:",
            ":a",
            "x",
            "x:",
            "%",
            "%3A",
            "%25",
            "~",
            "~n",
            "~s1:a",
            "s0:",
            "-",
        ),
        *("0", "1", "10", "-1", "None", "True", "nan", "1e5", "C", "2", "2C", "i", ".", "s"),
        *(0, 1, -1, 10, 2, None, True, False, 1.0, b"", b"a", Size.ONE, Tone.ONE, Colour.RED),
        *(UUID(int=0), str(UUID(int=0)), UUID(int=0).hex, dt.date(2024, 1, 1)),
    ]
)
any_value = near | hostile | tiny | st.text("a:x%~0-", max_size=5)


@examples(600)
@given(
    st.sampled_from(TEMPLATES),
    st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    st.tuples(any_value, any_value),
    st.tuples(any_value, any_value),
)
@example("{a}:{b}", (None, None), ("x:b", "z"), ("x", "b:z"))
@example("{a}:{b}", (str, str), ("x%3A", "z"), ("x:", "z"))
@example("{a}~{b}", (str, str), ("", "a"), ("~", "a"))
def test_two_calls_have_one_key_exactly_if_their_arguments_are_the_same(
    text: str, kinds: Any, one: tuple[Any, Any], other: tuple[Any, Any]
) -> None:
    assert (key(text, *one, kinds=kinds) == key(text, *other, kinds=kinds)) == same(one, other)


@pytest.mark.parametrize("text", TEMPLATES, ids=ascii)
@pytest.mark.parametrize("kind", [None, int, str], ids=str)
def test_no_two_pairs_of_short_hostile_texts_have_one_key(text: str, kind: Any) -> None:
    marks = sorted({*text.replace("{a}", "").replace("{b}", ""), *"%~2"})
    shorts = ["", *marks, *(x + y for x in marks for y in marks), 1, 0, None, True]
    seen: dict[str, tuple[Any, Any]] = {}
    template = compile_template(text, ("a", "b"), annotations={"a": kind, "b": kind})
    for one in shorts:
        for other in shorts:
            order = {"a": one, "b": other}
            name = template.render([order[source] for source in template.sources])
            assert seen.setdefault(name, (one, other)) == (one, other)


@examples(300)
@given(
    st.lists(hostile | near, min_size=4, max_size=4),
    st.lists(hostile | near, min_size=4, max_size=4),
    st.lists(st.text(st.sampled_from(":-~x0 ./"), min_size=1, max_size=3), min_size=3, max_size=3),
)
def test_with_four_placeholders_and_any_separators_keys_stay_apart(
    one: list[Any], other: list[Any], separators: list[str]
) -> None:
    first, second, third = separators
    text = f"{{a}}{first}{{b}}{second}{{c}}{third}{{d}}"
    assert (key(text, *one) == key(text, *other)) == same(one, other)


# -- functions without a template -------------------------------------------------------------


def test_without_a_template_the_function_and_all_arguments_are_named() -> None:
    naming = default_naming("app.users", "get_user", ("user_id", "lang"))
    assert naming.sources == ("user_id", "lang")
    assert naming.render((5, "en")) == "app.users.get_user:i5,s2:en"


def test_without_a_template_ignored_parameters_are_left_out() -> None:
    naming = default_naming("app", "f", ("session", "a"), ignore=("session",))
    assert naming.sources == ("a",)
    assert naming.render((1,)) == "app.f:i1"


def test_without_a_template_a_method_is_refused_unless_its_object_is_ignored() -> None:
    with pytest.raises(ConfigurationError, match=r"Repo\.get is a method"):
        default_naming("app", "Repo.get", ("self", "a"))
    assert default_naming("app", "Repo.get", ("self", "a"), ignore=("self",)).sources == ("a",)


@given(st.tuples(any_value, any_value), st.tuples(any_value, any_value))
def test_without_a_template_calls_have_one_key_exactly_if_their_arguments_are_the_same(
    one: Any, other: Any
) -> None:
    naming = default_naming("app", "f.<locals>.g", ("a", "b"))
    assert (naming.render(one) == naming.render(other)) == same(one, other)
