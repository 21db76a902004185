"""Reader of microscope formats (Gatan DM, MRC, EMD, TIA, HyperSpy) by RosettaSciIO.

RosettaSciIO is under the GPL, so it is imported only when such a file is read.
"""

from __future__ import annotations

import contextlib
import importlib
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import (
    DamagedFrameError,
    FrameSequence,
    InputError,
    MissingPackageError,
    Reader,
)
from defectscope.readers.microscope_data import ImageStack, NoImageError, image_stack
from defectscope.readers.mrc_header import check_byte_order, has_signed_bytes
from defectscope.readers.pixels import grey_pixels, warn_once
from defectscope.readers.scale import sizes_differ

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "MicroscopeFrames", "MicroscopeReader"]

# Those that hold images. RosettaSciIO reads more: spectra, scans of diffraction patterns.
SUFFIXES = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".mrc": "mrc",
    ".mrcs": "mrc",
    ".rec": "mrc",
    ".st": "mrc",
    ".ali": "mrc",
    ".emd": "emd",
    ".ser": "tia",
    ".hspy": "hspy",
}
OPTIONS: dict[str, dict[str, Any]] = {
    # Else every file with "movie" in its path is taken for one of Direct Electron's.
    "mrc": {"metadata_file": None},
    "emd": {"select_type": "image"},
}
# Its lazy array reads the whole file for each image.
LOADED_ONCE = ("tia",)
UNCOMPRESSED = ("digitalmicrograph", "mrc")
# A damaged header can claim billions; a camera of 1000 frames/s needs half an hour for this.
MOST_IMAGES = 2_000_000


class MicroscopeReader(Reader):
    """Images and stacks in the formats of microscopes, one at a time where the format allows it."""

    def read(self, path: Path) -> MicroscopeFrames:
        """Return the images of `path`.

        Raises
        ------
        InputError
            It cannot be read, or holds no image.
        MissingPackageError
            RosettaSciIO is not installed.
        """
        return MicroscopeFrames(path)


class MicroscopeFrames(FrameSequence):
    """The images of one file, in the order in which the file holds them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stacks: list[ImageStack] | None = None
        self.warnings = []
        stacks = self._opened()
        self.calibration = stacks[0].calibration
        for stack in stacks:
            for text in stack.warnings:
                warn_once(self.warnings, text)
        sizes = [stack.calibration.pixel_size_nm for stack in stacks]
        if any(sizes_differ(sizes[0], size) for size in sizes):
            said = ", ".join("unknown" if size is None else f"{size:.6g} nm" for size in sizes)
            warn_once(
                self.warnings,
                f"the images of the file differ in pixel size ({said}); that of the first is used "
                "for all",
            )
        self._places = [(s, k) for s, stack in enumerate(stacks) for k in range(stack.count)]
        count = len(self._places)
        self.indices = tuple(range(count))
        self.names = (path.name,) if count == 1 else tuple(f"{path.name}#{k}" for k in range(count))

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels of one image, or raise DamagedFrameError."""
        name = self.names[position]
        stack, number = self._places[position]
        try:
            return grey_pixels(self._opened()[stack].image(number), name, self.warnings)
        except (DamagedFrameError, MissingPackageError):
            raise
        except Exception as error:  # whatever a parser of damaged files may come across
            raise DamagedFrameError(
                f"{name}: the image cannot be read; the file may be cut off or damaged "
                f"({_reason(error)})"
            ) from error

    def _opened(self) -> list[ImageStack]:
        if self._stacks is None:
            self._stacks = self._images(_load(self._path, self.warnings))
        return self._stacks

    def _images(self, datasets: list[dict[str, Any]]) -> list[ImageStack]:
        images, others = [], []
        for dataset in datasets:
            try:
                images.append(image_stack(dataset))
            except NoImageError as error:
                others.append(str(error))
        if not images:
            found = ", ".join(dict.fromkeys(others)) or "nothing"
            raise InputError(f"{self._path.name} holds no image but {found}; give a file of images")
        if len(datasets) > 1:
            taken = ", ".join(stack.description for stack in images)
            left = f"; left out: {', '.join(others)}" if others else ""
            warn_once(
                self.warnings,
                f"the file holds {len(datasets)} datasets; taken in their order: {taken}{left}",
            )
        self._check_sizes(images)
        return images

    def _check_sizes(self, images: list[ImageStack]) -> None:
        count = sum(stack.count for stack in images)
        if count > MOST_IMAGES:
            raise InputError(
                f"{self._path.name} claims to hold {count} images; its header is damaged, or it is "
                f"of another kind than {self._path.suffix.lower()}"
            )
        if SUFFIXES[self._path.suffix.lower()] in UNCOMPRESSED:
            try:
                images[0].first_value()
            except Exception as error:  # the images are mapped as a whole, or not at all
                first = images[0].description
                raise InputError(
                    f"{self._path.name} is cut off or damaged: it ends before the images that its "
                    f"header announces, {first} ({_reason(error)})"
                ) from error

    def close(self) -> None:
        """Close the file; reading opens it again."""
        for stack in self._stacks or ():
            stack.close()
        self._stacks = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stacks": None}


def _load(path: Path, complaints: list[str]) -> list[dict[str, Any]]:
    format_name = SUFFIXES.get(path.suffix.lower())
    if format_name is None:
        raise InputError(
            f"{path.name} has none of the suffixes {', '.join(SUFFIXES)}, "
            "by which microscope formats are told apart"
        )
    module = _module(format_name, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if path.stat().st_size == 0:
                raise InputError(f"{path.name} is empty (0 bytes)")
            datasets = _read(module, path, format_name)
        except InputError:
            raise
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                error.name or "rosettasciio", "microscope", f"reading {path.name}"
            ) from error
        except Exception as error:  # whatever a parser of damaged files may come across
            # It may have left the file open, which its local variables then keep so.
            traceback.clear_frames(error.__traceback__)
            raise InputError(
                f"{path.name} cannot be read as {path.suffix.lower()}; it may be cut off, damaged "
                f"or of another kind ({_reason(error)})"
            ) from error
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            warn_once(complaints, f"RosettaSciIO says: {' '.join(str(warning.message).split())}")
    return datasets


def _read(module: Any, path: Path, format_name: str) -> list[dict[str, Any]]:
    if format_name == "mrc":
        check_byte_order(path)
    datasets = _read_lazily(module, path, format_name)
    if format_name == "mrc" and has_signed_bytes(path):
        for dataset in datasets:
            dataset["data"] = dataset["data"].view(np.int8)
    return datasets


def _read_lazily(module: Any, path: Path, format_name: str) -> list[dict[str, Any]]:
    options = OPTIONS.get(format_name, {})
    if format_name not in LOADED_ONCE:
        # Not every kind of image can be read lazily (RGB in DM files): then as a whole.
        with contextlib.suppress(ValueError):
            return list(module.file_reader(str(path), lazy=True, **options))
    return list(module.file_reader(str(path), lazy=False, **options))


def _module(format_name: str, path: Path) -> Any:
    try:
        rsciio = importlib.import_module("rsciio")
        module = importlib.import_module(f"rsciio.{format_name}")
    except ModuleNotFoundError as error:
        top = (error.name or "rsciio").partition(".")[0]
        package = "rosettasciio" if top == "rsciio" else top
        raise MissingPackageError(package, "microscope", f"reading {path.name}") from error
    rsciio.set_log_level("ERROR")  # it logs to stderr by itself, about optional speed-ups
    return module


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
