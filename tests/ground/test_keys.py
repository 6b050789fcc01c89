"""Names of arguments never collide; keys that cannot name an entry are refused."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freshwell.errors import ConfigurationError, KeyRejected
from freshwell.ground.keys import (
    check_key,
    check_keys,
    check_namespace,
    digest8,
    encode_arguments,
    encode_value,
    escaped,
    short_digest,
)
from tests.ground import values as given_values
from tests.ground.values import Colour, Odd, Place, Point, Right, Size, Tone, rewritten, same
from tests.support.examples import examples

PRINTABLE = re.compile(r"[\x21-\x7e]*")
GLOB = set("*?[]\\^")
HOUR = dt.timedelta(hours=1)
BERLIN, PARIS = ZoneInfo("Europe/Berlin"), ZoneInfo("Europe/Paris")


@examples(200)
@given(given_values.arguments, given_values.arguments)
def test_two_calls_have_one_name_exactly_if_their_arguments_are_the_same(a: Any, b: Any) -> None:
    assert (encode_arguments(a) == encode_arguments(b)) == same(a, b)


@examples(800)
@given(st.lists(given_values.tiny, max_size=3), st.lists(given_values.tiny, max_size=3))
def test_short_calls_that_are_nearly_alike_have_one_name_exactly_if_they_are_the_same(
    a: list[Any], b: list[Any]
) -> None:
    assert (encode_arguments(a) == encode_arguments(b)) == same(a, b)


@given(given_values.arguments)
def test_the_same_arguments_built_in_another_order_have_the_same_name(values: Any) -> None:
    again = rewritten(values)
    assert same(values, again)
    assert encode_arguments(values) == encode_arguments(again)


@given(given_values.arguments)
def test_a_name_is_short_printable_ascii_without_glob_characters_or_blanks(values: Any) -> None:
    name = encode_arguments(values)
    assert PRINTABLE.fullmatch(name)
    assert not GLOB & set(name)
    assert len(name) <= 200
    if name:
        assert check_key(name, 200) == name


EIGHT_AM = dt.datetime(2024, 7, 1, 8)  # noqa: DTZ001 - a naive moment on purpose
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "no argument and None": ((), (None,)),
    "no argument and no text": ((), ("",)),
    "one text with a blank and two texts": (("a b",), ("a", "b")),
    "one text with a comma and two texts": (("a,b",), ("a", "b")),
    "where one text ends and the next begins": (("ab", "c"), ("a", "bc")),
    "text that spells an encoding": (("s1:a",), ("a",)),
    "text that spells its own escape": (("%2C",), (",",)),
    "int and text": ((1,), ("1",)),
    "int and bool": ((1,), (True,)),
    "int and float": ((1,), (1.0,)),
    "zero and False": ((0,), (False,)),
    "bool and text": ((True,), ("True",)),
    "None and text": ((None,), ("None",)),
    "bytes and text": ((b"a",), ("a",)),
    "int and Decimal": ((1,), (Decimal(1),)),
    "Decimals of other precision": ((Decimal("1.0"),), (Decimal("1.00"),)),
    "UUID and its text": ((UUID(int=1),), (str(UUID(int=1)),)),
    "date and midnight": ((dt.date(2024, 7, 1),), (dt.datetime(2024, 7, 1),)),  # noqa: DTZ001
    "naive and aware moment": ((EIGHT_AM,), (EIGHT_AM.replace(tzinfo=dt.UTC),)),
    "moments at one offset in other zones": (
        (EIGHT_AM.replace(tzinfo=BERLIN),),
        (EIGHT_AM.replace(tzinfo=PARIS),),
    ),
    "the hour that comes twice": ((EIGHT_AM,), (EIGHT_AM.replace(fold=1),)),
    "naive time and time in a zone": ((dt.time(8),), (dt.time(8, tzinfo=BERLIN),)),
    "times in other zones": ((dt.time(8, tzinfo=PARIS),), (dt.time(8, tzinfo=BERLIN),)),
    "a span and its seconds": ((HOUR,), (3_600,)),
    "tuple and list": (((1, 2),), ([1, 2],)),
    "set and frozenset": (({1},), (frozenset({1}),)),
    "a tuple and its items": (((1, 2),), (1, 2)),
    "nesting": ((((1,), 2),), ((1, (2,)),)),
    "empty list and empty tuple": (([],), ((),)),
    "dict and its pairs": (({"a": 1},), ((("a", 1),),)),
    "order of a list": (([1, 2],), ([2, 1],)),
    "member and its value": ((Colour.RED,), (1,)),
    "int member and its value": ((Size.ONE,), (1,)),
    "text member and its value": ((Tone.ONE,), ("1",)),
    "members of one name": ((Colour.RED,), (Tone.RED,)),
    "member whose name spells two arguments": ((Odd["a,n"],), (Odd["a"], None)),
    "no flag and one": ((Right(0),), (Right.READ,)),
    "one flag and two": ((Right.READ | Right.WRITE,), (Right.READ,)),
    "dataclasses with one shape": ((Point(1, 2),), (Place(1, 2),)),
    "dataclass and tuple": ((Point(1, 2),), ((1, 2),)),
    "fields of a dataclass": ((Point(1, "2"),), (Point(1, 2),)),
    "very long numbers": ((10**5_000,), (10**5_000 + 1,)),
    "very long numbers of other sign": ((10**5_000,), (-(10**5_000),)),
    "long texts": (("x" * 500,), ("x" * 499 + "y",)),
    "long text and its own digest": (("x" * 500,), (encode_arguments(("x" * 500,)),)),
    "lone surrogate and its replacement": (("\ud800",), ("?",)),
}


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=list(DIFFERENT))
def test_different_calls_have_different_names(one: Any, other: Any) -> None:
    assert encode_arguments(one) != encode_arguments(other)


def test_names_do_not_depend_on_the_run() -> None:
    """Processes share entries by these names: they may not change between releases."""
    assert encode_arguments((1, "a b", None, True, 1.5)) == "i1,s5:a%20b,n,t,f1.5"
    assert encode_arguments(((1, [2]), {"k": b"\x01"}, {3})) == "T(i1,L(i2)),M(s1:k=b01),S(i3)"
    assert encode_arguments((Colour.RED, Decimal("1.50"))) == (
        "E26:tests.ground.values.Colour.s3:RED,c1.50"
    )
    assert encode_arguments((EIGHT_AM, HOUR)) == "d2024-07-01T08.00.00~0,p3600000000"
    assert encode_arguments(("x" * 500,)) == "#6f55ed5f139a336de108465260861897"


def test_long_names_are_replaced_by_a_digest_and_short_ones_never_look_like_one() -> None:
    assert re.fullmatch(r"#[0-9a-f]{32}", encode_arguments(("x" * 300,)))
    assert re.fullmatch(r"#[0-9a-f]{32}", encode_arguments(tuple(range(500))))
    assert encode_arguments(("#" + "0" * 32,)).startswith("s")


def test_the_digest_is_taken_of_more_than_200_characters_and_of_no_fewer() -> None:
    assert encode_value("x" * 195) == "s195:" + "x" * 195
    assert encode_value("x" * 196).startswith("#")


class Plain:
    pass


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [Plain(), Plain, Text("a"), 1j, bytearray(b"a"), len, iter(())],
    ids=lambda v: str(type(v)),
)
def test_a_value_without_a_canonical_form_is_refused_by_its_type(value: Any) -> None:
    for nested in (value, [value], {"k": (value,)}):
        with pytest.raises(KeyRejected, match=re.escape(type(value).__qualname__)):
            encode_arguments((nested,))


def test_arguments_nested_too_deep_are_refused() -> None:
    deep: Any = 1
    for _ in range(16):
        deep = [deep]
    assert encode_value(deep).startswith("L(L(")
    with pytest.raises(KeyRejected, match="16 deep"):
        encode_value([deep])


def test_an_argument_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(KeyRejected):
        encode_value(loop)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, dict.fromkeys])
def test_huge_arguments_are_refused(kind: Any) -> None:
    assert encode_value(kind(range(10_000))).startswith("#")
    with pytest.raises(KeyRejected, match="10000 items"):
        encode_value(kind(range(10_001)))


# -- escaping ---------------------------------------------------------------------------------


@examples(300)
@given(given_values.texts, given_values.texts, st.sampled_from(["", ",()", ":"]))
@example("%2C", ",", ",()")
def test_escaping_keeps_texts_apart(one: str, other: str, also: str) -> None:
    assert (escaped(one, also=also) == escaped(other, also=also)) == (one == other)


@given(st.text(), st.sampled_from(["", ",()", ":"]))
def test_escaped_text_has_only_plain_characters(text: str, also: str) -> None:
    found = escaped(text, also=also)
    assert re.fullmatch(r"[A-Za-z0-9_.@:/+=,%-]*", found)
    assert not set(also) & set(found)


def test_common_names_stay_readable() -> None:
    assert escaped("user_1.a@b:/+=,-") == "user_1.a@b:/+=,-"


# -- keys that callers give -------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50))
def test_any_text_without_control_characters_and_surrogates_is_a_key(key: str) -> None:
    assert check_key(key, 1_000) == key


UNFIT: dict[str, Any] = {
    "empty": "",
    "newline": "secret-key\n",
    "zero byte": "secret-key\0",
    "escape": "secret-key\x1b[0m",
    "delete": "secret-key\x7f",
    "lone surrogate": "secret-key\ud800",
    "half of a pair": "secret-key\udfff",
    "too long": "secret-key" * 10,
    "too long in UTF-8": "\u00e9" * 40 + "secret-key",
    "bytes": b"secret-key",
    "int": 5,
    "None": None,
}


@pytest.mark.parametrize("key", UNFIT.values(), ids=list(UNFIT))
def test_a_key_that_cannot_name_an_entry_is_refused_without_being_told(key: Any) -> None:
    with pytest.raises(KeyRejected) as caught:
        check_key(key, 64)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_an_unfit_key_is_named_by_its_digest() -> None:
    with pytest.raises(KeyRejected, match=short_digest("secret\n")):
        check_key("secret\n", 64)
    with pytest.raises(KeyRejected, match=short_digest("x" * 65)):
        check_key("x" * 65, 64)


@pytest.mark.parametrize("char", ["a", "\u00e9", "\u20ac", "\U0001f600"])
def test_the_length_of_a_key_is_counted_in_utf_8(char: str) -> None:
    width = len(char.encode())
    assert check_key(char * 12, 12 * width) == char * 12
    with pytest.raises(KeyRejected, match="max_key_bytes"):
        check_key(char * 12, 12 * width - 1)


@given(st.text(max_size=80), st.integers(1, 64))
def test_check_key_passes_or_refuses_and_a_passed_key_can_be_sent(key: str, limit: int) -> None:
    try:
        passed = check_key(key, limit)
    except KeyRejected:
        return
    assert passed == key
    assert 1 <= len(key.encode()) <= limit


@pytest.mark.parametrize("name", ["a", "app", "App-1.test_2", "x" * 64])
def test_a_namespace_is_a_short_plain_name(name: str) -> None:
    assert check_namespace(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "a:b", "a b", "a*", "{a}", "\u00e9", "a\n", None, 5, b"a"], ids=ascii
)
def test_another_namespace_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^namespace is "):
        check_namespace(name)


def test_digests_are_fixed_for_ever() -> None:
    assert digest8(b"fw:e:app:user:1").hex() == "e5b536e1cdb234b0"
    assert short_digest("user:1") == "96df4228de1f"


def test_an_enum_of_the_same_names_elsewhere_is_another_argument() -> None:
    Colour = Enum("Colour", {"RED": 1}, module="elsewhere")  # noqa: N806 - as its class is named
    assert encode_value(Colour.RED) != encode_value(given_values.Colour.RED)


class _Text(str):
    """Text of a class of its own."""

    __slots__ = ()


@pytest.mark.parametrize("odd", ["", "x" * 17, "é" * 9, "é" * 8, "a\n", "\x7f", "\ud800", "\u2028"])
@pytest.mark.parametrize("among", [[], ["a"], ["a", "é", "b c"]])
def test_many_keys_are_refused_as_one_of_them_is(odd: str, among: list[str]) -> None:
    def refusal(keys: list[str], together: bool) -> str | None:
        try:
            if together:
                check_keys(keys, 16)
            for key in () if together else keys:
                check_key(key, 16)
        except KeyRejected as error:
            return str(error)
        return None

    for odd_one in (odd, _Text(odd), 7, None, [odd]):
        keys: list[Any] = [*among, odd_one, *among]
        assert refusal(keys, True) == refusal(keys, False)
    check_keys([], 16)
    check_keys(among, 16)
