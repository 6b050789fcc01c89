"""Traces: every format is read, and what is none is refused in one sentence."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.traces import read_trace

KEYS = [70_000, 5, 70_000, 4_000_000_000, 5]
DENSE = [0, 1, 0, 2, 1]
DATA = struct.pack(">5I", *KEYS)


def test_a_binary_trace_is_read_as_big_endian_keys_numbered_by_appearance(tmp_path: Path) -> None:
    path = tmp_path / "small.trace"
    path.write_bytes(DATA)
    workload = read_trace(path)
    assert list(workload.ids) == DENSE
    assert (workload.distinct, workload.name, len(workload)) == (3, "small.trace", 5)
    assert workload.write_share == 0


def test_a_compressed_trace_is_the_same_workload(tmp_path: Path) -> None:
    path = tmp_path / "small.trace.xz"
    path.write_bytes(lzma.compress(DATA))
    assert list(read_trace(path).ids) == DENSE


def test_a_limit_takes_the_first_requests(tmp_path: Path) -> None:
    for name, data in (("a.trace", DATA), ("a.trace.xz", lzma.compress(DATA))):
        (tmp_path / name).write_bytes(data)
        workload = read_trace(tmp_path / name, limit=2)
        assert (list(workload.ids), workload.distinct) == ([0, 1], 2)
    (tmp_path / "a.csv").write_text("key\nx\ny\nx\n")
    assert list(read_trace(tmp_path / "a.csv", limit=2).ids) == [0, 1]


def test_a_csv_without_operations_only_reads(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("time,key\n1,user:1\n2,user:2\n3,user:1\n")
    workload = read_trace(path)
    assert list(workload.ids) == [0, 1, 0]
    assert workload.write_share == 0


def test_a_csv_with_operations_writes_where_it_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text("key,op\na,get\na,SET\nb,gets\nb,delete\na,\n")
    workload = read_trace(path)
    assert list(workload.ids) == [0, 0, 1, 1, 0]
    assert list(workload.writes) == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        pytest.param("cut.trace", DATA[:-1], "is cut short", id="half a key"),
        pytest.param("cut.trace.xz", lzma.compress(DATA)[:-20], "cannot be read", id="half an xz"),
        pytest.param("not.trace.xz", b"hello, this is text", "cannot be read", id="no xz"),
        pytest.param("empty.trace", b"", "has no requests", id="empty trace"),
        pytest.param("empty.trace.xz", lzma.compress(b""), "has no requests", id="empty xz"),
        pytest.param("empty.csv", b"", "has no column named 'key'", id="empty csv"),
        pytest.param("head.csv", b"key,op\n", "has no requests", id="only a header"),
        pytest.param("other.csv", b"name\nx\n", "has no column named 'key'", id="no key column"),
        pytest.param("bytes.csv", b"key\n\xff\xfe\n", "is no CSV file", id="no text"),
        pytest.param("trace.parquet", b"PAR1", "is in no known format", id="unknown format"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_sentence(
    tmp_path: Path, name: str, data: bytes, sentence: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(LabInputError, match=sentence) as caught:
        read_trace(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gone.trace", "gone.trace.xz", "gone.csv", "gone"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(LabInputError, match="there is no file"):
        read_trace(tmp_path / name)


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "folder.trace").mkdir()
    with pytest.raises(LabInputError, match="cannot be read"):
        read_trace(tmp_path / "folder.trace")
