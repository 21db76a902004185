"""Post-processors: what is asked of those that turn detections into geometry."""

from __future__ import annotations

import re

import numpy as np

from defectscope.core.base import PostProcessor
from defectscope.core.errors import DefectscopeError
from defectscope.core.frames import Frame
from defectscope.core.instances import Instances
from defectscope.core.tables import unit_twin
from defectscope.plugins.conformance.basics import (
    SAMPLE_TYPES,
    Check,
    NotCheckedError,
    Setup,
    expect,
    pickled,
)
from defectscope.plugins.conformance.compare import (
    difference,
    digest,
    expect_inside,
    expect_instances,
    expect_own_names,
)
from defectscope.plugins.conformance.samples import SHAPES, sample_frame, sample_instances

__all__ = ["CHECKS"]

ALL_SHAPES = ("ellipse", "line")
UNITS = ("px", "px2", "1/px", "deg", "")
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# The centroid in px has no calibrated twin: positions stay in px in every table.
POSITIONS = ("x", "y")


def _processed(post: PostProcessor, frame: Frame, given: Instances) -> Instances:
    before = _state(frame, given)
    found = post.process(frame, given)
    expect(_state(frame, given) == before, "process must not change the pixels or what it is given")
    expect_instances(found, frame.shape, "what process returns")
    expect(
        len(found) <= len(given),
        f"process must return as many or fewer instances, found {len(found)} for {len(given)}",
    )
    expect(
        len(found) == len(given) or post.drops,
        f"a post-processor that leaves instances out must declare drops = True, found "
        f"{len(found)} for {len(given)}",
    )
    return found


def _state(frame: Frame, given: Instances) -> tuple[str, ...]:
    arrays = [frame.pixels, given.boxes, given.scores, given.ignore]
    arrays += [mask.bitmap for mask in given.masks or ()]
    arrays += list(given.lines or ()) + list(given.measurements.values())
    return tuple(digest(array) for array in arrays)


def check_declares_its_columns(component: type[PostProcessor], setup: Setup) -> None:
    """Its shapes and columns are declared, each column with a unit that its name tells."""
    built = setup.build(component)
    shapes, columns = built.shapes, built.columns
    expect(
        len(shapes) and set(shapes) <= set(ALL_SHAPES),
        f"shapes must name what it handles, of {', '.join(ALL_SHAPES)}; found {shapes!r}",
    )
    expect_own_names(columns)
    for name, unit in columns.items():
        expect(bool(SNAKE_CASE.fullmatch(name)), f"column names are snake_case, found {name!r}")
        expect(
            unit in UNITS,
            f"the unit of column {name!r} must be one of "
            f"{', '.join(map(repr, UNITS))}, found {unit!r}",
        )
        expect(
            unit not in ("px", "px2", "1/px") or name in POSITIONS or unit_twin(name, unit),
            f"column {name!r} is in {unit}: its name must end in "
            f"{'_per_px' if unit == '1/px' else '_px'}, or it gets no twin in nm",
        )
        expect(
            unit == "px2" or not re.fullmatch(r"(.*_)?area_px", name),
            f"the unit of column {name!r}, an area, must be 'px2', found {unit!r}",
        )
        expect(
            unit != "deg" or name.endswith("_deg"),
            f"column {name!r} is in deg: its name must end in _deg",
        )


def check_adds_its_columns(component: type[PostProcessor], setup: Setup) -> None:
    """It adds the declared columns with their units, and keeps those that were there."""
    with setup.opened(component) as post:
        for shape in SHAPES:
            frame, given = sample_frame(shape), sample_instances(shape)
            found = _processed(post, frame, given)
            _expect_columns(post, given, found)
            expect_inside(found, "what process returns")


def _expect_columns(post: PostProcessor, given: Instances, found: Instances) -> None:
    expected = {**given.units, **post.columns}
    missing, extra = set(expected) - set(found.units), set(found.units) - set(expected)
    expect(
        not missing and not extra,
        f"process must add exactly the declared columns; missing: {_listed(missing)}, "
        f"not declared: {_listed(extra)}",
    )
    for name, unit in expected.items():
        expect(
            found.units[name] == unit,
            f"the unit of {name!r} must be {unit!r} as declared, found {found.units[name]!r}",
        )


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def check_handles_nothing(component: type[PostProcessor], setup: Setup) -> None:
    """A frame without detections gives none, with all columns."""
    with setup.opened(component) as post:
        for given in (Instances.empty(SHAPES[0]), sample_instances(SHAPES[0])[:0]):
            found = _processed(post, sample_frame(), given)
            expect(not len(found), f"nothing in must give nothing out, found {len(found)}")
            _expect_columns(post, given, found)


def check_any_bit_depth(component: type[PostProcessor], setup: Setup) -> None:
    """It takes uint8, uint16 and float32 pixels."""
    with setup.opened(component) as post:
        for dtype in ("uint8", "uint16", "float32"):
            _processed(post, sample_frame(dtype=dtype), sample_instances(SHAPES[0]))


def check_boxes_alone(component: type[PostProcessor], setup: Setup) -> None:
    """Detections without masks are processed, or refused with a clear error."""
    given = sample_instances(SHAPES[0], masks=False)
    with setup.opened(component) as post:
        try:
            found = _processed(post, sample_frame(), given)
        except DefectscopeError as error:
            # An AssertionError is one of these checks speaking.
            if isinstance(error, AssertionError):
                raise
            return
        _expect_columns(post, given, found)


def check_other_shapes_pass(component: type[PostProcessor], setup: Setup) -> None:
    """Instances of shapes that it does not handle pass through unchanged."""
    with setup.opened(component) as post:
        others = tuple(shape for shape in ALL_SHAPES if shape not in post.shapes)
        if not others:
            raise NotCheckedError("it handles every shape")
        frame = sample_frame()
        for shapes in (others, ALL_SHAPES):
            given = sample_instances(SHAPES[0], shapes=shapes)
            found = _processed(post, frame, given)
            before, after = _of_shapes(given, others), _of_shapes(found, others)
            for name in post.columns:
                values = np.asarray(after.measurements[name], float)
                expect(
                    name in given.measurements or np.isnan(values).all(),
                    f"column {name!r} must be NaN for shapes that are not handled "
                    f"({', '.join(others)}), found {values.tolist()}",
                )
            kept = {name: after.measurements[name] for name in given.measurements}
            differs = difference(before, _with_columns(after, kept))
            expect(
                not differs,
                f"instances of other shapes ({', '.join(others)}) must pass through unchanged "
                f"and in order, found {differs}",
            )


def _of_shapes(instances: Instances, shapes: tuple[str, ...]) -> Instances:
    return instances[
        np.array([SAMPLE_TYPES[str(n)].shape in shapes for n in instances.defect_types], bool)
    ]


def _with_columns(instances: Instances, columns: dict[str, np.ndarray]) -> Instances:
    return Instances(
        instances.image_shape, instances.boxes, instances.scores, instances.defect_types,
        instances.ignore, instances.masks, instances.lines, columns, instances.units,
    )  # fmt: skip


def check_processing_repeats(component: type[PostProcessor], setup: Setup) -> None:
    """The same frame and detections give the same geometry."""
    built = setup.build(component)
    copy = pickled(built)
    frame, given = sample_frame(), sample_instances(SHAPES[0])
    with built:
        results = [_processed(built, frame, given) for _ in range(2)]
    with copy:
        results.append(_processed(copy, frame, given))
    for again in results[1:]:
        differs = difference(results[0], again)
        expect(not differs, f"the same input must give the same geometry, found {differs}")


CHECKS: tuple[Check, ...] = (
    check_declares_its_columns,
    check_adds_its_columns,
    check_handles_nothing,
    check_any_bit_depth,
    check_boxes_alone,
    check_other_shapes_pass,
    check_processing_repeats,
)
