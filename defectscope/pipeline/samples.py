"""One synthetic sample: drawn from a plan and a number, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from defectscope._version import __version__
from defectscope.core.base import Generator
from defectscope.core.errors import ComponentError, DefectscopeError, FormatError, UsageError
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.core.options import as_written
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.drawing_checks import check_drawn, check_moved, check_rendered
from defectscope.pipeline.drawn import DrawnFrame, Sample
from defectscope.pipeline.named import NamedComponent, enter, guarded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.calibration import Calibration
    from defectscope.plugins.host import PluginHost

__all__ = ["SampleMaker", "SamplePlan", "read_parameters"]

PARAMETERS_FORMAT = 1
# An instance of which a larger part is covered later counts as neither hit nor miss.
MOST_COVERED = 0.5
SMALLEST_SIDE_PX, LARGEST_SIDE_PX = 16, 16_384


@dataclass(frozen=True)
class SamplePlan:
    """What decides about every pixel of a dataset.

    Parameters
    ----------
    background, generators
        Components with their options; generators draw one after the other.
    shape
        (height, width) in px.
    seed
        Of the whole dataset; a sample's own is made of it and of the sample's number.
    length
        Frames of a sequence, or None for stills.
    bit_depth
        8 or 16.
    stream
        Keeps what is drawn apart from all else of the same seed; nothing for a dataset.
    """

    background: Choice
    generators: tuple[Choice, ...]
    shape: tuple[int, int] = (512, 512)
    seed: int = 0
    length: int | None = None
    bit_depth: int = 8
    stream: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        height, width = self.shape
        if not SMALLEST_SIDE_PX <= min(self.shape) <= max(self.shape) <= LARGEST_SIDE_PX:
            raise UsageError(
                f"images must have sides of {SMALLEST_SIDE_PX} to {LARGEST_SIDE_PX} px, "
                f"found {width} x {height} px"
            )
        if self.bit_depth not in (8, 16):
            raise UsageError(f"images have 8 or 16 bits, found {self.bit_depth!r}")
        if not self.generators:
            raise UsageError("name at least one generator")
        if self.length is not None and len(self.generators) > 1:
            raise UsageError("a sequence is made by one generator; name one, or leave out --length")

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "background": _plain_choice(self.background),
            "generators": [_plain_choice(choice) for choice in self.generators],
            "shape": list(self.shape),
            "seed": self.seed,
            "length": self.length,
            "bit_depth": self.bit_depth,
            **({"stream": list(self.stream)} if self.stream else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SamplePlan:
        """Read what :meth:`as_dict` gave."""
        return cls(
            Choice(**values["background"]),
            tuple(Choice(**choice) for choice in values["generators"]),
            (values["shape"][0], values["shape"][1]),
            values["seed"],
            values["length"],
            values["bit_depth"],
            tuple(values.get("stream", ())),
        )


def _plain_choice(choice: Choice) -> dict[str, Any]:
    return {"name": choice.name, "alias": choice.alias, "options": dict(choice.options)}


class SampleMaker:
    """Draws samples; a context manager that builds and opens its components once.

    Parameters
    ----------
    plan
        What to draw.
    host
        Where components are looked up.
    not_closed
        Grows where a component cannot be closed; without it that is raised.

    Attributes
    ----------
    versions
        Of what draws, by distribution.

    Raises
    ------
    UsageError
        Sequences are asked of a generator that draws stills only.
    """

    def __init__(
        self, plan: SamplePlan, host: PluginHost, not_closed: list[str] | None = None
    ) -> None:
        self._background = NamedComponent.build(host, "backgrounds", plan.background)
        self._generators = [
            NamedComponent.build(host, "generators", choice) for choice in plan.generators
        ]
        self.plan = replace(
            plan,
            background=_written(self._background, plan.background),
            generators=tuple(map(_written, self._generators, plan.generators)),
        )
        self.versions = _versions(self.plan, host)
        if plan.length is not None:
            _refuse_stills(self._generators[0], host)
        self._not_closed = not_closed
        self._opened = ExitStack()

    @property
    def defect_types(self) -> set[str] | None:
        """What its generators say that they can draw, or None where one does not say."""
        declared = [set(named.component.defect_types) for named in self._generators]
        return set[str]().union(*declared) if all(declared) else None

    def depends_on(self) -> dict[str, dict[str, Any]]:
        """Return what decides about the pixels beside the plan, by alias; of an open maker."""
        named = (self._background, *self._generators)
        found = {n.alias: guarded(n, "at the start", n.component.depends_on) for n in named}
        return {alias: values for alias, values in found.items() if values}

    @property
    def that_copy(self) -> tuple[str, ...]:
        """Aliases of the components whose files are to be seen in what is drawn."""
        copying = [n.alias for n in self._generators if n.component.copies_files]
        return (self._background.alias, *copying)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for named in (self._background, *self._generators):
                enter(stack, named, self._not_closed)
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)

    def __getstate__(self) -> dict[str, Any]:
        # A component survives pickling before it is opened, so that is what is pickled.
        return {
            "plan": self.plan,
            "versions": self.versions,
            "_background": self._background.twin(),
            "_generators": [named.twin() for named in self._generators],
            "_not_closed": None,
            "_opened": ExitStack(),
        }

    def sample(self, number: int) -> Sample:
        """Return a sample, whose images are drawn as they are read.

        The same plan, number and versions give the same pixels and truth, whoever draws them. A
        maker's components draw one sample at a time: read it to its end before the next.
        """
        plan = self.plan
        root = np.random.SeedSequence(plan.seed, spawn_key=(*plan.stream, number))
        seeds = [np.random.default_rng(child) for child in root.spawn(1 + len(self._generators))]
        canvas, drawn = self._render(number, seeds[0])
        record: dict[str, Any] = {
            "format": PARAMETERS_FORMAT,
            "version": __version__,
            "versions": self.versions,
            "plan": plan.as_dict(),
            "number": number,
            "background": drawn,
            "generators": [],
        }
        draw = self._still if plan.length is None else self._sequence
        return Sample(record, draw(number, canvas, seeds[1:], record))

    def make(self, number: int) -> tuple[list[DrawnFrame], dict[str, Any]]:
        """Return all images of a sample at once, and every parameter that made them."""
        sample = self.sample(number)
        return list(sample), sample.parameters

    def _render(
        self, number: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        named, where = self._background, f"for sample {number}"
        answer: Any = guarded(named, where, named.component.render, self.plan.shape, rng)
        check_rendered(named, where, answer, self.plan.shape)
        pixels, parameters = answer
        # Generators draw on it, and a background may keep what it returned for the next sample.
        return np.array(pixels, order="C"), parameters

    def _tell(self, component: Generator, number: int) -> None:
        component.sample_number, component.covered = number, None
        declared = (named.component.defect_types for named in self._generators)
        component.labelled_types = frozenset().union(*declared)

    def _still(
        self,
        number: int,
        canvas: NDArray[np.float32],
        seeds: Sequence[np.random.Generator],
        record: dict[str, Any],
    ) -> Iterator[DrawnFrame]:
        truths: list[Instances] = []
        sizes: set[float | None] = set()
        doses: set[float | None] = set()
        for named, rng in zip(self._generators, seeds, strict=True):
            component, where = named.component, f"for sample {number}"
            self._tell(component, number)
            drawn = guarded(named, where, component.draw, canvas, rng)
            check_drawn(named, where, drawn, canvas, component.covered)
            if component.covered is not None:
                truths = [_without_covered(truth, component.covered) for truth in truths]
            truths.append(drawn)
            record["generators"].append(_parameters(named, where))
            size, (dose,) = guarded(named, where, lambda c=component: _scale(c.calibration, 1))
            sizes.add(size)
            doses.add(dose)
        truth = Instances.concatenate(truths)
        pixels = self._digitised(canvas)
        yield DrawnFrame(
            f"{number:06d}", pixels, truth, pixel_size_nm=_agreed(sizes), dose_dpa=_agreed(doses)
        )

    def _sequence(
        self,
        number: int,
        canvas: NDArray[np.float32],
        seeds: Sequence[np.random.Generator],
        record: dict[str, Any],
    ) -> Iterator[DrawnFrame]:
        named, length = self._generators[0], self.plan.length or 0
        component, where = named.component, f"for sample {number}"
        self._tell(component, number)
        frames = guarded(named, where, lambda: iter(component.sequence(canvas, seeds[0], length)))
        size, doses = guarded(named, where, lambda: _scale(component.calibration, length))
        digits = max(4, len(str(length - 1)))
        for index in range(length):
            place = f"{where}, frame {index}"
            drawn = guarded(named, place, next, frames, None)
            if drawn is None:
                raise ComponentError(f"{named.describe()} must yield {length} frames, not {index}")
            check_moved(named, place, drawn, self.plan.shape)
            pixels, truth = drawn
            yield DrawnFrame(
                f"{number:06d}-{index:0{digits}d}", self._digitised(pixels), truth, index,
                size, doses[index],
            )  # fmt: skip
        # A generator learns what it drew while it draws, so that its parameters come at its end.
        if guarded(named, where, next, frames, None) is not None:
            raise ComponentError(f"{named.describe()} must yield {length} frames, found more")
        record["generators"].append(_parameters(named, where))

    def _digitised(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        top = 2**self.plan.bit_depth - 1
        kind = np.uint8 if self.plan.bit_depth == 8 else np.uint16
        scaled = np.clip(pixels, 0, 1)
        scaled *= np.float32(top)
        return np.rint(scaled, out=scaled).astype(kind)


def _scale(calibration: Calibration, length: int) -> tuple[float | None, list[float | None]]:
    """Return the pixel size, and the dose at each frame of a sequence."""
    return calibration.pixel_size_nm, [calibration.dose_dpa(index) for index in range(length)]


def _agreed(values: set[float | None]) -> float | None:
    """Return what all say that say anything; generators that disagree leave it unknown."""
    known = values - {None}
    return known.pop() if len(known) == 1 else None


def _versions(plan: SamplePlan, host: PluginHost) -> dict[str, str]:
    plugins = [
        host.find(family, choice.name).plugin
        for family, choice in (("backgrounds", plan.background),
                               *(("generators", choice) for choice in plan.generators))
    ]  # fmt: skip
    return {"defectscope": __version__} | {p.distribution: p.version for p in plugins}


def _written(named: NamedComponent, choice: Choice) -> Choice:
    """Return a choice whose options can be written down and read again."""
    return replace(choice, options=as_written(type(named.component.options), choice.options))


def _without_covered(truth: Instances, covered: NDArray[np.bool_]) -> Instances:
    """Flag what is mostly hidden as neither hit nor miss."""
    ignore = truth.ignore.copy()
    for k, (x0, y0, x1, y1) in enumerate(np.rint(truth.boxes).astype(int)):
        mask = Mask(int(x0), int(y0), np.ones((max(y1 - y0, 0), max(x1 - x0, 0)), bool))
        mask = (mask if truth.masks is None else truth.masks[k]).clipped(truth.image_shape)
        left, top, right, bottom = mask.box
        hidden = np.count_nonzero(mask.bitmap & covered[top:bottom, left:right])
        ignore[k] |= hidden > MOST_COVERED * mask.area_px
    return replace(truth, ignore=ignore)


def _refuse_stills(named: NamedComponent, host: PluginHost) -> None:
    if _moves(type(named.component)):
        return
    names = []
    for entry in host.registered("generators"):
        with suppress(DefectscopeError):  # one that cannot be loaded is no advice
            if _moves(host.load_class(entry)):
                names.append(entry.name)
    advice = (
        f", or choose a generator of sequences such as {' or '.join(sorted(names))}"
        if names
        else ""
    )
    raise UsageError(f"{named.alias} draws stills only; leave out --length{advice}")


def _moves(generator: type[Generator]) -> bool:
    return generator.sequence is not Generator.sequence


def _parameters(named: NamedComponent, where: str) -> dict[str, Any]:
    component = named.component
    return {
        "alias": named.alias,
        "options": component.options.model_dump(mode="json"),
        # One that was not initialised as its base class is has none.
        "parameters": guarded(named, where, lambda: component.last_parameters),
    }


def read_parameters(path: Path) -> tuple[SamplePlan, int, str]:
    """Return the plan, the number and the digest of the pixels of a parameters file.

    Raises
    ------
    FormatError
        It cannot be read, or was written by another version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not isinstance(record.get("plan", {}), dict):
            raise ValueError("expected an object with an object 'plan' in it")
        if record["version"] != __version__:
            raise FormatError(
                f"{path} was written by defectscope {record['version']}, this is {__version__}; "
                "only the same version draws the same pixels"
            )
        if record["format"] != PARAMETERS_FORMAT or record["number"] < 0:
            raise ValueError(
                f"expected format {PARAMETERS_FORMAT} and a number of 0 or more, found "
                f"{record['format']} and {record['number']}"
            )
        return SamplePlan.from_dict(record["plan"]), record["number"], record["pixels_sha256"]
    except KeyError as error:
        raise FormatError(f"{path} is no parameters file of a sample: no {error} in it") from error
    except OSError as error:
        reason = error.strerror or error
        raise FormatError(f"{path} is no parameters file of a sample: {reason}") from error
    except (ValueError, TypeError) as error:
        raise FormatError(f"{path} is no parameters file of a sample: {error}") from error
