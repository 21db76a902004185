"""The shared rules from stored values to grey pixels, and from axes to a pixel size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from defectscope import DamagedFrameError
from defectscope.readers.pixels import COLOURS, ROUNDED, grey_pixels
from defectscope.readers.scale import in_nanometres, sizes_differ, square_pixel_nm, uneven_steps

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6)
EXACT = ("u1", "u2", "f4", "i1", "i2", "f2", ">u2", ">i2", ">f4")


@given(
    st.sampled_from(EXACT).flatmap(
        lambda kind: hnp.arrays(
            kind,
            SHAPES,
            elements={"allow_nan": False, "allow_infinity": False} if "f" in kind else None,
        )
    )
)
def test_no_digit_is_lost_up_to_16_bits(stored: np.ndarray) -> None:
    warnings: list[str] = []
    grey = grey_pixels(stored, "x", warnings)
    assert grey.dtype in (np.uint8, np.uint16, np.float32)
    assert grey.dtype.isnative
    assert np.array_equal(grey.astype(float), stored.astype(float))
    assert warnings == []


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_known_types_are_not_even_copied(kind: str) -> None:
    stored = np.arange(12).reshape(3, 4).astype(kind)
    assert grey_pixels(stored, "x", []) is stored


@given(hnp.arrays(st.sampled_from(["u4", "i4", "u8", "i8"]), SHAPES))
def test_integers_that_lose_digits_are_reported(stored: np.ndarray) -> None:
    warnings: list[str] = []
    grey = grey_pixels(stored, "x", warnings)
    assert grey.dtype == np.float32
    exact = all(
        int(a) == int(b)
        for a, b in zip(grey.ravel().tolist(), stored.ravel().tolist(), strict=True)
    )
    if not exact:
        assert warnings == [ROUNDED]
    if np.abs(stored.astype(float)).max() <= 2**24:
        assert warnings == []


def test_warnings_come_once() -> None:
    warnings: list[str] = []
    stored = np.full((3, 3), 2**24 + 1, np.uint32)
    colours = np.zeros((3, 3, 3), np.uint8)
    colours[..., 0] = 9
    for _ in range(3):
        grey_pixels(stored, "x", warnings)
        grey_pixels(colours, "x", warnings)
    assert warnings == [ROUNDED, COLOURS]


def test_what_float32_cannot_reach_becomes_infinite_without_noise() -> None:
    assert np.isinf(grey_pixels(np.array([[1e300, 0.0]]), "x", [])).tolist() == [[True, False]]


def test_bool_becomes_black_and_white() -> None:
    grey = grey_pixels(np.array([[True, False]]), "x", [])
    assert grey.dtype == np.uint8
    assert grey.tolist() == [[255, 0]]


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_equal_channels_are_that_channel(samples: int, kind: str) -> None:
    grey = np.arange(12).reshape(3, 4).astype(kind)
    stored = np.dstack([grey] * samples)
    if samples in (2, 4):
        stored[..., -1] = 7  # alpha
    warnings: list[str] = []
    assert np.array_equal(grey_pixels(stored, "x", warnings), grey)
    assert warnings == []


@pytest.mark.parametrize("kind", ["u1", "u2", "f4", ">u2", "i4"])
def test_colours_become_luminance(kind: str) -> None:
    stored = np.zeros((2, 3, 4), kind)
    stored[...] = (200, 100, 50, 3)
    warnings: list[str] = []
    grey = grey_pixels(stored, "x", warnings)
    assert grey == pytest.approx(np.full((2, 3), 0.299 * 200 + 0.587 * 100 + 0.114 * 50), abs=0.6)
    assert warnings == [COLOURS]


def test_structured_colours() -> None:
    stored = np.zeros((2, 3), [("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    for field in "RGB":
        stored[field] = 5
    assert grey_pixels(stored, "x", []).tolist() == [[5] * 3] * 2


@pytest.mark.parametrize(
    ("stored", "part"),
    [
        (np.zeros((0, 5), np.uint8), "empty (its size is 5 x 0)"),
        (np.zeros((5, 0, 3), np.uint8), "empty"),
        (np.zeros((5, 5, 7), np.uint8), "7 values for each pixel"),
        (np.zeros(5, np.uint8), "expected a 2-D"),
        (np.zeros((2, 2, 2, 2), np.uint8), "expected a 2-D"),
        (np.zeros((5, 5), np.complex64), "complex64"),
        (np.zeros((5, 5), "U3"), "expected real grey values"),
        (np.zeros((5, 5), [("energy", "f4")]), "energy"),
    ],
)
def test_anything_else_is_refused(stored: np.ndarray, part: str) -> None:
    with pytest.raises(DamagedFrameError) as caught:
        grey_pixels(stored, "frame-7.png", [])
    assert str(caught.value).startswith("frame-7.png: ")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [
        (500, "pm", 0.5),
        (5, "Å", 0.5),
        (5, "\u212b", 0.5),
        (5, "A", 0.5),
        (5, "Angstroms", 0.5),
        (0.5, "nm", 0.5),
        (-0.5, "nm", 0.5),
        (0.5, "µm", 500),
        (0.5, "\u03bcm", 500),
        (0.5, "microns", 500),
        (5e-10, "m", 0.5),
        (0.5, "nanometres", 0.5),
        (0.5, "Micrometre", 500),
        (0.5, "millimeters", 5e5),
        (2, "picometre", 0.002),
        (5e-10, "metre", 0.5),
        (5e-10, "meters", 0.5),
        (0.5, "1/nm", None),
        (0.5, "pixel", None),
        (0.5, "", None),
        (0.5, None, None),
        (0, "nm", None),
        (float("nan"), "nm", None),
        (float("inf"), "nm", None),
    ],
)
def test_units(size: float, unit: str | None, expected: float | None) -> None:
    found = in_nanometres(size, unit)
    assert found == (None if expected is None else pytest.approx(expected))


def test_square_pixels_in_different_units() -> None:
    warnings: list[str] = []
    assert square_pixel_nm((2, "Å"), (200, "pm"), warnings) == pytest.approx(0.2)
    assert square_pixel_nm((2, "Å"), (200.5, "pm"), warnings) == pytest.approx(0.20025)
    assert square_pixel_nm((2, "nm"), (2, None), warnings) is None
    assert warnings == []


def test_pixels_that_are_not_square_are_never_averaged() -> None:
    warnings: list[str] = []
    assert square_pixel_nm((1, "nm"), (2, "Å"), warnings) is None
    assert len(warnings) == 1
    assert "1 nm (1 nm) along x, 2 Å (0.2 nm) along y" in warnings[0]


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_sizes_differ_is_symmetric(a: float, b: float) -> None:
    assert sizes_differ(a, b) == sizes_differ(b, a)
    assert not sizes_differ(a, a)
    assert sizes_differ(a, a * 1.02)
    assert sizes_differ(a, None)
    assert not sizes_differ(None, None)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((0,), None),
        ((0, 0, 0), None),
        ((0, 40, 80, 120, 160), None),
        ((0, 1, 2, 4, 5, 6), (1, 2)),  # a frame was dropped
        ((0, 16, 33, 50, 66, 83), None),  # 60 a second, rounded to ms
        ((0, 100, 200, 300, 2300, 2400), (1, 20)),
        ((0, 100, 200, 210, 310, 400), (0.1, 1)),
    ],
)
def test_uneven_steps(times: tuple[int, ...], expected: tuple[float, float] | None) -> None:
    assert uneven_steps(times) == expected


@pytest.mark.parametrize("rate", [30, 640, 700, 850, 999])
def test_steps_of_rounded_times_are_even(rate: int) -> None:
    times = [round(1000 * k / rate) for k in range(2000)]
    assert uneven_steps(times, rounding=1) is None
    lost = [*times[:1000], *times[1003:]]
    assert uneven_steps(lost, rounding=1) is not None
