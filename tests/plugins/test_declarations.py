"""Names that a class declares: a tuple without its comma is text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import defectscope as ds
from defectscope.core.errors import PluginLoadError
from defectscope.plugins.testing import isolated_host


class Counting(ds.Analysis):
    shapes = "ellipse"

    def analyse(self, tables):
        return []


class Misspelt(Counting):
    shapes = ("ellipse", "lines")


class Finding(ds.Detector):
    defect_types = "black dot"

    def detect(self, frames):
        return []


class ByItsOptions(Finding):
    @property
    def defect_types(self):
        return ("black dot",)


class Listed(Counting):
    shapes = ["line"]  # noqa: RUF012


@pytest.fixture
def load():
    def loaded(family, component):
        specs = [ds.ComponentSpec("mine", "Mine.", f"{__name__}:{component.__name__}")]
        hook = ds.hookimpl(lambda: specs)
        host = isolated_host(SimpleNamespace(**{f"defectscope_{family}": hook}))
        return host.load_class(host.find(family, "mine"))

    return loaded


@pytest.mark.parametrize(
    ("family", "component", "message"),
    [
        ("analyses", Counting, r"test-dist.*:Counting: shapes must be a tuple of names, found the "
         r"text 'ellipse'; write shapes = \('ellipse',\)"),
        ("analyses", Misspelt, r"shapes must be of ellipse, line, found 'lines' \(did you mean"),
        ("detectors", Finding, r"write defect_types = \('black dot',\)"),
    ],
)  # fmt: skip
def test_what_is_no_tuple_of_names_is_refused(load, family, component, message):
    with pytest.raises(PluginLoadError, match=message):
        load(family, component)


@pytest.mark.parametrize(
    ("family", "component"), [("detectors", ByItsOptions), ("analyses", Listed)]
)
def test_properties_and_lists_are_taken(load, family, component):
    assert load(family, component) is component
