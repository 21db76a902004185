"""Masks of ``unetpp``: no repeats, and one line where several tiles see it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope import Instances, Mask
from defectscope.core.geometry.curves import distances_to_curve, mean_curve_distance
from defectscope.core.geometry.polylines import polyline_length as length_of
from defectscope.core.line_masks import mask_of_line
from defectscope.detectors.learning.tiles import tiles_of
from defectscope.detectors.unetpp.decoding import FoundMask, lines_of, masks_of

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


def whole(masks):
    """Return the lines of masks of a frame that is one tile."""
    return lines_of([(next(tiles_of(SHAPE, 640, 32, 32)), masks)], SHAPE, 20)


def test_repeated_empty_and_tiny_masks_are_dropped():
    masks = [mask_of_line(line, 5) for line in (LINES[0], LINES[0] + 1, LINES[2])]
    values = logits_of(masks, SHAPE, 6)
    values[1] *= 0.5  # the second is less sure
    values[4, 3:5, 3:5] = 8.0
    found = masks_of(values, 20)
    assert len(found) == 2
    assert found[0].score > 0.99
    first = max(whole(found), key=lambda line: length_of(line.points))
    assert distances_to_curve(first.points, LINES[0]).mean() < 0.5
    assert first.width_px == pytest.approx(5, abs=0.5)


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
    found = lines_of(parts, SHAPE, 20)
    assert len(found) == 3
    assert sorted(length_of(f.points) for f in found) == pytest.approx([120, 581, 582], rel=0.05)


def united(*masks):
    """Return the mask of all pixels of some masks."""
    return Mask.from_dense(np.any([mask.to_dense(SHAPE) for mask in masks], axis=0))


def test_a_mask_with_two_lines_gives_two_where_the_other_is_shown_by_none():
    both = united(mask_of_line(LINES[0], 5), mask_of_line(LINES[2] + [0, 4], 5))
    found = whole([FoundMask(both, 0.9)])
    assert sorted(length_of(f.points) for f in found) == pytest.approx([120, 582], rel=0.05)


def test_lines_that_touch_in_one_mask_are_told_apart():
    """As two lines of a pile-up do, of which one begins on the other."""
    one = np.linspace([20.0, 20.0], [220.0, 20.0], 200)
    other = np.linspace([120.0, 20.0], [220.0, 70.0], 120)
    both = united(mask_of_line(one, 5), mask_of_line(other, 5))
    found = whole([FoundMask(both, 0.9), FoundMask(mask_of_line(one, 5), 0.8)])
    assert len(found) == 2
    for line, least in ((one, 190), (other, 95)):
        nearest = min(found, key=lambda f, line=line: mean_curve_distance(f.points, line))
        assert mean_curve_distance(nearest.points, line) < 1.0
        assert length_of(nearest.points) > least


def test_a_mask_of_two_lines_that_meet_in_a_point_is_folded_apart():
    tip, ends = np.array([30.0, 64.0]), np.array([[230.0, 34.0], [230.0, 94.0]])
    lines = [np.linspace(tip, end, 200) for end in ends]
    mask = united(*(mask_of_line(line, 5) for line in lines))
    found = whole([FoundMask(mask, 0.9)])
    assert len(found) == 2
    for line in lines:
        assert min(mean_curve_distance(f.points, line) for f in found) < 2.0


def test_parts_of_a_line_in_several_outputs_are_one():
    wavy = np.stack([np.arange(20.0, 320), 60 + 20 * np.sin(np.arange(300) / 60)], axis=1)
    parts = [wavy[:130], wavy[110:220], wavy[226:]]  # two overlap, then there is a gap
    masks = [FoundMask(mask_of_line(part, 5), 0.9) for part in parts]
    (line,) = whole(masks)
    assert length_of(line.points) == pytest.approx(length_of(wavy), rel=0.03)
    assert distances_to_curve(line.points, wavy).max() < 1.5


def test_ends_that_pass_each_other_stay_apart():
    above, below = np.linspace([20.0, 40], [150, 40], 131), np.linspace([140.0, 50], [280, 50], 141)
    masks = [FoundMask(mask_of_line(part, 5), 0.9) for part in (above, below)]
    assert len(whole(masks)) == 2


def test_nothing_gives_nothing():
    assert masks_of(np.full((3, 20, 30), -5, np.float32), 20) == []
    assert lines_of([], SHAPE, 20) == []


@given(st.lists(st.tuples(*[st.floats(0, 128)] * 4), max_size=12), st.integers(1, 7))
def test_any_masks_give_lines_within_their_masks(ends, width):
    masks = [mask_of_line(np.array([[a, b], [c, d]]), width) for a, b, c, d in ends]
    found = whole([FoundMask(mask, 0.9) for mask in masks])
    assert len(found) <= 12 * 12
    for line in found:
        assert line.points.shape == (50, 2)
        assert np.isfinite(line.points).all()
        assert (line.points > -8).all()
        assert (line.points < 136).all()


def test_crops_hold_no_more_lines_than_outputs_and_the_largest_of_them():
    pytest.importorskip("torch")
    from defectscope.detectors.unetpp.crops import CropMaker
    from defectscope.detectors.unetpp.options import UnetppTrainingOptions

    lines = [np.linspace([5.0, y + 0.5], [5.0 + length, y + 0.5], 50) for y, length in
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

    across = np.linspace([5.0, 30.5], [60, 30.5], 50)
    down = across[:, ::-1]

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
    assert 150 < int((counted == 0).sum()) < 180
    assert bool(counted[masks[0] > 0].all())
