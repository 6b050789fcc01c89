"""The products that the lab's database holds: of each id and version there is exactly one.

So a writer can put a whole product without reading it first, and every kind of database builds
the same ones.
"""

from __future__ import annotations

from random import Random
from typing import Any, Final

__all__ = ["CATEGORIES", "REVIEWS_EACH", "Product", "body_of", "product_of", "stars_of"]

Product = dict[str, Any]

CATEGORIES: Final = 50
REVIEWS_EACH: Final = 8

_SEED: Final = 7
_BESIDES_BYTES: Final = 80
"""About what a product takes besides its body."""


def body_of(value_bytes: int) -> str:
    """Return the text with which a product is about `value_bytes` long."""
    random = Random(_SEED)  # noqa: S311  # no secret
    return "".join(random.choices("abcdefghij klmnopqrst", k=max(16, value_bytes - _BESIDES_BYTES)))


def stars_of(id: int, review: int) -> int:
    """Return the stars of a product's review of this number, from 0 on."""
    return 1 + (7 * id + 3 * review) % 5


def product_of(id: int, version: int, body: str) -> Product:
    """Return what a reader of the database gets of a product."""
    stars = [stars_of(id, review) for review in range(REVIEWS_EACH)]
    return {
        "id": id,
        "version": version,
        "title": f"product {id}",
        "body": body,
        "category": f"category {id % CATEGORIES}",
        "reviews": REVIEWS_EACH,
        "stars": sum(stars) / REVIEWS_EACH,
    }
