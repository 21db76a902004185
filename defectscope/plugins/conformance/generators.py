"""Generators: what is asked of those that draw defects whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from defectscope.core.base import Generator
from defectscope.plugins.conformance.basics import (
    Check,
    NotCheckedError,
    Setup,
    expect,
    pickled,
)
from defectscope.plugins.conformance.compare import (
    difference,
    expect_declared,
    expect_image,
    expect_inside,
    expect_instances,
    global_randomness_untouched,
)
from defectscope.plugins.conformance.samples import CANVAS_SHAPES, sample_canvas

__all__ = ["CHECKS"]

SEEDS = (1, 2, 3)
LENGTHS = (1, 4)


def check_draws_in_place(component: type[Generator], setup: Setup) -> None:
    """It draws onto the canvas that it is given, which stays in [0, 1]."""
    with setup.opened(component) as generator:
        drawn = 0
        for seed in SEEDS:
            for shape in CANVAS_SHAPES:
                canvas = sample_canvas(shape, seed)
                before = canvas.copy()
                truth = generator.draw(canvas, np.random.default_rng(seed))
                expect_instances(truth, shape, "what draw returns")
                expect_image(canvas, shape, "the canvas")
                drawn += len(truth)
                expect(
                    not len(truth) or not np.array_equal(canvas, before),
                    f"draw must change the canvas in place; it returned {len(truth)} instances "
                    "but left the canvas as it was (it may have drawn onto a copy)",
                )
        expect(drawn, f"nothing was drawn with {len(SEEDS)} seeds on two canvases each")


def check_truth_fits(component: type[Generator], setup: Setup) -> None:
    """The truth lies within the frame and is of the declared defect types."""
    with setup.opened(component) as generator:
        expect(
            len(generator.defect_types) > 0,
            "a generator must declare what it draws: set defect_types to a tuple of names",
        )
        for seed in SEEDS:
            for shape in CANVAS_SHAPES:
                truth = generator.draw(sample_canvas(shape), np.random.default_rng(seed))
                expect_inside(truth, "the truth")
                expect_declared(truth, generator.defect_types, "the truth")


def check_drawing_repeats(component: type[Generator], setup: Setup) -> None:
    """The same seed gives the same image and truth."""
    built = setup.build(component)
    copy = pickled(built)
    with built, global_randomness_untouched():
        results = [_drawn(built) for _ in range(2)]
    with copy:
        results.append(_drawn(copy))
    for canvas, truth in results[1:]:
        expect(
            np.array_equal(results[0][0], canvas),
            "the same seed must give the same pixels, also from a pickled copy",
        )
        differs = difference(results[0][1], truth)
        expect(not differs, f"the same seed must give the same truth, found {differs}")


def _drawn(generator: Generator) -> tuple[Any, Any]:
    canvas = sample_canvas(CANVAS_SHAPES[0])
    return canvas, generator.draw(canvas, np.random.default_rng(7))


def check_sequences(component: type[Generator], setup: Setup) -> None:
    """Its sequences have the length asked for, and a track_id for every instance."""
    if component.sequence is Generator.sequence:
        raise NotCheckedError("it draws stills only")
    shape = CANVAS_SHAPES[0]
    with setup.opened(component) as generator:
        for length in LENGTHS:
            frames = _sequence(generator, length)
            expect(len(frames) == length, f"expected {length} frames, found {len(frames)}")
            for pixels, truth in frames:
                expect_image(pixels, shape, "a frame of the sequence")
                expect_instances(truth, shape, "the truth of a sequence's frame")
                expect_inside(truth, "the truth of a sequence's frame")
                expect_declared(truth, generator.defect_types, "the truth of a sequence's frame")
                _expect_track_ids(truth)
        with global_randomness_untouched():
            again = _sequence(generator, LENGTHS[-1])
        for (pixels, truth), (other, other_truth) in zip(frames, again, strict=True):
            expect(
                np.array_equal(pixels, other) and not difference(truth, other_truth),
                "the same seed must give the same sequence",
            )


def _sequence(generator: Generator, length: int) -> list[tuple[Any, Any]]:
    answer = generator.sequence(sample_canvas(CANVAS_SHAPES[0]), np.random.default_rng(7), length)
    # Copied, for a generator may use one canvas for all frames.
    return [(np.array(pixels), truth) for pixels, truth in answer]


def _expect_track_ids(truth: Any) -> None:
    expect(
        "track_id" in truth.measurements,
        "the truth of a sequence needs a measurement 'track_id', found "
        f"{', '.join(truth.measurements) or 'no measurements'}",
    )
    ids = np.asarray(truth.measurements["track_id"], float)
    expect(
        np.isfinite(ids).all() and (ids == np.round(ids)).all() and len(set(ids)) == len(ids),
        f"track_id must be a whole number and occur once in a frame, found {ids.tolist()}",
    )


CHECKS: tuple[Check, ...] = (
    check_draws_in_place,
    check_truth_fits,
    check_drawing_repeats,
    check_sequences,
)
