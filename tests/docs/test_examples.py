"""Every example runs, says something, and is short enough to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages as kit

EXAMPLES = sorted((kit.ROOT / "examples").glob("*.py"))
WITH_SERVER = [example for example in EXAMPLES if kit.url(example.read_text())]


def name(example: Path) -> str:
    return example.stem


def test_there_are_examples_with_and_without_a_server() -> None:
    assert WITH_SERVER
    assert set(WITH_SERVER) < set(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_example_runs_with_nothing_around_it(example: Path, tmp_path: Path) -> None:
    ran = kit.run(example, tmp_path)
    assert (ran.code, ran.errors) == (0, "")
    assert ran.outputs[0].strip()


@pytest.mark.parametrize("example", WITH_SERVER, ids=name)
def test_an_example_that_uses_a_server_runs(example: Path, tmp_path: Path, redis_url: str) -> None:
    alone = kit.run(example, tmp_path)
    ran = kit.run(example, tmp_path, redis_url)
    assert (ran.code, ran.errors) == (0, "")
    assert ran.outputs != alone.outputs


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_an_example_holds_one_idea(example: Path) -> None:
    text = example.read_text()
    assert len(text.splitlines()) < 60
    assert text.startswith('"""')
