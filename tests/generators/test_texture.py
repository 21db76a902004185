"""The shipped background: what its options say is what its pixels show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.generators.texture import Texture, TextureOptions
from defectscope.plugins.testing import BackgroundConformance, PluginConformance

FLAT = {"grain_contrast": 0.0, "coarse_contrast": 0.0, "illumination": 0.0}


class TestTexture(BackgroundConformance):
    component = Texture


class TestShippedGenerators(PluginConformance):
    plugin = "defectscope.generators.plugin"


def render(shape=(256, 300), seed=0, **options):
    return Texture(TextureOptions(**options)).render(shape, np.random.default_rng(seed))


def test_without_grain_and_slope_every_pixel_has_the_level():
    pixels, _ = render(**FLAT, level=0.4)
    assert pixels.shape == (256, 300)
    assert (pixels == np.float32(0.4)).all()


@pytest.mark.parametrize(("name", "size"), [("grain", "grain_px"), ("coarse", "coarse_px")])
@pytest.mark.parametrize("contrast", [0.01, 0.05])
def test_the_contrast_of_a_grain_is_its_standard_deviation(name, size, contrast):
    pixels, _ = render(**{**FLAT, f"{name}_contrast": contrast}, **{size: 4.0})
    assert pixels.std() == pytest.approx(contrast, rel=1e-3)


def correlation_length(pixels):
    """Return the shift in px at which the autocorrelation falls to half."""
    centred = pixels - pixels.mean()
    shifts = range(1, 60)
    values = [float((centred[:, :-s] * centred[:, s:]).mean() / centred.var()) for s in shifts]
    return 1 + int(np.argmax(np.array(values) < 0.5))


def test_larger_grain_is_correlated_farther():
    # White noise under a Gaussian of sigma s is half correlated at a shift of 2 s sqrt(ln 2).
    for size_px in (8.0, 16.0, 24.0):
        pixels, _ = render((512, 512), **{**FLAT, "grain_contrast": 0.05}, grain_px=size_px)
        expected = 2 * np.sqrt(np.log(2)) * size_px / 2
        assert correlation_length(pixels.astype(float)) == pytest.approx(expected, rel=0.15, abs=1)


@pytest.mark.parametrize("seed", range(4))
def test_the_recorded_direction_is_that_of_the_light(seed):
    pixels, parameters = render(
        (200, 200), seed, **{**FLAT, "illumination": 0.2, "grain_contrast": 0.001}
    )
    slope = np.array([np.diff(pixels.mean(axis=k)).mean() for k in (0, 1)]) * 199 / 0.2
    angle = parameters["illumination_rad"]
    np.testing.assert_allclose(slope, [np.cos(angle), np.sin(angle)], atol=0.02)
    assert pixels.mean() == pytest.approx(TextureOptions().level, abs=1e-3)


def test_seeds_decide():
    first, again, other = render(seed=1), render(seed=1), render(seed=2)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])
    assert first[1] != other[1]


@settings(max_examples=30)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    options=st.fixed_dictionaries(
        {
            "level": st.floats(0.001, 0.999),
            "grain_px": st.floats(0.01, 200),
            "grain_contrast": st.floats(0, 0.5),
            "coarse_px": st.floats(0.01, 500),
            "coarse_contrast": st.floats(0, 0.5),
            "illumination": st.floats(0, 0.5),
        }
    ),
)
def test_any_options_give_grey_values_from_0_to_1(shape, options):
    pixels, _ = render(shape, **options)
    assert pixels.shape == shape
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1
