"""Regions of interest of ImageJ: single ``.roi`` files and ``.zip`` sets of the ROI manager."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import Dataset, LabelledImage, file_of
from defectscope.core.errors import FormatError, InputError, OutputError
from defectscope.core.options import Options
from defectscope.readers.formats.collecting import collect, smallest_size
from defectscope.readers.formats.holdings import Notes, loaded, note_losses
from defectscope.readers.formats.image_files import (
    IMAGE_SUFFIXES,
    image_size,
    list_images,
    stand_in_note,
)
from defectscope.readers.formats.imagej_regions import Region, annotation_of, read_regions
from defectscope.readers.formats.imagej_roi_writing import write_regions
from defectscope.readers.formats.imagej_series import (
    Series,
    regions_by_image,
    series_of_file,
    without_set,
)

__all__ = ["ImageJRoi"]

HELD = ("scores", "ignore", "masks", "lines", "ellipses", "tracks", "frames", "pixel_sizes",
        "origins")  # fmt: skip


class ImageJRoiOptions(Options):
    """How to understand regions, which do not say which images they belong to."""

    images: str = Field(
        "",
        description="Stack, image or folder of images that the positions of the regions count in; "
        "empty: the image of the same name beside the regions.",
    )
    defect_type: str = Field(
        "dislocation-loop", min_length=1, description="Defect type of regions that name none."
    )


class ImageJRoi(AnnotationFormat):
    """A ``.roi`` file, a ``.zip`` of them, or a folder of them.

    Rectangles, ovals and ellipses, polygons and outlines, and lines are read; the position
    (from 1) says which image of the series is meant. The defect type is the property
    ``defect_type``, else the region's name where that is a known type (a number may follow),
    else the option. Written regions also carry the image's name, size, frame index and pixel
    size, score, ignore flag, track and origin as properties, and have the digits of float32; the
    box of an ellipse, a line or an outline is that of the shape. What people move in such a set,
    or draw beside it, is read with the origin ``human``.
    """

    Options = ImageJRoiOptions
    options: ImageJRoiOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is a region, a set of regions, or a folder of regions."""
        if path.is_dir():
            return any(path.glob("*.roi"))
        return path.suffix.lower() in (".roi", ".zip") and path.is_file()

    def load(self, path: Path) -> Dataset:
        """Return the images that the regions belong to.

        Raises
        ------
        FormatError
            A region is malformed, or it cannot be told which image its position means.
        """
        notes = Notes()
        series = self._series(path)
        by_image = regions_by_image(read_regions(path, notes), series)
        folder = path if path.is_dir() else path.parent
        if series is not None:
            folder = series.folder
        known = tuple(self.runtime.defect_types)
        # In a set of ours, what says nothing was drawn by hand.
        ours = any("origin" in r.properties for regions in by_image.values() for r in regions)
        drawn = "human" if ours else None
        images = []
        for name, regions in sorted(by_image.items(), key=lambda item: item[1][0].position):
            size, is_guessed = _size(name, regions, folder, notes)
            annotations = [
                annotation_of(region, size, self.options.defect_type, known, drawn)
                for region in regions
            ]
            page = re.search(r"#(\d+)$", name)
            # Regions that people drew beside ours say nothing about their image.
            frame = next((r.frame for r in regions if r.frame is not None), None)
            if frame is None and page is not None:
                frame = int(page[1])
            pixel_sizes = (r.pixel_size_nm for r in regions)
            pixel_size = next((size for size in pixel_sizes if size is not None), None)
            found = collect(annotations, size, notes)
            images.append(LabelledImage(name, found, frame, pixel_size, size_is_guessed=is_guessed))
        return loaded(images, folder, (), notes)

    def _series(self, path: Path) -> Series | None:
        if self.options.images:
            images = Path(self.options.images)
            if images.is_dir():
                names = tuple(f.relative_to(images).as_posix() for f in list_images(images))
                return Series(images, names)
            if not images.is_file():
                raise InputError(f"there is no file or folder {images} (option images)")
            return series_of_file(images)
        stem = path.name if path.is_dir() else path.stem
        for name in (stem, without_set(stem)):
            for suffix in IMAGE_SUFFIXES:
                beside = (path if path.is_dir() else path.parent) / f"{name}{suffix}"
                if name and beside.is_file():
                    return series_of_file(beside)
        return None

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write a ``.zip``: ellipses, lines, masks, else boxes.

        Positions are pages where all images are of one stack; else they count the images.
        """
        if path.suffix.lower() != ".zip":
            raise OutputError(
                f"a set of ImageJ regions is a .zip file; give a name other than {path}"
            )
        notes = Notes()
        note_losses(dataset, HELD, notes)
        notes.count(
            "images without instances, which a set of regions cannot name",
            sum(len(image.instances) == 0 for image in dataset.images),
        )
        write_regions(dataset, path, self.runtime.defect_types, notes)
        return list(notes.texts())


def _size(
    name: str, regions: Iterable[Region], folder: Path, notes: Notes
) -> tuple[tuple[int, int], bool]:
    """Return (height, width) of an image, and whether that is a guess."""
    file = file_of(folder, name)
    found = image_size(file) if file.is_file() else None
    sizes = {region.image_size for region in regions if region.image_size is not None}
    if len(sizes) > 1 or (found is not None and sizes - {found}):
        sides = " and ".join(f"{w} x {h}" for h, w in sorted({*sizes, *([found] if found else [])}))
        raise FormatError(
            f"the regions and the image {name} in {folder} differ in size: {sides} px"
        )
    if found is not None:
        return found, False
    if sizes:
        return sizes.pop(), False
    size = smallest_size((region.where, region.box) for region in regions)
    notes.add(stand_in_note(folder, name, size, "regions"))
    return size, True
