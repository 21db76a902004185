"""What RosettaSciIO returns, as stacks of images: which axes are the image's, and their scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from defectscope import Calibration
from defectscope.readers.pixels import warn_once
from defectscope.readers.scale import in_seconds, note_unknown_unit, square_pixel_nm

__all__ = ["ImageStack", "NoImageError", "image_stack"]

NO_IMAGE_AXES = ("ev", "kev", "1/nm", "1/å", "1/a", "nm^-1", "rad", "mrad", "a^-1", "å^-1")


class NoImageError(Exception):
    """A dataset is something else than an image; the message is a noun phrase that says what."""


@dataclass(frozen=True)
class ImageStack:
    """Images of one size in one array.

    Parameters
    ----------
    data
        A NumPy or Dask array.
    frame_axis
        Axis along which the images follow each other; None for a single one.
    y_axis, x_axis
        Axes of each image.
    title
        As the file names it, or an empty string.
    calibration
        Pixel size from the axes, and the interval where the frames follow in seconds.
    warnings
        What the axes say that cannot be used.
    """

    data: Any
    frame_axis: int | None
    y_axis: int
    x_axis: int
    title: str
    calibration: Calibration
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of images."""
        return 1 if self.frame_axis is None else int(self.data.shape[self.frame_axis])

    @property
    def description(self) -> str:
        """Title and size, for messages."""
        size = f"{self.data.shape[self.x_axis]} x {self.data.shape[self.y_axis]} px"
        return (
            f"{self.title!r} ({self.count} of {size})" if self.title else f"{self.count} of {size}"
        )

    def image(self, number: int) -> np.ndarray:
        """Return one image, (H, W), as stored."""
        index: list[Any] = [slice(None)] * self.data.ndim
        if self.frame_axis is not None:
            index[self.frame_axis] = number
        stored = _contiguous_hdf5(self.data)
        if stored is not None:
            image = np.asarray(stored[tuple(reversed(index))]).T
        else:
            part = self.data[tuple(index)]
            # One thread: the run decides about parallel work, not each reader for itself.
            image = part.compute(scheduler="synchronous") if hasattr(part, "compute") else part
        return np.asarray(image if self.y_axis < self.x_axis else image.T)

    def first_value(self) -> Any:
        """Return one stored value, which is enough to see whether the images can be reached.

        It is a number, or the fields R, G, B of one pixel.
        """
        part = self.data[(0,) * self.data.ndim]
        return part.compute(scheduler="synchronous") if hasattr(part, "compute") else part

    def close(self) -> None:
        """Close the HDF5 file behind the array, if there is one."""
        for dataset in _hdf5_datasets(self.data):
            if dataset:  # false once its file is closed
                dataset.file.close()


def image_stack(dataset: Mapping[str, Any]) -> ImageStack:
    """Return the images of a dataset.

    Raises
    ------
    NoImageError
        It holds spectra, diffraction patterns of a scan, complex values, or anything else.
    """
    data, axes = dataset["data"], list(dataset["axes"])
    title = str(dataset.get("metadata", {}).get("General", {}).get("title", "") or "")
    kind = np.dtype(data.dtype)
    if kind.kind == "c":
        raise NoImageError("complex values (a Fourier transform or a wave)")
    if kind.names is None and kind.kind not in "buif":
        raise NoImageError(f"values of type {kind}")
    frame_axis, y, x = _find_axes(axes)
    warnings: list[str] = []
    calibration = Calibration(
        pixel_size_nm=_pixel_size(axes[x], axes[y], dataset, warnings),
        frame_interval_s=None if frame_axis is None else _interval(axes[frame_axis], warnings),
    )
    return ImageStack(data, frame_axis, y, x, title, calibration, tuple(warnings))


def _find_axes(axes: Sequence[Mapping[str, Any]]) -> tuple[int | None, int, int]:
    signal = [k for k, axis in enumerate(axes) if not axis.get("navigate", False)]
    navigation = [k for k in range(len(axes)) if k not in signal]
    for k in signal:
        unit = str(axes[k].get("units") or "").casefold()
        if unit in ("ev", "kev"):
            raise NoImageError(f"a spectrum ({axes[k].get('name')}, {axes[k].get('size')} values)")
    # Berkeley's EMD files do not say which axis counts the frames: the one that is not x or y.
    names = {str(axes[k].get("name")).casefold(): k for k in signal}
    if {"x", "y"} <= set(names):
        y, x = names["y"], names["x"]
    elif len(signal) >= 2:
        y, x = signal[-2:]
    else:
        raise NoImageError("a spectrum or another one-dimensional signal")
    others = [*navigation, *(k for k in signal if k not in (y, x))]
    if len(others) > 1:
        raise NoImageError(f"{len(axes)}-dimensional data, such as a diffraction pattern a point")
    return (others[0] if others else None), y, x


def _pixel_size(
    x: Mapping[str, Any], y: Mapping[str, Any], dataset: Mapping[str, Any], warnings: list[str]
) -> float | None:
    header = dataset.get("original_metadata", {}).get("std_header")
    if isinstance(header, Mapping) and "Xlen" in header:
        # Of an MRC file whose header leaves the cell empty, RosettaSciIO makes 1 nm.
        if not all(float(header[name]) > 0 for name in ("Xlen", "Ylen", "MX", "MY")):
            return None
        if math.isclose(float(header["Xlen"]), float(header["MX"]), rel_tol=1e-6):
            warn_once(
                warnings,
                "the header gives 1 Å (0.1 nm) for each pixel, which programs also write where "
                "they do not know; check it",
            )
    units = {str(axis.get("units") or "") for axis in (x, y)}
    odd = sorted(unit for unit in units if unit.casefold().replace(" ", "") in NO_IMAGE_AXES)
    if odd:
        warn_once(
            warnings,
            f"the axes are in {' and '.join(odd)}, as of a diffraction pattern; "
            "the pixel size is left unknown",
        )
    sizes = [(float(axis.get("scale") or 0), axis.get("units")) for axis in (x, y)]
    return square_pixel_nm(sizes[0], sizes[1], warnings)


def _interval(axis: Mapping[str, Any], warnings: list[str]) -> float | None:
    unit = str(axis.get("units") or "")
    note_unknown_unit(unit, "the frame interval is", warnings)
    return in_seconds(float(axis.get("scale") or 0), unit)


def _hdf5_datasets(data: Any) -> list[Any]:
    layers = getattr(getattr(data, "dask", None), "layers", {})
    # A file's dataset stands in a layer of its own; to look into longer ones would be slow.
    values = [value for layer in layers.values() if len(layer) == 1 for value in layer.values()]
    return [value for value in values if type(value).__module__.startswith("h5py.")]


def _contiguous_hdf5(data: Any) -> Any:
    """Return the HDF5 dataset of which a Dask array is the transpose, or None.

    Dask cuts an unchunked dataset into cubes, and then reads hundreds of frames for each one.
    """
    datasets = _hdf5_datasets(data)
    if len(datasets) != 1 or datasets[0].chunks is not None:
        return None
    transposed = any(name.startswith("transpose-") for name in data.dask.layers)
    return datasets[0] if transposed and datasets[0].shape == data.shape[::-1] else None
