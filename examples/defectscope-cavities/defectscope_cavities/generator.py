"""Generator of cavities with known truth, at one defocus or through focus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import defectscope as ds
import numpy as np
from pydantic import Field

from defectscope_cavities import CAVITY
from defectscope_cavities.optics import Microscope, cavity_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Cavities", "CavitiesOptions"]

ATTEMPTS = 200
# Cavities do not touch: their fringes would run into each other.
APART = 1.3


class CavitiesOptions(ds.Options):
    """Options of ``cavities``."""

    count: int = Field(25, ge=1, le=5000, description="cavities of an image, where there is room")
    radius_nm: float = Field(3.0, gt=0.2, le=200, description="median radius, nm")
    spread: float = Field(
        0.25, ge=0, le=1, description="standard deviation of the logarithm of the radius"
    )
    defocus_nm: float = Field(
        -1000.0, ge=-20_000, le=20_000, description="defocus, nm; negative under focus. A sequence "
        "goes from here through focus to the same on the other side"
    )  # fmt: skip
    pixel_size_nm: float = Field(0.4, gt=0, le=10, description="edge of a pixel, nm")
    voltage_kv: float = Field(200.0, ge=20, le=1500, description="acceleration voltage, kV")
    inner_potential_v: float = Field(
        21.0, gt=0, le=60, description="mean inner potential of the material, V"
    )
    mean_free_path_nm: float = Field(
        120.0, gt=1, description="thickness after which 1/e of the intensity is left, nm"
    )
    least_contrast: float = Field(
        0.04, ge=0, le=1, description="truth with less contrast than this is marked ignore"
    )


class _Cavity(NamedTuple):
    x: float
    y: float
    radius_px: float


class Cavities(ds.Generator):
    """Spherical cavities; their images are computed by wave optics, fringes included."""

    Options = CavitiesOptions
    options: CavitiesOptions

    defect_types = (CAVITY.name,)

    @property
    def calibration(self) -> ds.Calibration:
        """The pixel size that the fringes are drawn for."""
        return ds.Calibration(pixel_size_nm=self.options.pixel_size_nm)

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> ds.Instances:
        """Draw cavities at the defocus of the options."""
        placed = self._placed((canvas.shape[0], canvas.shape[1]), rng)
        contrasts = self._paint(canvas, placed, self.options.defocus_nm)
        self.last_parameters = self._parameters(placed, [self.options.defocus_nm])
        return self._truth((canvas.shape[0], canvas.shape[1]), placed, contrasts)

    def sequence(
        self, canvas: NDArray[np.float32], rng: np.random.Generator, length: int
    ) -> Iterator[tuple[NDArray[np.float32], ds.Instances]]:
        """Yield the same cavities through focus, from one side to the other."""
        shape = canvas.shape[0], canvas.shape[1]
        placed = self._placed(shape, rng)
        start = self.options.defocus_nm
        series = np.linspace(start, -start, length).tolist() if length > 1 else [start]
        self.last_parameters = self._parameters(placed, series)
        for defocus_nm in series:
            pixels = canvas.copy()
            contrasts = self._paint(pixels, placed, defocus_nm)
            truth = self._truth(shape, placed, contrasts)
            yield pixels, truth.with_measurements({"track_id": np.arange(len(placed))}, {})

    def _placed(self, shape: tuple[int, int], rng: np.random.Generator) -> list[_Cavity]:
        options, placed = self.options, list[_Cavity]()
        largest = min(shape) / 3
        for _ in range(options.count):
            radius = options.radius_nm * np.exp(options.spread * rng.standard_normal())
            radius_px = float(np.clip(radius / options.pixel_size_nm, 1, largest))
            for _ in range(ATTEMPTS):
                x, y = (float(rng.uniform(radius_px, side - radius_px)) for side in shape[::-1])
                if all(
                    np.hypot(x - o.x, y - o.y) > APART * (radius_px + o.radius_px) for o in placed
                ):
                    placed.append(_Cavity(x, y, radius_px))
                    break
        return placed

    def _paint(
        self, canvas: NDArray[np.float32], placed: list[_Cavity], defocus_nm: float
    ) -> list[float]:
        """Multiply the cavities onto the canvas, and return the contrast of each."""
        options, contrasts = self.options, []
        optics = Microscope(
            options.voltage_kv, options.inner_potential_v, options.mean_free_path_nm
        )
        for x, y, radius_px in placed:
            column, row = int(x), int(y)
            radius_nm = radius_px * options.pixel_size_nm
            offset = x - column - 0.5, y - row - 0.5
            image = cavity_image(radius_nm, defocus_nm, options.pixel_size_nm, offset, optics)
            half = len(image) // 2
            top, left = max(row - half, 0), max(column - half, 0)
            part = canvas[top : row + half + 1, left : column + half + 1]
            y0, x0 = top - (row - half), left - (column - half)
            part *= image[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]].astype(np.float32)
            contrasts.append(float(np.ptp(image)))
        np.clip(canvas, 0, 1, out=canvas)
        return contrasts

    def _truth(
        self, shape: tuple[int, int], placed: list[_Cavity], contrasts: list[float]
    ) -> ds.Instances:
        rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
        masks, boxes = [], []
        for x, y, radius in placed:
            boxes.append([x - radius, y - radius, x + radius, y + radius])
            masks.append(ds.Mask(0, 0, np.hypot(columns - x, rows - y) <= radius).trimmed())
        diameters = [2 * cavity.radius_px for cavity in placed]
        return ds.Instances(
            shape,
            boxes,
            defect_types=[CAVITY.name] * len(placed),
            ignore=[contrast < self.options.least_contrast for contrast in contrasts],
            masks=masks,
            measurements={
                "x": [cavity.x for cavity in placed],
                "y": [cavity.y for cavity in placed],
                "major_px": diameters,
                "minor_px": diameters,
                "angle_deg": [0.0] * len(placed),
            },
            units={"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg"},
        )

    def _parameters(self, placed: list[_Cavity], series: list[float]) -> dict[str, object]:
        return {"defocus_nm": series, "cavities": [cavity._asdict() for cavity in placed]}
