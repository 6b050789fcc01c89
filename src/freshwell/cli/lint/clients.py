"""Which names stand for caches: by imports, constructors and annotations. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final

__all__ = ["LIBRARIES", "Imports", "Kind", "kind_of_type", "made_by", "standing"]


class Kind(Enum):
    """The library whose cache or client something is."""

    REDIS = "redis"
    SENTINEL = "sentinel"
    DJANGO = "django"
    AIOCACHE = "aiocache"
    AIOCACHE_ENDLESS = "aiocache without a default TTL"
    CASHEWS = "cashews"
    DOGPILE = "dogpile"


LIBRARIES: Final = frozenset(
    {
        *("redis", "valkey", "aioredis", "fakeredis", "django", "django_redis"),
        *("aiocache", "cashews", "dogpile", "cachetools", "functools"),
    }
)
"""What a module has to import for there to be anything to judge in it."""
_REDIS_TYPE: Final = re.compile(
    r"(?:redis|valkey|aioredis|fakeredis)(?:\.(?:asyncio|aioredis|client|cluster))*"
    r"\.(?:Redis|StrictRedis|RedisCluster|Valkey|StrictValkey|ValkeyCluster|Pipeline|FakeRedis|"
    r"FakeStrictRedis|FakeAsyncRedis)"
)
_REDIS_URL: Final = re.compile(r"(?:redis|valkey|aioredis)(?:\.asyncio)?\.from_url")
_AIOCACHE: Final = re.compile(
    r"aiocache(?:\.\w+)*\.(?:Cache|SimpleMemoryCache|RedisCache|MemcachedCache|ValkeyCache)"
)
_STANDING: Final = {
    "django.core.cache.cache": Kind.DJANGO,
    "cashews.cache": Kind.CASHEWS,
}
_FACTORIES: Final = ("from_url", "from_pool")
_WRAPPERS: Final = ("Annotated", "ClassVar", "Final", "Optional", "Union")


class Imports:
    """What the names that a module imports stand for, as dotted names."""

    def __init__(self, tree: ast.Module) -> None:
        self._names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._names[alias.asname or whole] = whole
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self._names[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    @property
    def libraries(self) -> set[str]:
        """The packages that names were imported from."""
        return {name.partition(".")[0] for name in self._names.values()}

    def dotted(self, node: ast.expr | None) -> str:
        """Return what an expression names. Empty: nothing that was imported."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "")
        if isinstance(node, ast.Attribute):
            before = self.dotted(node.value)
            return f"{before}.{node.attr}" if before else ""
        return ""


def standing(dotted: str) -> Kind | None:
    """Return the kind of a cache that is a name of its module."""
    return _STANDING.get(dotted)


def made_by(call: ast.Call, dotted: str) -> Kind | None:
    """Return the kind of cache that a call of something imported makes."""
    base, _, factory = dotted.rpartition(".")
    if _REDIS_URL.fullmatch(dotted) or dotted == "django_redis.get_redis_connection":
        return Kind.REDIS
    made = base if factory in _FACTORIES else dotted
    if _REDIS_TYPE.fullmatch(made):
        return Kind.REDIS
    if _AIOCACHE.fullmatch(made):
        ends = any(word.arg in ("ttl", None) for word in call.keywords)
        return Kind.AIOCACHE if ends or made != dotted else Kind.AIOCACHE_ENDLESS
    if dotted.endswith(".Sentinel") and dotted.startswith(("redis.", "valkey.")):
        return Kind.SENTINEL
    if dotted == "cashews.Cache":
        return Kind.CASHEWS
    return Kind.DOGPILE if dotted in _DOGPILE else None


_DOGPILE: Final = ("dogpile.cache.make_region", "dogpile.cache.region.make_region")


def kind_of_type(annotation: ast.expr | None, imports: Imports) -> Kind | None:
    """Return the kind of cache that an annotation names, also in a union or as text."""
    if annotation is None:
        return None
    found = {kind for part in _parts(annotation) for kind in [_of_dotted(imports.dotted(part))]}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def _of_dotted(dotted: str) -> Kind | None:
    if _REDIS_TYPE.fullmatch(dotted):
        return Kind.REDIS
    if _AIOCACHE.fullmatch(dotted):
        return Kind.AIOCACHE
    return _TYPES.get(dotted)


_TYPES: Final[Mapping[str, Kind]] = {
    "cashews.Cache": Kind.CASHEWS,
    "django.core.cache.backends.base.BaseCache": Kind.DJANGO,
    "dogpile.cache.CacheRegion": Kind.DOGPILE,
    "dogpile.cache.region.CacheRegion": Kind.DOGPILE,
}


def _parts(annotation: ast.expr) -> Iterator[ast.expr]:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            yield from _parts(ast.parse(annotation.value, mode="eval").body)
        except (SyntaxError, ValueError):
            return
    elif isinstance(annotation, ast.BinOp):
        yield from _parts(annotation.left)
        yield from _parts(annotation.right)
    elif isinstance(annotation, ast.Subscript):
        outer = annotation.value
        name = outer.attr if isinstance(outer, ast.Attribute) else getattr(outer, "id", "")
        if name in _WRAPPERS:
            inner = annotation.slice
            within = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            for part in within[: 1 if name == "Annotated" else None]:
                yield from _parts(part)
        else:
            yield from _parts(outer)
    else:
        yield annotation
