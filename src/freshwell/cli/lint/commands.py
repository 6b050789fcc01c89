"""FW006 and FW007: commands that no service should run. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from freshwell.cli.lint.clients import Kind
from freshwell.cli.lint.findings import Finding, at
from freshwell.cli.lint.module import CacheCall, Module, Scope

__all__ = ["flushes", "keys_commands"]

_FLUSHES: Final = ("flushall", "flushdb")


def keys_commands(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW006."""
    for call in scope.calls:
        django = call.kind is Kind.DJANGO and bool(call.node.args)  # of django-redis
        if (call.kind is Kind.REDIS or django) and _command(call) == "keys":
            message = "keys() goes over every key of the server, and nobody else is served"
            yield at(module.path, call.node, "FW006", message)


def flushes(module: Module, scope: Scope) -> Iterator[Finding]:
    """FW007."""
    for call in scope.calls:
        if call.kind is Kind.REDIS and _command(call) in _FLUSHES:
            message = f"{_command(call)}() deletes every key, whoever they belong to"
            yield at(module.path, call.node, "FW007", message)


def _command(call: CacheCall) -> str:
    """Return the command that a call runs, also by ``execute_command``."""
    if call.method != "execute_command":
        return call.method
    first = call.node.args[0] if call.node.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value.partition(" ")[0].lower()
    return ""
