"""Trainable detectors: what is asked of training, beside what is asked of every detector."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.base import TrainableDetector
from defectscope.core.errors import FormatError, InputError, OptionError
from defectscope.core.options import Options, check_options_model, validate_options
from defectscope.core.training import TrainingData, TrainingJob
from defectscope.core.weights import WeightFiles
from defectscope.plugins.conformance.basics import Check, ConformanceError, Setup, expect
from defectscope.plugins.conformance.compare import expect_declared, expect_instances
from defectscope.plugins.conformance.samples import sample_frame, sample_instances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.instances import Instances

__all__ = ["checks_of_training"]

FRAMES = 4
STEPS = 2
SHAPE = (64, 96)


class SampleData(TrainingData):
    """Four frames with labelled loops, or with labelled lines.

    Parameters
    ----------
    shape
        ``ellipse`` or ``line``.
    """

    def __init__(self, shape: str) -> None:
        self.title, self._shape = f"sample frames with labels of the shape {shape}", shape
        self.defect_types = ("dislocation-loop" if shape == "ellipse" else "dislocation",)

    @property
    def length(self) -> int:
        """Number of frames."""
        return FRAMES

    def load(self, number: int) -> tuple[NDArray[Any], Instances]:
        """Return a frame and its labels: boxes, masks and, of lines, where they run."""
        # The labels are those of the first frame; the others differ from it in their noise alone.
        rng = np.random.default_rng(number % FRAMES)
        pixels = sample_frame(SHAPE).pixels + rng.integers(0, 5, SHAPE).astype(np.uint8)
        truth = sample_instances(SHAPE, shapes=(self._shape,))
        if self._shape == "line":
            truth = replace(truth, lines=tuple(map(_diagonal, truth.boxes)))
        return pixels, truth

    def recipe(self) -> dict[str, Any]:
        """Return what it is."""
        return {"sample": self._shape}


def _diagonal(box: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the line along the longer side of a box, as the lines of the sample run."""
    x0, y0, x1, y1 = box.tolist()
    if y1 - y0 > x1 - x0:
        return np.array([[(x0 + x1) / 2, y0], [(x0 + x1) / 2, y1]])
    return np.array([[x0, 2.5 + 0.1 * x0], [x1, 2.5 + 0.1 * x1]])


def check_training_options(component: type[TrainableDetector], setup: Setup) -> None:
    """The options of training have descriptions, defaults, and names that can be set."""
    model: Any = component.TrainingOptions
    expect(
        isinstance(model, type) and issubclass(model, Options),
        f"{component.__name__}.TrainingOptions must be a subclass of defectscope.Options, found "
        f"{model!r}",
    )
    check_options_model(model)
    for what, wrong in (
        ("a description", [n for n, info in model.model_fields.items() if not info.description]),
        ("a default", [n for n, info in model.model_fields.items() if info.is_required()]),
    ):
        expect(
            not wrong,
            f"every option of training needs {what}, which 'plugins info' shows; without one: "
            f"{', '.join(wrong)}",
        )


def check_training_leaves_weights(component: type[TrainableDetector], setup: Setup) -> None:
    """A short training leaves weights with a card, which the detector opens."""
    with tempfile.TemporaryDirectory() as folder:
        files = _trained(component, setup, Path(folder) / "first.safetensors")
        expect(
            isinstance(files, WeightFiles),
            f"train must return the WeightFiles that it saved, found a {type(files).__name__}",
        )
        out = Path(folder) / "first.safetensors"
        expect(
            files.tensors == out and out.is_file(),
            f"train must write job.out ({out.name}), found {files.tensors.name}",
        )
        files.checked(".safetensors")
        expect(
            WeightFiles.open(out).card == files.card,
            "the card on the disk must be the one that train returns; WeightFiles.save does both",
        )
        _expect_own(component, setup, files)
        if "weights" in component.Options.model_fields:
            _detect_with(component, setup, files)


def _expect_own(component: type[TrainableDetector], setup: Setup, files: WeightFiles) -> None:
    """Expect of the card what ``train`` asks of it at the end of a training."""
    own = getattr(component, "name", None)
    names = [] if setup.spec is None else [setup.spec.name]
    names += [own] if isinstance(own, str) and own not in names else []
    expect(
        not names or files.card.detector in names,
        f"the card must name the detector {' or '.join(map(repr, names))}, as it is registered; "
        f"found {files.card.detector!r}",
    )


def _detect_with(component: type[TrainableDetector], setup: Setup, files: WeightFiles) -> None:
    own = replace(setup, options={**setup.options, "weights": str(files.tensors)})
    with own.opened(component) as detector:
        expect(
            set(detector.defect_types) == set(files.card.defect_types),
            f"with these weights the detector must declare the types of their card, "
            f"{', '.join(files.card.defect_types)}; found {', '.join(detector.defect_types)}",
        )
        frame = sample_frame(SHAPE)
        (found,) = detector.detect([frame])
        expect_instances(found, frame.shape, "what detect returns with these weights")
        expect_declared(found, detector.defect_types, "detections")


def check_training_repeats(component: type[TrainableDetector], setup: Setup) -> None:
    """The same seed gives the same weights."""
    with tempfile.TemporaryDirectory() as folder:
        first, again = (
            _trained(component, setup, Path(folder) / f"{name}.safetensors").tensors.read_bytes()
            for name in ("first", "again")
        )
    expect(first == again, "the same data, options and seed must give the same weights")


def _trained(component: type[TrainableDetector], setup: Setup, out: Path) -> WeightFiles:
    """Return the weights of a short training on loops or, where it wants these, on lines."""
    given = component.quick_training or {}
    chosen = validate_options(component.TrainingOptions, given, component.__name__)
    reasons: list[str] = []
    for shape in ("ellipse", "line"):
        job = TrainingJob(
            SampleData(shape), out, chosen, steps=STEPS, workers=0, say=lambda text: None
        )
        try:
            return component(None, setup.runtime).train(job)
        except (OptionError, InputError, FormatError) as error:
            reasons.append(f"{shape}: {error}")
    raise ConformanceError(f"it learns neither from loops nor from lines ({'; '.join(reasons)})")


def checks_of_training(component: type[TrainableDetector]) -> tuple[Check, ...]:
    """Return the checks of a detector; it is trained only where it says how that goes quickly."""
    if component.quick_training is None:
        return (check_training_options,)
    return check_training_options, check_training_leaves_weights, check_training_repeats
