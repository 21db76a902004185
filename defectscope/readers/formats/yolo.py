"""YOLO: one text file an image, coordinates as fractions of the image's size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import PAGE, Dataset, LabelledImage, composed
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.file_order import visible_files
from defectscope.core.files import write_text
from defectscope.core.instances import Instances
from defectscope.readers.formats.collecting import collect
from defectscope.readers.formats.folder_output import left_over, whole_folder
from defectscope.readers.formats.holdings import Notes, loaded, note_box, note_losses, type_names
from defectscope.readers.formats.image_files import (
    CopyOptions,
    copy_images,
    image_size,
    label_files,
    list_images,
)
from defectscope.readers.formats.outlines import mask_polygons, polygon_box
from defectscope.readers.formats.yolo_classes import CLASSES, DATA, data_yaml, read_classes
from defectscope.readers.formats.yolo_lines import TrackNumbers, annotation_of, read_lines

__all__ = ["Yolo"]

LABELS, IMAGES = "labels", "images"


class Yolo(AnnotationFormat):
    """A folder with ``labels/*.txt``, ``images/`` and data.yaml or classes.txt.

    A line is ``class cx cy width height`` or ``class x1 y1 x2 y2 x3 y3 ...``, with a score, the
    number of a track or both at its end where a detector wrote it. Written are polygons where
    every instance has a mask, else boxes, with nine digits after the point: box corners come back
    within 0.001 px.
    """

    Options = CopyOptions
    options: CopyOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a folder with a folder ``labels``."""
        return path.is_dir() and (path / LABELS).is_dir()

    def load(self, path: Path) -> Dataset:
        """Return every image of ``images/``; one without a label file has no instances.

        Raises
        ------
        FormatError
            A line is malformed, or a label file has no image or two.
        """
        if not self.accepts(path):
            raise FormatError(f"{path}: expected a folder with {LABELS}/ and {IMAGES}/ in it")
        names = read_classes(path)
        labels = {
            _shared_name(file, path / LABELS): file
            for file in visible_files(path / LABELS, "**/*.txt")
            if file.name != CLASSES
        }
        notes = Notes()
        folder = path / IMAGES
        lines = {stem: read_lines(file) for stem, file in labels.items()}
        tracks = TrackNumbers.found_in([line for those in lines.values() for line in those])
        if tracks:
            notes.add("the whole numbers at the end of lines are read as those of tracks")
        images = []
        for stem, image in _images_by_stem(folder).items():
            size = image_size(image)
            if size is None:
                raise FormatError(f"{image}: the size of the image cannot be read")
            rows = [annotation_of(line, tracks, names, size) for line in lines.pop(stem, ())]
            name = image.relative_to(folder).as_posix()
            images.append(LabelledImage(name, collect(rows, size, notes)))
        if lines:
            stem = next(iter(lines))
            file = labels[stem]
            raise FormatError(
                f"{file}: there is no image {stem} in {folder}; YOLO labels are "
                "fractions of the image's size, so the images are needed"
            )
        return loaded(images, folder, names, notes)

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write labels/, classes.txt and data.yaml; instances to be ignored are left out."""
        outlined = all(_all_outlined(image.instances) for image in dataset.images)
        notes = Notes()
        note_losses(dataset, ("masks",) if outlined else (), notes)
        names = type_names(dataset.images, dataset.defect_types)
        for name in names:
            if not name.isprintable():
                raise OutputError(f"YOLO cannot hold the name of the defect type {name!r}")
        files = [Path(LABELS, name) for name in label_files(dataset, ".txt")]
        with whole_folder(path) as folder:
            (folder / LABELS).mkdir()
            for image, file in zip(dataset.images, files, strict=True):
                lines = _lines(image.instances, names, outlined, notes)
                write_text(folder / file, "".join(f"{line}\n" for line in lines))
            write_text(folder / CLASSES, "".join(f"{name}\n" for name in names))
            write_text(folder / DATA, data_yaml(names))
            if self.options.copy_images:
                copy_images(dataset, folder / IMAGES)
        names_of_images = [image.file_name for image in dataset.images]
        if any(PAGE.search(name) for name in names_of_images):
            notes.add(
                "reading it needs the pages of stacks as single images, named as their label "
                f"files, in {path / IMAGES}"
            )
        elif not all((path / IMAGES / name).is_file() for name in names_of_images):
            notes.add(
                f"reading it needs the images: put them into {path / IMAGES}, or convert again "
                "with --copy-images"
            )
        stale = left_over(path / LABELS, {file.relative_to(LABELS) for file in files}, ".txt")
        return [*notes.texts(), *stale]


def _shared_name(file: Path, folder: Path) -> str:
    """Return what an image and its label file have in common."""
    return composed(file.relative_to(folder).with_suffix("").as_posix())


def _images_by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by what they share with their label files."""
    found: dict[str, Path] = {}
    for image in list_images(folder):
        stem = _shared_name(image, folder)
        if stem in found:
            raise FormatError(
                f"{image}: {found[stem].name} beside it would share its label file; rename one of "
                "them, or take one away"
            )
        found[stem] = image
    return found


def _all_outlined(instances: Instances) -> bool:
    if instances.masks is None:
        return len(instances) == 0
    return all(mask.area_px for mask in instances.masks)


def _lines(
    instances: Instances, names: Sequence[str], outlined: bool, notes: Notes
) -> Iterator[str]:
    height, width = instances.image_shape
    for position in np.flatnonzero(~instances.ignore):
        if outlined and instances.masks is not None:
            outer, holes = mask_polygons(instances.masks[position])
            notes.count("holes in masks, filled because YOLO has none", len(holes))
            notes.count("smaller parts of masks, left out", len(outer) - 1)
            note_box(instances, int(position), polygon_box(outer[:1]), notes)
            fractions = (outer[0] / (width, height)).ravel()
        else:
            x0, y0, x1, y1 = instances.boxes[position].astype(float)
            fractions = np.array(
                [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width,
                 (y1 - y0) / height]
            )  # fmt: skip
        index = names.index(str(instances.defect_types[position]))
        yield f"{index} {' '.join(f'{value:.9f}' for value in fractions)}"
