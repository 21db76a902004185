"""The background ``foil``: what its options say is what its pixels show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.generators.foil import PAIRS, Foil, FoilOptions, random_field
from defectscope.plugins.testing import BackgroundConformance

# Nothing but grain of one kind.
PLAIN = {
    "level_low": 0.5, "level_high": 0.5, "grain_low_px": 30.0, "grain_high_px": 30.0,
    "contrast_low": 0.05, "contrast_high": 0.05, "fall_low": 2.0, "fall_high": 2.0, "stretch": 1.0,
    "fine": 0.0, "patchiness": 0.0, "skew": 0.0, "illumination": 0.0, "specks": 0.0,
}  # fmt: skip


class TestFoil(BackgroundConformance):
    component = Foil


def render(shape=(200, 240), seed=0, **options):
    return Foil(FoilOptions(**options)).render(shape, np.random.default_rng(seed))


def field(shape=(256, 256), size=24.0, fall=2.0, stretch=1.0, direction=0.0, seed=0):
    return random_field(shape, size, fall, stretch, direction, np.random.default_rng(seed))


def spectrum(pixels):
    """Return mean amplitudes by frequency, in rings of one period per image."""
    size = pixels.shape[0]
    window = np.hanning(size)
    centred = (pixels - pixels.mean()) * window[:, None] * window
    amplitude = np.abs(np.fft.fft2(centred))
    ring = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(size) * size])).round().astype(int)
    return np.bincount(ring.ravel(), amplitude.ravel()) / np.bincount(ring.ravel())


def test_seeds_decide():
    first, again, other = render(seed=1), render(seed=1), render(seed=2)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])
    assert first[1] != other[1]


def test_the_plain_grain_has_the_level_and_the_contrast():
    pixels, drawn = render(**PLAIN)
    assert pixels.mean() == pytest.approx(0.5, abs=1e-3)
    assert pixels.std() == pytest.approx(0.05, rel=0.01)
    assert (drawn["level"], drawn["contrast"], drawn["grain_px"]) == pytest.approx((0.5, 0.05, 30))


@pytest.mark.parametrize("fall", [1.5, 2.5, 3.5])
def test_finer_detail_falls_as_the_exponent_says(fall):
    found = np.mean([spectrum(field(size=32, fall=fall, seed=s)) for s in range(3)], axis=0)
    # Far above the size of the grain (8 periods), below what the window leaks.
    frequencies = np.arange(24, 64)
    slope = np.polyfit(np.log(frequencies), np.log(found[frequencies]), 1)[0]
    expected = -fall * np.mean(1 / (1 + (frequencies * 32 / 256) ** -2.0))
    assert slope == pytest.approx(expected, abs=0.25)


def test_coarser_than_the_grain_the_spectrum_is_flat():
    found = np.mean([spectrum(field(size=16, fall=3, seed=s)) for s in range(6)], axis=0)
    assert found[3:6].mean() == pytest.approx(found[6:9].mean(), rel=0.35)
    assert found[60:90].mean() < 0.2 * found[3:6].mean()


def test_fields_have_mean_0_and_standard_deviation_1():
    for shape in ((64, 300), (17, 16), (301, 33)):
        found = field(shape)
        assert found.shape == shape
        assert found.dtype == np.float32
        assert found.mean() == pytest.approx(0, abs=1e-5)
        assert found.std() == pytest.approx(1, rel=1e-4)


def correlation(pixels, dx, dy):
    """Return the autocorrelation at a shift."""
    height, width = pixels.shape
    one = pixels[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    other = pixels[max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)]
    return float((one * other).mean() / pixels.var())


@pytest.mark.parametrize(("direction", "step"), [(0, (1, 0)), (90, (0, 1)), (45, (1, -1))])
def test_the_grain_is_longer_in_its_direction(direction, step):
    # Angles go up from +x, rows go down.
    found = np.mean(
        [
            [correlation(field(stretch=5, direction=direction, seed=s), 6 * dx, 6 * dy)
             for dx, dy in (step, (-step[1], step[0]))]
            for s in range(3)
        ],
        axis=0,
    )  # fmt: skip
    assert found[0] > found[1] + 0.15


def test_opposite_rims_do_not_continue_each_other():
    pixels = np.stack([field((64, 100), size=40, seed=s) for s in range(12)])
    rims = np.mean(pixels[:, :, 0] * pixels[:, :, -1])
    neighbours = np.mean(pixels[:, :, 0] * pixels[:, :, 1])
    assert neighbours > 0.8
    assert abs(rims) < 0.5


@pytest.mark.parametrize(
    ("option", "value"), [("fine", 1.5), ("patchiness", 1.0), ("skew", 1.0), ("illumination", 0.4),
                          ("specks", 2000.0), ("stretch", 5.0)],
)  # fmt: skip
def test_every_option_changes_something_and_is_recorded(option, value):
    plain, _ = render(**PLAIN)
    changed, drawn = render(**{**PLAIN, option: value})
    assert np.abs(changed - plain).max() > 1e-3
    assert drawn[option] != (1 if option == "stretch" else 0)


def test_specks_are_dark_and_as_many_as_recorded():
    plain, _ = render(**{**PLAIN, "contrast_low": 0, "contrast_high": 0})
    options = {**PLAIN, "contrast_low": 0, "contrast_high": 0, "specks": 500.0}
    pixels, drawn = render((400, 400), 3, **options)
    assert (plain == 0.5).all()
    dark = (pixels < 0.41).sum()
    assert 0 < drawn["specks"] <= dark <= 9 * drawn["specks"]
    assert pixels.max() == 0.5


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 2**16),
    ranges=st.fixed_dictionaries({
        "level": st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
        "grain": st.tuples(st.floats(2.1, 2000), st.floats(2.1, 2000)),
        "contrast": st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)),
        "fall": st.tuples(st.floats(1, 6), st.floats(1, 6)),
    }),
    others=st.fixed_dictionaries({
        "stretch": st.floats(1, 20), "fine": st.floats(0, 2), "patchiness": st.floats(0, 1),
        "skew": st.floats(0, 1), "illumination": st.floats(0, 0.5), "specks": st.floats(0, 10_000),
    }),
)  # fmt: skip
def test_any_options_give_grey_values_from_0_to_1(shape, seed, ranges, others):
    units = {"grain": "_px"}
    limits = {
        f"{name}_{word}{units.get(name, '')}": value
        for name, pair in ranges.items()
        for word, value in zip(("low", "high"), sorted(pair), strict=True)
    }
    pixels, drawn = render(shape, seed, **limits, **others)
    assert pixels.shape == shape
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert limits["level_low"] <= drawn["level"] <= limits["level_high"]
    assert 1 <= drawn["stretch"] <= others["stretch"] * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (16, 2000), (1100, 1300)])
def test_small_and_large_images(shape):
    pixels, _ = render(shape)
    assert pixels.shape == shape
    assert np.isfinite(pixels).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_low_above_high_is_refused(pair):
    low, high = pair
    middle = (getattr(FoilOptions(), low) + getattr(FoilOptions(), high)) / 2
    with pytest.raises(ValueError, match=f"{low} must not exceed {high}"):
        FoilOptions(**{high: middle, low: middle * 1.1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level_low": 0}, "greater than 0"),
        ({"grain_low_px": 2}, "greater than 2"),
        ({"stretch": 0.9}, "greater than or equal to 1"),
        ({"patchiness": 1.1}, "less than or equal to 1"),
        ({"grain": 3}, "not permitted"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FoilOptions(**options)


def test_scan_noise_hangs_together_along_rows_and_is_recorded() -> None:
    calm, _ = render(**PLAIN)
    pixels, drawn = render(**PLAIN, scan=0.05)
    noise = (pixels - calm).astype(float)
    assert noise.std() == pytest.approx(drawn["scan"] * np.hypot(1, drawn["rows"]), rel=0.1)

    def alike(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    assert alike(noise[:, 1:], noise[:, :-1]) > alike(noise[1:], noise[:-1])
