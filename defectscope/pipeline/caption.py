"""What the strip above a frame says: index, count, time, dose, colours, and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from defectscope.pipeline.strip import ROW_PX, Part, ScaleBar

if TYPE_CHECKING:
    from defectscope.core.calibration import Calibration
    from defectscope.core.defect_types import DefectType

__all__ = [
    "CAPTION_PX",
    "CAPTION_ROWS",
    "FALLBACK_COLOUR",
    "colour_of",
    "frame_parts",
    "scale_bar",
    "type_parts",
]

# At least one row for the frame, one for colours and scale.
CAPTION_ROWS = 2
CAPTION_PX = CAPTION_ROWS * ROW_PX
FALLBACK_COLOUR = "#e69f00"
# A scale bar is about this part of the width of a frame.
BAR_SHARE = 0.2


def scale_bar(width_px: int, pixel_size_nm: float | None, zoom: int = 1) -> ScaleBar | None:
    """Return a bar of 1, 2 or 5 times a power of ten, at most a fifth of the width; or None.

    Its length is in px of a picture of the frame that is enlarged `zoom` times.
    """
    if pixel_size_nm is None:
        return None
    longest = BAR_SHARE * width_px * pixel_size_nm
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest)
    text = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    return ScaleBar(zoom * length / pixel_size_nm, text)


def colour_of(types: Mapping[str, DefectType], name: str) -> tuple[int, ...]:
    """Return the colour of a defect type as red, green and blue, 0 to 255."""
    text = types[name].colour if name in types else FALLBACK_COLOUR
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


def frame_parts(
    index: int, calibration: Calibration, count: int, unseen: bool, tracked: int | None = None
) -> list[Part]:
    """Return what is said of a frame, as far as it is known.

    Parameters
    ----------
    index
        Of the frame.
    calibration
        For its time and dose.
    count
        How many defects were found.
    unseen
        Whether a part is darkened because nothing was looked for there.
    tracked
        How many particles there are: without what is too short a track, and with what was filled
        in. None where nothing was tracked.
    """
    time, dose = calibration.time_s(index), calibration.dose_dpa(index)
    parts = [f"frame {index}"]
    parts += [f"n = {count}" if tracked is None else f"n = {count}, {tracked} tracked"]
    parts += [] if time is None else [f"{time:.2f} s"]
    parts += [] if dose is None else [f"{dose:.3f} dpa"]
    parts += ["dark: not looked at"] if unseen else []
    return [Part(text) for text in parts]


def type_parts(
    types: Mapping[str, DefectType], names: Sequence[str], dashes: str = ""
) -> list[Part]:
    """Return what the colours of types mean, and what dashes do if that is given."""
    parts = [Part(types[n].title if n in types else n, colour_of(types, n)) for n in names]
    return [*parts, Part(f"dashed: {dashes}")] if dashes else parts
