"""COCO instances, with what defectscope adds: the format of its own datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from defectscope.core.base import AnnotationFormat
from defectscope.core.coco_text import coco_text
from defectscope.core.datasets import Dataset
from defectscope.core.errors import FormatError, InputError
from defectscope.core.files import write_text
from defectscope.readers.formats.coco_reading import dataset_from_coco
from defectscope.readers.formats.coco_writing import coco_document
from defectscope.readers.formats.image_files import CopyOptions, copy_images
from defectscope.readers.formats.json_values import read_json

__all__ = ["Coco"]

ANNOTATIONS = "annotations.json"
IMAGES = "images"


class CocoOptions(CopyOptions):
    """What is made of crowds, and whether images are copied."""

    crowd: Literal["ignore", "instances"] = Field(
        "ignore",
        description="What annotations with iscrowd are: truth that counts as neither hit nor miss, "
        "or instances like others, as where CVAT flags every mask so.",
    )


class Coco(AnnotationFormat):
    """A ``.json`` file of COCO instances, or a folder that holds it as ``annotations.json``.

    Beside the standard's keys, annotations may have ``ellipse`` {cx, cy, major, minor,
    angle_deg}, ``line`` [[x, y], ...], ``ignore``, ``score`` and ``track_id``, and images
    ``frame``, ``pixel_size_nm`` and ``dose_dpa``. Masks are written as compressed run lengths.
    """

    Options = CocoOptions
    options: CocoOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a JSON file of no other tool, or a folder with annotations.json."""
        if path.is_dir():
            return (path / ANNOTATIONS).is_file()
        if path.suffix.lower() != ".json" or not path.is_file():
            return False
        # labelme writes JSON too; whatever else it is, reading it says what is wrong with it.
        return b'"shapes"' not in path.read_bytes()

    def load(self, path: Path) -> Dataset:
        """Return the images of a COCO file.

        Raises
        ------
        FormatError
            The file is malformed; says which entry.
        """
        file = path / ANNOTATIONS if path.is_dir() else path
        if not file.is_file():
            raise InputError(
                f"there is no {file}; give a folder with {ANNOTATIONS} or a .json file"
            )
        document = read_json(file)
        if isinstance(document, list):
            raise FormatError(
                f"{file} is a bare list of COCO results, which does not say which images they "
                "belong to; make it the 'annotations' of an object that also has the 'images' and "
                "'categories' of the file the results were made from"
            )
        return dataset_from_coco(document, file, self.options.crowd == "ignore")

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write one ``.json`` file, or a folder with annotations.json in it."""
        file = path if path.suffix.lower() == ".json" else path / ANNOTATIONS
        document, warnings = coco_document(dataset)
        if self.options.copy_images:
            copy_images(dataset, file.parent / IMAGES)
        write_text(file, coco_text(document))
        return warnings
