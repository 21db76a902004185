"""Scales that TIFF files tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from defectscope.readers.tiff import TiffFrames, TiffReader

STACK = np.random.default_rng(0).integers(0, 4096, (20, 24, 32)).astype(np.uint16)


def opened(path: Path) -> TiffFrames:
    return TiffReader().read(path)


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [
        ("nm", 2.6884, 1 / 2.6884),
        ("pm", 0.01, 0.1),
        ("micron", 4000.0, 0.25),
        ("\\u00B5m", 4000.0, 0.25),
        ("um", 4000.0, 0.25),
        ("Angstrom", 5.0, 0.02),
        ("pixel", 1.0, None),
        ("inch", 72.0, None),
        ("cm", 72.0, None),
        ("cm", 2e7, 0.5),
    ],
)
def test_scale_of_imagej(
    tmp_path: Path, unit: str, resolution: float, expected: float | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, STACK[:2], imagej=True, metadata={"unit": unit, "axes": "TYX"},
        resolution=(resolution, resolution),
    )  # fmt: skip
    with opened(path) as frames:
        size = frames[0].calibration.pixel_size_nm
        assert size == (None if expected is None else pytest.approx(expected, rel=1e-5))


@pytest.mark.parametrize(
    ("unit", "options", "cautioned"),
    [
        ("nm", {}, True),  # what tifffile then writes
        ("nm", {"resolution": (1.0, 1.0)}, True),
        ("\\u00B5m", {}, True),
        ("nm", {"resolution": (1.25, 1.25)}, False),
        ("pixel", {}, False),
        ("inch", {}, False),
    ],
)
def test_one_unit_a_pixel_may_be_no_scale(
    tmp_path: Path, unit: str, options: dict[str, Any], cautioned: bool
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], imagej=True, metadata={"unit": unit}, **options)
    with opened(path) as frames:
        said = ["exactly 1 " in text and "check it" in text for text in frames.warnings]
        assert said == ([True] if cautioned else [])


def test_imagej_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], imagej=True, metadata={"unit": "nm"}, resolution=(2.0, 4.0))
    with opened(path) as frames:
        assert frames.calibration.pixel_size_nm is None
        assert "not square: 0.5 nm" in frames.warnings[0]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "nm"}, 0.2),
        ({"PhysicalSizeX": 0.0002}, 0.2),
        ({"PhysicalSizeX": 2, "PhysicalSizeXUnit": "Å"}, 0.2),
        ({"PhysicalSizeX": 2, "PhysicalSizeXUnit": "pixel"}, None),
        ({}, None),
    ],
)
def test_scale_of_ome(tmp_path: Path, metadata: dict[str, Any], expected: float | None) -> None:
    path = tmp_path / "a.ome.tif"
    both = metadata | {key.replace("X", "Y"): value for key, value in metadata.items()}
    tifffile.imwrite(path, STACK[:2], metadata={"axes": "TYX", **both})
    with opened(path) as frames:
        size = frames.calibration.pixel_size_nm
        assert size == (None if expected is None else pytest.approx(expected))


def test_scale_of_fei(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    text = "[Scan]\r\nPixelWidth=3.5e-010\r\nPixelHeight=3.5e-010\r\n"
    tifffile.imwrite(path, STACK[0], metadata=None, extratags=[(34682, 2, 0, text, True)])
    with opened(path) as frames:
        assert frames.calibration.pixel_size_nm == pytest.approx(0.35)


def test_the_resolution_of_a_printer_is_no_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], resolution=(118.0, 118.0), resolutionunit="CENTIMETER")
    with opened(path) as frames:
        assert frames.calibration.pixel_size_nm is None
