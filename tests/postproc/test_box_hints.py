"""Neighbours of boxes, and ellipses that boxes could mean."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.postproc.box_hints import (
    agreeing_with_boxes,
    inscribed_ellipse,
    neighbouring_boxes,
)

# Side by side, nearly the first again, far away, and around the first two.
BOXES = np.array(
    [[10, 10, 30, 30], [34, 10, 54, 30], [11, 11, 31, 31], [80, 80, 90, 90], [0, 0, 60, 60]], "f4"
)


def test_neighbours_reach_into_the_enlarged_crop_but_are_not_nested():
    everyone = np.ones(5, bool)
    assert neighbouring_boxes(BOXES, everyone, 0.4) == [[1], [0, 2], [1], [], [3]]


def test_boxes_that_are_not_measured_are_nobodys_neighbours():
    measured = np.array([True, False, True, True, False])
    assert neighbouring_boxes(BOXES, measured, 0.4) == [[], [], [], [], []]


def test_no_boxes_have_no_neighbours():
    assert neighbouring_boxes(np.zeros((0, 4), np.float32), np.zeros(0, bool), 0.4) == []


@pytest.mark.parametrize(
    ("ellipse", "agrees"),
    [
        ((20, 20, 20, 18, 0), True),
        ((20, 20, 60, 50, 0), False),
        ((24, 24, 30, 4, 45), True),
        ((60, 20, 20, 18, 0), False),
        ((20, 20, 20, 0.5, 0), False),
        ((-1, 20, 20, 18, 0), False),
        ((np.nan,) * 5, False),
    ],
)
def test_ellipses_must_agree_with_their_box(ellipse, agrees):
    found = agreeing_with_boxes(np.array([ellipse], float), BOXES[:1], (100, 100))
    assert found.tolist() == [agrees]


def test_beyond_the_rim_nothing_counts():
    # Half of the ellipse lies outside; the detector's box ends at the rim.
    box = np.array([[0, 10, 12, 30]], np.float32)
    assert agreeing_with_boxes(np.array([[2.0, 20, 20, 20, 0]]), box, (100, 100)).all()


def test_the_inscribed_ellipse_has_the_sides_as_axes():
    assert inscribed_ellipse(np.array([10, 20, 30, 26], np.float32)) == (20, 23, 20, 6, 0)
    assert inscribed_ellipse(np.array([10, 20, 16, 40], np.float32)) == (13, 30, 20, 6, 90)
