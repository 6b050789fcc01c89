"""The reference page says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import freshwell
import reference


def test_the_reference_is_up_to_date() -> None:
    assert reference.main(["--check"]) == 0, "run tools/reference.py"


def test_every_public_name_is_in_the_reference() -> None:
    text = reference.page()
    for name in freshwell.__all__:
        assert re.search(rf"^##+ {name}$|^Sync: `{name}`\.$", text, re.MULTILINE), name


def test_every_public_verb_of_a_cache_is_in_the_reference() -> None:
    text = reference.page()
    for verb in (name for name in dir(freshwell.AsyncCache) if not name.startswith("_")):
        assert f"\n### AsyncCache.{verb}\n" in text, verb


def test_an_old_reference_is_caught_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "reference" / "api.md"
    monkeypatch.setattr(reference, "TARGET", target)
    assert reference.main(["--check"]) == 1
    assert "not up to date" in capsys.readouterr().err
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    target.write_text(target.read_text() + "more\n")
    assert reference.main(["--check"]) == 1
