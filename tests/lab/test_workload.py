"""Generated workloads: the same for the same seed, and like the row they come from."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from freshwell.cli.lab.errors import LabInputError
from freshwell.cli.lab.workload import ROWS, Row, generate, named_row, read_row, with_writes

STATISTICS = Path(__file__).with_name("clusters.csv")
ROW = Row("example", 1.0, 0.2, 300, 60)


def test_the_same_seed_gives_the_same_workload_and_another_seed_another() -> None:
    first = generate(ROW, requests=2_000, distinct=100, seed=1)
    assert first == generate(ROW, requests=2_000, distinct=100, seed=1)
    assert first.ids != generate(ROW, requests=2_000, distinct=100, seed=2).ids


def test_ids_are_within_the_distinct_keys() -> None:
    workload = generate(ROW, requests=5_000, distinct=50, seed=3)
    assert set(workload.ids) <= set(range(50))
    assert len(workload) == len(workload.writes) == 5_000


@pytest.mark.parametrize("name", ROWS)
def test_the_share_of_writes_is_that_of_the_row(name: str) -> None:
    row = named_row(name)
    workload = generate(row, requests=20_000, distinct=1_000, seed=4)
    assert workload.write_share == pytest.approx(row.write_share, abs=0.02)
    assert (workload.value_bytes, workload.ttl_s) == (row.value_bytes, row.ttl_s)


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.5])
def test_popularity_follows_the_zipf_alpha_of_the_row(alpha: float) -> None:
    row = Row("skewed", alpha, 0.0, 300, 60)
    workload = generate(row, requests=100_000, distinct=500, seed=5)
    counts = [count for _, count in Counter(workload.ids).most_common()]
    # Between rank 2 and rank 20 the counts fall by the factor 10 ** alpha.
    assert math.log10(counts[1] / counts[19]) == pytest.approx(alpha, abs=0.15)


def test_popular_keys_are_not_the_low_ids() -> None:
    workload = generate(ROW, requests=20_000, distinct=1_000, seed=6)
    top = [id for id, _ in Counter(workload.ids).most_common(10)]
    assert max(top) > 100


def test_parts_share_the_requests_and_keep_their_order() -> None:
    workload = generate(ROW, requests=1_001, distinct=50, seed=7)
    parts = [workload.part(index, 3) for index in range(3)]
    assert sum(len(part) for part in parts) == 1_001
    assert parts[1].ids == workload.ids[1::3]
    assert parts[1].writes == workload.writes[1::3]


def test_writes_can_be_mixed_into_a_workload() -> None:
    workload = generate(Row("read", 1.0, 0.0, 300, 60), requests=10_000, distinct=50, seed=8)
    mixed = with_writes(workload, 0.3, seed=1)
    assert workload.write_share == 0
    assert mixed.write_share == pytest.approx(0.3, abs=0.02)
    assert mixed.ids == workload.ids
    assert with_writes(workload, 1.0, seed=1).write_share == 1


def test_a_row_is_read_from_statistics() -> None:
    row = read_row(STATISTICS, "readers")
    assert (row.name, row.zipf_alpha, row.value_bytes) == ("readers", 1.2, 500)
    assert row.write_share == pytest.approx(0.2)
    assert row.ttl_s == 300, "the TTL that most entries have"


def test_a_ttl_longer_than_the_cache_allows_is_cut_to_thirty_days() -> None:
    assert read_row(STATISTICS, "writers").ttl_s == 30 * 86_400


@pytest.mark.parametrize("name", ["nothing", "wordy"])
def test_a_row_that_lacks_a_figure_is_refused(name: str) -> None:
    with pytest.raises(LabInputError, match=f"row '{name}' of .* lacks a figure"):
        read_row(STATISTICS, name)


def test_a_row_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(LabInputError, match="no row 'x'; it has readers, writers"):
        read_row(STATISTICS, "x")
    with pytest.raises(LabInputError, match="no row 'x': use one of cluster4"):
        named_row("x")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(None, "cannot be read as statistics", id="no file"),
        pytest.param(b"", "is no statistics file", id="empty"),
        pytest.param(b"a,b\n1,2\n", "is no statistics file", id="other columns"),
        pytest.param(b"cluster\n\xff\n", "cannot be read as statistics", id="no text"),
    ],
)
def test_a_file_that_is_no_statistics_is_refused(
    tmp_path: Path, data: bytes | None, sentence: str
) -> None:
    path = tmp_path / "stats.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(LabInputError, match=sentence):
        read_row(path, "x")


def test_parts_by_writer_share_all_requests_and_give_each_id_one_writer() -> None:
    workload = generate(Row("example", 1.0, 0.5, 100, 60), requests=2_000, distinct=50, seed=1)
    parts = [workload.part_by_writer(index, 3) for index in range(3)]
    requests = [Counter(zip(part.ids, part.writes, strict=True)) for part in parts]
    assert sum(requests, Counter()) == Counter(zip(workload.ids, workload.writes, strict=True))
    written = [{id for id, is_write in counts if is_write} for counts in requests]
    assert not written[0] & written[1] | written[1] & written[2] | written[0] & written[2]
    read = [{id for id, is_write in counts if not is_write} for counts in requests]
    assert all(ids & read[0] for ids in written), "each reads what others write"
