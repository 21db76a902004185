"""Tiles: every point of a frame belongs to one, and nobody can tell that there were any."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.detectors.learning.tiles import padded, tiles_of

GRID = 32
SIDES = st.integers(1, 3000)


@settings(max_examples=120)
@given(height=SIDES, width=SIDES, units=st.integers(4, 40), part=st.floats(0.05, 0.5))
def test_cores_cover_the_frame_once_and_windows_lie_inside(height, width, units, part):
    tile_px = units * GRID
    overlap = max(1, int(part * tile_px))
    tiles = list(tiles_of((height, width), tile_px, overlap, GRID))
    seen = np.zeros((height, width), np.uint8)
    for tile in tiles:
        left, top, right, bottom = tile.core
        seen[top:bottom, left:right] += 1
        assert 0 <= tile.x_min <= left < right <= tile.x_max <= width
        assert 0 <= tile.y_min <= top < bottom <= tile.y_max <= height
        assert tile.x_min % GRID == tile.y_min % GRID == 0
        assert max(tile.x_max - tile.x_min, tile.y_max - tile.y_min) <= tile_px
    assert (seen == 1).all()


@settings(max_examples=120)
@given(width=SIDES, units=st.integers(4, 40), part=st.floats(0.05, 0.5))
def test_neighbours_share_the_overlap_and_are_equal_once_padded(width, units, part):
    tile_px = units * GRID
    overlap = max(1, int(part * tile_px))
    tiles = list(tiles_of((50, width), tile_px, overlap, GRID))
    if width <= tile_px:
        assert [(t.x_min, t.x_max) for t in tiles] == [(0, width)]
        return
    for one, other in pairwise(tiles):
        assert one.x_min + tile_px - other.x_min >= overlap
        # Half of what they share is what both see around the border between them.
        assert one.core[2] == other.core[0] == (one.x_max + other.x_min) // 2
    assert {-(-(t.x_max - t.x_min) // GRID) * GRID for t in tiles} == {tile_px}


@settings(max_examples=120)
@given(width=SIDES, tile_px=st.integers(20, 1000), part=st.floats(0.05, 0.5))
def test_tiles_of_any_side_see_all_of_a_frame(width, tile_px, part):
    tiles = list(tiles_of((50, width), tile_px, max(1, int(part * tile_px)), GRID))
    assert tiles[-1].x_max == width
    for tile in tiles:
        assert tile.x_min <= tile.core[0] < tile.core[2] <= tile.x_max
    assert sum(tile.core[2] - tile.core[0] for tile in tiles) == width


def test_a_known_row():
    tiles = list(tiles_of((100, 300), 128, 64, GRID))
    assert [(t.x_min, t.x_max) for t in tiles] == [(0, 128), (64, 192), (128, 256), (192, 300)]
    assert [t.core for t in tiles] == [
        (0, 0, 96, 100), (96, 0, 160, 100), (160, 0, 224, 100), (224, 0, 300, 100),
    ]  # fmt: skip


@settings(max_examples=50)
@given(x=st.floats(0, 300, exclude_max=True), y=st.floats(0, 100, exclude_max=True))
def test_every_point_has_one_tile(x, y):
    tiles = list(tiles_of((100, 300), 128, 64, GRID))
    assert sum(bool(tile.holds(np.array([x]), np.array([y]))[0]) for tile in tiles) == 1


def test_a_window_is_a_view_of_the_frame():
    frame = np.arange(300 * 200).reshape(200, 300)
    for tile in tiles_of(frame.shape, 128, 32, GRID):
        cut = tile.cut(frame)
        assert np.shares_memory(cut, frame)
        assert cut[0, 0] == frame[tile.y_min, tile.x_min]
        assert cut[-1, -1] == frame[tile.y_max - 1, tile.x_max - 1]


@pytest.mark.parametrize("how", ["edge", "reflect"])
@pytest.mark.parametrize("shape", [(5, 7), (8, 8), (1, 1), (2, 3), (9, 16)])
def test_padding_continues_the_rim(shape, how):
    images = [np.random.default_rng(k).random(shape, dtype=np.float32) for k in range(3)]
    batch = padded(images, 8, how)
    height, width = (-(-side // 8) * 8 for side in shape)
    assert batch.shape == (3, 1, height, width)
    assert batch.dtype == np.float32
    for image, (found,) in zip(images, batch, strict=True):
        below, right = height - shape[0], width - shape[1]
        np.testing.assert_array_equal(found, np.pad(image, ((0, below), (0, right)), mode=how))
