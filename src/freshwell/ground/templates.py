"""Key templates: ``"user:{user_id}"`` over a function's parameters, checked when it is written.

The text of a value is as plain as it can be without two different calls getting one key:

- In a template with several placeholders, one character of each separator (its first that is
  no letter or digit) is escaped in values, so that a value ends where its separator begins:
  ``("x:b", "z")`` and ``("x", "b:z")`` differ.
- A value is written plainly only where its text names it alone. Under an annotation ``str``,
  text is; under ``int``, integers are; elsewhere integers are, and text that could not be
  taken for a number, None or a boolean. Any other value is written typed behind a ``~``
  (and plain text that begins with ``~`` is, too): ``get_user(42)`` is ``user:42``,
  ``get_user("42")`` under ``int`` is ``user:~s2:42``.

So `invalidate("user:42")` names the entry of `get_user(42)`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from freshwell.errors import ConfigurationError
from freshwell.ground.keys import encode_arguments, encode_value, escaped

__all__ = [
    "NO_TAGS",
    "Naming",
    "TagPlan",
    "Template",
    "compile_template",
    "default_naming",
    "plan_tags",
]

_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")
_MISTAKABLE: Final = re.compile(
    r"[+-]?[0-9][0-9_.eE+-]*|None|True|False|nan|inf|-inf|~.*", re.DOTALL
)
_MARK: Final = "~"
_PLAIN_BITS: Final = 256
_OF_NUMBERS: Final = "-0123456789"
_OBJECTS: Final = ("self", "cls")
"""Parameters that a template may leave out: methods whose object does not matter are common."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How the values of a call become a key. `sources` are the expressions over parameters."""

    sources: tuple[str, ...]
    render: Callable[[Sequence[Any]], str]


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template.

    `render` returns the key for values in the order of `sources`. It raises `KeyRejected` for a
    value that has no canonical form.
    """

    text: str
    sources: tuple[str, ...]
    render: Callable[[Sequence[Any]], str]


@dataclass(frozen=True, slots=True)
class TagPlan:
    """How the values of a call become tags.

    `sources` are all expressions whose values a call gives, in their order; `texts` are the tags,
    and `parts` render those that depend on the values: where one stands, what renders it, and
    what picks out its values; `functions` are asked about the result.
    """

    sources: tuple[str, ...]
    texts: tuple[str, ...]
    parts: tuple[tuple[int, Callable[[Sequence[Any]], str], itemgetter[Any]], ...]
    functions: tuple[Any, ...]

    def render(self, values: Sequence[Any]) -> tuple[str, ...]:
        """Return the tags that do not depend on the result."""
        if not self.parts:
            return self.texts
        tags = [*self.texts]
        for at, render, pick in self.parts:
            tags[at] = render(pick(values))
        return tuple(tags)


NO_TAGS: Final = TagPlan((), (), (), ())


def plan_tags(
    texts: Sequence[str],
    functions: tuple[Any, ...],
    parameters: Sequence[str],
    key_sources: tuple[str, ...],
    annotations: Mapping[str, Any] | None = None,
) -> TagPlan:
    """Return how a call's tags follow from its arguments: `texts` are templates over them.

    Raises `ConfigurationError` as `compile_template` does.
    """
    if not texts and not functions:
        return NO_TAGS
    templates = [
        compile_template(text, parameters, name="tag", annotations=annotations, partial=True)
        for text in texts
    ]
    sources = list(key_sources)
    for template in templates:
        sources += [source for source in template.sources if source not in sources]
    written = tuple(t.text if t.sources else t.render(()) for t in templates)
    parts = tuple(
        (at, template.render, _picking(template.sources, sources))
        for at, template in enumerate(templates)
        if template.sources
    )
    return TagPlan(tuple(sources), written, parts, functions)


def compile_template(
    text: str,
    parameters: Sequence[str],
    *,
    name: str = "key",
    annotations: Mapping[str, Any] | None = None,
    ignore: Sequence[str] = (),
    partial: bool = False,
) -> Template:
    """Return the template that `text` spells over `parameters`.

    Placeholders are ``{name}``, ``{name.attribute}``, and ``{}`` where there is one parameter.
    Parameters that are neither used nor in `ignore` are refused, unless `partial`: calls that
    differ in them would share an entry.

    Raises:
        ConfigurationError: Saying what is wrong with which placeholder or parameter.
    """
    if not isinstance(text, str) or not text:
        raise ConfigurationError(f'{name} is {text!r}: give a template such as "user:{{user_id}}"')
    literals, sources = _split(text, parameters, name)
    if "" in literals[1:-1]:
        raise ConfigurationError(
            f"{name} {text!r} has placeholders side by side: put a separator between them, or "
            "different values would run into one key"
        )
    if any("%" in literal for literal in literals[1:-1]):
        raise ConfigurationError(
            f"{name} {text!r} has '%' between placeholders, which marks escaped characters: use "
            "another separator"
        )
    _check_used(text, parameters, sources, ignore, name, partial=partial)
    separators = "".join(_marker(literal) for literal in literals[1:-1])
    kinds = annotations or {}
    writers = tuple(_writer(kinds.get(source), separators) for source in sources)
    return Template(text, tuple(sources), _renderer(literals, writers))


def default_naming(
    module: str, qualname: str, parameters: Sequence[str], ignore: Sequence[str] = ()
) -> Naming:
    """Return the naming of a function without a template: its name and all its arguments."""
    _check_ignored(parameters, ignore, "key")
    sources = tuple(name for name in parameters if name not in ignore)
    if sources and sources[0] in _OBJECTS:
        kind, name, what = _METHODS[sources[0]]
        raise ConfigurationError(
            f"{qualname} is a {kind}: say in the key template what of its {what} matters "
            f'("...:{{{name}}}:..."), or that nothing does (ignore=("{sources[0]}",))'
        )
    prefix = escaped(f"{module}.{qualname}") + ":"
    return Naming(sources, lambda values: prefix + encode_arguments(values))


# -- inside -----------------------------------------------------------------------------------


def _renderer(
    literals: Sequence[str], writers: Sequence[Callable[[Any], str]]
) -> Callable[[Sequence[Any]], str]:
    """Return what joins literal texts and the values between them."""
    if not writers:
        return lambda values: literals[0]
    if len(writers) == 1:
        (before, after), (write,) = literals, writers
        return lambda values: f"{before}{write(values[0])}{after}"

    def render(values: Sequence[Any]) -> str:
        parts = [literals[0]]
        for write, value, literal in zip(writers, values, literals[1:], strict=True):
            parts.append(write(value))
            parts.append(literal)
        return "".join(parts)

    return render


def _picking(wanted: Sequence[str], sources: Sequence[str]) -> itemgetter[Any]:
    """Return what picks the `wanted` values, as a sequence, out of those of all `sources`."""
    places = [sources.index(source) for source in wanted]
    if len(places) > 1:
        return itemgetter(*places)
    return itemgetter(slice(places[0], places[0] + 1))


def _split(text: str, parameters: Sequence[str], name: str) -> tuple[list[str], list[str]]:
    literals, sources = [""], []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in ("{{", "}}"):
            literals[-1] += token[0]
        elif match.group(1) is not None:
            sources.append(_source(match.group(1), parameters, text, name))
            literals.append("")
        elif token in ("{", "}"):
            raise ConfigurationError(f"{name} {text!r} has a lone {token!r}: write it twice")
        else:
            literals[-1] += token
    return literals, sources


def _source(inside: str, parameters: Sequence[str], text: str, name: str) -> str:
    if not inside:
        if len(parameters) != 1:
            raise ConfigurationError(
                f"{name} {text!r} has an empty placeholder: name one of {_listed(parameters)}"
            )
        return parameters[0]
    if not _PATH.fullmatch(inside):
        raise ConfigurationError(
            f"{name} {text!r} has the placeholder {{{inside}}}: only names and attributes can "
            "stand there, such as {user_id} or {user.id}"
        )
    root = inside.partition(".")[0]
    if root not in parameters:
        near = difflib.get_close_matches(root, parameters, n=1)
        near = near or list(parameters) * (len(parameters) == 1)
        hint = f"; did you mean {{{near[0]}}}?" if near else ""
        raise ConfigurationError(
            f"{name} {text!r} names {root!r}, which is no parameter (there are "
            f"{_listed(parameters)}){hint}"
        )
    return inside


def _check_used(
    text: str,
    parameters: Sequence[str],
    sources: Sequence[str],
    ignore: Sequence[str],
    name: str,
    *,
    partial: bool,
) -> None:
    _check_ignored(parameters, ignore, name)
    used = {source.partition(".")[0] for source in sources}
    unused = [p for p in parameters if p not in used and p not in ignore and p not in _OBJECTS]
    if unused and not partial:
        raise ConfigurationError(
            f"{name} {text!r} leaves out {_listed(unused)}: calls that differ in it would share "
            f"an entry. Name it in the template, or say ignore={tuple(unused)!r}"
        )


def _check_ignored(parameters: Sequence[str], ignore: Sequence[str], name: str) -> None:
    unknown = [p for p in ignore if p not in parameters]
    if unknown:
        raise ConfigurationError(
            f"ignore names {_listed(unknown)}, which is no parameter (there are "
            f"{_listed(parameters)})"
        )


_METHODS: Final = {
    "self": ("method", "self.id", "object"),
    "cls": ("class method", "cls.__name__", "class"),
}


def _marker(literal: str) -> str:
    """Return the character by which a separator is known."""
    return next((char for char in literal if not char.isalnum()), literal[0])


def _writer(annotation: Any, separators: str) -> Callable[[Any], str]:
    # Other annotations need not be hashable.
    natural = _NATURAL.get(annotation) if isinstance(annotation, str | type) else None
    unsafe = frozenset("%" + separators if separators else "")
    numbers, safe = natural in (None, int), unsafe.isdisjoint(_OF_NUMBERS)

    def write(value: Any) -> str:
        kind = value.__class__
        if kind is int and numbers and value.bit_length() <= _PLAIN_BITS:
            return str(value) if safe else escaped_in_template(str(value), unsafe)
        if kind is str and _stands_alone(value, natural):
            return escaped_in_template(value, unsafe)
        if kind is UUID and natural is UUID:
            return escaped_in_template(str(value), unsafe)
        return _MARK + escaped_in_template(encode_value(value), unsafe)

    return write


def escaped_in_template(text: str, unsafe: frozenset[str]) -> str:
    """Return `text` with the characters in `unsafe` percent-escaped."""
    if unsafe.isdisjoint(text):
        return text
    return "".join(
        "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))
        if char in unsafe
        else char
        for char in text
    )


def _stands_alone(value: str, natural: type | None) -> bool:
    """Tell whether plain text names this text and no other value."""
    if natural is UUID or not value:
        return False
    if natural is str:
        return not value.startswith(_MARK)
    return not _MISTAKABLE.fullmatch(value)


_NATURAL: Final[dict[Any, type]] = {
    int: int,
    "int": int,
    str: str,
    "str": str,
    UUID: UUID,
    "UUID": UUID,
    "uuid.UUID": UUID,
}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
