"""Findings as files: none outside of its folder, none over another, none that ends a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import defectscope as ds
from defectscope.pipeline.finding_files import check_findings, write_found
from defectscope.pipeline.named import NamedComponent


class Nothing(ds.Analysis):
    def analyse(self, tables):
        return []


def analysis(alias="sizes", optional=True):
    return NamedComponent(alias, Nothing(runtime=ds.Runtime()), optional=optional)


def finding(name="sizes", table=None, **more):
    return ds.Finding(name, "Sizes", pd.DataFrame({"n": [1]}) if table is None else table, **more)


class Broken(Figure):
    def savefig(self, *_, **__):
        raise ValueError("no glyph")


@pytest.mark.parametrize("name", ["", "../sizes", "a/b", "a\\b", ".hidden", "a:b", None, 3])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(ds.ComponentError, match=r"'sizes'.*no file stem"):
        check_findings(analysis(), [finding(name)])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"table": {"n": [1]}}, "table must be a DataFrame, found dict"),
        ({"figure": Figure().add_subplot()}, "must be a matplotlib Figure, found Axes"),
        ({"numbers": (3.0,)}, "must be KeyNumber"),
        ({"note": None}, "title or note"),
        ({"numbers": (ds.KeyNumber("n", "many"),)}, "number 'n' must be real"),
        ({"numbers": (ds.KeyNumber("n", 1 + 2j),)}, "number 'n' must be real"),
        ({"numbers": (ds.KeyNumber("n", 1.0, low="0"),)}, "number 'n' must be real"),
        ({"numbers": (ds.KeyNumber(None, 1.0),)}, "label or unit is no text"),
        ({"numbers": (ds.KeyNumber("n", 1.0, 3),)}, "label or unit is no text"),
    ],
)
def test_parts_of_other_types_are_refused(wrong, message):
    with pytest.raises(ds.ComponentError, match=message):
        check_findings(analysis(), [finding(**wrong)])


def test_numbers_of_numpy_are_numbers():
    numbers = [
        ds.KeyNumber("a", np.int64(3), low=np.float32(1)),
        ds.KeyNumber("b", np.float64("nan")),
    ]
    check_findings(analysis(), [finding(numbers=numbers)])


def test_what_cannot_be_drawn_ends_only_what_was_asked_for(tmp_path):
    warnings = []
    pairs = [(analysis("one"), finding("one", figure=Broken())), (analysis("two"), finding("two"))]
    found = write_found(tmp_path, pairs, warnings)
    assert found.files == ["two.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["two.csv"]
    (text,) = warnings
    assert text.startswith("a finding is left out: 'one'")
    with pytest.raises(ds.ComponentError, match="no glyph"):
        write_found(tmp_path, [(analysis(optional=False), finding(figure=Broken()))], [])


def test_files_are_told_of_before_they_are_there(tmp_path):
    told = []

    def note(names):
        told.append((names, [path.name for path in tmp_path.iterdir()]))

    pairs = [(analysis(), finding("one", figure=Figure())), (analysis(), finding("two"))]
    write_found(tmp_path, pairs, [], ("png",), note)
    assert [(names, len(there)) for names, there in told] == [
        (["one.csv", "one.png"], 0), (["two.csv"], 2)
    ]  # fmt: skip


def test_a_second_finding_of_one_name_has_that_of_its_analysis(tmp_path):
    warnings = []
    pairs = [
        (analysis(alias), finding("Sizes" if alias == "b" else "sizes"))
        for alias in ("a", "b", "dist/c", "dist/c")
    ]
    found = write_found(tmp_path, pairs, warnings)
    assert found.files == ["sizes.csv", "b-Sizes.csv", "dist-c-sizes.csv", "dist-c-sizes-2.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(found.files)
    assert len(warnings) == 3
    assert "'sizes' of 'dist/c'" in warnings[1]
