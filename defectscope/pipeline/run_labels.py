"""What a run found, as labelled images: for other programs, and for people to correct."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.instances import Instances
from defectscope.core.tables import ORIGINS
from defectscope.core.vertices import lines_by_frame
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_status import said_of_incomplete
from defectscope.pipeline.runfolder import INFO

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_run", "run_dataset"]

ELLIPSE = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg"}


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder."""
    return path.is_dir() and (path / INFO).is_file()


def run_dataset(folder: Path) -> Dataset:
    """Return the tracks of a run, or its detections where nothing was tracked.

    Images are all readable frames in their order, so that positions in a series hold. Of each
    instance its ellipse, its line, its score, the particle (``track_id``) and where it comes from
    (``origin``) are kept.

    Raises
    ------
    DefectscopeError
        The folder holds no run, or a damaged one.
    """
    result = Result(folder)
    rows = result.detections if result.tracks is None else result.tracks
    by_frame = dict(tuple(rows.groupby("frame")))
    lines = _lines(result)
    images = []
    for row in result.frames[result.frames["status"] == "ok"].to_dict("records"):
        shape = (int(row["height_px"]), int(row["width_px"]))
        index = int(row["frame"])
        own = by_frame.get(index, rows.iloc[:0])
        found = _instances(own, shape, lines.get(index, {}))
        dose = None if np.isnan(row["dose_dpa"]) else float(row["dose_dpa"])
        size = result.calibration.pixel_size_nm
        images.append(LabelledImage(str(row["source"]), found, index, size, dose))
    types = tuple(sorted({str(name) for name in rows["defect_type"].dropna()}))
    said = tuple(said_of_incomplete(result))
    return Dataset(tuple(images), _image_folder(result), types, said)


def _image_folder(result: Result) -> Path | None:
    paths = [Path(path) for path in result.info.get("input_paths", [])]
    folders = {path if path.is_dir() else path.parent for path in paths}
    return folders.pop() if len(folders) == 1 else None


def _lines(result: Result) -> dict[int, dict[int, np.ndarray]]:
    """Return the vertices of lines (not outlines) by frame and detection."""
    if "length_px" not in result.detections:
        return {}
    wanted = result.detections.loc[result.detections["length_px"].notna(), ["frame", "detection"]]
    if wanted.empty:
        return {}
    return lines_by_frame(result.geometry.merge(wanted, on=["frame", "detection"]))


def _instances(
    rows: pd.DataFrame, shape: tuple[int, int], lines: dict[int, np.ndarray]
) -> Instances:
    columns = {}
    if set(ELLIPSE) <= set(rows.columns):
        columns = {name: rows[name].to_numpy(float) for name in ELLIPSE}
    if "particle" in rows:
        columns["track_id"] = rows["particle"].to_numpy(np.int64)
    if "origin" in rows:
        codes = [ORIGINS.index(o) if o in ORIGINS else np.nan for o in rows["origin"]]
        columns["origin"] = np.array(codes, float)
    own = [lines.get(int(k), np.zeros((0, 2))) for k in rows["detection"]] if lines else None
    return Instances(
        shape,
        rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float),
        rows["score"].to_numpy(float),
        rows["defect_type"].astype(str).to_numpy(),
        lines=own,
        measurements=columns,
        units={name: ELLIPSE.get(name, "") for name in columns},
    )
