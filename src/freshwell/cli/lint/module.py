"""One module of Python: its scopes, and the calls of caches in them. Pure.

A name is a cache where it is imported as one, given one by a plain assignment, a ``with`` or an
annotation, or comes from a function of the module that is annotated to return one. A name that is
given anything else too is none. Nothing is followed into other modules, containers or arguments
without an annotation: what is not certain is not judged.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from freshwell.cli.lint.clients import LIBRARIES, Imports, Kind, kind_of_type, made_by, standing

__all__ = ["CacheCall", "Class", "Function", "Module", "Scope", "keyword"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
_Bodied = ast.Module | Function | ast.ClassDef
_PASSES: Final = 3
"""Names that are given other names are followed so many steps."""


class CacheCall(NamedTuple):
    """One call of a method of a cache."""

    node: ast.Call
    kind: Kind
    method: str

    def argument(self, position: int, name: str) -> ast.expr | None:
        """Return an argument, by its place or its name."""
        if len(self.node.args) > position:
            return self.node.args[position]
        return keyword(self.node, name)

    @property
    def key(self) -> ast.expr | None:
        return self.argument(0, "name") or keyword(self.node, "key")

    @property
    def is_open(self) -> bool:
        """Tell whether there are arguments that cannot be seen: ``*args`` or ``**kwargs``."""
        starred = any(isinstance(argument, ast.Starred) for argument in self.node.args)
        return starred or any(word.arg is None for word in self.node.keywords)


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the argument that a call names so."""
    return next((word.value for word in call.keywords if word.arg == name), None)


class Scope:
    """A module or a function: its own nodes, without those of functions and classes in it."""

    def __init__(self, node: ast.Module | Function, module: Module, outer: Scope | None) -> None:
        self.node = node
        self.outer = outer
        self.owner: Class | None = None
        self.nodes: Sequence[ast.AST] = list(_own(node))
        self._bound = list(_bindings(self.nodes))
        self._module = module
        self._kinds: dict[str, Kind | None] = {}
        for _ in range(_PASSES):
            self._kinds = self._named()

    def belong(self, owner: Class) -> None:
        """Look at the names again, as those of a method: its class knows its attributes."""
        self.owner = owner
        kinds = self._named()
        self._kinds = {name: kind for name, kind in kinds.items() if not name.startswith("self.")}

    @cached_property
    def calls(self) -> Sequence[CacheCall]:
        """The calls of caches, in the order of the text."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                kind = self.kind(node.func.value)
                if kind is not None:
                    found.append(CacheCall(node, kind, node.func.attr))
        return sorted(found, key=lambda call: (call.node.lineno, call.node.col_offset))

    def call_of(self, node: ast.AST | None) -> CacheCall | None:
        """Return the call of a cache that an expression is, awaited or not."""
        inner = node.value if isinstance(node, ast.Await) else node
        return next((call for call in self.calls if call.node is inner), None)

    def value_of(self, node: ast.expr | None) -> ast.expr | None:
        """Return what a name is given in this scope, where that is once; else the expression."""
        if not isinstance(node, ast.Name):
            return node
        given = [v for name, v, _ in self._bound if name == node.id]
        return given[0] if len(given) == 1 and given[0] is not None else node

    def kind(self, node: ast.expr | None) -> Kind | None:
        """Return the kind of cache that an expression is. None: none, or that is not known."""
        match node:
            case ast.Await(value=inner):
                return self.kind(inner)
            case ast.Call(func=func):
                return self._made(node, func)
            case ast.Subscript(value=outer):
                is_django = self._module.imports.dotted(outer) == "django.core.cache.caches"
                return Kind.DJANGO if is_django else None
            case ast.Name() | ast.Attribute():
                return self._named_kind(node)
            case _:
                return None

    def _made(self, call: ast.Call, func: ast.expr) -> Kind | None:
        found = made_by(call, self._module.imports.dotted(func))
        if found is not None:
            return found
        if isinstance(func, ast.Name):
            return self._module.makers.get(func.id)
        if not isinstance(func, ast.Attribute):
            return None
        base = self.kind(func.value)
        if base is Kind.SENTINEL:
            return Kind.REDIS if func.attr in ("master_for", "slave_for") else None
        if base is Kind.REDIS and func.attr in ("pipeline", "client", "__aenter__"):
            return base
        return base if base is Kind.DOGPILE and func.attr == "configure" else None

    def _named_kind(self, node: ast.Name | ast.Attribute) -> Kind | None:
        text = ast.unparse(node)
        scope: Scope | None = self
        while scope is not None:
            if text in scope._kinds:
                return scope._kinds[text]
            if scope.owner is not None and text in scope.owner.kinds:
                return scope.owner.kinds[text]
            scope = scope.outer
        return standing(self._module.imports.dotted(node))

    def _named(self) -> dict[str, Kind | None]:
        kinds: dict[str, Kind | None] = {}
        for name, kind in self._given():
            kinds[name] = kind if kinds.get(name, kind) is kind else None
        return kinds

    def _given(self) -> Iterator[tuple[str, Kind | None]]:
        if not isinstance(self.node, ast.Module):
            arguments = self.node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            for argument in every:
                yield argument.arg, kind_of_type(argument.annotation, self._module.imports)
        for name, value, annotation in self._bound:
            if isinstance(value, ast.Constant) and value.value is None and annotation is None:
                continue  # not yet, most likely
            kind = self.kind(value)
            yield name, kind or kind_of_type(annotation, self._module.imports)


class Class:
    """A class: its methods, and which attributes of its instances are caches."""

    def __init__(self, node: ast.ClassDef, module: Module, outer: Scope) -> None:
        self.node = node
        self.kinds: dict[str, Kind | None] = {}
        methods = [part for part in node.body if isinstance(part, Function)]
        self.methods = [Scope(method, module, outer) for method in methods]
        for part in node.body:
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                kind = kind_of_type(part.annotation, module.imports)
                self._learn(f"self.{part.target.id}", kind)
            elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
                self._learn(f"self.{part.targets[0].id}", outer.kind(part.value))
        for scope in self.methods:
            for name, kind in scope._kinds.items():
                if name.startswith("self."):
                    self._learn(name, kind)
        for scope in self.methods:
            scope.belong(self)

    def _learn(self, name: str, kind: Kind | None) -> None:
        self.kinds[name] = kind if self.kinds.get(name, kind) is kind else None


class Module:
    """A module that was read. Raises `SyntaxError` and `ValueError` for text that is none.

    Without any of the libraries that are known, it has no scopes: there is nothing to judge.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.tree = ast.parse(text)
        mentioned = any(library in text for library in LIBRARIES)
        self.imports = Imports(self.tree if mentioned else ast.Module([], []))
        self.makers: dict[str, Kind] = {}
        for node in self.tree.body:
            if isinstance(node, Function):
                kind = kind_of_type(node.returns, self.imports)
                if kind is not None:
                    self.makers[node.name] = kind
        self.scopes: list[Scope] = []
        self.classes: list[Class] = []
        if self.imports.libraries & LIBRARIES or "CACHES" in text:
            self._add(Scope(self.tree, self, None))

    def _add(self, scope: Scope) -> None:
        self.scopes.append(scope)
        self._descend(scope.node, scope)

    def _descend(self, node: _Bodied, scope: Scope) -> None:
        for inner in _inner(node):
            if isinstance(inner, ast.ClassDef):
                found = Class(inner, self, scope)
                self.classes.append(found)
                for method in found.methods:
                    self._add(method)
                for part in inner.body:
                    if isinstance(part, ast.ClassDef):
                        self._descend(ast.Module([part], []), scope)
            else:
                self._add(Scope(inner, self, scope))


def _own(node: _Bodied) -> Iterator[ast.AST]:
    """Yield the nodes in a body, but for those in functions and classes there."""
    waiting: list[ast.AST] = list(reversed(node.body))
    while waiting:
        found = waiting.pop()
        if isinstance(found, Function | ast.ClassDef):
            continue
        yield found
        waiting += reversed(list(ast.iter_child_nodes(found)))


def _inner(node: _Bodied) -> Iterator[Function | ast.ClassDef]:
    """Yield the functions and classes of a body, not those within them."""
    waiting: list[ast.AST] = list(reversed(node.body))
    while waiting:
        found = waiting.pop()
        if isinstance(found, Function | ast.ClassDef):
            yield found
        else:
            waiting += reversed(list(ast.iter_child_nodes(found)))


def _bindings(
    nodes: Sequence[ast.AST],
) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    """Yield what names and attributes are given: the value and the annotation, if there are."""
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _targets(target, value)
            case ast.AnnAssign(target=target, value=value, annotation=annotation):
                yield ast.unparse(target), value, annotation
            case ast.NamedExpr(target=target, value=value):
                yield target.id, value, None
            case ast.withitem(context_expr=value, optional_vars=target) if target is not None:
                yield from _targets(target, value)
            case ast.For(target=target) | ast.AsyncFor(target=target):
                yield from _targets(target, None)
            case ast.AugAssign(target=target):
                yield ast.unparse(target), None, None
            case _:
                pass


def _targets(
    target: ast.expr, value: ast.expr | None
) -> Iterator[tuple[str, ast.expr | None, ast.expr | None]]:
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _targets(part, None)
    else:
        yield ast.unparse(target), value, None
