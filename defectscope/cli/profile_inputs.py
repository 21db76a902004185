"""What ``defectscope profiles`` compares: an image, its labelled lines, and its twin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defectscope.analysis.line_matching import matching_lines
from defectscope.cli.common import plural, say, warn
from defectscope.core.datasets import Dataset, LabelledImage, joining_name
from defectscope.core.errors import FormatError, InputError, UsageError
from defectscope.core.files import inside
from defectscope.core.frames import Frame
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.splines import spline_through
from defectscope.generators.image_folder import GreyImage, grey_limits
from defectscope.pipeline.api import open_frames
from defectscope.pipeline.labels import open_dataset
from defectscope.plugins.host import PluginHost

__all__ = ["grey_of", "labelled_lines", "twin_of"]

Line = NDArray[np.float64]


def grey_of(path: Path, host: PluginHost) -> NDArray[np.float32]:
    """Return an image as (H, W) grey 0 to 1, scaled as the generator of twins scales it.

    Raises
    ------
    InputError, UsageError
        It cannot be read, or is a series.
    """
    pixels = _frame(path, host).pixels
    image = GreyImage(path.name, pixels, *grey_limits(pixels, "auto", path), "")
    return np.asarray(image.scaled(pixels), np.float32)


def _frame(path: Path, host: PluginHost) -> Frame:
    frames = open_frames(path, host=host)
    if len(frames) != 1:
        raise UsageError(f"{path} holds {plural(len(frames), 'image')}; name a single one")
    frame: Frame = frames[0]
    for text in frames.warnings:
        warn(text)
    return frame


def labelled_lines(
    labels: Path, image: Path, label: str | None, shape: tuple[int, ...], host: PluginHost
) -> list[Line]:
    """Return the lines of one image, as points about 1 px apart.

    Parameters
    ----------
    labels
        Annotations of any format.
    image
        The image: of several that are labelled, that with its name.
    label
        Only lines of this defect type.
    shape
        (height, width) of the image.
    host
        Where formats are looked up.

    Raises
    ------
    InputError, FormatError
        There is no line, or the labels are those of another image.
    """
    dataset = open_dataset(labels, host)
    for text in dataset.warnings:
        warn(text)
    stem = joining_name(image.name)
    chosen = [found for found in dataset.images if found.stem == stem]
    if not chosen and len(dataset.images) == 1:
        chosen = list(dataset.images)
    if len(chosen) != 1:
        raise InputError(
            f"{labels} labels {plural(len(dataset.images), 'image')}, {len(chosen)} of them with "
            f"the name {stem!r}; expected one"
        )
    size = chosen[0].instances.image_shape
    if size != shape:
        raise FormatError(
            f"{labels} labels an image of {size[1]} x {size[0]} px, but {image} has "
            f"{shape[1]} x {shape[0]} px; name the image that was labelled"
        )
    lines = _lines_of(chosen[0], label)
    if not lines:
        wanted = "" if label is None else f" with the label {label!r}"
        raise InputError(f"{labels} holds no line{wanted} of {image.name}; label one at least")
    return lines


def _lines_of(image: LabelledImage, label: str | None = None) -> list[Line]:
    instances = image.instances
    if instances.lines is None:
        return []
    rows = zip(instances.lines, instances.defect_types, instances.ignore, strict=True)
    return [
        spline_through(line)
        for line, name, ignored in rows
        if polyline_length(line) > 0 and not ignored and label in (None, name)
    ]


def twin_of(
    path: Path, lines: Sequence[Line], shape: tuple[int, ...], host: PluginHost
) -> tuple[NDArray[np.float32], list[Line]]:
    """Return grey and lines of the image of a dataset that shows most of the labelled lines.

    Raises
    ------
    InputError
        None shows any, or its file is not there.
    """
    dataset = open_dataset(path, host)
    best, most = None, 0
    for image in dataset.images:
        shared = _shared(image, lines, shape)
        if shared > most:
            best, most = image, shared
        if most == len(lines):
            break
    if best is None:
        raise InputError(
            f"no image of {path} has a line where one is labelled; expected twins drawn from these "
            "labels, with 'defectscope generate twin'"
        )
    say(f"twin: {best.file_name} of {path}, with {most} of {plural(len(lines), 'line')}")
    return _frame(_file_of(dataset, best), host).scaled(), _lines_of(best)


def _shared(image: LabelledImage, lines: Sequence[Line], shape: tuple[int, ...]) -> int:
    scale = image.instances.image_shape[1] / shape[1]
    others = [line / scale for line in _lines_of(image)]
    return sum(match is not None for match in matching_lines(lines, others))


def _file_of(dataset: Dataset, image: LabelledImage) -> Path:
    if dataset.folder is None:
        raise InputError(f"the image {image.file_name} of the twin is not there")
    return inside(dataset.folder, image.file_name)
