from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.geometry.boxes import box_areas, box_centres, box_iou_matrix, clip_boxes

corner = st.integers(-20, 20) | st.floats(-20, 20, width=32)
side = st.integers(1, 15) | st.floats(0.125, 15, width=32)
box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
several = st.lists(box, max_size=6)


def slow_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common
    return common / union


@given(several, several)
def test_overlaps_are_those_of_single_pairs(first, second):
    matrix = box_iou_matrix(first, second)
    assert matrix.shape == (len(first), len(second))
    for row, a in enumerate(first):
        for column, b in enumerate(second):
            assert matrix[row, column] == pytest.approx(slow_iou(a, b), rel=1e-12, abs=1e-12)


@given(several, several)
def test_overlaps_are_symmetric_and_between_0_and_1(first, second):
    matrix = box_iou_matrix(first, second)
    assert np.allclose(matrix, box_iou_matrix(second, first).T, rtol=1e-12)
    assert ((matrix >= 0) & (matrix <= 1 + 1e-12)).all()
    assert np.allclose(np.diag(box_iou_matrix(first, first)), 1)


def test_overlaps_by_hand():
    assert box_iou_matrix([[0, 0, 4, 4]], [[2, 2, 6, 6], [4, 0, 8, 4], [0, 0, 4, 2]]).tolist() == [
        [4 / 28, 0, 0.5]
    ]


def test_boxes_without_area_overlap_nothing():
    assert box_iou_matrix([[1, 1, 1, 5]], [[1, 1, 1, 5], [0, 0, 9, 9]]).tolist() == [[0, 0]]


def test_areas_and_centres():
    boxes = np.array([[0, 0, 4, 2], [1, 2, 2, 5]], np.float32)
    assert box_areas(boxes).tolist() == [8, 3]
    assert box_centres(boxes).tolist() == [[2, 1], [1.5, 3.5]]
    assert box_areas(boxes).dtype == np.float64
    assert box_areas([]).shape == (0,)
    assert box_centres(np.zeros((0, 4))).shape == (0, 2)
    assert box_iou_matrix([], boxes).shape == (0, 2)


def test_boxes_are_cut_at_the_rim():
    boxes = [[-5, -5, 3, 2], [8, 6, 30, 30], [1, 1, 2, 2]]
    assert clip_boxes(boxes, (10, 20)).tolist() == [[0, 0, 3, 2], [8, 6, 20, 10], [1, 1, 2, 2]]
