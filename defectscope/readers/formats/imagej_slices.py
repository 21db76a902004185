"""Which image a row of an ImageJ results table belongs to, where the slice has only a label.

ImageJ writes ``title[:region][:slice label or number]``. The slice stands there whenever the window
shows a stack, as an image sequence does, and a name of a file goes without its suffix of three
letters: ``Frames:Frame461`` may be the file Frame461.jpg, or a region of that name.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from defectscope.core.datasets import composed, file_of
from defectscope.core.errors import FormatError
from defectscope.core.file_order import visible_files
from defectscope.readers.formats.holdings import Notes
from defectscope.readers.formats.image_files import IMAGE_SUFFIXES, page_count, relative_name
from defectscope.readers.formats.imagej_results import Row

__all__ = ["rows_of_images"]

# What the ROI manager calls regions by itself: [slice-]y-x.
_REGION = re.compile(r"(\d{4,}-)?\d{4,}-\d{4,}")
HOW = "put the images beside the table, or tick Stack position under Set Measurements in ImageJ"


def rows_of_images(
    rows: Iterable[Row], root: Path, below: Collection[str], known: Collection[str], notes: Notes
) -> list[Row]:
    """Return the rows with the title and slice of their image.

    Parameters
    ----------
    rows
        As the table has them.
    root, below
        Folder of the table, and names of folders in it that may hold the images.
    known
        Names of defect types, which regions may have.
    notes
        Where to say what was taken for a region but may be a slice.

    Raises
    ------
    FormatError
        It cannot be told which slice a row belongs to.
    """
    folders = [root, *(root / name for name in below)]
    files = {
        composed(path.stem): path.name for folder in reversed(folders) for path in _images(folder)
    }
    pages: dict[str, int | None] = {}
    found, unclear = [], defaultdict(list)
    for row in rows:
        if row.title not in pages:
            pages[row.title] = _pages(row.title, folders)
        count = pages[row.title]
        is_region = count == 1 and not row.label
        file = None if is_region else files.get(composed(row.label or row.region))
        if file is not None:
            row = replace(row, title=file, slice=0, region=row.region if row.label else "")
        elif not (row.slice or is_region):
            row = _by_label(row, count)
            if count is None and row.region not in known and not _REGION.fullmatch(row.region):
                unclear[row.title].append(row)
        found.append(row)
    for title, members in unclear.items():
        is_image = title.lower().endswith(IMAGE_SUFFIXES) or _file(title, folders) is not None
        _check_regions(title, members, is_image, notes)
    return found


def _images(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (p for p in visible_files(folder, "*") if p.suffix.lower() in IMAGE_SUFFIXES)


def _pages(title: str, folders: Iterable[Path]) -> int | None:
    """Return how many pages the file of an image has, or None where that cannot be told."""
    file = _file(title, folders)
    return None if file is None else page_count(file)


def _file(title: str, folders: Iterable[Path]) -> Path | None:
    files = (file_of(folder, title) for folder in folders)
    return next((file for file in files if file.is_file()), None)


def _by_label(row: Row, pages: int | None) -> Row:
    """Return a row without number of a slice under the label of its slice, if it has one."""
    if pages is not None and pages > 1 and (row.label or row.region):
        raise FormatError(
            f"{row.where}: {row.label or row.region!r} does not tell which of the {pages} slices "
            f"of {row.title} this is; {HOW}"
        )
    return replace(row, title=relative_name(row.label, where=row.where)) if row.label else row


def _check_regions(title: str, members: list[Row], is_image: bool, notes: Notes) -> None:
    names = dict.fromkeys(row.region for row in members)
    if len(names) == 1:
        return
    said = f"{len(names)} names stand behind {title}, such as {next(iter(names))!r}"
    if not is_image:
        # As of an image sequence, which has the name of its folder.
        raise FormatError(
            f"{members[0].where}: {said}; they may be slices or regions of one image; {HOW}"
        )
    notes.add(f"{said}, and are taken for regions of one image; where they are slices, {HOW}")
