"""What a detector or a post-processor may return of a frame."""

from __future__ import annotations

import numpy as np
import pytest

import defectscope as ds
from defectscope.pipeline.found_checks import check_found
from defectscope.pipeline.named import NamedComponent

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
