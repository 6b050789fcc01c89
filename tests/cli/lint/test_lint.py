"""``freshwell lint``: which files it reads, how it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from freshwell.cli.lint.findings import RULES
from freshwell.cli.lint.linting import lint_text
from tests.cli.lint.cases import CASES
from tests.cli.running import run
from tests.tidy.places import REPOSITORY, own_sources

FAULT = "import redis\nr = redis.Redis()\nr.set('a', 1)\n"
RACE = "import redis\nr = redis.Redis()\nr.get('a')\nr.set('a', 1, ex=9)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a fault, a notice, and files that are none of the program's."""
    (tmp_path / "fault.py").write_text(FAULT)
    (tmp_path / "clean.py").write_text("x = 1\n")
    for other in (".venv", "node_modules", "__pycache__"):
        (tmp_path / other).mkdir()
        (tmp_path / other / "fault.py").write_text(FAULT)
    (tmp_path / "page.md").write_text(FAULT)
    return tmp_path


def test_this_repository_and_a_clean_service_have_no_findings() -> None:
    places = ("src", "examples")
    files = [path for path in own_sources() if path.relative_to(REPOSITORY).parts[0] in places]
    files.append(REPOSITORY / "tests" / "cli" / "lint" / "clean.py")
    assert len(files) > 100
    for file in files:
        assert lint_text(str(file), file.read_text("utf-8"), RULES) == []


def test_a_folder_is_searched_and_what_is_not_the_programs_is_not(folder: Path) -> None:
    ran = run("lint", str(folder))
    assert (ran.code, ran.err) == (1, "")
    first, cure, last = ran.out.splitlines()
    assert first.startswith(f"{folder / 'fault.py'}:3:1: FW001 set() without a TTL")
    assert cure.strip().startswith("cure: give it a TTL")
    assert last == "1 finding in 2 files"


def test_files_are_read_once_and_whatever_they_are_called(folder: Path) -> None:
    ran = run("lint", str(folder / "fault.py"), str(folder), str(folder / "page.md"))
    assert ran.out.splitlines()[-1] == "2 findings in 3 files"


def test_the_json_has_the_fields_that_the_page_names(folder: Path) -> None:
    for words in (("--json",), ("--format", "json")):
        ran = run("lint", str(folder), *words)
        found = json.loads(ran.out)
        assert (ran.code, found["schema"], found["files"]) == (1, 1, 2)
        (one,) = found["findings"]
        assert list(one) == ["code", "name", "level", "path", "line", "column", "message", "cure"]
        assert (one["code"], one["line"], one["column"]) == ("FW001", 3, 1)


def test_github_reads_annotations(tmp_path: Path) -> None:
    (tmp_path / "a,b:c%.py").write_text(FAULT + RACE)
    lines = run("lint", str(tmp_path), "--format", "github").out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("::warning file=")
    assert "a%2Cb%3Ac%25.py,line=3,col=1,title=FW001 no-ttl::set() without" in lines[0]
    assert lines[1].startswith("::notice file=")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 1),
        (("--select", "FW001"), 1),
        (("--select", "fw0"), 1),
        (("--select", "FW005,FW006"), 0),
        (("--ignore", "FW001"), 0),
        (("--select", "FW", "--ignore", "FW001"), 0),
    ],
)
def test_codes_are_chosen(words: tuple[str, ...], code: int, folder: Path) -> None:
    assert run("lint", str(folder), *words).code == code


def test_a_notice_fails_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "race.py").write_text(RACE)
    plain = run("lint", str(tmp_path))
    assert (plain.code, "FW010" in plain.out) == (0, True)
    assert run("lint", str(tmp_path), "--fail-on", "notice").code == 1


def test_what_cannot_be_carried_out_is_no_finding(folder: Path, tmp_path: Path) -> None:
    cases = [
        ((str(tmp_path / "none"),), "there is no file or folder"),
        ((str(folder), "--select", "E501"), "codes are FW001 to FW013"),
        ((str(folder), "--ignore", ""), "codes are"),
        ((str(folder), "--format", "xml"), "xml"),
        ((), "Missing argument"),
    ]
    for words, said in cases:
        ran = run("lint", *words)
        assert (ran.code, ran.out) == (2, ""), words
        assert said in ran.err


def test_a_file_that_is_no_python_fails_and_the_others_are_read(folder: Path) -> None:
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "bytes.py").write_bytes(b"\xff\xfe\x00x = 1\n")
    ran = run("lint", str(folder))
    assert ran.code == 1
    assert ran.out.count("FW000 not read as Python") == 2
    assert "FW001" in ran.out


def test_nothing_of_what_is_read_is_run(tmp_path: Path) -> None:
    (tmp_path / "trap.py").write_text("raise SystemExit(7)\n")
    assert run("lint", str(tmp_path)).code == 0


def test_all_faults_in_one_folder_are_found(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        (tmp_path / f"case_{number}.py").write_text(case.head + case.fault)
    found = json.loads(run("lint", str(tmp_path), "--json").out)["findings"]
    assert len(found) == len(CASES)
