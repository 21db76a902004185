"""Checks of what is installed: import cost, weights, defect types, and the order of things."""

from __future__ import annotations

import sys

import pytest

import defectscope as ds
from defectscope.plugins.conformance import (
    ConformanceError,
    NotCheckedError,
    check_component,
    check_import_cost,
)
from defectscope.plugins.testing import isolated_host, register


def module(folder, monkeypatch, code):
    (folder / "imported_plugin.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))
    return "imported_plugin"


@pytest.mark.parametrize(
    "code",
    [
        "import defectscope",
        "import sys; print('scipy'); print('torch', file=sys.stderr)",
        "import click, pydantic, numpy",
    ],
)
def test_light_imports(tmp_path, monkeypatch, code):
    check_import_cost(module(tmp_path, monkeypatch, code))


def test_heavy_imports(tmp_path, monkeypatch):
    name = module(tmp_path, monkeypatch, "import scipy.ndimage, cv2")
    with pytest.raises(ConformanceError, match="imports imported_plugin, which loads scipy, cv2"):
        check_import_cost(name)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import sys; sys.exit(0)", "it ended early"),
        ("import unobtainium", "No module named 'unobtainium'"),
    ],
)
def test_imports_that_fail(tmp_path, monkeypatch, code, message):
    with pytest.raises(NotCheckedError, match=message):
        check_import_cost(module(tmp_path, monkeypatch, code))


def test_a_heavy_plugin_is_a_warning(tmp_path, monkeypatch):
    code = """
import scipy
import defectscope as ds

@ds.hookimpl
def defectscope_defect_types():
    return [ds.DefectType("cavity", "Cavity ", "ellipse")]
"""
    name = module(tmp_path, monkeypatch, code)
    monkeypatch.delitem(sys.modules, name, raising=False)
    plugin = __import__(name)
    results = {r.name: r for r in check_component(isolated_host(plugin), None, "cavity")}
    assert results["import_cost"].status == "warning"
    assert results["defect_type"].status == "failed"
    assert "found 'Cavity '" in results["defect_type"].message
    del sys.modules[name]


class Names:
    @ds.hookimpl
    def defectscope_detectors(self):
        target = f"{__name__}:Unregistered"
        return [ds.ComponentSpec("unregistered", "Two\nlines.", target)]


class Unregistered(ds.Detector):
    defect_types = ("black dot", "void")

    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames]


def test_types_that_nobody_registers():
    host = isolated_host()
    register(host, Names())
    results = {r.name: r for r in check_component(host, "detectors", "unregistered")}
    assert "no plugin registers the defect types void" in results["types_are_registered"].message
    assert results["summary"].status == "failed"
    failed = {name for name, result in results.items() if result.status == "failed"}
    assert failed == {"types_are_registered", "summary"}


WEIGHTS: list = []


def weights():
    return WEIGHTS[0]


class Weights:
    @ds.hookimpl
    def defectscope_weights(self):
        return [ds.ComponentSpec("tiny", "Tiny.", f"{__name__}:weights")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny.safetensors", ""),
        ("tiny.onnx", ""),
        ("tiny.pt", "weights must be one of .safetensors, .onnx"),
        (None, "which is not there"),
    ],
)
def test_weights(tmp_path, monkeypatch, name, message):
    path = tmp_path / (name or "absent.onnx")
    if name:
        path.touch()
    monkeypatch.setitem(globals(), "WEIGHTS", [path])
    host = isolated_host()
    register(host, Weights())
    result = {r.name: r for r in check_component(host, "weights", "tiny")}["weights"]
    assert result.status == ("failed" if message else "passed")
    assert message in result.message


def test_weights_as_text(monkeypatch):
    monkeypatch.setitem(globals(), "WEIGHTS", ["tiny.onnx"])
    host = isolated_host()
    register(host, Weights())
    result = {r.name: r for r in check_component(host, "weights", "tiny")}["weights"]
    assert "must return a pathlib.Path, found str" in result.message
