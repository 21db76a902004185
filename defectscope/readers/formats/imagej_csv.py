"""Results tables that ImageJ's Measure writes."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import Dataset, LabelledImage, file_of
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.file_order import visible_files
from defectscope.core.files import write_text
from defectscope.core.options import Options
from defectscope.readers.formats.collecting import collect, smallest_size
from defectscope.readers.formats.holdings import NO_PLACE, Notes, loaded, note_losses
from defectscope.readers.formats.image_files import (
    image_size,
    page_count,
    resting_place,
    stand_in_note,
)
from defectscope.readers.formats.imagej_results import (
    Row,
    annotation_of,
    is_results_table,
    read_rows,
)
from defectscope.readers.formats.imagej_slices import rows_of_images
from defectscope.readers.formats.imagej_table import table_text

__all__ = ["ImageJCsv"]

SUFFIXES = (".csv", ".tsv", ".txt", ".xls")
FOLDERS = ("images", "frames")
# Frame indices are counted apart: pages of stacks keep theirs.
HELD = ("scores", "ignore", "ellipses", "tracks", "frames")


class ImageJCsvOptions(Options):
    """How to understand a results table, which says nothing about units and defect types."""

    pixel_size: float = Field(
        1.0, gt=0, description="Size of a pixel in the table's unit; 1 where that is the pixel."
    )
    defect_type: str = Field(
        "dislocation-loop",
        min_length=1,
        description="Defect type of rows that have none in a column defect_type or Class.",
    )


class ImageJCsv(AnnotationFormat):
    """A results table of ImageJ as ``.csv`` (or tab-separated text), or a folder of them.

    Boxes come from ``BX, BY, Width, Height`` (Bounding rectangle), else from the ellipse in
    ``X, Y, Major, Minor, Angle`` (Centroid, Fit ellipse), which is read as measurements in
    either case. ``Label`` names the image, and in a stack the slice; without it the table's
    own name does. Columns are written with 6 digits after the point.
    """

    Options = ImageJCsvOptions
    options: ImageJCsvOptions

    def accepts(self, path: Path) -> bool:
        """Whether `path` is such a table or a folder that holds one."""
        if path.is_dir():
            return any(is_results_table(file) for file in path.glob("*.csv"))
        return path.suffix.lower() in SUFFIXES and path.is_file() and is_results_table(path)

    def load(self, path: Path) -> Dataset:
        """Return the images that the rows belong to.

        Images give their sizes; where one is missing, the smallest frame that holds all of its
        boxes stands in, with a warning.

        Raises
        ------
        FormatError
            A row is malformed; says which line.
        """
        root = path if path.is_dir() else path.parent
        files = [path]
        if path.is_dir():
            files = list(filter(is_results_table, visible_files(path, "*.csv")))
        if not files:
            raise FormatError(f"{path} holds no results table of ImageJ")
        notes = Notes()
        rows = [row for file in files for row in read_rows(file, notes)]
        known = tuple(self.runtime.defect_types)
        rows = rows_of_images(rows, root, FOLDERS, known, notes)
        folder = resting_place(root, {row.title for row in rows}, FOLDERS)
        images = []
        for name, page, members in _by_image(rows, folder):
            annotations = [
                annotation_of(row, self.options.pixel_size, self.options.defect_type, known)
                for row in members
            ]
            file = file_of(folder, name)
            size = image_size(file) if file.is_file() else None
            is_guessed = size is None
            if size is None:
                size = smallest_size((a.where, a.box) for a in annotations)
                notes.add(stand_in_note(folder, name, size, "boxes"))
            found = collect(annotations, size, notes)
            images.append(LabelledImage(name, found, page, size_is_guessed=is_guessed))
        return loaded(images, folder, (), notes)

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write one table of all images; those without instances leave no trace.

        Raises
        ------
        OutputError
            The file would not be known again by its name.
        """
        if path.suffix.lower() not in SUFFIXES:
            raise OutputError(
                f"a results table of ImageJ is a .csv file; give a name such as {path}.csv, "
                f"not {path}"
            )
        notes = Notes()
        lost = (image.frame is not None and image.frame != _page(image) for image in dataset.images)
        notes.count(f"frame indices {NO_PLACE}", sum(lost))
        note_losses(dataset, HELD, notes)
        notes.count(
            "images without instances, which a results table cannot name",
            sum(len(image.instances) == 0 for image in dataset.images),
        )
        notes.add("image sizes are not part of the format: keep the images beside it")
        write_text(path, table_text(dataset, self.options.pixel_size))
        return list(notes.texts())


def _page(image: LabelledImage) -> int | None:
    page = re.search(r"#(\d+)$", image.file_name)
    return None if page is None else int(page[1])


def _by_image(rows: list[Row], folder: Path) -> list[tuple[str, int | None, list[Row]]]:
    """Return name, page of a stack, and rows of each image, in the order of the table."""
    of_title: dict[str, list[Row]] = {}
    for row in rows:
        of_title.setdefault(row.title, []).append(row)
    images: list[tuple[str, int | None, list[Row]]] = []
    for title, members in of_title.items():
        file = file_of(folder, title)
        last = max(members, key=lambda row: row.page)
        pages = (page_count(file) if file.is_file() else None) or last.page + 1
        if pages == 1 and last.page == 0:
            images.append((title, None, members))
            continue
        if last.page >= pages:
            raise FormatError(f"{last.where}: slice {last.page + 1} of {title}, which has {pages}")
        of_page: dict[int, list[Row]] = {}
        for row in members:
            of_page.setdefault(row.page, []).append(row)
        # Readers name the pages of a stack the same way.
        images.extend((f"{title}#{page}", page, of_page[page]) for page in sorted(of_page))
    return images
