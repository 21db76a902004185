"""Background of Perlin noise, white noise and smoothing (P1, section 2.1, eqs. 1-6, Table 1).

P1: Govind et al., deep learning of dislocations from synthetic data. Everything is computed in
float64 and rounded once at the end, so that processors and libraries which round differently
still give the same grey values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from defectscope import Background, Options
from defectscope.generators.perlin import perlin_noise_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Perlin", "PerlinOptions", "perlin_image"]

# The noise repeats after as many cells: origins beyond show nothing new.
PERIOD_CELLS = 256
# Seeds are written to JSON, where other programs read whole numbers up to 2^53.
SEEDS = 2**53
# Gaussian filters are cut off here, as in scipy.ndimage.
REACH_SIGMAS = 4.0


class PerlinOptions(Options):
    """Options of ``perlin``; the ranges are those of P1's Table 1."""

    wavelength_1_low_px: float = Field(
        10.0, ge=2, le=1000, description="least wavelength of the first Perlin noise (O1), px"
    )
    wavelength_1_high_px: float = Field(
        100.0, ge=2, le=1000, description="largest wavelength of the first Perlin noise, px"
    )
    wavelength_2_low_px: float = Field(
        10.0, ge=2, le=1000, description="least wavelength of the second Perlin noise (O2), px"
    )
    wavelength_2_high_px: float = Field(
        100.0, ge=2, le=1000, description="largest wavelength of the second Perlin noise, px"
    )
    perlin_weight_low: float = Field(
        0.2, ge=0, le=100, description="least weight of the second Perlin noise (w_perlin)"
    )
    perlin_weight_high: float = Field(0.4, ge=0, le=100, description="largest of these weights")
    white_weight_low: float = Field(
        0.5, ge=0, le=100, description="least weight of the first white noise (w_white)"
    )
    white_weight_high: float = Field(0.7, ge=0, le=100, description="largest of these weights")
    smoothing_1_low_px: float = Field(
        1.0, ge=0, le=50, description="least sigma of the first Gaussian filter (s1), px"
    )
    smoothing_1_high_px: float = Field(1.0, ge=0, le=50, description="largest of these sigmas, px")
    second_white_weight: Literal["sigma-p4", "r-noise"] = Field(
        "sigma-p4",
        description="weight of the second white noise: the standard deviation of P4 (eq. 5), or "
        "a number drawn from r_noise_low to r_noise_high",
    )
    r_noise_low: float = Field(
        0.2, ge=0, le=100, description="least weight of the second white noise under r-noise"
    )
    r_noise_high: float = Field(0.4, ge=0, le=100, description="largest of these weights")
    smoothing_2_low_px: float = Field(
        0.6, ge=0, le=50, description="least sigma of the second Gaussian filter (s2), px"
    )
    smoothing_2_high_px: float = Field(0.8, ge=0, le=50, description="largest of these sigmas, px")

    darkest: float = Field(
        0.0, ge=0, le=1, description="grey that 0 becomes at the end; the paper has 0"
    )
    brightest: float = Field(
        1.0, ge=0, le=1, description="grey that 1 becomes; the paper has 1, foils are paler"
    )

    @field_validator(
        "wavelength_1_high_px", "wavelength_2_high_px", "perlin_weight_high", "white_weight_high",
        "smoothing_1_high_px", "r_noise_high", "smoothing_2_high_px",
    )  # fmt: skip
    @classmethod
    def _low_is_low(cls, value: float, info: ValidationInfo) -> float:
        low = (info.field_name or "").replace("_high", "_low")
        # A low value that is itself refused is absent, and reported by itself.
        if info.data.get(low, value) > value:
            raise ValueError(f"{info.field_name} must not be below {low} = {info.data[low]:g}")
        return value

    @model_validator(mode="after")
    def _dark_is_dark(self) -> PerlinOptions:
        if self.darkest >= self.brightest:
            raise ValueError("darkest must be below brightest")
        return self


class Perlin(Background):
    """Two Perlin noises of different wavelengths, and white noise smoothed twice."""

    Options = PerlinOptions
    options: PerlinOptions

    # Kept from image to image: new memory of this size costs more than half of the noise.
    _room: NDArray[np.float64] | None = None

    def render(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return (H, W) float32 in [0, 1], and what :func:`perlin_image` needs to repeat it.

        Grey is then stretched from ``darkest`` to ``brightest``.
        The parameters also hold what was found on the way: the range of P3, the standard
        deviation of P4, the weight of the second white noise, and the parts of the image that
        the last step clipped.
        """
        if self._room is None or self._room.shape[1:] != shape:
            self._room = np.empty((2, *shape))
        pixels, parameters = perlin_image(shape, self._draw(rng), room=self._room)
        low, high = self.options.darkest, self.options.brightest
        if (low, high) != (0, 1):
            pixels *= np.float32(high - low)
            pixels += np.float32(low)
            np.clip(pixels, low, high, out=pixels)
        return pixels, parameters

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        options = self.options

        def between(name: str, unit: str = "") -> float:
            low, high = (getattr(options, f"{name}_{end}{unit}") for end in ("low", "high"))
            return float(rng.uniform(low, high))

        parameters: dict[str, Any] = {
            "wavelength_1_px": between("wavelength_1", "_px"),
            "wavelength_2_px": between("wavelength_2", "_px"),
            "origin_1_cells": rng.uniform(0, PERIOD_CELLS, 2).tolist(),
            "origin_2_cells": rng.uniform(0, PERIOD_CELLS, 2).tolist(),
            "perlin_weight": between("perlin_weight"),
            "white_weight": between("white_weight"),
            "white_seed_1": int(rng.integers(SEEDS)),
            "smoothing_1_px": between("smoothing_1", "_px"),
            # Drawn in any case, so that the way of weighting changes nothing else.
            "r_noise": between("r_noise"),
            "white_seed_2": int(rng.integers(SEEDS)),
            "smoothing_2_px": between("smoothing_2", "_px"),
        }
        if options.second_white_weight == "sigma-p4":
            parameters["r_noise"] = None
        return parameters


def perlin_image(
    shape: tuple[int, int],
    parameters: Mapping[str, Any],
    stages: dict[str, NDArray[np.float64]] | None = None,
    room: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Compute one background from its parameters (P1, eqs. 1-6).

    Parameters
    ----------
    shape
        Height and width, px.
    parameters
        As :meth:`Perlin.render` returns them. ``r_noise`` is the weight of the second white
        noise; None stands for the standard deviation of P4.
    stages
        Where to put the intermediate images: ``P1``, ``P2``, ``P3``, ``P3*``, ``X1``, ``P4``,
        ``P5``, ``X2``, ``P6``, ``P7``, each (H, W) float64.
    room
        (2, H, W) float64 to compute in.

    Returns
    -------
    pixels : numpy.ndarray
        (H, W) float32 in [0, 1].
    parameters : dict
        The given ones and those found on the way.
    """
    field, other = np.empty((2, *shape)) if room is None else room
    found = _superpose(field, other, parameters, stages)
    _add_white(field, other, parameters["white_weight"], parameters["white_seed_1"], stages, "X1")
    _keep(stages, "P4", field)
    sigma = float(field.std())
    weight = sigma if parameters["r_noise"] is None else float(parameters["r_noise"])
    field, other = _smoothed(field, other, parameters["smoothing_1_px"])
    _keep(stages, "P5", field)
    _add_white(field, other, weight, parameters["white_seed_2"], stages, "X2")
    _keep(stages, "P6", field)
    field, other = _smoothed(field, other, parameters["smoothing_2_px"])
    _keep(stages, "P7", field)
    found |= {
        "p4_sigma": sigma,
        "second_white_weight": weight,
        "clipped_to_0": float(np.count_nonzero(field < 0) / max(field.size, 1)),
        "clipped_to_1": float(np.count_nonzero(field > 1) / max(field.size, 1)),
    }
    np.clip(field, 0, 1, out=field)
    return field.astype(np.float32), {**parameters, **found}


def _superpose(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    parameters: Mapping[str, Any],
    stages: dict[str, NDArray[np.float64]] | None,
) -> dict[str, Any]:
    """Make `first` P3*: both Perlin noises, weighted and stretched to [0, 1] (eqs. 1 and 2)."""
    for number, noise in enumerate((first, second), 1):
        _perlin(parameters, number, noise)
    _keep(stages, "P1", first)
    _keep(stages, "P2", second)
    second *= parameters["perlin_weight"]
    first += second
    _keep(stages, "P3", first)
    low, high = float(first.min()), float(first.max())
    first -= low
    if high > low:  # one pixel, or one cell of zeros, has no range to stretch
        first /= high - low
    _keep(stages, "P3*", first)
    return {"p3_min": low, "p3_max": high}


def _perlin(parameters: Mapping[str, Any], number: int, out: NDArray[np.float64]) -> None:
    wavelength = parameters[f"wavelength_{number}_px"]
    x, y = parameters[f"origin_{number}_cells"]
    rows, columns = (np.arange(size) / wavelength for size in out.shape)
    perlin_noise_grid(x + columns, y + rows, out=out)


def _add_white(
    field: NDArray[np.float64],
    noise: NDArray[np.float64],
    weight: float,
    seed: int,
    stages: dict[str, NDArray[np.float64]] | None,
    name: str,
) -> None:
    """Add `weight` times white noise, uniform from -1 to 1 (eqs. 3 and 5), made in `noise`."""
    np.random.default_rng(seed).random(out=noise)
    noise -= 0.5
    if stages is not None:
        stages[name] = 2 * noise
    noise *= 2 * weight
    field += noise


def _smoothed(
    field: NDArray[np.float64], other: NDArray[np.float64], sigma_px: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `field` under a Gaussian filter, mirrored at the rim (eqs. 4 and 6); what is left."""
    reach = int(REACH_SIGMAS * sigma_px + 0.5)
    if reach == 0:
        return field, other
    size = 2 * reach + 1
    cv2.GaussianBlur(field, (size, size), sigma_px, dst=other, borderType=cv2.BORDER_REFLECT)
    return other, field


def _keep(
    stages: dict[str, NDArray[np.float64]] | None, name: str, field: NDArray[np.float64]
) -> None:
    if stages is not None:
        stages[name] = field.copy()
