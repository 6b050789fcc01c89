"""Rewrite one asynchronous source into its synchronous twin: the rules are told in twin.py."""

from __future__ import annotations

import ast
import keyword
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twin_code import CLOSING, LAYOUT, OPENING, Code, TwinError

__all__ = ["Rules", "TwinError", "rewrite"]

_AWAITED_CALL = re.compile(r"\bawait (?=\w+(?:\.\w+)*[(\[])")
_ASYNC_BLOCK = re.compile(r"\basync (?=(?:def|with|for)\b)")
_WORD = re.compile(r"\w+")
_STRING = re.compile(r"([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2", re.DOTALL)


@dataclass(frozen=True)
class Rules:
    """The tables of one run, and how often each rule was used.

    - `renames`: names and dotted names, and what stands for them in the twin.
    - `unwrapped`: generic types that their last argument replaces, and how many they take.
    """

    renames: Mapping[str, str]
    unwrapped: Mapping[str, int]
    used: Counter[str] = field(default_factory=Counter)

    def unused(self) -> list[str]:
        """Return the names of the rules that were never used."""
        return sorted({*self.renames, *self.unwrapped} - set(self.used))


def rewrite(source: str, name: str, rules: Rules) -> str:
    """Return the twin of `source`, with as many lines, unmarked.

    Counts each rule it applies in `rules`. Raises `TwinError`, which names the line, for what
    has no twin.
    """
    code = Code(source, name)
    _drop_async(code)
    _rename(code, rules)
    _unwrap(code, rules)
    _rewrite_texts(code, rules)
    _refuse_asyncio(code)
    text = _without_unused_imports(code, name)
    try:
        ast.parse(text)
    except SyntaxError as error:
        raise TwinError(f"{name}:{error.lineno}: the twin is no Python: {error.msg}") from error
    return text


def _drop_async(code: Code) -> None:
    for index, token in enumerate(code.tokens):
        if token.kind != tokenize.NAME or token.source not in ("async", "await"):
            continue
        code.delete(index)
        if token.source == "await" and _is_group(code, index - 1):
            _drop_needless_group(code, index - 1)


def _is_group(code: Code, opening: int) -> bool:
    """Tell whether a token is a parenthesis that calls nothing."""
    before = code.tokens[opening - 1] if opening > 0 else None
    if code.source_at(opening) != "(" or before is None:
        return False
    is_name = before.kind == tokenize.NAME and not keyword.iskeyword(before.source)
    return not is_name and before.source not in (")", "]") and before.kind != tokenize.STRING


def _drop_needless_group(code: Code, opening: int) -> None:
    """Delete the parentheses of ``(await call(x))[0]``, which bound the ``await`` alone."""
    closing = code.closing(opening)
    index = opening + 2
    if code.tokens[index].kind != tokenize.NAME:
        return
    while (index := index + 1) < closing:
        if code.source_at(index) in ("(", "["):
            index = code.closing(index)
        elif code.source_at(index) != "." and code.source_at(index - 1) != ".":
            return
    if code.tokens[opening].line == code.tokens[closing].line:
        code.delete(opening)
        code.tokens[closing].text = ""


def _rename(code: Code, rules: Rules) -> None:
    """Replace the names of the table, the longest dotted name first."""
    by_parts = {tuple(old.split(".")): old for old in rules.renames}
    for parts in sorted(by_parts, key=len, reverse=True):
        old = by_parts[parts]
        for index in range(len(code.tokens)):
            matched = _match_name(code, index, parts)
            if matched:
                rules.used[old] += 1
                code.tokens[index].text = rules.renames[old]
                for part in matched[1:]:
                    code.tokens[part].text = ""


def _match_name(code: Code, index: int, parts: Sequence[str]) -> list[int]:
    """Return the indices of a dotted name that begins at `index`, or none."""
    tokens = code.tokens[index : index + 2 * len(parts) - 1]
    if tokens[0].kind != tokenize.NAME or "".join(t.text for t in tokens) != ".".join(parts):
        return []
    if len(parts) > 1 and code.source_at(index - 1) == ".":
        return []
    return list(range(index, index + len(tokens)))


def _unwrap(code: Code, rules: Rules) -> None:
    """Replace the wrapping types by what they wrap."""
    imported = {index for statement in _imports(code) for index in statement.indices}
    unwrapped: list[tuple[int, int]] = []
    for index, token in enumerate(code.tokens):
        arity = rules.unwrapped.get(token.source) if token.kind == tokenize.NAME else None
        if arity is None or index in imported:
            continue
        if code.source_at(index + 1) != "[" or code.source_at(index - 1) == ".":
            problem = f"a bare or dotted {token.source} has no twin: import it, and subscript it"
            raise code.error(index, problem)
        unwrapped.append((index, _unwrap_one(code, index, arity)))
        rules.used[token.source] += 1
    for opening, closing in reversed(unwrapped):
        _collapse(code, opening, closing)


def _unwrap_one(code: Code, index: int, arity: int) -> int:
    """Unwrap the type at `index`, and return the index of its closing bracket."""
    opening, closing = index + 1, code.closing(index + 1)
    commas = _commas(code, opening, closing)
    if commas and code.after(commas[-1]) == closing:
        code.delete(commas.pop())
    if len(commas) != arity - 1:
        problem = f"{code.source_at(index)} takes {arity} arguments, not {len(commas) + 1}"
        raise code.error(index, problem)
    several_lines = code.tokens[index].line != code.tokens[closing].line
    code.delete(index)
    code.delete_all(range(opening + 1, commas[-1] + 1) if commas else ())
    if several_lines:
        code.tokens[opening].text, code.tokens[closing].text = "(", ")"
    else:
        code.delete(opening)
        code.tokens[closing].text = ""
    return closing


def _commas(code: Code, opening: int, closing: int) -> list[int]:
    """Return the indices of the commas directly within a pair of brackets."""
    depth, found = 0, []
    for index in range(opening + 1, closing):
        source = code.tokens[index].source
        depth += (source in OPENING) - (source in CLOSING)
        if source == "," and depth == 0:
            found.append(index)
    return found


def _collapse(code: Code, name: int, closing: int) -> None:
    """Leave one of ``T | T`` where unwrapping has made it."""
    inner = [i for i in range(name + 2, closing) if not code.is_void(i)]
    texts = [code.tokens[i].text for i in inner]
    bar = code.after(closing)
    if code.source_at(bar) == "|" and _same(code, bar, +1, texts):
        code.delete_all(range(name, closing + 1))
        code.delete(bar)
        return
    bar = code.before(name)
    if code.source_at(bar) == "|" and (same := _same(code, bar, -1, texts)):
        code.delete_all([*sorted(same), bar])


def _same(code: Code, bar: int, step: int, texts: Sequence[str]) -> list[int]:
    """Return the tokens on one side of a bar when they are `texts` and nothing more."""
    move = code.after if step > 0 else code.before
    found, index = [], bar
    for text in texts if step > 0 else reversed(texts):
        index = move(index)
        if not 0 <= index < len(code.tokens) or code.tokens[index].text != text:
            return []
        found.append(index)
    return [] if code.source_at(move(index)) in ({".", "[", "("} if step > 0 else {"."}) else found


def _refuse_asyncio(code: Code) -> None:
    for index, token in enumerate(code.tokens):
        if token.kind == tokenize.NAME and token.text == "asyncio":
            raise code.error(
                index,
                "asyncio has no twin: what differs between the colours belongs into "
                "freshwell._kit, in tests into tests.support.aio and tests.support.threads",
            )


# -- strings and comments -------------------------------------------------------------------


def _rewrite_texts(code: Code, rules: Rules) -> None:
    for index, token in enumerate(code.tokens):
        if token.kind == tokenize.COMMENT:
            token.text = _prose(token.text, rules)
        elif token.kind == tokenize.STRING:
            token.text = _string(code, index, rules)


def _string(code: Code, index: int, rules: Rules) -> str:
    token = code.tokens[index]
    parts = _STRING.fullmatch(token.source)
    if parts is None:
        return token.source
    prefix, quote, content = parts.groups()
    if "f" in prefix.lower():
        _check_f_string(code, index, rules)
    elif code.is_docstring(index):
        return prefix + quote + _prose(content, rules) + quote
    elif code.source_at(code.before(index)) == "(" and _is_cast(code, code.before(index)):
        content = rewrite(content, f"{code.name}:{token.line}", rules)
    elif content in rules.renames and "b" not in prefix.lower():
        rules.used[content] += 1
        content = rules.renames[content]
    return prefix + quote + content + quote


def _is_cast(code: Code, opening: int) -> bool:
    return code.source_at(code.before(opening)) == "cast"


def _check_f_string(code: Code, index: int, rules: Rules) -> None:
    """Refuse an f-string whose fields would have to be rewritten."""
    for node in ast.walk(ast.parse(code.source_at(index), mode="eval")):
        named = getattr(node, "id", None) or getattr(node, "attr", None)
        if isinstance(node, ast.Await) or named in rules.renames or named in rules.unwrapped:
            problem = f"an f-string {'awaits' if named is None else 'uses ' + named}"
            raise code.error(index, f"{problem}: do that before, and put the result in")


def _prose(text: str, rules: Rules) -> str:
    """Rewrite the code that stands in a docstring or a comment."""
    text = _ASYNC_BLOCK.sub("", _AWAITED_CALL.sub("", text))
    for old, new in sorted(rules.renames.items(), key=lambda rule: -len(rule[0])):
        if old in text:
            article = r"\b([Aa])n(?= `*" + re.escape(old) + r"\b)"
            if new[0].lower() not in "aeiou":
                text = re.sub(article, r"\1", text)
            text = re.sub(rf"\b{re.escape(old)}\b", new, text)
    return text


# -- imports --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Import:
    """An import statement: its tokens, and the tokens of each of its names."""

    indices: range
    items: list[list[int]]


def _imports(code: Code) -> Iterator[_Import]:
    for index, token in enumerate(code.tokens):
        if token.source in ("from", "import") and code.begins_statement(index):
            end = next(
                (
                    i
                    for i in range(index, len(code.tokens))
                    if code.source_at(i) in ("\n", ";") and code.tokens[i].kind != tokenize.NL
                ),
                len(code.tokens),
            )
            yield _Import(range(index, end), _items(code, index, end))


def _items(code: Code, start: int, end: int) -> list[list[int]]:
    first = next(i for i in range(start, end) if code.source_at(i) == "import") + 1
    items: list[list[int]] = [[]]
    for index in range(first, end):
        if code.source_at(index) == ",":
            items.append([])
        elif code.tokens[index].kind not in LAYOUT and code.source_at(index) not in "()":
            items[-1].append(index)
    return [item for item in items if item]


def _without_unused_imports(code: Code, name: str) -> str:
    """Render, without the imported names that rewriting has left without a use."""
    used_before = _used_names(code)
    twin = Code(code.render(), name)
    gone = used_before - _used_names(twin)
    for statement in list(_imports(twin)):
        seen: set[str] = set()
        for item in statement.items:
            bound = _bound_name(twin, item)
            if bound in gone or bound in seen:
                _drop_item(twin, item)
            seen.add(bound)
        if all(twin.tokens[item[0]].text == "" for item in statement.items):
            _drop_statement(twin, statement)
    return twin.render()


def _bound_name(code: Code, item: Sequence[int]) -> str:
    """Return the name that an imported item has in the module."""
    texts = [code.source_at(index) for index in item]
    return texts[-1] if "as" in texts else texts[0]


def _used_names(code: Code) -> set[str]:
    """Return the names used outside imports, and the words of strings that are no docstrings."""
    imported = {index for statement in _imports(code) for index in statement.indices}
    names: set[str] = set()
    for index, token in enumerate(code.tokens):
        if token.kind == tokenize.NAME and index not in imported:
            names.add(token.source)
        elif token.kind == tokenize.STRING and not code.is_docstring(index):
            names.update(_WORD.findall(token.source))
    return names


def _drop_item(code: Code, item: Sequence[int]) -> None:
    """Delete a name and one comma beside it."""
    comma = code.after(item[-1])
    if code.source_at(comma) != ",":
        comma = code.before(item[0])
    code.delete_all([*item, comma] if code.source_at(comma) == "," else item)


def _drop_statement(code: Code, statement: _Import) -> None:
    first = code.tokens[statement.indices.start]
    code.delete_all(statement.indices)
    if first.gap:
        first.text = "pass"
