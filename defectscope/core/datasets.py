"""Labelled images: what annotation formats read and write, and evaluation compares."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from defectscope.core.errors import FormatError
from defectscope.core.files import inside
from defectscope.core.instances import Instances

__all__ = ["PAGE", "Dataset", "LabelledImage", "composed", "file_of", "joining_name"]

# What a page of a stack, or a frame of a video, has after the name of its file.
PAGE = re.compile(r"#\d+$")


def composed(name: str) -> str:
    """Return the one spelling of a name: ``ü`` as a single character (NFC).

    macOS and some archives take letters and their marks apart (NFD), which looks the same.
    """
    return unicodedata.normalize("NFC", name)


def file_of(folder: Path, name: str) -> Path:
    """Return the file of an image name; ``stack.tif#3`` is a page of ``stack.tif``.

    A file whose name is spelled with other characters for the same letters will do as well.
    """
    paths = [inside(folder, spelling) for spelling in _spellings(name)]
    return next((path for path in paths if path.exists()), inside(folder, PAGE.sub("", name)))


def _spellings(name: str) -> Iterator[str]:
    for form in (name, PAGE.sub("", name)):
        yield from dict.fromkeys([form, composed(form), unicodedata.normalize("NFD", form)])


def joining_name(source: str) -> str:
    """Return the name by which a frame and its truth find each other.

    The file name without folders and suffix; a page of a stack keeps its number, so that
    ``run/stack.tif#3`` gives ``stack#3``.
    """
    file_name = composed(source.rsplit("/", 1)[-1])
    page = PAGE.search(file_name)
    if page is not None:
        file_name = file_name[: page.start()]
    stem = file_name.rsplit(".", 1)[0] if not file_name.startswith(".") else file_name
    return stem if page is None else f"{stem}{page[0]}"


@dataclass(frozen=True)
class LabelledImage:
    """One image and its instances.

    Parameters
    ----------
    file_name
        Relative to the dataset's folder, with forward slashes.
    instances
        What is known about it; ``instances.image_shape`` is the size of the image.
    frame
        Frame index, where there is one.
    pixel_size_nm, dose_dpa
        Where they are known.
    size_is_guessed
        Whether nothing tells the size of the image: the smallest that holds all boxes stands in.
    """

    file_name: str
    instances: Instances
    frame: int | None = None
    pixel_size_nm: float | None = None
    dose_dpa: float | None = None
    size_is_guessed: bool = False

    @property
    def stem(self) -> str:
        """The name that images are joined by."""
        return joining_name(self.file_name)


@dataclass(frozen=True)
class Dataset:
    """Labelled images in the order of their source.

    Parameters
    ----------
    images
        One entry an image, also for images without instances.
    folder
        Where the image files lie, or None.
    defect_types
        Names in the order of the source's categories.
    warnings
        What a user should know about how it was read.
    """

    images: Sequence[LabelledImage]
    folder: Path | None = None
    defect_types: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # A cell of a notebook shows it: one line, however many masks there are.
        many = sum(len(image.instances) for image in self.images)
        types = f" of {', '.join(self.defect_types)}" if self.defect_types else ""
        where = f" in {self.folder}" if self.folder is not None else ""
        return f"<Dataset: {len(self.images)} images{where}, {many} instances{types}>"

    def sequences(self) -> list[int]:
        """Return which sequence each image is of, counted from 0.

        Where frame indices come twice, a new sequence begins with every image whose index is not
        above that of the image before; else all images are of one. A ``track_id`` means the same
        defect within its sequence only.
        """
        known = [image.frame for image in self.images if image.frame is not None]
        if len(set(known)) == len(known):
            return [0] * len(self.images)  # in whatever order
        numbers: list[int] = []
        number, before = 0, known[0] - 1
        for image in self.images:
            if image.frame is not None:
                number += image.frame <= before
                before = image.frame
            numbers.append(number)
        return numbers

    def by_stem(self) -> dict[str, LabelledImage]:
        """Return the images by file stem.

        Raises
        ------
        FormatError
            Two images share a stem, so that joining by name would be ambiguous.
        """
        found: dict[str, LabelledImage] = {}
        for image in self.images:
            if image.stem in found:
                raise FormatError(
                    f"two images share the name {image.stem!r} ({found[image.stem].file_name} "
                    f"and {image.file_name}); frames are joined by name, so names must differ"
                )
            found[image.stem] = image
        return found
