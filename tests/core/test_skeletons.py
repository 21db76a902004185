"""Skeletons: the longest way through masks of every awkward shape."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope import Mask
from defectscope.core.geometry.curves import distances_to_curve
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.skeletons import longest_path, mask_course, skeleton_path
from defectscope.core.line_masks import dice_loss, mask_of_line, unique_masks


def line_mask(points, width=5):
    return mask_of_line(np.asarray(points, float), width)


def test_a_straight_mask_gives_its_middle_line():
    path = skeleton_path(line_mask([[10, 20], [90, 20]]))
    assert polyline_length(path) == pytest.approx(80, abs=5)
    np.testing.assert_allclose(path[:, 1], 20, atol=0.6)


def test_the_cropped_mask_gives_what_the_whole_frame_gives():
    points = [[12.3, 15.1], [40.2, 33.0], [77.7, 30.9]]
    mask = line_mask(points)
    whole = Mask(0, 0, mask.to_dense((64, 100)))
    np.testing.assert_allclose(skeleton_path(mask), skeleton_path(whole))


def test_the_course_of_a_mask_is_a_spline_of_fifty_points():
    course = mask_course(line_mask([[10, 20], [90, 60]]))
    assert course.shape == (50, 2)
    assert distances_to_curve(course, np.array([[10.0, 20], [90, 60]])).max() < 0.5
    assert mask_course(Mask(3, 4, np.ones((1, 1), bool))).tolist() == [[3.5, 4.5]]
    assert mask_course(Mask(3, 4, np.zeros((2, 2), bool))).shape == (0, 2)


def united(*masks):
    """Return the mask of all pixels of some masks."""
    return Mask.from_dense(np.any([mask.to_dense((128, 256)) for mask in masks], axis=0))


def test_a_branch_is_left_out():
    stem = line_mask([[10, 50], [150, 50]])
    branch = line_mask([[70, 50], [70, 25]])
    path = skeleton_path(united(stem, branch))
    assert polyline_length(path) == pytest.approx(140, abs=8)
    assert distances_to_curve(path, [[10, 50], [150, 50]]).max() < 2.5


def test_a_closed_loop_begins_and_ends_at_one_place():
    angle = np.linspace(0, 2 * np.pi, 100)
    ring = line_mask(50 + 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    path = skeleton_path(ring)
    assert np.array_equal(path[0], path[-1])
    assert polyline_length(path) == pytest.approx(2 * np.pi * 30, rel=0.1)


def ring_mask(radius=30):
    angle = np.linspace(0, 2 * np.pi, 100)
    return line_mask(50 + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))


@pytest.mark.parametrize("spur", [[[78, 50], [86, 50]], [[50, 20], [50, 8]], [[30, 71], [24, 80]]])
def test_a_closed_loop_with_a_rough_rim_is_as_long_as_without(spur):
    rough = skeleton_path(united(ring_mask(), line_mask(spur, 3)))
    assert np.array_equal(rough[0], rough[-1])
    assert polyline_length(rough) == pytest.approx(
        polyline_length(skeleton_path(ring_mask())), 0.02
    )
    assert len(np.unique(rough, axis=0)) == len(rough) - 1


def test_one_pixel_on_the_rim_of_a_skeleton():
    skeleton = np.zeros((12, 14), bool)
    skeleton[1:11, 1:13] = True
    skeleton[2:10, 2:12] = False
    plain = longest_path(skeleton)
    skeleton[0, 5] = True
    path = longest_path(skeleton)
    assert tuple(path[0]) == tuple(path[-1])
    assert polyline_length(path) == pytest.approx(polyline_length(plain), abs=2)


def test_a_line_that_is_longer_than_a_loop_at_its_end_stays_a_line():
    path = skeleton_path(united(ring_mask(8), line_mask([[58, 50], [200, 50]])))
    assert not np.array_equal(path[0], path[-1])
    assert polyline_length(path) > 155


def test_a_gap_is_closed_and_specks_are_left_out():
    bitmap = np.zeros((20, 60), bool)
    bitmap[8:12, 5:28] = bitmap[8:12, 30:55] = True
    bitmap[1, 1] = True
    path = skeleton_path(Mask(0, 0, bitmap), close_px=1)
    assert path[:, 0].min() < 10
    assert path[:, 0].max() > 50


def test_one_pixel_is_one_point_and_nothing_is_none():
    pixel = Mask(7, 3, np.ones((1, 1), bool))
    assert skeleton_path(pixel).tolist() == [[7.5, 3.5]]
    assert skeleton_path(Mask(0, 0, np.zeros((0, 0), bool))).shape == (0, 2)
    assert skeleton_path(Mask(0, 0, np.zeros((4, 5), bool))).shape == (0, 2)


def test_a_mask_that_touches_every_edge_is_followed_to_them():
    full = np.zeros((40, 40), bool)
    for k in range(-2, 3):
        full |= np.eye(40, k=k, dtype=bool)
    path = skeleton_path(Mask(0, 0, full))
    assert polyline_length(path) > 45
    assert skeleton_path(Mask(0, 0, np.ones((9, 9), bool))).size


def test_the_longest_way_is_the_longest_in_any_tree():
    skeleton = np.zeros((9, 9), bool)
    skeleton[4, :] = True
    skeleton[2:4, 2] = True
    path = longest_path(skeleton)
    assert len(path) == 9
    assert set(map(tuple, path.tolist())) == {(4, k) for k in range(9)}


def test_masks_that_are_the_same_line_are_one():
    one, shifted = line_mask([[5, 5], [60, 5]]), line_mask([[5, 6], [60, 6]])
    other = line_mask([[5, 30], [60, 30]])
    empty, tiny = Mask(0, 0, np.zeros((0, 0), bool)), Mask(3, 3, np.ones((2, 2), bool))
    assert dice_loss(one, shifted) < 0.3
    assert dice_loss(one, other) == 1
    assert dice_loss(empty, empty) == 1
    masks = [one, empty, shifted, other, tiny]
    assert unique_masks(masks, [0.6, 1, 0.9, 0.1, 1], 20, 0.5) == [2, 3]
    assert unique_masks(masks, [0.9, 1, 0.9, 0.1, 1], 20, 0.5) == [0, 3]
