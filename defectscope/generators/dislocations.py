"""Dislocation lines in pile-ups, with exact truth (P1: Govind et al., sections 2.3 and 2.4)."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import Generator, Instances
from defectscope.core.errors import OptionError
from defectscope.generators.dislocation_options import DislocationsOptions
from defectscope.generators.input_files import file_digests, file_records, labelme_files
from defectscope.generators.line_contrast import CONTRASTS, LineStyle, TextureCells
from defectscope.generators.line_painting import PaintedPiece, paint_lines
from defectscope.generators.line_paths import pieces_inside, spline_paths
from defectscope.generators.microstructure import PRESETS, Microstructure
from defectscope.generators.microstructure_fit import normalised_shapes
from defectscope.generators.pileups import PileUp, PileUpRules, draw_pileup
from defectscope.generators.slip_traces import paint_trace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Dislocations", "DislocationsOptions"]

DEFECT_TYPE = "dislocation"
UNITS = {"length_px": "px", "width_px": "px", "contrast": ""}
# How often "mixed" chooses each of CONTRASTS.
MIXED_WEIGHTS = (0.5, 0.1, 0.15, 0.25)
# Frames smaller than this part of the microstructure's reference show a part of it.
LEAST_SCALE = 0.25
# Lines of a pile-up lie in one foil under one beam: alike, to these relative spreads.
STRENGTH_SPREAD = 0.15
WIDTH_SPREAD = 0.1
# More digits of vertices, in px, mean nothing, and make files half as large again.
VERTEX_DECIMALS = 4
# A black-white pair is two lines side by side.
DOUBLE_WIDTH = 1.7
# Pile-ups tried one after the other without any line, before a frame counts as too small.
PATIENCE = 1000


class Dislocations(Generator):
    """Pile-ups of dislocations on slip traces.

    A line is cut at the rim of the frame. Where it leaves and comes back, each part inside is an
    instance, for each is seen as a line of its own. The number of instances never exceeds
    ``count`` (or ``most``): lines whose parts would are not drawn.
    """

    Options = DislocationsOptions
    options: DislocationsOptions
    defect_types = (DEFECT_TYPE,)

    _microstructure: Microstructure | None = None
    _shapes: tuple[NDArray[np.float64], ...] = ()
    _files: Sequence[dict[str, str]] = ()

    def open(self) -> None:
        """Read the files that the options name."""
        options = self.options
        chosen = PRESETS[options.preset]
        if options.microstructure is not None:
            chosen = Microstructure.load(options.microstructure)
        self._shapes = tuple(np.array(shape) for shape in chosen.line_shapes)
        if options.shapes_from is not None:
            self._shapes = normalised_shapes(options.shapes_from, options.trace_label)
        self._microstructure, self._files = chosen, file_records(self._named_files())

    def depends_on(self) -> dict[str, Any]:
        """Return digests of the files that the options name."""
        return file_digests(self._named_files())

    def _named_files(self) -> list[Path]:
        options = self.options
        files = [] if options.microstructure is None else [options.microstructure]
        return files if options.shapes_from is None else files + labelme_files(options.shapes_from)

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw the pile-ups of one image, traces first.

        Raises
        ------
        OptionError
            The frame has no room for ``count`` lines.
        """
        shape = canvas.shape[0], canvas.shape[1]
        pixels = np.ascontiguousarray(canvas)
        texture = TextureCells.of(pixels)
        pileups, paths, parts = self._plan(shape, rng)
        traces = self._draw_traces(pixels, texture, pileups, rng)
        styles = [style for pileup in pileups for style in self._styles(pileup, rng)]
        around = texture.medians_along(paths)
        grey = around if self.options.contrast_unit == "texture" else [1.0] * len(paths)
        pieces = paint_lines(pixels, paths, styles, grey, rng)
        if pixels is not canvas:
            canvas[...] = pixels
        self._record(pileups, traces, styles, around)
        truth = self._truth(shape, pieces, parts, around)
        self.covered = np.zeros(shape, bool)
        for mask in truth.masks or ():
            left, top, right, bottom = mask.box
            self.covered[top:bottom, left:right] |= mask.bitmap
        return truth

    def _plan(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[list[PileUp], list[NDArray[np.float64]], list[int]]:
        """Return pile-ups, the paths of their lines, and how many parts of each are inside."""
        if self._microstructure is None:
            self.open()
        microstructure, options = self._microstructure, self.options
        assert microstructure is not None
        limit = options.most if options.count is None else options.count
        wanted = microstructure.pileups.sample(rng)
        rules = self._rules(shape, microstructure)
        pileups: list[PileUp] = []
        paths: list[NDArray[np.float64]] = []
        parts: list[int] = []
        room, tried, in_vain = limit, 0, 0
        while room and (tried < wanted if options.count is None else in_vain < PATIENCE):
            tried, in_vain = tried + 1, in_vain + 1
            pileup = draw_pileup(shape, microstructure, rules, self._shapes, rng)
            pileup, inside, counts = self._fitting(pileup, shape, room)
            if inside:
                pileups.append(pileup)
                paths += inside
                parts += counts
                room -= sum(counts)
                in_vain = 0
        if options.count is not None and room:
            raise OptionError(
                f"dislocations: a frame of {shape[1]} x {shape[0]} px has room for only "
                f"{limit - room} of count = {limit} lines with parts of at least "
                f"{self._shortest_px(shape):g} px; lower count or shortest_px, or use larger frames"
            )
        return pileups, paths, parts

    def _fitting(
        self, pileup: PileUp, shape: tuple[int, int], room: int
    ) -> tuple[PileUp, list[NDArray[np.float64]], list[int]]:
        """Return the lines that can be seen, as long as there is room, and their parts."""
        keep: list[int] = []
        paths: list[NDArray[np.float64]] = []
        counts: list[int] = []
        for k, path in enumerate(spline_paths(pileup.support)):
            lengths = [(end - start) for start, end, _ in pieces_inside(path, shape)]
            step = float(np.hypot(*(path[1] - path[0])))
            # Painting bends lines a little: what is nearly too short may fall on either side.
            margin, shortest = 4 * self.options.waviness_px, self._shortest_px(shape)
            unsure = any(abs(length * step - shortest) < margin for length in lengths)
            parts = sum(length * step >= shortest for length in lengths)
            if parts and not unsure and sum(counts) + parts <= room:
                keep.append(k)
                paths.append(path)
                counts.append(parts)
        return pileup.only(keep), paths, counts

    def _rules(self, shape: tuple[int, int], microstructure: Microstructure) -> PileUpRules:
        options, scale = self.options, 1.0
        if options.scale_to_frame:
            scale = max(min(shape) / microstructure.reference_px, LEAST_SCALE)
        return PileUpRules(
            options.support_points,
            options.jitter,
            options.near_pairs,
            options.crossings,
            (options.width_low_px, 1.5 * options.width_high_px),
            scale,
        )

    def _shortest_px(self, shape: tuple[int, int]) -> float:
        return min(self.options.shortest_px, 0.5 * min(shape))

    def _draw_traces(
        self,
        canvas: NDArray[np.float32],
        texture: TextureCells,
        pileups: list[PileUp],
        rng: np.random.Generator,
    ) -> list[list[dict[str, float]]]:
        options = self.options
        drawn = []
        every = [ends for pileup in pileups for ends in pileup.traces]
        textures = iter(texture.medians_along([np.linspace(e[0], e[1], 200) for e in every]))
        for pileup in pileups:
            here: list[dict[str, float]] = []
            for ends in pileup.traces:
                around = next(textures)
                shown = rng.random() < options.traces
                contrast = rng.uniform(options.trace_low, options.trace_high)
                # Darker than its surroundings more often than lighter.
                contrast *= -1 if rng.random() < 0.65 else 1
                width = rng.uniform(1.2, 2.8)
                if shown:
                    paint_trace(canvas, ends, contrast * around, width, rng)
                    here.append({"contrast": float(contrast), "width_px": float(width)})
                else:
                    here.append({})
            drawn.append(here)
        return drawn

    def _styles(self, pileup: PileUp, rng: np.random.Generator) -> list[LineStyle]:
        options, count = self.options, len(pileup.support)
        kind = CONTRASTS[int(rng.choice(len(CONTRASTS), p=MIXED_WEIGHTS))]
        if options.contrast != "mixed":
            kind = options.contrast
        low, high = options.contrast_low, options.contrast_high
        # Faint ones are the more frequent.
        strength = low + (high - low) * rng.beta(1.3, 2.0)
        strengths = strength * (1 + STRENGTH_SPREAD * rng.standard_normal(count))
        factor = DOUBLE_WIDTH if kind == "double" else 1.0
        width = rng.uniform(options.width_low_px, options.width_high_px)
        widths = width * (1 + WIDTH_SPREAD * rng.standard_normal(count))
        widths = factor * np.clip(widths, options.width_low_px, options.width_high_px)
        flatness, side = rng.uniform(1.9, 2.8), int(rng.choice([-1, 1]))
        fringe, phase = rng.uniform(5, 12) * width, rng.uniform(0, 2 * np.pi)
        styles = [
            LineStyle(
                kind,
                float(np.clip(strengths[k], low, high)),
                float(widths[k]),
                float(flatness),
                side,
                float(fringe),
                # Fringes of neighbours lie at the same depth in the foil.
                float(phase + rng.normal(0, 0.3)),
                options.variation,
                float(rng.uniform(12, 45)),
                options.waviness_px,
                float(rng.uniform(7, 14)),
                options.roughness,
                options.roughness_px,
            )
            for k in range(count)
        ]
        if options.painted and kind in ("dark", "bright") and rng.random() < options.painted:
            styles = _as_paint(styles, rng)
        return styles

    def _record(
        self,
        pileups: list[PileUp],
        traces: list[list[dict[str, float]]],
        styles: list[LineStyle],
        around: list[float],
    ) -> None:
        microstructure = self._microstructure
        assert microstructure is not None
        digest = hashlib.sha256(microstructure.model_dump_json().encode()).hexdigest()
        remaining = zip(styles, around, strict=True)
        self.last_parameters: dict[str, Any] = {
            "microstructure": {"title": microstructure.title, "sha256": digest},
            "files": list(self._files),
            "pileups": [
                pileup.record()
                | {"drawn_traces": drawn}
                | {
                    "lines": [
                        style.record() | {"local_texture": texture}
                        for style, texture in (next(remaining) for _ in pileup.support)
                    ]
                }
                for pileup, drawn in zip(pileups, traces, strict=True)
            ],
        }

    def _truth(
        self,
        shape: tuple[int, int],
        pieces: list[PaintedPiece],
        parts: list[int],
        around: list[float],
    ) -> Instances:
        options = self.options
        shown = [
            (piece, piece.grey / around[piece.line])
            for piece in _longest(pieces, parts)
            if piece.length_px >= self._shortest_px(shape)
            and float(np.hypot(piece.grey, piece.opacity * around[piece.line]))
            >= options.visible_from * around[piece.line]
            and piece.mask.area_px
        ]
        columns = {
            "length_px": [piece.length_px for piece, _ in shown],
            "width_px": [piece.width_px for piece, _ in shown],
            "contrast": [contrast for _, contrast in shown],
        }
        return Instances(
            shape,
            [piece.mask.box for piece, _ in shown],
            defect_types=DEFECT_TYPE,
            masks=[piece.mask for piece, _ in shown],
            lines=[np.round(piece.points, VERTEX_DECIMALS) for piece, _ in shown],
            measurements={name: np.array(values, float) for name, values in columns.items()},
            units=UNITS,
        )


def _as_paint(styles: list[LineStyle], rng: np.random.Generator) -> list[LineStyle]:
    """Return styles that hide the texture, for which less contrast is enough to be seen."""
    opacity, fainter, calm = rng.uniform(0.6, 1), rng.uniform(0.2, 1), rng.uniform(0, 1)
    flatness = float(rng.uniform(2.2, 7))
    return [
        replace(
            style,
            opacity=float(opacity),
            strength=float(fainter * style.strength),
            flatness=flatness,
            variation=float(calm * style.variation),
            roughness=float(calm * style.roughness),
        )
        for style in styles
    ]


def _longest(pieces: list[PaintedPiece], parts: list[int]) -> list[PaintedPiece]:
    """Return as many pieces of each line as were planned, the longest.

    The small bends that painting adds may lead a line that grazes the rim out once more.
    """
    kept = []
    for line, own in itertools.groupby(pieces, key=lambda piece: piece.line):
        found = list(own)
        if len(found) > parts[line]:
            limit = sorted((p.length_px for p in found), reverse=True)[parts[line] - 1]
            found = [p for p in found if p.length_px >= limit]
        kept += found
    return kept
