"""Types of values, as the code of users has them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Tone(enum.StrEnum):
    LOW = "low"
    HIGH = "high"


class Level(enum.IntEnum):
    ONE = 1
    TWO = 2


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float


@dataclasses.dataclass
class Tree:
    name: str
    children: list[Tree] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(eq=False)
class Handle:
    """Equal to nothing but itself."""

    number: int
    rest: float = 0.0


class Animal(msgspec.Struct):
    name: str


class Dog(Animal):
    tricks: int = 0


class Cat(msgspec.Struct, tag=True):
    lives: int


class Fish(msgspec.Struct, tag=True):
    name: str


class Tagged(msgspec.Struct, Generic[T]):
    tag: str
    item: T


class Measured(msgspec.Struct):
    size: float
    notes: Any


class Row(TypedDict):
    id: int
    name: str


class Pair(NamedTuple):
    left: int
    right: str


class Everything(msgspec.Struct):
    when: dt.datetime
    day: dt.date
    clock: dt.time
    span: dt.timedelta
    id: UUID
    price: Decimal
    colour: Colour
    level: Level
    tone: Tone
    raw: bytes
    point: Point
    pair: Pair
    row: Row
    either: int | str | None
    tags: frozenset[str]
    by_number: dict[int, list[Point]]
    corner: tuple[int, str, bool]


class User(pydantic.BaseModel):
    id: int
    born: dt.date
    balance: Decimal = Decimal(0)
    tags: set[str] = pydantic.Field(default_factory=set)
    extra: Any = None


class Admin(User):
    rights: tuple[str, ...] = ()


class Aliased(pydantic.BaseModel):
    """A model whose names differ inside, on the way out and on the way in."""

    user_id: int = pydantic.Field(validation_alias="userId", serialization_alias="user-id")


class CatModel(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class DogModel(pydantic.BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str] = []


Pet = Annotated[CatModel | DogModel, pydantic.Field(discriminator="kind")]


@dataclasses.dataclass
class Household:
    """A plain dataclass with models in it."""

    users: list[User]
    pets: dict[int, Pet]


class ForeignClass:
    """A class that no codec knows how to build."""
