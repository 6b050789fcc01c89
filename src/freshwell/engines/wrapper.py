"""Write the wrapper of a cached function: the hit path, generated once from its signature.

The interpreter itself binds the arguments, so however a call is spelled it names one entry;
and a hit is one dictionary lookup, two comparisons and the usage mark. Everything else is in
``slow``, which the wrapper calls with the key's values and the call that would load.

Arguments that compare equal are not always the same argument (``1 == True == 1.0``), so an
entry found by its arguments is used only where their types match too (`Place.kinds`).
"""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from freshwell.errors import ConfigurationError

__all__ = ["Recipe", "alias_of", "key_function", "write_wrapper"]

R = TypeVar("R")

_PARAMETER = inspect.Parameter
_STARS: dict[Any, str] = {_PARAMETER.VAR_POSITIONAL: "*", _PARAMETER.VAR_KEYWORD: "**"}
_PLAIN_KINDS = frozenset({int, str, bytes, bool, type(None), UUID})


@dataclass(frozen=True, slots=True)
class Recipe:
    """A function's parameters, and the expressions over them that name its entries.

    `sources` are parameter names or attribute paths such as ``user.id``, in key order; `extra`
    are those that only its tags need.
    """

    function: Callable[..., Any]
    signature: inspect.Signature
    sources: tuple[str, ...]
    extra: tuple[str, ...] = ()

    @property
    def has_many(self) -> bool:
        """Tell whether ``*args`` or ``**kwargs`` are part of the key."""
        kinds = (_PARAMETER.VAR_POSITIONAL, _PARAMETER.VAR_KEYWORD)
        return any(
            p.kind in kinds and p.name in self.sources for p in self.signature.parameters.values()
        )


def write_wrapper(
    recipe: Recipe,
    *,
    slow: Callable[..., Any],
    aliases: dict[Any, Any],
    now_ns: Callable[[], int],
    session: object,
    counters: object,
    asynchronous: bool,
    l1: bool,
    stamps: object = None,
) -> Callable[..., Any]:
    """Return a function with the recipe's signature that answers hits and leaves the rest.

    ``slow(values, call)`` gets the tuple of the key's values and a call of the wrapped
    function without arguments left. With `l1` false every call goes there. `stamps`: the entries
    found by these arguments have tags, whose changes it counts.
    """
    text = _wrapper_text(
        recipe,
        asynchronous=asynchronous,
        l1=l1 and not recipe.has_many,
        tagged=stamps is not None,
    )
    names = _defaults(recipe.signature) | {
        "_fw_slow": slow,
        "_fw_find": aliases.get,
        "_fw_now": now_ns,
        "_fw_session": session,
        "_fw_stamps": stamps,
        "_fw_counters": counters,
        "_fw_function": recipe.function,
        "_fw_partial": partial,
    }
    return _named(_compiled(text, "_fw_wrapper", names), recipe)


def alias_of(values: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """Return the alias key of an entry and the kinds of its arguments, as the wrapper spells them.

    None where arguments are of types whose equality does not mean the same argument.
    """
    kinds = tuple(map(type, values))
    if not _PLAIN_KINDS.issuperset(kinds):
        return None
    return (values[0], kinds[0]) if len(values) == 1 else (values, kinds)


def key_function(recipe: Recipe, of: Callable[[tuple[Any, ...]], R]) -> Callable[..., R]:
    """Return a function with the recipe's signature that returns `of` the key's values."""
    names = _defaults(recipe.signature) | {"_fw_of": of}
    text = f"def _fw_key({_head(recipe.signature)}):\n    return _fw_of({_tuple(_all(recipe))})\n"
    return _named(_compiled(text, "_fw_key", names), recipe)


def _all(recipe: Recipe) -> tuple[str, ...]:
    return (*recipe.sources, *recipe.extra)


def _wrapper_text(recipe: Recipe, *, asynchronous: bool, l1: bool, tagged: bool) -> str:
    values = _tuple(_all(recipe))
    head = "async def" if asynchronous else "def"
    wait = "await " if asynchronous else ""
    lines = [f"{head} _fw_wrapper({_head(recipe.signature)}):"]
    if l1:
        alias, same_kinds = _alias_of(_all(recipe))
        current = " and _fw_entry.checked == _fw_stamps.moment" if tagged else ""
        lines += [
            "    try:",
            f"        _fw_entry = _fw_find({alias})",
            "    except TypeError:",
            "        _fw_entry = None",
            f"    if _fw_entry is not None and _fw_entry.place.kinds {same_kinds}:",
            # The value before its deadlines: an entry is taken out of service by its deadlines.
            "        _fw_value = _fw_entry.value",
            f"        if _fw_session.live_until_ns > _fw_now() < _fw_entry.calm_until_ns{current}:",
            "            _fw_entry.mark = 1",
            "            _fw_counters.hits_l1 += 1",
            "            return _fw_value",
        ]
    call = ", ".join(["_fw_function", *_passed_on(recipe.signature)])
    lines.append(f"    return {wait}_fw_slow({values}, _fw_partial({call}))")
    return "\n".join(lines) + "\n"


def _alias_of(sources: Sequence[str]) -> tuple[str, str]:
    """Spell the alias key, and the comparison of an entry's kinds with the arguments'."""
    if len(sources) == 1:
        return sources[0], f"is {sources[0]}.__class__"
    return _tuple(sources), "== " + _tuple([f"{source}.__class__" for source in sources])


def _compiled(text: str, name: str, names: dict[str, Any]) -> Callable[..., Any]:
    namespace = dict(names)
    exec(compile(text, "<freshwell wrapper>", "exec"), namespace)  # noqa: S102
    function: Callable[..., Any] = namespace[name]
    return function


def _named(function: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    """Let errors about arguments speak of the function that the caller knows."""
    function.__qualname__ = getattr(recipe.function, "__qualname__", "cached")
    return function


def _tuple(expressions: Sequence[str]) -> str:
    return "(" + "".join(f"{expression}, " for expression in expressions) + ")"


def _head(signature: inspect.Signature) -> str:
    """Spell the parameters, defaults by reference and without annotations."""
    parts: list[str] = []
    starred = False
    parameters = list(signature.parameters.values())
    for i, parameter in enumerate(parameters):
        _check_name(parameter.name)
        if parameter.kind is _PARAMETER.VAR_POSITIONAL:
            starred = True
        elif parameter.kind is _PARAMETER.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        parts.append(_spelled(parameter))
        after = parameters[i + 1].kind if i + 1 < len(parameters) else None
        positional = parameter.kind is _PARAMETER.POSITIONAL_ONLY
        if positional and after is not _PARAMETER.POSITIONAL_ONLY:
            parts.append("/")
    return ", ".join(parts)


def _spelled(parameter: inspect.Parameter) -> str:
    star = _STARS.get(parameter.kind, "")
    default = "" if parameter.default is _PARAMETER.empty else f"=_fw_default_{parameter.name}"
    return f"{star}{parameter.name}{default}"


def _passed_on(signature: inspect.Signature) -> list[str]:
    """Spell the arguments as they are handed to the wrapped function."""
    spelled = {
        _PARAMETER.POSITIONAL_ONLY: "{0}",
        _PARAMETER.POSITIONAL_OR_KEYWORD: "{0}",
        _PARAMETER.VAR_POSITIONAL: "*{0}",
        _PARAMETER.KEYWORD_ONLY: "{0}={0}",
        _PARAMETER.VAR_KEYWORD: "**{0}",
    }
    return [spelled[p.kind].format(p.name) for p in signature.parameters.values()]


def _defaults(signature: inspect.Signature) -> dict[str, Any]:
    return {
        f"_fw_default_{p.name}": p.default
        for p in signature.parameters.values()
        if p.default is not _PARAMETER.empty
    }


def _check_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_fw_"):
        raise ConfigurationError(
            f"the parameter name {name!r} cannot be used on a cached function: rename it"
        )
