"""Sensitive types are stored sealed, or not at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from freshwell import Cache, CodecError, Compressed, ConfigurationError, Sealed, Sensitive, Signed
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.late import LateCodec
from freshwell.codecs.pickle import PickleCodec
from freshwell.codecs.sensitive import bind_checked, sensitive_path
from freshwell.codecs.types import Unresolved, return_type
from tests.codecs import shapes as codec_shapes
from tests.security import shapes
from tests.security.parts import KEYS

PICKLE = PickleCodec("0123456789abcdef")
NOWHERE = "redis://127.0.0.1:1"
each_case = pytest.mark.parametrize("case", shapes.CASES.values(), ids=shapes.CASES.keys())


@each_case
@pytest.mark.parametrize("codec", [JsonCodec(), Signed("json", KEYS), PICKLE], ids=lambda c: c.name)
def test_a_sensitive_type_is_refused_by_its_path_where_nothing_seals_it(
    case: tuple[Any, str, Any], codec: Any
) -> None:
    type_, path, _ = case
    with pytest.raises(ConfigurationError, match=r"is sensitive, .*Sealed") as refused:
        bind_checked(codec, type_)
    assert str(refused.value).startswith(path)


@each_case
@pytest.mark.parametrize("inner", ["json", "msgpack", PICKLE], ids=str)
def test_a_sealed_codec_brings_it_back_as_it_was(case: tuple[Any, str, Any], inner: Any) -> None:
    type_, _, value = case
    bound = bind_checked(Sealed(inner, KEYS), type_)
    data = bound.encode(value, b"k")
    assert b"hush" not in data
    back = bound.decode(data, b"k")
    assert back == value
    assert type(back) is type(value)


def test_nothing_is_found_where_nothing_is() -> None:
    plain = (
        int,
        Any,
        list[dict[str, int]],
        shapes.Plain,
        codec_shapes.User,
        None,
        "text",
        int | str,
    )
    assert [sensitive_path(type_) for type_ in plain] == [None] * len(plain)


def test_a_function_is_refused_where_it_is_decorated() -> None:
    with Cache(NOWHERE) as cache:

        def account(id: int) -> shapes.Account:
            return shapes.Account("Ada", "hush hush")

        with pytest.raises(ConfigurationError, match=r"Account\.token is sensitive"):
            cache.cached("account:{id}")(account)
        for verb in (cache.get, cache.lookup):
            with pytest.raises(ConfigurationError, match=r"Account\.token"):
                verb("a", type=shapes.Account)
        with pytest.raises(ConfigurationError, match=r"Account\.token"):
            cache.read_through(account, key="account:{}", type=shapes.Account)


def test_a_function_whose_type_comes_later_is_refused_when_it_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def later(id: int) -> Unknown:  # type: ignore[name-defined]  # noqa: F821
        raise AssertionError

    type_ = return_type(later)
    assert isinstance(type_, Unresolved)
    late = LateCodec(JsonCodec(), type_, bind_checked)
    monkeypatch.setitem(globals(), "Unknown", shapes.Account)
    with pytest.raises(CodecError, match=r"Account\.token is sensitive"):
        late.encode(shapes.Account("Ada", "hush hush"), b"k")
    sealed = LateCodec(Sealed("json", KEYS), type_, bind_checked)
    data = sealed.encode(shapes.Account("Ada", "hush hush"), b"k")
    assert sealed.decode(data, b"k") == shapes.Account("Ada", "hush hush")
    sealed.check_absent(sealed.encode_absent(b"k"), b"k")


TELLING = {
    name: case
    for name, case in shapes.CASES.items()
    if name != "generic" and type(case[2]) not in (str, dict)
}
"""Cases whose values say by themselves what they are."""
TELLING["models"] = shapes.CASES["models"]


@dataclasses.dataclass
class Holder:
    content: Any


@pytest.mark.parametrize("case", TELLING.values(), ids=TELLING.keys())
def test_a_pickle_of_a_sensitive_value_is_refused_when_it_is_written(
    case: tuple[Any, str, Any],
) -> None:
    _, _, value = case
    bound = bind_checked(PICKLE, Any)
    held: list[Any] = [value, [value], {"a": {1: (value,)}}, Holder(value)]
    for each in held:
        with pytest.raises(CodecError, match="is sensitive") as refused:
            bound.encode(each, b"k")
        assert "hush" not in str(refused.value)
    assert bound.decode(bound.encode(Holder([1, shapes.Plain(2)]), b"k"), b"k") == Holder(
        [1, shapes.Plain(2)]
    )


def test_values_that_hold_themselves_are_looked_at_once() -> None:
    bound = bind_checked(PICKLE, Any)
    ring: list[Any] = []
    ring.append(ring)
    assert len(bound.decode(bound.encode(ring, b"k"), b"k")) == 1


def test_values_are_looked_at_where_the_codec_does_not_refuse_what_a_type_does_not_say() -> None:
    plain: list[Any] = [JsonCodec(), Signed("msgpack", KEYS), Compressed("json")]
    for codec in plain:
        assert type(bind_checked(codec, Any)) is type(codec.bind(Any))
    assert type(bind_checked(PICKLE, Any)) is not type(PICKLE.bind(Any))


def test_reading_costs_what_it_did() -> None:
    bound = bind_checked(PICKLE, Any)
    inner = PICKLE.bind(Any)
    assert bound.decode == inner.decode
    assert bind_checked(JsonCodec(), int).decode.__func__ is JsonCodec().bind(int).decode.__func__  # type: ignore[attr-defined]


def test_a_cache_in_this_process_holds_what_it_is_given() -> None:
    with Cache() as cache:

        @cache.cached("account:{id}")
        def account(id: int) -> shapes.Account:
            return shapes.Account("Ada", "hush hush")

        assert account(1) is account(1)


def test_a_journal_does_not_take_what_its_cache_would_not(tmp_path: Any) -> None:
    class Source:
        def load(self, id: int) -> Any: ...
        def save(self, id: int, value: Any) -> None: ...

    journal = f"sqlite:///{tmp_path / 'j.db'}"
    with Cache() as cache, pytest.raises(ConfigurationError, match=r"Account\.token"):
        cache.write_behind(Source(), key="a:{}", journal=journal, type=shapes.Account)
    with Cache(codec=Sealed("json", KEYS)) as cache:
        for codec, said in (("json", "sealed"), (Signed("json", KEYS), "sealed")):
            with pytest.raises(ConfigurationError, match=f"codec is {said}"):
                cache.write_behind(Source(), key="a:{}", journal=journal, codec=codec)
        cache.write_behind(Source(), key="a:{}", journal=journal, type=shapes.Account).close()


def test_the_mark_is_like_any_other() -> None:
    assert repr(Sensitive()) == "Sensitive()"
    assert {Sensitive(), Sensitive()} == {Sensitive()}
