"""Ignored masks and boxes without a line: nothing there is learned, or counted as invented."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope import Instances
from defectscope.core.line_masks import mask_of_line
from defectscope.core.masks import Mask
from defectscope.detectors.learning.ignored import (
    ignored_region,
    lie_in,
    score_known_lines,
)
from defectscope.detectors.line_tracer import crops as tracer
from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions
from defectscope.detectors.line_tracer.scoring import (
    FoundLines,
    best_line_threshold,
)
from defectscope.detectors.unetpp import crops as unetpp
from defectscope.detectors.unetpp.options import UnetppTrainingOptions

SHAPE = (64, 64)
TRUE = np.linspace([4.0, 10.0], [60.0, 10.0], 20)
CROSSING = np.linspace([4.0, 46.0], [60.0, 46.0], 20)
UNTOUCHED = {"blur_px": 0, "noise": 0, "gamma": 1, "jpeg": 0}


def truth(ignored=True, lines=True):
    """A line, and a region from (20, 30) to (50, 60) in which nothing is known."""
    return Instances(
        SHAPE, [[4, 9, 60, 12], [20, 30, 50, 60]], defect_types="dislocation",
        ignore=[False, ignored], lines=[TRUE, np.zeros((0, 2))] if lines else None,
    )  # fmt: skip


def test_a_region_is_a_mask_or_else_a_box():
    region = ignored_region(truth())
    assert region.sum() == 900
    assert region[30:60, 20:50].all()
    assert ignored_region(truth(ignored=False)) is None
    mask = Mask(30, 40, np.ones((4, 5), bool))
    masked = Instances(SHAPE, [mask.box], defect_types="dislocation", masks=[mask], ignore=[True])
    assert ignored_region(masked).sum() == 20
    drawn = mask_of_line(TRUE, 3)
    line = Instances(
        SHAPE, [drawn.box], masks=[drawn], lines=[TRUE], ignore=[True], defect_types="line"
    )
    assert ignored_region(line) is None


def test_boxes_beyond_the_frame_are_cut():
    beyond = Instances(SHAPE, [[-1, 60, 70, 70]], defect_types="line", ignore=[True])
    assert ignored_region(beyond).sum() == 4 * 64


@pytest.mark.parametrize("scale_high", [1.0, 1.4])
@pytest.mark.parametrize("seed", range(4))
def test_line_tracer_learns_nothing_there(seed, scale_high):
    options = LineTracerTrainingOptions(crop_px=64, scale_high=scale_high, **UNTOUCHED)
    maker = tracer.CropMaker(options)
    pixels = np.zeros(SHAPE, np.float32)
    pixels[30:60, 20:50] = 1
    made, known = (
        maker.crop(pixels, truth(ignored), np.random.default_rng(seed)) for ignored in (True, False)
    )
    for name in ("pixels", "presence", "offsets", "ends"):
        np.testing.assert_array_equal(made[name], known[name])
    assert known["counted"].all()
    bright = made["pixels"][0] > made["pixels"].max() - 1e-6
    cells = bright.reshape(32, 2, 32, 2).all(axis=(1, 3))
    learned = made["presence"].max(axis=0) > 0
    assert not made["counted"][0][cells & ~learned].any()
    assert made["counted"][0][learned].all()


def test_unetpp_learns_nothing_in_an_ignored_box():
    options = UnetppTrainingOptions(crop_px=64, rotate=False, equalize=0, scale_low=1,
                                    scale_high=1, **UNTOUCHED)  # fmt: skip
    made = unetpp.CropMaker(options).crop(
        np.zeros(SHAPE, np.float32), truth(), np.random.default_rng(0)
    )
    assert (made["counted"] == 0).sum() == 900
    assert not made["counted"][0, 30:60, 20:50].any()


def test_what_lies_there_is_no_invention():
    region = ignored_region(truth())
    inside = lie_in([TRUE, CROSSING], region)
    assert inside.tolist() == [False, True]
    assert lie_in([TRUE], None).tolist() == [False]
    scores = score_known_lines([TRUE, CROSSING], inside, [TRUE], [])
    assert (scores.true, scores.predicted, scores.matched) == (1, 1, 1)
    # What matches a true line there is found.
    assert score_known_lines([CROSSING], inside[1:], [CROSSING], []).matched == 1


def test_the_threshold_is_chosen_without_it():
    found = [SimpleNamespace(points=TRUE, score=0.4), SimpleNamespace(points=CROSSING, score=0.9)]
    inside = np.array([False, True])
    best = best_line_threshold([FoundLines(found, [TRUE], [], inside)])
    assert (best.score, best.lines.precision) == (1, 1)
