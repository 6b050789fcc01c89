"""Faults for the linter, each with its cure, and names that are caches or are not."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["CASES", "NAMES", "Case"]


class Case(NamedTuple):
    """A fault, and the same program without it. `head` begins both."""

    name: str
    code: str
    head: str
    fault: str
    cure: str


_REDIS: Final = "import json\nimport pickle\nimport redis\nr = redis.Redis()\n"
_ASYNC: Final = "import redis.asyncio as redis\nr = redis.from_url('redis://x')\n"
_DJANGO: Final = "from django.core.cache import cache\n"
_AIOCACHE: Final = "from aiocache import Cache, cached\nc = Cache(Cache.REDIS)\n"
_CASHEWS: Final = "from cashews import cache\n"
_DOGPILE: Final = "from dogpile.cache import make_region\n"
_MEMO: Final = "from functools import cache, lru_cache\n"
_APP: Final = "import json\nfrom redis import Redis\nfrom shop import app, save\n"

CASES: Final = (
    Case("redis set", "FW001", _REDIS, "r.set('a', 1)", "r.set('a', 1, ex=60)"),
    Case("redis set None", "FW001", _REDIS, "r.set('a', 1, ex=None)", "r.set('a', 1, 60)"),
    Case(
        "redis set keepttl",
        "FW001",
        _REDIS,
        "r.set('a', 1, xx=True)",
        "r.set('a', 1, keepttl=True)",
    ),
    Case("redis mset", "FW001", _REDIS, "r.mset({'a': 1})", "r.setex('a', 60, 1)"),
    Case(
        "redis hset",
        "FW013",
        _REDIS,
        "def f(v):\n    r.hset('a', mapping=v)\n",
        "def f(v):\n    r.hset('a', mapping=v)\n    r.expire('a', 60)\n",
    ),
    Case(
        "redis pipeline",
        "FW001",
        _REDIS,
        "with r.pipeline() as p:\n    p.set('a', 1)\n",
        "with r.pipeline() as p:\n    p.set('a', 1, px=5)\n",
    ),
    Case(
        "redis asyncio",
        "FW001",
        _ASYNC,
        "async def f():\n    await r.set('a', 1)\n",
        "async def f(**more):\n    await r.set('a', 1, **more)\n",
    ),
    Case("django", "FW001", _DJANGO, "cache.set('a', 1, timeout=None)", "cache.set('a', 1, 60)"),
    Case("django many", "FW001", _DJANGO, "cache.set_many({}, None)", "cache.set_many({})"),
    Case(
        "django settings",
        "FW001",
        "",
        "CACHES = {'default': {'BACKEND': 'x', 'TIMEOUT': None}}",
        "CACHES = {'default': {'BACKEND': 'x', 'TIMEOUT': 300}}",
    ),
    Case(
        "aiocache",
        "FW001",
        _AIOCACHE,
        "async def f():\n    await c.set('a', 1)\n",
        "async def f():\n    await c.set('a', 1, ttl=9)\n",
    ),
    Case(
        "aiocache decorator",
        "FW001",
        _AIOCACHE,
        "@cached(key='a')\nasync def f(): ...\n",
        "@cached(ttl=9, key='a')\nasync def f(): ...\n",
    ),
    Case(
        "cashews",
        "FW001",
        _CASHEWS,
        "async def f():\n    await cache.set('a', 1)\n",
        "async def f():\n    await cache.set('a', 1, expire='1m')\n",
    ),
    Case(
        "dogpile",
        "FW001",
        _DOGPILE,
        "region = make_region().configure('dogpile.cache.redis')",
        "region = make_region().configure('dogpile.cache.redis', expiration_time=60)",
    ),
    Case(
        "cache of a query",
        "FW002",
        _MEMO,
        "@cache\ndef f(db, id):\n    return db.execute('select 1').fetchone()\n",
        "@cache\ndef f(n):\n    return n * n\n",
    ),
    Case(
        "lru_cache of a request",
        "FW002",
        _MEMO + "import httpx\n",
        "@lru_cache(maxsize=None)\ndef f(id):\n    return httpx.get(f'https://x/{id}').json()\n",
        "def f(id):\n    return httpx.get(f'https://x/{id}').json()\n",
    ),
    Case(
        "cachetools dict",
        "FW002",
        "from cachetools import TTLCache, cached\n",
        "@cached(cache={})\ndef f(n): ...\n",
        "@cached(cache=TTLCache(100, 60))\ndef f(n): ...\n",
    ),
    Case(
        "memo on a method",
        "FW003",
        _MEMO,
        "class A:\n    @lru_cache\n    def f(self, n): ...\n",
        "class A:\n    @staticmethod\n    @lru_cache\n    def f(n): ...\n",
    ),
    Case(
        "memo on a coroutine",
        "FW003",
        _MEMO,
        "@lru_cache(maxsize=9)\nasync def f(n): ...\n",
        "@lru_cache(maxsize=9)\ndef f(n): ...\n",
    ),
    Case(
        "except pass",
        "FW004",
        _REDIS,
        "def f():\n    try:\n        r.delete('a')\n    except Exception:\n        pass\n",
        "def f(log):\n    try:\n        r.delete('a')\n    except Exception:\n        log()\n",
    ),
    Case(
        "except RedisError",
        "FW004",
        _REDIS + "from redis.exceptions import RedisError\n",
        "def f():\n    try:\n        return r.get('a')\n    except (KeyError, RedisError):\n"
        "        ...\n",
        "def f():\n    try:\n        return r.get('a')\n    except KeyError:\n        ...\n",
    ),
    Case(
        "except return",
        "FW004",
        _REDIS,
        "def f():\n    try:\n        return r.get('a')\n    except redis.RedisError:\n"
        "        return None\n",
        "def f():\n    try:\n        return r.get('a')\n    except redis.WatchError:\n"
        "        return None\n",
    ),
    Case(
        "suppress",
        "FW004",
        _DJANGO + "from contextlib import suppress\n",
        "def f():\n    with suppress(Exception):\n        cache.delete('a')\n",
        "def f(d):\n    with suppress(Exception):\n        d.remove('a')\n",
    ),
    Case(
        "pickle in",
        "FW005",
        _REDIS,
        "def f(v):\n    data = pickle.dumps(v)\n    r.set('a', data, ex=9)\n",
        "def f(v):\n    data = json.dumps(v)\n    r.set('a', data, ex=9)\n",
    ),
    Case(
        "pickle out",
        "FW005",
        _ASYNC + "import pickle\n",
        "async def f():\n    data = await r.get('a')\n    return pickle.loads(data)\n",
        "async def f(file):\n    data = file.read()\n    return pickle.loads(data)\n",
    ),
    Case(
        "pickle serializer",
        "FW005",
        "from aiocache import Cache\n"
        "from aiocache.serializers import JsonSerializer, PickleSerializer\n",
        "c = Cache(serializer=PickleSerializer())",
        "c = Cache(serializer=JsonSerializer())",
    ),
    Case("keys", "FW006", _REDIS, "r.keys('a*')", "list(r.scan_iter('a*'))"),
    Case(
        "keys by name",
        "FW006",
        _REDIS,
        "r.execute_command('KEYS', 'a*')",
        "r.execute_command('GET', 'a')",
    ),
    Case("keys of django", "FW006", _DJANGO, "cache.keys('a*')", "cache.iter_keys('a*')"),
    Case("flushdb", "FW007", _REDIS, "r.flushdb()", "r.delete('a')"),
    Case("flushall", "FW007", _REDIS, "r.execute_command('FLUSHALL ASYNC')", "r.unlink('a')"),
    Case(
        "lock in a function",
        "FW008",
        _REDIS,
        "def f():\n    if r.set('l', 1, nx=True, ex=9):\n        r.delete('l')\n",
        "def f(token, script):\n    if r.set('l', token, nx=True, ex=9):\n"
        "        r.eval(script, 1, 'l', token)\n",
    ),
    Case(
        "lock in a class",
        "FW008",
        _APP,
        "class L:\n    r: Redis\n    def take(self):\n"
        "        self.r.set(self.key, 1, nx=True, px=9)\n"
        "    def leave(self):\n        self.r.delete(self.key)\n",
        "class L:\n    r: Redis\n    def take(self):\n"
        "        self.r.set(self.key, 1, nx=True, px=9)\n"
        "    def leave(self):\n        self.r.delete(self.other)\n",
    ),
    Case(
        "cache-only write",
        "FW009",
        _APP,
        "@app.post('/x')\ndef f(x: dict, r: Redis):\n    r.set('a', json.dumps(x), ex=60)\n",
        "@app.post('/x')\ndef f(x: dict, r: Redis):\n    save(x)\n"
        "    r.set('a', json.dumps(x), ex=60)\n",
    ),
    Case(
        "cache-only write of a route",
        "FW009",
        _APP,
        "@app.route('/x', methods=['POST'])\ndef f(r: Redis):\n    r.set('a', 1, ex=60)\n",
        "@app.route('/x', methods=['GET'])\ndef f(r: Redis):\n    r.set('a', 1, ex=60)\n",
    ),
    Case(
        "get then set",
        "FW010",
        _REDIS,
        "def f(k, load):\n    v = r.get(k)\n    if v is None:\n        v = load()\n"
        "        r.set(k, v, ex=9)\n",
        "def f(k, load):\n    with r.lock('l'):\n        v = r.get(k)\n        if v is None:\n"
        "            r.set(k, load(), ex=9)\n",
    ),
    Case(
        "secret by its name",
        "FW011",
        _REDIS,
        "def f(user):\n    r.set('a', user.access_token, ex=9)\n",
        "def f(user, box):\n    r.set('a', box.encrypt(user.access_token), ex=9)\n",
    ),
    Case(
        "secret in a dict",
        "FW011",
        _REDIS,
        "def f(p):\n    r.set('a', json.dumps({'name': 'ann', 'clientSecret': p}), ex=9)\n",
        "def f(p):\n    r.set('a', json.dumps({'name': 'ann', 'token_count': p}), ex=9)\n",
    ),
    Case(
        "joined in an f-string",
        "FW012",
        _REDIS,
        "def f(a, b):\n    return r.get(f'{a}{b}')\n",
        "def f(a, b):\n    return r.get(f'{a}:{b}')\n",
    ),
    Case(
        "joined by a sum",
        "FW012",
        _REDIS,
        "def f(id):\n    key = 'user' + id\n    r.delete(key)\n",
        "def f(id):\n    key = 'user:' + id\n    r.delete(key)\n",
    ),
    Case(
        "joined behind a prefix",
        "FW012",
        _REDIS,
        "def f(self, id):\n    return r.get('shop:' + self.kind + id)\n",
        "def f(self, id):\n    return r.get(self.prefix + id)\n",
    ),
)

NAMES: Final = {
    "caches": (
        "from redis import Redis as R\nR().keys()\n",
        "import redis\nredis.from_url('x').keys()\n",
        "import valkey.asyncio as v\nclient = v.Valkey.from_url('x')\nclient.keys()\n",
        "from redis.cluster import RedisCluster\nc = RedisCluster()\nd = c\ne = d\ne.keys()\n",
        "from redis import Redis\ndef f(r: 'Redis[bytes] | None'):\n    r.keys()\n",
        "from typing import Annotated, Optional\nfrom redis import Redis\n"
        "def f(r: Annotated[Optional[Redis], 1]):\n    r.keys()\n",
        "import redis\nclass A:\n    def __init__(self, r: redis.Redis):\n        self._r = r\n"
        "    def f(self):\n        self._r.keys()\n",
        "import redis\nclass A:\n    r = redis.Redis()\n    def f(self):\n"
        "        p = self.r.pipeline()\n"
        "        p.keys()\n",
        "import redis\ndef make() -> redis.Redis: ...\ndef f():\n    make().keys()\n",
        "import redis\nr = None\ndef f():\n    global r\n    r = redis.Redis()\n    r.keys()\n",
        "from redis.sentinel import Sentinel\ns = Sentinel([])\ns.master_for('x').keys()\n",
        "import redis.asyncio\nasync def f():\n    async with redis.asyncio.Redis() as r:\n"
        "        await r.keys()\n",
        "from django.core.cache import caches\ncaches['x'].keys('*')\n",
        "from django_redis import get_redis_connection\nget_redis_connection().keys()\n",
        "import redis\ndef f():\n    r = redis.Redis()\n    def g():\n        r.keys()\n",
    ),
    "others": (
        "r = {}\nr.keys()\nr.set('a', 1)\n",
        "import redis\nr = redis.Redis()\nr = {}\nr.keys()\n",
        "def f(redis):\n    redis.keys()\n    redis.set('a', 1)\n",
        "from mine import Redis\nRedis().keys()\n",
        "from .redis import Redis\nRedis().keys()\n",
        "import redis\nr = redis.Redis()\ndef f(r):\n    r.keys()\n",
        "import redis\nfor r in [redis.Redis(), {}]:\n    r.keys()\n",
        "from freshwell import Cache\ncache = Cache()\ncache.set('a', 1)\n",
        "import redis\nclass A:\n    def f(self):\n        self.r = redis.Redis()\n"
        "class B:\n    def f(self):\n        self.r.keys()\n",
    ),
}
