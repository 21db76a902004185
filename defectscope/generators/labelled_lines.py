"""Lines out of labelme files: the support points of real dislocations (P1, section 2.3)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.errors import FormatError, InputError
from defectscope.generators.input_files import labelme_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TRACE_LABEL", "LabelledLines", "read_labelled_lines"]

LINE_KINDS = ("line", "linestrip")
# What slip traces are called, unless an option says otherwise.
TRACE_LABEL = "slip-trace"


@dataclass(frozen=True)
class LabelledLines:
    """The labelled lines of one image.

    Parameters
    ----------
    path
        The labelme file.
    image_shape
        (height, width) in px.
    lines
        (k, 2) vertices x, y of each.
    groups
        The pile-up that each belongs to (labelme's ``group_id``), or None.
    labels
        What each is called.
    image_name
        The image as the file names it, with forward slashes; relative to the file as a rule.
    left_out
        How many lines were left out as slip traces.
    """

    path: Path
    image_shape: tuple[int, int]
    lines: tuple[NDArray[np.float64], ...]
    groups: tuple[int | None, ...]
    labels: tuple[str, ...] = ()
    image_name: str = ""
    left_out: int = 0


def read_labelled_lines(
    path: Path, label: str | None = None, trace_label: str | None = None
) -> list[LabelledLines]:
    """Read the lines and linestrips of a labelme file, or of all of a folder.

    Parameters
    ----------
    path
        A labelme ``.json`` file, or a folder; other JSON files in it are passed over.
    label
        Only lines with this label; all where it is None.
    trace_label
        Where `label` is None, lines with this one are slip traces, and left out.

    Raises
    ------
    InputError
        There is no such file or folder, or no labelme file in it.
    FormatError
        A file is malformed, or no line is labelled in any; says which file and shape.
    """
    if not path.exists():
        raise InputError(f"there is no labelme file or folder {path}")
    images = []
    for file in labelme_files(path):
        document = _document(file)
        if isinstance(document, dict) and "shapes" in document:
            images.append(_image(file, document, label, trace_label))
        elif not path.is_dir():
            raise FormatError(
                f"{file} is no labelme file: it has no 'shapes'; 'defectscope convert' writes "
                "labelme files from other formats"
            )
    if not images:
        raise InputError(
            f"{path} holds no labelme .json file; 'defectscope convert' writes them from other "
            "formats"
        )
    if not any(image.lines for image in images):
        wanted = "" if label is None else f" with the label {label!r}"
        if any(image.left_out for image in images):
            wanted = f" but those with the label {trace_label!r}"
        raise FormatError(
            f"the labelme files in {path} hold no line{wanted}; label dislocations as lines or "
            "linestrips"
        )
    return images


def _document(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{file}: malformed JSON: {error}") from error


def _image(
    file: Path, document: dict[str, Any], label: str | None, trace_label: str | None
) -> LabelledLines:
    size = document.get("imageHeight"), document.get("imageWidth")
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise FormatError(
            f"{file}: 'imageHeight' and 'imageWidth' must be whole numbers above 0, found {size}"
        )
    shapes = document["shapes"]
    if not isinstance(shapes, list):
        raise FormatError(f"{file}: 'shapes' must be a list, found {type(shapes).__name__}")
    lines, groups, labels, left_out = [], [], [], 0
    for position, shape in enumerate(shapes):
        where = f"{file}: shape at position {position}"
        if not isinstance(shape, dict):
            raise FormatError(f"{where}: expected an object, found {type(shape).__name__}")
        name = shape.get("label")
        if shape.get("shape_type") not in LINE_KINDS or label not in (None, name):
            continue
        if label is None and trace_label is not None and name == trace_label:
            left_out += 1
        else:
            lines.append(_near_image(_points(shape.get("points"), where), size, where))
            groups.append(_group(shape.get("group_id"), where))
            labels.append(str(name))
    height, width = (int(side or 0) for side in size)
    # labelme writes backslashes on Windows.
    image_name = str(document.get("imagePath") or "").replace("\\", "/")
    return LabelledLines(
        file, (height, width), tuple(lines), tuple(groups), tuple(labels), image_name, left_out
    )


def _points(value: Any, where: str) -> NDArray[np.float64]:
    try:
        points = np.asarray(value, float)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
        raise FormatError(f"{where}: 'points' must be two or more pairs of finite numbers x, y")
    return points


def _near_image(
    points: NDArray[np.float64], size: tuple[Any, Any], where: str
) -> NDArray[np.float64]:
    """Return points none of which lies farther outside the image than that is large."""
    height, width = size
    sides = np.array([width, height], float)
    if ((points < -sides) | (points > 2 * sides)).any():
        raise FormatError(
            f"{where}: a point lies farther outside the image of {width} x {height} px than that "
            "is large; correct it, or take the shape out"
        )
    return points


def _group(value: Any, where: str) -> int | None:
    if value is not None and not isinstance(value, int):
        raise FormatError(f"{where}: 'group_id' must be a whole number or null, found {value!r}")
    return value
