"""Training data from labelled images on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from defectscope.core.datasets import PAGE, file_of, joining_name
from defectscope.core.defect_types import UNCERTAIN
from defectscope.core.errors import DamagedFrameError, FormatError, InputError
from defectscope.core.instances import Instances
from defectscope.core.training import TrainingData
from defectscope.pipeline.inputs import open_inputs
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.renaming import names_in, renamed_dataset
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from defectscope.core.datasets import Dataset
    from defectscope.plugins.host import PluginHost

__all__ = ["DatasetData"]

# Images whose readers are asked for warnings before training begins.
LOOKED_AT = 8
# Smaller boxes cannot be an outline that somebody drew.
LEAST_SIDE_PX = 1.0
# Boxes round sides of 1 px, such as that of a vertical line, by this at most in images of 16384 px.
ROUNDED_PX = 0.005


class DatasetData(TrainingData):
    """Frames of a dataset, read when they are needed.

    Parameters
    ----------
    dataset
        Labelled images with their folder.
    title
        For people.
    host
        Where readers of its images are looked up; the installed plugins by default.
    rename
        New names of its defect types by old ones.

    Attributes
    ----------
    named
        Defect types before any was renamed.
    """

    def __init__(
        self,
        dataset: Dataset,
        title: str,
        host: PluginHost | None = None,
        rename: Mapping[str, str] | None = None,
    ) -> None:
        self.named = names_in(dataset)
        self._rename = {old: new for old, new in (rename or {}).items() if old in self.named}
        dataset = renamed_dataset(dataset, self._rename)
        assert dataset.folder is not None
        self._host = host or default_host()
        self._folder, self.title, self.warnings = dataset.folder, title, tuple(dataset.warnings)
        self._images = [
            (image.file_name, _usable(image.instances, image.file_name)) for image in dataset.images
        ]
        names = {str(n) for _, truth in self._images for n in truth.defect_types[~truth.ignore]}
        known = [n for n in dataset.defect_types if n in names]
        self.defect_types = (*known, *sorted(names - set(known)))
        if not self.defect_types:
            why = f" ({'; '.join(dataset.warnings)})" if dataset.warnings else ""
            raise InputError(
                f"{title} has no labelled defect in {len(self._images)} images{why}; training "
                "needs some"
            )

    @classmethod
    def read(cls, path: Path, host: PluginHost, rename: Mapping[str, str] | None = None) -> Self:
        """Read a dataset folder or annotation file.

        Raises
        ------
        InputError
            An image is missing, or nothing is labelled.
        FormatError
            A box has no extent.
        """
        dataset = open_dataset(path, host)
        if dataset.folder is None:
            raise InputError(f"{path} does not say where its images are; training needs them")
        for image in dataset.images:
            if not file_of(dataset.folder, image.file_name).is_file():
                raise InputError(
                    f"the labelled image {image.file_name} of {path} is not there: looked in "
                    f"{dataset.folder}; training needs every one"
                )
        return cls(dataset, path.resolve().name, host, rename)

    @property
    def length(self) -> int:
        """Number of images."""
        return len(self._images)

    def load(self, number: int) -> tuple[NDArray[Any], Instances]:
        """Read one image at its full depth."""
        name, truth = self._images[number % len(self._images)]
        pixels, _ = self._read(name)
        if pixels.shape != truth.image_shape:
            raise FormatError(
                f"{name} is {pixels.shape[1]} x {pixels.shape[0]} px, but its labels are of an "
                f"image of {truth.image_shape[1]} x {truth.image_shape[0]} px"
            )
        return pixels, truth

    def _read(self, name: str) -> tuple[NDArray[Any], list[str]]:
        """Return the pixels of an image, and what its reader warns of."""
        try:
            with open_inputs([file_of(self._folder, name)], self._host) as images:
                places = {joining_name(source): k for k, source in enumerate(images.names)}
                position = places.get(joining_name(name), 0) if PAGE.search(name) else 0
                return images[position].pixels, images.warnings
        except DamagedFrameError as error:
            raise DamagedFrameError(f"{error}; it lies in {self._folder}") from error

    def notes(self) -> list[str]:
        """Return what readers warn of in some images, spread over the set.

        To ask of all would take as long as to read them.
        """
        count = len(self._images)
        some = np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int))
        found: dict[str, str] = {}
        for number in some:
            for text in self._read(self._images[number][0])[1]:
                # In front is the name of the file: one is enough.
                found.setdefault(text.partition(": ")[2], text)
        return list(found.values())

    def truth(self, number: int) -> Instances:
        """Return the labels of one image."""
        return self._images[number % len(self._images)][1]

    def sources(self) -> list[tuple[Path, str]]:
        """Return the file of each image, and the page where it is one of a stack."""
        found = []
        for name, _ in self._images:
            path, page = file_of(self._folder, name).resolve(), PAGE.search(name)
            found.append((path, page[0] if page and path.name != Path(name).name else ""))
        return found

    def recipe(self) -> dict[str, Any]:
        """Return names of the images, and a digest of their labels."""
        digest = hashlib.sha256()
        for part in (part for name, truth in self._images for part in _label_bytes(name, truth)):
            # With its length, so that nothing can pass from one part to the next unseen.
            digest.update(len(part).to_bytes(8, "big") + part)
        return {
            "dataset": self.title,
            "images": len(self._images),
            "labels_sha256": digest.hexdigest(),
            **({"rename": self._rename} if self._rename else {}),
        }


def _label_bytes(name: str, truth: Instances) -> Iterator[bytes]:
    """Yield everything of the labels of an image that training may look at."""
    yield name.encode()
    yield np.array(truth.image_shape, "<i8").tobytes()
    yield truth.boxes.astype("<f4").tobytes()
    yield " ".join(map(str, truth.defect_types)).encode()
    yield truth.ignore.tobytes()
    for line in truth.lines or ():
        yield line.astype("<f8").tobytes()
    for mask in truth.masks or ():
        yield np.array([mask.x, mask.y, *mask.bitmap.shape], "<i8").tobytes()
        yield np.packbits(mask.bitmap).tobytes()


def _usable(instances: Instances, name: str) -> Instances:
    boxes = instances.boxes
    height, width = instances.image_shape
    sides = boxes[:, 2:] - boxes[:, :2]
    thin = np.flatnonzero(np.any(sides < LEAST_SIDE_PX - ROUNDED_PX, axis=1) & ~instances.ignore)
    if len(thin):
        k = int(thin[0])
        raise FormatError(
            f"box {k + 1} of {name} is {sides[k, 0]:g} x {sides[k, 1]:g} px; boxes must be at "
            f"least {LEAST_SIDE_PX:g} px wide and high"
        )
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    outside = np.any((centres < 0) | (centres > [width, height]), axis=1)
    if outside.any():
        k = int(np.flatnonzero(outside)[0])
        raise FormatError(
            f"box {k + 1} of {name} has its centre at {centres[k, 0]:g}, {centres[k, 1]:g}, "
            f"outside of the image of {width} x {height} px"
        )
    limits = np.array([width, height, width, height], np.float32)
    unsure = instances.defect_types == UNCERTAIN
    return Instances(
        instances.image_shape,
        np.clip(boxes, 0, limits),
        defect_types=instances.defect_types,
        ignore=instances.ignore | unsure,
        masks=instances.masks,
        lines=instances.lines,
    )
