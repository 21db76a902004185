"""Classical baseline: blobs that stand out of the local texture, without any training.

Two ways, named by the option ``method``:

``threshold``
    Smooth, subtract the local background, divide by the texture's standard deviation, threshold,
    and part touching blobs by a watershed on the distance transform.
``peaks``
    The same normalised (band-passed) image; every peak is a blob, as large as the region around
    it that stays above a fraction of the peak's height.

Defaults were chosen on the labelled frames 126, 480 and 888 of an in-situ bright-field video of
dislocation loops (doi:10.18126/n9dj-5mk0) and on no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from defectscope import Detector, Frame, Instances, Options
from defectscope.core.options import set_in_vain

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DarkBlobs", "DarkBlobsOptions", "texture_contrast"]

# Median absolute deviation of a normal distribution, in standard deviations.
MAD_TO_SIGMA = 1.4826
# Pixels further out than this belong to blobs, and must not count as background or texture.
OUTLIER_SIGMA = 3.0
# Smoothing in float32 leaves ripples this large, as a fraction of the range, where nothing was.
ROUNDING = 1e-5


class DarkBlobsOptions(Options):
    """Options of ``dark-blobs``; every contrast is in standard deviations of the texture."""

    method: Literal["threshold", "peaks"] = Field(
        "threshold", description="threshold with distance watershed, or band-pass peaks"
    )
    contrast: Literal["dark", "bright"] = Field(
        "dark",
        description="whether blobs are darker or brighter than what is around them; bright ones "
        "get a column bright, by which post-processors measure them as such",
    )
    defect_type: str = Field(
        "dislocation-loop", min_length=1, description="defect type that is reported"
    )
    blur_px: float = Field(
        2.4, ge=0, le=100, description="standard deviation of the smoothing before anything, px"
    )
    background_px: float = Field(
        25.0, gt=1, le=2000, description="standard deviation of the background's smoothing, px; "
        "blobs larger than about twice this count as background"
    )  # fmt: skip
    threshold_sigma: float = Field(
        3.0, gt=0, description="contrast that a pixel of a blob needs (method threshold)"
    )
    min_peak_sigma: float = Field(3.4, gt=0, description="contrast that a blob's peak needs")
    peak_fraction: float = Field(
        0.6, gt=0, lt=1, description="a blob ends at this fraction of its peak (method peaks)"
    )
    min_area_px: float = Field(45.0, ge=0, description="smallest area of a blob, px²")
    max_area_px: float | None = Field(None, gt=0, description="largest area of a blob, px²")
    min_distance_px: int = Field(
        8, ge=1, le=1000, description="touching blobs are parted where their centres are this far"
    )
    grow_px: float = Field(0.0, ge=0, le=1000, description="margin added to each side of a box, px")

    @model_validator(mode="after")
    def _least_is_least(self) -> DarkBlobsOptions:
        if self.max_area_px is not None and self.min_area_px > self.max_area_px:
            raise ValueError("min_area_px must not exceed max_area_px")
        return self

    @model_validator(mode="after")
    def _nothing_in_vain(self) -> DarkBlobsOptions:
        own = {"threshold": "threshold_sigma", "peaks": "peak_fraction"}
        for method, name in own.items():
            if self.method != method and set_in_vain(self, name):
                raise ValueError(
                    f"{name} changes nothing with method {self.method}; set method to {method}, or "
                    "leave it out"
                )
        return self


def _smooth(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    if sigma <= 0:
        return image
    blurred = cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def _local_mean(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    # A wide Gaussian is smooth: computed on a smaller image it is the same, and far cheaper.
    height, width = image.shape
    step = max(1, int(sigma // 8))
    small = cv2.resize(
        image, (max(1, width // step), max(1, height // step)), interpolation=cv2.INTER_AREA
    )
    mean = cv2.resize(_smooth(np.asarray(small, np.float32), sigma / step), (width, height))
    return np.asarray(mean, np.float32)


def texture_contrast(
    pixels: NDArray[Any], blur_px: float, background_px: float
) -> NDArray[np.float32]:
    """Return how far each pixel lies below its background, in sigmas of the texture.

    Parameters
    ----------
    pixels
        (H, W) image of any scale.
    blur_px, background_px
        Standard deviations of the fine and of the wide Gaussian.

    Returns
    -------
    (H, W) float32
        Positive where darker. Zero everywhere if the image has no texture at all.

    Notes
    -----
    Background and texture are estimated with outliers cut at 3 robust sigmas, twice, so that
    dark blobs do not pull the background down.
    """
    values = pixels.astype(np.float32)
    # Without the offset, rounding in float32 is small beside the contrast, whatever the level.
    smooth = _smooth(values - values.min(), blur_px)
    below = _local_mean(smooth, background_px) - smooth
    centre, sigma = _robust(below)
    for _ in range(2):
        cut = np.clip(below, centre - OUTLIER_SIGMA * sigma, centre + OUTLIER_SIGMA * sigma)
        below = below - _local_mean(cut.astype(np.float32), background_px)
        centre, sigma = _robust(below)
    if sigma == 0:
        return np.zeros_like(smooth)
    return ((below - centre) / sigma).astype(np.float32)


def _robust(values: NDArray[np.float32]) -> tuple[float, float]:
    # Every third pixel each way tells the median as well as all of them.
    sample = values[::3, ::3]
    centre = float(np.median(sample))
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(sample - centre)))
    # More than half of the pixels alike (a synthetic or clipped image), but for the rounding of
    # the smoothing: the plain deviation.
    if sigma <= ROUNDING * float(np.ptp(values)):
        sigma = float(values.std(dtype=np.float64))
    return centre, sigma


class DarkBlobs(Detector):
    """Blobs that stand out of the local texture; no training, no weights."""

    Options = DarkBlobsOptions
    options: DarkBlobsOptions

    @property
    def defect_types(self) -> tuple[str, ...]:  # type: ignore[override]
        """The one type that the option names."""
        return (self.options.defect_type,)

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the blobs of each frame; scores rise from 0.5 at the least contrast towards 1."""
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Frame) -> Instances:
        options = self.options
        contrast = texture_contrast(frame.pixels, options.blur_px, options.background_px)
        if options.contrast == "bright":
            contrast = -contrast
        split = self._by_threshold if options.method == "threshold" else self._by_peaks
        boxes, peaks = self._boxes(split(contrast), contrast)
        # The defect type, dark unless registered otherwise, does not say so.
        bright = {"bright": np.ones(len(boxes))} if options.contrast == "bright" else {}
        return Instances(
            frame.shape,
            boxes,
            scores=peaks / (peaks + options.min_peak_sigma),
            defect_types=options.defect_type,
            measurements=bright,
            units=dict.fromkeys(bright, ""),
        )

    def _by_threshold(self, contrast: NDArray[np.float32]) -> NDArray[np.int32]:
        mask = (contrast > self.options.threshold_sigma).astype(np.uint8)
        distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        # Contrast decides between equal distances, so that a plateau gives one marker.
        height = distance + 1e-3 * contrast
        return self._watershed(height, mask > 0, self._peaks(height, mask))

    def _by_peaks(self, contrast: NDArray[np.float32]) -> NDArray[np.int32]:
        options = self.options
        floor = options.peak_fraction * options.min_peak_sigma
        mask = contrast > floor
        peaks = self._peaks(contrast, mask.astype(np.uint8), options.min_peak_sigma)
        labels = self._watershed(contrast, mask, peaks)
        heights = np.concatenate([[np.inf], contrast[tuple(peaks.T)]])
        labels[contrast < options.peak_fraction * heights[labels]] = 0
        return labels

    def _peaks(
        self, height: NDArray[np.float32], mask: NDArray[np.uint8], least: float | None = None
    ) -> NDArray[np.intp]:
        count, regions, statistics, _ = cv2.connectedComponentsWithStats(mask)
        # Specks too small to become a blob are most of the regions, and cost most of the time.
        speck = statistics[:, cv2.CC_STAT_AREA] < self.options.min_area_px
        regions = np.where(speck, 0, np.arange(count))[regions]
        peaks: NDArray[np.intp] = peak_local_max(
            height,
            min_distance=self.options.min_distance_px,
            labels=regions,
            threshold_abs=least,
            exclude_border=False,
        )
        # Sorted by place: the numbering must not depend on how a sort breaks ties.
        return peaks[np.lexsort(peaks.T[::-1])]

    @staticmethod
    def _watershed(
        height: NDArray[np.float32], mask: NDArray[np.bool_], peaks: NDArray[np.intp]
    ) -> NDArray[np.int32]:
        markers = np.zeros(height.shape, np.int32)
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        # Across corners too, as the regions are: a part that only a corner joins has no marker.
        labels: NDArray[np.int32] = watershed(-height, markers, mask=mask, connectivity=2)
        return labels

    def _boxes(
        self, labels: NDArray[np.int32], contrast: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        options = self.options
        largest = np.inf if options.max_area_px is None else options.max_area_px
        boxes, peaks = [], []
        places: list[tuple[slice, slice] | None] = ndimage.find_objects(labels)  # type: ignore[assignment]
        for label, place in enumerate(places, start=1):
            if place is None:
                continue
            inside = labels[place] == label
            peak = float(contrast[place][inside].max())
            if peak < options.min_peak_sigma:
                continue
            if not options.min_area_px <= np.count_nonzero(inside) <= largest:
                continue
            rows, columns = place
            boxes.append((columns.start, rows.start, columns.stop, rows.stop))
            peaks.append(peak)
        grown = np.array(boxes, np.float32).reshape(-1, 4) + options.grow_px * np.array(
            [-1, -1, 1, 1], np.float32
        )
        height, width = labels.shape
        clipped = np.clip(grown, 0, np.array([width, height, width, height], np.float32))
        return clipped, np.array(peaks, np.float32)
