"""What a detector or a post-processor may return of a frame."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.pipeline.found_checks import check_found, check_processed
from defectscope.pipeline.named import NamedComponent
from defectscope.plugins.shipped_types import SHIPPED

FRAME = ds.Frame(np.eye(40, 60, dtype=np.uint8), 3, ds.Calibration(), "a.png")
BOXES = [[2, 2, 12, 12], [20, 20, 30, 34]]


class Seen(ds.Detector):
    def detect(self, frames):
        return []


def found(**fields):
    return ds.Instances(FRAME.shape, BOXES, defect_types="black dot", **fields)


def check(instances):
    check_found(NamedComponent("seen", Seen()), [instances], [FRAME])


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([1, 2], "px"),
        (np.float32([1, np.nan]), "deg"),
        ([True, False], ""),
        (["a", "bc"], ""),
        (np.array(["a", None], object), ""),
        (np.array([np.nan, "a"], object), ""),
    ],
)
def test_measurements_are_numbers_flags_or_text(values, unit):
    check(found(measurements={"own": values}, units={"own": unit}))


@pytest.mark.parametrize(
    ("name", "values", "unit", "message"),
    [
        ("major_px", ["a", "b"], "", "'major_px' that must be real numbers, found <U1, on a.png"),
        ("depth_px", ["a", "b"], "px", "'depth_px' that must be real numbers"),
        ("x", ["a", "b"], "", "'x' that must be real numbers"),
        ("own", [1j, 2], "", "must be flags, real numbers or text, found complex128"),
        ("own", np.array([1, "a"], object), "", "real numbers or text, found object"),
        ("own", np.array([[], {}], object), "", "real numbers or text, found object"),
        ("own", np.array([1, 2], np.longdouble), "px", "must be real numbers, found"),
        (7, [1, 2], "", "a measurement whose name must be text, found 7"),
    ],
)
def test_measurements_of_other_kinds_are_named(name, values, unit, message):
    with pytest.raises(ds.ComponentError, match=f"^'seen' returned .*{message}"):
        check(found(measurements={name: values}, units={name: unit}))


BAR = ds.Mask(5000, 5000, np.ones((3, 3), bool))
NEAR = ds.Mask(-3, 38, np.ones((3, 9), bool))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scores": [0.5, 7]}, "the score 7, which must be within 0 and 1"),
        ({"scores": [-3, 0.5]}, "the score -3"),
        ({"measurements": {"x": [5, 9999]}}, "measured centres x, y far outside of a.png .60 x 40"),
        ({"measurements": {"y": [-41, 5]}}, "measured centres x, y far outside"),
        ({"masks": [NEAR, BAR]}, "masks far outside"),
        ({"lines": [[], [[3, 3], [np.nan, 3]]]}, "vertices that are NaN or far outside"),
        ({"lines": [[], [[3, 3], [-500, 3]]]}, "vertices that are NaN or far outside"),
    ],
)
def test_what_lies_elsewhere_is_named(fields, message):
    with pytest.raises(ds.ComponentError, match=f"^'seen' returned .*{message}"):
        check(found(**fields))


def test_centres_at_the_rim_and_what_is_not_measured_are_right():
    own = {"x": [np.nan, -20], "y": [np.inf, 44]}
    nothing = ds.Mask(999, 0, np.zeros((0, 0), bool))
    check(
        found(scores=[1.00001, 0], measurements=own, masks=[NEAR, nothing], lines=[[], [[-1, 4]]])
    )
    check(found()[:0])


class Sized(ds.PostProcessor):
    shapes = ("line",)
    columns = {"size_px": "px", "kind": ""}  # noqa: RUF012

    def process(self, frame, instances):
        return instances


TYPES = {known.name: known for known in SHIPPED}
SIZED = NamedComponent("sized", Sized(runtime=ds.Runtime(defect_types=TYPES)))
# Neither loops, which the post-processor is not about, nor what it is.
GIVEN = ds.Instances(
    FRAME.shape,
    [*BOXES, [40, 2, 50, 9]],
    defect_types=["dislocation-loop", "dislocation", "own"],
    measurements={"track": [4, 5, 6]},
)


def sized(instances=GIVEN, sizes=(np.nan, 4, 5), units=Sized.columns):
    columns = {"size_px": np.array(sizes)[: len(instances)], "kind": ["a"] * len(instances)}
    return instances.with_measurements(columns, units)


def test_post_processors_add_what_they_declare():
    for right in (sized(), GIVEN[:0]):
        check_processed(SIZED, FRAME, GIVEN[: len(right)], right)
    again = sized(sizes=(np.nan, 1, 1))
    check_processed(SIZED, FRAME, sized(sizes=(3, 4, 5)), sized(sizes=(3, 9, 9)))
    check_processed(SIZED, FRAME, again, again)


def test_post_processors_may_drop_what_they_are_about():
    class Fewer(Sized):
        drops = True

    fewer = NamedComponent("fewer", Fewer(runtime=ds.Runtime(defect_types=TYPES)))
    check_processed(fewer, FRAME, GIVEN, sized(GIVEN[:1]))
    with pytest.raises(ds.ComponentError, match="instances of others as they are"):
        check_processed(fewer, FRAME, GIVEN, GIVEN[:0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (sized(ds.Instances.concatenate([GIVEN, GIVEN]), [np.nan] * 6), "found 6 for 3"),
        (sized(GIVEN[:2]), "left out 1 of 3 instances on a.png.* drops = True"),
        (sized(units={}), "in other units: size_px on a.png"),
        (GIVEN, "missing: kind, size_px on a.png"),
        (sized().with_measurements({"more": [1, 2, 3]}, {}), "not declared: more on a.png"),
        (sized(sizes=(3, 4, 5)), "about shapes line, and must return instances of others as"),
        (sized(GIVEN[[1, 2, 2]], sizes=(3, 4, 5)), "instances of others as they are"),
        (sized().with_measurements({"track": [9, 5, 6]}, {}), "instances of others as they are"),
        (sized(GIVEN.moved(1, 0, FRAME.shape)), "instances of others as they are"),
    ],
)
def test_post_processors_that_do_other_things_are_named(wrong, message):
    with pytest.raises(ds.ComponentError, match=f"^'sized' .*{message}"):
        check_processed(SIZED, FRAME, GIVEN, wrong)
