"""Write docs/reference from the code.

api.md comes from the signatures and docstrings of the public names, command-line.md from the
options and help of the commands, metrics.md and the files beside it from the table of metrics,
testing.md from the names for tests.

``reference.py`` writes them; ``reference.py --check`` ends with exit code 1 where a page is
not what would be written.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import itertools
import re
import sys
import textwrap
import types
from pathlib import Path
from typing import Any, Final, is_typeddict

import freshwell
import freshwell.errors
import freshwell.typing
import reference_cli
import reference_metrics
import reference_testing
from reference_testing import Writer

__all__ = ["main", "page", "testing"]

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
_WIDTH: Final = 72
_TWINS: Final = {
    "AsyncCache": "Cache",
    "AsyncNamespace": "Namespace",
    "AsyncCachedFunction": "CachedFunction",
    "AsyncReadThrough": "ReadThrough",
    "AsyncWriteThrough": "WriteThrough",
    "AsyncWriteBehind": "WriteBehind",
    "AsyncSource": "Source",
    "AsyncWritableSource": "WritableSource",
    "AsyncBatchSource": "BatchSource",
}
_CODECS: Final = ("Sealed", "Signed", "Compressed", "Sensitive", "Keyring")
_VALUES: Final = (
    *("LoadOptions", "LoadContext"),
    *("Lookup", "Ack", "Batch", "Write", "Outcome", "Saved", "Backlog", "Stats"),
    *("Trace", "Served", "Hot", "Subscription"),
)
_FUNCTIONS: Final = ("loading", "added_tags")
_EVENTS: Final = ("LoadEnded", "Invalidated", "Degraded", "CoherenceChanged")
_HEAD: Final = """# The public names

Written by `tools/reference.py` from signatures and docstrings: change those, not this page.

Everything is imported from `freshwell`. The sync classes have the names, parameters and promises
of the async ones; what is awaited there is called plainly here, and `aclose` is `close`. They
are safe for any number of threads.
"""
_INNER: Final = {("Stats", "of"), ("Trace", "add"), ("Subscription", "put")}
_INHERITING: Final = {"AsyncCache", "CountingLoader"}
"""Classes shown with what they have from others; those beside them say whose verbs they have."""
_SECTION: Final = re.compile(r"^(Args|Raises|Returns):$")


def page() -> str:
    """Return the page as it should be."""
    parts = [_HEAD]
    for name, twin in _TWINS.items():
        parts.append(_class(getattr(freshwell, name), name, f"Sync: `{twin}`."))
    parts += [_class(getattr(freshwell, name), name) for name in _VALUES]
    parts += [_class(getattr(freshwell, name), name) for name in _CODECS]
    parts += [_free(getattr(freshwell, name), name) for name in _FUNCTIONS]
    parts.append(_events())
    parts.append(_duration())
    parts.append(_errors())
    return "\n".join(parts)


def testing() -> str:
    """Return the page of the names for tests as it should be."""
    return reference_testing.page(Writer(_class, _member, _signature, _code, _prose))


PAGES: Final = {
    "api.md": page,
    "command-line.md": reference_cli.page,
    "testing.md": testing,
    "metrics.md": reference_metrics.page,
    "grafana-dashboard.json": reference_metrics.dashboard,
    "prometheus-alerts.yml": reference_metrics.alerts,
}
"""The files in the folder, and what writes each."""


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; tell if it would")
    only_check, code = parser.parse_args(arguments).check, 0
    for name, write in PAGES.items():
        wanted = write()
        target = FOLDER / name
        if not only_check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted)
        elif not target.exists() or target.read_text() != wanted:
            print(f"{name} is not up to date: run tools/reference.py", file=sys.stderr)
            code = 1
    return code


# -- classes ---------------------------------------------------------------------------------


def _class(cls: type, name: str, note: str = "") -> str:
    tree = _parsed(cls)
    assert isinstance(tree, ast.ClassDef)
    annotated = [part for part in tree.body if isinstance(part, ast.AnnAssign)]
    has_fields = dataclasses.is_dataclass(cls) or is_typeddict(cls) or hasattr(cls, "_fields")
    fields = [ast.unparse(part) for part in annotated if has_fields]
    parts = [f"## {name}\n"]
    if note:
        parts.append(f"{note}\n")
    if fields:
        parts.append(_code(f"{name}{_listed(fields)}"))
    elif (
        name == "AsyncCache"
        or name in reference_testing.BUILT
        or (name in _CODECS and "__init__" in vars(cls))
    ):
        parts.append(_code(f"{name}{_parameters(_function(vars(cls)['__init__']))}"))
    parts.append(_prose(_docstring(cls)))
    for member, value in _members(cls, name):
        hidden = member.startswith("_") and member != "__call__"
        if hidden or (name, member) in _INNER or not value.__doc__:
            continue
        if isinstance(value, property | types.FunctionType):
            parts.append(_member(name, member, value))
    return "\n".join(parts)


def _members(cls: type, name: str) -> list[tuple[str, Any]]:
    """Return what a class has by itself and, where that is shown, from others of ours first."""
    ours = [one for one in reversed(cls.__mro__) if one.__module__.startswith("freshwell.")]
    shown = ours if name in _INHERITING else [cls]
    return [member for one in shown for member in vars(one).items()]


def _member(owner: str, name: str, value: property | types.FunctionType) -> str:
    tree = _function(value.fget if isinstance(value, property) else value)
    result = "" if tree.returns is None else _quoted(ast.unparse(tree.returns))
    if isinstance(value, property):
        code = f"{name}: {result}"
    else:
        kind = "async def" if isinstance(tree, ast.AsyncFunctionDef) else "def"
        code = f"{kind} {name}{_parameters(tree)} -> {result}"
    return "\n".join([f"### {owner}.{name}\n", _code(code), _prose(_docstring(value))])


def _free(function: Any, name: str) -> str:
    tree = _function(function)
    result = "" if tree.returns is None else _quoted(ast.unparse(tree.returns))
    parameters = _listed(_split(ast.unparse(tree.args)))
    return "\n".join(
        [f"## {name}\n", _code(f"def {name}{parameters} -> {result}"), _prose(_docstring(function))]
    )


def _parsed(value: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _function(value: Any) -> ast.FunctionDef | ast.AsyncFunctionDef:
    tree = _parsed(value)
    assert isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef)
    return tree


def _signature(function: Any) -> str:
    """Return the parameters of a function that is no method, and what it returns."""
    tree = _function(function)
    result = "" if tree.returns is None else f" -> {_quoted(ast.unparse(tree.returns))}"
    return _listed(_split(ast.unparse(tree.args))) + result


def _parameters(tree: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Return the parameters as they are written, without `self`."""
    given = tree.args
    given.args = given.args[1:]
    return _listed(_split(ast.unparse(given)))


def _listed(parts: list[str]) -> str:
    """Return parameters in parentheses, on one line where they fit."""
    line = _quoted(f"({', '.join(parts)})")
    if len(line) <= _WIDTH:
        return line
    return "(\n" + "".join(f"    {_quoted(part)},\n" for part in parts) + ")"


def _quoted(text: str) -> str:
    """Return source with the quotes that this project writes."""
    return text.replace("'", '"')


def _split(text: str) -> list[str]:
    """Split at the commas that are in no brackets."""
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "[({") - (character in "])}")
        if character == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
    parts.append(text[begin:].strip())
    return [part.replace("=", " = ", 1) for part in parts if part]


# -- the rest --------------------------------------------------------------------------------


def _duration() -> str:
    """Return the section of the alias, whose docstring only its source has."""
    source = Path(freshwell.typing.__file__).read_text()
    body = ast.parse(source).body
    for statement, following in itertools.pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(following, ast.Expr):
            target, said = statement.targets[0], following.value
            if isinstance(target, ast.Name) and target.id == "Duration":
                assert isinstance(said, ast.Constant)
                code = _code(f"Duration = {ast.unparse(statement.value)}")
                return f"## Duration\n\n{code}\n{_prose(str(said.value))}"
    raise LookupError("Duration has no docstring")


def _events() -> str:
    """Return the section of the events: what they are one of, then each."""
    told = _code(f"Event = {' | '.join(_EVENTS)}")
    parts = [f"## Event\n\nWhat `subscribe` gives: named tuples.\n\n{told}"]
    parts += [_class(getattr(freshwell, name), name).replace("## ", "### ", 1) for name in _EVENTS]
    return "\n".join(parts)


def _errors() -> str:
    """Return the section of the errors: their tree from the module's docstring, then each."""
    text = inspect.cleandoc(freshwell.errors.__doc__ or "")
    opening, _, rest = text.partition("::\n\n")
    tree, _, closing = rest.partition("\n\n")
    parts = ["## Errors\n", _prose(opening), _code(textwrap.dedent(tree), "text"), _prose(closing)]
    for name in freshwell.errors.__all__:
        parts += [f"### {name}\n", _prose(_docstring(getattr(freshwell.errors, name)))]
    return "\n".join(parts)


def _docstring(value: Any) -> str:
    return inspect.cleandoc(value.__doc__ or "")


def _code(text: str, language: str = "pyi") -> str:
    return f"```{language}\n{text}\n```\n"


def _prose(docstring: str) -> str:
    """Return a docstring as Markdown: its sections become lists."""
    lines: list[str] = []
    in_section = False
    for line in docstring.replace("``", "`").splitlines():
        if line == "::":  # an indented block is one in Markdown by itself
            continue
        section = _SECTION.match(line)
        if section is not None:
            in_section = True
            lines += [f"**{section[1]}**", ""]
        elif in_section and line.startswith("    ") and not line.startswith("     "):
            term, colon, said = line.strip().partition(": ")
            shown = ", ".join(f"`{word.strip()}`" for word in term.split(","))
            lines.append(f"- {shown}: {said}" if colon else f"- {line.strip()}")
        elif in_section and line.startswith("     "):
            lines.append(f"  {line.strip()}")
        else:
            in_section = in_section and not line.strip()
            lines.append(line)
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
