"""Which analyses a run is asked for."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

import defectscope as ds
from defectscope.pipeline.finishing import about_what_was_found
from defectscope.pipeline.named import NamedComponent
from defectscope.plugins.shipped_types import SHIPPED


class OfLines(ds.Analysis):
    shapes = ("line",)

    def analyse(self, tables):
        return []


class OfAll(ds.Analysis):
    def analyse(self, tables):
        return []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["dislocation-loop"], ["all"]),
        (["dislocation-loop", "dislocation"], ["lines", "all"]),
        (["dislocation"], ["lines", "all"]),
        (["something of another plugin"], ["lines", "all"]),
        ([], ["lines", "all"]),
    ],
)
def test_analyses_of_a_shape_that_was_not_found_are_left_out(found, expected):
    runtime = ds.Runtime(defect_types={known.name: known for known in SHIPPED})
    named = [
        NamedComponent("lines", OfLines(runtime=runtime)),
        NamedComponent("all", OfAll(runtime=runtime)),
    ]
    result = SimpleNamespace(detections=pd.DataFrame({"defect_type": found}, dtype=str))
    assert [n.alias for n in about_what_was_found(named, result)] == expected
