"""Training data drawn on the fly: a TOML file names generators, backgrounds and their shares.

::

    title = "in-situ loops"
    defect_types = ["dislocation-loop"]

    [[source]]
    share = 3
    background = "foil"
    generators = ["loops"]
    size = 352
    options.loops.sizes = "in-situ"

The numbers of samples decide about everything: the same number, recipe and seed give the same
frame, whoever draws it.
"""

from __future__ import annotations

import tomllib
from contextlib import ExitStack
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from defectscope.core.errors import FormatError, InputError, did_you_mean
from defectscope.core.instances import Instances
from defectscope.core.training import TrainingData
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.samples import SampleMaker, SamplePlan
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.plugins.host import PluginHost

__all__ = ["Recipe", "RecipeData", "RecipeSource"]

NEEDED = "a recipe has defect_types, and a [[source]] or more with generators"
# First in the keys of a recipe's random streams, so that no dataset of its seed shows its frames.
RECIPES = 0x726563
Side = Annotated[int, Field(ge=16, le=16_384)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecipeSource(_Strict):
    """Frames of one kind.

    Parameters
    ----------
    share
        How often frames of this source come, relative to the others.
    background, generators
        Components by name, as on the command line.
    size
        Side of the frames in px, or [width, height].
    bit_depth
        8 or 16.
    options
        Of the components, one table each.
    """

    share: float = Field(1.0, gt=0)
    background: str = "defectscope/texture"
    generators: tuple[str, ...] = Field(min_length=1)
    size: Side | tuple[Side, Side] = 352
    bit_depth: Literal[8, 16] = 8
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def plan(self, seed: int, stream: tuple[int, ...] = ()) -> SamplePlan:
        """Return what draws the frames."""
        background, *generators = make_choices([self.background, *self.generators], self.options)
        width, height = (self.size, self.size) if isinstance(self.size, int) else self.size
        return SamplePlan(
            background, tuple(generators), (height, width), seed, None, self.bit_depth, stream
        )


class Recipe(_Strict):
    """What a ``.toml`` file of training data holds.

    Parameters
    ----------
    title
        For people; the name of the file by default.
    defect_types
        Names in the order of the network's output.
    rename
        Types of generators that are to be learned under another name.
    unlabelled
        Types of generators that are drawn and not labelled: what is not to be found.
    seed
        Of all frames.
    streams
        Where random numbers come from: 2 is for streams that nothing else has, 1 for those of
        before, whose frames ``generate`` draws too, with the seed plus the position of the source.
    source
        Kinds of frames.
    """

    title: str = Field(min_length=1)
    defect_types: tuple[str, ...] = Field(min_length=1)
    rename: dict[str, str] = Field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()
    seed: int = Field(0, ge=0)
    streams: Literal[1, 2] = 2
    source: tuple[RecipeSource, ...] = Field(min_length=1)

    def plan(self, number: int) -> SamplePlan:
        """Return what draws the frames of a source."""
        source = self.source[number]
        if self.streams == 1:
            return source.plan(self.seed + number)
        return source.plan(self.seed, (RECIPES, number))


class RecipeData(TrainingData):
    """Endless frames of a recipe.

    Parameters
    ----------
    recipe
        What to draw.
    host
        Where its components are looked up; the installed plugins by default.
    """

    def __init__(self, recipe: Recipe, host: PluginHost | None = None) -> None:
        self._recipe = recipe
        self.title, self.defect_types = recipe.title, recipe.defect_types
        shares = np.array([source.share for source in recipe.source])
        self._steps = np.cumsum(shares) / shares.sum()
        # Made at once, so that a wrong name shows before the first step.
        self._makers = [
            SampleMaker(recipe.plan(k), host or default_host()) for k in range(len(recipe.source))
        ]
        self.warnings = self._checked_names(frozenset((host or default_host()).defect_types()))
        self._depends_on: dict[str, Any] | None = None

    @classmethod
    def read(cls, path: Path, host: PluginHost | None = None) -> Self:
        """Read a ``.toml`` file.

        Raises
        ------
        InputError
            It cannot be opened.
        FormatError
            It is malformed; says which value.
        """
        try:
            content = {"title": path.stem, **tomllib.loads(path.read_text(encoding="utf-8-sig"))}
            return cls(Recipe.model_validate(content), host)
        except OSError as error:
            raise InputError(f"cannot read the recipe {path}: {error.strerror or error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            hint = f"; {NEEDED}" if first["type"] == "missing" else ""
            raise FormatError(f"the recipe {path}: {where}: {first['msg']}{hint}") from error
        except ValueError as error:
            raise FormatError(f"the recipe {path} is no TOML file: {error}") from error

    def _checked_names(self, registered: frozenset[str]) -> tuple[str, ...]:
        """Refuse names of types that nobody knows or draws; return what is to be warned of.

        A generator may be kept from drawing some of its types by its options, so that more cannot
        be known before a frame is drawn.
        """
        each = [maker.defect_types for maker in self._makers]
        if any(types is None for types in each):
            return ()
        drawn = set[str]().union(*(types or () for types in each))
        for table, names in (
            ("[rename]", self._recipe.rename), ("unlabelled", self._recipe.unlabelled)
        ):  # fmt: skip
            for name in names:
                if name not in drawn | registered:
                    raise FormatError(
                        f"the recipe {self.title!r}: {table} names {name!r}"
                        f"{did_you_mean(name, drawn)}, which none of its generators draws; they "
                        f"draw {', '.join(sorted(drawn))}"
                    )
        left = drawn - set(self._recipe.unlabelled)
        called = {self._recipe.rename.get(name, name) for name in left}
        missing = [name for name in self.defect_types if name not in called]
        if len(missing) == len(self.defect_types):
            raise FormatError(
                f"the recipe {self.title!r}: none of its generators draws its defect_types, "
                f"{', '.join(missing)}; what they draw is called "
                f"{', '.join(sorted(called)) or 'nothing'}"
            )
        return tuple(
            f"no generator of the recipe draws {name!r}{did_you_mean(name, called)}, one of its "
            "defect_types; nothing is learned of it"
            for name in missing
        )

    @property
    def length(self) -> None:
        """There is no end."""
        return None

    def open(self) -> None:
        """Open the generators."""
        with ExitStack() as stack:
            for maker in self._makers:
                stack.enter_context(maker)
            stack.pop_all()

    def close(self) -> None:
        """Close the generators."""
        for maker in self._makers:
            maker.__exit__(None, None, None)

    def load(self, number: int) -> tuple[NDArray[Any], Instances]:
        """Draw one frame."""
        chance = np.random.default_rng([self._recipe.seed, number]).random()
        source = int(np.searchsorted(self._steps, chance, side="right"))
        frames, _ = self._makers[min(source, len(self._makers) - 1)].make(number)
        return frames[0].pixels, self._named(frames[0].truth)

    def _named(self, truth: Instances) -> Instances:
        rename, unlabelled = self._recipe.rename, self._recipe.unlabelled
        if unlabelled:
            truth = truth[~np.isin(truth.defect_types, unlabelled)]
        names = [rename.get(str(name), str(name)) for name in truth.defect_types]
        unknown = sorted(set(names) - set(self.defect_types))
        if unknown:
            raise FormatError(
                f"the recipe {self.title!r} draws {', '.join(unknown)}, but its defect_types are "
                f"{', '.join(self.defect_types)}; add it there, give it another name in [rename], "
                "or list it as unlabelled"
            )
        return Instances(
            truth.image_shape,
            truth.boxes,
            defect_types=names,
            ignore=truth.ignore,
            masks=truth.masks,
            lines=truth.lines,
        )

    def recipe(self) -> dict[str, Any]:
        """Return the whole recipe."""
        plain = self._recipe.model_dump(mode="json")
        # Trainings from before there were such keys go on, and those from before the default
        # background had a distribution before its name.
        if not plain["unlabelled"]:
            del plain["unlabelled"]
        if plain["streams"] == 1:
            del plain["streams"]
        for source, written in zip(self._recipe.source, plain["source"], strict=True):
            if "background" not in source.model_fields_set:
                written["background"] = written["background"].removeprefix("defectscope/")
        return plain

    def depends_on(self) -> dict[str, Any]:
        """Return digests of the files that are drawn from, by source and alias."""
        if self._depends_on is None:
            found = {}
            for number, maker in enumerate(self._makers, start=1):
                # Opened anew, and closed again: the maker itself may be at work.
                with copy(maker) as opened:
                    found[f"source {number}"] = opened.depends_on()
            self._depends_on = {source: values for source, values in found.items() if values}
        return self._depends_on

    def shown_files(self) -> frozenset[str]:
        """Return digests of the files of backgrounds, and of generators that copy theirs."""
        found = set[str]()
        for number, maker in enumerate(self._makers, start=1):
            values = self.depends_on().get(f"source {number}", {})
            for alias in maker.that_copy:
                files = values.get(alias, {}).get("files")
                # A third party's may be anything.
                found.update(map(str, files.values()) if isinstance(files, dict) else ())
        return frozenset(found)
