"""What one frame gives: vertices of lines, and of the outlines of what is no line."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.line_masks import mask_of_line
from defectscope.pipeline.named import NamedComponent
from defectscope.pipeline.stages import FrameStages
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.postproc.skeleton_spline import SkeletonSpline

SHAPE = (120, 160)
SLANTED = np.array([[20.0, 10.0], [110.0, 100.0]])
TYPES = {known.name: known for known in SHIPPED}


class One(ds.FrameSequence):
    indices, names = (0,), ("a.png",)
    calibration = ds.Calibration()

    def __init__(self):
        self.warnings = []

    def read(self, position):
        return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


class Banded(ds.Detector):
    """The same band thrice: a dislocation, a loop, and a dislocation with a line of its own."""

    def detect(self, frames):
        masks = [mask_of_line(SLANTED, 5)] * 3
        nothing = np.zeros((0, 2))
        return [
            ds.Instances(
                SHAPE, [mask.box for mask in masks], masks=masks, lines=[nothing, nothing, SLANTED],
                defect_types=["dislocation", "dislocation-loop", "dislocation"],
            )
        ]  # fmt: skip


def vertices(post=()):
    """Return the vertices of each detection."""
    stages = FrameStages(One(), NamedComponent("banded", Banded()), post, defect_types=TYPES)
    (outcome,) = stages.process([0])
    return [outcome.rows.outline(k)[:, 1:] for k in range(3)]


def test_the_outline_of_a_line_is_not_its_course():
    line, loop, own = vertices()
    assert len(line) == 0
    assert polyline_length(loop) > 1.8 * polyline_length(SLANTED)
    np.testing.assert_allclose(own, SLANTED)


def test_its_skeleton_is():
    runtime = ds.Runtime(defect_types=TYPES)
    line, _, own = vertices([NamedComponent("spline", SkeletonSpline(runtime=runtime))])
    assert polyline_length(line) == pytest.approx(polyline_length(SLANTED), rel=0.06)
    assert polyline_length(own) == pytest.approx(polyline_length(SLANTED))
