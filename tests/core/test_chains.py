"""Boxes of successive frames linked into chains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from defectscope.core.chains import ChainLinker, box_agreement
from defectscope.core.geometry.boxes import box_iou_matrix


def box(x, y, w=10.0, h=10.0):
    return [x, y, x + w, y + h]


def chains(frames, reach=8):
    """Link {frame: [box, ...]} or {frame: [(type, box), ...]}, and return the chains of each."""
    linker = ChainLinker(reach)
    linked = {}
    for frame, rows in frames.items():
        typed = [row if isinstance(row, tuple) else ("loop", row) for row in rows]
        boxes = np.array([b for _, b in typed], float).reshape(-1, 4)
        linked[frame] = linker.link(frame, boxes, np.array([t for t, _ in typed], object)).tolist()
    return linked


def test_agreement_is_the_overlap_from_a_fifth_on():
    rows, columns, agreement = box_agreement(
        np.array([box(0, 0), box(50, 50)]), np.array([box(5, 0), box(50, 50), box(200, 0)])
    )
    assert rows.tolist() == [0, 1]
    assert columns.tolist() == [0, 1]
    assert agreement == pytest.approx([1 / 3, 1])


def test_below_that_the_distance_of_the_centres_decides():
    # A line of 40 x 2 px that moves by 3 px overlaps with nothing; half its mean side is 10.5 px.
    line = np.array([box(0, 0, 40, 2)])
    _, _, near = box_agreement(line, np.array([box(0, 3, 40, 2)]))
    assert near == pytest.approx([0.2 * (1 - 3 / 10.5)])
    assert len(box_agreement(line, np.array([box(0, 10.6, 40, 2)]))[2]) == 0


@given(
    arrays(float, (7, 4), elements=st.floats(0, 60)),
    arrays(float, (5, 4), elements=st.floats(0, 60)),
)
def test_no_pair_that_overlaps_enough_is_lost(first, second):
    first, second = (
        np.concatenate([b[:, :2], b[:, :2] + 1 + b[:, 2:]], axis=1) for b in (first, second)
    )
    rows, columns, agreement = box_agreement(first, second)
    iou = box_iou_matrix(first, second)
    found = np.zeros_like(iou)
    found[rows, columns] = agreement
    enough = iou >= 0.2 + 1e-9
    assert found[enough] == pytest.approx(iou[enough])
    assert (found[~enough] <= 0.2 + 1e-6).all()


def test_a_drifting_box_stays_one_chain():
    linked = chains({f: [box(4.0 * f, 0)] for f in range(10)})
    assert {c for own in linked.values() for c in own} == {0}


def test_another_type_is_another_chain():
    linked = chains({0: [("loop", box(0, 0))], 1: [("dot", box(0, 0))]})
    assert linked[0] != linked[1]


def test_the_best_pair_is_made_first():
    linked = chains({0: [box(0, 0), box(4, 0)], 1: [box(4, 0)]})
    assert linked[1] == [linked[0][1]]


def test_a_later_sighting_goes_before_a_better_one():
    linked = chains({0: [box(0, 0), box(40, 0)], 1: [box(3, 0)], 2: [box(0, 0)]})
    assert linked[1] == [linked[0][0]]
    assert linked[2] == linked[1]


@pytest.mark.parametrize(("reach", "same"), [(3, False), (4, True)])
def test_a_gap_is_bridged_up_to_the_reach(reach, same):
    linked = chains({0: [box(0, 0)], 1: [], 4: [box(1, 0)]}, reach)
    assert (linked[0] == linked[4]) is same


def test_no_rows_and_no_reach():
    assert chains({0: [], 1: []}) == {0: [], 1: []}
    assert chains({0: [box(0, 0)], 1: [box(0, 0)]}, reach=0) == {0: [0], 1: [1]}


def test_one_to_one_even_for_doubled_boxes():
    linked = chains({0: [box(0, 0)], 1: [box(0, 0), box(0, 0)]})
    assert len(set(linked[1])) == 2
    assert linked[0][0] in linked[1]


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_chains_depend_on_the_frames_between_alone(seed, cut):
    """A linker that begins later agrees about who belongs together."""
    rng = np.random.default_rng(seed)
    frames = {f: [box(*rng.uniform(0, 60, 2)) for _ in range(rng.integers(0, 8))] for f in range(8)}
    whole = chains(frames, reach=3)
    late = chains({f: rows for f, rows in frames.items() if f >= cut}, reach=3)
    flat = [(a, b) for f in late for a, b in zip(whole[f], late[f], strict=True)]
    assert len({a for a, _ in flat}) == len({b for _, b in flat}) == len(set(flat))
