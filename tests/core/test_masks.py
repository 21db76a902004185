from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from defectscope.core.geometry.ellipses import ellipse_points
from defectscope.core.masks import (
    Mask,
    mask_from_polygon,
    mask_from_rle,
    mask_iou,
    mask_outline,
)

images = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))
placed = st.builds(Mask, st.integers(-6, 12), st.integers(-6, 12), images)


def square(x, y, side):
    return Mask(x, y, np.ones((side, side), bool))


def slow_dense(mask, shape):
    dense = np.zeros(shape, bool)
    for row, column in np.argwhere(mask.bitmap):
        y, x = row + mask.y, column + mask.x
        if 0 <= y < shape[0] and 0 <= x < shape[1]:
            dense[y, x] = True
    return dense


class TestMask:
    @pytest.mark.parametrize(
        ("bitmap", "found"),
        [
            (np.ones((2, 2), np.uint8), r"uint8 of shape \(2, 2\)"),
            (np.ones(4, bool), r"bool of shape \(4,\)"),
            (np.ones((1, 2, 2), bool), r"bool of shape \(1, 2, 2\)"),
        ],
    )
    def test_anything_but_a_2d_bool_bitmap_is_refused(self, bitmap, found):
        with pytest.raises(ValueError, match=f"a mask needs a 2-D bool bitmap, found {found}"):
            Mask(0, 0, bitmap)

    def test_one_line_shows_it(self):
        shown = repr(Mask(3, 4, np.eye(2, 5, dtype=bool)))
        assert shown == "<Mask of 2 px in 5 x 2 px at (3, 4)>"

    def test_place_and_area(self):
        mask = Mask(3, 5, np.array([[True, False, True], [False, True, False]]))
        assert mask.box == (3, 5, 6, 7)
        assert mask.area_px == 3
        assert mask.moved(-4, 2).box == (-1, 7, 2, 9)

    def test_trimming_cuts_the_empty_rim_only(self):
        bitmap = np.zeros((6, 7), bool)
        bitmap[2, 3] = bitmap[4, 1] = True
        trimmed = Mask(10, 20, bitmap).trimmed()
        assert trimmed.box == (11, 22, 14, 25)
        assert trimmed.bitmap.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]

    @pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0), (2, 2)])
    def test_trimming_a_mask_without_pixels(self, shape):
        trimmed = Mask(4, 5, np.zeros(shape, bool)).trimmed()
        assert trimmed.bitmap.shape == (0, 0)
        assert trimmed.area_px == 0

    @given(placed)
    def test_trimming_keeps_every_pixel(self, mask):
        trimmed = mask.trimmed()
        assert np.array_equal(trimmed.to_dense((25, 25)), slow_dense(mask, (25, 25)))
        if mask.area_px:
            assert trimmed.bitmap[[0, -1]].any(axis=1).all()
            assert trimmed.bitmap[:, [0, -1]].any(axis=0).all()

    @given(placed, array_shapes(min_dims=2, max_dims=2, max_side=9))
    def test_clipping_and_the_dense_image_keep_what_lies_inside(self, mask, shape):
        clipped, expected = mask.clipped(shape), slow_dense(mask, shape)
        assert np.array_equal(mask.to_dense(shape), expected)
        assert np.array_equal(clipped.to_dense(shape), expected)
        assert clipped.area_px == expected.sum()
        if clipped.bitmap.size:
            x0, y0, x1, y1 = clipped.box
            assert 0 <= x0 <= x1 <= shape[1]
            assert 0 <= y0 <= y1 <= shape[0]

    @given(images)
    def test_a_dense_image_comes_back(self, image):
        mask = Mask.from_dense(image)
        assert np.array_equal(mask.to_dense(image.shape), image)
        assert mask.area_px == image.sum()

    def test_numbers_other_than_0_count_as_inside(self):
        assert Mask.from_dense(np.array([[0, 3], [0, 255]], np.uint8)).box == (1, 0, 2, 2)

    def test_a_mask_does_not_hold_on_to_the_image_it_was_cut_from(self):
        image = np.zeros((500, 500), bool)
        image[3:6, 4:8] = True
        mask = Mask.from_dense(image)
        assert not np.shares_memory(mask.bitmap, image)
        assert mask.bitmap.base is None
        image[:] = False
        assert mask.area_px == 12

    def test_masks_pickle(self):
        back = pickle.loads(pickle.dumps(square(2, 3, 4)))
        assert back.box == (2, 3, 6, 7)
        assert back.area_px == 16


class TestRunLengths:
    def test_columns_first_and_background_first_as_in_coco(self):
        image = np.array([[0, 1, 1], [0, 0, 1]], bool)
        assert np.array_equal(mask_from_rle([2, 1, 1, 2], (2, 3)).to_dense((2, 3)), image)
        assert np.array_equal(mask_from_rle([0, 2, 1, 1, 2], (2, 3)).to_dense((2, 3)), ~image)

    def test_nothing_and_everything(self):
        assert mask_from_rle([0, 6], (2, 3)).area_px == 6
        assert mask_from_rle([6], (2, 3)).area_px == 0
        assert mask_from_rle([], (0, 0)).area_px == 0

    def test_runs_of_no_length_are_read(self):
        assert mask_from_rle([0, 2, 0, 1, 3], (2, 3)).area_px == 3

    @pytest.mark.parametrize(
        "counts",
        [[5], [7], [], [8, -2], [2**62, 2**62, 2**62, 2**62, 6], [2**64 + 6]],
    )
    def test_runs_that_do_not_fit_the_frame_are_refused(self, counts):
        with pytest.raises(ValueError, match=rf"2 x 3 = 6 pixels, found {sum(counts)}$"):
            mask_from_rle(counts, (2, 3))


class TestPolygon:
    def test_pixels_whose_centre_lies_inside(self):
        corners = np.array([[2, 3], [6, 3], [6, 5], [2, 5]])
        mask = mask_from_polygon(corners, (20, 20))
        assert mask.box == (2, 3, 6, 5)
        assert mask.bitmap.all()
        assert mask_from_polygon(corners + 0.4, (20, 20)).box == (2, 3, 6, 5)
        assert mask_from_polygon(corners + 0.6, (20, 20)).box == (3, 4, 7, 6)

    @given(
        st.integers(3, 12), st.floats(2, 12), st.floats(0, 7), st.floats(8, 16), st.floats(8, 16)
    )
    def test_exactly_those_whatever_the_place(self, corners, radius, turn, x, y):
        t = turn + 2 * np.pi * np.arange(corners) / corners
        points = [x, y] + radius * np.stack([np.cos(t), np.sin(t)], 1)
        filled = mask_from_polygon(points, (24, 24)).to_dense((24, 24))
        centres = np.stack(np.meshgrid(np.arange(24) + 0.5, np.arange(24) + 0.5), -1)
        edges = np.roll(points, -1, axis=0) - points
        offset = centres[:, :, None] - points
        nearest = (edges[:, 0] * offset[..., 1] - edges[:, 1] * offset[..., 0]).min(axis=2)
        # A centre on the edge itself may go either way.
        assert filled[nearest > 1e-6].all()
        assert not filled[nearest < -1e-6].any()

    @pytest.mark.parametrize(("major", "minor", "angle"), [(60, 18, 0), (40, 40, 0), (25, 9, 33)])
    def test_the_area_of_an_ellipse_at_any_place_in_a_pixel(self, major, minor, angle):
        places = 50 + np.arange(5) / 5
        areas = [
            mask_from_polygon(ellipse_points(x, y, major, minor, angle, 400), (100, 100)).area_px
            for x in places
            for y in places
        ]
        assert np.mean(areas) == pytest.approx(np.pi / 4 * major * minor, rel=0.005)
        assert np.ptp(areas) < 0.1 * np.mean(areas)

    def test_the_frame_cuts(self):
        corners = np.array([[-5, -5], [4, -5], [4, 3], [-5, 3]])
        assert mask_from_polygon(corners, (20, 20)).box == (0, 0, 4, 3)
        assert mask_from_polygon(corners + np.array([18, 17]), (20, 20)).box == (13, 12, 20, 20)

    @pytest.mark.parametrize("shift", [-200, 200])
    def test_a_polygon_outside_of_the_frame_is_empty(self, shift):
        corners = np.array([[2, 3], [6, 3], [6, 5]]) + shift
        assert mask_from_polygon(corners, (20, 20)).area_px == 0

    def test_no_vertices_no_pixels(self):
        assert mask_from_polygon(np.zeros((0, 2)), (20, 20)).area_px == 0


class TestOutline:
    def test_it_runs_through_the_centres_of_the_rim_pixels(self):
        outline = mask_outline(Mask(10, 20, np.ones((3, 5), bool)))
        assert {tuple(point) for point in outline} == {
            (10.5, 20.5), (14.5, 20.5), (14.5, 22.5), (10.5, 22.5)
        }  # fmt: skip

    def test_it_encloses_the_mask(self):
        points = ellipse_points(30.2, 28.7, 40, 18, 35)
        mask = mask_from_polygon(points, (60, 60))
        assert mask_iou(mask_from_polygon(mask_outline(mask), (60, 60)), mask) > 0.99

    def test_the_longest_of_several_whatever_its_number_of_vertices(self):
        dense = np.zeros((60, 60), bool)
        dense[2:30, 2:50] = True
        dense |= mask_from_polygon(ellipse_points(48, 50, 12, 9, 20), (60, 60)).to_dense((60, 60))
        outline = mask_outline(Mask.from_dense(dense))
        assert outline.min(axis=0).tolist() == [2.5, 2.5]
        assert outline.max(axis=0).tolist() == [49.5, 29.5]

    def test_holes_are_not_followed(self):
        ring = np.ones((9, 9), bool)
        ring[3:6, 3:6] = False
        assert mask_outline(Mask(0, 0, ring)).tolist() == mask_outline(square(0, 0, 9)).tolist()

    def test_one_pixel(self):
        assert mask_outline(square(4, 5, 1)).tolist() == [[4.5, 5.5]]

    @pytest.mark.parametrize("shape", [(0, 0), (3, 3)])
    def test_no_pixels_no_outline(self, shape):
        assert mask_outline(Mask(1, 1, np.zeros(shape, bool))).shape == (0, 2)

    def test_masks_in_any_memory_order(self):
        bitmap = np.ones((4, 6), bool)
        views = [np.asfortranarray(bitmap), np.ones((8, 12), bool)[::2, ::2]]
        for view in views:
            assert (
                mask_outline(Mask(0, 0, view)).tolist() == mask_outline(Mask(0, 0, bitmap)).tolist()
            )


class TestOverlap:
    def test_by_hand(self):
        assert mask_iou(square(0, 0, 4), square(2, 2, 4)) == 4 / 28
        assert mask_iou(square(0, 0, 4), square(4, 0, 4)) == 0
        assert mask_iou(square(-3, -3, 2), square(-3, -3, 2)) == 1

    def test_two_empty_masks_have_none(self):
        empty = Mask(0, 0, np.zeros((3, 3), bool))
        assert mask_iou(empty, empty) == 0
        assert mask_iou(empty, square(0, 0, 3)) == 0

    @given(placed, placed)
    def test_as_on_dense_images(self, a, b):
        one, other = (slow_dense(m.moved(6, 6), (30, 30)) for m in (a, b))
        union = (one | other).sum()
        assert mask_iou(a, b) == ((one & other).sum() / union if union else 0)
        assert mask_iou(a, b) == mask_iou(b, a)
