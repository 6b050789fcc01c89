"""FW008 to FW010: locks, races, and writes that no source hears of. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from freshwell.cli.lint.clients import Kind
from freshwell.cli.lint.findings import Finding, at
from freshwell.cli.lint.module import CacheCall, Class, Function, Module, Scope, keyword

__all__ = ["cache_only_writes", "gets_then_sets", "locks_not_owned"]

_JUDGED: Final = (Kind.REDIS, Kind.DJANGO, Kind.AIOCACHE, Kind.AIOCACHE_ENDLESS, Kind.CASHEWS)
_CHECKS: Final = ("get", "eval", "evalsha", "register_script", "fcall", "lock")
_GUARDS: Final = ("lock", "watch", "eval", "evalsha", "register_script", "transaction", "incr")
_SETS: Final = ("set", "setex", "psetex")
_WRITES: Final = (*_SETS, "hset", "hmset", "mset", "set_many", "multi_set")
_WRITING_VERBS: Final = ("post", "put", "patch", "delete")
_HARMLESS_MODULES: Final = (
    "json.",
    "datetime.",
    "time.",
    "uuid.",
    "logging.",
    "orjson.",
    "msgspec.",
)
_HARMLESS_METHODS: Final = frozenset(
    {
        *("encode", "decode", "format", "strip", "lower", "upper", "isoformat", "hex", "get"),
        *("model_dump", "model_dump_json", "dict", "json", "items", "keys", "values", "append"),
        *("debug", "info", "warning", "error", "exception"),
    }
)
_HARMLESS_NAMES: Final = frozenset(
    {
        *("str", "int", "float", "bool", "bytes", "dict", "list", "tuple", "set", "len", "repr"),
        *("isinstance", "print", "round", "sorted", "jsonify"),
        *("HTTPException", "JSONResponse", "Response", "HttpResponse", "JsonResponse"),
    }
)


def locks_not_owned(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW008, in one function, or in the methods of a class that keep the key in an attribute."""
    if any(call.method in _CHECKS for call in scope.calls):
        return
    taken = {_text(call.key) for call in scope.calls if _takes_a_lock(call)}
    if scope.owner is not None:
        taken |= _taken_in(scope.owner)
    for call in scope.calls:
        deletes = call.kind is Kind.REDIS and call.method in ("delete", "unlink")
        if deletes and taken.intersection(map(_text, call.node.args)):
            message = "the lock is deleted whoever holds it now"
            yield at(module.path, call.node, "FW008", message)


def _taken_in(owner: Class) -> set[str]:
    calls = (call for scope in owner.methods for call in scope.calls)
    names = {_text(call.key) for call in calls if _takes_a_lock(call)}
    return {name for name in names if name.startswith("self.")}


def _takes_a_lock(call: CacheCall) -> bool:
    if call.kind is not Kind.REDIS or call.key is None:
        return False
    return call.method == "setnx" or (call.method == "set" and _is_true(call.node, "nx"))


def _is_true(call: ast.Call, name: str) -> bool:
    given = keyword(call, name)
    return isinstance(given, ast.Constant) and given.value is True


def gets_then_sets(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW010."""
    late = list(_set_after_get(scope))
    if not late or any(call.method in _GUARDS for call in scope.calls) or _locks(scope):
        return
    for call in late:
        message = "the key was read before, and is set now, without a lock in between"
        yield at(module.path, call.node, "FW010", message)


def _set_after_get(scope: Scope) -> Iterator[CacheCall]:
    read: set[tuple[Kind, str]] = set()
    for call in scope.calls:
        if call.kind not in _JUDGED or call.key is None:
            continue
        place = (call.kind, _text(call.key))
        if call.method == "get":
            read.add(place)
        elif call.method in _SETS and place in read and not _is_true(call.node, "nx"):
            yield call


def _locks(scope: Scope) -> bool:
    """Tell whether a function takes any lock, of whatever kind."""
    managers = (node for node in scope.nodes if isinstance(node, ast.With | ast.AsyncWith))
    texts = [ast.unparse(item.context_expr) for node in managers for item in node.items]
    calls = [ast.unparse(node.func) for node in scope.nodes if isinstance(node, ast.Call)]
    locking = any("lock" in text.lower() or "mutex" in text.lower() for text in texts)
    return locking or any("lock" in text.lower() or "acquire" in text.lower() for text in calls)


def cache_only_writes(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW009."""
    if not isinstance(scope.node, Function) or not any(map(_writes, scope.node.decorator_list)):
        return
    cached = {call.node for call in scope.calls}
    others = (n for n in scope.nodes if isinstance(n, ast.Call) and n not in cached)
    if not all(_is_harmless(module, node) for node in others):
        return
    for call in scope.calls:
        if call.kind in _JUDGED and call.method in _WRITES and not _is_true(call.node, "nx"):
            message = "a handler that writes to the cache, and to no source that is seen here"
            yield at(module.path, call.node, "FW009", message)


def _writes(decorator: ast.expr) -> bool:
    """Tell whether a decorator makes a function the handler of requests that write."""
    if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
        return False
    if decorator.func.attr in _WRITING_VERBS:
        return True
    methods = keyword(decorator, "methods")
    parts = ast.walk(methods or decorator.func)
    named = {str(part.value).lower() for part in parts if isinstance(part, ast.Constant)}
    return decorator.func.attr == "route" and bool(named.intersection(_WRITING_VERBS))


def _is_harmless(module: Module, call: ast.Call) -> bool:
    if module.imports.dotted(call.func).startswith(_HARMLESS_MODULES):
        return True
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in _HARMLESS_METHODS
    return isinstance(call.func, ast.Name) and call.func.id in _HARMLESS_NAMES


def _text(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)
