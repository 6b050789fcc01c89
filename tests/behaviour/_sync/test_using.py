"""What callers write, well or wrongly: whatever can be decorated, and what errors say.

Caches are typed as Any here: most of this is what a type checker would refuse.
"""

from __future__ import annotations  # made from _async by tools/twin.py: edit that

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any
from unittest.mock import MagicMock

import pytest

from freshwell import Cache, ConfigurationError, KeyRejected

cache: Any = Cache()
cached: Callable[..., Callable[[Any], Any]] = cache.cached


def new_cache(*args: Any, **options: Any) -> Any:
    return Cache(*args, **options)


@dataclass
class Named:
    """Something with a cached method of each kind."""

    name: str

    @cached("using:{self.name}:{n}")
    def times(self, n: int = 1) -> str:
        """Repeat the name."""
        return self.name * n

    @cached("using:{cls.__name__}:{n}")
    @classmethod
    def kind(cls, n: int) -> str:
        """Repeat the name of the class."""
        return cls.__name__ * n

    @cached("using:still:{n}")
    @staticmethod
    def still(n: int) -> int:
        return -n


class Pages:
    """What drivers return for a result that is fetched as it is read."""

    def __aiter__(self) -> Pages:
        return self

    def __anext__(self) -> int:
        raise StopAsyncIteration


class Louder(Named):
    def times(self, n: int = 1) -> str:
        return str(super().times(n)).upper()


# -- what can be decorated -------------------------------------------------------------------


def test_a_bound_method_tells_of_itself_what_its_function_tells() -> None:
    method: Any = Named("ab").times
    assert str(inspect.signature(method)) == "(n: 'int' = 1) -> 'str'"
    assert str(inspect.signature(Named.times)) == "(self, n: 'int' = 1) -> 'str'"
    assert (method.__name__, method.__doc__) == ("times", "Repeat the name.")
    assert method.__module__ == Named.times.__module__ == __name__
    assert method.__annotations__ == {"n": "int", "return": "str"}
    assert inspect.iscoroutinefunction(method) == inspect.iscoroutinefunction(cache.get)
    assert repr(method) == "<cached method 'Named.times'>"


def test_bound_methods_are_equal_when_their_objects_are_one() -> None:
    a, b = Named("a"), Named("a")
    assert a.times == a.times
    assert len({a.times, a.times, b.times}) == 2
    assert a.times != b.times
    assert a.times != "a.times"


def test_other_decorators_may_stand_above_a_cached_method() -> None:
    def route(function: Any) -> Any:
        function.path = "/times"
        return function

    class Abstract(ABC):
        @route
        @abstractmethod
        @cached("using:{self}:{n}")
        def times(self, n: int) -> int:
            """Say how often."""

    class Concrete(Named):
        @route
        @cached("using:concrete:{self.name}")
        def loud(self) -> str:
            return self.name.upper()

        @property
        @cached("using:length:{self.name}")
        def length(self) -> int:
            return len(self.name)

    with pytest.raises(TypeError, match="abstract"):
        Abstract()  # type: ignore[abstract]
    thing: Any = Concrete("ab")
    assert thing.loud.path == Concrete.loud.path == "/times"
    assert (thing.loud(), thing.length) == ("AB", 2)
    with pytest.raises(AttributeError, match="road"):
        _ = thing.loud.road


def test_a_subclass_calls_the_cached_method_of_its_base() -> None:
    assert Louder("ab").times(2) == "ABAB"
    assert cache.get("using:ab:2") == "abab"


def test_helpers_of_a_class_method_know_their_class() -> None:
    assert Named.kind(1) == Named("x").kind(1) == "Named"
    assert Louder.kind(1) == "Louder"
    assert Louder.kind.key(2) == "using:Louder:2"
    assert str(inspect.signature(Louder.kind)) == "(n: 'int') -> 'str'"
    Named.kind.invalidate(1)
    assert Named.kind.lookup(1).state == "absent"
    assert Louder.kind.lookup(1).state == "fresh"


def test_a_static_method_is_called_without_an_object() -> None:
    still: Any = Named("x").still
    assert still(1) == Named.still(1) == -1
    still.invalidate(1)
    assert Named.still.lookup(1).state == "absent"


def test_a_class_method_without_a_template_must_say_what_of_its_class_matters() -> None:
    def kind(cls: type, n: int) -> int:
        return n

    with pytest.raises(ConfigurationError, match=r"is a class method.*cls.__name__"):
        cache.cached()(classmethod(kind))


def test_a_partial_object_is_cached_under_a_template() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    one_more = cache.cached("using:one more:{b}")(partial(add, 1))
    assert one_more(2) == one_more(b=2) == 3
    assert one_more.key(2) == "using:one more:2"


def test_names_that_others_may_share_do_not_make_keys() -> None:
    def add(a: int, b: int) -> int:
        return a + b

    class Adder:
        def add(self, n: int) -> int:
            return n

    for nameless in (partial(add, 1), Adder().add):
        with pytest.raises(ConfigurationError, match=r"which others may share.*give a template"):
            cache.cached()(nameless)


def test_a_decorated_function_is_called_by_the_signature_it_shows() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inner

    @cached("using:logged:{n}:{deep}")
    @logged
    def page(n: int, *, deep: bool = False) -> tuple[int, bool]:
        return n, deep

    assert page(1) == (1, False)
    assert page(n=1, deep=True) == (1, True)


def test_generators_are_refused() -> None:
    def items(n: int) -> Iterator[int]:
        yield n

    with pytest.raises(ConfigurationError, match=r"items' is a generator.*return a list"):
        cache.cached("using:{n}")(items)
    with pytest.raises(ConfigurationError, match=r"generator.*give a list"):
        cache.get_or_load("using:items", lambda: items(1))
    with pytest.raises(ConfigurationError, match=r"generator.*give a list"):
        cache.set("using:items", items(1))
    with pytest.raises(ConfigurationError, match=r"iterator \(map\).*give a list"):
        cache.get_or_load("using:items", lambda: map(str, [1]))
    with pytest.raises(ConfigurationError, match=r"iterator \(Pages\).*give a list"):
        cache.set("using:items", Pages())
    assert cache.get("using:items") is None


def test_a_mock_is_no_iterator_though_it_has_every_method() -> None:
    answer = MagicMock()
    assert cache.get_or_load("using:mock", lambda: answer) is answer


@pytest.mark.parametrize("thing", [None, 5, property(len)])
def test_what_is_no_function_is_refused(thing: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"function|property"):
        cache.cached("using:x")(thing)


def test_parentheses_that_were_forgotten_are_asked_for() -> None:
    def user(user_id: int) -> int:
        return user_id

    with pytest.raises(ConfigurationError, match=r"user' as its key: write @cache.cached\(\)"):
        cache.cached(user)


def test_one_name_to_ignore_may_be_given_as_it_is() -> None:
    def user(user_id: int, trace: str) -> int:
        return user_id

    wrapped = cache.cached("using:user:{user_id}", ignore="trace")(user)
    assert wrapped.key(1, "x") == "using:user:1"
    with pytest.raises(ConfigurationError, match="ignore is an object of type int"):
        cache.cached("using:user:{user_id}", ignore=5)


def test_wrong_arguments_are_said_of_the_function_that_was_called() -> None:
    @cached("using:user:{user_id}")
    def user(user_id: int) -> int:
        return user_id

    with pytest.raises(TypeError, match=r"user\(\) takes 1 positional argument but 2"):
        user(1, 2)
    with pytest.raises(TypeError, match=r"user\(\) missing 1 required"):
        user.invalidate()
    with pytest.raises(TypeError, match=r"Named.times\(\) takes"):
        Named("a").times(1, 2)


# -- keys, ids and calls ---------------------------------------------------------------------


def test_a_text_is_no_list_of_keys() -> None:
    reader = cache.read_through(lambda id: id, key="using:{}")
    with pytest.raises(KeyRejected, match="one text: give a list"):
        cache.get_many("abc")
    with pytest.raises(KeyRejected, match="one text: give a list"):
        cache.get_or_load_many("abc", lambda keys: {})
    with pytest.raises(KeyRejected, match="one text: give a list"):
        reader.get_many("abc")
    with pytest.raises(KeyRejected, match="one text: give a list"):
        Named("a").times.many("abc")


def test_a_list_is_no_key_and_no_id() -> None:
    reader = cache.read_through(lambda id: id, key="using:{}")
    with pytest.raises(KeyRejected, match=r"one by one, as in invalidate\(\*keys\)"):
        cache.invalidate(["a", "b"])
    with pytest.raises(KeyRejected, match=r"one by one, as in invalidate\(\*ids\)"):
        reader.invalidate([1, 2])
    with pytest.raises(KeyRejected, match="one by one"):
        reader.expire({1, 2})


# -- loaders and values ----------------------------------------------------------------------


def test_a_loader_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"loader is an object of type int.*lambda"):
        cache.get_or_load("using:a", 5)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "type NoneType: a loader of many returns a mapping"),
        (["Ada"], "type list: a loader of many returns a mapping"),
        ({1: "Ada"}, "nothing of what it was asked for"),
        ({"1": (n for n in "Ada")}, "generator"),
    ],
)
def test_a_loader_of_many_that_answers_something_else_is_not_believed(
    answer: Any, said: str
) -> None:
    class Source:
        def load(self, id: str) -> Any:
            return None

        def load_many(self, ids: list[str]) -> Mapping[str, Any]:
            found: Mapping[str, Any] = answer
            return found

    with new_cache() as own:
        with pytest.raises(ConfigurationError, match=said):
            own.get_or_load_many(["1"], lambda keys: answer)
        assert own.lookup("1").state == "absent"
        if isinstance(answer, dict):
            with pytest.raises(ConfigurationError, match=said):
                own.read_through(Source(), key="s:{}").get_many(["1"])
            assert own.lookup("s:1").state == "absent"


def test_a_loader_of_many_may_find_more_than_it_was_asked_for() -> None:
    with new_cache() as own:
        found = {"1": "Ada", "2": "Grace"}
        assert own.get_or_load_many(["1", "3"], lambda keys: found) == {"1": "Ada"}


def test_many_values_are_a_mapping() -> None:
    with pytest.raises(ConfigurationError, match="type list: give a mapping"):
        cache.set_many([("a", 1)])


def test_a_source_is_an_object_and_its_key_has_a_place_for_the_id() -> None:
    class Source:
        def load(self, id: int, /) -> int | None:
            return None

    with pytest.raises(ConfigurationError, match=r"the class Source: give an object.*Source\(\)"):
        cache.read_through(Source, key="using:{}")
    with pytest.raises(ConfigurationError, match="no placeholder for the id"):
        cache.read_through(Source(), key="using")
    with pytest.raises(ConfigurationError, match=r"did you mean {id}"):
        cache.read_through(Source(), key="using:{user_id}")


# -- the cache itself ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"l1": "no"}, "l1 is 'no': use True or False"),
        ({"codec": "yaml"}, "codec is 'yaml': use one of 'json', 'msgpack'"),
        ({"codec": 3}, "codec is an object of type int"),
        ({"ttl": None}, "every entry has a TTL"),
        ({"ttl": float("inf")}, "ttl is inf"),
        ({"max_ttl": None}, "max_ttl is None"),
    ],
)
def test_a_wrong_option_is_refused_where_the_cache_is_built(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Cache(**options)


def test_stats_show_what_there_is_to_see() -> None:
    with new_cache() as own:
        own.get_or_load("a", lambda: 1)
        own.get("a")
        shown = repr(own.stats())
    assert shown.startswith("Stats(hit_ratio=0.500, hits_l1=1, misses=1, loads=1, ")
    assert "shed" not in shown
    assert "coherence='alone'" in shown
