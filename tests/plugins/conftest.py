"""A folder of fake installed plugins."""

from __future__ import annotations

import importlib.metadata
import sys
import textwrap

import pytest

from defectscope.plugins.host import PluginHost

DETECTORS = """
import defectscope as ds

@ds.hookimpl
def defectscope_detectors():
    return [ds.ComponentSpec("{name}", "Finds nothing.", "{module}:Detector")]
"""
DETECTOR = (
    DETECTORS
    + """
class Detector(ds.Detector):
    defect_types = ("black dot",)

    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames]
"""
)


class Site:
    """A folder of fake installed distributions, on sys.path."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.modules: list[str] = []
        monkeypatch.syspath_prepend(str(folder))

    def install(self, distribution, code=None, *, version="1.0", plugin=None, value=None):
        """Write a module and the metadata of a distribution with one entry point to it."""
        module = distribution.replace("-", "_").replace(".", "_") + "_plugin"
        if code is not None:
            text = textwrap.dedent(code)
            (self.folder / f"{module}.py").write_text(text.replace("{module}", module))
        self.modules.append(module)
        info = self.folder / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(
            f"[defectscope]\n{plugin or distribution} = {value or module}\n"
        )
        return info

    def host(self, **choices):
        found = importlib.metadata.distributions(path=[str(self.folder)])
        points = [
            point
            for distribution in found
            for point in distribution.entry_points.select(group="defectscope")
        ]
        return PluginHost(entry_points=points, **choices)

    def detector(self, name="good"):
        """Return the code of a plugin with a detector that finds nothing."""
        return DETECTOR.replace("{name}", name)


@pytest.fixture
def site(tmp_path, monkeypatch):
    made = Site(tmp_path, monkeypatch)
    yield made
    for name in made.modules:
        sys.modules.pop(name, None)
