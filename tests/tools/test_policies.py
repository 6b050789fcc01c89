"""The references of the eviction benchmark, the traces that it reads, and what it reports."""

from __future__ import annotations

import json
import lzma
import random
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.policies.__main__ import main
from benchmarks.policies.references import (
    REFERENCES,
    Arc,
    Fifo,
    Lru,
    Reference,
    S3Fifo,
    Sieve,
    WTinyLfu,
    hits_of,
    hits_of_belady,
    hits_of_bytes,
)
from benchmarks.policies.replay import hits_of_table
from benchmarks.policies.report import Cell, as_markdown, failures
from benchmarks.policies.traces import Trace, read_folder, sampled, synthetic


def _random_keys(seed: int, count: int = 3_000) -> list[int]:
    chance = random.Random(seed)
    return [int(chance.paretovariate(0.6)) % 300 for _ in range(count)]


def _victims(policy: Reference, keys: Sequence[int], capacity: int) -> list[int]:
    """Replay requests and return which keys left, in order."""
    held: list[int] = []
    left: list[int] = []
    for key in keys:
        if key in held:
            policy.hit(key)
            continue
        policy.seek(key)
        if len(held) == capacity:
            left.append(policy.evict())
            held.remove(left[-1])
        held.append(key)
        policy.insert(key)
    return left


# -- each reference on a few requests ---------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "victims"),
    [
        (Fifo(), [1, 2, 3]),
        (Lru(), [2, 3, 4]),
        # The hand spares 1 where it is, and goes on from there.
        (Sieve(), [2, 3, 4]),
        # 1 was hit once only, which is not enough for the main queue.
        (S3Fifo(), [1, 2, 3]),
        # 1 was asked for twice, and those asked for once leave before it.
        (Arc(), [2, 3, 4]),
        # Whoever leaves the window is no more wanted than who is oldest in the main part.
        (WTinyLfu(), [4, 5, 6]),
    ],
)
def test_these_keys_leave(policy: Reference, victims: list[int]) -> None:
    assert _victims(policy, [1, 2, 3, 4, 1, 5, 6, 7], 4) == victims


def test_sieve_spares_in_place_and_lru_does_not() -> None:
    requests = [1, 2, 3, 1, 4, 5, 6]
    assert _victims(Sieve(), requests, 3) == [2, 3, 4]
    assert _victims(Sieve(), [*requests, 7], 3) == [2, 3, 4, 5]
    assert _victims(Lru(), [*requests, 7], 3) == [2, 3, 1, 4]


def test_s3_fifo_takes_a_ghost_straight_to_the_main_queue() -> None:
    requests = [*range(10), 10, 0, *range(11, 30)]
    assert 0 in _victims(Fifo(), requests, 10)[1:]
    assert _victims(S3Fifo(), requests, 10).count(0) == 1


def test_w_tiny_lfu_lets_in_who_was_asked_for_more_often() -> None:
    policy = WTinyLfu()
    _victims(policy, [1, 2, 3], 3)
    for _ in range(3):
        policy.seek(4)
    assert policy.evict() == 3
    policy.insert(4)
    policy.seek(5)
    assert policy.evict() == 1


def test_arc_gives_the_once_seen_more_room_when_their_ghosts_return() -> None:
    policy = Arc()
    _victims(policy, [1, 2, 3, 4, 1, 2], 4)
    policy.seek(5)
    assert policy.evict() == 3
    policy.insert(5)
    policy.seek(3)
    assert policy.evict() == 4
    policy.insert(3)
    policy.seek(6)
    # The target is 1 now, and no more than one key is held that was seen once.
    assert policy.evict() == 1


def test_belady_lets_go_of_what_is_asked_for_the_latest() -> None:
    requests = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
    assert hits_of_belady(requests, 3) == 5
    assert hits_of(Fifo(), requests, 3) == 3
    assert hits_of(Lru(), requests, 3) == 2


# -- what holds for all -----------------------------------------------------------------------


@pytest.mark.parametrize("capacity", [1, 7, 50])
def test_lru_is_what_an_ordered_dict_says(capacity: int) -> None:
    keys, held, hits = _random_keys(capacity), OrderedDict[int, None](), 0
    for key in keys:
        if key in held:
            hits += 1
            held.move_to_end(key)
        else:
            if len(held) == capacity:
                held.popitem(last=False)
            held[key] = None
    assert hits_of(Lru(), keys, capacity) == hits


@pytest.mark.parametrize("capacity", [1, 3, 20])
def test_nothing_is_above_belady(capacity: int) -> None:
    for trace in synthetic(1_000):
        best = hits_of_belady(trace.keys, capacity)
        assert hits_of_table(trace.keys, capacity) <= best
        for make in (Fifo, *REFERENCES.values()):
            assert hits_of(make(), trace.keys, capacity) <= best


@pytest.mark.parametrize("name", REFERENCES)
def test_where_everything_fits_only_first_requests_are_missed(name: str) -> None:
    keys = _random_keys(2)
    distinct = len(set(keys))
    assert hits_of(REFERENCES[name](), keys, distinct) == len(keys) - distinct
    assert hits_of_belady(keys, distinct) == len(keys) - distinct


@pytest.mark.parametrize("name", REFERENCES)
def test_entries_of_one_byte_are_bounded_in_bytes_as_in_entries(name: str) -> None:
    keys = _random_keys(3)
    make = REFERENCES[name]
    assert hits_of_bytes(make(), keys, [1] * len(keys), 40) == hits_of(make(), keys, 40)


def test_what_is_larger_than_the_cache_is_not_stored_and_pushes_nothing_out() -> None:
    assert hits_of_bytes(Lru(), [1, 2, 9, 1, 2, 9], [5, 5, 11, 5, 5, 11], 10) == 2


# -- traces -----------------------------------------------------------------------------------


def test_both_formats_are_read_packed_or_not(tmp_path: Path) -> None:
    words = struct.pack(">4I", 7, 8, 7, 9)
    oracle = b"".join(struct.pack("<IQIq", at, 1 << 40 | at % 2, 100, 0) for at in range(4))
    (tmp_path / "a.trace").write_bytes(words)
    (tmp_path / "b.trace.xz").write_bytes(lzma.compress(words))
    (tmp_path / "c.oracleGeneral.xz").write_bytes(lzma.compress(oracle))
    (tmp_path / "README").write_text("no trace")
    plain, packed, sized = read_folder(tmp_path, 3)
    assert plain == Trace("a", [7, 8, 7], 3)
    assert packed == Trace("b", [7, 8, 7], 3)
    assert sized == Trace("c", [1 << 40, 1 << 40 | 1, 1 << 40], 2, [100, 100, 100])


def test_a_sample_has_all_requests_of_the_keys_it_has() -> None:
    keys = _random_keys(4, 20_000)
    sample = sampled(Trace("t", keys, len(set(keys)), keys), 5_000)
    chosen = set(sample.keys)
    assert 20 < len(chosen) < 200
    assert sample.keys == sample.sizes == [key for key in keys if key in chosen]
    assert sample.distinct == len(chosen)


def test_made_traces_are_the_same_every_time() -> None:
    assert synthetic(500) == synthetic(500)


# -- the report -------------------------------------------------------------------------------


def _cell(lru: float, ours: float, *, recorded: bool = True) -> Cell:
    ratios = {"LRU": lru, "ARC": lru - 1, "S3-FIFO": lru - 2, "freshwell": ours}
    return Cell("t", 10, "entries", recorded, ratios)


def test_a_table_far_below_lru_in_one_cell_or_on_average_is_below_target() -> None:
    assert failures([_cell(50, 49.6), _cell(50, 52)]) == []
    assert failures([_cell(50, 49.4), _cell(50, 52)]) == [
        "t, 10 entries: 49.40 % is more than 0.5 below LRU's 50.00 %"
    ]
    assert failures([_cell(50, 49.6)]) == ["Recorded traces: a mean of 49.60 % is not above LRU's"]
    assert failures([_cell(50, 10, recorded=False)]) == []


def test_freshwell_stands_out_in_markdown() -> None:
    lines = as_markdown([_cell(50, 52)], {}).splitlines()
    assert "| t | 10 entries | 50.00 | 49.00 | 48.00 | 52.00 |" in lines
    assert "| **freshwell** | **52.00** | **+2.00** | **+2.00** |  |  |" in lines


def test_a_run_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = _random_keys(5, 2_000)
    (tmp_path / "small.trace").write_bytes(struct.pack(f">{len(keys)}I", *keys))
    markdown, figures = tmp_path / "out.md", tmp_path / "out.json"
    arguments = ["--traces", str(tmp_path), "--sizes", "5", "20", "--no-made", "--no-cost"]
    main([*arguments, "--json", str(figures), "--markdown", str(markdown)])
    assert capsys.readouterr().out == markdown.read_text()
    cells = json.loads(figures.read_text())["cells"]
    assert [cell["size"] for cell in cells] == [len(set(keys)) // 20, len(set(keys)) // 5]
    assert cells[0]["ratios"]["LRU"] == 100 * hits_of(Lru(), keys, cells[0]["size"]) / len(keys)


def test_a_folder_that_is_not_there_is_one_sentence_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--traces", str(tmp_path / "nowhere")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
