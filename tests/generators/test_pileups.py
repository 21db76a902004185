from __future__ import annotations

import numpy as np
import pytest

from defectscope.generators.line_paths import pieces_inside, spline_paths
from defectscope.generators.microstructure import M2, Continuous, Discrete
from defectscope.generators.pileups import PileUpRules, draw_pileup, slip_axes

SHAPE = (512, 512)
EIGHT = M2.model_copy(update={"dislocations": Discrete(values=(8,), weights=(1,))})


def drawn(seed=0, microstructure=EIGHT, shapes=(), **rules):
    rng = np.random.default_rng(seed)
    return draw_pileup(SHAPE, microstructure, PileUpRules(**rules), shapes, rng)


def test_angles_are_counter_clockwise_as_seen():
    along, across = slip_axes(90)
    np.testing.assert_allclose(along, [0, -1], atol=1e-12)
    np.testing.assert_allclose(across, [-1, 0], atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_every_dislocation_runs_from_one_trace_to_the_other(seed):
    pileup = drawn(seed, near_pairs=0.2, crossings=0.2)
    along, across = slip_axes(pileup.direction_deg)
    first, second = pileup.traces
    for trace, ends in ((first, pileup.support[:, 0]), (second, pileup.support[:, -1])):
        np.testing.assert_allclose((ends - trace[0]) @ across, 0, atol=1e-9)
        place = (ends - trace[0]) @ along
        assert place.min() > 0
        assert place.max() < np.hypot(*(trace[1] - trace[0]))
    gap = (second[0] - first[0]) @ across
    assert gap == pytest.approx(pileup.slip_width_px)
    assert 40 <= gap <= 220
    np.testing.assert_allclose(pileup.support[0, 0], pileup.start)


def test_the_next_dislocation_is_shifted_along_the_traces():
    pileup = drawn(jitter=0, near_pairs=0, crossings=0)
    along, _ = slip_axes(pileup.direction_deg)
    offsets = (pileup.support[:, 0] - pileup.start) @ along
    np.testing.assert_allclose(offsets, pileup.offsets_px)
    assert (np.diff(offsets) >= 7).all()
    assert (np.diff(offsets) <= 55).all()
    ends = (pileup.support[:, -1] - pileup.support[0, -1]) @ along
    np.testing.assert_allclose(ends, offsets, atol=1e-9)


def test_crossing_lines_cross_and_near_ones_come_near():
    straight = EIGHT.model_copy(update={"bow": Continuous(quantiles=(0, 0))})
    pileup = drawn(3, straight, near_pairs=0, crossings=1, jitter=0)
    assert pileup.neighbours == ("apart", *("crossing",) * 7)
    along, _ = slip_axes(pileup.direction_deg)
    for before, after in zip(pileup.support, pileup.support[1:], strict=False):
        assert (after[0] - before[0]) @ along < 0 < (after[-1] - before[-1]) @ along
    pileup = drawn(3, straight, near_pairs=1, crossings=0, jitter=0, near_gap_px=(2, 4))
    gaps = np.diff(pileup.offsets_px)
    assert gaps.min() >= 2
    assert gaps.max() <= 4


def test_pile_ups_on_both_sides_of_zero_bow_to_the_same_side():
    narrow = {"direction_deg": Continuous(quantiles=(-8, 8)), "lean": Continuous(quantiles=(0, 0)),
              "bow": Continuous(quantiles=(0.2, 0.2))}  # fmt: skip
    recorded = []
    for seed in range(12):
        pileup = drawn(seed, EIGHT.model_copy(update=narrow), jitter=0)
        middle = pileup.support[:, 2] - (pileup.support[:, 0] + pileup.support[:, -1]) / 2
        assert (middle[:, 0] > 0).all()
        recorded.append(pileup.record()["direction_deg"])
    assert all(0 <= angle < 8 or 172 < angle < 180 for angle in recorded)
    assert min(recorded) < 8 < max(recorded)


def test_a_line_whose_neighbour_is_left_out_lies_apart():
    pileup = drawn(3, near_pairs=0, crossings=1).only([0, 1, 4, 5, 7])
    assert pileup.neighbours == ("apart", "crossing", "apart", "crossing", "apart")


def test_labelled_shapes_are_followed():
    shape = np.array([[0, 0], [0.5, 0.5], [0, 1.0]])
    pileup = drawn(0, shapes=[shape], jitter=0, support_points=9)
    along, _ = slip_axes(pileup.direction_deg)
    middle = (pileup.support[0, 4] - pileup.support[0, 0]) @ along
    assert middle == pytest.approx(0.5 * pileup.slip_width_px, rel=0.5)


def test_pile_ups_lie_in_the_frame_where_they_fit():
    for seed in range(30):
        support = drawn(seed, M2, overhang=0).support
        size = support.max(axis=(0, 1)) - support.min(axis=(0, 1))
        for axis in np.flatnonzero(size < 512):
            assert support[..., axis].min() >= -1e-9
            assert support[..., axis].max() <= 512 + 1e-9


def test_paths_are_equally_spaced_points_of_the_spline():
    support = np.array([[[0, 0], [50, 40], [100, 0]], [[0, 0], [10, 0], [20, 0]]], float)
    bent, straight = spline_paths(support)
    np.testing.assert_allclose(straight, np.stack([np.linspace(0, 20, 21), np.zeros(21)], 1))
    steps = np.hypot(*np.diff(bent, axis=0).T)
    assert steps.max() <= 1
    assert np.ptp(steps) < 0.02
    # Natural, with three knots: y = 40·(1.5·s - 0.5·s³) for s from 0 to 1, x = 50·s.
    s = bent[bent[:, 0] <= 50, 0] / 50
    np.testing.assert_allclose(bent[: len(s), 1], 40 * (1.5 * s - 0.5 * s**3), atol=0.02)
    np.testing.assert_allclose(bent[[0, -1]], support[0, [0, -1]], atol=1e-9)
    assert spline_paths(np.zeros((0, 3, 2))) == []


def test_paths_are_cut_exactly_at_the_rim():
    x = np.linspace(-5, 25, 31) + 0.25
    path = np.stack([x, np.full(31, 3.0)], axis=1)
    ((start, end, points),) = pieces_inside(path, (10, 20))
    assert (start, end) == (pytest.approx(4.75), pytest.approx(24.75))
    np.testing.assert_allclose(points[[0, -1]], [[0, 3], [20, 3]], atol=1e-12)
    assert pieces_inside(path + [0, 20], (10, 20)) == []  # noqa: RUF005 - added, not joined


def test_a_path_that_leaves_and_comes_back_has_two_parts():
    x = np.linspace(1, 19, 200)
    path = np.stack([x, 6 - 0.12 * (x - 10) ** 2 + 6], axis=1)
    first, second = pieces_inside(path, (10, 20))
    assert first[1] < second[0]
    for _, _, points in (first, second):
        assert points[:, 1].max() == pytest.approx(10)
