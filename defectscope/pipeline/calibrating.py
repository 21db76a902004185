"""The calibration of a run: what its files say, a calibration file, and single values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.calibration import Calibration
from defectscope.core.errors import OptionError

if TYPE_CHECKING:
    from defectscope.core.frames import FrameSequence

__all__ = ["merged_calibration"]

TOLERANCE = 0.01


def merged_calibration(
    sequence: FrameSequence,
    calibration: Calibration | Path | str | None,
    values: Mapping[str, Any],
) -> Calibration:
    unknown = [name for name in values if name not in Calibration.model_fields]
    if unknown:
        raise OptionError(
            f"{unknown[0]!r} is no calibration value; "
            f"known are: {', '.join(Calibration.model_fields)}"
        )
    if isinstance(calibration, str | Path):
        calibration = Calibration.from_toml(Path(calibration))
    own = sequence.calibration
    merged = own.updated(**(calibration.model_dump(exclude_unset=True) if calibration else {}))
    merged = merged.updated(**values)
    before, after = own.pixel_size_nm, merged.pixel_size_nm
    if before and after and abs(after / before - 1) > TOLERANCE:
        sequence.warnings.append(
            f"the files say {before:g} nm/px, but {after:g} nm/px was given and is used"
        )
    if (merged.dose_start_dpa is None) != (merged.dose_per_frame_dpa is None):
        sequence.warnings.append(
            "the dose needs both dose_start_dpa (at frame index 0) and dose_per_frame_dpa; "
            "only one is given, so that doses are left empty"
        )
    return merged
