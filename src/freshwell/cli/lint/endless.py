"""FW001 to FW003, and FW013: what is cached without end. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from freshwell.cli.lint.clients import Kind
from freshwell.cli.lint.findings import Finding, at
from freshwell.cli.lint.module import CacheCall, Function, Module, Scope, keyword

__all__ = ["endless_memos", "hashes_without_ttl", "memos_on_methods", "without_ttl"]

_REDIS_SETS: Final = ("set", "setnx", "getset", "mset", "msetnx")
_HASH_SETS: Final = ("hset", "hsetnx", "hmset")
_REDIS_ENDS: Final = ("ex", "px", "exat", "pxat", "keepttl")
_EX: Final = 2
_EXPIRES: Final = ("expire", "pexpire", "expireat", "pexpireat", "expire_at", "hexpire", "hpexpire")
_DJANGO_TIMEOUT: Final = {"set": 2, "add": 2, "get_or_set": 2, "touch": 1, "set_many": 1}
_AIOCACHE_SETS: Final = ("set", "add", "multi_set")
_AIOCACHE_DECORATORS: Final = frozenset(
    {"aiocache.cached", "aiocache.multi_cached", "aiocache.cached_stampede"}
)
_CASHEWS_EXPIRE: Final = {"set": 2, "set_many": 1}
_MEMOS: Final = ("functools.cache", "functools.lru_cache")
_ASKING: Final = frozenset(
    {"execute", "fetch", "fetchall", "fetchone", "fetchrow", "fetchval", "scalar", "scalars"}
)
_ASKING_MODULES: Final = ("requests.", "httpx.", "urllib.request.", "aiohttp.")
_CACHETOOLS: Final = "cachetools.cached"


def without_ttl(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW001."""
    expires = _expires(scope)
    for call in scope.calls:
        if not call.is_open and _is_endless(call, expires):
            message = f"{call.method}() without a TTL: the value stays until it is deleted"
            yield at(module.path, call.node, "FW001", message)
    for decorator, name in _decorators(module, scope):
        if isinstance(decorator, ast.Call) and name in _AIOCACHE_DECORATORS and _no_ttl(decorator):
            yield at(module.path, decorator, "FW001", "cached without a ttl: it stays for good")
    yield from _settings(module, scope)


def hashes_without_ttl(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW013."""
    if _expires(scope):
        return
    for call in scope.calls:
        if call.kind is Kind.REDIS and call.method in _HASH_SETS:
            message = f"{call.method}() without an expire() beside it: the hash stays"
            yield at(module.path, call.node, "FW013", message)


def _expires(scope: Scope) -> bool:
    return any(call.kind is Kind.REDIS and call.method in _EXPIRES for call in scope.calls)


def _is_endless(call: CacheCall, expires: bool) -> bool:
    match call.kind:
        case Kind.REDIS if call.method in _REDIS_SETS and not expires:
            if call.method != "set":
                return True
            given = [keyword(call.node, name) for name in _REDIS_ENDS]
            return all(map(_is_none, [*given, *call.node.args[_EX:]]))
        case Kind.DJANGO if call.method in _DJANGO_TIMEOUT:
            told = call.argument(_DJANGO_TIMEOUT[call.method], "timeout")
            return told is not None and _is_none(told)
        case Kind.AIOCACHE_ENDLESS if call.method in _AIOCACHE_SETS:
            return _is_none(keyword(call.node, "ttl"))
        case Kind.CASHEWS if call.method in _CASHEWS_EXPIRE:
            return _is_none(call.argument(_CASHEWS_EXPIRE[call.method], "expire"))
        case Kind.DOGPILE if call.method == "configure":
            return _is_none(call.argument(1, "expiration_time"))
        case _:
            return False


def _no_ttl(decorator: ast.Call) -> bool:
    return not any(word.arg in ("ttl", "alias", None) for word in decorator.keywords)


def _is_none(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def _settings(module: Module, scope: Scope) -> Iterator[Finding]:
    """Yield the caches of Django's settings whose default is to stay."""
    for node in scope.nodes:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
            continue
        if [ast.unparse(target) for target in node.targets] != ["CACHES"]:
            continue
        for inner in ast.walk(node.value):
            if isinstance(inner, ast.Dict):
                for key, value in zip(inner.keys, inner.values, strict=True):
                    named = isinstance(key, ast.Constant) and key.value == "TIMEOUT"
                    if named and _is_none(value):
                        message = "TIMEOUT is None: what is cached by default stays for good"
                        yield at(module.path, value, "FW001", message)


def endless_memos(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW002."""
    for decorator, name in _decorators(module, scope):
        if name in _MEMOS and _asks_a_source(module, scope):
            message = "what a source said is kept for good: this memo has no TTL"
            yield at(module.path, decorator, "FW002", message)
        if name == _CACHETOOLS and isinstance(decorator, ast.Call):
            kept = decorator.args[0] if decorator.args else keyword(decorator, "cache")
            if isinstance(kept, ast.Dict) or (isinstance(kept, ast.Call) and _is_dict(kept)):
                message = "a plain dict as a cache: it has neither a bound nor a TTL"
                yield at(module.path, decorator, "FW002", message)


def _is_dict(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "dict"


def _asks_a_source(module: Module, scope: Scope) -> bool:
    for node in scope.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            dotted = module.imports.dotted(node.func)
            if node.func.attr in _ASKING or dotted.startswith(_ASKING_MODULES):
                return True
            if ".objects." in ast.unparse(node.func):
                return True
    return False


def memos_on_methods(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW003."""
    if not isinstance(scope.node, Function):
        return
    decorators = list(_decorators(module, scope))
    static = any(ast.unparse(d) in ("staticmethod", "classmethod") for d, _ in decorators)
    arguments = [*scope.node.args.posonlyargs, *scope.node.args.args]
    on_self = scope.owner is not None and not static and bool(arguments)
    for decorator, name in decorators:
        if name not in _MEMOS:
            continue
        if isinstance(scope.node, ast.AsyncFunctionDef):
            message = f"{name} on an async function keeps its coroutine, not its result"
            yield at(module.path, decorator, "FW003", message)
        elif on_self:
            message = f"{name} on a method keeps every instance alive that it was called on"
            yield at(module.path, decorator, "FW003", message)


def _decorators(module: Module, scope: Scope) -> Iterator[tuple[ast.expr, str]]:
    if isinstance(scope.node, Function):
        for decorator in scope.node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            yield decorator, module.imports.dotted(called)
