from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.errors import FormatError, UsageError
from defectscope.core.tracking_metrics import tracking_scores


def boxes(rows, identity):
    """A table of 10 px boxes from (frame, identity, x)."""
    table = pd.DataFrame(rows, columns=["frame", identity, "x_min"]).astype({"x_min": float})
    return table.assign(x_max=table["x_min"] + 10, y_min=0.0, y_max=10.0)


def scores(predicted, true, cut_off_iou=0.5, **columns):
    truth = boxes(true, "track_id").assign(**columns)
    return tracking_scores(boxes(predicted, "particle"), truth, cut_off_iou=cut_off_iou)


STILL = [(frame, track, 100 * track) for frame in range(4) for track in (1, 2)]


def test_perfect_tracks():
    found = scores([(f, t + 7, x + 1) for f, t, x in STILL], STILL)
    assert found == {
        "mota": 1.0,
        "idf1": 1.0,
        "id_switches": 0,
        "fragmentations": 0,
        "mostly_tracked": 1.0,
        "true_tracks": 2,
        "matches": 8,
        "misses": 0,
        "false_positives": 0,
    }


def of_lines(rows, identity):
    """A table of lines from (frame, identity, points)."""
    lines = [np.asarray(line, float) for _, _, line in rows]
    table = pd.DataFrame([row[:2] for row in rows], columns=["frame", identity])
    ends = np.array([[*p.min(axis=0) - 0.5, *p.max(axis=0) + 0.5] for p in lines])
    table[["x_min", "y_min", "x_max", "y_max"]] = ends
    return table.assign(line=np.fromiter(lines, object))


def line_scores(predicted, true, **columns):
    truth = of_lines(true, "track_id").assign(**columns)
    return tracking_scores(of_lines(predicted, "particle"), truth, cut_off_iou=0.15)


SLANTED = np.array([[0.0, 0], [100, 100]])
UPRIGHT = np.array([[50.0, 0], [50, 100]])


def pile_up(line, apart, by):
    return [(f, t, line + np.array([by + apart * t, 0])) for f in range(3) for t in range(5)]


def test_lines_match_by_their_distance_whatever_their_boxes():
    near = line_scores(pile_up(UPRIGHT, 20, 2), pile_up(UPRIGHT, 20, 0))
    assert (near["mota"], near["idf1"], near["matches"]) == (1, 1, 15)
    far = line_scores(pile_up(SLANTED, 40, 28), pile_up(SLANTED, 40, 0))
    assert (far["mota"], far["idf1"], far["matches"]) == (-1, 0, 0)


def test_the_nearest_of_lines_side_by_side_is_the_same():
    found = line_scores(pile_up(UPRIGHT, 4, 1), pile_up(UPRIGHT, 4, 0))
    assert (found["mota"], found["idf1"], found["id_switches"]) == (1, 1, 0)


def test_an_ignored_line_excuses_what_lies_along_it_alone():
    true = [(0, 0, UPRIGHT), (0, 1, SLANTED)]
    pieces = [0.3 * SLANTED, 0.3 * SLANTED + 60]
    other = np.array([[20.0, 80], [40, 60]])
    rows = [(0, k, line) for k, line in enumerate([UPRIGHT, *pieces, other])]
    found = line_scores(rows, true, ignore=[False, True])
    assert (found["matches"], found["misses"], found["false_positives"]) == (1, 0, 1)


def test_what_has_a_line_on_one_side_only_goes_by_boxes():
    true = boxes(STILL, "track_id")
    lines = [[[x, 0], [x + 10, 10]] for _, _, x in STILL]
    rows = [(f, t, np.array(line, float)) for (f, t, _), line in zip(STILL, lines, strict=True)]
    found = of_lines(rows, "particle")
    assert tracking_scores(found, true, cut_off_iou=0.5)["mota"] == 1


def test_swapped_identities():
    swapped = [(f, t if f < 2 else 3 - t, x) for f, t, x in STILL]
    found = scores(swapped, STILL)
    assert found["id_switches"] == 2
    assert found["mota"] == 1 - 2 / 8
    assert found["idf1"] == 2 * 4 / (8 + 8)
    assert found["fragmentations"] == 0


def test_an_identity_taken_back_is_a_second_switch_but_costs_little_identity():
    five = [(f, 1, 0) for f in range(5)]
    found = scores([(f, 9 if f == 2 else 4, 0) for f in range(5)], five)
    assert found["id_switches"] == 2
    assert found["mota"] == 1 - 2 / 5
    assert found["idf1"] == 2 * 4 / (5 + 5)


@pytest.mark.parametrize(("after", "switches"), [(4, 0), (5, 1)])
def test_a_miss_within_a_track_is_a_fragmentation(after, switches):
    five = [(f, 1, 0) for f in range(5)]
    found = scores([(0, 4, 0), (1, 4, 0), (3, after, 0), (4, after, 0)], five)
    assert (found["misses"], found["fragmentations"]) == (1, 1)
    assert found["id_switches"] == switches
    assert found["mota"] == 1 - (1 + switches) / 5
    assert found["idf1"] == 2 * (4 - 2 * switches) / (5 + 4)
    assert found["mostly_tracked"] == 1.0  # 4 of 5 frames are 80 %


def test_misses_at_the_ends_and_absent_truth_are_no_fragmentations():
    here_and_there = [(f, 1, 0) for f in (0, 1, 5, 6)]
    found = scores([(1, 4, 0), (5, 4, 0)], here_and_there)
    assert (found["misses"], found["fragmentations"], found["id_switches"]) == (2, 0, 0)
    assert found["mostly_tracked"] == 0.0


def test_false_positives_and_wrong_places():
    found = scores([(0, 1, 500), (1, 1, 6)], [(0, 1, 0), (1, 1, 0)])
    assert (found["matches"], found["misses"], found["false_positives"]) == (0, 2, 2)
    assert found["mota"] == 1 - 4 / 2
    assert found["idf1"] == 0.0


def test_a_pair_is_kept_while_it_overlaps_enough():
    true = [(0, 1, 0), (1, 1, 0)]
    predicted = [(0, 5, 0), (1, 5, 3), (1, 6, 1)]  # 6 fits better in frame 1
    assert scores(predicted, true)["id_switches"] == 0
    assert scores(predicted, true, cut_off_iou=0.6)["id_switches"] == 1


def test_what_is_mostly_tracked_is_a_share_of_tracks():
    true = [(f, t, 100 * t) for f in range(10) for t in range(4)]
    until = {0: 10, 1: 8, 2: 7, 3: 0}
    found = scores([row for row in true if row[0] < until[row[1]]], true)
    assert found["mostly_tracked"] == 2 / 4


def test_ignored_truth_is_neither_hit_nor_miss():
    predicted = [(0, 1, 0), (0, 2, 100), (0, 3, 300), (1, 1, 0)]
    true = [(0, 1, 0), (0, 2, 100), (1, 1, 0), (1, 2, 100)]
    found = scores(predicted, true, ignore=[False, True, False, True])
    assert (found["matches"], found["misses"], found["false_positives"]) == (2, 0, 1)
    assert (found["true_tracks"], found["mostly_tracked"]) == (1, 1.0)
    assert found["idf1"] == 2 * 2 / (2 + 3)


def test_all_that_lies_in_ignored_truth_is_excused():
    # Half of the second lies in it, less of the third.
    predicted = [(0, 1, 0), (0, 2, 100), (0, 3, 105), (0, 4, 106)]
    found = scores(predicted, [(0, 1, 0), (0, 2, 100)], ignore=[False, True])
    assert (found["matches"], found["misses"], found["false_positives"]) == (1, 0, 1)
    assert found["idf1"] == 2 * 1 / (1 + 2)


def test_one_name_in_two_sequences_is_two_tracks():
    again = [(frame + 4, track, x) for frame, track, x in STILL]
    predicted = STILL + [(frame, track + 2, x) for frame, track, x in again]
    found = scores(predicted, STILL + again, sequence=[0] * 8 + [1] * 8)
    assert (found["mota"], found["idf1"], found["id_switches"]) == (1, 1, 0)
    assert found["true_tracks"] == 4
    assert scores(predicted, STILL + again)["id_switches"] == 2


def test_what_cannot_be_scored_is_none():
    nothing = scores([], [])
    assert [nothing[name] for name in ("mota", "idf1", "mostly_tracked")] == [None] * 3
    spurious = scores([(0, 1, 0)], [])
    assert (spurious["mota"], spurious["idf1"], spurious["false_positives"]) == (None, 0.0, 1)
    missed = scores([], [(0, 1, 0)])
    assert (missed["mota"], missed["idf1"], missed["mostly_tracked"]) == (0.0, 0.0, 0.0)


def test_identities_may_be_names_and_rows_in_any_order():
    named = boxes(STILL, "track_id").assign(track_id=lambda t: "loop " + t["track_id"].astype(str))
    predicted = boxes(STILL, "particle").sample(frac=1, random_state=0)
    assert tracking_scores(predicted, named, cut_off_iou=0.15)["mota"] == 1.0


@settings(max_examples=60)
@given(
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), max_size=25),
    st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)), max_size=25),
)
def test_idf1_is_the_best_of_all_assignments(predicted, true):
    def once(rows):
        return sorted({(f, i): (f, i, 8.0 * place) for f, i, place in sorted(rows)}.values())

    predicted, true = once(predicted), once(true)
    shared = np.zeros((4, 4), int)
    for (f, p, a), (g, t, b) in itertools.product(predicted, true):
        shared[t, p] += f == g and a == b
    best = max(shared[range(4), order].sum() for order in itertools.permutations(range(4)))
    found = scores(predicted, true)
    total = len(predicted) + len(true)
    assert found["idf1"] == (2 * best / total if total else None)
    assert found["matches"] + found["misses"] == len(true)
    assert found["matches"] + found["false_positives"] == len(predicted)


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (boxes(STILL, "particle").drop(columns="x_max"), "missing: x_max"),
        (boxes(STILL, "track_id"), "missing: particle"),
        (boxes([*STILL, (0, 1, 50)], "particle"), "particle 1 is in frame 0 twice"),
        (boxes([(0, None, 0)], "particle"), "'particle'"),
    ],
)
def test_other_tables_are_refused(predicted, message):
    with pytest.raises(FormatError, match=message):
        tracking_scores(predicted, boxes(STILL, "track_id"), cut_off_iou=0.5)


@pytest.mark.parametrize("cut_off", [-0.1, 1.5, float("nan")])
def test_cut_offs_are_shares(cut_off):
    with pytest.raises(UsageError, match="0 to 1"):
        scores(STILL, STILL, cut_off_iou=cut_off)
