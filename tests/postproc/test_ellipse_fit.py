"""Edges at sub-pixel positions, and ellipses through them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from skimage.measure import find_contours

from defectscope.core.geometry.ellipses import distances_of_edges
from defectscope.postproc.edges import Labelled, edge_points
from defectscope.postproc.ellipse_fit import Ellipse, fit_to_edges, fit_to_moments

SIZE = 64
ellipses = st.builds(
    lambda x, y, major, ratio, angle: Ellipse(x, y, major, max(major * ratio, 5.0), angle),
    st.floats(28, 36),
    st.floats(28, 36),
    st.floats(8, 44),
    st.floats(0.5, 1),
    st.floats(0, 179.9),
)


def labelled(values, label, threshold=0.0):
    rows, columns = (np.flatnonzero(label.any(axis=axis)) for axis in (1, 0))
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if len(rows) else (0, 0, 0, 0)
    return Labelled(values, label, threshold, box)


def edge_of(values, label):
    points, seen, counts = edge_points([labelled(values, label)])
    assert counts.tolist() == [len(points)]
    return points, seen


def fit_to_edge(values, label, cut_by_rim=False):
    return fit_to_edges([labelled(values, label)], [cut_by_rim])[0]


def field(ellipse):
    """Return values that are 0 on the ellipse and fall outwards, about one per px."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    distances = distances_of_edges(points, [ellipse], np.array([len(points)]))
    return -distances.reshape(SIZE, SIZE).astype(np.float32)


@given(ellipses)
def test_edge_points_are_those_of_marching_squares(ellipse):
    values = field(ellipse)
    label = values > 0
    # Marching squares put a point on a pixel's centre where the value is exactly 0.
    assume((np.abs(values) > 1e-4).all())
    points, seen = edge_of(values, label)
    theirs = np.concatenate([c[:-1] for c in find_contours(values.astype(float), 0.0)])
    theirs = theirs[:, ::-1] + 0.5
    assert seen.all()
    assert len(points) == len(theirs)
    distances = np.hypot(*(points[:, None] - theirs[None]).transpose(2, 0, 1))
    assert distances.min(axis=1).max() < 1e-3


@given(ellipses)
def test_the_ellipse_of_an_edge_is_found(ellipse):
    values = field(ellipse)
    found = fit_to_edge(values, values > 0)
    assert found is not None
    assert found[:4] == pytest.approx(ellipse[:4], abs=0.1)
    if ellipse.minor < 0.9 * ellipse.major:
        assert abs((found.angle_deg - ellipse.angle_deg + 90) % 180 - 90) < 2


def test_a_tail_that_hangs_on_is_left_out():
    values = field(Ellipse(32, 32, 30, 20, 0))
    values[40:47, 31:34] = 5
    moments = fit_to_moments(values > 0)
    found = fit_to_edge(values, values > 0)
    assert found is not None
    assert moments is not None
    assert found[:4] == pytest.approx((32, 32, 30, 20), abs=0.5)
    assert moments.minor > 21


def test_what_a_neighbour_hides_is_extrapolated():
    ellipse = Ellipse(32, 32, 30, 20, 0)
    values = field(ellipse)
    label = values > 0
    label[:, 42:] = False
    points, seen = edge_of(values, label)
    assert (points[~seen][:, 0] == 42).all()
    found = fit_to_edge(values, label)
    assert found is not None
    assert found[:4] == pytest.approx(ellipse[:4], abs=0.1)


def test_an_ellipse_does_not_go_far_beyond_the_mask_unless_the_frame_ends_there():
    values = field(Ellipse(32, 32, 40, 30, 0))
    label = values > 0
    label[:, 34:] = False
    kept = fit_to_edge(values, label)
    beyond = fit_to_edge(values, label, cut_by_rim=True)
    assert kept is not None
    assert beyond is not None
    assert beyond.major == pytest.approx(40, abs=0.5)
    assert kept.x < 30 < beyond.x


@pytest.mark.parametrize("label", [np.zeros((9, 9), bool), np.ones((9, 9), bool)])
def test_without_an_edge_there_is_no_ellipse(label):
    assert fit_to_edge(label.astype(np.float32) - 0.5, label) is None


def test_defects_do_not_know_of_each_other():
    shapes = [Ellipse(32, 32, 30, 20, 0), Ellipse(30, 34, 44, 40, 70), Ellipse(33, 31, 8, 5, 20)]
    given, cut = [], [False, True, False, False, False]
    for k, ellipse in enumerate(shapes):
        values = field(ellipse)
        values[40:47, 31 : 31 + k] = 5
        label = values > 0
        label[:, 40:] = False
        given.append(labelled(values, label))
    given += [labelled(np.zeros((9, 9), np.float32), np.zeros((9, 9), bool)), given[0]]
    alone = [fit_to_edges([one], [c])[0] for one, c in zip(given, cut, strict=True)]
    assert fit_to_edges(given, cut) == alone
    assert fit_to_edges([], []) == []
    assert alone[3] is None


def test_moments_of_nothing_are_none():
    assert fit_to_moments(np.zeros((5, 5), bool)) is None
