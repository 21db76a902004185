"""How far each frame of a series has moved: registration by phase correlation.

Guizar-Sicairos, Thurman & Fienup, Opt. Lett. 33 (2008) 156, as implemented in scikit-image; batches
of frames are compared with a reference that is carried on from batch to batch, as P2 does with
its templates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from defectscope.core.errors import OptionError
from defectscope.core.references import ALIKE_LOST, References

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Registrar", "RegistrationOptions", "Shift", "common_field"]

# Frames are compared at about this size. Reduced, they lose the fine fixed pattern of a camera,
# which moves against the specimen and is what phase correlation finds at full size: on a
# registered video it was seen 5 to 20 px away from the specimen.
COMPARED_SIDE_PX = 384
# Steps of the result, px of the whole frame.
STEP_PX = 0.05
# Slower changes of brightness than this are illumination and bend contours, reduced px.
SMOOTH_PX = 8.0
# Overlaps that correlate less than this show something else.
LEAST_CORRELATION = 0.1
# A frame that fits the reference less than this is compared with the frame before as well.
GOOD_CORRELATION = 0.35
# Shares of the frame's sides that must overlap for a shift to be believed.
LEAST_OVERLAP = 0.3


@dataclass(frozen=True)
class RegistrationOptions:
    """How frames are registered.

    Parameters
    ----------
    batch
        Frames that are compared with one reference before the next one takes over.
    jump_px
        A step from one frame to the next longer than this is a jump, px.
    """

    batch: int = 20
    jump_px: float = 5.0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise OptionError(f"a batch of registration has at least 1 frame, found {self.batch}")
        if not self.jump_px > 0:
            raise OptionError(f"a jump must be longer than 0 px, found {self.jump_px:g}")


class Shift(NamedTuple):
    """Where a frame lies, against the first one.

    Parameters
    ----------
    x, y
        By how much the specimen is shifted in this frame, px: what was at (0, 0) of the first
        frame is at (x, y) now.
    jump
        Whether it came there at once, by more than ``jump_px`` since the frame before, or fits a
        reference from before the last jump, or is a new one, since the frames before it were lost.
    correlation
        Pearson's correlation with the reference where both overlap, -1 to 1; NaN where the frame
        does not fit, and the shift is that of the frame before.
    """

    x: float
    y: float
    jump: bool
    correlation: float


class _View(NamedTuple):
    """A frame made ready for comparison."""

    pixels: NDArray[np.float32]
    spectrum: NDArray[Any]


class Registrar:
    """Registers frames as they come in, and holds no more than five of them.

    Parameters
    ----------
    options
        How.

    Notes
    -----
    The first frame has the shift (0, 0); one that fits no other, as before a shutter opens, leaves
    it to the second. Frames in a row that fit each other and nothing before them, as after a long
    way of the stage, have a new reference, at the last place that is known. Errors of the
    references add up: about 0.1 px for each batch. Captions and other marks that stay where they
    are pull shifts towards 0 only where they fill much of the frame.
    """

    def __init__(self, options: RegistrationOptions | None = None) -> None:
        self.options = options or RegistrationOptions()
        self._known: References[_View] = References(self.options.batch)

    @classmethod
    def after(
        cls,
        options: RegistrationOptions,
        shifts: Sequence[Shift | None],
        pixels: Callable[[int], NDArray[Any]],
    ) -> Registrar:
        """Return one that goes on as if it had been given the frames of these shifts.

        Parameters
        ----------
        options
            How they were found.
        shifts
            Of each frame in its order; None where it could not be read.
        pixels
            Returns the (H, W) pixels of the frame at a position; asked for five at most.
        """
        positions: References[int] = References(options.batch)
        for position, shift in enumerate(shifts):
            if shift is not None:
                positions.take(position, shift)
        registrar = cls(options)
        registrar._known = positions.replaced(lambda position: _reduced(pixels(position))[0])
        return registrar

    def add(self, pixels: NDArray[Any]) -> Shift:
        """Return where the next frame lies; `pixels` are (H, W) of any type, of one size."""
        view, factor = _reduced(pixels)
        reference = self._known.reference
        if reference is None:
            shift = Shift(0.0, 0.0, False, 1.0)
        elif view.pixels.shape != reference.pixels.shape:
            raise OptionError(
                "frames can be registered only where all have one size; found "
                f"{pixels.shape[1]} x {pixels.shape[0]} px among others"
            )
        else:
            shift = self._placed(reference, view, factor)
        self._known.take(view, shift)
        return shift

    def _placed(self, reference: _View, view: _View, factor: int) -> Shift:
        known = self._known
        moved, correlation = _shift(reference, view, factor)
        at, anew = known.reference_at + moved, False
        before = known.before
        if not (correlation >= GOOD_CORRELATION or before is None or before is reference):
            moved, other = _shift(before, view, factor)
            if not correlation >= other:
                at, correlation = known.at + moved, other
        if not correlation >= LEAST_CORRELATION:
            at, correlation, anew = self._found_again(view, factor)
        # Rounded to what can be told, so that no processor's last digit shows, and that one which
        # goes on from a table goes on with the same numbers.
        at = np.round(at, 3)
        jump = anew or bool(np.hypot(*(at - known.at)) > self.options.jump_px)
        return Shift(float(at[0]), float(at[1]), jump, round(correlation, 4))

    def _found_again(self, view: _View, factor: int) -> tuple[NDArray[np.float64], float, bool]:
        """Place one that does not fit; return where, its correlation, and whether it is anew."""
        known = self._known
        if known.former is not None:
            moved, correlation = _shift(known.former, view, factor)
            if correlation >= LEAST_CORRELATION:
                return known.former_at + moved, correlation, True
        if known.before is None and known.lost:
            # Nothing has fitted the first frame: the one after it is the origin.
            moved, correlation = _shift(known.lost[-1], view, factor)
            if correlation >= LEAST_CORRELATION:
                return known.at + moved, correlation, False
        row = [*known.lost, view]
        anew = (
            known.before is not None
            and len(row) == ALIKE_LOST
            and all(_shift(a, b, factor)[1] >= LEAST_CORRELATION for a, b in pairwise(row))
        )
        return known.at, math.nan, anew


def _reduced(pixels: NDArray[Any]) -> tuple[_View, int]:
    factor = max(1, math.ceil(max(pixels.shape) / COMPARED_SIDE_PX))
    return _view(pixels, factor), factor


def _view(pixels: NDArray[Any], factor: int) -> _View:
    import cv2
    from scipy.fft import fft2

    small: NDArray[Any] = np.asarray(pixels, np.float32)
    if factor > 1:
        small = cv2.resize(small, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    small = small - cv2.GaussianBlur(small, (0, 0), SMOOTH_PX, borderType=cv2.BORDER_REFLECT)
    # Without a window, the rims that do not wrap around would be what correlates best.
    rows, columns = (np.hanning(side + 2)[1:-1].astype(np.float32) for side in small.shape)
    return _View(small, fft2(small * np.outer(rows, columns)))


def _shift(reference: _View, view: _View, factor: int) -> tuple[NDArray[np.float64], float]:
    """Return x, y in px of the whole frame by which `view` is shifted, and how well it fits."""
    from skimage.registration import phase_cross_correlation

    found, _, _ = phase_cross_correlation(
        reference.spectrum, view.spectrum, space="fourier", upsample_factor=round(factor / STEP_PX)
    )
    # It tells how to shift `view` back, in rows and columns.
    rows, columns = (-float(side) for side in found)
    correlation = _correlation(reference.pixels, view.pixels, round(rows), round(columns))
    return np.array([columns, rows]) * factor, correlation


def _correlation(
    first: NDArray[np.float32], second: NDArray[np.float32], down: int, right: int
) -> float:
    height, width = first.shape
    if abs(down) > (1 - LEAST_OVERLAP) * height or abs(right) > (1 - LEAST_OVERLAP) * width:
        return math.nan
    a = first[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    b = second[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    spread = float(a.std()) * float(b.std())
    return float(((a - a.mean()) * (b - b.mean())).mean()) / spread if spread > 0 else math.nan


def common_field(
    shifts: NDArray[np.float64], extent: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """Return the part of the specimen that all frames show, in px of the first frame.

    Parameters
    ----------
    shifts
        (n, 2) x, y of each frame against the first one.
    extent
        x_min, y_min, x_max, y_max in px of every frame that was looked at.

    Returns
    -------
    tuple or None
        x_min, y_min, x_max, y_max; None where no part is in all frames. Shifted by a frame's own
        x, y it lies in that frame.
    """
    low = np.asarray(extent[:2], float) - shifts.min(axis=0)
    high = np.asarray(extent[2:], float) - shifts.max(axis=0)
    if not (high > low).all():
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
