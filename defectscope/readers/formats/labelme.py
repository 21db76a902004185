"""labelme: one JSON file an image."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import Dataset, LabelledImage, file_of
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.file_order import visible_files
from defectscope.core.files import write_json
from defectscope.readers.formats.collecting import collect
from defectscope.readers.formats.folder_output import left_over, whole_folder
from defectscope.readers.formats.holdings import Notes, loaded, note_losses
from defectscope.readers.formats.image_files import (
    CopyOptions,
    check_size,
    copy_images,
    image_size,
    label_files,
    relative_name,
)
from defectscope.readers.formats.json_values import Entry, read_json
from defectscope.readers.formats.labelme_shapes import annotations_of, shapes_of

__all__ = ["LabelMe"]

# Ellipses count as held: their outlines are.
HELD = ("scores", "ignore", "masks", "lines", "ellipses", "tracks", "frames", "pixel_sizes",
        "doses")  # fmt: skip


class LabelMe(AnnotationFormat):
    """A labelme ``.json`` file, or a folder of them, with the images beside them.

    Rectangles, polygons, masks, circles, lines and linestrips are read; polygons of one label and
    one ``group_id`` are parts of one instance. The flag ``ignore`` (or ``difficult``) marks
    truth that counts as neither hit nor miss. Masks and ellipses are written as polygons,
    lines as linestrips, everything else as rectangles, all without loss of digits; the box of
    a polygon is that of its vertices.
    """

    Options = CopyOptions
    options: CopyOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a labelme file or a folder that holds one."""
        if path.is_dir():
            return any(_is_labelme(file) for file in path.glob("*.json"))
        return path.suffix.lower() == ".json" and path.is_file() and _is_labelme(path)

    def load(self, path: Path) -> Dataset:
        """Return the images of one file, or of all labelme files in and below a folder.

        Images may lie in a folder beside it, as ``../images/a.png``; the dataset's folder is the
        one above then.

        Raises
        ------
        FormatError
            A file is malformed; says which shape.
        """
        root = path if path.is_dir() else path.parent
        files = [path]
        if path.is_dir():
            files = list(filter(_is_labelme, visible_files(path, "**/*.json")))
        if not files:
            raise FormatError(f"{path} holds no labelme .json file")
        try:
            return _loaded(files, root)
        except _BesideError:
            return _loaded(files, root, beside=True)

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write a folder with one file an image, or a single ``.json`` for a single image."""
        notes = Notes()
        note_losses(dataset, HELD, notes)
        if path.suffix.lower() == ".json":
            if len(dataset.images) != 1:
                raise OutputError(
                    f"labelme keeps one file an image, but there are {len(dataset.images)} "
                    f"images; give the name of a folder instead of {path}"
                )
            if self.options.copy_images:
                copy_images(dataset, path.parent)
            write_json(path, _document(dataset.images[0], notes, dataset.images[0].file_name))
            _note_missing([path.parent / dataset.images[0].file_name], notes)
            return list(notes.texts())
        names = label_files(dataset, ".json")
        with whole_folder(path) as folder:
            for image, name in zip(dataset.images, names, strict=True):
                # The image name in a file is relative to that file.
                here = relative_name(image.file_name).rsplit("/", 1)[-1]
                write_json(folder / name, _document(image, notes, here))
            if self.options.copy_images:
                copy_images(dataset, folder)
        _note_missing([path / relative_name(i.file_name) for i in dataset.images], notes)
        return [*notes.texts(), *left_over(path, {Path(name) for name in names}, ".json")]


def _note_missing(images: Sequence[Path], notes: Notes) -> None:
    if any("#" in image.name for image in images):
        notes.add("labelme shows single images: save the pages of stacks as such beside the labels")
    elif not all(image.is_file() for image in images):
        notes.add(
            f"labelme needs the images to show: put them beside the labels in {images[0].parent}, "
            "or convert again with --copy-images"
        )


def _is_labelme(path: Path) -> bool:
    content = path.read_bytes()
    return b'"shapes"' in content and b'"imagePath"' in content


class _BesideError(Exception):
    """An image lies in a folder beside that of the labels."""


def _loaded(files: Sequence[Path], root: Path, beside: bool = False) -> Dataset:
    """Return the images of label files in `root`; `beside`, in the folder above it."""
    folder, prefix = root, ""
    if beside:
        prefix, folder = root.resolve().name, root.resolve().parent
    notes = Notes()
    images = []
    for file in files:
        below = posixpath.join(prefix, file.parent.relative_to(root).as_posix())
        images.append(_image(file, folder, below, beside, notes))
    return loaded(images, folder, (), notes)


def _image(file: Path, root: Path, below: str, beside: bool, notes: Notes) -> LabelledImage:
    top = Entry(read_json(file), str(file))
    given = top.text("imagePath")
    levels = posixpath.normpath(posixpath.join(below, given.replace("\\", "/"))).split("/")
    if levels[0] == "..":
        if not beside and levels[1:2] != [".."]:
            raise _BesideError
        raise FormatError(
            f"{top.where}: the image {given!r} lies more than one folder up; give the folder that "
            "holds both labels and images, with --from labelme"
        )
    name = relative_name(given, below, top.where)
    if top.has("imageWidth") or top.has("imageHeight"):
        size = top.size("imageWidth", "imageHeight")
        check_size(root, name, size, top.where)
    else:
        found = image_size(file_of(root, name))
        if found is None:
            raise FormatError(
                f"{file}: 'imageWidth' and 'imageHeight' are missing, and there is no image "
                f"{name} in {root} to take them from"
            )
        size = found
    instances = collect(annotations_of(top, size, notes), size, notes)
    return LabelledImage(name, instances, top.frame(), top.pixel_size_nm(), top.dose_dpa())


def _document(image: LabelledImage, notes: Notes, image_path: str) -> dict[str, Any]:
    height, width = image.instances.image_shape
    document: dict[str, Any] = {
        "version": "5.5.0",
        "flags": {},
        "shapes": shapes_of(image.instances, notes),
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    # labelme keeps keys it does not know.
    if image.frame is not None:
        document["frame"] = image.frame
    if image.pixel_size_nm is not None:
        document["pixel_size_nm"] = image.pixel_size_nm
    if image.dose_dpa is not None:
        document["dose_dpa"] = image.dose_dpa
    return document
