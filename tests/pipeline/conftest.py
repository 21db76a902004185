"""Small components and series to run pipelines with."""

from __future__ import annotations

import importlib
import sys
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

import defectscope as ds
from defectscope.plugins.host import PluginHost, PluginRecord, default_host

SHAPE = (48, 64)


class FindOptions(ds.Options):
    """Options of the test detector."""

    boxes: int = Field(3, ge=0, description="boxes a frame")
    fail_on: int = Field(-1, description="frame index on which to raise")


class Find(ds.Detector):
    """As many boxes as asked for, in places that depend on the frame's pixels alone."""

    Options = FindOptions
    options: FindOptions
    defect_types = ("black dot",)

    def detect(self, frames):
        found = []
        for frame in frames:
            if frame.index == self.options.fail_on:
                raise RuntimeError("no idea")
            rng = np.random.default_rng(int(frame.pixels.sum()))
            height, width = frame.shape
            corner = rng.uniform(0, [width - 8, height - 8], (self.options.boxes, 2))
            boxes = np.hstack([corner, corner + 6])
            found.append(ds.Instances(frame.shape, boxes, defect_types="black dot"))
        return found


class Axes(ds.PostProcessor):
    """Box sides as axes."""

    columns: ClassVar = {"major_px": "px", "minor_px": "px", "area_px": "px2"}

    def process(self, frame, instances):
        sides = instances.boxes[:, 2:] - instances.boxes[:, :2]
        values = {"major_px": sides[:, 0], "minor_px": sides[:, 1], "area_px": sides.prod(axis=1)}
        return instances.with_measurements(values, self.columns)


class Mutating(ds.PostProcessor):
    """Writes into the frame, which it must not."""

    def process(self, frame, instances):
        frame.pixels[0, 0] = 0
        return instances


class TooMany(ds.Detector):
    """Returns one result more than there are frames."""

    def detect(self, frames):
        return [ds.Instances.empty(frame.shape) for frame in frames] * 2


class Outside(ds.Detector):
    """Returns a box far outside of the frame."""

    def detect(self, frames):
        box = [[-30, -30, -20, -20]]
        return [ds.Instances(frame.shape, box, defect_types="x") for frame in frames]


class Unsaid(ds.Detector):
    """Returns a type that it does not declare."""

    def detect(self, frames):
        names = ["mystery", "black dot"]
        boxes = [[0, 0, 9, 9], [20, 20, 29, 29]]
        return [ds.Instances(frame.shape, boxes, defect_types=names) for frame in frames]


class Named(ds.Detector):
    """Gives a measurement the name of a column that every table has."""

    def detect(self, frames):
        boxes, own = [[0, 0, 9, 9]], {"detection": [3.0]}
        return [ds.Instances(f.shape, boxes, defect_types="x", measurements=own) for f in frames]


class Calibrated(ds.PostProcessor):
    """Gives a measurement the name of the calibrated twin of another."""

    def process(self, frame, instances):
        return instances.with_measurements({"major_nm": [1.0] * len(instances)}, {})


class ByRank(ds.Tracker):
    """The n-th detection of every frame is particle n."""

    def link(self, detections, geometry=None):
        return detections.assign(particle=detections.groupby("frame").cumcount())


class Plugin:
    """Registers the components above."""

    @ds.hookimpl
    def defectscope_detectors(self):
        return [
            ds.ComponentSpec("find", "Test detector.", f"{__name__}:Find"),
            ds.ComponentSpec("too-many", "Wrong length.", f"{__name__}:TooMany"),
            ds.ComponentSpec("named", "Wrong columns.", f"{__name__}:Named"),
            ds.ComponentSpec("unsaid", "Types of its own.", f"{__name__}:Unsaid"),
            ds.ComponentSpec("outside", "Wrong boxes.", f"{__name__}:Outside"),
        ]

    @ds.hookimpl
    def defectscope_postprocessors(self):
        return [
            ds.ComponentSpec("axes", "Box sides.", f"{__name__}:Axes"),
            ds.ComponentSpec("calibrated", "Wrong columns.", f"{__name__}:Calibrated"),
            ds.ComponentSpec("mutating", "Writes into the frame.", f"{__name__}:Mutating"),
        ]

    @ds.hookimpl
    def defectscope_trackers(self):
        return [ds.ComponentSpec("by-rank", "By rank.", f"{__name__}:ByRank")]

    @ds.hookimpl
    def defectscope_defect_types(self):
        return [
            ds.DefectType(
                "black dot", "Black dot", "ellipse", size_definition="equivalent-diameter"
            )
        ]


@pytest.fixture
def host() -> PluginHost:
    """A host that knows the components above and nothing else."""
    host = PluginHost(entry_points=())
    host.register(Plugin(), PluginRecord("test", "test-components", "1.0", __name__))
    return host


@pytest.fixture
def with_readers(host):
    """The host above, which finds readers where they are installed."""
    readers = default_host()

    class Both:
        def registered(self, family):
            return (readers if family == "readers" else host).registered(family)

        def __getattr__(self, name):
            return getattr(host, name)

        def build(self, family, *given, **options):
            return (readers if family == "readers" else host).build(family, *given, **options)

        def load_class(self, entry):
            return readers.load_class(entry)

    return Both()


class Series(ds.FrameSequence):
    """Frames made from their index; those in `damaged` cannot be read."""

    def __init__(self, count: int, damaged: tuple[int, ...] = (), odd: int | None = None) -> None:
        self.indices = tuple(range(count))
        self.names = tuple(f"frame{k:03d}.png" for k in range(count))
        self.warnings: list[str] = []
        self.calibration = ds.Calibration(
            pixel_size_nm=0.5, dose_start_dpa=0.0, dose_per_frame_dpa=0.1
        )
        self.damaged, self.odd = damaged, odd

    def read(self, position: int) -> Any:
        if position in self.damaged:
            raise ds.DamagedFrameError(f"{self.names[position]}: the file is truncated")
        shape = (SHAPE[0] + 2, SHAPE[1]) if position == self.odd else SHAPE
        return np.random.default_rng(position).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def series():
    """Make a series."""
    return Series


@pytest.fixture(scope="module")
def components(request, tmp_path_factory):
    """The test module's COMPONENTS as a module MODULE, which other processes can import."""
    name, source = request.module.MODULE, request.module.COMPONENTS
    folder = tmp_path_factory.mktemp("importable")
    (folder / f"{name}.py").write_text(source)
    sys.path.insert(0, str(folder))
    yield importlib.import_module(name)
    sys.path.remove(str(folder))
    sys.modules.pop(name)
