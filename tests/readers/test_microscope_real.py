"""Files of microscopes as they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from defectscope import InputError, Runtime
from defectscope.readers.microscope import (
    MicroscopeFrames,
    MicroscopeOptions,
    MicroscopeReader,
)

pytest.importorskip("rsciio", reason="RosettaSciIO (extra 'microscope') is not installed")


def opened(path: Path, **options: Any) -> MicroscopeFrames:
    return MicroscopeReader(MicroscopeOptions(**options), Runtime()).read(path)


@pytest.fixture
def real(real_data: Any) -> Callable[[str], MicroscopeFrames]:
    return lambda name: opened(real_data("microscope") / name)


@pytest.mark.real_data
def test_real_image_of_tia(real: Any) -> None:
    frames = real("16_STOimage_1.ser")
    assert frames.names == ("16_STOimage_1.ser",)
    assert frames[0].pixels.dtype == np.uint16
    assert frames[0].shape == (1024, 1024)
    assert frames[0].calibration.pixel_size_nm == pytest.approx(0.01001, abs=1e-5)
    assert frames.warnings == []


@pytest.mark.real_data
@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
def test_real_stack_of_digital_micrograph(suffix: str, real: Any) -> None:
    name = f"dmTest_3D_int16_64,65,66{suffix}"
    frames = real(name)
    assert len(frames) == 66
    assert frames.names[65] == f"{name}#65"
    assert [frames[k].shape for k in (0, 65)] == [(65, 64)] * 2
    assert frames[3].pixels.dtype == np.float32
    assert frames.calibration.pixel_size_nm is None
    assert frames.warnings == [
        "the pixels are not square: 2 pm (0.002 nm) along x, 3 nm (3 nm) along y; "
        "the pixel size is left unknown"
    ]


@pytest.mark.real_data
def test_dm3_and_dm4_hold_the_same_pixels(real: Any) -> None:
    first, second = (real(f"dmTest_3D_int16_64,65,66{s}") for s in (".dm3", ".dm4"))
    for position in (0, 40, 65):  # a ramp along x, the same in every frame
        assert np.array_equal(first.read(position), np.tile(np.arange(64), (65, 1)))
        assert np.array_equal(first.read(position), second.read(position))


@pytest.mark.real_data
@pytest.mark.parametrize("suffix", [".dm3", ".dm4"])
def test_real_image_with_axes_in_different_units(suffix: str, real: Any) -> None:
    frames = real(f"dmTest_float32_nonSquare_diffPixelSize{suffix}")
    assert frames[0].shape == (64, 128)
    assert frames[0].pixels.dtype == np.float32
    assert frames.calibration.pixel_size_nm is None
    assert "1 nm (1 nm) along x, 2 A (0.2 nm) along y" in frames.warnings[0]


@pytest.mark.real_data
def test_real_mrc_stack(real: Any) -> None:
    frames = real("temp.mrc")
    assert [frame.shape for frame in frames] == [(128, 128)] * 3
    assert frames.calibration.pixel_size_nm == pytest.approx(0.2)
    assert frames.warnings == []


@pytest.mark.real_data
def test_a_real_spectrum_is_refused_in_one_sentence(real: Any) -> None:
    with pytest.raises(InputError) as caught:
        real("08_carbon.dm3")
    assert str(caught.value) == (
        "08_carbon.dm3 holds no image but a spectrum (Energy loss, 2048 values); "
        "give a file of images"
    )
