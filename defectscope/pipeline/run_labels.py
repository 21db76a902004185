"""What a run found, as labelled images: for other programs, and for people to correct."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.defect_types import DefectType
from defectscope.core.instances import Instances
from defectscope.core.tables import ORIGINS
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_info import INFO
from defectscope.pipeline.run_lines import line_courses
from defectscope.pipeline.run_status import said_of_incomplete

__all__ = ["is_run", "run_dataset", "truth_of_run"]

KEYS = ["frame", "detection"]
ELLIPSE = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg"}


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder."""
    return path.is_dir() and (path / INFO).is_file()


def run_dataset(folder: Path, types: Mapping[str, DefectType]) -> Dataset:
    """Return the tracks of a run, or its detections where nothing was tracked.

    Images are all readable frames in their order. Of each instance its ellipse, its line, its
    score, the particle (``track_id``) and where it comes from (``origin``) are kept.

    Parameters
    ----------
    folder
        Of the run.
    types
        Registered defect types: they say what is a line where no length was measured.

    Raises
    ------
    DefectscopeError
        The folder holds no run, or a damaged one.
    """
    result = Result(folder)
    rows = result.detections if result.tracks is None else result.tracks
    return _dataset(result, rows, types)


def truth_of_run(result: Result, types: Mapping[str, DefectType]) -> Dataset:
    """Return what a run found as truth for another run: its detections, as those will be compared.

    Those in tracks have a ``track_id``, the others NaN. What a tracker filled into gaps was not
    found, but may well be there: it is to be ignored. `types` as for :func:`run_dataset`.
    """
    rows, tracks = result.detections, result.tracks
    if tracks is None or "detection" not in tracks:
        return _dataset(result, rows, types)
    numbers = tracks[[*KEYS, "particle"]].drop_duplicates(KEYS)
    linked = rows.merge(numbers, on=KEYS, how="left")
    # What was filled in has numbers that no detection has.
    found = pd.MultiIndex.from_frame(tracks[KEYS]).isin(pd.MultiIndex.from_frame(rows[KEYS]))
    filled = tracks[~found].assign(ignore=True)
    rows = pd.concat([linked.assign(ignore=False), filled], ignore_index=True)
    return _dataset(result, rows, types)


def _dataset(result: Result, rows: pd.DataFrame, types: Mapping[str, DefectType]) -> Dataset:
    by_frame = dict(tuple(rows.groupby("frame")))
    lines = line_courses(result, types)
    images = []
    for row in result.frames[result.frames["status"] == "ok"].to_dict("records"):
        shape = (int(row["height_px"]), int(row["width_px"]))
        index = int(row["frame"])
        own = by_frame.get(index, rows.iloc[:0])
        found = _instances(own, shape, lines.get(index, {}))
        dose = None if np.isnan(row["dose_dpa"]) else float(row["dose_dpa"])
        size = result.calibration.pixel_size_nm
        images.append(LabelledImage(str(row["source"]), found, index, size, dose))
    names = tuple(sorted({str(name) for name in rows["defect_type"].dropna()}))
    said = tuple(said_of_incomplete(result))
    return Dataset(tuple(images), _image_folder(result), names, said)


def _image_folder(result: Result) -> Path | None:
    paths = [Path(path) for path in result.info.get("input_paths", [])]
    folders = {path if path.is_dir() else path.parent for path in paths}
    return folders.pop() if len(folders) == 1 else None


def _instances(
    rows: pd.DataFrame, shape: tuple[int, int], lines: dict[int, np.ndarray]
) -> Instances:
    columns = {}
    if set(ELLIPSE) <= set(rows.columns):
        columns = {name: rows[name].to_numpy(float) for name in ELLIPSE}
    if "particle" in rows:
        whole = rows["particle"].notna().all()
        columns["track_id"] = rows["particle"].to_numpy(np.int64 if whole else float)
    if "origin" in rows:
        codes = [ORIGINS.index(o) if o in ORIGINS else np.nan for o in rows["origin"]]
        columns["origin"] = np.array(codes, float)
    own = [lines.get(int(k), np.zeros((0, 2))) for k in rows["detection"]] if lines else None
    return Instances(
        shape,
        rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float),
        rows["score"].to_numpy(float),
        rows["defect_type"].astype(str).to_numpy(),
        ignore=rows["ignore"].to_numpy(bool) if "ignore" in rows else None,
        lines=own,
        measurements=columns,
        units={name: ELLIPSE.get(name, "") for name in columns},
    )
