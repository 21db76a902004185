"""Targets of ``line-tracer``, and what happens to lines on the way to them."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.detectors.line_tracer.crops import (
    CropMaker,
    LineView,
    cropped_lines,
    scaled_lines,
    turned_lines,
)
from defectscope.detectors.line_tracer.lattice import STRIDE, bin_normals
from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions
from defectscope.detectors.line_tracer.targets import line_targets

LINE = np.linspace([10.0, 21.3], [54.0, 21.3], 80)


def test_cells_on_the_line_hold_it_and_know_how_far_it_is():
    targets = line_targets([LINE], (64, 64), 16)
    assert targets.presence.shape == targets.offsets.shape == (16, 32, 32)
    row = int(21.3 // STRIDE)
    # The bin of horizontal lines, whose normal points down.
    assert targets.presence[0, row, 8] == 1
    assert targets.offsets[0, row, 8] == pytest.approx(21.3 - (row + 0.5) * STRIDE, abs=1e-5)
    assert targets.presence[8].max() == 0
    assert targets.presence[:, :, :4].max() == targets.presence[:, :, 28:].max() == 0
    assert targets.counted.min() == 1


@pytest.mark.parametrize("angle", np.arange(0, 180, 7.5))
def test_offsets_lead_from_every_cell_to_the_line(angle):
    way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    normal = np.array([-way[1], way[0]])
    line = 32.4 + np.linspace(-20, 20, 90)[:, None] * way
    targets = line_targets([line], (64, 64), 16)
    k, rows, columns = np.nonzero(targets.presence > 0.3)
    centres = (np.stack([columns, rows], axis=1) + 0.5) * STRIDE
    sign = np.sign((bin_normals(16)[k] * normal).sum(axis=1))
    away = ((centres - 32.4) * normal).sum(axis=1)
    np.testing.assert_allclose(sign * targets.offsets[k, rows, columns], -away, atol=1e-3)
    # Two bins share a line: together they are sure of it.
    near = np.abs(((centres - 32.4) * normal).sum(axis=1)) < 1
    assert targets.presence.sum(axis=0)[rows[near], columns[near]].min() > 0.9


def test_lines_that_cross_are_in_different_bins():
    other = np.linspace([32.0, 5.0], [32.0, 60.0], 80)
    targets = line_targets([LINE, other], (64, 64), 16)
    place = np.s_[10, 16]
    assert targets.presence[(0, *place)] > 0.5
    assert targets.presence[(8, *place)] > 0.5


def test_ends_are_marked_unless_the_frame_cuts_them():
    across = np.linspace([0.0, 40.0], [50.0, 40.0], 80)
    ends = line_targets([LINE, across], (64, 64), 16).ends[0]
    assert ends[10, 5] > 0.7
    assert ends[20, 25] > 0.7
    assert ends[20, 0] < 0.01
    # In a crop out of a larger frame the line goes on beyond the rim of the crop.
    assert line_targets([across], (64, 64), 16, rim=(-50, -50, 99, 99)).ends[0, 20, 0] > 0.7


def test_ignored_lines_count_as_neither():
    targets = line_targets([], (64, 64), 16, [LINE])
    assert targets.presence.max() == 0
    assert targets.counted[0, 10, 16] == 0
    assert targets.counted[0, 25, 16] == 1


def test_a_line_of_no_length_is_left_out():
    targets = line_targets([LINE[:1], LINE[[3, 3]], np.zeros((0, 2))], (64, 64), 16)
    assert targets.presence.max() == 0


@pytest.mark.parametrize("seed", range(8))
def test_lines_move_with_the_pixels(seed):
    pixels = np.zeros((90, 70), np.float32)
    pixels[20:23, 10:60] = 1
    view = LineView(pixels, [np.array([[10.0, 21.5], [60.0, 21.5]])], (0.0, 0.0, 70.0, 90.0))
    rng = np.random.default_rng(seed)
    for changed in (
        turned_lines(view, rng),
        scaled_lines(view, 0.7, 1.6, rng),
        cropped_lines(turned_lines(view, rng), 64, rng),
    ):
        line = changed.lines[0]
        for share in (0.25, 0.5, 0.75):
            x, y = line[0] + share * (line[-1] - line[0])
            row, column = int(y), int(x)
            if 0 <= row < changed.pixels.shape[0] and 0 <= column < changed.pixels.shape[1]:
                assert changed.pixels[row, column] > 0.5
        assert changed.pixels.flags.c_contiguous or changed.pixels.base is not None


def test_the_rim_moves_with_them():
    view = LineView(np.zeros((90, 70), np.float32), [], (0.0, 0.0, 70.0, 90.0))
    rng = np.random.default_rng(3)
    crop = cropped_lines(view, 64, rng)
    x_min, y_min, x_max, y_max = crop.rim
    assert (x_max - x_min, y_max - y_min) == (70, 90)
    assert crop.pixels.shape == (64, 64)
    assert -6 <= x_min <= 0
    assert -26 <= y_min <= 0


class _OneFrame:
    def load(self, number):
        from defectscope import Instances

        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 255, (60, 80)).astype(np.uint16) * 200
        lines = [LINE, LINE + np.array([0, 20])]
        truth = Instances((60, 80), [[0, 0, 5, 5]] * 2, defect_types="dislocation", lines=lines,
                          ignore=[True, False])  # fmt: skip
        return pixels, truth


def test_batches_hold_the_same_for_the_same_seed_also_of_small_deep_frames():
    pytest.importorskip("torch")
    maker = CropMaker(LineTracerTrainingOptions(crop_px=64, crops_per_frame=2))
    one, other = (maker(_OneFrame(), [4, 5], np.random.default_rng(7)) for _ in range(2))
    assert one["pixels"].shape == (4, 1, 64, 64)
    assert one["presence"].shape == (4, 16, 32, 32)
    for name in one:
        assert (one[name] == other[name]).all()
    assert float(one["counted"].min()) == 0
    assert float(one["presence"].max()) > 0.5
