"""Background of two real images laid over each other (P1, section 2.2).

P1: Govind et al., deep learning of dislocations from synthetic data, who superimposed two of 170
dislocation-free patches with a random opacity. Everything drawn is recorded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from defectscope import Background, InputError, OptionError, Options
from defectscope.generators.image_folder import ImageFolder, Scaling
from defectscope.generators.input_files import file_digests

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ImagePatches", "ImagePatchesOptions"]


class ImagePatchesOptions(Options):
    """Options of ``images``."""

    folder: Path | None = Field(
        None,
        description="folder of images without the defects that are to be drawn, which must be "
        "given: PNG, JPEG, BMP or TIFF, of any bit depth",
    )
    opacity_low: float = Field(
        0.2, ge=0, le=1, description="least opacity of the second patch over the first, 0 to 1"
    )
    opacity_high: float = Field(0.8, ge=0, le=1, description="largest opacity, 0 to 1")
    flip: bool = Field(True, description="flip patches at random, along x and along y")
    rotate: bool = Field(True, description="turn patches by 90 degrees at random")
    small_images: Literal["refuse", "mirror", "magnify"] = Field(
        "refuse",
        description="images smaller than the frame: refuse them, mirror them at their rims, or "
        "magnify them until they fill it, grain and all",
    )
    scaling: Scaling = Field(
        "auto",
        description="stored values that become 0 and 1: the limits of the data type, or the range "
        "of the image itself (0.1 to 99.9 percent of its pixels); auto: dtype for 8 bits, "
        "else range",
    )
    cached_images: int = Field(
        16, ge=2, le=100_000, description="decoded images that each process keeps in memory"
    )

    @field_validator("opacity_high")
    @classmethod
    def _low_is_low(cls, value: float, info: ValidationInfo) -> float:
        # A low value that is itself refused is absent, and reported by itself.
        if info.data.get("opacity_low", value) > value:
            raise ValueError(
                f"opacity_high must not be below opacity_low = {info.data['opacity_low']:g}"
            )
        return value


class ImagePatches(Background):
    """Two patches of the user's own images, laid over each other."""

    Options = ImagePatchesOptions
    options: ImagePatchesOptions
    _images: ImageFolder | None = None

    def open(self) -> None:
        """List the folder and read the size of every image in it.

        Raises
        ------
        OptionError
            No folder was named.
        InputError
            The folder does not exist or holds no image, or a file in it is no image.
        """
        self._opened()

    def close(self) -> None:
        """Forget the decoded images."""
        self._images = None

    def depends_on(self) -> dict[str, Any]:
        """Return digests of the images."""
        images = self._opened()
        return file_digests([images.folder / name for name in images.names])

    def render(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return (H, W) float32 in [0, 1], and what was drawn.

        Of each patch the parameters hold: file name and digest; size of the image, as stored and
        as magnified (width, height); the stored values that became 0 and 1; offset in the
        magnified image (x, y); whether it was then turned and flipped.

        Raises
        ------
        InputError
            An image is smaller than the frame, and is not to be enlarged; or it cannot be read.
        """
        images = self._opened()
        self._refuse_small(images, shape)
        count = len(images.names)
        # Two different images where there are two.
        chosen = rng.choice(count, 2, replace=count == 1)
        first, first_drawn = self._patch(images, int(chosen[0]), shape, rng)
        second, second_drawn = self._patch(images, int(chosen[1]), shape, rng)
        opacity = float(rng.uniform(self.options.opacity_low, self.options.opacity_high))
        pixels = (1 - opacity) * first + opacity * second
        drawn = {"patches": [first_drawn, second_drawn], "opacity": opacity}
        return np.clip(pixels, 0, 1).astype(np.float32), drawn

    def _opened(self) -> ImageFolder:
        if self._images is None:
            options = self.options
            if options.folder is None:
                raise OptionError(
                    "the background 'images' needs a folder of images without defects; name it "
                    "with --set images.folder=FOLDER"
                )
            self._images = ImageFolder(options.folder, options.scaling, options.cached_images)
        return self._images

    def _refuse_small(self, images: ImageFolder, shape: tuple[int, int]) -> None:
        """Raise before anything is drawn, not when a small image is first drawn."""
        if self.options.small_images != "refuse":
            return
        turns = (False, True) if self.options.rotate else (False,)
        small = [
            (name, size)
            for name, size in zip(images.names, images.sizes, strict=True)
            if not any(_fits(size, shape, turned) for turned in turns)
        ]
        if small:
            name, (height, width) = small[0]
            raise InputError(
                f"{len(small)} of {len(images.names)} images in {images.folder} do not fill a "
                f"frame of {shape[1]} x {shape[0]} px ({name} has {width} x {height}); take them "
                "out, generate smaller frames, or set small_images to mirror or magnify"
            )

    def _patch(
        self, images: ImageFolder, number: int, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        options = self.options
        image = images.image(images.names[number])
        size = image.pixels.shape[0], image.pixels.shape[1]
        turned = options.rotate and bool(rng.integers(2))
        if options.small_images == "refuse" and not _fits(size, shape, turned):
            turned = not turned  # only the other way round does it fill the frame
        flipped_x, flipped_y = (options.flip and bool(rng.integers(2)) for _ in range(2))
        window = (shape[1], shape[0]) if turned else shape
        large = _enlarged(size, window) if options.small_images == "magnify" else size
        y, x = (_offset(n, w, rng) for n, w in zip(large, window, strict=True))
        if large == size:
            rows, columns = _mirrored(y, window[0], size[0]), _mirrored(x, window[1], size[1])
            pixels = image.scaled(image.pixels[np.ix_(rows, columns)])
        else:
            grey = image.scaled(image.pixels)
            magnified = cv2.resize(grey, large[::-1], interpolation=cv2.INTER_CUBIC)
            part = magnified[y : y + window[0], x : x + window[1]]
            pixels = np.asarray(part, np.float64)
        drawn = {
            "file": image.name,
            "sha256": image.sha256,
            "image_size_px": list(size[::-1]),
            "magnified_size_px": list(large[::-1]),
            "black": image.black,
            "white": image.white,
            "offset_px": [x, y],
            "turned_90_deg": turned,
            "flipped_x": flipped_x,
            "flipped_y": flipped_y,
        }
        return _oriented(pixels, turned, flipped_x, flipped_y), drawn


def _fits(size: tuple[int, int], shape: tuple[int, int], turned: bool) -> bool:
    height, width = shape[::-1] if turned else shape
    return size[0] >= height and size[1] >= width


def _enlarged(size: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """Return the least size in the image's proportions that fills `window`, never a smaller one."""
    factor = max(1.0, window[0] / size[0], window[1] / size[1])
    return max(round(size[0] * factor), window[0]), max(round(size[1] * factor), window[1])


def _offset(length: int, window: int, rng: np.random.Generator) -> int:
    """Draw where a window begins; in a mirrored image any place of its period will do."""
    return int(rng.integers(length - window + 1 if length >= window else 2 * length))


def _mirrored(start: int, count: int, length: int) -> NDArray[np.intp]:
    """Return `count` places from `start` on, mirrored at the ends of 0 to `length` - 1."""
    places = np.arange(start, start + count) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def _oriented(
    pixels: NDArray[np.float64], turned: bool, flipped_x: bool, flipped_y: bool
) -> NDArray[np.float64]:
    """Turn counter-clockwise as seen, then flip."""
    if turned:
        pixels = np.rot90(pixels)
    return pixels[:: -1 if flipped_y else 1, :: -1 if flipped_x else 1]
