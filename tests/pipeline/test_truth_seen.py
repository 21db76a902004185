"""Truth of which a run saw a part."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.core.geometry.polylines import polyline_box
from defectscope.pipeline.joining import Joined
from defectscope.pipeline.truth_seen import within_roi
from defectscope.plugins.host import default_host

ROI = (100, 0, 200, 300)
TYPES = default_host().defect_types()


def seen(*lines, name="dislocation", ignore=False):
    """Return what counts of true lines, and what is said."""
    lines = [np.asarray(line, float) for line in lines]
    true = ds.Instances(
        (300, 300), [polyline_box(line) for line in lines], defect_types=name, lines=lines,
        ignore=[ignore] * len(lines),
    )  # fmt: skip
    said = []
    (joined,) = within_roi([Joined("a", 0, ds.Instances.empty((300, 300)), true)], ROI, TYPES, said)
    return joined.true, said


def test_of_a_line_that_leaves_the_region_the_piece_inside_counts():
    true, said = seen([(20, 50), (140, 50), (260, 50)], [(110, 20), (190, 90)])
    np.testing.assert_allclose(true.lines[0], [[100, 50], [140, 50], [200, 50]])
    np.testing.assert_allclose(true.boxes[0], [99.5, 49.5, 200.5, 50.5])
    np.testing.assert_allclose(true.lines[1], [[110, 20], [190, 90]])
    assert not true.ignore.any()
    assert said == [
        "the run looked at the region 100,0,200,300 only; of 1 labelled lines that leave it the "
        "longest piece inside counts, if it has 8 px"
    ]


def test_a_line_whose_middle_is_outside_counts_as_far_as_it_is_inside():
    true, _ = seen([(0, 50), (120, 50)])
    assert not true.ignore.any()
    np.testing.assert_allclose(true.lines[0], [[100, 50], [120, 50]])


@pytest.mark.parametrize("line", [[(0, 50), (105, 50)], [(0, 50), (99, 50)]])
def test_lines_of_which_little_or_nothing_is_inside_are_left_out(line):
    true, _ = seen(line)
    assert true.ignore.all()


def test_boxes_with_their_centre_inside_end_at_the_border():
    boxes = [[80, 50, 130, 80], [70, 50, 128, 80], [120, 50, 130, 80]]
    true = ds.Instances((300, 300), boxes, defect_types="dislocation-loop",
                        ignore=[False, False, True])  # fmt: skip
    found = ds.Instances((300, 300), [[100, 50, 130, 80]], defect_types="dislocation-loop")
    (joined,) = within_roi([Joined("a", 0, found, true)], ROI, TYPES, [])
    assert joined.true.boxes.tolist() == [[100, 50, 130, 80], *boxes[1:]]
    assert joined.true.ignore.tolist() == [False, True, True]
    (back,) = within_roi([Joined("a", 0, true, found)], ROI, TYPES, [], "predicted")
    assert back.predicted.boxes.tolist() == [[100, 50, 130, 80], *boxes[1:]]


def test_outlines_of_other_defects_are_not_cut():
    outline = [(90, 50), (130, 50), (130, 80), (90, 80), (90, 50)]
    true, said = seen(outline, name="dislocation-loop")
    np.testing.assert_allclose(true.lines[0], outline)
    assert not said
    assert not true.ignore.any()
