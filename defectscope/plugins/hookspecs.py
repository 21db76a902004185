"""The hooks that a plugin can implement; each docstring holds a complete plugin.

A plugin is a module named by an entry point of the group ``defectscope``::

    [project.entry-points.defectscope]
    my-plugin = "my_package.plugin"

Hooks return specifications, not classes: a component is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from defectscope.plugins.markers import hookspec

if TYPE_CHECKING:
    import click

    from defectscope.core.components import ComponentSpec, FormatSpec, ReaderSpec
    from defectscope.core.defect_types import DefectType

__all__: list[str] = []


@hookspec
def defectscope_defect_types() -> Iterable[DefectType]:
    """Return the defect types that this plugin adds.

    Examples
    --------
    ::

        from defectscope import DefectType, hookimpl

        @hookimpl
        def defectscope_defect_types():
            return [DefectType("cavity", "Cavity", "ellipse", contrast="bright",
                               size_definition="equivalent-diameter", colour="#0072b2")]
    """


@hookspec
def defectscope_backgrounds() -> Iterable[ComponentSpec]:
    """Return the backgrounds that generators can draw on.

    Examples
    --------
    ::

        import numpy as np
        import defectscope as ds

        @ds.hookimpl
        def defectscope_backgrounds():
            return [ds.ComponentSpec("flat", "One grey level.", "my_package.plugin:Flat")]

        class Flat(ds.Background):
            def render(self, shape, rng):
                level = rng.uniform(0.4, 0.8)
                return np.full(shape, level, np.float32), {"level": level}
    """


@hookspec
def defectscope_generators() -> Iterable[ComponentSpec]:
    """Return the generators of labelled synthetic defects.

    Examples
    --------
    ::

        import numpy as np
        import defectscope as ds

        @ds.hookimpl
        def defectscope_generators():
            return [ds.ComponentSpec("square", "One dark square.", "my_package.plugin:Square")]

        class Square(ds.Generator):
            defect_types = ("black dot",)

            def draw(self, canvas, rng):
                x, y = rng.integers(0, np.array(canvas.shape[::-1]) - 9)
                canvas[y:y + 9, x:x + 9] *= 0.5
                return ds.Instances(canvas.shape, [[x, y, x + 9, y + 9]],
                                    defect_types=["black dot"])
    """


@hookspec
def defectscope_detectors() -> Iterable[ComponentSpec]:
    """Return the detectors.

    Examples
    --------
    ::

        import numpy as np
        import defectscope as ds

        @ds.hookimpl
        def defectscope_detectors():
            return [ds.ComponentSpec("darkest", "A box around the darkest pixel.",
                                     "my_package.plugin:Darkest")]

        class Darkest(ds.Detector):
            defect_types = ("black dot",)

            def detect(self, frames):
                found = []
                for frame in frames:
                    y, x = np.unravel_index(frame.pixels.argmin(), frame.shape)
                    found.append(ds.Instances(frame.shape, [[x, y, x + 1, y + 1]],
                                              defect_types=["black dot"]))
                return found
    """


@hookspec
def defectscope_postprocessors() -> Iterable[ComponentSpec]:
    """Return the post-processors, which turn detections into geometry.

    Examples
    --------
    ::

        import defectscope as ds

        @ds.hookimpl
        def defectscope_postprocessors():
            return [ds.ComponentSpec("box-area", "Area of the box.", "my_package.plugin:BoxArea")]

        class BoxArea(ds.PostProcessor):
            columns = {"box_area_px": "px2"}

            def process(self, frame, instances):
                x0, y0, x1, y1 = instances.boxes.T
                return instances.with_measurements(
                    {"box_area_px": (x1 - x0) * (y1 - y0)}, self.columns)
    """


@hookspec
def defectscope_trackers() -> Iterable[ComponentSpec]:
    """Return the trackers, which link detections through time.

    Examples
    --------
    ::

        import defectscope as ds

        @ds.hookimpl
        def defectscope_trackers():
            return [ds.ComponentSpec("none", "Every detection by itself.",
                                     "my_package.plugin:Loners")]

        class Loners(ds.Tracker):
            def link(self, detections, geometry=None):
                return detections.assign(particle=range(len(detections)))
    """


@hookspec
def defectscope_analyses() -> Iterable[ComponentSpec]:
    """Return the analyses, which turn tables into quantities and figures.

    Examples
    --------
    ::

        import defectscope as ds

        @ds.hookimpl
        def defectscope_analyses():
            return [ds.ComponentSpec("mean-score", "Mean score of each frame.",
                                     "my_package.plugin:MeanScore")]

        class MeanScore(ds.Analysis):
            def analyse(self, tables):
                table = tables.detections.groupby("frame")["score"].mean().reset_index()
                return [ds.Finding("mean-score", "Mean score", table)]
    """


@hookspec
def defectscope_readers() -> Iterable[ReaderSpec]:
    """Return the readers of image, stack and video files.

    Examples
    --------
    ::

        import numpy as np
        import defectscope as ds

        @ds.hookimpl
        def defectscope_readers():
            return [ds.ReaderSpec("npy", "One NumPy array a file.", "my_package.plugin:Npy",
                                  suffixes=(".npy",))]

        class Npy(ds.Reader):
            def read(self, path):
                return NpyFrames(path)

        class NpyFrames(ds.FrameSequence):
            def __init__(self, path):
                self.path, self.indices, self.names, self.warnings = path, (0,), (path.name,), []

            def read(self, position):
                try:
                    return np.load(self.path).astype(np.float32)
                except (OSError, EOFError, ValueError) as error:
                    raise ds.InputError(f"{self.path} is no NumPy array: {error}") from error
    """


@hookspec
def defectscope_formats() -> Iterable[FormatSpec]:
    """Return the annotation formats that ``convert`` and ``evaluate`` know.

    Examples
    --------
    ::

        import defectscope as ds

        @ds.hookimpl
        def defectscope_formats():
            return [ds.FormatSpec("count-list", "Instances an image, as text.",
                                  "my_package.plugin:CountList", reads=False)]

        class CountList(ds.AnnotationFormat):
            def save(self, dataset, path):
                rows = [f"{i.file_name} {len(i.instances)}" for i in dataset.images]
                path.write_text("\\n".join(rows))
                return ["boxes, masks and lines are left out"]
    """


@hookspec
def defectscope_weights() -> Iterable[ComponentSpec]:
    """Return named weights; `target` names a function that returns the file's path.

    Examples
    --------
    ::

        from pathlib import Path
        import defectscope as ds

        @ds.hookimpl
        def defectscope_weights():
            return [ds.ComponentSpec("cavities-small", "Cavities, 1 MB, synthetic data only.",
                                     "my_package.plugin:cavities_small")]

        def cavities_small():
            return Path(__file__).with_name("cavities-small.safetensors")
    """


@hookspec
def defectscope_commands(cli: click.Group) -> None:
    """Add commands to the command line.

    Examples
    --------
    ::

        import click
        from defectscope import hookimpl

        @hookimpl
        def defectscope_commands(cli):
            @cli.command()
            @click.argument("name")
            def greet(name):
                click.echo(f"Hello {name}")
    """
