"""Grey levels as networks see them: nothing of the camera is left but its noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.detectors.learning.normalisation import LIMIT, normalised


def scene(shape=(90, 120), seed=0):
    """Return a smooth grey field in [0, 1] with a dark disc and some grain."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = 0.5 + 0.1 * np.sin(x / 17) + 0.1 * np.cos(y / 11)
    image[np.hypot(x - 60, y - 40) < 8] -= 0.3
    image += 0.02 * np.random.default_rng(seed).standard_normal(shape)
    return np.clip(image, 0, 1)


def test_the_median_is_0_and_the_quartiles_are_half_a_unit_apart():
    found = normalised(scene().astype(np.float32))
    low, middle, high = np.percentile(found, (25, 50, 75))
    assert middle == pytest.approx(0, abs=0.02)
    assert high - low == pytest.approx(0.5, abs=0.02)
    assert found.dtype == np.float32
    assert found.shape == (90, 120)


def test_a_picture_is_the_same_in_8_and_in_16_bits():
    eight = np.round(scene() * 255).astype(np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    np.testing.assert_allclose(normalised(sixteen), normalised(eight), atol=1e-5)
    np.testing.assert_allclose(normalised(eight.astype(np.float32)), normalised(eight), atol=1e-6)


def test_12_bits_in_16_keep_their_levels():
    twelve = np.round(scene() * 4095).astype(np.uint16)
    eight = np.round(scene() * 255).astype(np.uint8)
    found = normalised(twelve)
    assert len(np.unique(found)) == len(np.unique(twelve))
    assert len(np.unique(found)) > 4 * len(np.unique(normalised(eight)))
    # What 8 bits round away is all that differs.
    assert np.abs(found - normalised(eight)).max() < 2 / 255 / 0.1


@settings(max_examples=40)
@given(exponent=st.integers(-9, 9), factor=st.floats(1, 10), offset=st.floats(-3, 3))
def test_gain_and_offset_change_nothing(exponent, factor, offset):
    image = scene()
    moved = ((image + offset) * factor * 10.0**exponent).astype(np.float32)
    np.testing.assert_allclose(normalised(moved), normalised(image.astype(np.float32)), atol=2e-3)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_one_grey_level_is_0_everywhere(value):
    for dtype in (np.uint8, np.uint16, np.float32):
        assert not normalised(np.full((40, 50), value, dtype)).any()
    assert not normalised(np.full((400, 501), value + 0.1, np.float32)).any()


def test_few_pixels_that_differ_are_seen_although_most_are_alike():
    image = np.zeros((66, 66), np.uint8)
    image[30:40, 30:40] = 200
    found = normalised(image)
    assert not found[:30].any()
    assert (found[30:40, 30:40] > 1).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2), (3, 3), (5, 4)])
def test_the_smallest_frames(shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = normalised(image)
    assert found.shape == shape
    assert bool(found.any()) == (image.size > 1)


def test_what_is_not_finite_counts_as_the_median_or_the_limit():
    image = scene().astype(np.float32)
    expected = normalised(image)
    image[10, 10], image[11, 11], image[12, 12] = np.nan, np.inf, -np.inf
    found = normalised(image)
    assert (found[10, 10], found[11, 11], found[12, 12]) == (0, LIMIT, -LIMIT)
    others = np.ones(image.shape, bool)
    others[[10, 11, 12], [10, 11, 12]] = False
    np.testing.assert_allclose(found[others], expected[others], atol=0.02)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_finite_at_all_is_0(value):
    assert not normalised(np.full((20, 20), value, np.float32)).any()


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 99),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    bad=st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-44]), max_size=6),
)  # fmt: skip
def test_any_frame_gives_numbers_within_the_limit(shape, seed, dtype, bad):
    rng = np.random.default_rng(seed)
    pixels = (rng.random(shape) ** 8 * 255).astype(dtype)
    if dtype == "float32":
        for value in bad:
            pixels[rng.integers(shape[0]), rng.integers(shape[1])] = value
    pixels.flags.writeable = False
    before = pixels.tobytes()
    found = normalised(pixels)
    assert pixels.tobytes() == before
    assert found.dtype == np.float32
    assert found.shape == shape
    assert np.abs(found).max() <= LIMIT
