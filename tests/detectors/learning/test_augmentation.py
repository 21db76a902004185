"""Views of a frame: what happens to pixels happens to boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.detectors.learning.augmentation import (
    LEAST_PART,
    LEAST_SIDE_PX,
    Camera,
    View,
    cropped,
    degraded,
    scaled,
    turned,
)

NO_CAMERA = Camera(blur_px=0, noise=0, gamma=1, jpeg=0)
BOXES = st.tuples(
    st.integers(0, 60), st.integers(0, 40), st.integers(5, 20), st.integers(5, 20)
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
SEEDS = st.integers(0, 2**32 - 1)


def painted(box, shape=(64, 90)):
    """Return a view with one bright rectangle, and its box."""
    pixels = np.zeros(shape, np.float32)
    x_min, y_min, x_max, y_max = box
    pixels[y_min:y_max, x_min:x_max] = 1
    return View(pixels, np.array([box], np.float32))


def bright_box(pixels, level=0.5):
    """Return the box of what is brighter than `level`."""
    rows, columns = np.nonzero(pixels > level)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@settings(max_examples=60)
@given(box=BOXES, seed=SEEDS)
def test_boxes_follow_mirrors_and_turns(box, seed):
    view = painted(box)
    found = turned(view, np.random.default_rng(seed))
    assert sorted(found.pixels.shape) == sorted(view.pixels.shape)
    assert found.pixels.flags.c_contiguous
    assert found.boxes[0].tolist() == bright_box(found.pixels)


def test_all_eight_views_occur_and_none_changes_the_given_one():
    view = painted((10, 20, 25, 30))
    before = view.pixels.copy(), view.boxes.copy()
    seen = {turned(view, np.random.default_rng(s)).pixels.tobytes() for s in range(80)}
    assert len(seen) == 8
    np.testing.assert_array_equal(view.pixels, before[0])
    np.testing.assert_array_equal(view.boxes, before[1])


@settings(max_examples=60)
@given(box=BOXES, seed=SEEDS, low=st.floats(0.4, 1), high=st.floats(1, 3))
def test_boxes_follow_enlargement(box, seed, low, high):
    found = scaled(painted(box), low, high, np.random.default_rng(seed))
    factor = found.pixels.shape[0] / 64
    assert low - 0.01 <= factor <= high + 0.01
    np.testing.assert_allclose(found.boxes[0], bright_box(found.pixels), atol=0.5 + 0.5 * factor)


def test_enlarged_by_nothing_it_is_the_same():
    view = painted((10, 20, 25, 30))
    assert scaled(view, 1, 1, np.random.default_rng(0)) is view


@settings(max_examples=100)
@given(box=BOXES, seed=SEEDS, side=st.integers(16, 120))
def test_boxes_follow_crops(box, seed, side):
    view = painted(box)
    found, seen = cropped(view, side, np.random.default_rng(seed))
    assert found.pixels.shape == (side, side)
    assert len(found.boxes) == seen.sum()
    if seen[0]:
        inside = found.pixels > 0.5
        assert found.boxes[0].tolist() == pytest.approx(bright_box(inside), abs=1e-4) or (
            # A rim that is bright to its end is continued where the view is too small.
            side > 64 and (box[2] == 90 or box[3] == 64)
        )
        assert (found.boxes >= 0).all()
        assert (found.boxes <= side).all()


@settings(max_examples=100)
@given(box=BOXES, seed=SEEDS)
def test_a_box_of_which_too_little_is_left_is_no_longer_labelled(box, seed):
    found, seen = cropped(painted(box), 32, np.random.default_rng(seed))
    x_min, y_min, x_max, y_max = box
    part = found.pixels.sum() / ((x_max - x_min) * (y_max - y_min))
    if part == 0:
        assert not seen[0]
    elif seen[0]:
        assert part >= LEAST_PART - 1e-6
    else:
        left, top, right, bottom = bright_box(found.pixels)
        assert part < LEAST_PART or min(right - left, bottom - top) < LEAST_SIDE_PX


def test_a_small_box_in_the_middle_stays():
    view = painted((40, 30, 42, 33))
    found, seen = cropped(view, 64, np.random.default_rng(0))
    assert seen.tolist() == [True]
    assert found.boxes[0].tolist() == bright_box(found.pixels)


def test_of_a_box_to_ignore_any_part_stays():
    boxes = np.array([[0, 0, 60, 200], [0, 0, 60, 200], [0, 0, 1, 1]], np.float32)
    view = View(np.zeros((200, 64), np.float32), boxes)
    found, seen = cropped(view, 64, np.random.default_rng(0), np.array([True, False, True]))
    # A third of it at most is in any crop.
    assert seen.tolist() == [True, False, False]
    assert found.boxes.tolist() == [[0, 0, 60, 64]]


def test_a_crop_larger_than_the_view_is_continued_by_its_rim():
    pixels = np.random.default_rng(0).random((20, 30), dtype=np.float32)
    found, seen = cropped(View(pixels, np.zeros((0, 4), np.float32)), 64, np.random.default_rng(0))
    np.testing.assert_array_equal(found.pixels[:20, :30], pixels)
    assert (found.pixels[20:, :30] == pixels[-1]).all()
    assert seen.shape == (0,)
    assert found.boxes.shape == (0, 4)


def test_without_a_camera_only_the_range_changes():
    pixels = np.arange(200, 300, dtype=np.uint16).reshape(10, 10)
    found = degraded(pixels, NO_CAMERA, np.random.default_rng(0))
    np.testing.assert_allclose(found, np.linspace(0, 1, 100).reshape(10, 10), atol=1e-6)
    assert found.dtype == np.float32


def test_every_strength_changes_something():
    pixels = painted((20, 20, 50, 40)).pixels + 0.5
    plain = degraded(pixels, NO_CAMERA, np.random.default_rng(0))
    for camera in (Camera(3, 0, 1, 0), Camera(0, 0.1, 1, 0), Camera(0, 0, 1, 1)):
        changed = [degraded(pixels, camera, np.random.default_rng(s)) for s in range(8)]
        assert any(np.abs(c - plain).max() > 0.02 for c in changed)
        assert all(np.abs(c - plain).mean() < 0.2 for c in changed)
    grey = degraded(np.arange(256.0).reshape(16, 16), Camera(0, 0, 3, 0), np.random.default_rng(5))
    assert grey.min() == 0
    assert grey.max() == pytest.approx(1)


@settings(max_examples=40)
@given(
    seed=SEEDS, dtype=st.sampled_from(["uint8", "uint16", "float32"]), level=st.integers(0, 255),
    flat=st.booleans(), blur=st.floats(0, 5), noise=st.floats(0, 1), gamma=st.floats(1, 5),
    jpeg=st.floats(0, 1),
)  # fmt: skip
def test_any_camera_gives_finite_pixels_and_leaves_the_frame_alone(
    seed, dtype, level, flat, blur, noise, gamma, jpeg
):
    rng = np.random.default_rng(seed)
    pixels = (
        np.full((40, 50), level, dtype) if flat else rng.integers(0, 256, (40, 50)).astype(dtype)
    )
    before = pixels.tobytes()
    camera = Camera(blur, noise, gamma, jpeg)
    found, again = (degraded(pixels, camera, np.random.default_rng(seed)) for _ in range(2))
    assert pixels.tobytes() == before
    assert np.isfinite(found).all()
    assert found.dtype == np.float32
    assert found.shape == (40, 50)
    np.testing.assert_array_equal(found, again)


def test_a_hot_pixel_does_not_drown_a_deep_image():
    rng = np.random.default_rng(3)
    frame = rng.normal(1000, 50, (64, 90)).astype(np.uint16)
    broken = frame.copy()
    broken[5, 7], broken[9, 9] = 65535, 0
    alike = []
    for seed in range(20):
        seen = degraded(broken, Camera(0.0, 0.02, 1.0, 0.0), np.random.default_rng(seed))
        alike.append(np.corrcoef(seen[broken == frame], frame[broken == frame])[0, 1])
    assert min(alike) > 0.9


def test_pixels_without_a_value_are_as_the_others():
    frame = np.random.default_rng(3).normal(1, 0.1, (32, 32)).astype(np.float32)
    frame[3, 3], frame[4, 4] = np.nan, np.inf
    assert np.isfinite(degraded(frame, Camera(1.0, 0.02, 1.4, 0.5), np.random.default_rng(0))).all()
