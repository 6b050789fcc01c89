"""Types with something sensitive in them, of every kind."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pydantic

from freshwell import Sensitive

__all__ = ["CASES", "Account", "Order", "Person", "Plain"]

T = TypeVar("T")
Token = Annotated[str, Sensitive()]
Pin = NewType("Pin", Token)


HUSH = pydantic.SecretStr("hush hush")


class Account(msgspec.Struct):
    name: str
    token: Annotated[str, Sensitive()]


@dataclasses.dataclass
class Order:
    id: int
    account: Account | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Row(TypedDict):
    id: int
    token: Token


class Pair(NamedTuple):
    left: int
    right: Token


class Person(pydantic.BaseModel):
    name: str
    password: pydantic.SecretStr
    key: pydantic.SecretBytes | None = None


class Marked(pydantic.BaseModel):
    card: Annotated[str, Sensitive()]


class Tree(msgspec.Struct):
    children: list[Tree]
    token: Token | None = None


@dataclasses.dataclass
class Plain:
    id: int
    parent: Plain | None = None


CASES: dict[str, tuple[Any, str, Any]] = {
    "struct": (Account, "Account.token", Account("Ada", "hush hush")),
    "in a dataclass": (Order, "Order.account.token", Order(1, Account("Ada", "hush hush"))),
    "in a list": (list[Account], "Account.token", [Account("Ada", "hush hush")]),
    "optional": (Account | None, "Account.token", Account("Ada", "hush hush")),
    "typed dict": (Row, "Row.token", {"id": 1, "token": "hush hush"}),
    "named tuple": (Pair, "Pair.right", Pair(1, "hush hush")),
    "generic": (Box[Token], "the type", Box("hush hush")),
    "model": (
        Person,
        "Person.password",
        Person(name="Ada", password=HUSH, key=pydantic.SecretBytes(b"\xc3\xa4")),
    ),
    "models": (
        dict[str, list[Person]],
        "Person.password",
        {"a": [Person(name="A", password=HUSH)]},
    ),
    "marked model": (Marked, "Marked.card", Marked(card="hush hush")),
    "recursive": (Tree, "Tree.token", Tree([Tree([], "hush hush")])),
    "itself": (Token, "the type", "hush hush"),
    "secret alone": (pydantic.SecretStr, "SecretStr", pydantic.SecretStr("hush hush")),
    "new type": (Pin, "the type", "hush hush"),
}
"""A type, the path that is told, and a value."""
