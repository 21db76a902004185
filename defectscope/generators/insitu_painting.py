"""Pictures and truth of the loops of one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from defectscope import Instances, Mask
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.generators.insitu_population import LEAST_PX
from defectscope.generators.local_texture import LocalTexture
from defectscope.generators.loop_drawing import filled_look
from defectscope.generators.loop_painting import Loop, painted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.generators.insitu_options import InSituLoopsOptions
    from defectscope.generators.insitu_population import Population

__all__ = ["DEFECT_TYPE", "LoopPainter"]

DEFECT_TYPE = "dislocation-loop"
# Sharper than this, what is drawn would depend on how it lies on the grid of pixels.
LEAST_EDGE_PX = 0.5
# Texture is measured in windows of this side; where it is less than this, it is this (grey 0 to 1).
TEXTURE_PX, LEAST_TEXTURE = 64.0, 1e-3
UNITS = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
         "track_id": ""}  # fmt: skip


class LoopPainter:
    """Paints the same loops again and again, as they grow and move.

    A loop that was labelled once has a row in every later frame that holds its centre: where it
    is too faint, one with ``ignore`` set.

    Parameters
    ----------
    loops
        What to paint.
    options
        What the user asked for.
    common_side
        Direction of the tails, degrees: inclined in one foil, loops have them on about one side.
    """

    def __init__(self, loops: Population, options: InSituLoopsOptions, common_side: float) -> None:
        self._loops, self._options, self._common_side = loops, options, common_side
        self._known: set[int] = set()

    def paint(
        self, pixels: NDArray[np.float64], frame: int, offset: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> Instances:  # fmt: skip
        """Paint the loops of a frame onto (H, W) pixels in place, and return the truth.

        Parameters
        ----------
        pixels
            Brightness from 0 to 1.
        frame
            Index from 0.
        offset
            (2,) x, y by which the specimen is shifted, px.
        rng
            Source of the flicker.
        """
        loops = self._loops
        flicker = 1 + self._options.flicker * rng.standard_normal(len(loops.depth))
        alive = loops.alive(frame)
        major = loops.growth.major(frame, alive)
        alive, major = alive[major >= LEAST_PX], major[major >= LEAST_PX]
        resolved = self._resolved(major * loops.aspect[alive])
        depth = np.clip(loops.depth * flicker, 0, 1)[alive] * resolved
        # What is labelled must not flicker: it is what is seen of a loop on average.
        steady = loops.depth[alive] * resolved
        centres = loops.position[alive] + offset
        labelled = self._labelled(pixels.shape, centres, major)
        texture = LocalTexture(np.asarray(pixels, np.float32), TEXTURE_PX, LEAST_TEXTURE)
        faint = np.zeros(len(alive), bool)
        masks = []
        for row, (k, (x, y), size, contrast) in enumerate(
            zip(alive, centres, major, depth, strict=True)
        ):
            loop = self._loop(k, x, y, size)
            place, profile, mask = painted(loop, (pixels.shape[0], pixels.shape[1]))
            # Electrons that a loop scatters are missing in proportion to those that came: grain
            # is weaker in it, and nothing gets darker than black.
            if labelled[row] and profile.any():
                level = float(np.average(pixels[place] * profile, weights=profile))
                unit = float(np.hypot(texture.at(x, y), self._options.noise))
                faint[row] = steady[row] * level < self._options.visible_from * unit
                labelled[row] = not faint[row] or k in self._known
            pixels[place] *= 1 - contrast * profile
            if labelled[row]:
                masks.append(_own(mask) if mask.area_px else _one_pixel(x, y))
        shown = alive[labelled]
        self._known.update(shown.tolist())
        return self._truth(
            pixels.shape, shown, centres[labelled], major[labelled], faint[labelled], masks
        )

    def _resolved(self, minor: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return which part of their contrast is left to loops of some minor axes, px.

        It is that in the middle of a blurred disc of this diameter.
        """
        sigma = max(self._options.resolution_px, 1e-3)
        return np.asarray(-np.expm1(-((minor / 2) ** 2) / (2 * sigma**2)))

    def _labelled(
        self, shape: tuple[int, ...], centres: NDArray[np.float64], major: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        inside = np.all((centres > 0) & (centres < [shape[1], shape[0]]), axis=1)
        return np.asarray(inside & (major >= self._options.visible_from_px))

    def _loop(self, k: int, x: float, y: float, major: float) -> Loop:
        loops, options = self._loops, self._options
        loop = Loop.model_construct(
            defect_type=DEFECT_TYPE, look="filled", x=float(x), y=float(y), major_px=float(major),
            minor_px=float(major * loops.aspect[k]), angle_deg=float(loops.angle_deg[k]),
            contrast=float(loops.depth[k]), edge_px=LEAST_EDGE_PX, harmonics=[],
        )  # fmt: skip
        numbers = loops.looks[k].tolist()
        look = filled_look(loop, self._common_side, options, numbers)
        look["edge_px"] = max(look["edge_px"], options.resolution_px, LEAST_EDGE_PX)
        look["lumps"] *= options.lumps
        look["harmonics"] = [wave for wave in look["harmonics"] if wave[1]]
        return loop.model_copy(update=look)

    def _truth(
        self,
        shape: tuple[int, ...],
        shown: NDArray[np.intp],
        centres: NDArray[np.float64],
        major: NDArray[np.float64],
        faint: NDArray[np.bool_],
        masks: list[Mask],
    ) -> Instances:
        x, y = centres.T
        minor, angle = major * self._loops.aspect[shown], self._loops.angle_deg[shown]
        boxes = ellipse_boxes(x, y, major, minor, angle)
        height, width = shape
        return Instances(
            (height, width),
            np.clip(boxes, 0, [width, height, width, height]),
            defect_types=DEFECT_TYPE,
            ignore=faint,
            masks=tuple(masks),
            measurements={
                "x": x, "y": y, "major_px": major, "minor_px": minor, "angle_deg": angle,
                "track_id": shown,
            },
            units=UNITS,
        )  # fmt: skip


def _own(mask: Mask) -> Mask:
    # A view would keep the window alive in which the loop was painted, in every frame.
    return Mask(mask.x, mask.y, mask.bitmap.copy())


def _one_pixel(x: float, y: float) -> Mask:
    # Thinner than a pixel, a loop may pass between all centres; it has a place all the same.
    return Mask(int(x), int(y), np.ones((1, 1), bool))
