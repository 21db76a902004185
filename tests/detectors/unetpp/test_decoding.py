"""Masks of ``unetpp``: no repeats, and one line where several tiles see it."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope import Instances
from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.line_masks import mask_of_line
from defectscope.detectors.learning.tiles import tiles_of
from defectscope.detectors.unetpp.decoding import joined_tiles, masks_of, spline_of

LINES = (
    np.linspace([10.0, 40.0], [590.0, 90.0], 400),
    np.linspace([10.0, 60.0], [590.0, 20.0], 400),
    np.linspace([300.0, 110.0], [420.0, 118.0], 100),
)
SHAPE = (128, 600)


def logits_of(masks, shape, planes):
    values = np.full((planes, *shape), -8.0, np.float32)
    for plane, mask in zip(values, masks, strict=False):
        plane[mask.to_dense(shape)] = 8.0
    return values


def test_repeated_empty_and_tiny_masks_are_dropped():
    masks = [mask_of_line(line, 5) for line in (LINES[0], LINES[0] + 1, LINES[2])]
    values = logits_of(masks, SHAPE, 6)
    values[1] *= 0.5  # the second is less sure
    values[4, 3:5, 3:5] = 8.0
    found = masks_of(values, 20)
    assert len(found) == 2
    assert found[0].score > 0.99
    assert distances_to_curve(spline_of(found[0].mask), LINES[0]).mean() < 0.5


@pytest.mark.parametrize("halo", [32, 64])
def test_lines_across_tiles_come_out_as_one(halo):
    parts = []
    for tile in tiles_of(SHAPE, 160, halo, 32):
        shape = tile.y_max - tile.y_min, tile.x_max - tile.x_min
        seen = [mask_of_line(line, 5).moved(-tile.x_min, -tile.y_min) for line in LINES]
        # Each tile gives its masks in an order of its own.
        turn = tile.x_min // 7 % 3
        inside = [m.clipped(shape) for m in seen[turn:] + seen[:turn]]
        parts.append((tile, masks_of(logits_of(inside, shape, 4), 20)))
    found = joined_tiles(parts, 20)
    assert len(found) == 3
    lengths = sorted(float(np.hypot(*np.diff(spline_of(f.mask), axis=0).T).sum()) for f in found)
    assert lengths == pytest.approx([120, 581, 582], rel=0.05)


def test_nothing_gives_nothing():
    assert masks_of(np.full((3, 20, 30), -5, np.float32), 20) == []
    assert joined_tiles([], 20) == []


def test_crops_hold_no_more_lines_than_outputs_and_the_largest_of_them():
    pytest.importorskip("torch")
    from defectscope.detectors.unetpp.crops import CropMaker
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

    lines = [np.linspace([5.0, y], [5.0 + length, y], 50) for y, length in
             zip(range(10, 60, 10), (20, 50, 30, 50, 40), strict=True)]  # fmt: skip

    class OneFrame:
        def load(self, number):
            pixels = np.random.default_rng(number).integers(0, 60000, (64, 64)).astype(np.uint16)
            truth = Instances((64, 64), [[0, 0, 5, 5]] * 5, defect_types="dislocation", lines=lines)
            return pixels, truth

    options = UnetppTrainingOptions(crop_px=64, masks=3, line_width_px=3)
    batch = CropMaker(options)(OneFrame(), [1, 2], np.random.default_rng(0))
    assert batch["pixels"].shape == (2, 1, 64, 64)
    assert batch["masks"].shape == (2, 3, 64, 64)
    assert bool(batch["real"].all())
    areas = sorted(batch["masks"][0].sum(dim=(1, 2)).tolist())
    assert areas[0] > 110  # the three longest of five
    assert bool(batch["counted"].all())


def test_ignored_lines_of_crops_do_not_count():
    pytest.importorskip("torch")
    from defectscope.detectors.unetpp.crops import CropMaker
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

    across, down = np.linspace([5.0, 30], [60, 30], 50), np.linspace([30.0, 5], [30, 60], 50)

    class OneFrame:
        def load(self, number):
            truth = Instances((64, 64), [[0, 0, 5, 5]] * 2, defect_types="dislocation",
                              lines=[across, down], ignore=[False, True])  # fmt: skip
            return np.random.default_rng(number).random((64, 64)), truth

    options = UnetppTrainingOptions(crop_px=64, masks=3, line_width_px=3, scale_low=1, scale_high=1)
    batch = CropMaker(options)(OneFrame(), [1], np.random.default_rng(0))
    masks, counted = batch["masks"][0], batch["counted"][0, 0]
    assert batch["real"][0].tolist() == [True, False, False]
    # All of the ignored line, but not where the other crosses it.
    assert 220 < int((counted == 0).sum()) < 280
    assert bool(counted[masks[0] > 0].all())
