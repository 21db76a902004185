"""Boxes become the wanted outputs of the network, and those become boxes again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.detectors.heatmap.decoding import SIDE_UNIT_PX, decoded
from defectscope.detectors.heatmap.targets import STRIDE, targets_of
from defectscope.detectors.learning.suppression import Found, suppressed

SHAPE = (128, 160)


def targets(boxes, classes=None, count=1, ignore=None, shape=SHAPE):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    kinds = np.zeros(len(boxes), np.intp) if classes is None else np.array(classes, np.intp)
    flags = None if ignore is None else np.array(ignore)
    return targets_of(boxes, kinds, shape, count, flags)


def perfect(wanted):
    """Return what a network that has learned everything puts out."""
    p = np.clip(wanted.centres, 1e-6, 1 - 1e-6).astype(np.float64)
    sides = np.log(np.maximum(wanted.sides, 1e-3) / SIDE_UNIT_PX)
    return np.log(p / (1 - p)).astype(np.float32), sides.astype(np.float32)


def found(boxes, scores, classes=None):
    kinds = np.zeros(len(boxes), np.intp) if classes is None else np.array(classes, np.intp)
    return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), kinds)


@st.composite
def apart(draw):
    """Boxes in cells of a 4 × 5 chessboard, so that they do not overlap."""
    places = draw(st.sets(st.integers(0, 19), min_size=1, max_size=12))
    boxes = []
    for place in sorted(places):
        x, y = 32 * (place % 5), 32 * (place // 5)
        left, top = draw(st.floats(1, 6)), draw(st.floats(1, 6))
        width, height = draw(st.floats(5, 24)), draw(st.floats(5, 24))
        boxes.append((x + left, y + top, x + left + width, y + top + height))
    return boxes


@settings(max_examples=80)
@given(boxes=apart(), count=st.integers(1, 3), seed=st.integers(0, 99))
def test_what_is_encoded_is_decoded_within_a_pixel(boxes, count, seed):
    classes = np.random.default_rng(seed).integers(0, count, len(boxes))
    outputs = perfect(targets(boxes, classes, count))
    left = suppressed(decoded(*outputs, 0.9), 0.35)
    assert len(left.boxes) == len(boxes)
    pairs = box_iou_matrix(left.boxes, boxes).argmax(axis=1)
    assert sorted(pairs) == list(range(len(boxes)))
    assert np.abs(left.boxes - np.array(boxes)[pairs]).max() < 1
    assert left.classes.tolist() == classes[pairs].tolist()
    assert (left.scores > 0.99).all()


def test_a_box_that_reaches_beyond_the_rim_is_encoded_whole():
    outputs = perfect(targets([(-6, 20, 14, 40), (150, 100, 168, 140)]))
    left = suppressed(decoded(*outputs, 0.9), 0.35)
    order = left.boxes[:, 0].argsort()
    np.testing.assert_allclose(
        left.boxes[order], [(-6, 20, 14, 40), (150, 100, 168, 140)], atol=1e-3
    )


@pytest.mark.parametrize("box", [(-20, 5, -2, 15), (159, 100, 163, 110), (3, 128, 9, 140)])
def test_a_centre_outside_is_left_out(box):
    wanted = targets([box])
    assert not wanted.centres.any()
    assert not wanted.weights.any()
    assert wanted.counted.all()


class TestTargets:
    def test_the_cell_of_the_centre_is_1_and_it_falls_from_there(self):
        (centres,), sides, weights, _ = targets([(40, 30, 64, 54)])
        row, column = 42 // STRIDE, 52 // STRIDE
        assert centres[row, column] == 1
        assert (centres == 1).sum() == 1
        line = centres[row, column:]
        assert (np.diff(line[line > 0]) < 0).all()
        assert (weights[centres >= 0.3] == centres[centres >= 0.3]).all()
        assert not weights[centres < 0.3].any()
        # From the middle of that cell: 53, 43.
        assert sides[:, row, column].tolist() == [13, 13, 11, 11]

    @settings(max_examples=60)
    @given(
        x=st.floats(30, 100), y=st.floats(30, 90), width=st.floats(2, 300), height=st.floats(2, 300)
    )
    def test_one_centre_a_box_whatever_its_size(self, x, y, width, height):
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        assert (targets([box]).centres == 1).sum() == 1

    def test_where_boxes_overlap_the_smaller_one_has_its_sides(self):
        large, small = (20, 20, 80, 80), (44, 44, 56, 56)
        for boxes in ([large, small], [small, large]):
            wanted = targets(boxes)
            assert wanted.sides[:, 25, 25].tolist() == [7, 7, 5, 5]

    def test_types_have_maps_of_their_own(self):
        wanted = targets([(10, 10, 20, 20), (60, 60, 80, 80)], [1, 0], 3)
        assert wanted.centres.shape == (3, 64, 80)
        assert [int((plane == 1).sum()) for plane in wanted.centres] == [1, 1, 0]
        assert wanted.centres[1, 7, 7] == wanted.centres[0, 35, 35] == 1

    def test_nothing_is_learned_in_ignored_boxes_not_even_at_the_rim(self):
        wanted = targets([(10, 20, 30, 44), (-8, -3, 5, 7)], ignore=[True, True])
        expected = np.ones((64, 80), np.float32)
        expected[10:22, 5:15] = expected[0:4, 0:3] = 0
        np.testing.assert_array_equal(wanted.counted, expected)
        assert not wanted.centres.any()

    def test_no_boxes(self):
        wanted = targets([])
        assert not wanted.centres.any()
        assert wanted.counted.all()


class TestDecoding:
    def test_by_hand(self):
        logits = np.full((1, 4, 5), -9, np.float32)
        logits[0, 1, 2] = np.log(3)
        sides = np.zeros((4, 4, 5), np.float32)
        sides[:, 1, 2] = np.log([0.5, 0.25, 1, 2])
        result = decoded(logits, sides, 0.5)
        # The middle of the cell lies at 5, 3; a logarithm of 0 is 8 px.
        np.testing.assert_allclose(result.boxes, [[5 - 4, 3 - 2, 5 + 8, 3 + 16]], rtol=1e-6)
        assert result.scores[0] == pytest.approx(0.75)
        assert result.boxes.dtype == result.scores.dtype == np.float32

    def test_scores_below_the_least_are_left_out_and_equal_ones_stay(self):
        logits = np.full((1, 4, 20), -9, np.float32)
        logits[0, 1, ::4] = [-1, -0.1, 0, 0.1, 1]
        assert len(decoded(logits, np.zeros((4, 4, 20), np.float32), 0.5).scores) == 3

    def test_only_peaks_count(self):
        logits = np.array([[[0, 1, 2, 1, 0, 3, 1, 0, -1]]], np.float32)
        result = decoded(logits, np.zeros((4, 1, 9), np.float32), 0.4)
        assert result.boxes[:, 0].tolist() == [(2.5 * 2) - 8, (5.5 * 2) - 8]

    def test_wild_outputs_give_finite_boxes(self):
        logits = np.array([[[500, -500], [np.nan, 3]]], np.float32)
        sides = np.array([1e9, -1e9, np.inf, -np.inf], np.float32)[:, None, None]
        result = decoded(logits, np.broadcast_to(sides, (4, 2, 2)), 0.1)
        assert np.isfinite(result.boxes).all()
        assert (result.boxes[:, 2:] > result.boxes[:, :2]).all()
        assert (result.scores <= 1).all()

    @pytest.mark.parametrize("least", [0, 1e-9, 1 - 1e-9, 1])
    def test_limits_of_the_score(self, least):
        logits = np.array([[[40, -9, -9, -9]]], np.float32)
        result = decoded(logits, np.zeros((4, 1, 4), np.float32), least)
        assert result.scores.max() == 1


class TestSuppression:
    def test_the_best_of_those_that_overlap_stays(self):
        given_ = found([(0, 0, 10, 10), (1, 0, 11, 10), (30, 0, 40, 10)], [0.6, 0.9, 0.5])
        left = suppressed(given_, 0.35)
        assert left.boxes.tolist() == [[1, 0, 11, 10], [30, 0, 40, 10]]
        assert left.scores.tolist() == pytest.approx([0.9, 0.5])

    def test_what_a_suppressed_box_overlaps_stays(self):
        # A chain: the middle one goes, and no longer counts against the last.
        given_ = found([(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)], [0.9, 0.8, 0.7])
        assert suppressed(given_, 0.35).boxes[:, 0].tolist() == [0, 8]

    def test_the_limit_itself_is_allowed(self):
        # 50 of 150 px² in common.
        given_ = found([(0, 0, 10, 10), (5, 0, 15, 10)], [0.9, 0.8])
        assert len(suppressed(given_, 1 / 3).boxes) == 2
        assert len(suppressed(given_, 0.33).boxes) == 1

    def test_two_types_in_one_place_are_one_defect(self):
        given_ = found([(0, 0, 10, 10), (0, 0, 10, 10)], [0.6, 0.7], [0, 1])
        assert suppressed(given_, 0.35).classes.tolist() == [1]

    def test_nothing(self):
        left = suppressed(found([], []), 0.35)
        assert left.boxes.shape == (0, 4)
        assert len(left.scores) == len(left.classes) == 0

    @settings(max_examples=60)
    @given(seed=st.integers(0, 2**20), count=st.integers(0, 40), levels=st.integers(1, 40))
    def test_the_order_given_does_not_matter(self, seed, count, levels):
        rng = np.random.default_rng(seed)
        corners = rng.permutation(1600)[:count, None] // np.array([1, 40]) % 40.0
        boxes = np.hstack([corners, corners + rng.uniform(5, 20, (count, 2))])
        # Few levels: many equal scores.
        scores = rng.integers(1, levels + 1, count) / (levels + 1)
        order = rng.permutation(count)
        one = suppressed(found(boxes, scores), 0.35)
        other = suppressed(found(boxes[order], scores[order]), 0.35)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
        assert (np.diff(one.scores) <= 0).all()
        overlaps = box_iou_matrix(one.boxes, one.boxes) - np.eye(len(one.boxes))
        assert overlaps.max(initial=0) <= 0.35 + 1e-5
        # Whatever went overlaps a better one that stayed.
        everything = box_iou_matrix(boxes, one.boxes)
        assert (everything.max(axis=1, initial=0) > 0.35 - 1e-5).all()
