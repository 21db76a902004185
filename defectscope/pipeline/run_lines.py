"""Which vertices of a run are courses of lines, and which are outlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from defectscope.core.defect_types import may_be_line
from defectscope.core.vertices import lines_by_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.pipeline.results import Result

__all__ = ["line_courses"]


def line_courses(
    result: Result, types: Mapping[str, DefectType]
) -> dict[int, dict[int, NDArray[np.float64]]]:
    """Return the course (k, 2) of each defect that is a line, by frame and detection.

    Where lengths were measured, what has one is a line, for an outline has none; else what may be
    one by its type: of the registered `types`, and of others all.
    """
    detections = result.detections
    if "length_px" in detections:
        lines = detections["length_px"].notna()
    else:
        names = detections["defect_type"].astype(str)
        lines = names.isin([name for name in names.unique() if may_be_line(name, types)])
    if not lines.any():
        return {}
    wanted = detections.loc[lines, ["frame", "detection"]]
    return lines_by_frame(result.geometry.merge(wanted, on=["frame", "detection"]))
