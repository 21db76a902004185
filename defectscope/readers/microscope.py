"""Reader of microscope formats (Gatan DM, MRC, EMD, TIA, HyperSpy) by RosettaSciIO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from defectscope import (
    Calibration,
    DamagedFrameError,
    FrameSequence,
    InputError,
    MissingPackageError,
    Options,
    Reader,
)
from defectscope.readers.microscope_data import ImageStack, NoImageError, image_stack
from defectscope.readers.microscope_files import SUFFIXES, load_datasets, reason_of
from defectscope.readers.pixels import grey_pixels, warn_once
from defectscope.readers.scale import sizes_differ

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "MicroscopeFrames", "MicroscopeOptions", "MicroscopeReader"]

UNCOMPRESSED = ("digitalmicrograph", "mrc")
# A damaged header can claim billions; a camera of 1000 frames/s needs half an hour for this.
MOST_IMAGES = 2_000_000


class MicroscopeOptions(Options):
    """What is read of files that hold several datasets."""

    dataset: int | None = Field(
        None,
        ge=1,
        description="which dataset of images is read, counted from 1; all of them if left out",
    )


class MicroscopeReader(Reader):
    """Images and stacks in the formats of microscopes, one at a time where the format allows it."""

    Options = MicroscopeOptions
    options: MicroscopeOptions

    def read(self, path: Path) -> MicroscopeFrames:
        """Return the images of `path`.

        Raises
        ------
        InputError
            It cannot be read, or holds no image, or no dataset of the number that is chosen.
        MissingPackageError
            RosettaSciIO is not installed.
        """
        return MicroscopeFrames(path, self.options.dataset)


class MicroscopeFrames(FrameSequence):
    """The images of one file, in the order in which the file holds them.

    Where it holds several datasets, `dataset` is the number of one, counted from 1.
    """

    def __init__(self, path: Path, dataset: int | None = None) -> None:
        self._path, self._dataset = path, dataset
        self._stacks: list[ImageStack] | None = None
        self.warnings = []
        stacks = self._opened()
        self.calibration = self._common_calibration(stacks)
        for stack in stacks:
            for text in stack.warnings:
                warn_once(self.warnings, text)
        self._places = [(s, k) for s, stack in enumerate(stacks) for k in range(stack.count)]
        count = len(self._places)
        self.indices = tuple(range(count))
        self.names = (path.name,) if count == 1 else tuple(f"{path.name}#{k}" for k in range(count))

    def _common_calibration(self, stacks: list[ImageStack]) -> Calibration:
        first = stacks[0].calibration
        sizes = [stack.calibration.pixel_size_nm for stack in stacks]
        if any(sizes_differ(sizes[0], size) for size in sizes):
            said = ", ".join("unknown" if size is None else f"{size:.6g} nm" for size in sizes)
            warn_once(
                self.warnings,
                f"the images of the file differ in pixel size ({said}); that of the first is used "
                "for all",
            )
        intervals = [stack.calibration.frame_interval_s for stack in stacks]
        if len(stacks) == 1 or not any(intervals):
            return first
        warn_once(
            self.warnings,
            "the datasets follow each other, not their images in time; the frame interval is left "
            "unknown unless one is chosen, counted from 1: --set microscope.dataset=1",
        )
        return Calibration(pixel_size_nm=first.pixel_size_nm)

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
                f"({reason_of(error)})"
            ) from error

    def _opened(self) -> list[ImageStack]:
        if self._stacks is None:
            self._stacks = self._images(load_datasets(self._path, self.warnings))
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
        if self._dataset is not None:
            images = [self._chosen(images, self._dataset)]
        elif len(datasets) > 1:
            taken = ", ".join(stack.description for stack in images)
            left = f"; left out: {', '.join(others)}" if others else ""
            warn_once(
                self.warnings,
                f"the file holds {len(datasets)} datasets; taken in their order: {taken}{left}",
            )
        self._check_sizes(images)
        return images

    def _chosen(self, images: list[ImageStack], number: int) -> ImageStack:
        if number > len(images):
            held = ", ".join(f"{k} {stack.description}" for k, stack in enumerate(images, 1))
            raise InputError(
                f"{self._path.name} has no dataset {number} of images; it holds {held}; choose "
                "one of them as microscope.dataset"
            )
        return images[number - 1]

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
                    f"header announces, {first} ({reason_of(error)})"
                ) from error

    def close(self) -> None:
        """Close the file; reading opens it again."""
        for stack in self._stacks or ():
            stack.close()
        self._stacks = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stacks": None}
