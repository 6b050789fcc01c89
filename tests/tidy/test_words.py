"""Files that are committed say nothing of the machine on which they were written."""

from __future__ import annotations

import re

import pytest

from tests.tidy.places import REPOSITORY, committed_files

# Written so that they do not find themselves.
FOREIGN = re.compile(
    r"(?<![\w.}])/(?:[w]ork|[r]oot|[h]ome/\w+|[o]pt/\w+|[U]sers/\w+)/"
    r"|\b[p]ypi\.(?:org|io)|\b[p]ythonhosted\.org|\b[n]pmjs\.|\b[c]rates\.io"
)


def test_no_file_names_a_path_of_one_machine_or_a_host_of_packages() -> None:
    found = []
    for path in committed_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for match in FOREIGN.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(REPOSITORY)}:{line}: {match[0]}")
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "words", ["see /{}/main/src", "'/{}/x'", "/{}/x"], ids=["text", "quoted", "bare"]
)
def test_a_path_of_one_machine_is_found(words: str) -> None:
    assert FOREIGN.search(words.format("wo" + "rk"))


@pytest.mark.parametrize("words", ["a/work/b", "network/x", "src/work/", "/usr/bin/python"])
def test_other_paths_are_let_through(words: str) -> None:
    assert not FOREIGN.search(words)
