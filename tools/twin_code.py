"""A Python source as tokens that can be replaced while its lines stay where they are."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["CLOSING", "LAYOUT", "OPENING", "Code", "Token", "TwinError"]

LAYOUT = frozenset({tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT})
"""The kinds of tokens that lines are made of, and code is not."""

_IGNORED = frozenset({tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER})
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")


class TwinError(Exception):
    """A source that has no twin, and where and why."""


@dataclass
class Token:
    """A token, the blanks before it, and what is written in its place."""

    kind: int
    source: str
    line: int
    gap: str
    text: str


class Code:
    """A source as tokens that can be replaced and deleted; lines stay where they are."""

    def __init__(self, source: str, name: str) -> None:
        self.source = source
        self.name = name
        self.tokens = list(_tokens(source))

    def render(self) -> str:
        """Return the text; lines that were changed have no blanks at their end."""
        text = "".join(token.gap + token.text for token in self.tokens)
        pairs = zip(self.source.split("\n"), text.split("\n"), strict=True)
        return "\n".join(new if new == old else new.rstrip() for old, new in pairs)

    def delete(self, index: int) -> None:
        """Delete a token with the blanks after it."""
        self.tokens[index].text = ""
        if index + 1 < len(self.tokens) and self.tokens[index + 1].kind not in LAYOUT:
            following = self.tokens[index + 1]
            following.gap = following.gap if "\n" in following.gap else ""

    def delete_all(self, indices: Iterable[int]) -> None:
        for index in indices:
            if self.tokens[index].kind not in LAYOUT:
                self.delete(index)

    def after(self, index: int) -> int:
        """Return the index of the next token that means something, or of the end."""
        index += 1
        while index < len(self.tokens) and self.is_void(index):
            index += 1
        return index

    def before(self, index: int) -> int:
        """Return the index of the previous token that means something, or -1."""
        index -= 1
        while index >= 0 and self.is_void(index):
            index -= 1
        return index

    def source_at(self, index: int) -> str:
        return self.tokens[index].source if 0 <= index < len(self.tokens) else ""

    def begins_statement(self, index: int) -> bool:
        previous = index - 1
        while previous >= 0 and self.tokens[previous].kind in (tokenize.NL, tokenize.COMMENT):
            previous -= 1
        return previous < 0 or self.tokens[previous].kind == tokenize.NEWLINE

    def is_docstring(self, index: int) -> bool:
        """Tell whether a string is a statement of its own."""
        ends = index + 1 < len(self.tokens) and self.tokens[index + 1].kind in LAYOUT
        return ends and self.begins_statement(index)

    def closing(self, opening: int) -> int:
        """Return the index of the bracket that closes the one at `opening`."""
        depth = 0
        for index in range(opening, len(self.tokens)):
            depth += (self.tokens[index].source in OPENING) - (self.tokens[index].source in CLOSING)
            if depth == 0:
                return index
        raise self.error(opening, "a bracket is never closed")

    def error(self, index: int, problem: str) -> TwinError:
        return TwinError(f"{self.name}:{self.tokens[index].line}: {problem}")

    def is_void(self, index: int) -> bool:
        """Tell whether a token is layout or has been deleted."""
        token = self.tokens[index]
        return token.kind in LAYOUT or (token.text == "" and token.source != "")


def _tokens(source: str) -> Iterator[Token]:
    """Yield the tokens that have a text; an f-string is one token on every Python."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    end, depth, opened = 0, 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        start, stop = (starts[row - 1] + column for row, column in (token.start, token.end))
        kind = tokenize.tok_name[token.type]
        if kind == "FSTRING_START":
            depth, opened = depth + 1, opened if depth else (start, token.start[0])
        if kind == "FSTRING_END":
            depth -= 1
            if depth == 0:
                begin, line_number = opened
                text = source[begin:stop]
                yield Token(tokenize.STRING, text, line_number, source[end:begin], text)
                end = stop
        elif depth == 0 and token.type not in _IGNORED:
            text = source[start:stop]
            yield Token(token.type, text, token.start[0], source[end:start], text)
            end = stop
