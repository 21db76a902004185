"""Which prediction belongs to which truth: frames joined by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.datasets import PAGE, Dataset, LabelledImage, joining_name
from defectscope.core.errors import UsageError
from defectscope.core.instances import Instances
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_lines import line_courses

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType

__all__ = ["Joined", "join_frames"]

# What sizes are compared by, with units: also whether a size is that of a visible part alone.
MEASURED = {"major_px": "px", "minor_px": "px", "angle_deg": "deg", "at_rim": "", "fit": ""}


@dataclass(frozen=True)
class Joined:
    """Prediction and truth of one frame; `sequence` is that of the truth (Dataset.sequences)."""

    name: str
    frame: int | None
    predicted: Instances
    true: Instances
    sequence: int = 0


def join_frames(
    predictions: Result | Dataset,
    truth: Dataset,
    types: Mapping[str, DefectType],
    warnings: list[str],
) -> list[Joined]:
    """Return prediction and truth of every frame that has both, joined by name.

    Parameters
    ----------
    predictions, truth
        A run or a dataset, and a dataset.
    types
        Registered defect types: they say what is a line where a run measured no length.
    warnings
        Gains a line where labelled images have no prediction.

    Raises
    ------
    UsageError
        No frame has both, two frames share a name, or sizes of images differ.
    """
    found = (
        _from_run(predictions, types) if isinstance(predictions, Result) else predictions.by_stem()
    )
    joined, missing = [], []
    images = truth.by_stem()
    indices = Counter(image.frame for image in images.values())
    named = {found[name].frame for name in images if name in found}
    for (name, image), sequence in zip(images.items(), truth.sequences(), strict=True):
        # A page of another file, and an index of several images, say nothing of where they belong.
        unsure = PAGE.search(name) or indices[image.frame] > 1 or image.frame in named
        key = name if name in found or unsure else f"#{image.frame}"
        if key not in found:
            missing.append(image.file_name)
            continue
        frame = found[key].frame
        joined.append(Joined(name, image.frame if frame is None else frame,
                             *_of_one_size(found[key], image), sequence))  # fmt: skip
    if not joined:
        raise UsageError(
            "no labelled image has a prediction: frames are joined by file name, the truth has "
            f"{_some(missing) or 'no image'} and the prediction {_some(list(found)) or 'no frame'}"
        )
    if missing:
        warnings.append(
            f"{len(missing)} labelled images have no prediction and are left out: "
            f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}"
        )
    return joined


def _of_one_size(predicted: LabelledImage, true: LabelledImage) -> tuple[Instances, Instances]:
    """Return both in an image of the size that is known; one that was guessed says the least."""
    both = (predicted, true)
    shapes = [image.instances.image_shape for image in both]
    if shapes[0] == shapes[1]:
        return predicted.instances, true.instances
    shape = (max(height for height, _ in shapes), max(width for _, width in shapes))
    if any(own != shape and not image.size_is_guessed
           for own, image in zip(shapes, both, strict=True)):  # fmt: skip
        found, expected = (
            f"{'at least ' if image.size_is_guessed else ''}{image.instances.image_shape[::-1]} px"
            for image in both
        )
        raise UsageError(
            f"{true.file_name} is {expected} (width, height) in the truth but {found} in the "
            "prediction; they cannot be compared; look whether one of the images was "
            "cropped, scaled, or turned (EXIF)"
        )
    return (
        replace(predicted.instances, image_shape=shape),
        replace(true.instances, image_shape=shape),
    )


def _some(names: list[str]) -> str:
    return ", ".join([*names[:3], *(["…"] if len(names) > 3 else [])])


def _from_run(run: Result, types: Mapping[str, DefectType]) -> dict[str, LabelledImage]:
    by_frame = dict(tuple(run.detections.groupby("frame")))
    nothing = run.detections.iloc[:0]
    lines = line_courses(run, types)
    found: dict[str, LabelledImage] = {}
    sources: dict[str, str] = {}
    for row in run.frames[run.frames["status"] == "ok"].to_dict("records"):
        shape = (int(row["height_px"]), int(row["width_px"]))
        source, index = str(row["source"]), int(row["frame"])
        instances = _instances(by_frame.get(index, nothing), shape, lines.get(index))
        name = joining_name(source)
        if name in sources:
            raise UsageError(
                f"two frames of {run.folder} share the name {name!r} ({sources[name]} and "
                f"{source}); predictions and truth are joined by name, so names must differ"
            )
        sources[name] = source
        found[name] = LabelledImage(source, instances, index)
        if PAGE.search(source):
            # A frame of a stack or video has no file of its own: its index will do as well.
            found[f"#{index}"] = found[name]
    return found


def _instances(
    rows: pd.DataFrame, shape: tuple[int, int], lines: dict[int, NDArray[np.float64]] | None
) -> Instances:
    measured = [name for name in MEASURED if name in rows]
    return Instances(
        shape,
        rows[["x_min", "y_min", "x_max", "y_max"]].to_numpy(),
        rows["score"].to_numpy(),
        rows["defect_type"].astype(str).to_numpy(),
        lines=None if lines is None
        else [lines.get(int(k), np.zeros((0, 2))) for k in rows["detection"]],
        measurements={name: rows[name].to_numpy(float) for name in measured},
        units={name: MEASURED[name] for name in measured},
    )  # fmt: skip
