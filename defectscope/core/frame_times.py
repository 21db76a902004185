"""Times and doses of single frames, where no straight line tells them: pauses, another flux."""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from defectscope.core.errors import FormatError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FrameTimes"]

Whole = Annotated[int, Field(ge=0)]
Known = Annotated[float, Field(allow_inf_nan=False)]
QUANTITIES = ("time_s", "dose_dpa")
# Times that lie on a straight line, to within this part of a step, are those of a camera that runs
# evenly: files round them, and a frame that was dropped moves others by half a step or more.
EVEN = 0.1


class FrameTimes(BaseModel):
    """Time and dose at some frame indices, and linear between them.

    Parameters
    ----------
    frame
        Frame indices, ascending.
    time_s
        Time at each; ascending. None where no times are known.
    dose_dpa
        Dose at each; it never falls. None where no doses are known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frame: tuple[Whole, ...] = Field(min_length=1)
    time_s: tuple[Known, ...] | None = None
    dose_dpa: tuple[Annotated[Known, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> FrameTimes:
        if self.time_s is None and self.dose_dpa is None:
            raise ValueError("a table of frames needs a column time_s, dose_dpa or both")
        for name in ("frame", *QUANTITIES):
            values = getattr(self, name)
            if values is None:
                continue
            if len(values) != len(self.frame):
                raise ValueError(f"{name} must have a value for each frame")
            for (k, before), (_, after) in pairwise(enumerate(values)):
                if after < before or (after == before and name != "dose_dpa"):
                    rule = "not fall" if name == "dose_dpa" else "ascend"
                    raise ValueError(
                        f"{name} must {rule}, and {after:g} follows {before:g} after frame "
                        f"{self.frame[k]}"
                    )
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Return what is shown: a video has thousands of frames."""
        yield None, f"{len(self.frame)} frames from {self.frame[0]} to {self.frame[-1]}"
        yield None, " and ".join(name for name in QUANTITIES if getattr(self, name) is not None)

    def at(self, quantity: str, index: int) -> float | None:
        """Return ``time_s`` or ``dose_dpa`` at a frame index; None beside the table."""
        values = getattr(self, quantity)
        if values is None or not self.frame[0] <= index <= self.frame[-1]:
            return None
        place = bisect_left(self.frame, index)
        if self.frame[place] == index:
            return float(values[place])
        part = (index - self.frame[place - 1]) / (self.frame[place] - self.frame[place - 1])
        return float(values[place - 1] + part * (values[place] - values[place - 1]))

    def without(self, quantity: str) -> FrameTimes | None:
        """Return the table without ``time_s`` or ``dose_dpa``; None where nothing is left."""
        rest = self.model_copy(update={quantity: None})
        return None if rest.time_s is None and rest.dose_dpa is None else rest

    def step(self, quantity: str) -> float | None:
        """Return how much ``time_s`` or ``dose_dpa`` grows a frame, where it grows evenly."""
        values = getattr(self, quantity)
        if values is None or len(self.frame) < 2:
            return None
        frames, known = np.array(self.frame), np.array(values)
        each = float((known[-1] - known[0]) / (frames[-1] - frames[0]))
        off = np.abs(known - known[0] - each * (frames - frames[0]))
        return each if each > 0 and off.max() <= EVEN * each else None

    @classmethod
    def from_csv(cls, path: Path) -> FrameTimes:
        """Read a table with the columns ``frame`` and ``time_s``, ``dose_dpa`` or both.

        Raises
        ------
        FormatError
            It cannot be read, or is no such table.
        """
        import pandas as pd  # worker processes that read no table start faster without it

        try:
            table = pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig")
        except (OSError, ValueError, csv.Error) as error:
            raise FormatError(f"the table of frame times {path} cannot be read: {error}") from error
        return cls.from_table(table, f"the table of frame times {path}")

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, called: str = "the table of frame times"
    ) -> FrameTimes:
        """Take a table with the columns ``frame`` and ``time_s``, ``dose_dpa`` or both.

        Parameters
        ----------
        table
            One row a frame.
        called
            What messages call it.

        Raises
        ------
        FormatError
            It is no such table.
        """
        import pandas as pd

        table = table.rename(columns=lambda name: str(name).strip())
        there = [name for name in QUANTITIES if name in table]
        if "frame" not in table or not there:
            raise FormatError(
                f"{called} needs the columns frame and time_s, dose_dpa or "
                f"both, found {', '.join(table.columns)}"
            )
        numbers = table[["frame", *there]].apply(pd.to_numeric, errors="coerce")
        for name in numbers:
            wrong = numbers[name].isna() | ((numbers[name] % 1 != 0) if name == "frame" else False)
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                value = table[name].iloc[row]
                found = "an empty cell" if pd.isna(value) else repr(str(value))
                raise FormatError(
                    f"{called} has {found} as {name} in row {row + 1}; "
                    f"expected a {'whole ' if name == 'frame' else ''}number in each"
                )
        values = {name: tuple(numbers[name].tolist()) for name in there}
        try:
            return cls.model_validate({"frame": tuple(numbers["frame"].astype(int)), **values})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = "".join(f"{part} " for part in first["loc"] if isinstance(part, str))
            said = first["msg"].removeprefix("Value error, ")
            raise FormatError(f"{called} is not possible: {where}{said}") from error
