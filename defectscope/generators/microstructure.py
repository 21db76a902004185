"""Distributions of the features of a dislocation microstructure (P1, section 4, Fig. 7)."""

from __future__ import annotations

import itertools
import json
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from defectscope.core.errors import FormatError, InputError, OutputError
from defectscope.core.files import write_json

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["M1", "M2", "PRESETS", "Continuous", "Discrete", "Microstructure"]

Finite = Annotated[float, Field(allow_inf_nan=False)]
# More quantiles than a handful of labelled images can tell apart.
FITTED_QUANTILES = 33


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Continuous(_Model):
    """A distribution by its equally spaced quantiles, straight in between.

    Two quantiles are a uniform distribution; many follow any shape, several peaks included.
    """

    quantiles: tuple[Finite, ...] = Field(min_length=2, description="from the least to the largest")

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(a > b for a, b in itertools.pairwise(self.quantiles)):
            raise ValueError("quantiles must ascend")
        return self

    def sample(self, rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return `count` values."""
        return np.interp(rng.random(count), _places(len(self.quantiles)), self.quantiles)

    @classmethod
    def of(cls, values: ArrayLike) -> Continuous:
        """Return the distribution of measured values."""
        places = np.linspace(0, 1, FITTED_QUANTILES)
        quantiles = np.quantile(np.asarray(values, float), places)
        # Interpolation between equal values may be off by the last digit.
        return cls(quantiles=tuple(np.maximum.accumulate(np.round(quantiles, 6)).tolist()))


@lru_cache(maxsize=64)
def _places(count: int) -> NDArray[np.float64]:
    return np.linspace(0, 1, count)


class Discrete(_Model):
    """Whole numbers and how often each occurs."""

    values: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]

    @model_validator(mode="after")
    def _one_weight_each(self) -> Self:
        if len(self.weights) != len(self.values) or sum(self.weights) <= 0:
            raise ValueError("expected one weight for each value, and a sum above 0")
        return self

    def sample(self, rng: np.random.Generator) -> int:
        """Return one value."""
        steps = np.cumsum(self.weights)
        return self.values[int(np.searchsorted(steps, rng.random() * steps[-1], side="right"))]

    @classmethod
    def of(cls, values: ArrayLike) -> Discrete:
        """Return how often each value occurs."""
        found, counts = np.unique(np.asarray(values, int), return_counts=True)
        return cls(values=tuple(found.tolist()), weights=tuple(counts.tolist()))


class Microstructure(_Model):
    """What pile-ups look like: the features of P1, Fig. 7, and the shape of the lines.

    Lengths are in px of a frame whose shorter side is `reference_px`.
    """

    version: Literal[1] = 1
    title: str = Field(description="what it is called")
    source: str = Field(description="where the numbers come from")
    reference_px: float = Field(512, gt=0, le=100_000)
    pileups: Discrete = Field(description="pile-ups in an image")
    dislocations: Discrete = Field(description="dislocations in a pile-up")
    slip_width_px: Continuous = Field(description="distance of the two slip traces, px")
    direction_deg: Continuous = Field(
        description="angle of the slip traces, deg, of any turn; a turn of 180 exchanges the two "
        "traces, so that lines bow to the other side"
    )
    spacing_px: Continuous = Field(description="offset along the traces to the next line, px")
    lean: Continuous = Field(description="offset of a line's end from its start / slip width")
    bow: Continuous = Field(description="height of a line's arc over its chord / slip width")
    line_shapes: tuple[tuple[tuple[Finite, Finite], ...], ...] = Field(
        (), description="labelled lines: points along and across the traces / slip width"
    )

    @model_validator(mode="after")
    def _lengths_are_positive(self) -> Self:
        if self.slip_width_px.quantiles[0] <= 0:
            raise ValueError("slip_width_px must be above 0")
        if self.spacing_px.quantiles[0] < 0:
            raise ValueError("spacing_px must not be negative")
        if any(len(shape) < 2 for shape in self.line_shapes):
            raise ValueError("a line shape needs two points or more")
        return self

    def save(self, path: Path) -> None:
        """Write a ``.json`` file.

        Raises
        ------
        OutputError
            `path` has another suffix, or cannot be written.
        """
        if path.suffix.lower() != ".json":
            raise OutputError(f"a microstructure is saved as .json, found the name {path.name}")
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> Microstructure:
        """Read a ``.json`` or ``.toml`` file.

        Raises
        ------
        InputError
            The file cannot be opened.
        FormatError
            It is malformed, or of another version; says which value.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
            values = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
            return cls.model_validate(values)
        except OSError as error:
            raise InputError(
                f"cannot read the microstructure file {path}: {error.strerror or error}"
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "content"
            raise FormatError(
                f"microstructure file {path}: {where}: {first['msg']}; fit_microstructure "
                "writes such files"
            ) from error
        except (ValueError, RecursionError) as error:
            raise FormatError(f"microstructure file {path} is malformed: {error}") from error


def _uniform(low: float, high: float) -> Continuous:
    return Continuous(quantiles=(low, high))


M2 = Microstructure(
    title="m2",
    source=(
        "General ranges, uniform, as P1 (Govind et al.) describes M2 in section 4 and Figs. 6 "
        "and 7: several pile-ups with their own directions and slip widths, up to 8 dislocations "
        "in each. The limits are this project's; P1 prints its own as histograms only."
    ),
    pileups=Discrete(values=(1, 2, 3, 4, 5), weights=(1, 1, 1, 1, 1)),
    dislocations=Discrete(values=tuple(range(1, 9)), weights=(1,) * 8),
    slip_width_px=_uniform(40, 220),
    direction_deg=_uniform(0, 180),
    spacing_px=_uniform(7, 55),
    lean=_uniform(-0.6, 0.6),
    bow=_uniform(-0.3, 0.3),
)

M1 = Microstructure(
    title="m1",
    source=(
        "Estimated from P1's description of its data set RD1 (sections 4 and 5, Figs. 5-7, 10, "
        "14): one main slip direction, one or two pile-ups of similar width, about nine "
        "dislocations in a frame that bow to the same side. P1's 15 labelled images are not "
        "public and its histograms are not given as numbers, so these were not fitted; use "
        "fit_microstructure on labelled images of your own material."
    ),
    pileups=Discrete(values=(1, 2, 3), weights=(5, 4, 1)),
    dislocations=Discrete(values=tuple(range(1, 9)), weights=(1, 1, 2, 3, 4, 4, 3, 2)),
    slip_width_px=Continuous(quantiles=(85, 104, 113, 120, 126, 133, 142, 165)),
    direction_deg=Continuous(quantiles=(46, 55, 58, 60, 62, 65, 74)),
    spacing_px=Continuous(quantiles=(8, 13, 17, 21, 26, 32, 41, 70)),
    lean=Continuous(quantiles=(-0.15, 0.02, 0.1, 0.18, 0.35)),
    bow=Continuous(quantiles=(-0.02, 0.06, 0.1, 0.14, 0.24)),
)

PRESETS = {"m1": M1, "m2": M2}
