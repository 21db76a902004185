"""Still images of dislocation loops and black dots with exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import Generator, Instances, OptionError
from defectscope.core.geometry.boxes import clip_boxes
from defectscope.generators.burnt_in import draw_pointer, draw_scale_bar, draw_text
from defectscope.generators.distractors import LineLook, draw_bend_contour, draw_line
from defectscope.generators.input_files import file_digests, file_records
from defectscope.generators.local_texture import LocalTexture
from defectscope.generators.loop_drawing import draw_population
from defectscope.generators.loop_magnification import drawn_magnification, magnified
from defectscope.generators.loop_options import LoopsOptions
from defectscope.generators.loop_painting import Loop, painted
from defectscope.generators.loop_shipped_sizes import SHIPPED_SIZES
from defectscope.generators.loop_sizes import LOOP_TYPES, LoopSizes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Mask

__all__ = ["Loops", "LoopsOptions"]

ELLIPSE = ("x", "y", "major_px", "minor_px", "angle_deg")
UNITS = {"x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
         "contrast": ""}  # fmt: skip
# What its distractor lines are; no two of a kind, one labelled and one not, in an image.
LINE_TYPE = "dislocation"
# A loop of which burnt-in text leaves less than this part is not labelled.
UNCOVERED = 0.5
# Opacity, 0 to 255, above which it hides what lies below.
COVERING = 127
# What becomes of loops that the truth holds.
IN_TRUTH = ("labelled", "doubtful")


class Loops(Generator):
    """Loops of four types among dislocation lines, bend contours and burnt-in captions.

    The level at a loop's rim is half its contrast, and the ellipse and the mask of the truth are
    that rim. Labelled are the loops whose centre lies in the image, that stand out from the
    local texture by at least ``visible_from``, and that no caption hides; those from
    ``doubtful_from`` on are flagged ``ignore``. ``contrast`` among the measurements is what is to
    be seen of each, in multiples of the texture.

    After :meth:`draw`, ``last_parameters`` holds everything that was drawn.
    """

    Options = LoopsOptions
    options: LoopsOptions
    defect_types = LOOP_TYPES

    def __init__(self, options: Any = None, runtime: Any = None) -> None:
        super().__init__(options, runtime)
        self._sizes: LoopSizes | None = None
        self._files: list[dict[str, str]] = []

    def open(self) -> None:
        """Read the file of sizes, where one is given."""
        self._sizes, self._files = _resolved(self.options), file_records(self._named_files())

    def depends_on(self) -> dict[str, Any]:
        """Return the digest of the file of sizes, where one is given."""
        return file_digests(self._named_files())

    def _named_files(self) -> list[Path]:
        return [self.options.sizes] if isinstance(self.options.sizes, Path) else []

    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw loops and distractors in place, and return the labelled loops."""
        magnification = drawn_magnification(self.options, rng)
        options = magnified(self.options, magnification)
        if LINE_TYPE in self.labelled_types:
            options = options.model_copy(update={"lines_probability": 0.0})
        sizes = self._sizes or _resolved(options)
        shape = canvas.shape[0], canvas.shape[1]
        texture = LocalTexture(canvas, options.texture_window_px, options.least_texture)
        behind = _draw_behind(canvas, texture, options, magnification, rng)
        loops, no_room_for, left_out = draw_population(shape, sizes, options, rng)
        shown = [_paint(canvas, loop, texture) for loop in loops]
        covered = np.zeros(shape, np.uint8)
        above = _draw_above(canvas, covered, options, rng)
        self.covered = covered > COVERING
        np.clip(canvas, 0, 1, out=canvas)
        kept, masks, fates = [], [], []
        for loop, (contrast, mask) in zip(loops, shown, strict=True):
            fates.append(self._fate(loop, contrast, mask, covered))
            if fates[-1] in IN_TRUTH:
                kept.append((loop, contrast))
                masks.append(mask)
        doubtful = np.array([fate == "doubtful" for fate in fates if fate in IN_TRUTH], bool)
        self.last_parameters = {
            **behind,
            **above,
            "magnification": magnification,
            "sizes": sizes.model_dump(mode="json"),
            "files": self._files,
            "no_room_for": no_room_for,
            "left_out": left_out,
            "loops": [
                {**loop.model_dump(mode="json"), "shown_contrast": contrast, "label": fate}
                for loop, (contrast, _), fate in zip(loops, shown, fates, strict=True)
            ],
        }
        return _truth(shape, kept, masks, doubtful, options.label_inset_px)

    def _fate(self, loop: Loop, contrast: float, mask: Mask, covered: NDArray[np.uint8]) -> str:
        height, width = covered.shape
        if not (0 <= loop.x < width and 0 <= loop.y < height and mask.area_px):
            return "outside"
        seen = min(loop.contrast, contrast)
        doubtful_from = self.options.doubtful_from
        if seen < self.options.visible_from and (doubtful_from is None or seen < doubtful_from):
            return "faint"
        x0, y0, x1, y1 = mask.box
        hidden = np.count_nonzero(mask.bitmap & (covered[y0:y1, x0:x1] > COVERING))
        if hidden > (1 - UNCOVERED) * mask.area_px:
            return "covered"
        return "labelled" if seen >= self.options.visible_from else "doubtful"


def _resolved(options: LoopsOptions) -> LoopSizes:
    """Return the sizes asked for, with shipped ones for types of the mixture they lack."""
    name = options.sizes
    sizes = LoopSizes.load(name) if isinstance(name, Path) else SHIPPED_SIZES[name]
    unknown = sorted(set(sizes.types) - set(LOOP_TYPES))
    if unknown:
        raise OptionError(
            f"{name}: loops draws {', '.join(LOOP_TYPES)}, not {', '.join(unknown)}; "
            "take what is something else out of the file of sizes"
        )
    types = dict(sizes.types)
    for shipped in SHIPPED_SIZES.values():
        for defect_type in options.mixture:
            if defect_type in shipped.types:
                types.setdefault(defect_type, shipped.types[defect_type])
    return sizes.model_copy(update={"types": types})


def _draw_behind(
    canvas: NDArray[np.float32],
    texture: LocalTexture,
    options: LoopsOptions,
    magnification: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    drawn: dict[str, Any] = {"bend_contours": [], "lines": []}
    if rng.random() < options.bend_contour_probability:
        drawn["bend_contours"].append(draw_bend_contour(canvas, rng))
    if rng.random() < options.lines_probability:
        number = int(rng.integers(options.lines_low, options.lines_high + 1))
        look = LineLook(magnification, options.curl_deg, options.shade)
        for _ in range(round(number / magnification**2)):
            broken = bool(rng.random() < options.broken_lines)
            drawn["lines"].append(draw_line(canvas, texture, broken, rng, look))
    # Loops must not vanish in what is darker than black.
    np.clip(canvas, 0, 1, out=canvas)
    return drawn


def _draw_above(
    canvas: NDArray[np.float32],
    covered: NDArray[np.uint8],
    options: LoopsOptions,
    rng: np.random.Generator,
) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for name, probability, draw in (
        ("scale_bar", options.scale_bar_probability, draw_scale_bar),
        ("text", options.text_probability, draw_text),
        ("pointer", options.pointer_probability, draw_pointer),
    ):
        wanted = rng.random() < probability
        drawn[name] = draw(canvas, covered, rng) if wanted else None
    return drawn


def _paint(canvas: NDArray[np.float32], loop: Loop, texture: LocalTexture) -> tuple[float, Mask]:
    """Paint one loop, and return its contrast as it came out, in textures, and its mask."""
    place, depth, mask = painted(loop, (canvas.shape[0], canvas.shape[1]))
    if not depth.size:
        return 0.0, mask
    unit, level = texture.at(loop.x, loop.y), max(texture.level(loop.x, loop.y), 1e-3)
    # Electrons that a loop scatters are missing in proportion to those that were there: grain
    # is weaker inside it, and nothing gets darker than black.
    weakening = min(1.0, loop.contrast * unit / level)
    before = canvas[place]
    weights = depth * depth
    behind = float((before * weights).sum() / max(float(weights.sum()), 1e-12))
    before *= 1 - np.float32(weakening) * depth
    return weakening * behind * float(depth.max()) / unit, mask


def _truth(
    shape: tuple[int, int],
    kept: list[tuple[Loop, float]],
    masks: list[Mask],
    doubtful: NDArray[np.bool_],
    inset_px: float,
) -> Instances:
    boxes = np.array([loop.box() for loop, _ in kept]).reshape(-1, 4)
    # Never more than a quarter of a side, so that the box of a small dot remains one.
    sides = boxes[:, 2:] - boxes[:, :2]
    inset = np.minimum(inset_px, sides / 4)
    boxes = clip_boxes(np.concatenate([boxes[:, :2] + inset, boxes[:, 2:] - inset], axis=1), shape)
    columns = {name: np.array([getattr(loop, name) for loop, _ in kept], float) for name in ELLIPSE}
    columns["contrast"] = np.array([contrast for _, contrast in kept], float)
    return Instances(
        shape,
        boxes,
        defect_types=[loop.defect_type for loop, _ in kept],
        ignore=doubtful,
        masks=masks,
        measurements=columns,
        units=UNITS,
    )
