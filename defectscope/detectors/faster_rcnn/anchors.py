"""Anchors: the sizes of boxes that a region proposal network starts from, by k-means."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from defectscope.detectors.learning.validating import spread_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Instances, TrainingData
    from defectscope.detectors.faster_rcnn.architecture import AnchorsOfLevel

__all__ = ["anchors_of", "sizes_in"]

# One size alone is spread over this range, so that there are anchors around it.
SPREAD = (0.7, 1.4)
LEAST_PX = 2.0
ITERATIONS = 50


def sizes_in(data: TrainingData, most: int) -> NDArray[np.float64]:
    """Return (n, 2) width and height, px, of the boxes that count in some frames.

    Parameters
    ----------
    data
        Where there is no end of them, the first frames are taken; else frames with boxes, spread
        over all of it: defects may grow in a series.
    most
        Number of frames.
    """
    with data:
        if data.length is None:
            found = [_sizes(data.truth(number)) for number in range(most)]
        else:
            every = (_sizes(data.truth(number)) for number in range(data.length))
            found = [sizes for sizes in every if len(sizes)]
            if len(found) > most:
                found = [found[k] for k in spread_numbers([True] * len(found), most)]
    return np.concatenate([np.zeros((0, 2)), *found])


def _sizes(truth: Instances) -> NDArray[np.float64]:
    boxes = np.asarray(truth.boxes[~truth.ignore], np.float64)
    return boxes[:, 2:] - boxes[:, :2]


def anchors_of(
    sizes: NDArray[np.float64], levels: int, per_level: int, seed: int, turned: bool = True
) -> tuple[AnchorsOfLevel, ...]:
    """Return anchors, the smallest for the finest level.

    k-means of the logarithms of width and height: a distance there is a ratio of sizes, as an
    intersection over union is.

    Parameters
    ----------
    sizes
        (n, 2) width and height, px; at least one.
    levels, per_level
        Feature maps, and anchors of each.
    seed
        Of the first centres (k-means++).
    turned
        Whether frames are turned in training, so that each box counts twice, once turned by 90°.
    """
    from scipy.cluster.vq import kmeans2

    count = levels * per_level
    sizes = np.maximum(sizes, LEAST_PX)
    if turned:
        sizes = np.concatenate([sizes, sizes[:, ::-1]])
    if len(np.unique(sizes, axis=0)) < 2 * count:
        sizes = np.concatenate([sizes * factor for factor in np.geomspace(*SPREAD, 2 * count)])
    with warnings.catch_warnings():
        # An empty cluster keeps its last centre, which is as good as any.
        warnings.simplefilter("ignore")
        centres, _ = kmeans2(
            np.log(sizes), count, iter=ITERATIONS, minit="++", seed=np.random.default_rng(seed)
        )
    found = np.asarray(np.exp(centres), np.float64).round(2)
    found = found[np.lexsort([found[:, 0], found[:, 0] * found[:, 1]])]
    return tuple(
        tuple((float(w), float(h)) for w, h in level)
        for level in found.reshape(levels, per_level, 2)
    )
