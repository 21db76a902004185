"""Options of the generator of synthetic twins."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from defectscope import Options
from defectscope.core.options import set_in_vain
from defectscope.generators.image_folder import Scaling
from defectscope.generators.labelled_lines import TRACE_LABEL

__all__ = ["TwinOptions"]


class TwinOptions(Options):
    """Options of ``twin``; lengths in px of the frame that is drawn."""

    labels: Path | None = Field(
        None,
        description="labelme file, or folder of them, with the lines to replicate, which must be "
        "given; the n-th sample takes the n-th file that has lines, in turn",
    )
    label: str | None = Field(None, description="replicate only lines with this label")
    trace_label: str = Field(
        TRACE_LABEL, description="lines with this label are slip traces, drawn and never labelled"
    )
    image: Path | None = Field(
        None,
        description="the labelled image, or the folder of the images; none: as the labelme files "
        "name them",
    )
    scaling: Scaling = Field(
        "auto",
        description="stored values of the image that become 0 and 1: the limits of the data type, "
        "or the range of the image (0.1 to 99.9 percent of its pixels); auto: dtype for 8 bits, "
        "else range",
    )
    proportions: Literal["refuse", "crop"] = Field(
        "refuse",
        description="frames of other proportions than the image: refuse them, or show the middle "
        "of the image; frames of its proportions show all of it, scaled",
    )
    lines: Literal["measured", "set"] = Field(
        "measured",
        description="measured: width, contrast, its course along the line and grain of each line "
        "as on the image; set: those of the options contrast, strength, width_px and roughness",
    )
    background: Literal["measured", "canvas"] = Field(
        "measured",
        description="measured: brightness and grain as on the image, in place of the canvas; "
        "canvas: that of --background",
    )
    contrast_unit: Literal["grey", "texture"] = Field(
        "grey",
        description="what measured contrast keeps: its grey, or its ratio to the standard "
        "deviation of the background around the line",
    )
    traces: Literal["auto", "labelled", "inferred", "none"] = Field(
        "auto",
        description="slip traces: the labelled ones, or those through the ends of the lines of "
        "pile-ups, drawn where they can be seen on the image; auto: labelled where any is, else "
        "inferred",
    )
    contrast: Literal["dark", "bright", "double", "oscillating"] = Field(
        "dark", description="contrast of set lines"
    )
    strength: float = Field(
        4.0,
        gt=0,
        le=100,
        description="mean contrast of set lines, in standard deviations of the canvas around them",
    )
    width_px: float = Field(3.5, ge=1, le=100, description="width of set lines, px")
    trace_strength: float = Field(
        1.0,
        ge=-100,
        le=100,
        description="contrast of slip traces with set lines, in standard deviations of the canvas "
        "around them; below 0 they are lighter",
    )
    variation: float = Field(
        0.25,
        ge=0,
        le=1,
        description="relative change of intensity along set lines; width of all lines half of it",
    )
    roughness: float | None = Field(
        None, ge=0, le=2, description="relative grain inside a line; none: as measured, 0.25 if set"
    )
    follow_px: float = Field(
        2.0,
        ge=0,
        le=10,
        description="how far a line may lie beside its label when it is measured, px; it is drawn "
        "where the label is",
    )
    cached_images: int = Field(
        16, ge=1, le=100_000, description="measured images that each process keeps in memory"
    )

    @model_validator(mode="after")
    def _used(self) -> TwinOptions:
        own = {
            "set": ("contrast", "strength", "width_px", "trace_strength"),
            "measured": ("contrast_unit", "follow_px"),
        }
        other = "set" if self.lines == "measured" else "measured"
        if name := set_in_vain(self, *own[other]):
            raise ValueError(
                f"{name} is that of {other} lines and changes nothing with lines={self.lines}; "
                f"give lines={other}, or leave it out"
            )
        return self
