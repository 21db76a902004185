"""What a report's page shows: frames with what was found in them, and particles."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from defectscope.core.errors import InputError
from defectscope.core.series_column import series_column
from defectscope.pipeline.caption import FALLBACK_COLOUR, scale_bar
from defectscope.pipeline.overlay import to_display
from defectscope.pipeline.regions import frame_to_show
from defectscope.pipeline.report_facts import heading
from defectscope.pipeline.unseen import unseen_outlines, unseen_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.findings import Tables
    from defectscope.core.frames import FrameSequence
    from defectscope.pipeline.report_images import ReportImages

__all__ = ["MOST_PARTICLES", "page_data", "shown_frames"]

MOST_PARTICLES = 4000
# Vertices of a line beyond these are left out; the page must stay small.
MOST_VERTICES = 60
MOST_HISTORY_ROWS = 250_000
WIDEST_PX, QUALITY = 1120, 80
AXES = {"dose_dpa": "Dose (dpa)", "time_s": "Time (s)", "frame": "Frame"}


def shown_frames(tables: Tables, most: int) -> list[int]:
    """Return the indices of the frames that a viewer steps through, evenly over the series."""
    good = tables.frames.loc[tables.frames["status"] == "ok", "frame"].to_numpy(np.int64)
    if not len(good) or most < 1:
        return []
    places = np.unique(np.linspace(0, len(good) - 1, min(most, len(good))).round().astype(int))
    return [int(frame) for frame in good[places]]


def page_data(
    tables: Tables,
    particles: pd.DataFrame | None,
    types: Mapping[str, DefectType],
    images: ReportImages,
    frames: Sequence[int],
    lines: Mapping[int, Mapping[int, NDArray[np.float64]]] | None = None,
) -> dict[str, Any]:
    """Return what the page's script reads.

    Parameters
    ----------
    tables
        What was analysed.
    particles
        One row a particle, or None.
    types
        Registered defect types, for colours and titles.
    images
        The frames themselves, as far as they are at hand.
    frames
        Indices of the frames to show.
    lines
        Courses (k, 2) of lines, by frame and detection.
    """
    rows = tables.detections if tables.tracks is None else tables.tracks
    names = sorted(str(name) for name in rows["defect_type"].unique())
    size = next((n for n in ("diameter_nm", "diameter_px") if n in rows), None)
    axis = series_column(tables.frames)
    axis = axis if axis in rows else "frame"
    shown = None if particles is None else _longest(particles)
    return {
        "types": [types[n].title if n in types else n for n in names],
        "colours": [types[n].colour if n in types else FALLBACK_COLOUR for n in names],
        "frames": [
            _frame(tables, rows, names, images, index, (lines or {}).get(index, {}))
            for index in frames
        ],
        "columns": [] if shown is None else [heading(str(c)) for c in shown.columns],
        "particles": [] if shown is None else _plain_rows(_titled(shown, types)),
        "histories": {} if shown is None else _histories(rows, shown, axis, size),
        "axis": AXES[axis],
        "size": "size" if size is None else f"diameter ({size[-2:]})",
    }


def _longest(particles: pd.DataFrame) -> pd.DataFrame:
    if len(particles) <= MOST_PARTICLES:
        return particles
    order = particles["lifetime_frames"].sort_values(ascending=False, kind="stable").index
    return particles.loc[order[:MOST_PARTICLES]].sort_index()


def _titled(particles: pd.DataFrame, types: Mapping[str, DefectType]) -> pd.DataFrame:
    """Return particles with their types named as in figures."""
    if "defect_type" not in particles:
        return particles
    titles = [types[n].title if n in types else n for n in particles["defect_type"]]
    return particles.assign(defect_type=titles)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: null for what is unknown or infinite."""
    if isinstance(value, str | None):
        return value
    if pd.isna(value):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    number = float(value)
    return float(f"{number:.7g}") if np.isfinite(number) else None


def _plain_rows(table: pd.DataFrame) -> list[list[Any]]:
    return [[_plain(v) for v in row] for row in table.itertuples(index=False, name=None)]


def _histories(
    rows: pd.DataFrame, particles: pd.DataFrame, axis: str, size: str | None
) -> dict[str, dict[str, list[Any]]]:
    wanted = rows[rows["particle"].isin(particles["particle"])]
    # The longest first; of what is left out the page says that it is.
    lengths = wanted["particle"].value_counts().sort_index()
    lengths = lengths.sort_values(ascending=False, kind="stable")
    kept = lengths.index[lengths.cumsum() <= MOST_HISTORY_ROWS]
    wanted = wanted[wanted["particle"].isin(kept)]
    ordered = wanted.sort_values(["particle", "frame"], kind="stable")
    histories: dict[str, dict[str, list[Any]]] = {}
    for particle, own in ordered.groupby("particle", sort=True):
        seen = own["origin"] != "interpolated" if "origin" in own else pd.Series(True, own.index)
        sizes = [None] * len(own) if size is None else [_plain(v) for v in own[size]]
        histories[str(particle)] = {
            "at": [_plain(v) for v in own[axis]],
            "size": sizes,
            "seen": [int(v) for v in seen],
        }
    return histories


def _frame(
    tables: Tables,
    rows: pd.DataFrame,
    names: Sequence[str],
    images: ReportImages,
    index: int,
    lines: Mapping[int, NDArray[np.float64]],
) -> dict[str, Any]:
    row = tables.frames[tables.frames["frame"] == index].iloc[0]
    own = rows[rows["frame"] == index]
    width, height = int(row["width_px"]), int(row["height_px"])
    bar = scale_bar(width, tables.calibration.pixel_size_nm)
    return {
        "frame": index,
        "source": str(row["source"]),
        "time_s": _plain(row.get("time_s")),
        "dose_dpa": _plain(row.get("dose_dpa")),
        "width": width,
        "height": height,
        "bar": None if bar is None else {"px": _plain(bar.length_px), "text": bar.text},
        "unseen": unseen_outlines(unseen_pixels((height, width), tables.roi, tables.masked)),
        "image": _image(images.sequence, images.places.get(index)),
        # Tracks lack detections that are too short a track, and have rows that were filled in.
        "count": int((tables.detections["frame"] == index).sum()),
        "tracked": None if tables.tracks is None else len(own),
        "found": [_outline(found, names, lines) for found in own.to_dict("records")],
    }


def _outline(
    row: Mapping[Any, Any], names: Sequence[str], lines: Mapping[int, NDArray[np.float64]]
) -> dict[str, Any]:
    axes = [_plain(row.get(name)) for name in ("major_px", "minor_px", "angle_deg")]
    known = all(value is not None for value in axes)
    course = lines.get(int(row.get("detection", -1)))
    return {
        "x": _plain(row["x"]),
        "y": _plain(row["y"]),
        "box": [_plain(row[name]) for name in ("x_min", "y_min", "x_max", "y_max")],
        "line": None if course is None else _thinned(course),
        "major": axes[0] if known else None,
        "minor": axes[1] if known else None,
        "angle": axes[2] if known else None,
        "particle": _plain(row.get("particle")),
        "type": names.index(str(row["defect_type"])),
        "origin": str(row.get("origin", "detector")),
    }


def _thinned(course: NDArray[np.float64]) -> list[list[float]]:
    places = np.linspace(0, len(course) - 1, min(MOST_VERTICES, len(course))).round().astype(int)
    return [[float(v) for v in point] for point in course[places].round(1)]


def _image(images: FrameSequence | None, position: int | None) -> str | None:
    if images is None or position is None:
        return None
    try:
        picture = to_display(frame_to_show(images, position).pixels)
    except InputError:
        return None
    if picture.shape[1] > WIDEST_PX:
        scale = WIDEST_PX / picture.shape[1]
        picture = np.asarray(
            cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")
