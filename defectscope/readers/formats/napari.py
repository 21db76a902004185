"""Layers for napari: shapes that its own CSV reader opens, tracks, and what they stand for."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, InputError, OutputError
from defectscope.core.files import write_json, write_text
from defectscope.core.geometry.angles import undirected_deg
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.geometry.polylines import polyline_box
from defectscope.core.options import Options
from defectscope.readers.formats.collecting import Annotation, collect
from defectscope.readers.formats.holdings import (
    Notes,
    ellipse_at,
    known_ellipses,
    loaded,
    note_losses,
    origin_at,
)
from defectscope.readers.formats.outlines import united

__all__ = ["Napari"]

SHAPES, TRACKS, LABELS = "shapes.csv", "tracks.csv", "labels.json"
HEAD = ["index", "shape-type", "vertex-index", "axis-0", "axis-1", "axis-2"]
HELD = ("scores", "ignore", "lines", "ellipses", "tracks", "frames", "pixel_sizes", "doses",
        "origins")  # fmt: skip
# napari gives the centre of the first pixel 0.
CENTRE = 0.5
# A shape whose centre is nearer than this share of its size to one that was written is that one,
# moved or turned by hand.
SAME_SHAPE = 0.5
KINDS = ("ellipse", "rectangle", "path", "line", "polygon")


class NapariOptions(Options):
    """How to understand shapes that people drew."""

    defect_type: str = Field(
        "dislocation-loop", min_length=1, description="Defect type of shapes that were drawn anew."
    )


@dataclass(frozen=True)
class _Shape:
    """A shape as napari has it; vertices (k, 2) are x, y in px of ours."""

    where: str
    kind: str
    image: int
    vertices: NDArray[np.float64]

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.image, *np.round(self.vertices, 2).ravel().tolist())


class Napari(AnnotationFormat):
    """A folder with ``shapes.csv``, ``tracks.csv`` and ``labels.json``.

    ``shapes.csv`` opens in napari as a layer of shapes (axes: image from 0, y, x) and is saved by
    it under the same name. ``tracks.csv`` has the columns ``track_id``, ``axis-0``, ``axis-1`` and
    ``axis-2`` that ``viewer.add_tracks`` takes; tracks of several sequences are numbered on there
    from one to the next. ``labels.json`` keeps images, types, scores, tracks and origins. Shapes
    that were moved, turned or drawn in napari are read with the origin ``human``; those moved keep
    type and track. Polygons are read as masks.
    """

    Options = NapariOptions
    options: NapariOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is such a folder, or its shapes."""
        folder = path if path.is_dir() else path.parent
        named = path.is_dir() or path.name == SHAPES
        return named and (folder / SHAPES).is_file() and (folder / LABELS).is_file()

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write the folder: ellipses, lines, else boxes."""
        if path.suffix:
            raise OutputError(f"layers for napari are a folder; give a name other than {path}")
        notes = Notes()
        note_losses(dataset, HELD, notes)
        shapes: list[list[Any]] = []
        tracks: list[list[Any]] = []
        labels: list[dict[str, Any]] = []
        sequences = dataset.sequences()
        for number, image in enumerate(dataset.images):
            ellipses = known_ellipses(image.instances)
            for position in range(len(image.instances)):
                kind, points = _outline(image, position, bool(ellipses[position]))
                index = len(labels)
                shapes += [
                    [index, kind, vertex, number, f"{y - CENTRE:.4f}", f"{x - CENTRE:.4f}"]
                    for vertex, (x, y) in enumerate(points.tolist())
                ]
                label = _label(image, position)
                labels.append({"image": number, "kind": kind, **label,
                               "vertices": np.round(points, 4).tolist()})  # fmt: skip
                if "track_id" in label:
                    x, y = points.mean(axis=0) - CENTRE
                    track = (sequences[number], label["track_id"])
                    tracks.append([track, number, f"{y:.4f}", f"{x:.4f}"])
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / SHAPES, _table([HEAD, *shapes]))
        tracks.sort(key=lambda row: (row[0], row[1]))
        names = _track_numbers([row[0] for row in tracks])
        rows = [[names[track], *place] for track, *place in tracks]
        write_text(path / TRACKS, _table([["track_id", *HEAD[3:]], *rows]))
        images = [_image(image) for image in dataset.images]
        write_json(path / LABELS, {"format": 1, "images": images, "shapes": labels})
        return list(notes.texts())

    def load(self, path: Path) -> Dataset:
        """Return the images and their shapes, as they are now.

        Raises
        ------
        FormatError
            A file is malformed, or a shape is on an image that is not there.
        """
        folder = path if path.is_dir() else path.parent
        images, written = _read_labels(folder / LABELS)
        notes = Notes()
        by_image: dict[int, list[Annotation]] = defaultdict(list)
        shapes = list(_read_shapes(folder / SHAPES, notes))
        for shape in shapes:
            if not 0 <= shape.image < len(images):
                raise FormatError(
                    f"{shape.where}: axis-0 must be an image from 0 to {len(images) - 1}, found "
                    f"{shape.image}"
                )
        sizes = [(int(image["height"]), int(image["width"])) for image in images]
        for shape, known in zip(shapes, _known_labels(shapes, written), strict=True):
            label = known or {"defect_type": self.options.defect_type}
            by_image[shape.image].append(_annotation(shape, label, sizes[shape.image]))
        found = []
        for number, (image, size) in enumerate(zip(images, sizes, strict=True)):
            instances = collect(by_image[number], size, notes)
            found.append(
                LabelledImage(image["file_name"], instances, image.get("frame"),
                              image.get("pixel_size_nm"), image.get("dose_dpa"))
            )  # fmt: skip
        return loaded(found, folder, (), notes)


def _known_labels(
    shapes: list[_Shape], written: list[dict[str, Any]]
) -> list[dict[str, Any] | None]:
    """Return which of the shapes that were written each is; of one moved, with origin ``human``.

    Those that stayed as they were are found first, and then, the nearest first, those that were
    moved, so that none takes the place of another.
    """
    left: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for entry in written:
        left[_of_entry(entry).key].append(entry)
    labels = [left[shape.key].pop(0) if left.get(shape.key) else None for shape in shapes]
    near: dict[int, list[tuple[_Shape, dict[str, Any]]]] = defaultdict(list)
    for entries in left.values():
        for entry in entries:
            near[entry["image"]].append((_of_entry(entry), entry))
    pairs = []
    for k, shape in enumerate(shapes):
        if labels[k] is not None:
            continue
        centre, size = shape.vertices.mean(axis=0), float(np.ptp(shape.vertices, axis=0).max())
        for j, (other, entry) in enumerate(near[shape.image]):
            distance = float(np.hypot(*(other.vertices.mean(axis=0) - centre)))
            if distance <= SAME_SHAPE * size:
                pairs.append((distance, k, j, entry))
    gone: set[int] = set()
    for _, k, _, entry in sorted(pairs, key=lambda pair: pair[:3]):
        if labels[k] is None and id(entry) not in gone:
            gone.add(id(entry))
            labels[k] = {**entry, "origin": "human"}
    return labels


def _track_numbers(tracks: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Return a number for each (sequence, track_id), in order: the latter where it will do."""
    if len({sequence for sequence, _ in tracks}) < 2:
        return {track: track[1] for track in tracks}
    return {track: number for number, track in enumerate(dict.fromkeys(tracks))}


def _of_entry(entry: dict[str, Any]) -> _Shape:
    return _Shape("", entry["kind"], entry["image"], np.array(entry["vertices"], float))


def _outline(
    image: LabelledImage, position: int, has_ellipse: bool
) -> tuple[str, NDArray[np.float64]]:
    instances = image.instances
    if has_ellipse:
        x, y, major, minor, angle = ellipse_at(instances, position)
        turn = math.radians(angle)
        along = np.array([math.cos(turn), -math.sin(turn)]) * major / 2
        across = np.array([math.sin(turn), math.cos(turn)]) * minor / 2
        corners = [-along - across, along - across, along + across, across - along]
        return "ellipse", np.array(corners) + np.array([x, y])
    line = None if instances.lines is None else instances.lines[position]
    if line is not None and len(line) > 1:
        return "path", np.asarray(line, float)
    x0, y0, x1, y1 = instances.boxes[position].astype(float).tolist()
    return "rectangle", np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def _label(image: LabelledImage, position: int) -> dict[str, Any]:
    instances = image.instances
    label: dict[str, Any] = {
        "defect_type": str(instances.defect_types[position]),
        "score": float(instances.scores[position]),
    }
    if instances.ignore[position]:
        label["ignore"] = True
    identity = instances.measurements.get("track_id")
    if identity is not None and np.isfinite(identity[position]):
        label["track_id"] = int(identity[position])
    origin = origin_at(instances, position)
    return label if origin is None else label | {"origin": origin}


def _image(image: LabelledImage) -> dict[str, Any]:
    height, width = image.instances.image_shape
    entry = {"file_name": image.file_name, "width": width, "height": height}
    for name in ("frame", "pixel_size_nm", "dose_dpa"):
        if getattr(image, name) is not None:
            entry[name] = getattr(image, name)
    return entry


def _table(rows: Iterable[list[Any]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def _read_labels(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        images, shapes = document["images"], document["shapes"]
        for image in images:
            int(image["width"]), int(image["height"]), str(image["file_name"])
        for shape in shapes:
            str(shape["kind"]), int(shape["image"]), np.array(shape["vertices"], float)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: these are no labels for napari: {error}") from error
    return images, shapes


def _read_shapes(path: Path, notes: Notes) -> Iterable[_Shape]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    reader = csv.DictReader(text.splitlines())
    if reader.fieldnames is None or not set(HEAD) <= set(reader.fieldnames):
        raise FormatError(
            f"{path}: expected the columns {', '.join(HEAD)}; save the layer of shapes as CSV"
        )
    rows: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in reader:
        rows[row["index"]].append(row)
    for index, own in rows.items():
        where = f"{path}: shape {index}"
        kind = own[0]["shape-type"]
        if kind not in KINDS:
            notes.count(f"shapes of the kind {kind!r}, left out")
            continue
        try:
            places = np.array([[float(r[n]) for n in HEAD[3:]] for r in own])
        except (TypeError, ValueError) as error:
            raise FormatError(f"{where}: expected numbers as axes: {error}") from error
        if not np.isfinite(places).all():
            raise FormatError(f"{where}: expected finite numbers as axes")
        yield _Shape(where, kind, round(float(places[0, 0])), places[:, :0:-1] + CENTRE)


def _annotation(shape: _Shape, label: dict[str, Any], size: tuple[int, int]) -> Annotation:
    points = shape.vertices
    ellipse = line = mask = None
    low, high = points.min(axis=0), points.max(axis=0)
    box: tuple[float, ...] = (*low.tolist(), *high.tolist())
    if shape.kind == "ellipse" and len(points) == 4:
        ellipse = _ellipse(points)
        box = tuple(ellipse_boxes(*ellipse)[0].tolist())
    elif shape.kind in ("path", "line"):
        line = points
        box = tuple(polyline_box(points))
    elif shape.kind == "polygon":
        mask = united([points], size, shape.where)
    return Annotation(
        shape.where,
        box,
        str(label["defect_type"]),
        score=float(label.get("score", 1.0)),
        ignore=bool(label.get("ignore", False)),
        mask=mask,
        line=line,
        ellipse=ellipse,
        track_id=label.get("track_id"),
        origin=label.get("origin", "human" if "vertices" not in label else None),
    )


def _ellipse(points: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """Return the ellipse in a rectangle of four corners."""
    x, y = points.mean(axis=0)
    sides = (
        (points[1] - points[0] + points[2] - points[3]) / 2,
        (points[2] - points[1] + points[3] - points[0]) / 2,
    )
    lengths = [float(np.hypot(*side)) for side in sides]
    along = sides[0] if lengths[0] >= lengths[1] else sides[1]
    angle = float(undirected_deg(math.degrees(math.atan2(-along[1], along[0]))))
    return float(x), float(y), max(lengths), min(lengths), angle
