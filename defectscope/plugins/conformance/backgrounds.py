"""Backgrounds: what is asked of those that render images without defects."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from defectscope.core.base import Background
from defectscope.plugins.conformance.basics import Check, Setup, expect, pickled
from defectscope.plugins.conformance.compare import expect_image, global_randomness_untouched
from defectscope.plugins.conformance.samples import CANVAS_SHAPES

__all__ = ["CHECKS"]


def check_renders_what_was_asked(component: type[Background], setup: Setup) -> None:
    """Pixels are float32 in [0, 1] of the shape asked for."""
    with setup.opened(component) as background:
        for shape in CANVAS_SHAPES:
            answer = background.render(shape, np.random.default_rng(0))
            expect(
                isinstance(answer, tuple) and len(answer) == 2,
                f"render must return (pixels, parameters), found {type(answer).__name__}",
            )
            expect_image(answer[0], shape, "the background")


def check_records_its_parameters(component: type[Background], setup: Setup) -> None:
    """Its parameters are a dictionary that JSON can hold."""
    with setup.opened(component) as background:
        _, parameters = background.render(CANVAS_SHAPES[0], np.random.default_rng(0))
    expect(
        isinstance(parameters, dict) and all(isinstance(name, str) for name in parameters),
        f"the parameters must be a dictionary with names as keys, found {parameters!r:.80}",
    )
    _json(parameters)


def check_background_repeats(component: type[Background], setup: Setup) -> None:
    """The same seed gives the same background."""
    built = setup.build(component)
    copy = pickled(built)
    with built, global_randomness_untouched():
        results = [_rendered(built) for _ in range(2)]
    with copy:
        results.append(_rendered(copy))
    for again in results[1:]:
        expect(
            np.array_equal(results[0][0], again[0]),
            "the same seed must give the same pixels, also from a pickled copy",
        )
        expect(results[0][1] == again[1], "the same seed must give the same parameters")


def check_keeps_nothing_drawn_on(component: type[Background], setup: Setup) -> None:
    """What is drawn on its pixels is not in the next background."""
    with setup.opened(component) as background:
        pixels, _ = background.render(CANVAS_SHAPES[0], np.random.default_rng(7))
        before = pixels.copy()
        expect(pixels.flags.writeable, "the pixels must be writeable: generators draw on them")
        pixels[:] = pixels < 0.5
        again, _ = background.render(CANVAS_SHAPES[0], np.random.default_rng(7))
        expect(
            np.array_equal(before, again),
            "render must return a new array each time; what was drawn on the one before was in "
            "the next (return a copy of what is kept)",
        )


def _rendered(background: Background) -> tuple[Any, str]:
    pixels, parameters = background.render(CANVAS_SHAPES[1], np.random.default_rng(7))
    return pixels.copy(), _json(parameters)


def _json(parameters: Any) -> str:
    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)

    try:
        return json.dumps(parameters, default=plain, sort_keys=True)
    except (TypeError, ValueError) as error:
        expect(False, f"the parameters are written to a JSON file, which cannot hold them: {error}")
        raise  # not reached; for the type checker


CHECKS: tuple[Check, ...] = (
    check_renders_what_was_asked,
    check_records_its_parameters,
    check_background_repeats,
    check_keeps_nothing_drawn_on,
)
