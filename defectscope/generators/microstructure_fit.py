"""Fit a microstructure to labelled images (P1, section 4: M1 from 15 images of RD1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from defectscope.core.errors import FormatError
from defectscope.core.geometry.polylines import polyline_resample
from defectscope.generators.labelled_lines import TRACE_LABEL, LabelledLines, read_labelled_lines
from defectscope.generators.microstructure import Continuous, Discrete, Microstructure
from defectscope.generators.pileup_grouping import group_pileups, oriented_alike
from defectscope.generators.pileups import slip_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["fit_microstructure", "normalised_shapes"]

SHAPE_POINTS = 9
# More shapes than this only make the file larger.
MOST_SHAPES = 200


@dataclass
class _Features:
    """What was measured, one entry a pile-up, a line or a pair of neighbours."""

    pileups: list[int] = field(default_factory=list)
    dislocations: list[int] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    directions: list[float] = field(default_factory=list)
    spacings: list[float] = field(default_factory=list)
    # The pile-up of each line, counted as the widths are.
    owners: list[int] = field(default_factory=list)
    leans: list[float] = field(default_factory=list)
    bows: list[float] = field(default_factory=list)
    shapes: list[NDArray[np.float64]] = field(default_factory=list)


def fit_microstructure(
    path: Path | str,
    label: str | None = None,
    title: str | None = None,
    trace_label: str = TRACE_LABEL,
) -> Microstructure:
    """Measure the features of P1, Fig. 7, on labelled images.

    Lines that share a ``group_id`` in an image are one pile-up. Where none has one, lines are
    grouped by geometry: those whose ends lie on the same two parallel traces. Slip width,
    direction and spacing need two lines; pile-ups of one add to the numbers only.

    Parameters
    ----------
    path
        A labelme file, or a folder of them, with lines or linestrips.
    label
        Only lines with this label.
    title
        What to call it; the name of the folder by default.
    trace_label
        Where `label` is None, lines with this one are slip traces and no dislocations; the
        ``source`` says how many were left out.

    Raises
    ------
    InputError
        There is no labelme file.
    FormatError
        A file is malformed, or no image has a pile-up of two lines or more.
    """
    root = Path(path)
    labelled = read_labelled_lines(root, label, trace_label)
    images = [image for image in labelled if image.lines]
    traces = sum(image.left_out for image in labelled)
    reference = float(np.median([min(image.image_shape) for image in images]))
    features = _Features()
    for image in images:
        _measure_image(features, image, reference / min(image.image_shape))
    if not features.widths:
        raise FormatError(
            f"the labelme files in {root} hold no pile-up of two lines or more, from which slip "
            "width, direction and spacing could be measured; give the lines of a pile-up the "
            "same group_id"
        )
    _unwrap(features)
    steps = max(len(features.shapes) // MOST_SHAPES, 1)
    return Microstructure(
        title=title or root.stem,
        source=(
            f"fitted to {len(images)} labelled images with {sum(features.dislocations)} lines "
            f"in {len(features.dislocations)} pile-ups"
            + (f", without {traces} labelled as slip traces" if traces else "")
        ),
        reference_px=reference,
        pileups=Discrete.of(features.pileups),
        dislocations=Discrete.of(features.dislocations),
        slip_width_px=Continuous.of(features.widths),
        direction_deg=Continuous.of(features.directions),
        spacing_px=Continuous.of(features.spacings),
        lean=Continuous.of(features.leans),
        bow=Continuous.of(features.bows),
        line_shapes=tuple(
            tuple((round(float(u), 4), round(float(v), 4)) for u, v in shape)
            for shape in features.shapes[:: steps + (steps > 1)]
        ),
    )


def normalised_shapes(
    path: Path, trace_label: str = TRACE_LABEL
) -> tuple[NDArray[np.float64], ...]:
    """Return labelled lines as points along and across their traces / slip width.

    The ends of a line in a pile-up lie on the traces. A line alone is taken to run straight
    across its own. Those with the label `trace_label` are slip traces, and left out.
    """
    features = _Features()
    alone = []
    for image in read_labelled_lines(path, trace_label=trace_label):
        for lines in group_pileups(image.lines, image.groups):
            if len(lines) > 1:
                _measure_pileup(features, lines, 1.0)
            else:
                alone.append(_shape_alone(lines[0]))
    _unwrap(features)
    shapes = [*features.shapes, *(shape for shape in alone if shape is not None)]
    if not shapes:
        raise FormatError(f"the lines in {path} have no length, and so no shape")
    return tuple(shapes)


def _measure_image(features: _Features, image: LabelledLines, scale: float) -> None:
    groups = group_pileups(image.lines, image.groups)
    features.pileups.append(len(groups))
    for lines in groups:
        features.dislocations.append(len(lines))
        if len(lines) > 1:
            _measure_pileup(features, lines, scale)


def _measure_pileup(
    features: _Features, lines: Sequence[NDArray[np.float64]], scale: float
) -> None:
    lines, direction = oriented_alike(lines)
    along, across = slip_axes(direction)
    starts, ends = np.stack([line[0] for line in lines]), np.stack([line[-1] for line in lines])
    width = float((ends - starts).mean(axis=0) @ across)
    # Lines along their traces give no width that could be told from zero.
    if width <= 1e-6:
        return
    features.widths.append(width * scale)
    features.directions.append(direction)
    middle = (starts + ends) / 2 @ along
    features.spacings += (np.diff(np.sort(middle)) * scale).tolist()
    for line in lines:
        points = polyline_resample(line, SHAPE_POINTS) - line[0]
        shape = np.stack([points @ along, points @ across], axis=1) / width
        height = float(np.mean(_over_chord(shape)))
        features.owners.append(len(features.widths) - 1)
        features.leans.append(float(shape[-1, 0]))
        # The mean of 4x(1 - x) over equally spaced points, ends included.
        x = np.linspace(0, 1, SHAPE_POINTS)
        features.bows.append(height / float(np.mean(4 * x * (1 - x))))
        features.shapes.append(shape)


def _over_chord(shape: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far points along the traces lie ahead of the chord between the ends."""
    chord = np.interp(shape[:, 1], [0.0, max(shape[-1, 1], 1e-9)], [0.0, shape[-1, 0]])
    return np.asarray(shape[:, 0] - chord)


def _shape_alone(line: NDArray[np.float64]) -> NDArray[np.float64] | None:
    chord = line[-1] - line[0]
    length = float(np.hypot(*chord))
    if length < 1e-6:
        return None
    points = polyline_resample(line, SHAPE_POINTS) - line[0]
    ahead = np.array([chord[1], -chord[0]]) / length
    return np.stack([points @ ahead, points @ chord / length], axis=1) / length


def _unwrap(features: _Features) -> None:
    """Make the directions a run without a jump: cut where the circle of 180 deg is emptiest.

    A pile-up that is turned by 180 deg has its traces exchanged. A line p(t) along and across them,
    t from 0 to 1, becomes p(1) - p(1 - t): it leans as before, and bows to the other side.
    """
    angles = np.asarray(features.directions, float)
    if not len(angles):
        return
    ordered = np.sort(angles)
    cut = int(np.diff([*ordered, ordered[0] + 180]).argmax()) + 1
    turned = angles > ordered[cut - 1]
    features.directions = (angles - 180 * turned).tolist()
    for k, owner in enumerate(features.owners):
        if turned[owner]:
            shape = features.shapes[k]
            features.shapes[k] = shape[-1] - shape[::-1]
            features.bows[k] *= -1
