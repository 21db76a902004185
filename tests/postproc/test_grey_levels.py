"""Levels of small crops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from defectscope.postproc.grey_levels import otsu_thresholds, quantile, without_planes
from defectscope.postproc.stacking import Stacking


def without_plane(cut, background):
    flat, spread = without_planes(
        cut, background, Stacking(np.array([cut.shape[0]]), np.array([cut.shape[1]]))
    )
    return flat, spread[0]


def otsu_threshold(values):
    return otsu_thresholds([values])[0]


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=60),
    st.floats(0, 1),
)
def test_quantile_is_an_element_at_its_place(values, fraction):
    array = np.array(values, np.float32)
    before = array.copy()
    assert quantile(array, fraction) == np.sort(array)[round(fraction * (len(values) - 1))]
    assert (array == before).all()


@given(st.integers(0, 200), st.floats(0.2, 0.8))
def test_otsu_parts_the_classes_as_scikit_image_does(seed, share):
    rng = np.random.default_rng(seed)
    high = rng.random(900) < share
    values = np.where(high, rng.normal(3, 0.3, 900), rng.normal(0, 0.5, 900)).astype(np.float32)
    ours, theirs = otsu_threshold(values), threshold_otsu(values)
    assert np.mean((values > ours) != (values > theirs)) < 0.02


def test_otsu_is_not_led_astray_by_one_hot_pixel():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 500), rng.normal(10, 1, 300), [1e6]])
    found = otsu_threshold(values.astype(np.float32))
    assert 3 < found < 7


@pytest.mark.parametrize("values", [[], [2.0], [5.0] * 40])
def test_one_grey_value_has_no_threshold(values):
    assert math.isnan(otsu_threshold(np.array(values, np.float32)))


@given(st.floats(-1, 1), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.integers(8, 40))
def test_a_plane_is_taken_away_whatever_stands_on_it(level, slope_x, slope_y, size):
    rows, columns = np.mgrid[:size, : size + 3]
    plane = level + slope_x * columns + slope_y * rows
    background = np.hypot(rows - size / 2, columns - size / 2) > size / 4
    cut = np.where(background, plane, plane + 5).astype(np.float32)
    flat, spread = without_plane(cut, background)
    # The damping that guards against one-sided backgrounds leaves a few percent of the slope.
    rise = max(abs(slope_x), abs(slope_y)) * size
    assert np.abs(flat[background]).max() < 0.06 * rise + 1e-4
    assert np.abs(flat[~background] - 5).max() < 0.06 * rise + 1e-4
    assert spread < 0.06 * rise + 1e-4


def test_spread_is_the_standard_deviation_of_the_background():
    noise = np.random.default_rng(3).normal(7, 2, (60, 60)).astype(np.float32)
    flat, spread = without_plane(noise, np.ones((60, 60), bool))
    assert spread == pytest.approx(2, rel=0.05)
    assert flat.mean() == pytest.approx(0, abs=0.01)


def test_without_a_background_the_median_is_taken_away():
    cut = np.arange(100, dtype=np.float32).reshape(10, 10)
    background = np.zeros((10, 10), bool)
    background[0, :5] = True
    flat, spread = without_plane(cut, background)
    assert math.isnan(spread)
    assert abs(float(np.median(flat))) <= 0.5


def test_crops_and_samples_do_not_know_of_each_other():
    rng = np.random.default_rng(5)
    shapes = [(20, 30), (7, 9), (31, 4), (5, 5)]
    stacking = Stacking(*np.array(shapes).T)
    cuts, background = np.zeros(stacking.shape, np.float32), np.zeros(stacking.shape, bool)
    for k, place in enumerate(stacking.places):
        cuts[place] = rng.normal(k, 1 + k, shapes[k])
        background[place] = rng.random(shapes[k]) < (0.7 if k < 3 else 0.1)
    flat, spread = without_planes(cuts, background, stacking)
    for k, place in enumerate(stacking.places):
        own, own_spread = without_plane(cuts[place].copy(), background[place].copy())
        np.testing.assert_array_equal(flat[place], own)
        np.testing.assert_array_equal(spread[k], own_spread)
    samples = [cuts[place].ravel() for place in stacking.places]
    together = otsu_thresholds([*samples, np.zeros(3, np.float32)])
    assert together[:4].tolist() == [otsu_threshold(sample) for sample in samples]
    assert math.isnan(together[4])
