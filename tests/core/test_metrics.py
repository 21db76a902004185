from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.instances import Instances
from defectscope.core.metrics import (
    ConfusionMatrix,
    Counts,
    confusion_matrix,
    count_matches,
    counts_by_type,
)

SHAPE = (2000, 2000)
LOOP, DOT, SQUARE = "a/2<111> loop", "black dot", "a<100> loop"
TYPES = (LOOP, DOT, SQUARE)

# P3, Table 1 at IoU 0.4. Its percentages are of each row ("the total number of defects in that
# class as determined by the human labeling"), so that rows are the truth, as here.
TABLE_1 = np.array([[239, 21, 14], [17, 416, 8], [33, 13, 166]])


def made(positions, names, ignore=None):
    """Boxes of 10 px in a grid, at whole or fractional positions of it."""
    cells = np.asarray(positions, float).reshape(-1)
    x, y = cells % 40 * 50, cells // 40 * 50
    boxes = np.stack([x, y, x + 10, y + 10], 1)
    return Instances(SHAPE, boxes, defect_types=names, ignore=ignore)


class TestCounts:
    def test_by_hand(self):
        counts = Counts(8, 2, 4)
        assert counts.precision == 0.8
        assert counts.recall == pytest.approx(2 / 3)
        assert counts.f1 == pytest.approx(16 / 22)
        assert counts.as_dict() == {
            "true_positives": 8,
            "false_positives": 2,
            "false_negatives": 4,
            "precision": 0.8,
            "recall": counts.recall,
            "f1": counts.f1,
        }

    @pytest.mark.parametrize(
        ("counts", "scores"),
        [
            (Counts(), (None, None, None)),
            (Counts(0, 3, 0), (0, None, None)),
            (Counts(0, 0, 3), (None, 0, 0)),
            (Counts(0, 1, 1), (0, 0, 0)),
            (Counts(5, 0, 0), (1, 1, 1)),
        ],
    )
    def test_what_has_no_denominator_is_unknown(self, counts, scores):
        assert (counts.precision, counts.recall, counts.f1) == scores

    @given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 500))
    def test_f1_is_the_harmonic_mean(self, tp, fp, fn):
        counts = Counts(tp, fp, fn)
        mean = 2 / (1 / counts.precision + 1 / counts.recall)
        assert counts.f1 == pytest.approx(mean)

    def test_sums(self):
        assert sum([Counts(1, 2, 3), Counts(10, 20, 30)], Counts()) == Counts(11, 22, 33)

    @pytest.mark.parametrize(
        ("percent_precision", "percent_recall", "f1"),
        [(73, 83, 0.78), (65, 71, 0.68), (62, 72, 0.67)],
        ids=TYPES,
    )
    def test_p3_table_2(self, percent_precision, percent_recall, f1):
        """Counts with the printed precision and recall have the printed F1."""
        hits = percent_precision * percent_recall
        counts = Counts(hits, 100 * percent_recall - hits, 100 * percent_precision - hits)
        assert counts.precision == percent_precision / 100
        assert counts.recall == percent_recall / 100
        assert round(counts.f1, 2) == f1


class TestCountMatches:
    def test_types_do_not_matter(self):
        predicted = made([0, 1, 5], [LOOP, DOT, DOT])
        true = made([0, 1, 2, 3], [DOT, DOT, LOOP, LOOP])
        assert count_matches(predicted, true, 0.15) == Counts(2, 1, 2)

    def test_ignored_truth_counts_as_nothing(self):
        true = made([0, 1, 2], ["uncertain", DOT, "uncertain"], [True, False, True])
        assert count_matches(made([0, 1], [DOT, DOT]), true, 0.15) == Counts(1, 0, 0)

    def test_the_cut_off_decides(self):
        predicted, true = made([0], [DOT]), made([0.1], [DOT])  # 5 of 10 px apart: 1/3
        assert count_matches(predicted, true, 0.33) == Counts(1, 0, 0)
        assert count_matches(predicted, true, 0.34) == Counts(0, 1, 1)

    def test_nothing(self):
        nothing = Instances.empty(SHAPE)
        assert count_matches(nothing, nothing, 0.15) == Counts()
        assert count_matches(nothing, made([0], [DOT]), 0.15) == Counts(0, 0, 1)
        assert count_matches(made([0], [DOT]), nothing, 0.15) == Counts(0, 1, 0)


class TestByType:
    def test_only_boxes_of_one_type_match(self):
        predicted = made([0, 1, 2], [LOOP, DOT, DOT])
        true = made([0, 1, 2], [LOOP, DOT, LOOP])
        assert counts_by_type(predicted, true, 0.4, TYPES) == {
            LOOP: Counts(1, 0, 1),
            DOT: Counts(1, 1, 0),
            SQUARE: Counts(),
        }

    def test_ignored_truth_excuses_predictions_of_any_type(self):
        predicted = made([0, 1], [LOOP, DOT])
        true = made([0, 1], ["uncertain", "uncertain"], [True, True])
        assert counts_by_type(predicted, true, 0.4, (LOOP, DOT)) == {
            LOOP: Counts(),
            DOT: Counts(),
        }

    def test_ignored_truth_of_the_type_itself_is_not_missed(self):
        true = made([0, 1], [LOOP, LOOP], [True, False])
        nothing = Instances.empty(SHAPE)
        assert counts_by_type(nothing, true, 0.4, (LOOP,)) == {LOOP: Counts(0, 0, 1)}


class TestConfusion:
    def test_rows_are_the_truth_and_the_rims_hold_what_is_alone(self):
        first = (made([0, 1, 2], [LOOP, DOT, DOT]), made([0, 1, 3], [LOOP, LOOP, SQUARE]))
        second = (made([0], [SQUARE]), made([0, 1], [DOT, DOT]))
        matrix = confusion_matrix([first, second], 0.4, TYPES)
        assert matrix.names == TYPES
        assert matrix.counts.tolist() == [
            [1, 1, 0, 0],
            [0, 0, 1, 1],
            [0, 0, 0, 1],
            [0, 1, 0, 0],
        ]
        assert matrix.as_dict() == {"names": list(TYPES), "counts": matrix.counts.tolist()}

    def test_class_accuracy_leaves_out_what_was_missed(self):
        counts = np.array([[3, 1, 6], [0, 0, 4], [2, 2, 0]])
        assert ConfusionMatrix((LOOP, DOT), counts).class_accuracy() == {LOOP: 0.75, DOT: None}

    def test_p3_table_1(self):
        """927 matched boxes in one frame, of the types in the table, give its percentages."""
        cells = [(t, p) for t in range(3) for p in range(3) for _ in range(TABLE_1[t, p])]
        true = made(range(len(cells)), [TYPES[t] for t, _ in cells])
        predicted = made(range(len(cells)), [TYPES[p] for _, p in cells])
        matrix = confusion_matrix([(predicted, true)], 0.4, TYPES)
        assert matrix.counts[:3, :3].tolist() == TABLE_1.tolist()
        assert matrix.counts.sum() == len(cells) == 927
        percent = {name: round(100 * a, 1) for name, a in matrix.class_accuracy().items()}
        assert percent == {LOOP: 87.2, DOT: 94.3, SQUARE: 78.3}

    def test_ignored_truth_of_an_unlisted_type_stays_out(self):
        true = made([0, 1], ["uncertain", DOT], [True, False])
        matrix = confusion_matrix([(made([0, 1], [LOOP, DOT]), true)], 0.4, TYPES)
        assert matrix.counts.sum() == matrix.counts[1, 1] == 1

    @pytest.mark.parametrize("side", [0, 1])
    def test_other_types_are_refused(self, side):
        pair = [made([0], [DOT]), made([0], [DOT])]
        pair[side] = made([0], ["cavity"])
        with pytest.raises(ValueError, match=r"'black dot'; found 'cavity' as well"):
            confusion_matrix([tuple(pair)], 0.4, (LOOP, DOT))

    def test_no_frames(self):
        matrix = confusion_matrix([], 0.4, TYPES)
        assert matrix.counts.shape == (4, 4)
        assert set(matrix.class_accuracy().values()) == {None}

    @given(
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from(TYPES)), max_size=12),
        st.lists(st.tuples(st.integers(0, 30), st.sampled_from(TYPES), st.booleans()), max_size=12),
    )
    def test_it_agrees_with_the_counts(self, found, labelled):
        predicted = made([p for p, _ in found], [n for _, n in found])
        true = made(
            [p for p, _, _ in labelled], [n for _, n, _ in labelled], [i for _, _, i in labelled]
        )
        counts = confusion_matrix([(predicted, true)], 0.4, TYPES).counts
        assert Counts(
            int(counts[:3, :3].sum()), int(counts[3].sum()), int(counts[:, 3].sum())
        ) == count_matches(predicted, true, 0.4)
        counted = true.defect_types[~true.ignore]
        assert counts[:3].sum(axis=1).tolist() == [int((counted == n).sum()) for n in TYPES]
