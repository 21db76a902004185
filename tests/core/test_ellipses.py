from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.geometry.ellipses import (
    distances_of_edges,
    ellipse_area,
    ellipse_boxes,
    ellipse_from_moments,
    ellipse_points,
)
from defectscope.core.masks import mask_from_polygon


def ellipses_of(shortest_px, thinnest):
    """Ellipses that lie inside 100 x 100 px, of axes up to 60 px."""
    place, major = st.floats(40, 60), st.floats(shortest_px, 60)
    drawn = st.tuples(place, place, major, st.floats(thinnest, 1), st.floats(0, 180))
    return drawn.map(lambda e: (e[0], e[1], e[2], e[2] * e[3], e[4]))


ellipses = ellipses_of(3, 0.1)
large_ellipses = ellipses_of(20, 0.5)


def angle_between(a, b):
    return abs((a - b + 90) % 180 - 90)


def quadratic_form(points, x, y, major, minor, angle_deg):
    """1 on the ellipse; written with mathematical axes, y up."""
    right, up = points[:, 0] - x, y - points[:, 1]
    turn = np.deg2rad(angle_deg)
    along, across = (
        right * np.cos(turn) + up * np.sin(turn),
        up * np.cos(turn) - right * np.sin(turn),
    )
    return (2 * along / major) ** 2 + (2 * across / minor) ** 2


@given(ellipses)
def test_points_lie_on_the_ellipse(ellipse):
    points = ellipse_points(*ellipse, count=33)
    assert points.shape == (33, 2)
    assert np.allclose(quadratic_form(points, *ellipse), 1)


@pytest.mark.parametrize(
    ("angle", "tip"),
    [
        (0, (10, 0)),
        (90, (0, -10)),
        (45, (10 / np.sqrt(2), -10 / np.sqrt(2))),
        (135, (-10 / np.sqrt(2), -10 / np.sqrt(2))),
    ],
)
def test_angles_run_counter_clockwise_as_seen_with_y_down(angle, tip):
    points = ellipse_points(50, 50, 20, 4, angle, count=4) - 50
    assert np.allclose(points[0], tip, atol=1e-12)
    assert np.allclose(points[2], np.negative(tip), atol=1e-12)


@given(ellipses)
def test_boxes_are_tight(ellipse):
    points = ellipse_points(*ellipse, count=2000)
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    box = ellipse_boxes(*ellipse)
    assert box.shape == (1, 4)
    assert np.allclose(box[0], [x0, y0, x1, y1], atol=1e-3)
    assert box[0, 0] <= x0 + 1e-9
    assert box[0, 3] >= y1 - 1e-9


def test_boxes_of_several_ellipses():
    boxes = ellipse_boxes([10, 20], 30, [8, 8], [2, 2], [0, 90])
    assert np.allclose(boxes, [[6, 29, 14, 31], [19, 26, 21, 34]])
    assert ellipse_boxes([], [], [], [], []).shape == (0, 4)


def test_area_is_pi_a_b():
    assert ellipse_area(8, 4) == pytest.approx(np.pi * 4 * 2)
    assert np.allclose(ellipse_area([2, 20], [2, 10]), [np.pi, np.pi * 50])


@given(large_ellipses)
def test_a_filled_ellipse_is_found_by_its_moments(ellipse):
    x, y, major, minor, angle = ellipse
    mask = mask_from_polygon(ellipse_points(*ellipse, count=256), (100, 100))
    found = ellipse_from_moments(mask.bitmap)
    # The jagged edge of so few pixels allows no less; without bias, as the next test shows.
    assert found[0] + mask.x == pytest.approx(x, abs=0.4)
    assert found[1] + mask.y == pytest.approx(y, abs=0.4)
    assert found[2] == pytest.approx(major, abs=1.5)
    assert found[3] == pytest.approx(minor, abs=1.5)
    if major - minor > 5:
        assert angle_between(found[4], angle) < 8


@pytest.mark.parametrize(
    ("major", "minor", "angle"),
    [(60, 30, 0), (60, 30, 30), (60, 30, 90), (70, 20, 120), (70, 20, 179), (44, 44, 0)],
)
def test_moments_have_no_bias_over_places_in_a_pixel(major, minor, angle):
    errors = []
    for shift in np.stack(np.meshgrid(np.arange(5), np.arange(5)), -1).reshape(-1, 2) / 5:
        x, y = 49.5 + shift
        points = ellipse_points(x, y, major, minor, angle, 512)
        dense = mask_from_polygon(points, (100, 100)).to_dense((100, 100))
        found = ellipse_from_moments(dense)
        errors.append(np.subtract(found[:4], (x, y, major, minor)))
        if major > minor:
            assert angle_between(found[4], angle) < 0.5
    assert np.abs(errors).max() < 0.5
    # A circle's longer axis is the one that came out longer.
    assert np.abs(np.mean(errors, axis=0)).max() < (0.05 if major > minor else 0.1)


def test_weights_count_and_not_only_where_they_are():
    weights = np.zeros((9, 9))
    weights[4, 2], weights[4, 6] = 3, 1
    x, y, major, minor, angle = ellipse_from_moments(weights)
    assert (x, y) == (3.5, 4.5)
    assert major == pytest.approx(4 * np.sqrt(3 + 1 / 12))
    assert minor == pytest.approx(4 / np.sqrt(12))
    assert angle_between(angle, 0) < 1e-9


def test_one_pixel_is_a_square_and_not_a_point():
    x, y, major, minor, _ = ellipse_from_moments(np.ones((1, 1), bool))
    assert (x, y) == (0.5, 0.5)
    assert major == minor == pytest.approx(4 / np.sqrt(12))


@given(ellipses, st.floats(0.2, 3))
def test_distances_have_the_sign_of_the_side(ellipse, scale):
    x, y, major, minor, angle = ellipse
    points = ellipse_points(x, y, major * scale, minor * scale, angle, count=20)
    distances = distances_of_edges(points, [ellipse], np.array([len(points)]))
    radii = np.hypot(*(points - (x, y)).T)
    assert np.allclose(distances, radii * (1 - 1 / scale), atol=1e-9)


def test_distances_from_a_circle_and_from_its_centre():
    found = distances_of_edges(
        np.array([[10, 5], [5, 5], [5, 1]]), [(5, 5, 4, 4, 70)], np.array([3])
    )
    assert np.allclose(found, [3, -2, 2])


@pytest.mark.real_data
def test_angles_and_axes_are_those_of_imagej_labels(real_data):
    """ImageJ wrote box and ellipse of each label: ours must give its boxes."""
    path = real_data("stem-multitype") / "annotations.json"
    labels = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    given = [(label["ellipse"], label["bbox"]) for label in labels if "ellipse" in label]
    assert len(given) > 100
    keys = ("cx", "cy", "major", "minor", "angle_deg")
    boxes = ellipse_boxes(*np.array([[ellipse[key] for key in keys] for ellipse, _ in given]).T)
    corners = np.array([[x, y, x + width, y + height] for _, (x, y, width, height) in given])
    assert np.abs(boxes - corners).max() < 1.5
    assert np.median(np.abs(boxes - corners)) < 0.4
