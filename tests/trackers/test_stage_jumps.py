"""Jumps of the stage, told by all particles together."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.trackers.stage_jumps import _fullest_cell, jump_offsets


@pytest.mark.parametrize("seed", range(20))
def test_the_fullest_cell_is_the_first_of_those_that_sorted_rows_have(seed):
    rng = np.random.default_rng(seed)
    # Few pairs in many cells: several have the same number.
    pairs = rng.uniform(-60, 40, (int(rng.integers(1, 200)), 2))
    cells, count = np.unique(np.floor(pairs / 7).astype(np.int64), axis=0, return_counts=True)
    assert _fullest_cell(pairs, 7.0).tolist() == cells[np.argmax(count)].tolist()


def test_a_jump_that_all_particles_share_is_found():
    places = np.random.default_rng(0).uniform(0, 400, (30, 2))
    frames = np.repeat([4, 5, 6], 30)
    step = np.array([31.0, -18.0])
    positions = np.concatenate([places, places + step, places + step])
    tracks = np.concatenate([np.arange(30), np.arange(30, 60), np.arange(30, 60)])
    moved = jump_offsets(frames, positions, tracks, 8.0)
    np.testing.assert_allclose(moved[:30], 0)
    np.testing.assert_allclose(moved[30:], np.tile(step, (60, 1)))
