"""Ignored masks and boxes without a line: nothing there is learned, or counted as invented."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope import Instances
from defectscope.detectors.learning.line_scoring import FoundLines, best_line_threshold
from defectscope.detectors.learning.module import true_lines
from defectscope.detectors.line_tracer import crops as tracer
from defectscope.detectors.line_tracer.options import LineTracerTrainingOptions
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


def test_the_threshold_is_chosen_without_it():
    found = [SimpleNamespace(points=TRUE, score=0.4), SimpleNamespace(points=CROSSING, score=0.9)]
    best = best_line_threshold([FoundLines.of(found, truth(), true_lines)], (0.3, 0.4, 0.5))
    assert (best.score, best.threshold, best.lines.precision) == (1, 0.3, 1)
