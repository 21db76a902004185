"""The mottled grey of a damaged foil in bright field, different in every image.

Irradiated, polished or oxidised foils show a texture that is smooth on the scale of a few pixels,
broken up on the scale of tens of pixels, and often stretched in one direction. Here it is a
random field with a spectrum of that shape, whose parameters are drawn anew for each image, so that
a detector trained on such images depends on none of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import Field, model_validator
from scipy import fft

from defectscope import Background, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Foil", "FoilOptions"]

PAIRS = (
    ("level_low", "level_high"),
    ("grain_low_px", "grain_high_px"),
    ("contrast_low", "contrast_high"),
    ("fall_low", "fall_high"),
)
# Uneven illumination and strength of the grain are computed on a grid this much coarser.
COARSE = 16
# Transforms are fastest for sizes of small primes; what is beyond the image also keeps the
# left rim from continuing the right one.
MARGIN_PX = 32


class FoilOptions(Options):
    """Options of ``foil``; every range is drawn from anew for each image."""

    level_low: float = Field(0.4, gt=0, lt=1, description="least mean grey level, 0 to 1")
    level_high: float = Field(0.75, gt=0, lt=1, description="largest mean grey level")
    grain_low_px: float = Field(
        18.0,
        gt=2,
        le=2000,
        description="least size of the grain, px: coarser, its spectrum is flat",
    )
    grain_high_px: float = Field(70.0, gt=2, le=2000, description="largest size of the grain, px")
    fall_low: float = Field(
        1.8, ge=1, le=6, description="least exponent with which amplitudes fall for finer detail"
    )
    fall_high: float = Field(3.2, ge=1, le=6, description="largest exponent of that fall")
    stretch: float = Field(
        2.2, ge=1, le=20, description="largest ratio by which the grain is stretched one way"
    )
    contrast_low: float = Field(
        0.025, ge=0, le=0.5, description="least standard deviation of the grain, grey 0 to 1"
    )
    contrast_high: float = Field(0.085, ge=0, le=0.5, description="largest standard deviation")
    fine: float = Field(
        0.35, ge=0, le=2, description="largest contrast of a finer second grain, in parts of it"
    )
    patchiness: float = Field(
        0.35, ge=0, le=1, description="largest relative change of the grain across an image"
    )
    skew: float = Field(
        0.2, ge=0, le=1, description="largest asymmetry between dark and light grain"
    )
    illumination: float = Field(
        0.12, ge=0, le=0.5, description="largest depth of uneven illumination, grey 0 to 1"
    )
    specks: float = Field(
        15.0, ge=0, le=10_000, description="most dark specks of a few pixels, a megapixel"
    )
    scan: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="largest standard deviation of noise in short streaks along the rows, as a "
        "scanning probe leaves it, grey 0 to 1",
    )

    @model_validator(mode="after")
    def _low_is_low(self) -> FoilOptions:
        for low, high in PAIRS:
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not exceed {high}")
        return self


def random_field(
    shape: tuple[int, int],
    size_px: float,
    fall: float,
    stretch: float,
    direction_deg: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return (H, W) float32 Gaussian noise of mean 0 and standard deviation 1.

    Parameters
    ----------
    shape
        (H, W) in px.
    size_px
        Wavelength from which on finer detail gets weaker.
    fall
        Amplitudes go as (1 + (size/wavelength)²)^(-fall/2).
    stretch, direction_deg
        How much longer the grain is in that direction.
    rng
        Source of the noise.
    """
    height, width = (fft.next_fast_len(side + MARGIN_PX, real=True) for side in shape)
    angle = math.radians(direction_deg)
    along, across = (size_px * math.sqrt(stretch), size_px / math.sqrt(stretch))
    # Half of the spectrum will do for a real field; y is down, angles go up.
    fx = fft.rfftfreq(width)[None, :]
    fy = -fft.fftfreq(height)[:, None]
    u = along * (math.cos(angle) * fx + math.sin(angle) * fy)
    v = across * (math.cos(angle) * fy - math.sin(angle) * fx)
    amplitude = ((1 + u * u + v * v) ** (-fall / 2)).astype(np.float32)
    amplitude[0, 0] = 0
    noise = fft.rfft2(rng.standard_normal((height, width), dtype=np.float32))
    field = fft.irfft2(noise * amplitude, (height, width))[: shape[0], : shape[1]]
    field -= field.mean(dtype=np.float64)
    return np.asarray(field / max(float(field.std(dtype=np.float64)), 1e-12), np.float32)


def _broad(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a field that changes over the whole image only, about -1 to 1."""
    knots = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
    grid = cv2.resize(knots, (COARSE, COARSE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


class Foil(Background):
    """Mottled, stretched and patchy grain under uneven illumination."""

    Options = FoilOptions
    options: FoilOptions

    def render(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return (H, W) float32 in [0, 1], and what was drawn."""
        drawn = self._drawn(shape, rng)
        grain = random_field(
            shape, drawn["grain_px"], drawn["fall"], drawn["stretch"], drawn["direction_deg"], rng
        )
        if drawn["fine"]:
            finer = drawn["fine_px"], 2.5, math.sqrt(drawn["stretch"]), drawn["direction_deg"]
            grain += np.float32(drawn["fine"]) * random_field(shape, *finer, rng)
        grain += np.float32(drawn["skew"] / 2) * (grain * grain - 1)
        strength = drawn["contrast"] * (1 + drawn["patchiness"] * _broad(shape, rng))
        pixels = drawn["level"] + strength * grain
        pixels += np.float32(drawn["illumination"]) * _broad(shape, rng)
        _add_specks(pixels, drawn["specks"], rng)
        if self.options.scan:
            pixels += _scan_noise(shape, self.options.scan, drawn, rng)
        return np.clip(pixels, 0, 1).astype(np.float32), drawn

    def _drawn(self, shape: tuple[int, int], rng: np.random.Generator) -> dict[str, Any]:
        options = self.options
        sizes = np.log([options.grain_low_px, options.grain_high_px])
        specks = options.specks * shape[0] * shape[1] / 1e6
        return {
            "level": float(rng.uniform(options.level_low, options.level_high)),
            "grain_px": float(np.exp(rng.uniform(*sizes))),
            "fall": float(rng.uniform(options.fall_low, options.fall_high)),
            "stretch": float(np.exp(rng.uniform(0, math.log(options.stretch)))),
            "direction_deg": float(rng.uniform(0, 180)),
            "contrast": float(rng.uniform(options.contrast_low, options.contrast_high)),
            "fine": float(rng.uniform(0, options.fine)),
            "fine_px": float(rng.uniform(4, 12)),
            "patchiness": float(rng.uniform(0, options.patchiness)),
            "skew": float(rng.uniform(-1, 1) * options.skew),
            "illumination": float(rng.uniform(0, options.illumination)),
            "specks": int(rng.poisson(rng.uniform(0, specks))),
        }


def _scan_noise(
    shape: tuple[int, int], largest: float, drawn: dict[str, Any], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return (H, W) noise that hangs together along rows; adds what it is to `drawn`."""
    drawn["scan"] = float(largest * rng.uniform(0.15, 1))
    drawn["streak_px"] = float(rng.uniform(0.6, 2.5))
    drawn["rows"] = float(rng.uniform(0, 0.3))
    # In float64, for processors whose filters round differently.
    noise = rng.standard_normal(shape)
    width = drawn["streak_px"], float(rng.uniform(0.4, 0.9))
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), width[0], sigmaY=width[1]), np.float64)
    noise *= 1 / max(float(noise.std()), 1e-12)
    noise += drawn["rows"] * rng.standard_normal((shape[0], 1))
    return np.asarray(drawn["scan"] * noise, np.float32)


def _add_specks(pixels: NDArray[np.float32], count: int, rng: np.random.Generator) -> None:
    """Darken small spots, as dust on the camera does."""
    height, width = pixels.shape
    for x, y, side, depth in zip(
        rng.integers(0, width, count),
        rng.integers(0, height, count),
        rng.integers(1, 4, count),
        rng.uniform(0.1, 0.5, count).astype(np.float32),
        strict=True,
    ):
        pixels[y : y + side, x : x + side] -= depth
