"""Options of the generator of dislocation pile-ups."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from defectscope import Options
from defectscope.generators.labelled_lines import TRACE_LABEL

__all__ = ["DislocationsOptions"]


class DislocationsOptions(Options):
    """Options of ``dislocations``; lengths of the microstructure scale with the frame."""

    preset: Literal["m1", "m2"] = Field(
        "m2", description="microstructure: m1 one material's features, m2 general ranges"
    )
    microstructure: Path | None = Field(
        None, description="file of a fitted microstructure (.json or .toml), instead of the preset"
    )
    shapes_from: Path | None = Field(
        None, description="labelme file or folder whose lines give the support points of splines"
    )
    trace_label: str = Field(
        TRACE_LABEL, description="lines of shapes_from with this label are slip traces, left out"
    )
    count: int | None = Field(
        None,
        ge=0,
        le=100_000,
        description="draw this many dislocations; all are labelled but those that are too faint, "
        "or on pixels already black or white; none: as the microstructure has it",
    )
    most: int = Field(
        20, ge=0, le=100_000, description="largest number of dislocations, where count is none"
    )
    scale_to_frame: bool = Field(
        True,
        description="scale slip widths and spacings with the frame's shorter side, down to a "
        "quarter of the microstructure's own",
    )
    support_points: int = Field(5, ge=3, le=50, description="support points of a spline")
    jitter: float = Field(
        0.03, ge=0, le=0.5, description="scatter of the support points / slip width"
    )
    near_pairs: float = Field(
        0.06, ge=0, le=1, description="probability that a line nearly touches its neighbour"
    )
    crossings: float = Field(
        0.05, ge=0, le=1, description="probability that a line crosses its neighbour"
    )
    contrast: Literal["mixed", "dark", "bright", "double", "oscillating"] = Field(
        "mixed", description="contrast of the lines; mixed draws one for each pile-up"
    )
    contrast_unit: Literal["texture", "grey"] = Field(
        "texture",
        description="unit of contrast_low and contrast_high: standard deviations of the canvas "
        "around the line, or grey 0 to 1, for which contrast_low and contrast_high are to be given",
    )
    contrast_low: float = Field(2.0, gt=0, le=100, description="least mean contrast of a line")
    contrast_high: float = Field(6.0, gt=0, le=100, description="largest mean contrast of a line")
    visible_from: float = Field(
        1.2,
        ge=0,
        le=100,
        description="lines with less contrast, in standard deviations of the canvas around them, "
        "are painted, not labelled",
    )
    shortest_px: float = Field(
        8.0,
        gt=0,
        le=10_000,
        description="parts of lines inside the frame that are shorter are painted, not labelled "
        "(at most half of the frame's shorter side)",
    )
    width_low_px: float = Field(2.0, ge=1, le=100, description="least width of a line, px")
    width_high_px: float = Field(
        5.5,
        ge=1,
        le=100,
        description="largest width of a line, px; of a black-white pair 1.7 times this",
    )
    variation: float = Field(
        0.25, ge=0, le=1, description="relative change of intensity along a line; width half of it"
    )
    waviness_px: float = Field(0.3, ge=0, le=5, description="size of a line's small bends, px")
    roughness: float = Field(0.25, ge=0, le=2, description="relative grain inside a line")
    roughness_px: float = Field(
        1.0, ge=0, le=10, description="size of this grain, px; 0: every pixel by itself"
    )
    painted: float = Field(
        0.0, ge=0, le=1,
        description="probability that the lines of a dark or bright pile-up hide the texture, in "
        "one flat grey with harder edges, as P1 draws them",
    )  # fmt: skip
    traces: float = Field(
        0.7, ge=0, le=1, description="probability that a slip trace is drawn; never labelled"
    )
    trace_low: float = Field(
        0.5, ge=0, le=100, description="least contrast of a slip trace, in the unit of the texture"
    )
    trace_high: float = Field(2.0, ge=0, le=100, description="largest contrast of a slip trace")

    @model_validator(mode="after")
    def _low_is_low(self) -> DislocationsOptions:
        for name in ("contrast_{}", "width_{}_px", "trace_{}"):
            low, high = name.format("low"), name.format("high")
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} must not exceed {high}")
        if self.contrast_unit == "grey" and self.contrast_high > 1:
            raise ValueError(
                "contrast_unit=grey takes contrasts of 0 to 1, found contrast_high = "
                f"{self.contrast_high:g}; give contrast_low and contrast_high, such as 0.1 and 0.3"
            )
        if self.near_pairs + self.crossings > 1:
            raise ValueError("near_pairs and crossings together must not exceed 1")
        return self
