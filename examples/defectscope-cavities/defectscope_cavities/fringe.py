"""Size of cavities from their Fresnel fringes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import cv2
import defectscope as ds
import numpy as np
from pydantic import Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CavityFringe", "CavityFringeOptions"]

RAYS = 48
STEP_PX = 0.25
# How far out a ray is looked along, in radii of the box, and how many px more.
REACH, REACH_MORE_PX = 1.6, 6.0
LEAST_RAYS = 12
# Rays whose edge lies further from the circle than this many robust deviations are left out.
OUTLIER = 3.0
ROUNDS = 3


class CavityFringeOptions(ds.Options):
    """Options of ``cavity-fringe``."""

    focus: Literal["auto", "under", "over"] = Field(
        "auto", description="side of focus: a dark fringe under, a bright one over; auto looks"
    )
    smooth_px: float = Field(
        0.8, ge=0, le=20, description="standard deviation of the smoothing before anything, px"
    )
    least_contrast: float = Field(
        0.02, ge=0, le=10,
        description="least depth of a fringe, as a fraction of the grey around; below it the "
        "box is taken",
    )  # fmt: skip


class _Circle(NamedTuple):
    x: float
    y: float
    radius: float
    contrast: float


class CavityFringe(ds.PostProcessor):
    """Circle through the inner flank of a cavity's fringe, where it has half its depth.

    Where there is no fringe, the circle inscribed in the box is taken and ``fringe_contrast`` is
    0; it is negative over focus.
    """

    Options = CavityFringeOptions
    options: CavityFringeOptions

    shapes: ClassVar[tuple[str, ...]] = ("ellipse",)
    columns: ClassVar[Mapping[str, str]] = {
        "x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
        "area_px": "px2", "fringe_contrast": "",
    }  # fmt: skip

    def process(self, frame: ds.Frame, instances: ds.Instances) -> ds.Instances:
        """Return the instances with the circle of each."""
        pixels = frame.scaled()
        if self.options.smooth_px > 0:
            sigma = self.options.smooth_px
            pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32)
        values = {
            name: np.array(instances.measurements.get(name, np.full(len(instances), np.nan)), float)
            for name in self.columns
        }
        for k, (box, name) in enumerate(
            zip(instances.boxes.tolist(), instances.defect_types.tolist(), strict=True)
        ):
            known = self.runtime.defect_types.get(name)
            if known is not None and known.shape not in self.shapes:
                continue
            circle = self._circle(pixels, box)
            found = (circle.x, circle.y, 2 * circle.radius, 2 * circle.radius, 0.0,
                     np.pi * circle.radius**2, circle.contrast)  # fmt: skip
            for column, value in zip(self.columns, found, strict=True):
                values[column][k] = value
        return instances.with_measurements(values, self.columns)

    def _circle(self, pixels: NDArray[np.float32], box: list[float]) -> _Circle:
        x0, y0, x1, y1 = box
        inscribed = _Circle((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0 + y1 - y0) / 4, 0.0)
        circle = inscribed
        for _ in range(ROUNDS):
            # From a better centre the rays cross the fringe at right angles.
            better = self._fitted(pixels, circle)
            if better is None:
                return inscribed
            circle = better
        return circle

    def _fitted(self, pixels: NDArray[np.float32], start: _Circle) -> _Circle | None:
        angles = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
        distances = np.arange(0, start.radius * REACH + REACH_MORE_PX, STEP_PX)
        x = start.x + np.cos(angles)[:, None] * distances
        y = start.y + np.sin(angles)[:, None] * distances
        # Pixel centres lie at .5 here, and at whole numbers for OpenCV.
        seen = cv2.remap(
            pixels, (x - 0.5).astype(np.float32), (y - 0.5).astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        height, width = pixels.shape
        # Beyond the frame there is nothing to see, which must not count as dark.
        inside = (x > 0) & (x < width) & (y > 0) & (y < height)
        rays = np.where(inside, np.asarray(seen, np.float64), np.nan)
        outer = rays[:, -int(REACH_MORE_PX / STEP_PX / 2) :]
        outer = outer[np.isfinite(outer)]
        around = float(np.median(outer)) if len(outer) else 0.0
        if around <= 0:
            return None
        rays = rays / around - 1
        sign = self._sign(rays, distances, start.radius)
        edges, depths = _edges(sign * rays, distances, start.radius)
        good = np.isfinite(edges) & (depths > self.options.least_contrast)
        if np.count_nonzero(good) < LEAST_RAYS:
            return None
        points = np.stack([x, y], axis=-1)[good][:, 0] + (
            edges[good, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)[good]
        )
        fitted = _circle_through(points)
        limits = (start.radius * 0.4, start.radius * 2 + REACH_MORE_PX)
        if fitted is None or not limits[0] <= fitted[2] <= limits[1]:
            return None
        return _Circle(*fitted, sign * float(np.median(depths[good])))

    def _sign(self, rays: NDArray[Any], distances: NDArray[Any], radius: float) -> int:
        """Return 1 under focus, -1 over focus: the mean fringe is dark or bright."""
        if self.options.focus != "auto":
            return 1 if self.options.focus == "under" else -1
        mean = np.ma.masked_invalid(rays).mean(axis=0)
        ring = mean[(distances > 0.6 * radius) & (distances < 1.4 * radius + 2)]
        # Going outwards, the bright part comes first under focus.
        return 1 if int(ring.argmax()) < int(ring.argmin()) else -1


def _edges(
    rays: NDArray[Any], distances: NDArray[Any], radius: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return for each ray where its fringe has half its depth, and that depth; NaN where none."""
    window = (distances > 0.5 * radius) & (distances < 1.4 * radius + 3)
    edges, depths = np.full(len(rays), np.nan), np.zeros(len(rays))
    for k, ray in enumerate(rays):
        if not np.isfinite(ray[window]).all():
            continue
        bottom = int(np.argmin(np.where(window, ray, np.inf)))
        depth = -ray[bottom]
        above = np.flatnonzero(ray[:bottom] > -depth / 2)
        if depth <= 0 or not len(above):
            continue
        last = int(above[-1])
        part = (ray[last] + depth / 2) / (ray[last] - ray[last + 1])
        edges[k], depths[k] = distances[last] + part * STEP_PX, depth
    return edges, depths


def _circle_through(points: NDArray[Any]) -> tuple[float, float, float] | None:
    """Return x, y and radius of the circle of least squares (Kåsa), outliers left out."""
    kept = points
    for _ in range(2):
        system = np.column_stack([2 * kept, np.ones(len(kept))])
        (x, y, rest), *_ = np.linalg.lstsq(system, (kept**2).sum(axis=1), rcond=None)
        squared = rest + x**2 + y**2
        if squared <= 0:
            return None
        radius = float(np.sqrt(squared))
        off = np.abs(np.hypot(*(points - [x, y]).T) - radius)
        kept = points[off <= OUTLIER * 1.4826 * max(float(np.median(off)), STEP_PX / 4)]
        if len(kept) < LEAST_RAYS:
            return None
    return float(x), float(y), radius
