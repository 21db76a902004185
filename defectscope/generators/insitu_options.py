"""Options of the generator ``in-situ-loops``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from defectscope import Options

__all__ = ["InSituLoopsOptions"]

Fraction = Annotated[float, Field(ge=0, le=1)]
LOW_AND_HIGH = (
    ("smallest_px", "largest_px"), ("aspect_low", "aspect_high"), ("depth_low", "depth_high"),
    ("edge_low_px", "edge_high_px"), ("jump_low_px", "jump_high_px"),
    ("diffusion_px2_per_frame", "diffusion_high_px2_per_frame"),
)  # fmt: skip


class InSituLoopsOptions(Options):
    """Options of ``in-situ-loops``; rates are a frame, sizes are major axes."""

    count: int = Field(
        60,
        ge=0,
        le=100_000,
        description="loops of a still image, or that a sequence would end with were none lost; "
        "strips that the moving stage brings into view have as many per area",
    )
    nucleated: Fraction = Field(
        0.5, description="fraction that exists from the start; the rest nucleates"
    )
    smallest_px: float = Field(9.0, gt=0, le=10_000, description="smallest final major axis, px")
    largest_px: float = Field(32.0, gt=0, le=10_000, description="largest final major axis, px")
    growth_law: Literal["saturating", "linear", "parabolic"] = Field(
        "saturating",
        description="major axis d by age t: d_final·(1 - exp(-t/tau)); rate·t; (rate·t)^½. The "
        "latter two have their final size at the end of the sequence",
    )
    shrinking: Fraction = Field(
        0.1, description="fraction that begins to shrink on the way, and vanishes"
    )
    shrinkage_law: Literal["linear", "parabolic"] = Field(
        "linear", description="major axis (linear) or its square, the area, goes down steadily"
    )
    coalescence: Fraction = Field(
        0.8,
        description="probability that loops which meet in the image are at one depth of the foil, "
        "and become one loop; the others pass over each other",
    )
    capture_px: float = Field(
        2.0, ge=0, le=1000, description="gap between two edges at which the loops meet, px"
    )
    vacancy: Fraction = Field(
        0.0,
        description="fraction of vacancy loops; one that meets an interstitial loop takes its own "
        "area away from it",
    )
    annihilation: Fraction = Field(
        0.0, description="probability a frame that a loop is lost to the surface, at once"
    )
    diffusion_px2_per_frame: float = Field(
        0.02, ge=0, le=100, description="D of a loop's random walk, px² a frame, or the least D"
    )
    diffusion_high_px2_per_frame: float | None = Field(
        None, ge=0, le=100, description="largest D, of a uniform distribution; else all have one D"
    )
    diffusion_exponent: float = Field(
        0.0, ge=0, le=3, description="D falls with size as (major axis / diffusion_size_px)^-this"
    )
    diffusion_size_px: float = Field(
        15.0, gt=0, le=10_000, description="major axis at which a loop has the D that is given, px"
    )
    drift_px_per_frame: float = Field(
        0.15, ge=0, le=50, description="speed of the stage, px a frame"
    )
    jump_probability: Fraction = Field(
        0.0, description="probability a frame that the stage jumps, and stays there"
    )
    jump_low_px: float = Field(3.0, ge=0, le=1000, description="shortest jump, px")
    jump_high_px: float = Field(15.0, ge=0, le=1000, description="longest jump, px")
    dose_start_dpa: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="dose at the first frame, dpa"
    )
    dose_per_frame_dpa: float = Field(
        0.01, ge=0, allow_inf_nan=False, description="dose a frame, dpa"
    )
    pixel_size_nm: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="edge of a pixel, nm, for the labels only"
    )
    aspect_low: float = Field(0.55, gt=0, le=1, description="least minor/major axis")
    aspect_high: float = Field(1.0, gt=0, le=1, description="largest minor/major axis")
    depth_low: float = Field(
        0.35, gt=0, le=1, description="least contrast: part of the brightness that a loop takes"
    )
    depth_high: float = Field(0.95, gt=0, le=1, description="largest contrast of a loop")
    resolution_px: float = Field(
        1.2,
        ge=0,
        le=20,
        description="standard deviation of the microscope's blur, px: no edge is sharper, and "
        "loops that are not much larger fade",
    )
    flicker: Fraction = Field(0.08, description="relative change of contrast by frame")
    edge_low_px: float = Field(
        1.2, gt=0, le=20, description="least softness of the edge, px; at most minor axis / 4"
    )
    edge_high_px: float = Field(
        3.0,
        gt=0,
        le=20,
        description="largest softness of the edge, px; that of large loops is at least 0.13 of "
        "the minor axis",
    )
    one_sided: Fraction = Field(0.5, description="how much contrast may vary around a loop, 0 to 1")
    lumps: Fraction = Field(0.5, description="strength of lighter bands across loops, 0 to 1")
    tails: Fraction = Field(0.5, description="part of the loops with a grey tail")
    noise: float = Field(0.016, ge=0, le=1, description="noise of each frame, grey 0 to 1")
    noise_px: float = Field(
        0.8, ge=0, le=20, description="smoothness of the noise as in videos, px; 0: white"
    )
    visible_from_px: float = Field(
        7.0,
        ge=0,
        allow_inf_nan=False,
        description="loops with a smaller major axis are painted, not labelled; "
        "below 1 px there is nothing to see, and loops are neither",
    )
    visible_from: float = Field(
        0.5,
        ge=0,
        allow_inf_nan=False,
        description="loops that darken their place by less, in standard deviations of texture and "
        "noise there, are painted, not labelled: on black background nothing is seen; once "
        "labelled, they are flagged `ignore` where they get fainter",
    )

    @model_validator(mode="after")
    def _low_is_low(self) -> InSituLoopsOptions:
        for low, high in LOW_AND_HIGH:
            most = getattr(self, high)
            if most is not None and getattr(self, low) > most:
                raise ValueError(f"{low} must not exceed {high}")
        return self
