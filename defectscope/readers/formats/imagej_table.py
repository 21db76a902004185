"""Results tables in ImageJ's form, from datasets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import numpy as np

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import OutputError
from defectscope.core.geometry.ellipses import ellipse_area
from defectscope.readers.formats.holdings import ellipse_at, known_ellipses
from defectscope.readers.formats.imagej_results import AXES, RECTANGLE

__all__ = ["table_text"]

HEADER = (
    " ", "Label", "Area", "X", "Y", *RECTANGLE, *AXES, "defect_type", "score", "ignore", "track_id",
)  # fmt: skip
_PAGE = re.compile(r"(.*)#(\d+)")


def table_text(dataset: Dataset, pixel_size: float) -> str:
    """Return the table of all instances."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    count = 0
    for image in dataset.images:
        for cells in _cells(image, pixel_size):
            count += 1
            writer.writerow([count, *cells])
    return out.getvalue()


def _cells(image: LabelledImage, pixel_size: float) -> Iterator[list[str | int]]:
    if ":" in image.file_name:
        raise OutputError(
            f"the image name {image.file_name!r} has a colon, which ImageJ's labels cannot hold"
        )
    page = _PAGE.fullmatch(image.file_name)
    label = f"{page[1]}:{int(page[2]) + 1}" if page else image.file_name
    instances = image.instances
    ellipses, tracks = known_ellipses(instances), instances.measurements.get("track_id")
    for position in range(len(instances)):
        x0, y0, x1, y1 = instances.boxes[position].astype(float).tolist()
        x, y, area = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * (y1 - y0)
        axes: list[str | int] = ["", "", ""]
        if ellipses[position]:
            x, y, major, minor, angle = ellipse_at(instances, position)
            area = float(ellipse_area(major, minor))
            axes = [f"{major * pixel_size:.6f}", f"{minor * pixel_size:.6f}", f"{angle:.6f}"]
        lengths = [f"{v * pixel_size:.6f}" for v in (x, y, x0, y0, x1 - x0, y1 - y0)]
        identity = "" if tracks is None or not np.isfinite(tracks[position]) else tracks[position]
        yield [
            label,
            f"{area * pixel_size**2:.6f}",
            *lengths,
            *axes,
            str(instances.defect_types[position]),
            repr(float(instances.scores[position])),
            int(instances.ignore[position]),
            "" if identity == "" else int(identity),
        ]
