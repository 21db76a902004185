"""Calibration: what turns pixels and frame numbers into nanometres, seconds and dose."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from defectscope.core.errors import FormatError, OptionError, did_you_mean
from defectscope.core.frame_times import FrameTimes

__all__ = ["UNSURE_SIZE", "Calibration"]

# Ends what a reader says of a pixel size that may be none; it is dropped where one is given.
UNSURE_SIZE = "which programs also write where they do not know; check it"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Calibration(BaseModel):
    """What is known about the scale of a series. Unknown is None, and is never guessed.

    Parameters
    ----------
    pixel_size_nm
        Edge of a (square) pixel.
    frame_interval_s
        Time from one frame index to the next.
    dose_start_dpa, dose_per_frame_dpa
        Dose law: ``dose(index) = dose_start_dpa + index * dose_per_frame_dpa`` (P2, eq. 1).
    frame_times
        Times, doses or both of single frames, which go before the interval and the dose law: for
        a beam that paused, or another flux. Given as a table (a DataFrame will do), or as the path
        of a CSV file.
    thickness_nm
        Foil thickness, for volume densities.
    visible_fraction
        Fraction of the defects of a type that the imaging condition shows; ``"*"`` stands for
        every type that is not named. 1 where nothing is given.

    Raises
    ------
    OptionError
        There is no such field, or a value is outside its limits.
    FormatError
        The table of frame times cannot be read, or is malformed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pixel_size_nm: Positive | None = Field(default=None, description="edge of a square pixel, nm")
    frame_interval_s: Positive | None = Field(default=None, description="time between frames, s")
    dose_start_dpa: NonNegative | None = Field(
        default=None, description="dose at frame index 0, dpa"
    )
    dose_per_frame_dpa: NonNegative | None = Field(default=None, description="dose a frame, dpa")
    frame_times: FrameTimes | None = Field(
        default=None, description="CSV file of times and doses of single frames"
    )
    thickness_nm: Positive | None = Field(default=None, description="foil thickness, nm")
    visible_fraction: Mapping[str, Fraction] = Field(
        default_factory=dict, description="fraction of the defects that is visible, by defect type"
    )

    if not TYPE_CHECKING:  # type checkers know the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise _option_error(error) from error

    @field_validator("visible_fraction", mode="before")
    @classmethod
    def _one_number_means_every_type(cls, value: Any) -> Any:
        return {"*": value} if isinstance(value, int | float) else value

    @field_validator("frame_times", mode="before")
    @classmethod
    def _a_path_means_its_table(cls, value: Any) -> Any:
        if isinstance(value, str | Path):
            return FrameTimes.from_csv(Path(value))
        # A DataFrame; pandas is not imported for others.
        return FrameTimes.from_table(value) if hasattr(value, "columns") else value

    @property
    def knows_times(self) -> bool:
        """Whether frames have times."""
        return self._from_table("time_s") or self.frame_interval_s is not None

    @property
    def knows_doses(self) -> bool:
        """Whether frames have doses."""
        law = self.dose_start_dpa is not None and self.dose_per_frame_dpa is not None
        return self._from_table("dose_dpa") or law

    def _from_table(self, quantity: str) -> bool:
        return self.frame_times is not None and getattr(self.frame_times, quantity) is not None

    def time_s(self, index: int) -> float | None:
        """Return the time of a frame index, or None where it is unknown."""
        if self.frame_times is not None and self._from_table("time_s"):
            return self.frame_times.at("time_s", index)
        return None if self.frame_interval_s is None else index * self.frame_interval_s

    def dose_dpa(self, index: int) -> float | None:
        """Return the dose at a frame index, or None where it is unknown."""
        if self.frame_times is not None and self._from_table("dose_dpa"):
            return self.frame_times.at("dose_dpa", index)
        if self.dose_start_dpa is None or self.dose_per_frame_dpa is None:
            return None
        return self.dose_start_dpa + index * self.dose_per_frame_dpa

    def visible(self, defect_type: str) -> float:
        """Return the visible fraction of a defect type."""
        return self.visible_fraction.get(defect_type, self.visible_fraction.get("*", 1.0))

    def updated(self, **changes: Any) -> Calibration:
        """Return a copy with `changes`; those that are None leave the value as it is.

        Raises
        ------
        OptionError
            A value is outside its limits.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        return Calibration(**(self.model_dump() | given))

    @classmethod
    def of(cls, given: Calibration | Mapping[str, Any] | Path | str) -> Calibration:
        """Return a calibration, the one of these fields, or that of a TOML file.

        Raises
        ------
        OptionError, FormatError
            It is none of these, a value is outside its limits, or the file cannot be read.
        """
        if isinstance(given, Calibration):
            return given
        if isinstance(given, str | Path):
            return cls.from_toml(Path(given))
        if isinstance(given, Mapping):
            return cls(**{str(name): value for name, value in given.items()})
        raise OptionError(
            "a calibration is a defectscope.Calibration, a mapping of its fields, or the path of a "
            f"TOML file; found {type(given).__name__}"
        )

    @classmethod
    def from_toml(cls, path: Path) -> Calibration:
        """Read a calibration file: the fields of this class as top-level keys.

        The path of ``frame_times`` counts from the folder of the file.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise FormatError(f"the calibration file {path} cannot be read: {error}") from error
        if isinstance(table := values.get("frame_times"), str):
            values["frame_times"] = path.parent / table
        return cls(**values)


def _option_error(error: ValidationError) -> OptionError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or "calibration"
    if first["type"] == "extra_forbidden":
        known = list(Calibration.model_fields)
        return OptionError(
            f"the calibration has no {name!r}{did_you_mean(name, known)}; known are: "
            f"{', '.join(known)}"
        )
    return OptionError(
        f"calibration: {name} = {first['input']!r} is not possible: "
        f"{first['msg'][0].lower()}{first['msg'][1:]}"
    )
