"""Detectors: what is asked of those that find defects in frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from defectscope.core.base import Detector
from defectscope.core.frames import Frame
from defectscope.core.instances import Instances
from defectscope.plugins.conformance.basics import Check, Setup, expect, pickled
from defectscope.plugins.conformance.compare import (
    difference,
    digest,
    expect_declared,
    expect_inside,
    expect_instances,
    expect_own_names,
)
from defectscope.plugins.conformance.samples import SHAPES, sample_frame

__all__ = ["CHECKS"]

DTYPES = ("uint8", "uint16", "float32")
# A batch may sum in another order than single frames do.
BATCH_BOX_TOLERANCE_PX = 0.5
BATCH_SCORE_TOLERANCE = 0.01


def _detected(detector: Detector, frames: Sequence[Frame]) -> list[Instances]:
    found = detector.detect(frames)
    expect(
        isinstance(found, list) and len(found) == len(frames),
        f"detect must return a list of one Instances a frame: expected {len(frames)}, found "
        f"{f'{len(found)}' if isinstance(found, list) else f'a {type(found).__name__}'}",
    )
    for frame, instances in zip(frames, found, strict=True):
        expect_instances(instances, frame.shape, "what detect returns for a frame")
    return found


def check_answers_every_frame(component: type[Detector], setup: Setup) -> None:
    """It returns Instances for every frame, of none, one or several."""
    with setup.opened(component) as detector:
        for count in (0, 1, 3):
            _detected(detector, [sample_frame(seed=seed) for seed in range(count)])


def check_any_bit_depth(component: type[Detector], setup: Setup) -> None:
    """It takes uint8, uint16 and float32 pixels."""
    with setup.opened(component) as detector:
        for dtype in DTYPES:
            _detected(detector, [sample_frame(dtype=dtype)])


def check_any_size(component: type[Detector], setup: Setup) -> None:
    """It takes frames of any size, odd and tiny ones included."""
    with setup.opened(component) as detector:
        for shape in SHAPES:
            _detected(detector, [sample_frame(shape)])


def check_frames_without_defects(component: type[Detector], setup: Setup) -> None:
    """It takes a frame in which there is almost nothing to see."""
    pixels = np.full(SHAPES[0], 100, np.uint8)
    pixels[3, 4] = 101
    with setup.opened(component) as detector:
        _detected(detector, [Frame(pixels, source="almost uniform")])


def check_detections_fit(component: type[Detector], setup: Setup) -> None:
    """Boxes lie within the frame, scores within [0, 1], types among the declared ones."""
    with setup.opened(component) as detector:
        expect(
            len(detector.defect_types) > 0,
            "a detector must declare what it can report: set defect_types to a tuple of names",
        )
        for shape in SHAPES:
            for found in _detected(detector, [sample_frame(shape), sample_frame(shape, seed=1)]):
                expect_inside(found, "detections")
                expect_declared(found, detector.defect_types, "detections")
                scores = found.scores
                expect(
                    not len(scores) or (scores.min() >= 0 and scores.max() <= 1),
                    f"scores must lie within [0, 1], found {scores.min() if len(scores) else 0} to "
                    f"{scores.max() if len(scores) else 0}",
                )


def check_measurements_have_own_names(component: type[Detector], setup: Setup) -> None:
    """Its measurements replace no column of the tables."""
    with setup.opened(component) as detector:
        for shape in SHAPES:
            for found in _detected(detector, [sample_frame(shape)]):
                expect_own_names(found.units)


def check_pixels_stay(component: type[Detector], setup: Setup) -> None:
    """The pixels stay as they are, and may be read-only."""
    with setup.opened(component) as detector:
        for dtype in DTYPES:
            for writeable in (True, False):
                pixels = np.array(sample_frame(dtype=dtype).pixels)
                pixels.flags.writeable = writeable
                before = digest(pixels)
                _detected(detector, [Frame(pixels)])
                expect(
                    digest(pixels) == before,
                    f"detect must not change the pixels of a frame; it did for {dtype}",
                )


def check_detection_repeats(component: type[Detector], setup: Setup) -> None:
    """The same frames give the same detections."""
    frames = [sample_frame(seed=seed) for seed in range(3)]
    built = setup.build(component)
    copy = pickled(built)
    with built:
        results: list[Any] = [_detected(built, frames) for _ in range(2)]
    with copy:
        results.append(_detected(copy, frames))
    for again in results[1:]:
        for first, second in zip(results[0], again, strict=True):
            differs = difference(first, second)
            expect(
                not differs,
                f"the same frame must give the same detections every time, also from a pickled "
                f"copy, found {differs}",
            )


def check_frames_are_independent(component: type[Detector], setup: Setup) -> None:
    """A frame's detections do not depend on the frames beside it in a batch."""
    frames = [sample_frame(seed=seed) for seed in range(3)]
    with setup.opened(component) as detector:
        together = _detected(detector, frames)
        alone = [_detected(detector, [frame])[0] for frame in frames]
    for one, other in zip(alone, together, strict=True):
        differs = difference(one, other, BATCH_BOX_TOLERANCE_PX, BATCH_SCORE_TOLERANCE)
        expect(
            not differs,
            f"a frame alone and in a batch must give the same detections, found {differs}",
        )


CHECKS: tuple[Check, ...] = (
    check_answers_every_frame,
    check_any_bit_depth,
    check_any_size,
    check_frames_without_defects,
    check_detections_fit,
    check_measurements_have_own_names,
    check_pixels_stay,
    check_detection_repeats,
    check_frames_are_independent,
)
