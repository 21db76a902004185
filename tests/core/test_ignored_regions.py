"""Ignored masks and boxes without a line: where nothing is known of lines."""

from __future__ import annotations

import numpy as np

from defectscope import Instances
from defectscope.core.ignored_regions import ignored_region
from defectscope.core.line_masks import mask_of_line
from defectscope.core.line_metrics import score_lines
from defectscope.core.masks import Mask

SHAPE = (64, 64)
TRUE = np.linspace([4.0, 10.0], [60.0, 10.0], 20)
CROSSING = np.linspace([4.0, 46.0], [60.0, 46.0], 20)


def truth(ignored=True):
    """A line, and a region from (20, 30) to (50, 60) in which nothing is known."""
    return Instances(
        SHAPE, [[4, 9, 60, 12], [20, 30, 50, 60]], defect_types="dislocation",
        ignore=[False, ignored], lines=[TRUE, np.zeros((0, 2))],
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


def test_what_lies_there_is_no_invention():
    region = ignored_region(truth())
    scores = score_lines([TRUE, CROSSING], [TRUE], unknown=region)
    assert (scores.true, scores.predicted, scores.matched) == (1, 1, 1)
    # Less than half of it lies there.
    longer = np.linspace([0.0, 46.0], [63.0, 46.0], 20)
    assert score_lines([longer], [TRUE], unknown=region).predicted == 1


def test_what_matches_a_true_line_there_is_found():
    assert score_lines([CROSSING], [CROSSING], unknown=ignored_region(truth())).matched == 1
