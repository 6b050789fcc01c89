"""FW004: errors of caches that nobody hears of. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from freshwell.cli.lint.findings import Finding, at
from freshwell.cli.lint.module import Module, Scope

__all__ = ["swallowed_errors"]

_BROAD: Final = ("Exception", "BaseException", "ConnectionError", "TimeoutError", "OSError")
_LIBRARIES: Final = ("redis", "valkey", "aioredis", "django_redis", "pymemcache")
_OUTAGES: Final = frozenset(
    {
        *("RedisError", "ValkeyError", "ConnectionError", "TimeoutError", "BusyLoadingError"),
        *("ClusterDownError", "ClusterError", "RedisClusterException", "ConnectionInterrupted"),
        *("MemcacheError", "AuthenticationError", "ReadOnlyError", "OutOfMemoryError"),
    }
)
"""Not those that are asked for: WatchError, LockError, NoScriptError, ResponseError."""
_SUPPRESS: Final = "contextlib.suppress"


def swallowed_errors(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW004."""
    calls = {call.node for call in scope.calls}
    for node in scope.nodes:
        if isinstance(node, ast.Try) and _has_any(node.body, calls):
            for handler in node.handlers:
                if _is_broad(module, handler.type) and _does_nothing(handler.body):
                    message = "an error of the cache is passed over in silence"
                    yield at(module.path, handler, "FW004", message)
        elif isinstance(node, ast.With | ast.AsyncWith) and _has_any(node.body, calls):
            for item in node.items:
                if _suppresses(module, item.context_expr):
                    message = "errors of the cache are suppressed"
                    yield at(module.path, item.context_expr, "FW004", message)


def _has_any(body: Sequence[ast.stmt], calls: set[ast.Call]) -> bool:
    return any(node in calls for statement in body for node in ast.walk(statement))


def _is_broad(module: Module, kind: ast.expr | None) -> bool:
    """Tell whether a handler takes what a cache raises."""
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_is_broad(module, part) for part in kind.elts)
    if isinstance(kind, ast.Name) and kind.id in _BROAD:
        return True
    library, _, rest = module.imports.dotted(kind).partition(".")
    return library in _LIBRARIES and rest.rpartition(".")[2] in _OUTAGES


def _does_nothing(body: Sequence[ast.stmt]) -> bool:
    return all(
        isinstance(part, ast.Pass)
        or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        or (isinstance(part, ast.Return) and _is_nothing(part.value))
        for part in body
    )


def _is_nothing(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value in (None, False))


def _suppresses(module: Module, context: ast.expr) -> bool:
    if not isinstance(context, ast.Call) or module.imports.dotted(context.func) != _SUPPRESS:
        return False
    return any(_is_broad(module, kind) for kind in context.args)
