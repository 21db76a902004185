"""What RosettaSciIO returns, as images with their scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from defectscope.readers.microscope_data import NoImageError, image_stack

Dataset = Callable[..., dict[str, Any]]
STACK = np.random.default_rng(0).integers(0, 4096, (5, 24, 32)).astype(np.uint16)


def test_lengths_are_converted(dataset: Dataset) -> None:
    stack = image_stack(dataset(STACK[0], ["pm", "Å"], [200.0, 2.0]))
    assert stack.calibration.pixel_size_nm == pytest.approx(0.2)
    assert stack.count == 1


@pytest.mark.parametrize(
    ("unit", "scale", "seconds"),
    [("ks", 0.002, 2.0), ("hrs", 1.0, 3600.0), ("milliseconds", 40.0, 0.04), ("nm", 3.0, None)],
)
def test_times_are_converted(
    unit: str, scale: float, seconds: float | None, dataset: Dataset
) -> None:
    stack = image_stack(dataset(STACK, [unit, "nm", "nm"], [scale, 1.0, 1.0], navigate=1))
    assert stack.calibration.frame_interval_s == (seconds and pytest.approx(seconds))
    assert stack.warnings == ()


def test_units_that_are_not_known_are_named(dataset: Dataset) -> None:
    stack = image_stack(dataset(STACK, ["fortnight", "ell", "ell"], [1.0, 1.0, 1.0], navigate=1))
    assert stack.calibration.pixel_size_nm is None
    assert set(stack.warnings) == {
        "the unit 'fortnight' in the file is not known; the frame interval is left unknown",
        "the unit 'ell' in the file is not known; the pixel size is left unknown",
    }


@pytest.mark.parametrize("unit", ["", None, "pixels", "px", "<undefined>", "1/nm", "nm⁻¹", "mrad"])
def test_axes_without_a_length_are_no_unknown_unit(unit: str | None, dataset: Dataset) -> None:
    stack = image_stack(dataset(STACK[0], [unit, unit], [1.0, 1.0]))
    assert stack.calibration.pixel_size_nm is None
    assert not any("not known" in text for text in stack.warnings)


def test_a_diffraction_pattern_has_no_pixel_size(dataset: Dataset) -> None:
    stack = image_stack(dataset(STACK[0], ["1/nm", "1/nm"], [0.01, 0.01]))
    assert stack.calibration.pixel_size_nm is None
    assert "axes are in 1/nm" in stack.warnings[0]


@pytest.mark.parametrize(
    ("data", "units", "navigate", "part"),
    [
        (np.zeros(50), ["eV"], 0, "a spectrum"),
        (np.zeros(50), [None], 0, "one-dimensional"),
        (np.zeros((6, 6, 50)), ["nm", "nm", "eV"], 2, "a spectrum"),
        (np.zeros((6, 6, 9, 9)), ["nm", "nm", "1/nm", "1/nm"], 2, "4-dimensional"),
        (np.zeros((9, 9), complex), ["nm", "nm"], 0, "complex values"),
        (np.zeros((9, 9), "U4"), ["nm", "nm"], 0, "values of type <U4"),
    ],
)
def test_what_is_no_image(
    data: np.ndarray, units: list[str | None], navigate: int, part: str, dataset: Dataset
) -> None:
    with pytest.raises(NoImageError, match=part):
        image_stack(dataset(data, units, [1.0] * data.ndim, navigate))
