"""experiments.linear_tiles: turns, failures and the best candidate, at tiny shapes on a CPU."""

from contextlib import contextmanager

import pytest
import torch

pytest.importorskip("triton", reason="triton is not installable on this platform")

from experiments import linear_tiles as tiles
from experiments.linear_methods import problem
from xent.kernels import linear, linear_rows
from xent.ops import linear_chunks

SHAPE = (5, 8, 40)
SMALL = linear.INTERPRETER
CANDIDATES = {
    tiles.LIBRARY: tiles.ExitStack,
    "small": lambda: tiles.using_tile(SMALL | {"BLOCK_V": 16, "PARTS": 1}, 32),
    "of three columns": lambda: tiles.using_tile(SMALL | {"BLOCK_V": 3}, 32),
}


@pytest.fixture(scope="module")
def rows():
    tasks = tiles.tile_tasks(*problem(SHAPE, "cpu", torch.float32))
    return tiles.turns(tasks, CANDIDATES, SHAPE, repeats=1)


def test_each_task_has_a_row_per_candidate_and_a_failure_says_why(rows):
    assert len(rows) == 4 * len(CANDIDATES)
    for row in rows:
        if row["candidate"] == "of three columns":
            assert "failed" in row and row["failed"] and "seconds" not in row
        else:
            assert row["seconds"] > 0 and row["TFLOP/s"] > 0
            assert row["range"][0] <= row["seconds"] <= row["range"][1]


def test_the_best_is_the_fastest_and_compared_with_the_library(rows):
    found = tiles.best(rows)
    assert set(found) == {row["task"] for row in rows}
    for entry in found.values():
        assert entry["candidate"] in (tiles.LIBRARY, "small")
        assert entry["library / best"] >= 1


def test_wrong_losses_and_lack_of_time_are_no_times():
    answer = torch.zeros(2)

    @contextmanager
    def wrong():
        answer.fill_(1.0)
        yield
        answer.zero_()

    tasks = {"task": (answer.clone, 1)}
    candidates = {tiles.LIBRARY: tiles.ExitStack, "other": wrong}
    found = tiles.turns(tasks, candidates, SHAPE, repeats=1)
    assert "seconds" in found[0] and found[1]["failed"] == "wrong losses"
    found = tiles.turns(tasks, candidates, SHAPE, repeats=1, deadline=0.0)
    assert [row["failed"] for row in found] == ["not reached in time"] * 2
    assert tiles.best(found) == {}


def test_candidates_are_in_use_only_inside_their_context():
    before = linear.tiles, linear.GPU_SPLIT, linear_chunks.GPU_TOKENS, linear_rows.GPU_TILE
    for name, candidate in (tiles.tile_candidates() | tiles.chunk_candidates()).items():
        with candidate():
            pass
        if name in tiles.TILES:
            change, split = tiles.TILES[name]
            with candidate():
                assert linear.tiles(None, None) == tiles.TILE | change
                assert linear.GPU_SPLIT == split
    with tiles.using_chunks(7, 64):
        assert linear_chunks.GPU_TOKENS == 7 and linear_rows.GPU_TILE == 64
    assert before == (
        linear.tiles, linear.GPU_SPLIT, linear_chunks.GPU_TOKENS, linear_rows.GPU_TILE
    )  # fmt: skip


def test_the_library_s_tile_is_among_the_candidates():
    wide, narrow = (tiles.TILE | tiles.TILES[name][0] for name in ("128x256", "128x128"))
    assert wide == linear.WIDE and narrow == linear.NARROW
    assert tiles.CHUNKS["chunks of 4096"] == (linear_chunks.GPU_TOKENS, linear_rows.GPU_TILE)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_a_message_and_no_record(tmp_path, capsys):
    assert tiles.run(tmp_path) is None
    assert "no CUDA device" in capsys.readouterr().out and not list(tmp_path.iterdir())
