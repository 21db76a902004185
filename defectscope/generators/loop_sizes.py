"""How large, how elongated and how many loops are: set by the user, or fitted to labels."""

from __future__ import annotations

import itertools
import json
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from defectscope import FormatError, InputError
from defectscope.core.files import write_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Dataset, Instances

__all__ = ["LOOP_TYPES", "LoopSizes", "TypeSizes", "fit_loop_sizes", "label_numbers"]

LOOP_TYPES = ("a/2<111> loop", "a<100> loop", "black dot", "dislocation-loop")
DECILES = np.linspace(0, 1, 11)
PX_PER_MEGAPIXEL = 1e6
# A box of an ellipse tells its axes only up to the angle; thinner than this none is assumed.
THINNEST = 0.15
# How near the rim of an image a box is taken to be cut off, px.
RIM_PX = 1
# For at least this part of an image's side a loop is taken to have places: one that nearly fills
# an image would outweigh all others.
LEAST_PLACES = 0.1

Size = Annotated[float, Field(gt=0, le=100_000)]
Density = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Quantiles = Annotated[tuple[Size, ...], Field(min_length=1, max_length=1001)]


class TypeSizes(BaseModel):
    """Distributions of one defect type, each as equally spaced quantiles from least to largest.

    One number is a constant, two are a uniform distribution, eleven are deciles.

    Parameters
    ----------
    major_px
        Full major axes in px.
    aspect
        Minor over major axis, up to 1.
    per_megapixel
        Numbers of loops in 1 000 000 px, of different images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    major_px: Quantiles
    aspect: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]
    per_megapixel: Annotated[tuple[Density, ...], Field(min_length=1)]

    @field_validator("major_px", "aspect", "per_megapixel")
    @classmethod
    def _ascending(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if any(later < earlier for earlier, later in itertools.pairwise(values)):
            raise ValueError(f"quantiles must ascend, found {list(values)}")
        return values


class LoopSizes(BaseModel):
    """Size, aspect-ratio and density distributions by defect type; saved as JSON or TOML.

    Parameters
    ----------
    types
        Distributions of each defect type.
    source
        Where the numbers come from, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: Annotated[dict[str, TypeSizes], Field(min_length=1)]
    source: str = ""

    @classmethod
    def load(cls, path: Path) -> LoopSizes:
        """Read what :meth:`save` wrote, or what a user wrote by hand.

        Raises
        ------
        InputError
            The file cannot be read.
        FormatError
            It is neither JSON nor TOML, or a value is missing or out of its limits.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot read loop sizes from {path}: {getattr(error, 'strerror', None) or error}; "
                "expected a JSON or TOML file as fit_loop_sizes(...).save(FILE) writes it"
            ) from error
        try:
            values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
            return cls.model_validate(values)
        except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
            raise FormatError(f"{path}: loop sizes must be JSON or TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise FormatError(f"{path}: loop sizes: {where}: {first['msg']}") from error

    def save(self, path: Path) -> None:
        """Write JSON where the name ends in ``.json``, else TOML; whole or not at all."""
        if path.suffix.lower() == ".json":
            text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
        else:
            lines = [f"source = {json.dumps(self.source)}"]
            for name, sizes in self.types.items():
                lines += ["", f"[types.{json.dumps(name)}]"]
                lines += [f"{k} = {json.dumps(list(v))}" for k, v in sizes]
            text = "\n".join(lines) + "\n"
        write_text(path, text)


def fit_loop_sizes(dataset: Dataset, label_inset_px: float = 0.0) -> LoopSizes:
    """Fit the distributions of all loop types of a labelled set.

    Loops at the rim of an image are left out of the sizes, for what is seen of them is cut off;
    they count for the densities. A large loop reaches the rim from more places than a small one:
    those away from it count for as many more as that leaves out. Ignored truth and defect types
    that are no loops count for neither. Where there are no ellipses the axes come from the boxes:
    the sum of the squared sides is that of the squared axes, their difference is taken to be
    sqrt(2) times that of the sides, which is right in quadratic mean where loops lie in all
    directions.

    Parameters
    ----------
    dataset
        Labelled images; those without any loop count for the densities.
    label_inset_px
        How far the boxes lie inside the loops' edges on each side, px. Not used for ellipses.

    Raises
    ------
    InputError
        No loop of any type is labelled.
    """
    axes: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    weights: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    numbers: dict[str, list[float]] = defaultdict(list)
    for image in dataset.images:
        truth = image.instances[~image.instances.ignore]
        height, width = truth.image_shape
        weight, major_minor = _rim_weights(truth), _axes(truth, label_inset_px)
        for name in LOOP_TYPES:
            chosen = truth.defect_types == name
            whole = chosen & (weight > 0)
            axes[name].append(major_minor[whole])
            weights[name].append(weight[whole])
            numbers[name].append(float(chosen.sum()) * PX_PER_MEGAPIXEL / max(height * width, 1))
    types = {}
    for name in LOOP_TYPES:
        pairs = np.concatenate(axes[name]) if axes[name] else np.zeros((0, 2))
        if len(pairs):
            weight = np.concatenate(weights[name])
            density = np.array(numbers[name])
            types[name] = TypeSizes(
                major_px=_deciles(pairs[:, 0], weight),
                aspect=_deciles(pairs[:, 1] / pairs[:, 0], weight),
                per_megapixel=_deciles(density, np.ones(len(density))),
            )
    count = len(dataset.images)
    if not types:
        found = ", ".join(
            f"{number} of {name!r}" for name, number in label_numbers(dataset).items()
        )
        raise InputError(
            f"no loop sizes to fit: expected labels of the types {', '.join(LOOP_TYPES)} away from "
            f"the images' rims, found {found or 'no label'} in {count} "
            f"image{'' if count == 1 else 's'}"
        )
    source = f"fitted to {count} labelled image{'' if count == 1 else 's'}"
    return LoopSizes(types=types, source=source)


def label_numbers(dataset: Dataset) -> dict[str, int]:
    """Return how many labels that count there are of each name, the most first."""
    names: Counter[str] = Counter()
    for image in dataset.images:
        names.update(str(n) for n in image.instances.defect_types[~image.instances.ignore])
    return dict(names.most_common())


def _axes(truth: Instances, label_inset_px: float) -> NDArray[np.float64]:
    """Return (n, 2) full major and minor axes."""
    boxes = truth.boxes.astype(float)
    squares = (boxes[:, 2:] - boxes[:, :2] + 2 * label_inset_px) ** 2
    total = squares.sum(axis=1)
    difference = np.sqrt(2) * np.abs(squares[:, 0] - squares[:, 1])
    most = total * (1 - THINNEST**2) / (1 + THINNEST**2)
    difference = np.minimum(difference, most)
    axes = np.sqrt(np.stack([total + difference, total - difference], axis=1) / 2)
    if {"major_px", "minor_px"} <= set(truth.measurements):
        known = np.stack([truth.measurements[c] for c in ("major_px", "minor_px")], axis=1)
        known = np.sort(known.astype(float), axis=1)[:, ::-1]
        usable = np.isfinite(known).all(axis=1) & (known > 0).all(axis=1)
        axes[usable] = known[usable]
    return np.asarray(axes, float)


def _rim_weights(truth: Instances) -> NDArray[np.float64]:
    """Return for how many loops of its size each one away from the rim stands; 0 at the rim.

    That is the area of the image by that of all places of a box at which it is away from the rim.
    """
    boxes, sides = truth.boxes.astype(float), np.array(truth.image_shape[::-1], float)
    low, high = boxes[:, :2], boxes[:, 2:]
    away = (low >= RIM_PX).all(axis=1) & (high <= sides - RIM_PX).all(axis=1)
    places = np.maximum(sides - 2 * RIM_PX - (high - low), LEAST_PLACES * sides)
    return np.asarray(np.where(away, np.prod(sides / places, axis=1), 0.0), float)


def _deciles(values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, ...]:
    """Return deciles, those of :func:`numpy.quantile` where all weigh the same."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    middles = np.cumsum(weights) - weights / 2
    at = middles[0] + DECILES * (middles[-1] - middles[0])
    # Four digits are more than any label is worth, and can be read.
    return tuple(float(f"{v:.4g}") for v in np.interp(at, middles, values))
