"""Synthetic twins of labelled images (P1: Govind et al., section 5.3, Fig. 14)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import Generator, Instances, Runtime
from defectscope.generators.input_files import file_digests
from defectscope.generators.line_contrast import local_texture, median_along
from defectscope.generators.line_painting import PaintedPiece, paint_lines
from defectscope.generators.slip_traces import paint_trace
from defectscope.generators.twin_background import (
    MeasuredBackground,
    around_lines,
    measure_background,
)
from defectscope.generators.twin_measuring import TwinLine, measured_lines, set_lines
from defectscope.generators.twin_options import TwinOptions
from defectscope.generators.twin_placing import placed_in
from defectscope.generators.twin_sources import Source, files_of, grey_of, read_sources
from defectscope.generators.twin_traces import SlipTrace, inferred_traces, measured_traces

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Twin", "TwinOptions"]

DEFECT_TYPE = "dislocation"
UNITS = {"length_px": "px", "width_px": "px", "contrast": ""}


@dataclass(frozen=True)
class _Original:
    """A labelled image, scaled to the frame, and what was measured on it."""

    source: Source
    traces: list[SlipTrace]
    lines: list[TwinLine] | None = None
    background: MeasuredBackground | None = None
    image: dict[str, Any] | None = None


class Twin(Generator):
    """The dislocations of a labelled image, drawn where they are labelled.

    Every labelled line is in the truth, as the cubic spline through its labelled points; width,
    contrast and background are those of the image, so that twin and image can be compared. A
    frame of another size shows the image scaled, both sides by one factor. With a measured
    background the canvas is drawn over, and what generators before it labelled is flagged
    ``ignore``: name ``twin`` before other generators.
    """

    Options = TwinOptions
    options: TwinOptions
    defect_types = (DEFECT_TYPE,)
    copies_files = True

    _sources: tuple[Source, ...] = ()

    def __init__(self, options: TwinOptions | None = None, runtime: Runtime | None = None) -> None:
        super().__init__(options, runtime)
        self._measured_before: OrderedDict[tuple[int, int, int], _Original] = OrderedDict()

    def open(self) -> None:
        """Read the labels.

        Raises
        ------
        OptionError
            None were named.
        InputError, FormatError
            They are not there, or malformed, or hold no line to replicate.
        """
        options = self.options
        self._sources = tuple(read_sources(options.labels, options.label, options.trace_label))

    def depends_on(self) -> dict[str, Any]:
        """Return digests of the labels, and of the images that can be found."""
        if not self._sources:
            self.open()
        return file_digests(files_of(self._sources, self.options.image))

    def close(self) -> None:
        """Forget what was measured."""
        self._measured_before.clear()

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw the twin of one labelled image.

        Raises
        ------
        OptionError
            The canvas has other proportions than the image.
        InputError, FormatError
            The image cannot be read, or does not belong to its labels.
        """
        original = self._original((canvas.shape[0], canvas.shape[1]))
        pixels = np.ascontiguousarray(canvas)
        self.covered = None
        if original.background is not None and self.options.background == "measured":
            pixels[...] = original.background.render(rng)
            self.covered = np.ones(pixels.shape, bool)
        texture = local_texture(pixels)
        traces = self._draw_traces(pixels, texture, original.traces, rng)
        paths = original.source.paths
        lines = original.lines or set_lines(len(paths), self.options, rng)
        around = [median_along(texture, path) for path in paths]
        grey = self._grey(lines, original, around)
        styles, levels = [line.style for line in lines], [line.level for line in lines]
        pieces = paint_lines(pixels, paths, styles, grey, rng, levels)
        if pixels is not canvas:
            canvas[...] = pixels
        self._record(original, lines, traces, around)
        return _truth((canvas.shape[0], canvas.shape[1]), pieces, around)

    def _original(self, shape: tuple[int, int]) -> _Original:
        """Return the image whose turn it is; those used last are not measured again."""
        if not self._sources:
            self.open()
        number = self.sample_number % len(self._sources)
        kept, key = self._measured_before, (number, *shape)
        if key not in kept:
            kept[key] = self._measured(self._sources[number], shape)
        kept.move_to_end(key)
        while len(kept) > self.options.cached_images:
            kept.popitem(last=False)
        return kept[key]

    def _measured(self, source: Source, shape: tuple[int, int]) -> _Original:
        options = self.options
        scaled, placing = placed_in(source, shape, options.proportions == "crop")
        labelled = options.traces == "labelled" or (options.traces == "auto" and source.traces)
        traces = [SlipTrace(ends) for ends in scaled.traces] if labelled else []
        if options.traces == "inferred" or (options.traces == "auto" and not labelled):
            traces = inferred_traces(scaled.paths, scaled.groups)
        if options.lines == "set" and options.background == "canvas":
            return _Original(scaled, traces)
        alone = len(self._sources) == 1
        grey, image = grey_of(source, options.image, options.scaling, alone)
        pixels = placing.pixels(grey)
        image |= {"scaled_px": list(placing.scaled_px[::-1]), "offset_px": list(placing.offset_px)}
        lines, widths = None, [options.width_px] * len(scaled.paths)
        if options.lines == "measured":
            traces = measured_traces(pixels, traces, scaled.paths, labelled=bool(labelled))
            lines = measured_lines(pixels, scaled.paths, options, image["file"])
            widths = [line.style.width_px for line in lines]
        if options.background == "canvas" and options.contrast_unit == "grey":
            return _Original(scaled, traces, lines, None, image)
        drawn = [*scaled.paths, *(trace.ends for trace in traces)]
        widths += [trace.width_px for trace in traces]
        background = measure_background(pixels, around_lines(shape, drawn, widths))
        return _Original(scaled, traces, lines, background, image)

    def _grey(self, lines: list[TwinLine], original: _Original, around: list[float]) -> list[float]:
        """Return the grey of one unit of strength of each line."""
        if original.lines is None:
            return around
        if self.options.contrast_unit == "grey" or original.background is None:
            return [1.0] * len(lines)
        texture = original.background.texture.astype(np.float32)
        own = [median_along(texture, path) for path in original.source.paths]
        return [here / there for here, there in zip(around, own, strict=True)]

    def _draw_traces(
        self,
        pixels: NDArray[np.float32],
        texture: NDArray[np.float32],
        traces: list[SlipTrace],
        rng: np.random.Generator,
    ) -> list[dict[str, Any]]:
        drawn = []
        for trace in traces:
            points = np.linspace(trace.ends[0], trace.ends[1], 200)
            grey = trace.grey
            if grey is None:
                grey = -self.options.trace_strength * median_along(texture, points)
            paint_trace(pixels, trace.ends, grey, trace.width_px, rng)
            drawn.append(
                {"ends": trace.ends.tolist(), "grey": float(grey), "width_px": trace.width_px}
            )
        return drawn

    def _record(
        self,
        original: _Original,
        lines: list[TwinLine],
        traces: list[dict[str, Any]],
        around: list[float],
    ) -> None:
        source = original.source
        parts = zip(source.positions, lines, around, strict=True)
        self.last_parameters: dict[str, Any] = {
            "labels": source.record(),
            "image": original.image,
            "lines": [
                {"position": position} | line.record() | {"local_texture": texture}
                for position, line, texture in parts
            ],
            "traces": traces,
        }


def _truth(shape: tuple[int, int], pieces: list[PaintedPiece], around: list[float]) -> Instances:
    shown = [piece for piece in pieces if piece.mask.area_px]
    columns = {
        "length_px": [piece.length_px for piece in shown],
        "width_px": [piece.width_px for piece in shown],
        "contrast": [piece.grey / around[piece.line] for piece in shown],
    }
    return Instances(
        shape,
        [piece.mask.box for piece in shown],
        defect_types=DEFECT_TYPE,
        masks=[piece.mask for piece in shown],
        lines=[piece.points for piece in shown],
        measurements={name: np.array(values, float) for name, values in columns.items()},
        units=UNITS,
    )
