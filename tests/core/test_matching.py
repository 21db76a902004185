from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from defectscope.core.geometry.boxes import box_iou_matrix
from defectscope.core.instances import Instances
from defectscope.core.matching import greedy_match, match_instances

SHAPE = (200, 200)
# Few values, so that equal overlaps and those at the cut-off come up often.
matrices = arrays(
    float,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
    elements=st.sampled_from([0.0, 0.1, 0.15, 0.2, 0.5, 0.9, 1.0]) | st.floats(0, 1),
)
cut_offs = st.sampled_from([0.0, 0.15, 0.5, 1.0])


def literal(iou, cut_off):
    """As P2 tells it: assign the highest IoU of the matrix, remove row and column, repeat."""
    iou = iou.astype(float)
    pairs = []
    while iou.size:
        row, column = np.unravel_index(np.argmax(iou), iou.shape)
        if iou[row, column] < cut_off or iou[row, column] <= 0:
            break
        pairs.append((int(row), int(column)))
        iou[row, :] = -1
        iou[:, column] = -1
    return pairs


def made(boxes, ignore=None):
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    return Instances(SHAPE, boxes, defect_types="loop" if len(boxes) else None, ignore=ignore)


def row_of(*left):
    """Boxes of 10 px at the given x."""
    return [[x, 0, x + 10, 10] for x in left]


@given(matrices, cut_offs)
def test_the_highest_overlap_of_the_whole_matrix_comes_first(iou, cut_off):
    before = iou.copy()
    assert greedy_match(iou, cut_off) == literal(iou, cut_off)
    assert np.array_equal(iou, before)


@given(matrices, cut_offs)
def test_pairs_are_one_to_one_above_the_cut_off_and_exhaustive(iou, cut_off):
    pairs = greedy_match(iou, cut_off)
    rows, columns = {r for r, _ in pairs}, {c for _, c in pairs}
    assert len(rows) == len(columns) == len(pairs)
    assert all(iou[pair] >= cut_off and iou[pair] > 0 for pair in pairs)
    left = np.delete(np.delete(iou, sorted(rows), 0), sorted(columns), 1)
    assert not ((left >= cut_off) & (left > 0)).any()
    values = [iou[pair] for pair in pairs]
    assert values == sorted(values, reverse=True)


def test_the_best_pair_is_taken_even_if_it_leaves_others_alone():
    iou = np.array([[0.6, 0.9], [0.0, 0.8]])
    assert greedy_match(iou, 0.15) == [(0, 1)]


def test_boxes_that_only_touch_are_no_match_at_any_cut_off():
    assert greedy_match(np.zeros((2, 2)), 0.0) == []
    assert len(match_instances(made(row_of(0)), made(row_of(10)), 0.0).true) == 0


def test_the_cut_off_itself_is_enough():
    assert greedy_match(np.array([[0.15]]), 0.15) == [(0, 0)]
    assert greedy_match(np.array([[0.15]]), 0.1500001) == []


def test_who_is_alone():
    match = match_instances(made(row_of(0, 50, 52, 150)), made(row_of(100, 51, 2)), 0.15)
    assert list(zip(match.predicted.tolist(), match.true.tolist(), strict=True)) == [(1, 1), (0, 2)]
    assert match.iou.tolist() == pytest.approx([90 / 110, 80 / 120])
    assert match.spurious.tolist() == [2, 3]
    assert match.missed.tolist() == [0]


@pytest.mark.parametrize(
    ("predicted", "true"), [([], []), ([], row_of(0, 20)), (row_of(0, 20), [])]
)
def test_nothing_on_one_side(predicted, true):
    match = match_instances(made(predicted), made(true), 0.15)
    assert len(match.predicted) == len(match.true) == len(match.iou) == 0
    assert len(match.spurious) == len(predicted)
    assert len(match.missed) == len(true)


def test_a_prediction_flagged_ignore_is_no_false_alarm():
    predicted = made(row_of(0, 50, 100), [True, True, False])
    match = match_instances(predicted, made(row_of(0)), 0.15)
    assert match.true.tolist() == [0]
    assert match.spurious.tolist() == [2]


class TestIgnoredTruth:
    def test_it_is_neither_hit_nor_miss(self):
        match = match_instances(made(row_of(0)), made(row_of(0, 50), [True, True]), 0.15)
        assert len(match.true) == len(match.spurious) == len(match.missed) == 0

    def test_counted_truth_comes_first_even_where_ignored_truth_fits_better(self):
        match = match_instances(made(row_of(0)), made(row_of(0, 4), [True, False]), 0.15)
        assert match.true.tolist() == [1]
        assert len(match.spurious) == len(match.missed) == 0

    def test_it_excuses_all_that_lie_in_it_and_one_other_that_fits(self):
        # Half of the third lies in it, less of the others; of these the fourth overlaps more.
        left = row_of(0, 1, 5, 6, 7, 90)
        match = match_instances(made(left), made(row_of(0), [True]), 0.15)
        assert match.spurious.tolist() == [3, 4, 5]
        match = match_instances(made(left[3:]), made(row_of(0), [True]), 0.15)
        assert match.spurious.tolist() == [1, 2]

    def test_a_crowd_excuses_small_ones_whatever_the_cut_off(self):
        crowd = [[0, 0, 100, 100], [150, 150, 160, 160]]
        small = [*row_of(0, 20, 40, 95), [96, 50, 106, 60], [146, 146, 170, 170]]
        match = match_instances(made(small), made(crowd, [True, True]), 0.5)
        assert match.spurious.tolist() == [4, 5]

    def test_a_prediction_in_a_crowd_that_matches_is_a_hit(self):
        true = made([[0, 0, 100, 100], *row_of(20)], [True, False])
        match = match_instances(made(row_of(20, 40)), true, 0.5)
        assert match.predicted.tolist() == [0]
        assert match.spurious.tolist() == []

    def test_it_excuses_nothing_below_the_cut_off(self):
        match = match_instances(made(row_of(0)), made(row_of(9), [True]), 0.15)
        assert match.spurious.tolist() == [0]

    @given(
        st.lists(st.integers(0, 60), max_size=8),
        st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=8),
        cut_offs,
    )
    def test_every_instance_is_in_one_group(self, left, labelled, cut_off):
        predicted = made(row_of(*left))
        true = made(row_of(*(x for x, _ in labelled)), [i for _, i in labelled])
        match = match_instances(predicted, true, cut_off)
        counted = np.flatnonzero(~true.ignore)
        assert sorted([*match.true, *match.missed]) == counted.tolist()
        assert not true.ignore[match.true].any()
        excused = set(range(len(left))) - {*match.predicted, *match.spurious}
        assert not excused or true.ignore.any()
        iou = box_iou_matrix(predicted.boxes, true.boxes)
        assert np.array_equal(match.iou, iou[match.predicted, match.true])
        pairs = literal(iou[:, counted], cut_off)
        assert [(p, counted[t]) for p, t in pairs] == list(
            zip(match.predicted, match.true, strict=True)
        )
