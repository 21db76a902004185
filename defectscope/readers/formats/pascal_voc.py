"""Pascal VOC: one XML file an image, boxes in whole pixels."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.file_order import visible_files
from defectscope.core.files import write_text
from defectscope.core.instances import Instances
from defectscope.readers.formats.collecting import Annotation, collect
from defectscope.readers.formats.folder_output import left_over, whole_folder
from defectscope.readers.formats.holdings import Notes, loaded, note_losses
from defectscope.readers.formats.image_files import (
    CopyOptions,
    check_size,
    copy_images,
    label_files,
    relative_name,
    resting_place,
)
from defectscope.readers.formats.json_values import LARGEST_IMAGE_PX, read_text

__all__ = ["PascalVoc"]

ANNOTATIONS, IMAGES = "Annotations", "JPEGImages"
ROOT_TAG = re.compile(rb"<annotation[\s/>]")
# CVAT's own format has one file for all images.
CVAT_TAG = "annotations"


class PascalVoc(AnnotationFormat):
    """A Pascal VOC ``.xml`` file, or a folder of them, also in the standard's ``Annotations/``.

    Pixels count from 1 and boxes include their last pixel: our ``x_min`` is ``xmin - 1`` and
    our ``x_max`` is ``xmax``. ``difficult`` marks truth that counts as neither hit nor miss.
    Boxes are written in whole pixels, each side moved by at most 0.5 px (a box below one pixel
    grows to one). The elements ``frame`` and ``pixel_size_nm`` beside ``size``, which other
    tools pass over, keep those two.
    """

    Options = CopyOptions
    options: CopyOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a VOC file or a folder that holds one."""
        if path.is_dir():
            places = (path, path / ANNOTATIONS)
            return any(_is_voc(file) for place in places for file in place.glob("*.xml"))
        if path.suffix.lower() != ".xml" or not path.is_file():
            return False
        # Reading CVAT's own files says what to do with them.
        return _is_voc(path) or f"<{CVAT_TAG}>".encode() in path.read_bytes()

    def load(self, path: Path) -> Dataset:
        """Return the images of one file, or of all VOC files in and below a folder.

        Raises
        ------
        FormatError
            A file is malformed or declares a document type; says which object.
        """
        root = path if path.is_dir() else path.parent
        files = [path]
        if path.is_dir():
            files = list(filter(_is_voc, visible_files(path, "**/*.xml")))
        elif root.name == ANNOTATIONS:
            root = root.parent
        if not files:
            raise FormatError(f"{path} holds no Pascal VOC .xml file")
        trees = {file: _parsed(file) for file in files}
        names = {
            file: relative_name(_text(tree, "filename", str(file)), _below(file, root), str(file))
            for file, tree in trees.items()
        }
        folder = resting_place(root, names.values(), (IMAGES, "images"))
        notes = Notes()
        images = []
        for file, tree in trees.items():
            size = _size(tree, str(file))
            check_size(folder, names[file], size, str(file))
            instances = collect(_annotations(tree, str(file)), size, notes)
            frame, pixel_size_nm = _frame(tree, str(file)), _pixel_size_nm(tree, str(file))
            images.append(LabelledImage(names[file], instances, frame, pixel_size_nm))
        return loaded(images, folder, (), notes)

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write ``Annotations/*.xml``, or a single ``.xml`` for a single image."""
        notes = Notes()
        note_losses(dataset, ("ignore", "frames", "pixel_sizes"), notes)
        if path.suffix.lower() == ".xml":
            if len(dataset.images) != 1:
                raise OutputError(
                    f"Pascal VOC keeps one file an image, but there are {len(dataset.images)} "
                    f"images; give the name of a folder instead of {path}"
                )
            if self.options.copy_images:
                copy_images(dataset, path.parent)
            write_text(path, _document(dataset.images[0], dataset.images[0].file_name, notes))
            return list(notes.texts())
        files = [Path(ANNOTATIONS, name) for name in label_files(dataset, ".xml")]
        with whole_folder(path) as folder:
            for image, file in zip(dataset.images, files, strict=True):
                # A name in Annotations/ is relative to the same place in JPEGImages/.
                name = relative_name(image.file_name).rsplit("/", 1)[-1]
                write_text(folder / file, _document(image, name, notes))
            if self.options.copy_images:
                copy_images(dataset, folder / IMAGES)
        return [*notes.texts(), *left_over(path, set(files), ".xml")]


def _is_voc(path: Path) -> bool:
    return ROOT_TAG.search(path.read_bytes()) is not None


def _below(file: Path, root: Path) -> str:
    below = file.parent.relative_to(root)
    # Names in Annotations/ are relative to JPEGImages/.
    parts = below.parts[1:] if below.parts[:1] == (ANNOTATIONS,) else below.parts
    return "/".join(parts)


def _parsed(file: Path) -> ET.Element:
    text = read_text(file)
    # Entities can expand without end or name other files; a box needs none of them.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FormatError(
            f"{file}: expected plain XML, found a document type declaration; remove it"
        )
    try:
        tree = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise FormatError(f"{file}: malformed XML: {error}") from error
    if tree.tag == CVAT_TAG:
        raise FormatError(
            f"{file}: expected the element <annotation>, found <{CVAT_TAG}>, as of CVAT's own "
            "format; export from CVAT as COCO or Pascal VOC, which can be read"
        )
    if tree.tag != "annotation":
        raise FormatError(f"{file}: expected the element <annotation>, found <{tree.tag}>")
    return tree


def _text(element: ET.Element, tag: str, where: str) -> str:
    text = (element.findtext(tag) or "").strip()
    if not text:
        raise FormatError(f"{where}: the element <{tag.replace('/', '><')}> is missing or empty")
    return text


def _number(element: ET.Element, tag: str, where: str) -> float:
    text = _text(element, tag, where)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FormatError(f"{where}: <{tag}>: expected a finite number, found {text!r}")
    return number


def _size(tree: ET.Element, where: str) -> tuple[int, int]:
    width, height = _number(tree, "size/width", where), _number(tree, "size/height", where)
    if min(width, height) < 1 or width * height > LARGEST_IMAGE_PX or (width % 1 or height % 1):
        raise FormatError(
            f"{where}: expected an image size in whole pixels from 1 x 1, "
            f"found {width:g} x {height:g}"
        )
    return int(height), int(width)


def _frame(tree: ET.Element, where: str) -> int | None:
    if tree.find("frame") is None:
        return None
    frame = _number(tree, "frame", where)
    if frame < 0 or frame % 1:
        raise FormatError(f"{where}: <frame>: expected a whole number from 0, found {frame:g}")
    return int(frame)


def _pixel_size_nm(tree: ET.Element, where: str) -> float | None:
    if tree.find("pixel_size_nm") is None:
        return None
    size = _number(tree, "pixel_size_nm", where)
    if size <= 0:
        raise FormatError(f"{where}: <pixel_size_nm>: expected more than 0, found {size:g}")
    return size


def _annotations(tree: ET.Element, file: str) -> Iterator[Annotation]:
    for position, entry in enumerate(tree.iterfind("object")):
        where = f"{file}: object at position {position}"
        x0, y0, x1, y1 = (
            _number(entry, f"bndbox/{tag}", where) for tag in ("xmin", "ymin", "xmax", "ymax")
        )
        yield Annotation(
            where,
            (x0 - 1, y0 - 1, x1, y1),
            _text(entry, "name", where),
            ignore=(entry.findtext("difficult") or "0").strip().lower() in ("1", "true"),
        )


def _document(image: LabelledImage, name: str, notes: Notes) -> str:
    height, width = image.instances.image_shape
    root = ET.Element("annotation")
    for tag, text in (("folder", IMAGES), ("filename", name)):
        ET.SubElement(root, tag).text = text
    size = ET.SubElement(root, "size")
    for tag, value in (("width", width), ("height", height), ("depth", 1)):
        ET.SubElement(size, tag).text = str(value)
    ET.SubElement(root, "segmented").text = "0"
    if image.frame is not None:
        ET.SubElement(root, "frame").text = str(image.frame)
    if image.pixel_size_nm is not None:
        ET.SubElement(root, "pixel_size_nm").text = repr(float(image.pixel_size_nm))
    boxes = _whole_boxes(image.instances)
    moved = (boxes != image.instances.boxes).any(axis=1)
    notes.count("boxes moved to whole pixels", int(np.count_nonzero(moved)))
    for position, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        defect_type = str(image.instances.defect_types[position])
        if not defect_type.isprintable():
            raise OutputError(f"XML cannot hold the name of the defect type {defect_type!r}")
        entry = ET.SubElement(root, "object")
        ET.SubElement(entry, "name").text = defect_type
        for tag in ("pose", "truncated"):
            ET.SubElement(entry, tag).text = "Unspecified" if tag == "pose" else "0"
        ET.SubElement(entry, "difficult").text = str(int(image.instances.ignore[position]))
        box = ET.SubElement(entry, "bndbox")
        for tag, value in (("xmin", x0 + 1), ("ymin", y0 + 1), ("xmax", x1), ("ymax", y1)):
            ET.SubElement(box, tag).text = str(value)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _whole_boxes(instances: Instances) -> NDArray[np.int64]:
    """Return (n, 4) boxes in whole pixels, none of them empty."""
    boxes = instances.boxes.astype(float)
    whole: NDArray[np.int64] = np.rint(boxes).astype(np.int64)
    empty = whole[:, 2:] <= whole[:, :2]
    middle = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2).astype(np.int64)
    whole[:, :2] = np.where(empty, middle, whole[:, :2])
    whole[:, 2:] = np.where(empty, middle + 1, whole[:, 2:])
    return whole
