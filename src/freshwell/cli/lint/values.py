"""FW005 and FW011: what is cached. FW012: under which keys. Pure."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from typing import Final

from freshwell.cli.lint.clients import Kind
from freshwell.cli.lint.findings import Finding, at
from freshwell.cli.lint.module import CacheCall, Module, Scope

__all__ = ["joined_keys", "pickles", "secrets"]

_PICKLING: Final = re.compile(r"(?:pickle|cPickle|cloudpickle|dill|_pickle)\.(dumps|loads)")
_SERIALIZER: Final = re.compile(r"aiocache\.serializers\.(?:\w+\.)?PickleSerializer")
_VALUE: Final = {"set": 1, "setnx": 1, "getset": 1, "add": 1, "setex": 2, "psetex": 2, "hset": 2}
_READS: Final = ("get", "getex", "hget", "getdel", "mget", "hgetall")
_KEYED: Final = frozenset(
    {
        *("get", "set", "setex", "psetex", "setnx", "getset", "delete", "unlink", "exists"),
        *("expire", "ttl", "incr", "incrby", "decr", "hget", "hset", "hgetall", "hdel", "add"),
        *("get_or_set", "touch", "getex", "getdel"),
    }
)
_SECRET: Final = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|api_?key|(?:access|auth|refresh|bearer)_?token|"
    r"private_?key|client_?secret|secret_?key|credentials?)$"
)
_PROTECTED: Final = re.compile(
    r"encrypt|cipher|fernet|seal|hash|digest|hmac|sign|mask|redact", re.IGNORECASE
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PREFIX: Final = re.compile(r"prefix|namespace|root|base|stem|sep", re.IGNORECASE)
_WORD_END: Final = re.compile(r"[A-Za-z]{2}$")


def pickles(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW005."""
    for call in scope.calls:
        value = scope.value_of(_value(call))
        if value is not None and _pickling(module, value) == "dumps":
            yield at(module.path, call.node, "FW005", "a pickle is stored in the cache")
    for node in scope.nodes:
        if not isinstance(node, ast.Call):
            continue
        if _pickling(module, node) == "loads" and node.args:
            read = scope.call_of(scope.value_of(node.args[0]))
            if read is not None and read.method in _READS:
                yield at(module.path, node, "FW005", "bytes of the cache are unpickled")
        if _SERIALIZER.fullmatch(module.imports.dotted(node.func)):
            yield at(module.path, node, "FW005", "the cache stores pickles")


def _pickling(module: Module, node: ast.expr) -> str:
    """Return which way a call of pickle goes. Empty: it is none."""
    if not isinstance(node, ast.Call):
        return ""
    found = _PICKLING.fullmatch(module.imports.dotted(node.func))
    return "" if found is None else found[1]


def _value(call: CacheCall) -> ast.expr | None:
    place = _VALUE.get(call.method)
    return None if place is None else call.argument(place, "value")


def secrets(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW011."""
    for call in scope.calls:
        value = _value(call)
        if value is None or _PROTECTED.search(ast.unparse(scope.value_of(value) or value)):
            continue
        named = next((name for name in _names(value) if _is_secret(name)), None)
        if named is not None:
            message = f"{named!r} is named like a credential, and cached as it is"
            yield at(module.path, call.node, "FW011", message)


def _names(value: ast.expr) -> Iterator[str]:
    """Yield the names that say what a value is: of the value, and of the parts of a dict."""
    for node in ast.walk(value):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.Dict(keys=keys):
                for key in keys:
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield key.value
            case ast.Subscript(slice=ast.Constant(value=str(name))):
                yield name
            case _:
                pass


def _is_secret(name: str) -> bool:
    return _SECRET.search(_CAMEL.sub("_", name).lower()) is not None


def joined_keys(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW012."""
    for call in scope.calls:
        if call.kind is Kind.DOGPILE or call.method not in _KEYED or call.key is None:
            continue
        key = scope.value_of(call.key)
        if key is not None and _is_joined(key):
            message = f"the key {ast.unparse(key)} joins its parts without a separator"
            yield at(module.path, call.node, "FW012", message)


def _is_joined(key: ast.expr) -> bool:
    """Tell whether two parts of a key that vary stand side by side.

    Where texts are added up, one behind a word is enough; in an f-string not, since
    ``f"v{version}:{id}"`` is how versions are written. A prefix is expected to end with its
    separator.
    """
    parts = list(_parts(key))
    for before, after in itertools.pairwise(parts):
        if isinstance(after, str):
            continue
        if not isinstance(before, str):
            if _PREFIX.search(ast.unparse(before)) is None:
                return True
        elif isinstance(key, ast.BinOp) and _WORD_END.search(before):
            return True
    return False


def _parts(key: ast.expr) -> Iterator[str | ast.expr]:
    """Yield what a text is made of, in order: texts, and expressions for what varies."""
    match key:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            for part in values:
                yield from _parts(part)
        case ast.FormattedValue(value=value):
            yield value
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _parts(left)
            yield from _parts(right)
        case _:
            yield key
