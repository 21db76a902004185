"""The Perlin background: P1's equations 1 to 6 stage by stage, and what is recorded of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from defectscope import OptionError
from defectscope.core.options import validate_options
from defectscope.generators.perlin import perlin_noise
from defectscope.generators.perlin_background import Perlin, PerlinOptions, perlin_image
from defectscope.plugins.testing import BackgroundConformance

# Table 1 of P1: name of the parameter -> lowest and highest value.
TABLE_1 = {
    "wavelength_1_px": (10, 100),
    "wavelength_2_px": (10, 100),
    "perlin_weight": (0.2, 0.4),
    "white_weight": (0.5, 0.7),
    "smoothing_1_px": (1, 1),
    "r_noise": (0.2, 0.4),
    "smoothing_2_px": (0.6, 0.8),
}


class TestPerlin(BackgroundConformance):
    component = Perlin


class TestPerlinWithRNoise(BackgroundConformance):
    component = Perlin
    options = {"second_white_weight": "r-noise"}  # noqa: RUF012


def render(shape=(96, 128), seed=0, **options):
    return Perlin(PerlinOptions(**options)).render(shape, np.random.default_rng(seed))


@pytest.fixture(scope="module", params=range(3))
def made(request):
    """Return the pixels, parameters and stages of one image of 512 x 400 px."""
    shape = (512, 400)
    pixels, parameters = render(shape, request.param)
    stages = {}
    again, _ = perlin_image(shape, parameters, stages)
    np.testing.assert_array_equal(again, pixels)
    return pixels, parameters, stages


def test_p1_and_p2_are_perlin_noise_of_the_recorded_wavelengths(made):
    _, parameters, stages = made
    rows, columns = np.mgrid[:512:7, :400:7]
    for number in (1, 2):
        x0, y0 = parameters[f"origin_{number}_cells"]
        wavelength = parameters[f"wavelength_{number}_px"]
        expected = perlin_noise(x0 + columns / wavelength, y0 + rows / wavelength)
        found = stages[f"P{number}"][::7, ::7]
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_equation_1_adds_the_weighted_second_noise(made):
    _, parameters, stages = made
    expected = stages["P1"] + parameters["perlin_weight"] * stages["P2"]
    np.testing.assert_allclose(stages["P3"], expected, atol=1e-12)
    assert parameters["p3_min"] == stages["P3"].min()
    assert parameters["p3_max"] == stages["P3"].max()


def test_equation_2_stretches_to_0_to_1(made):
    _, _, stages = made
    p3 = stages["P3"]
    expected = (p3 - p3.min()) / (p3.max() - p3.min())
    np.testing.assert_allclose(stages["P3*"], expected, atol=1e-12)
    assert stages["P3*"].min() == 0
    assert stages["P3*"].max() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["X1", "X2"])
def test_white_noise_is_uniform_from_minus_one_to_one_and_white(made, name):
    _, _, stages = made
    noise = stages[name]
    assert -1 <= noise.min() < -0.999
    assert 0.999 < noise.max() < 1
    # Standard errors of 204,800 values; five of them leave chance no part.
    error = 5 / np.sqrt(noise.size)
    assert abs(noise.mean()) < error * np.sqrt(1 / 3)
    assert noise.var() == pytest.approx(1 / 3, abs=error * np.sqrt(4 / 45))
    counts, _ = np.histogram(noise, 10, (-1, 1))
    assert np.abs(counts / noise.size - 0.1).max() < error * 0.3
    for along in (0, 1):
        neighbours = np.roll(noise, 1, along)
        assert abs((noise * neighbours).mean()) < error / 3
    assert abs((stages["X1"] * stages["X2"]).mean()) < error / 3
    assert abs((noise * (stages["P3*"] - stages["P3*"].mean())).mean()) < error


def test_equation_3_adds_the_weighted_white_noise(made):
    _, parameters, stages = made
    expected = stages["P3*"] + parameters["white_weight"] * stages["X1"]
    np.testing.assert_allclose(stages["P4"], expected, atol=1e-12)
    variance = stages["P3*"].var() + parameters["white_weight"] ** 2 / 3
    assert stages["P4"].var() == pytest.approx(variance, rel=0.01)


def test_equation_4_is_a_gaussian_filter(made):
    _, parameters, stages = made
    sigma = parameters["smoothing_1_px"]
    np.testing.assert_allclose(stages["P5"], gaussian_filter(stages["P4"], sigma), atol=1e-9)
    # What a Gaussian filter leaves of white noise: 1 / (4 pi sigma^2) of its variance.
    smooth = gaussian_filter(stages["P3*"], sigma)
    left = parameters["white_weight"] ** 2 / 3 / (4 * np.pi * sigma**2)
    assert (stages["P5"] - smooth).var() == pytest.approx(left, rel=0.05)


def test_equation_5_weights_the_second_white_noise_with_the_spread_of_p4(made):
    _, parameters, stages = made
    assert parameters["p4_sigma"] == pytest.approx(stages["P4"].std(), rel=1e-12)
    assert parameters["second_white_weight"] == parameters["p4_sigma"]
    assert parameters["r_noise"] is None
    expected = stages["P5"] + stages["P4"].std() * stages["X2"]
    np.testing.assert_allclose(stages["P6"], expected, atol=1e-12)


def test_equation_6_filters_again_and_clipping_ends_it(made):
    pixels, parameters, stages = made
    expected = gaussian_filter(stages["P6"], parameters["smoothing_2_px"])
    np.testing.assert_allclose(stages["P7"], expected, atol=1e-9)
    assert stages["P7"].min() < 0  # "might also contain negative values"
    np.testing.assert_allclose(pixels, np.clip(stages["P7"], 0, 1), atol=1e-7)
    assert parameters["clipped_to_0"] == (stages["P7"] < 0).mean() > 0
    assert parameters["clipped_to_1"] == (stages["P7"] > 1).mean() > 0


def test_r_noise_weights_the_second_white_noise_by_option():
    _, by_sigma = render(seed=3)
    _, by_r = render(seed=3, second_white_weight="r-noise")
    assert by_r["second_white_weight"] == by_r["r_noise"]
    assert 0.2 <= by_r["r_noise"] <= 0.4
    for name in set(by_sigma) - {"r_noise", "second_white_weight", "clipped_to_0", "clipped_to_1"}:
        assert by_r[name] == by_sigma[name], name


def test_parameters_fill_the_ranges_of_table_1():
    drawn = [render((16, 16), seed, second_white_weight="r-noise")[1] for seed in range(300)]
    for name, (low, high) in TABLE_1.items():
        values = np.array([parameters[name] for parameters in drawn])
        assert low <= values.min()
        assert values.max() <= high
        assert values.min() - low <= 0.03 * (high - low), name
        assert high - values.max() <= 0.03 * (high - low), name
    origins = np.array([parameters["origin_1_cells"] for parameters in drawn])
    assert origins.min() < 8
    assert origins.max() > 248


def test_parameters_survive_json_and_rebuild_the_image_bit_for_bit():
    pixels, parameters = render(seed=11)
    again, found = perlin_image((96, 128), json.loads(json.dumps(parameters)))
    np.testing.assert_array_equal(again, pixels)
    assert found == parameters


def test_grey_values_of_a_seed_are_fixed():
    # Sixteen pixels of seed 0 as 8 bits: a change of any step, or of the order of draws, shows.
    pixels, _ = render((64, 64), 0)
    eight_bits = np.rint(pixels * 255).astype(np.uint8)
    assert eight_bits[8::16, 8::16].ravel().tolist() == [
        219,
        80,
        49,
        45,
        135,
        60,
        90,
        12,
        45,
        52,
        91,
        97,
        78,
        110,
        67,
        103,
    ]


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    wavelength=st.floats(2, 1000),
    sigmas=st.tuples(st.floats(0, 5), st.floats(0, 5)),
    weights=st.tuples(st.floats(0, 5), st.floats(0, 5)),
    seed=st.integers(0, 10_000),
)
def test_any_frame_and_options_give_grey_values(shape, wavelength, sigmas, weights, seed):
    pixels, parameters = render(
        shape, seed,
        wavelength_1_low_px=wavelength, wavelength_1_high_px=wavelength,
        smoothing_1_low_px=sigmas[0], smoothing_1_high_px=sigmas[0],
        smoothing_2_low_px=sigmas[1], smoothing_2_high_px=sigmas[1],
        perlin_weight_low=weights[0], perlin_weight_high=weights[0],
        white_weight_low=weights[1], white_weight_high=weights[1],
    )  # fmt: skip
    assert pixels.shape == shape
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert parameters["wavelength_1_px"] == wavelength
    json.dumps(parameters, allow_nan=False)


@pytest.mark.parametrize("shape", [(16, 16), (16, 4096), (1024, 300)])
def test_small_long_and_large_frames(shape):
    pixels, _ = render(shape, 2)
    assert pixels.shape == shape
    assert 0.05 < pixels.std() < 0.5


@pytest.mark.parametrize("name", [*TABLE_1])
def test_low_above_high_is_refused_in_one_sentence(name):
    stem, unit = name.removesuffix("_px"), "_px" if name.endswith("_px") else ""
    low, high = f"{stem}_low{unit}", f"{stem}_high{unit}"
    top = getattr(PerlinOptions(), high)
    with pytest.raises(OptionError, match=f"{high} must not be below {low}"):
        validate_options(PerlinOptions, {low: top * 1.01}, "perlin")


def test_values_that_are_no_numbers_are_refused():
    with pytest.raises(OptionError, match="wavelength_1_low_px"):
        validate_options(PerlinOptions, {"wavelength_1_low_px": float("nan")}, "perlin")


@pytest.mark.parametrize(("darkest", "brightest"), [(0.3, 0.7), (0.0, 0.5), (0.9, 1.0)])
def test_grey_is_stretched_at_the_very_end(darkest, brightest):
    whole, parameters = Perlin().render((64, 80), np.random.default_rng(4))
    options = PerlinOptions(darkest=darkest, brightest=brightest)
    pixels, same = Perlin(options).render((64, 80), np.random.default_rng(4))
    assert same == parameters
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, darkest + (brightest - darkest) * whole, atol=1e-6)
    assert darkest - 1e-6 <= pixels.min() <= pixels.max() <= brightest + 1e-6


def test_darkest_must_be_below_brightest():
    with pytest.raises(ValueError, match="darkest must be below brightest"):
        PerlinOptions(darkest=0.5, brightest=0.5)
