"""Scores of a validation, against pairs counted by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from defectscope.detectors.learning.line_scoring import FoundLines, best_line_threshold
from defectscope.detectors.learning.scoring import (
    DETECTION,
    THRESHOLDS,
    Scored,
    best_threshold,
    scores_by_type,
    share_with_error,
)


def scored(found=(), true=(), ignore=None, classes=None, true_classes=None):
    """Return a frame from (x, y, side, score) and (x, y, side); everything of class 0."""
    found, true = np.array(found, float).reshape(-1, 4), np.array(true, float).reshape(-1, 3)

    def boxes(rows):
        return np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:3]]).astype(np.float32)

    return Scored(
        boxes(found), found[:, 3].astype(np.float32),
        np.zeros(len(found), np.intp) if classes is None else np.array(classes, np.intp),
        boxes(true),
        np.zeros(len(true), np.intp) if true_classes is None else np.array(true_classes, np.intp),
        np.zeros(len(true), bool) if ignore is None else np.array(ignore),
    )  # fmt: skip


def test_perfect_boxes_give_1():
    best = best_threshold([scored([(0, 0, 10, 0.9)], [(0, 0, 10)])])
    assert best.score == best.f1 == 1
    assert best.threshold <= 0.9


def test_f1_of_one_hit_one_alarm_and_one_miss():
    frame = scored([(0, 0, 10, 0.8), (50, 50, 10, 0.8)], [(0, 0, 10), (100, 0, 10)])
    assert best_threshold([frame]).f1 == pytest.approx(2 * 1 / (2 + 2))


def test_the_threshold_leaves_out_what_is_wrong():
    found = [(0, 0, 10, 0.71), (30, 0, 10, 0.62), (60, 0, 10, 0.41), (90, 0, 10, 0.37)]
    best = best_threshold([scored(found, [(0, 0, 10), (30, 0, 10)])])
    assert best.f1 == best.score == 1
    assert 0.41 < best.threshold <= 0.62
    assert best.threshold in THRESHOLDS


def test_all_that_lies_in_an_ignored_box_counts_as_nothing():
    found = [(0, 0, 10, 0.9), (100, 0, 10, 0.9), (120, 0, 10, 0.9), (140, 0, 10, 0.9)]
    true = [(0, 0, 10), (90, 0, 80)]
    assert best_threshold([scored(found, true, ignore=[False, True])]).f1 == 1


def test_what_is_dropped_at_a_threshold_counts_at_the_others_alone():
    frame = scored([(0, 0, 10, 0.7), (30, 0, 10, 0.4)], [(0, 0, 10)])
    dropped = np.zeros((len(THRESHOLDS), 2), bool)
    dropped[THRESHOLDS <= 0.3, 1] = True
    best = best_threshold([frame._replace(dropped=dropped)])
    assert best.f1 == 1
    assert best.threshold <= 0.3
    assert 0.4 < best_threshold([frame]).threshold <= 0.7


def test_a_lower_threshold_that_finds_more_wins():
    # From 0.5: one hit of two. From 0.2: two hits and one false alarm.
    found = [(0, 0, 10, 0.5), (30, 0, 10, 0.2), (60, 0, 10, 0.2)]
    best = best_threshold([scored(found, [(0, 0, 10), (30, 0, 10)])])
    assert best.threshold <= 0.2
    assert best.f1 == pytest.approx(2 * 2 / (3 + 2))
    # Two alarms more, and it is better without.
    found += [(90, 0, 10, 0.2), (120, 0, 10, 0.2), (150, 0, 10, 0.2)]
    best = best_threshold([scored(found, [(0, 0, 10), (30, 0, 10)])])
    assert 0.2 < best.threshold <= 0.5
    assert best.f1 == pytest.approx(2 * 1 / (1 + 2))


def test_outlines_count_as_much_as_finding():
    # An overlap of 1/3: found at 0.15, not outlined at 0.4.
    best = best_threshold([scored([(0, 0, 10, 0.9)], [(5, 0, 10)])])
    assert (best.f1, best.score) == (1, 0.5)


def test_counts_are_summed_over_frames_not_averaged():
    hit = scored([(0, 0, 10, 0.9)], [(0, 0, 10)])
    missed = scored([], [(0, 0, 10), (30, 0, 10), (60, 0, 10)])
    assert best_threshold([hit, missed]).f1 == pytest.approx(2 * 1 / (1 + 4))


class TestIgnored:
    def test_it_is_neither_hit_nor_miss_nor_alarm(self):
        frame = scored([(0, 0, 10, 0.9), (30, 0, 10, 0.9)], [(0, 0, 10), (30, 0, 10)],
                       ignore=[False, True])  # fmt: skip
        assert best_threshold([frame]).f1 == 1
        unseen = scored([(0, 0, 10, 0.9)], [(0, 0, 10), (30, 0, 10)], ignore=[False, True])
        assert best_threshold([unseen]).f1 == 1

    def test_it_excuses_one_prediction_only_of_those_that_lie_beside_it(self):
        frame = scored([(0, 0, 10, 0.9), (30, 0, 10, 0.9), (36, 0, 10, 0.9)],
                       [(0, 0, 10), (30, 0, 10)], ignore=[False, True])  # fmt: skip
        assert best_threshold([frame]).f1 == pytest.approx(2 * 1 / (2 + 1))

    def test_a_real_one_comes_first(self):
        # The prediction fits the ignored one better; it is a hit all the same.
        frame = scored([(0, 0, 10, 0.9)], [(2, 0, 10), (0, 0, 10)], ignore=[False, True])
        assert best_threshold([frame]).f1 == 1

    def test_it_excuses_whatever_its_type(self):
        frame = scored([(0, 0, 10, 0.9), (30, 0, 10, 0.9)], [(0, 0, 10), (30, 0, 10)],
                       ignore=[False, True], classes=[0, 1], true_classes=[0, -1])  # fmt: skip
        assert best_threshold([frame]).f1 == 1


def test_the_wrong_type_is_a_miss_and_an_alarm():
    frame = scored([(0, 0, 10, 0.9), (30, 0, 10, 0.9)], [(0, 0, 10), (30, 0, 10)],
                   classes=[0, 1], true_classes=[0, 0])  # fmt: skip
    assert best_threshold([frame]).f1 == pytest.approx(2 * 1 / (2 + 2))


@pytest.mark.parametrize(
    "frames", [[], [scored()], [scored([], [(0, 0, 10)])], [scored([(0, 0, 10, 0.9)])]]
)
def test_nothing_found_or_nothing_to_find_is_0_and_no_error(frames):
    best = best_threshold(frames)
    assert best.score == best.f1 == 0
    assert 0 < best.threshold < 1


def test_precision_and_recall_at_the_threshold_with_their_errors():
    one = scored([(0, 0, 10, 0.9), (60, 60, 10, 0.9)], [(0, 0, 10)])
    other = scored([(0, 0, 10, 0.9)], [(0, 0, 10), (30, 0, 10)])
    best = best_threshold([one, other])
    assert (best.precision, best.recall) == pytest.approx((2 / 3, 2 / 3))
    # Residuals are 1 - 4/3 and 1 - 2/3; the sum of hits has a variance of 2 · 2/9.
    assert best.precision_error == pytest.approx((2 * 2 / 9) ** 0.5 / 3)
    assert best.recall_error == pytest.approx((2 * 2 / 9) ** 0.5 / 3)


def test_lines_have_errors_between_frames_too():
    def frame(found, true):
        lines = [np.array([[4.0, y], [60.0, y]]) for y in (10, 40, 70)]
        scored_lines = [SimpleNamespace(points=lines[k], score=0.9) for k in found]
        return FoundLines(scored_lines, [lines[k] for k in true], [], None)

    best = best_line_threshold([frame([0, 1], [0]), frame([0], [0, 2])], (0.3, 0.95))
    assert best.threshold == 0.3
    assert (best.lines.matched, best.lines.predicted, best.lines.true) == (2, 3, 3)
    error = (2 * 2 / 9) ** 0.5 / 3  # as of the boxes above
    assert best.detection == pytest.approx(
        {"precision": 2 / 3, "precision_error": error, "recall": 2 / 3, "recall_error": error}
    )
    assert set(best_line_threshold([], (0.3,)).detection.values()) == {0.0}


def test_the_error_of_a_share_is_how_much_it_varies_between_sets_of_frames():
    rng = np.random.default_rng(5)
    shares, errors = [], []
    for _ in range(400):
        numbers = rng.poisson(30, 40)
        # Some frames are harder than others.
        hits = rng.binomial(numbers, rng.beta(8, 2, 40))
        share, error = share_with_error(hits, numbers)
        shares.append(share)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.1)
    assert share_with_error([], []) == (0.0, 0.0)
    assert share_with_error([5], [10]) == (0.5, pytest.approx(0.05**0.5 / 2**0.5))


def test_of_thresholds_as_good_the_one_with_the_right_number_is_taken():
    # 600 hits that stay; then six false alarms and six hits lost, at lower and higher thresholds.
    true = [(20 * (k % 40), 20 * (k // 40), 10) for k in range(606)]
    found = [(*place, 0.9) for place in true[:600]] + [(*place, 0.6) for place in true[600:]]
    alarms = [(2000 + 20 * k, 0, 10, score) for k, score in enumerate([0.4] * 6 + [0.2] * 60)]
    best = best_threshold([scored(found + alarms, true)])
    assert 0.4 < best.threshold < 0.6
    assert best.precision == best.recall == 1
    # All as good: 0.6 percent fewer, or more, change F1 by less than is looked at.
    fewer = best_threshold([scored(found[:600] + alarms[:6], true)])
    assert fewer.threshold <= 0.4
    assert (fewer.precision, fewer.recall) == pytest.approx((600 / 606, 600 / 606))


def test_each_type_has_precision_and_recall_of_its_own():
    # Of class 0 both are found, one of them once more elsewhere; of class 1 one of two.
    one = scored([(0, 0, 10, 0.9), (60, 60, 10, 0.9), (0, 30, 10, 0.9)], [(0, 0, 10), (0, 30, 10)],
                 classes=[0, 0, 1], true_classes=[0, 1])  # fmt: skip
    other = scored([(0, 0, 10, 0.9), (90, 0, 10, 0.9)],
                   [(0, 0, 10), (0, 30, 10), (60, 0, 10), (90, 0, 10)],
                   ignore=[False, False, False, True], classes=[0, 1],
                   true_classes=[0, 1, -1, 0])  # fmt: skip
    logged = scores_by_type([one, other], float(THRESHOLDS[4]), ("dot", "loop", "line"))
    assert logged["precision/dot"] == pytest.approx(2 / 3)
    assert logged["recall/dot"] == 1
    assert (logged["precision/loop"], logged["recall/loop"]) == (1, 0.5)
    assert logged["recall_error/loop"] == pytest.approx((2 * (0.25 + 0.25)) ** 0.5 / 2)
    assert {logged[f"{kind}/line"] for kind in DETECTION} == {0}
