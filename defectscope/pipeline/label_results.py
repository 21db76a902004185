"""Labelled images as the result of a run, to be analysed like one."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectscope.core.calibration import Calibration
from defectscope.core.errors import FormatError, UsageError
from defectscope.core.files import write_json
from defectscope.core.frame_rows import FrameRows, joined_table
from defectscope.core.frames import Frame, frame_indices
from defectscope.core.label_measurements import measured
from defectscope.core.particles import particle_table
from defectscope.core.provenance import package_versions
from defectscope.core.tables import DETECTION_COLUMNS, FRAME_COLUMNS, GEOMETRY_COLUMNS, ORIGINS
from defectscope.pipeline.labels import accepting_formats, open_dataset
from defectscope.pipeline.parts import write_table
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_info import said_of_former
from defectscope.pipeline.run_labels import is_run

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset, LabelledImage
    from defectscope.core.defect_types import DefectType
    from defectscope.plugins.host import PluginHost

__all__ = ["label_result", "run_or_labels"]

SAME_SIZE = 0.01


def run_or_labels(path: Path, host: PluginHost) -> Result:
    """Open a run folder, or labelled images as if a run had found them.

    Raises
    ------
    UsageError
        It is neither.
    DefectscopeError
        What is there is damaged.
    """
    if is_run(path) or said_of_former(path):
        return Result(path)
    try:
        accepting_formats(path, host)
    except FormatError as error:
        is_table = path.suffix in (".csv", ".parquet")
        hint = (
            f"; tracks of a run are given with it: analyze RUN --tracks {path}" if is_table else ""
        )
        raise UsageError(
            f"{path} is no run folder: it has no run.json, and no labelled data either: "
            f"{error}{hint}"
        ) from error
    return label_result(open_dataset(path, host), path, host.defect_types())


def label_result(dataset: Dataset, path: Path, types: Mapping[str, DefectType]) -> Result:
    """Return labelled images as a result, in a temporary folder that lives as long as it does.

    Instances that are to be ignored are left out, and those with a ``track_id`` are tracks; of
    several sequences (:meth:`Dataset.sequences`) these are numbered anew, and the frames have a
    column ``sequence``.

    Parameters
    ----------
    dataset
        The images.
    path
        Where they come from.
    types
        Registered defect types, for shapes and what "diameter" means.

    Raises
    ------
    UsageError
        There is no image.
    """
    if not dataset.images:
        raise UsageError(f"{path} holds no labelled image; there is nothing to analyse")
    warnings = list(dataset.warnings)
    calibration = Calibration(pixel_size_nm=_pixel_size(dataset.images, warnings))
    indices = _indices(dataset.images)
    found = [_rows(image, index, calibration, types)
             for image, index in zip(dataset.images, indices, strict=True)]  # fmt: skip
    detections = joined_table([rows.detections for rows, _ in found], DETECTION_COLUMNS)
    warnings += _left_out(dataset.images, [bare for _, bare in found])
    holder = tempfile.TemporaryDirectory()
    folder = Path(holder.name)
    frames = _frame_table(dataset.images, indices, found)
    sequences = dataset.sequences()
    if len(set(sequences)) > 1:
        frames["sequence"] = sequences
    frames.to_csv(folder / "frames.csv", index=False, lineterminator="\n")
    geometry = joined_table([rows.geometry for rows, _ in found], GEOMETRY_COLUMNS)
    write_table(folder / "geometry.parquet", geometry)
    write_table(folder / "detections.parquet", detections.drop(columns="track_id", errors="ignore"))
    if "track_id" in detections and detections["track_id"].notna().any():
        tracks = _tracks(detections, dict(zip(indices, sequences, strict=True)), warnings)
        write_table(folder / "tracks.parquet", tracks)
        write_table(
            folder / "particles.csv",
            particle_table(tracks, calibration, looked_at=frames["frame"]),
        )
    info = {
        "status": "labelled data",
        "plan": {"components": [], "inputs": [str(path)], "calibration": calibration.model_dump()},
        "versions": package_versions(),
        "warnings": warnings,
        "damaged_frames": [],
        "input_paths": _image_files(dataset, indices),
    }
    write_json(folder / "run.json", info, default=str)
    return Result(folder, holder)


def _rows(
    image: LabelledImage, index: int, calibration: Calibration, types: Mapping[str, DefectType]
) -> tuple[FrameRows, int]:
    """Return the rows of an image, and how many of them have no size."""
    own = image.instances[~image.instances.ignore]
    codes = own.measurements.get("origin", np.full(len(own), np.nan))
    tracks = own.measurements.get("track_id")
    own, bare = measured(own, types)
    if image.size_is_guessed and "at_rim" in own.measurements:
        # Where its rim lies nobody knows: a guess goes as far as the labels do.
        own = own.with_measurements({"at_rim": np.full(len(own), np.nan)}, {"at_rim": ""})
    own = replace(
        own,
        measurements={n: v for n, v in own.measurements.items() if n not in ("origin", "track_id")},
        units={n: u for n, u in own.units.items() if n not in ("origin", "track_id")},
    )
    # Nobody looks at the pixels.
    rows = FrameRows.of(Frame(np.eye(8, dtype=np.uint8), index, calibration), own, types)
    origins = [ORIGINS[int(code)] if np.isfinite(code) else "human" for code in codes]
    columns = {**rows.detections, "origin": np.array(origins, object)}
    if image.dose_dpa is not None:
        columns["dose_dpa"] = np.full(len(own), image.dose_dpa)
    if tracks is not None:
        columns["track_id"] = np.asarray(tracks, float)
    return FrameRows(index, columns, rows.geometry), bare


def _tracks(
    detections: pd.DataFrame, sequence_of: Mapping[int, int], warnings: list[str]
) -> pd.DataFrame:
    """Return the rows that have a ``track_id``, which is now the particle.

    `sequence_of` has the sequence of each frame; `warnings` gains a line where there are several,
    and where a ``track_id`` comes twice in an image, of which the first row stays.
    """
    tracks = detections.dropna(subset="track_id").rename(columns={"track_id": "particle"})
    tracks = tracks.astype({"particle": "int64"}).reset_index(drop=True)
    twice = tracks.duplicated(["frame", "particle"])
    if twice.any():
        particle, frame = tracks.loc[twice, ["particle", "frame"]].iloc[0]
        warnings.append(
            f"{int(twice.sum())} labels have the track_id of another one in their image (the "
            f"first: {particle} in frame {frame}): they count, but only the one before is tracked"
        )
        tracks = tracks[~twice].reset_index(drop=True)
    sequences = len(set(sequence_of.values()))
    if sequences > 1:
        # Each begins at its own first track_id.
        own = tracks["frame"].map(sequence_of)
        tracks["particle"] = tracks.groupby([own, "particle"]).ngroup().astype("int64")
        warnings.append(
            f"the labelled images are {sequences} sequences: their frames and particles are "
            "numbered on from one to the next"
        )
    return tracks


def _frame_table(
    images: Sequence[LabelledImage], indices: Sequence[int], found: Sequence[tuple[FrameRows, int]]
) -> pd.DataFrame:
    rows = [
        (index, image.file_name, np.nan, image.dose_dpa, *image.instances.image_shape[::-1],
         len(rows), "ok")
        for image, index, (rows, _) in zip(images, indices, found, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(FRAME_COLUMNS)).astype(dict(FRAME_COLUMNS))


def _indices(images: Sequence[LabelledImage]) -> Sequence[int]:
    """Return the frame indices that the labels give; those of the file names, if they do not."""
    given = [image.frame for image in images if image.frame is not None]
    if len(set(given)) == len(images):
        return given
    return _by_name(images)


def _by_name(images: Sequence[LabelledImage]) -> Sequence[int]:
    return frame_indices([Path(image.file_name).stem for image in images])


def _image_files(dataset: Dataset, indices: Sequence[int]) -> list[str]:
    """Return the image files, where their names give the same indices; else they'd be mixed up."""
    if dataset.folder is None or list(_by_name(dataset.images)) != list(indices):
        return []
    files = [dataset.folder / image.file_name for image in dataset.images]
    return [str(file.resolve()) for file in files if file.is_file()]


def _pixel_size(images: Sequence[LabelledImage], warnings: list[str]) -> float | None:
    sizes = [image.pixel_size_nm for image in images]
    known = [size for size in sizes if size is not None]
    if not known:
        return None
    if len(known) < len(sizes) or max(known) > (1 + SAME_SIZE) * min(known):
        warnings.append("the labelled images differ in pixel size; it is left unknown")
        return None
    return known[0]


def _left_out(images: Sequence[LabelledImage], bare: Sequence[int]) -> list[str]:
    total = sum(len(image.instances) for image in images)
    ignored = sum(int(image.instances.ignore.sum()) for image in images)
    said = []
    if ignored:
        said.append(f"{ignored} of {total} labels are to be ignored (uncertain), and left out")
    if sum(bare):
        said.append(
            f"{sum(bare)} of {total - ignored} labels are boxes without an outline: they count, "
            "but have no size"
        )
    return said
