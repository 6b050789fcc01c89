"""Codecs are bound to types once, and nothing is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import pytest

from freshwell.codecs.base import Codec
from freshwell.codecs.bindings import Bindings
from freshwell.codecs.json import JsonCodec
from freshwell.codecs.msgpack import MsgpackCodec
from freshwell.codecs.pickle import PickleCodec
from tests.codecs import shapes

CODECS: list[Codec] = [JsonCodec(), MsgpackCodec(), PickleCodec("0123456789abcdef")]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@each_codec
@pytest.mark.parametrize("type_", [Any, int, list[shapes.Point], shapes.User | None], ids=str)
def test_a_type_is_bound_once(codec: Codec, type_: Any) -> None:
    assert codec.bind(type_) is codec.bind(type_)


@each_codec
def test_a_bound_codec_has_the_number_of_its_codec(codec: Codec) -> None:
    assert codec.bind(int).id == codec.id == codec.bind(shapes.User).id


@each_codec
def test_a_type_without_a_hash_is_bound_each_time(codec: Codec) -> None:
    type_ = Annotated[int, []]
    bound = codec.bind(type_)
    assert bound.decode(bound.encode(7, b"k"), b"k") == 7


def test_the_number_of_kept_types_is_bounded() -> None:
    bindings = Bindings(JsonCodec().bind)
    for number in range(1_000):
        bindings.of(Annotated[int, number])
    assert len(bindings) <= 256


def test_a_refused_type_is_refused_again() -> None:
    codec = JsonCodec()
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be decoded"):
            codec.bind(range)


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_freshwell_imports_no_package_that_is_an_extra() -> None:
    heavy = {*("msgspec", "pydantic", "redis", "hiredis", "cryptography", "zstandard"), "orjson"}
    heavy |= {"typer", "rich"}
    assert run(f"import freshwell, sys; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_a_cache_in_one_process_needs_no_package() -> None:
    code = """
import sys
for name in ("msgspec", "pydantic", "redis", "hiredis"):
    sys.modules[name] = None
from freshwell import Cache
with Cache() as cache:
    print(cache.get_or_load("a", lambda: (1, 2)))
"""
    assert run(code) == "(1, 2)"


def test_the_name_of_a_codec_says_what_to_install() -> None:
    code = """
import sys
sys.modules["msgspec"] = None
from freshwell.codecs.base import resolve_codec
for name in ("json", "msgpack"):
    try:
        resolve_codec(name)
    except ValueError as error:
        print(error)
"""
    assert run(code).count("freshwell[redis]") == 2


def test_pydantic_is_imported_for_models_only() -> None:
    code = """
import sys
from freshwell.codecs.json import JsonCodec
JsonCodec().bind(dict[str, list[int]])
print("pydantic" in sys.modules)
"""
    assert run(code) == "False"
