"""Options of the generator ``loops``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from defectscope import Options
from defectscope.core.options import set_in_vain
from defectscope.generators.loop_sizes import LOOP_TYPES

__all__ = ["LoopsOptions"]

Fraction = Annotated[float, Field(ge=0, le=1)]
LOW_AND_HIGH = (
    ("major_low_px", "major_high_px"), ("aspect_low", "aspect_high"),
    ("contrast_low", "contrast_high"), ("edge_low_px", "edge_high_px"),
    ("line_low_px", "line_high_px"), ("lines_low", "lines_high"),
    ("magnification_low", "magnification_high"),
)  # fmt: skip


class LoopsOptions(Options):
    """Options of ``loops``; contrast is in multiples of the local texture."""

    sizes: Literal["stem", "in-situ", "stem-published"] | Path = Field(
        "stem",
        description="sizes, aspect ratios and densities: stem (three types, ring contrast), "
        "in-situ (filled dark loops), stem-published (three types, from a published table), "
        "or a JSON or TOML file of fit_loop_sizes",
    )
    mixture: dict[str, Annotated[float, Field(ge=0, le=1e9)]] = Field(
        default_factory=dict,
        description="relative number of each defect type, such as "
        '{"black dot" = 2, "a<100> loop" = 1}; left out: in proportion to their densities',
    )
    count: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="loops with their centre in the image, faint ones not counted, as far as "
        "there is room; left out: drawn from the densities, at least one",
    )
    density: float = Field(1.0, gt=0, le=1000, description="factor on the densities")
    size: float = Field(1.0, gt=0, le=1000, description="factor on the major axes")
    magnification_low: float = Field(
        1.0,
        gt=0,
        le=100,
        description="least factor by which a whole image is magnified: more enlarges loops and "
        "lines, thins them out, and makes edges wider by its square root",
    )
    magnification_high: float = Field(
        1.0, gt=0, le=100, description="largest such factor; even on a logarithmic scale between"
    )
    major_low_px: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="least major axis of a uniform distribution, px; else from sizes",
    )
    major_high_px: float | None = Field(
        None, gt=0, le=100_000, description="largest major axis, px"
    )
    aspect_low: float | None = Field(
        None, gt=0, le=1, description="least minor/major axis, uniform; else from sizes"
    )
    aspect_high: float | None = Field(None, gt=0, le=1, description="largest minor/major axis")
    direction_deg: float | None = Field(
        None,
        allow_inf_nan=False,
        description="direction around which major axes lie; left out: all directions",
    )
    direction_spread_deg: float = Field(
        20.0, ge=0, le=180, description="standard deviation around that direction, degrees"
    )
    contrast_low: float = Field(
        2.5,
        gt=0,
        le=100,
        description="least contrast, in textures; beside count no less than visible_from",
    )
    contrast_high: float = Field(9.0, gt=0, le=100, description="largest contrast, in textures")
    texture_window_px: float = Field(
        64.0, ge=8, le=4096, description="side of the window whose standard deviation is a texture"
    )
    least_texture: float = Field(
        0.01, gt=0, le=1, description="texture assumed on smoother backgrounds, grey 0 to 1"
    )
    visible_from: float = Field(
        2.0, ge=0, le=100, description="loops of less contrast are painted and not labelled"
    )
    doubtful_from: float | None = Field(
        None,
        ge=0,
        le=100,
        description="loops between this contrast and visible_from are flagged `ignore`: people "
        "label them or not; left out: none are",
    )
    faint: float = Field(
        0.15, ge=0, le=10, description="loops under that limit, for every one over it"
    )
    edge_low_px: float = Field(1.5, gt=0, le=20, description="least softness of filled loops, px")
    edge_high_px: float = Field(
        4.0,
        gt=0,
        le=20,
        description="largest softness, px; that of large loops is at least 0.13 of the minor axis, "
        "or softness where that is less",
    )
    line_low_px: float = Field(4.5, gt=0, le=50, description="least width of rings, px at half")
    line_high_px: float = Field(8.5, gt=0, le=50, description="largest width of rings, px")
    double_rings: Fraction = Field(
        1.0, description="part of the a<100> loops seen face-on that show an inner ring"
    )
    bar_low_px: float = Field(
        0.0, ge=0, le=50, description="least width of a<100> loops seen edge-on, px"
    )
    bar_exponent: float = Field(
        2.0, ge=2, le=8,
        description="most that a<100> loops seen edge-on look like bars with blunt ends: largest "
        "exponent of superellipses; 2 draws ellipses",
    )  # fmt: skip
    crystal: Fraction = Field(
        0.0,
        description="part of the images that show one grain near a cube axis: a<100> loops seen "
        "edge-on lie along two directions at right angles, major axes of a/2<111> loops between",
    )
    one_sided: Fraction = Field(0.5, description="how much contrast may vary around a loop, 0 to 1")
    tails: Fraction = Field(0.5, description="part of the filled loops with a grey tail")
    mottle: float = Field(
        0.0, ge=0, le=1, description="largest relative variation of contrast within a loop"
    )
    rough_px: float = Field(
        0.0, ge=0, le=5, description="largest irregularity of the outline, px; 0 on average"
    )
    fading: Fraction = Field(
        0.0, description="largest part of its contrast that a filled loop loses towards one end"
    )
    softness: float = Field(
        0.25,
        gt=0,
        le=0.5,
        description="largest softness of filled loops, in parts of the minor axis",
    )
    touching: Fraction = Field(0.12, description="part of the loops that touch another one")
    cut_by_rim: float = Field(
        0.5, ge=0, le=1, description="how densely loops lie beyond the rim, reaching into the image"
    )
    label_inset_px: float = Field(
        0.0,
        ge=-20,
        le=20,
        description="how far boxes lie inside the half level of the edge on each side, px: "
        "people draw them about 1 px inside; ellipses and masks stay exact",
    )
    lines_probability: Fraction = Field(
        0.6,
        description="images with dislocation lines, which are not labelled; none where another "
        "generator labels dislocations in the same images",
    )
    lines_low: int = Field(1, ge=0, le=10_000, description="least number of lines there")
    lines_high: int = Field(10, ge=0, le=10_000, description="largest number of lines")
    broken_lines: Fraction = Field(0.25, description="part of the lines thick and in segments")
    curl_deg: float = Field(
        0.0,
        ge=0,
        le=330,
        description="largest turn of a line from end to end, beside its bends; most turn much less",
    )
    shade: Fraction = Field(
        0.0, description="largest depth of a broad shade on one side of a line, in parts of it"
    )
    bend_contour_probability: Fraction = Field(0.25, description="images with a bend contour")
    scale_bar_probability: Fraction = Field(0.3, description="images with a scale bar")
    text_probability: Fraction = Field(0.25, description="images with a caption in a corner")
    pointer_probability: Fraction = Field(0.08, description="images with a mouse pointer")

    @field_validator("mixture")
    @classmethod
    def _known_types(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(LOOP_TYPES))
        if unknown:
            raise ValueError(f"loops draws {', '.join(LOOP_TYPES)}, not {', '.join(unknown)}")
        if value and not sum(value.values()):
            raise ValueError("one of the numbers must be above 0")
        return value

    @model_validator(mode="after")
    def _low_is_low(self) -> LoopsOptions:
        for low, high in LOW_AND_HIGH:
            least, most = getattr(self, low), getattr(self, high)
            if (least is None) != (most is None):
                raise ValueError(f"{low} and {high} must be given together")
            if least is not None and least > most:
                raise ValueError(f"{low} must not exceed {high}")
        if self.contrast_high < self.visible_from:
            raise ValueError("contrast_high must not be below visible_from: nothing was labelled")
        if self.doubtful_from is not None and self.doubtful_from > self.visible_from:
            raise ValueError("doubtful_from must not exceed visible_from")
        return self

    @model_validator(mode="after")
    def _used(self) -> LoopsOptions:
        if self.count is not None and set_in_vain(self, "density"):
            raise ValueError("density changes nothing beside count; give one of them")
        if self.crystal == 1 and (name := set_in_vain(self, "direction_deg")):
            raise ValueError(f"{name} changes nothing beside crystal=1; give one of them")
        if self.direction_deg is None and (name := set_in_vain(self, "direction_spread_deg")):
            raise ValueError(f"{name} changes nothing without direction_deg; give that too")
        return self
