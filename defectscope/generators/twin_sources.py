"""The labelled images that twins are made of: their lines, traces and pixels."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import FormatError, InputError, OptionError
from defectscope.core.geometry.splines import spline_through
from defectscope.generators.image_folder import SUFFIXES, Scaling, grey_image
from defectscope.generators.labelled_lines import LabelledLines, read_labelled_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Source", "files_of", "grey_of", "read_sources"]


@dataclass(frozen=True)
class Source:
    """One labelled image.

    Parameters
    ----------
    labels
        Its labelme file and the size of the image.
    paths
        (k, 2) points x, y, about 1 px apart, on the spline through each labelled line.
    positions
        Which line of the file each is, counted over lines of any label.
    groups
        Number of the pile-up of each, or None.
    traces
        (2, 2) ends of the labelled slip traces.
    """

    labels: LabelledLines
    paths: tuple[NDArray[np.float64], ...]
    positions: tuple[int, ...]
    groups: tuple[int | None, ...]
    traces: tuple[NDArray[np.float64], ...]

    def record(self) -> dict[str, Any]:
        """Return the file and its digest."""
        digest = hashlib.sha256(self.labels.path.read_bytes()).hexdigest()
        return {"file": self.labels.path.name, "sha256": digest}


def read_sources(labels: Path | None, label: str | None, trace_label: str) -> list[Source]:
    """Read the images that have lines to replicate.

    Raises
    ------
    OptionError
        No labels were named.
    InputError, FormatError
        There are none, or they are malformed or hold no such line; says which file.
    """
    if labels is None:
        raise OptionError(
            "twin needs the labelme file of an image, or a folder of them; name it with "
            "--set twin.labels=FILE"
        )
    found = [_source(image, label, trace_label) for image in read_labelled_lines(labels)]
    sources = [source for source in found if source.paths]
    if not sources:
        wanted = f"with the label {label!r}" if label is not None else "but slip traces"
        known = sorted({name for source in found for name in source.labels.labels})
        raise FormatError(
            f"the labelme files in {labels} hold no line {wanted}; labels of their lines are: "
            f"{', '.join(known)}"
        )
    return sources


def _source(image: LabelledLines, label: str | None, trace_label: str) -> Source:
    positions = [
        k
        for k, name in enumerate(image.labels)
        if name == label or (label is None and name != trace_label)
    ]
    try:
        paths = tuple(spline_through(image.lines[k]) for k in positions)
    except ValueError as error:
        raise FormatError(f"{image.path} has a line without length; take it out") from error
    traces = tuple(
        line[[0, -1]]
        for line, name in zip(image.lines, image.labels, strict=True)
        if name == trace_label
    )
    groups = tuple(image.groups[k] for k in positions)
    return Source(image, paths, tuple(positions), groups, traces)


def files_of(sources: Sequence[Source], image: Path | None) -> list[Path]:
    """Return the labelme files, and those of their images that are there.

    Parameters
    ----------
    sources
        Whose files.
    image
        As for :func:`grey_of`.
    """
    files = [source.labels.path for source in sources]
    for source in sources:
        # Lines and background may be drawn without the image.
        with suppress(InputError, OptionError):
            files.append(_file_of(source.labels, image, len(sources) == 1)[0])
    return files


def grey_of(
    source: Source, image: Path | None, scaling: Scaling, alone: bool
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Return a labelled image as (H, W) grey 0 to 1, and what it was read from.

    Parameters
    ----------
    source
        Whose image.
    image
        The image, or the folder of the images; None for the one that the labels name.
    scaling
        Which stored values become 0 and 1.
    alone
        Whether the labels are those of a single image.

    Raises
    ------
    OptionError
        One image was named for the labels of several.
    InputError, FormatError
        The image is not there, cannot be read, or has another size than the labels say.
    """
    path, data = _file_of(source.labels, image, alone)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: twins are measured on images that end in {', '.join(SUFFIXES)}; save the "
            "image as one of these, and name it with --set twin.image=FILE"
        )
    found = grey_image(path, scaling, data)
    size = found.pixels.shape[0], found.pixels.shape[1]
    if size != source.labels.image_shape:
        height, width = source.labels.image_shape
        raise FormatError(
            f"{source.labels.path} labels an image of {width} x {height} px, but {path} has "
            f"{size[1]} x {size[0]} px; name the image that was labelled with --set twin.image=FILE"
        )
    record = {
        "file": found.name, "sha256": found.sha256, "black": found.black, "white": found.white,
        "size_px": [size[1], size[0]],
    }  # fmt: skip
    return found.scaled(found.pixels), record


def _file_of(labels: LabelledLines, image: Path | None, alone: bool) -> tuple[Path, bytes | None]:
    """Return the path of the image of a labelme file, and its bytes where that file holds them."""
    name = Path(labels.image_name or labels.path.with_suffix(".png").name)
    if image is not None and not image.is_dir():
        if not alone:
            raise OptionError(
                f"twin.image names the single file {image}, but labels holds several labelme "
                "files; name the folder of their images"
            )
        return image, None
    folders = [labels.path.parent / name.parent, labels.path.parent] if image is None else [image]
    for path in (folder / name.name for folder in folders):
        if path.is_file():
            return path, None
    data = _embedded(labels.path) if image is None else None
    if data is None:
        raise InputError(
            f"{labels.path} labels the image {labels.image_name or name.name}, which is not in "
            f"{folders[0]}; name it with --set twin.image=FILE, or draw without it with "
            "--set twin.lines=set --set twin.background=canvas"
        )
    # labelme packs images as PNG or JPEG, whatever their file is.
    return labels.path.parent / f"{name.stem}.png", data


def _embedded(path: Path) -> bytes | None:
    packed = json.loads(path.read_text(encoding="utf-8-sig")).get("imageData")
    if not isinstance(packed, str):
        return None
    try:
        return base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise FormatError(
            f"{path}: 'imageData' is no image; name the image with --set twin.image=FILE"
        ) from error
