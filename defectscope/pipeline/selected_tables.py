"""The part of a run's tables that lies in a range of frames and a region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import OptionError
from defectscope.core.findings import Tables
from defectscope.core.frames import parse_frame_range
from defectscope.pipeline.regions import check_corners

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.pipeline.regions import Roi

__all__ = ["selected_tables"]


def selected_tables(tables: Tables, frames: str | None, roi: Roi | None) -> Tables:
    """Return the part of a run's tables that lies in a range of frames and a region.

    Raises
    ------
    OptionError
        The range holds no readable frame, or the region does not lie inside each of the frames.
    """
    if frames is not None:
        first, stop, step = parse_frame_range(frames)
        index = tables.frames["frame"]
        low = first if first is not None else int(index.min())
        high = stop if stop is not None else int(index.max()) + 1
        wanted = tables.frames["frame"].isin(range(low, high, step or 1))
        if not wanted.any():
            raise OptionError(
                f"no frame of the run is in {frames}; it has frame indices {index.min()} to "
                f"{index.max()}, and the last one of a range is exclusive"
            )
        if not (tables.frames.loc[wanted, "status"] == "ok").any():
            raise OptionError(
                f"no readable frame of the run is in {frames}: all there are damaged; choose "
                "another range"
            )
        kept = set(tables.frames.loc[wanted, "frame"])
        tables = replace(
            tables,
            frames=tables.frames[wanted].reset_index(drop=True),
            **_kept(tables, lambda table: table["frame"].isin(kept)),
        )
    if roi is None:
        return tables
    _check_region(tables, roi)
    x0, y0, x1, y1 = roi

    def inside(table: pd.DataFrame) -> pd.Series:
        centred = table["x"].between(x0, x1, "left") & table["y"].between(y0, y1, "left")
        if not {"length_px", "x_min", "x_max", "y_min", "y_max"} <= set(table.columns):
            return centred
        # Of a line the part inside counts, wherever its middle is.
        reaches = (table["x_min"] < x1) & (table["x_max"] > x0)
        reaches &= (table["y_min"] < y1) & (table["y_max"] > y0)
        return centred | (table["length_px"].notna() & reaches)

    return replace(tables, roi=roi, **_kept(tables, inside, geometry=False))


def _check_region(tables: Tables, roi: Roi) -> None:
    """Refuse a region of which any frame shows less than all, as a run does."""
    check_corners(roi)
    read = tables.frames[tables.frames["status"] == "ok"]
    if read.empty:
        return
    x0, y0, x1, y1 = roi
    bounds = tables.roi or (0, 0, *(int(read[name].max()) for name in ("width_px", "height_px")))
    if not (bounds[0] <= x0 < x1 <= bounds[2] and bounds[1] <= y0 < y1 <= bounds[3]):
        raise OptionError(
            f"the region {x0},{y0},{x1},{y1} must lie inside what the run looked at: "
            f"{','.join(map(str, bounds))} px"
        )
    small = read[(read["width_px"] < x1) | (read["height_px"] < y1)]
    for source, width, height in small[["source", "width_px", "height_px"]].to_numpy()[:1]:
        raise OptionError(
            f"the region {x0},{y0},{x1},{y1} must lie inside every frame, and {source} is "
            f"{width} x {height} px; choose a smaller region, or frames with --frames"
        )


def _kept(
    tables: Tables, which: Callable[[pd.DataFrame], pd.Series], geometry: bool = True
) -> dict[str, Any]:
    names = ["detections", "tracks", *(["geometry"] if geometry else [])]
    parts = {name: getattr(tables, name) for name in names}
    return {
        name: None if part is None else part[which(part)].reset_index(drop=True)
        for name, part in parts.items()
    }
