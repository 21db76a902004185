"""Lines that share a piece where they cross at a small angle."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.geometry.polylines import polyline_length
from defectscope.detectors.line_tracer.crossings import untangled
from defectscope.detectors.line_tracer.meetings import Chain

STEP_PX = 2.0


def chain(points):
    points = np.asarray(points, float)
    return Chain(points, np.full(len(points), 0.9), np.zeros(len(points)))


def crossing(angle_deg):
    """Return two lines of 120 px through one place, and where the first of them begins to share."""
    reach = np.arange(-60, 60.1, STEP_PX)
    half = np.deg2rad(angle_deg) / 2
    lines = [np.stack([100 + reach * np.cos(a), 60 + reach * np.sin(a)], axis=1)
             for a in (half, -half)]  # fmt: skip
    near = np.abs(reach) * 2 * np.sin(half) < 2.0
    return lines, np.flatnonzero(near)[[0, -1]] + [0, 1]


def assert_these_lines(chains, lines):
    """Check that the chains are the lines, in any order."""
    assert len(chains) == len(lines)
    for line in lines:
        far = [distances_to_curve(found.points, line).max() for found in chains]
        nearest = chains[int(np.argmin(far))]
        assert min(far) < 2.2
        assert polyline_length(nearest.points) == pytest.approx(120, abs=4)
        assert len(nearest.points) == len(nearest.scores)


@pytest.mark.parametrize("angle_deg", [6, 9, 14])
@pytest.mark.parametrize("turned", [False, True])
def test_a_broken_line_goes_on_through_what_it_shares(angle_deg, turned):
    (first, second), (start, stop) = crossing(angle_deg)
    pieces = [chain(first), chain(second[:start]), chain(second[stop:])]
    if turned:
        pieces = [piece.turned for piece in pieces]
    assert_these_lines(untangled(pieces), [first, second])


@pytest.mark.parametrize("angle_deg", [9, 14])
def test_lines_that_took_each_others_course_are_exchanged(angle_deg):
    (first, second), (start, stop) = crossing(angle_deg)
    mixed = chain(np.concatenate([first[:stop], second[stop:]]))
    pieces = [mixed, chain(second[:start]), chain(first[stop:])]
    assert_these_lines(untangled(pieces), [first, second])


def test_an_end_beside_another_that_turns_away_still_meets_the_line():
    (first, second), (start, stop) = crossing(9)
    # It ends nearer to the broken line than the line into which that one runs.
    aside = second[start - 1] + np.array([1.0, 0.3]) + np.arange(0, 40, STEP_PX)[:, None] * [0, -1]
    pieces = [chain(first), chain(second[:start]), chain(second[stop:]), chain(aside)]
    found = untangled(pieces)
    assert len(found) == 3
    assert_these_lines([c for c in found if polyline_length(c.points) > 60], [first, second])


def test_lines_apart_and_ends_without_a_partner_stay_as_they_are():
    (first, second), (start, _) = crossing(12)
    pieces = [chain(first), chain(second[:start]), chain(first + np.array([0, 40]))]
    found = untangled(pieces)
    assert len(found) == 3
    for one, other in zip(found, pieces, strict=True):
        np.testing.assert_array_equal(one.points, other.points)
    assert untangled([]) == []
    assert len(untangled(pieces[:1])) == 1
