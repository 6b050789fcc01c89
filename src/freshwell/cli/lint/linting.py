"""Lint the text of a module: every rule over every scope, less what comments leave out. Pure."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from freshwell.cli.lint.commands import flushes, keys_commands
from freshwell.cli.lint.endless import (
    endless_memos,
    hashes_without_ttl,
    memos_on_methods,
    without_ttl,
)
from freshwell.cli.lint.errors import swallowed_errors
from freshwell.cli.lint.findings import UNREADABLE, Finding
from freshwell.cli.lint.module import Module, Scope
from freshwell.cli.lint.values import joined_keys, pickles, secrets
from freshwell.cli.lint.writes import cache_only_writes, gets_then_sets, locks_not_owned

__all__ = ["lint_text"]

_RULES: Final[Mapping[str, Callable[[Module, Scope], Iterator[Finding]]]] = {
    "FW001": without_ttl,
    "FW002": endless_memos,
    "FW003": memos_on_methods,
    "FW004": swallowed_errors,
    "FW005": pickles,
    "FW006": keys_commands,
    "FW007": flushes,
    "FW008": locks_not_owned,
    "FW009": cache_only_writes,
    "FW010": gets_then_sets,
    "FW011": secrets,
    "FW012": joined_keys,
    "FW013": hashes_without_ttl,
}
_IGNORE: Final = re.compile(r"#\s*freshwell:\s*ignore(?:\[([\w\s,]*)\])?(?=\s|#|$)")
_EVERY: Final = "*"


def lint_text(path: str, text: str, codes: Collection[str]) -> Sequence[Finding]:
    """Return what the chosen rules find in a module, in the order of its lines."""
    try:
        module = Module(path, text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return _unread(path, error, codes)
    try:
        return _linted(module, text, codes)
    except RecursionError as error:
        return _unread(path, error, codes)


def _unread(path: str, error: Exception, codes: Collection[str]) -> Sequence[Finding]:
    line = getattr(error, "lineno", None) or 1
    said = getattr(error, "msg", None) or type(error).__name__
    unread = Finding(path, line, 1, UNREADABLE, f"not read as Python: {said}")
    return [unread] if UNREADABLE in codes else []


def _linted(module: Module, text: str, codes: Collection[str]) -> Sequence[Finding]:
    rules = [rule for code, rule in _RULES.items() if code in codes]
    found = {one for scope in module.scopes for rule in rules for one in rule(module, scope)}
    if not found:
        return []
    ignored = _ignored(module.tree, text)
    return sorted(
        (one for one in found if not ignored.get(one.line, set()) & {one.code, _EVERY}),
        key=lambda one: (one.line, one.column, one.code),
    )


def _ignored(tree: ast.Module, text: str) -> dict[int, set[str]]:
    """Return the codes that comments leave out, by line: all lines of a statement share them."""
    by_line: dict[int, set[str]] = {}
    for line, comment in _comments(text):
        match = _IGNORE.search(comment)
        if match is not None:
            named = _EVERY if match[1] is None else match[1].upper()
            codes = {code.strip() for code in named.split(",")}
            by_line.setdefault(line, set()).update(codes)
    if by_line:
        for first, last in _spans(tree):
            shared = set[str]().union(*(by_line.get(n, set()) for n in range(first, last + 1)))
            for line in range(first, last + 1) if shared else ():
                by_line.setdefault(line, set()).update(shared)
    return by_line


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines and texts of comments, up to where the tokenizer knows less than the parser."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (SyntaxError, tokenize.TokenError):
        return


def _spans(tree: ast.Module) -> list[tuple[int, int]]:
    """Return first and last lines of the statements without others in them."""
    return [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and not hasattr(node, "body")
    ]
