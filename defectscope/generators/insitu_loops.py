"""In-situ sequences of dislocation loops with known growth, motion, events and identity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import Calibration, Generator, Instances
from defectscope.generators.insitu_events import Evolution
from defectscope.generators.insitu_options import InSituLoopsOptions
from defectscope.generators.insitu_painting import DEFECT_TYPE, LoopPainter
from defectscope.generators.insitu_population import draw_population
from defectscope.generators.insitu_stage import Stage, grain, move_stage, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["InSituLoops", "InSituLoopsOptions"]


class InSituLoops(Generator):
    """Dark loops that nucleate, grow, shrink, meet and diffuse while the stage moves.

    The level at a loop's rim is half its contrast, and the ellipse and the mask of the truth are
    that rim. Labelled are loops with their centre in the frame, from ``visible_from_px`` on.
    A ``track_id`` is that of one loop from its nucleation to its end, also when it leaves the
    frame and comes back; where two become one, the larger keeps its own. Where a loop that was
    labelled in an earlier frame is too faint (``visible_from``), its row is flagged ``ignore``.

    After the last frame ``last_parameters`` holds

    ``frames``
        ``dose_dpa``, ``offset_px`` and ``jump_px``, lists with an entry a frame. The offset is
        that of the stage: x, y of the truth minus the offset is the place on the specimen.
    ``loops``
        ``track_id``; ``kind``; ``birth_frame`` (need not be whole); ``death_frame``, the first
        without it, and ``death_cause`` (``shrinkage``, ``coalescence``, ``annihilation``, or
        None); ``aspect``, ``angle_deg``, ``depth`` (contrast, before it meets another one) and
        ``height`` (in the foil);
        ``specimen_px``, where it first is; ``diffusion_px2_per_frame``, the D of its steps, each
        coordinate's variance being 2·D, and D multiplied by (major axis before the step /
        ``diffusion_size_px``) to the power of -``diffusion_exponent``; ``growth``, its laws one
        after the other, as in :class:`~defectscope.generators.insitu_kinetics.Segment`.
    ``events``
        As in :class:`~defectscope.generators.insitu_events.Evolution`, and ``jump``.
    """

    Options = InSituLoopsOptions
    options: InSituLoopsOptions
    defect_types = (DEFECT_TYPE,)

    @property
    def calibration(self) -> Calibration:
        """Scale and dose law of the sequence."""
        options = self.options
        return Calibration(
            pixel_size_nm=options.pixel_size_nm,
            dose_start_dpa=options.dose_start_dpa,
            dose_per_frame_dpa=options.dose_per_frame_dpa,
        )

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw a sequence of one frame."""
        (pixels, truth), *_ = self.sequence(canvas, rng, 1)
        canvas[...] = pixels
        return truth

    def sequence(
        self, canvas: NDArray[np.float32], rng: np.random.Generator, length: int
    ) -> Iterator[tuple[NDArray[np.float32], Instances]]:
        """Yield `length` frames of (H, W) float32 in [0, 1] and their truth.

        Raises
        ------
        OptionError
            There is too much to be computed; says what to change.
        """
        options, shape = self.options, (canvas.shape[0], canvas.shape[1])
        self.last_parameters = {}
        stage = move_stage(options, length, rng)
        loops = draw_population(options, shape, stage, rng)
        common_side = float(rng.uniform(0, 360))
        painter = LoopPainter(loops, options, common_side)
        low, high = stage.field(shape)
        evolution = Evolution(loops, options, float(np.prod(high - low)))
        for frame, offset in enumerate(stage.offsets):
            if frame:
                evolution.advance(frame, offset, rng)
            pixels = shifted(canvas, offset)
            truth = painter.paint(pixels, frame, offset, rng)
            pixels += options.noise * grain(shape, options.noise_px, rng)
            yield np.clip(pixels, 0, 1).astype(np.float32), truth
        self.last_parameters = {
            "drift_px_per_frame": stage.velocity.tolist(),
            "tails_deg": common_side,
            "frames": self._frames(stage),
            "loops": loops.records(),
            "events": sorted([*stage.events(), *evolution.events], key=lambda e: e["frame"]),
        }

    def _frames(self, stage: Stage) -> dict[str, list[Any]]:
        return {
            "dose_dpa": [self.calibration.dose_dpa(k) for k in range(len(stage.offsets))],
            "offset_px": stage.offsets.tolist(),
            "jump_px": stage.jumps.tolist(),
        }
