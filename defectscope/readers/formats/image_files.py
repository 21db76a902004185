"""The image files that annotations belong to: where they lie, how large they are."""

from __future__ import annotations

import posixpath
import shutil
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field

from defectscope.core.datasets import PAGE, Dataset, file_of
from defectscope.core.errors import FormatError, InputError
from defectscope.core.file_order import visible_files
from defectscope.core.files import atomic_path, check_encoding, inside
from defectscope.core.options import Options
from defectscope.readers.plugin import VIDEO_SUFFIXES

__all__ = [
    "IMAGE_SUFFIXES",
    "CopyOptions",
    "check_size",
    "copy_images",
    "image_size",
    "label_files",
    "list_images",
    "page_count",
    "relative_name",
    "resting_place",
    "stand_in_note",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


class CopyOptions(Options):
    """Options of formats that can hold the images too."""

    copy_images: bool = Field(
        False, description="Copy the image files to where the format expects them."
    )


def list_images(folder: Path) -> list[Path]:
    """Return the image files in and below `folder`, in natural order; hidden ones are none.

    Raises
    ------
    InputError
        A name is not valid UTF-8.
    """
    if not folder.is_dir():
        return []
    images = [p for p in visible_files(folder) if p.suffix.lower() in IMAGE_SUFFIXES]
    for image in images:
        check_encoding(image)
    return images


def relative_name(name: str, below: str = "", where: str = "") -> str:
    """Return a file name with forward slashes, relative to the dataset's folder.

    Parameters
    ----------
    name
        As an annotation file gives it; backslashes are those of Windows.
    below
        Folder of the annotation file inside the dataset, which `name` is relative to.
    where
        File and entry, for the message.

    Raises
    ------
    FormatError
        The name is absolute, or leads out of the dataset's folder.
    """
    slashed = name.replace("\\", "/")
    if below and not slashed.startswith("/"):
        slashed = posixpath.normpath(posixpath.join(below, slashed))
    try:
        inside(Path(), slashed)
    except FormatError as error:
        raise FormatError(
            f"{where}{': ' if where else ''}the file name {name!r} leads out of the dataset's "
            "folder; names must be relative and without '..'"
        ) from error
    return slashed


def image_size(path: Path) -> tuple[int, int] | None:
    """Return (height, width) from the header of an image or a video; None of other files."""
    from PIL import Image

    if path.suffix.lower() in (".tif", ".tiff"):
        pages = _tiff_pages(path)
        return None if pages is None else pages[1]
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video_size(path)
    try:
        with warnings.catch_warnings():
            # Only the header is read: a large image is no danger here.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return height, width


def page_count(path: Path) -> int | None:
    """Return how many pages an image file has: more than one only in TIFF stacks.

    None where that cannot be told: of a damaged file, a microscope format or a video.
    """
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        pages = _tiff_pages(path)
        return None if pages is None else pages[0]
    return 1 if suffix in IMAGE_SUFFIXES else None


def _tiff_pages(path: Path) -> tuple[int, tuple[int, int]] | None:
    import tifffile

    from defectscope.core.tiff_pixels import full_pages

    try:
        with tifffile.TiffFile(path) as tiff:
            pages = full_pages(tiff)
            page: Any = tiff.pages[pages[0]]
            count = len(pages)
            if tiff.is_imagej and tiff.series:
                # ImageJ writes large stacks behind a single page.
                count = max(count, int(tiff.series[0].size // (page.size or 1)))
            return count, (int(page.imagelength), int(page.imagewidth))
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return None


def _video_size(path: Path) -> tuple[int, int] | None:
    import av

    try:
        # "file:" keeps FFmpeg from taking a colon in the name for a protocol.
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            context = container.streams.video[0].codec_context
            # Without a decoder PyAV has None here, whatever its annotations say.
            height, width = getattr(context, "height", 0), getattr(context, "width", 0)
    except (av.FFmpegError, OSError, IndexError):
        return None
    return (height, width) if height and width else None


def stand_in_note(folder: Path, name: str, size: tuple[int, int], what: str) -> str:
    """Return the warning that the smallest (height, width) around all of `what` is taken."""
    if file_of(folder, name).is_file():
        missing = f"the size of the image {name} in {folder} cannot be told"
    else:
        missing = f"there is no image {name} in {folder} to take the size from"
    return f"{missing}; {size[1]} x {size[0]} px hold all of its {what}"


def check_size(folder: Path, name: str, size: tuple[int, int], where: str) -> None:
    """Compare the (height, width) that an annotation file gives with the image, if it is there.

    Raises
    ------
    FormatError
        They contradict each other.
    """
    path = file_of(folder, name)
    actual = image_size(path) if path.is_file() else None
    if actual is not None and actual != size:
        raise FormatError(
            f"{where}: the size of {name} is given as {size[1]} x {size[0]} px, but the image "
            f"has {actual[1]} x {actual[0]} px; were they cropped or scaled after labelling?"
        )


def resting_place(root: Path, names: Iterable[str], below: Sequence[str]) -> Path:
    """Return the folder the images lie in: `root`, or the folder of `below` with most of them."""
    candidates = [root, *(root / name for name in below if (root / name).is_dir())]
    wanted = list(names)
    counts = [sum(file_of(folder, name).is_file() for name in wanted) for folder in candidates]
    return candidates[counts.index(max(counts))]


def label_files(dataset: Dataset, suffix: str) -> list[PurePosixPath]:
    """Return the name of each image's label file, relative to the folder of the labels.

    Raises
    ------
    FormatError
        Two images would share one, or an image name leads out of the folder.
    """
    targets: list[PurePosixPath] = []
    names: dict[str, str] = {}
    for image in dataset.images:
        page = PAGE.search(image.file_name)
        plain = PurePosixPath(relative_name(PAGE.sub("", image.file_name)))
        # Pages of one stack must not share a file.
        stem = plain.stem + (page[0].replace("#", "-") if page else "")
        target = plain.with_name(stem + suffix)
        key = _as_compared(target)
        if key in names:
            where = "" if target in targets else " where capitals make no difference"
            raise FormatError(
                f"the labels of {names[key]} and {image.file_name} would share the file "
                f"{target}{where}; rename one of the images"
            )
        names[key] = image.file_name
        targets.append(target)
    return targets


def _as_compared(name: PurePosixPath) -> str:
    # Windows and macOS take names for the same that differ in capitals alone.
    return str(name).casefold()


def copy_images(dataset: Dataset, target: Path) -> None:
    """Copy the image files of `dataset` to the folder `target`.

    Raises
    ------
    InputError
        An image is not there.
    FormatError
        Two images would share a file.
    """
    sources: dict[str, Path] = {}
    names: dict[str, str] = {}
    # All are looked for before the first is copied, so that a failure leaves nothing.
    for name in dict.fromkeys(PAGE.sub("", image.file_name) for image in dataset.images):
        source = None if dataset.folder is None else file_of(dataset.folder, name)
        if source is None or not source.is_file():
            raise InputError(
                f"cannot copy the image {name}: it is not in {dataset.folder or 'any folder'}; "
                "put it there, or leave copy_images off"
            )
        other = names.setdefault(_as_compared(PurePosixPath(name)), name)
        if not sources.get(other, source).samefile(source):
            raise FormatError(
                f"the copies of {other} and {name} would share a file where capitals make no "
                "difference; rename one of the images"
            )
        sources[name] = source
    for name, source in sources.items():
        with atomic_path(inside(target, name)) as temporary:
            shutil.copyfile(source, temporary)
