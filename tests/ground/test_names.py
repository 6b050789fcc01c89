"""What entries and tags are called in L2."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freshwell.ground.keys import digest8
from freshwell.ground.names import Names, key_tag, named, namespace_tag, split, user_tag

namespaces = st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True)
versions = st.just("") | st.from_regex(r"[A-Za-z0-9._-]{1,4}", fullmatch=True)
keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8) | (
    st.sampled_from(["a:b", ":", "/x:a", "@1:a", "{a}"])
)
places = st.tuples(namespaces, versions, st.just("") | namespaces, keys)


@given(places, places)
def test_two_entries_never_share_a_key(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    found = [
        Names(ns, version).entry(named(inner, key)) for ns, version, inner, key in (one, other)
    ]
    assert (found[0] == found[1]) == (one == other)


@given(places)
def test_a_name_is_found_again_from_its_key(place: tuple[str, str, str, str]) -> None:
    namespace, version, inner, key = place
    names, name = Names(namespace, version), named(inner, key)
    assert names.name_of(names.entry(name)) == name
    assert split(name) == (inner, key)
    assert names.digest_of(names.entry(name)) is None


@given(st.lists(st.tuples(st.just("") | namespaces, keys), max_size=5), versions)
def test_many_are_named_as_each_is_by_itself(given: list[tuple[str, str]], version: str) -> None:
    names = Names("shop", version)
    own = [named(inner, key) for inner, key in given]
    l2_keys = names.entries(own)
    assert l2_keys == [names.entry(name) for name in own]
    for _ in range(2 if own else 0):  # the second time from memory
        again, digests = names.places(own)
        assert [*again] == l2_keys
        assert digests == tuple(map(digest8, l2_keys))
    root = names.prefixes[0]
    foreign = [b"fw:e:other:a", names.version_key(b"12345678"), root + b"\xff\n", root, b"\n"]
    told = [*l2_keys, *foreign, *l2_keys]
    assert names.names_of(told) == [n for key in told if (n := names.name_of(key)) is not None]


def test_no_more_than_so_many_names_are_remembered() -> None:
    names = Names("shop")
    own = [f"k:{i}" for i in range(25_000)]
    for start in (0, 9_000, 18_000):
        part = own[start : start + 9_000]
        assert [*names.places(part)[0]] == names.entries(part)
    assert [*names.places(own)[0]] == names.entries(own)
    assert len(names._places) <= 10_000


@given(places)
def test_no_prefix_is_the_beginning_of_another(place: tuple[str, str, str, str]) -> None:
    names = Names(place[0], place[1])
    for one in names.prefixes:
        assert [one] == [other for other in names.prefixes if other.startswith(one)]


def test_a_version_is_found_from_its_digest() -> None:
    names = Names("shop")
    digest = names.digest(user_tag("users"))
    assert names.digest_of(names.version_key(digest)) == digest
    assert names.name_of(names.version_key(digest)) is None
    assert names.digest_of(b"fw:t:shop:no digest") is None
    assert names.digest_of(b"fw:t:other:" + digest.hex().encode()) is None


def test_schema_versions_share_tags_and_no_entries() -> None:
    old, new = Names("shop", "1"), Names("shop", "2")
    assert old.digest(user_tag("a")) == new.digest(user_tag("a"))
    assert old.entry("a") != new.entry("a")


def test_tags_of_different_kinds_differ() -> None:
    names = Names("shop")
    tags = [user_tag("a"), key_tag("a"), namespace_tag("a"), user_tag("/a"), user_tag("=a"), ""]
    assert len({names.digest(tag) for tag in tags}) == len(tags)
    assert names.digest(user_tag("a")) != Names("other").digest(user_tag("a"))


def test_digests_are_fixed_for_ever() -> None:
    names = Names("app")
    assert names.entry("user:1") == b"fw:e:app:user:1"
    assert names.entry(named("reports", "1")) == b"fw:e:app/reports:1"
    assert Names("app", "3").entry("user:1") == b"fw:e:app@3:user:1"
    digest = names.digest(user_tag("users"))
    assert names.version_key(digest) == b"fw:t:app:" + digest.hex().encode()
    assert digest.hex() == "517653cb2daca1a3"
