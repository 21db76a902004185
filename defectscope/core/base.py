"""Base classes of components: what a plugin subclasses.

A component is built as ``Class(options, runtime)``, used as a context manager, and survives
pickling before it is opened, so that worker processes can each have one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from defectscope.core.calibration import Calibration
from defectscope.core.errors import UsageError
from defectscope.core.options import Options

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from defectscope.core.components import ComponentSpec
    from defectscope.core.datasets import Dataset
    from defectscope.core.defect_types import DefectType
    from defectscope.core.findings import Finding, Tables
    from defectscope.core.frames import Frame, FrameSequence
    from defectscope.core.instances import Instances
    from defectscope.core.training import TrainingJob
    from defectscope.core.weights import WeightFiles

__all__ = [
    "Analysis",
    "AnnotationFormat",
    "Background",
    "Component",
    "Detector",
    "Generator",
    "PostProcessor",
    "Reader",
    "Runtime",
    "Tracker",
    "TrainableDetector",
]


@dataclass(frozen=True)
class Runtime:
    """What a component may use.

    Parameters
    ----------
    device
        ``cpu`` or ``cuda``.
    threads
        Threads a component may start for itself.
    batch_size
        Frames handed to a detector at once.
    progress
        Whether a component may show progress of its own. Reserved: every command draws one set of
        bars for all, so that it is False wherever defectscope makes it.
    defect_types
        The registered defect types by name: their colours and size definitions.
    weights
        The registered weights by name.
    clashing_types
        Defect types that plugins define differently: by name, what to say where one is used.
    """

    device: str = "cpu"
    threads: int = 1
    batch_size: int = 1
    progress: bool = False
    defect_types: Mapping[str, DefectType] = field(default_factory=dict)
    weights: Mapping[str, ComponentSpec] = field(default_factory=dict)
    clashing_types: Mapping[str, str] = field(default_factory=dict)


class Component(ABC):
    """Base of all component families.

    Attributes
    ----------
    uses_device
        Whether it can work on another device than the CPU.
    """

    Options: ClassVar[type[Options]] = Options
    uses_device: ClassVar[bool] = False

    def __init__(self, options: Any = None, runtime: Runtime | None = None) -> None:
        self.options = self.Options() if options is None else options
        self.runtime = Runtime() if runtime is None else runtime

    def open(self) -> None:
        """Acquire what the work needs (weights, sessions); called once before the first use."""

    def close(self) -> None:
        """Let it go again."""

    def depends_on(self) -> dict[str, Any]:
        """Return what decides about its numbers beside its options, as plain values.

        Digests of files that the options name, for example. It goes into ``run.json`` and, of what
        draws, into ``dataset.json``; a run or a dataset is resumed with the same only.
        """
        return {}

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Background(Component):
    """Renders images without defects."""

    @abstractmethod
    def render(
        self, shape: tuple[int, int], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return (H, W) float32 pixels in [0, 1], and every parameter that was drawn.

        Whoever asked may draw on the pixels: return a copy of what is kept for the next time.
        """


class Generator(Component):
    """Draws defects whose truth is known.

    Attributes
    ----------
    defect_types
        What it can draw.
    last_parameters
        Everything that was drawn at random for the last image or sequence, as plain values; it
        goes into the parameters file of the sample. Of a sequence it is read after its last frame.
        Where it has ``left_out``, the number of defects that were asked for and found no room,
        ``generate`` warns of the sum.
    sample_number
        Number of the sample that is drawn next, set by whoever draws; for generators that go
        through a list. What they draw at random comes from `rng` alone.
    labelled_types
        Defect types that the generators of a sample say they draw, all together, set by whoever
        draws. Nothing that looks like these may be drawn without a label, as a distractor.
    covered
        (H, W) bool: where :meth:`draw` put something that hides all below it, such as a caption;
        None: nowhere. What generators before it labelled there is then flagged ``ignore``.
    copies_files
        Whether its images show what is in the files that its options name, such as labelled
        images, and not what was measured on them, such as a distribution of sizes; backgrounds
        count as if they did. Where training and validation have ``files`` (digest by name) of
        :meth:`depends_on` in common, that is told.
    """

    defect_types: ClassVar[tuple[str, ...]] = ()
    copies_files: ClassVar[bool] = False

    def __init__(self, options: Any = None, runtime: Runtime | None = None) -> None:
        super().__init__(options, runtime)
        self.last_parameters: dict[str, Any] = {}
        self.sample_number = 0
        self.labelled_types: frozenset[str] = frozenset()
        self.covered: NDArray[np.bool_] | None = None

    @property
    def calibration(self) -> Calibration:
        """Pixel size and dose law of what it draws, for the labels; unknown by default."""
        return Calibration()

    @abstractmethod
    def draw(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        """Draw onto `canvas` ((H, W) float32 in [0, 1]) in place, and return the truth."""

    def sequence(
        self, canvas: NDArray[np.float32], rng: np.random.Generator, length: int
    ) -> Iterator[tuple[NDArray[np.float32], Instances]]:
        """Yield `length` frames and their truth, with a ``track_id`` measurement.

        A generator that cannot move leaves this as it is.
        """
        raise TypeError(f"{type(self).__name__} draws stills only; it has no sequences")


class Detector(Component):
    """Finds defects in frames.

    A measurement ``bright`` (1 or 0) of its instances tells post-processors how they look, where
    that depends on its options and not on their defect type alone.
    """

    defect_types: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Return the instances of each frame, in order; the pixels must stay as they are."""


class TrainableDetector(Detector):
    """A detector that learns from labelled frames.

    Attributes
    ----------
    TrainingOptions
        Options of its training, beside those of detection.
    quick_training
        Values of these with which two steps on frames of 96 x 64 px take seconds, for the
        conformance tests; None: they do not train it.
    """

    TrainingOptions: ClassVar[type[Options]] = Options
    quick_training: ClassVar[Mapping[str, Any] | None] = None

    def before_training(self, job: TrainingJob) -> WeightFiles | None:
        """Refuse what cannot work, before long imports; return weights that are complete."""
        return None

    @abstractmethod
    def train(self, job: TrainingJob) -> WeightFiles:
        """Train as `job` says, write the weights, and return them."""

    @classmethod
    def convert(cls, source: Path, out: Path, defect_types: Sequence[str]) -> WeightFiles:
        """Write weights from a file that another program's training left.

        `source` is that file, `out` the ``.safetensors`` file to write; `defect_types` are names in
        the order of its classes, empty: the file's own.

        Raises
        ------
        UsageError
            The detector knows no files of other programs.
        """
        raise UsageError(
            f"{cls.__name__} reads no weights of other programs; leave out --detector to copy the "
            "tensors alone"
        )


class PostProcessor(Component):
    """Turns detections into geometry.

    Attributes
    ----------
    shapes
        Shapes of defect types it handles; instances of others pass through unchanged.
    columns
        Measurements it adds and their units (``px``, ``px2``, ``1/px``, ``deg``, ``""``).
    drops
        Whether it leaves instances out: what is known of the detector's precision and recall does
        not hold after it.
    """

    shapes: ClassVar[tuple[str, ...]] = ("ellipse", "line")
    columns: ClassVar[Mapping[str, str]] = {}
    drops: ClassVar[bool] = False

    @abstractmethod
    def process(self, frame: Frame, instances: Instances) -> Instances:
        """Return as many instances, fewer where it `drops` some, with the columns added."""


class Tracker(Component):
    """Links detections of different frames that are the same particle.

    Attributes
    ----------
    needs_geometry
        Whether it wants the vertices of lines and outlines, which are many.
    frame_step
        Difference of the frame indices of two successive frames that were looked at, set by
        whoever links: S under ``--frames A:B:S``. What is counted in frames (memory, gaps) means
        these; an index that is missing beyond that is a frame without detections.
    looked_at
        Indices of the frames that were looked at and could be read, set likewise; None where that
        is not known. Those without detections are not in the table.
    """

    needs_geometry: ClassVar[bool] = False
    frame_step: int = 1
    looked_at: Sequence[int] | None = None

    @abstractmethod
    def link(self, detections: pd.DataFrame, geometry: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the linked rows with an integer column ``particle`` added.

        Parameters
        ----------
        detections
            At least ``frame``, ``x``, ``y``; rows are not changed, but may be left out.
        geometry
            Vertices of lines and outlines, for those that ask for them.
        """


class Analysis(Component):
    """Turns tables into materials quantities and figures.

    Attributes
    ----------
    needs_geometry
        Whether it wants the vertices of lines and outlines, which are many.
    shapes
        Shapes of defect types it is about: it sees no rows of others, and is left out where nothing
        of them was found.
    """

    needs_geometry: ClassVar[bool] = False
    shapes: ClassVar[tuple[str, ...]] = ("ellipse", "line")

    @abstractmethod
    def analyse(self, tables: Tables) -> list[Finding]:
        """Return what can be found; nothing where the tables do not allow it."""

    def why_nothing(self, tables: Tables) -> str:
        """Return as a clause what the tables lack, for a user who asked and got no finding.

        Empty where that is not known, as it is here.
        """
        return ""


class Reader(Component):
    """Opens files that hold frames.

    Attributes
    ----------
    one_image_a_file
        Whether every file holds one image, so that a folder of them is one series that can be
        listed without opening each.
    """

    one_image_a_file: ClassVar[bool] = False

    @abstractmethod
    def read(self, path: Path) -> FrameSequence:
        """Return the frames of one file, lazily.

        Raises
        ------
        InputError
            The file is none of this reader's, or holds no image.
        """


class AnnotationFormat(Component):
    """Reads and writes labelled images."""

    def accepts(self, path: Path) -> bool:
        """Whether `path` (a file or a folder) looks like this format."""
        return False

    def load(self, path: Path) -> Dataset:
        """Return the labelled images below `path`."""
        raise TypeError(f"{type(self).__name__} cannot be read")

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        """Write `dataset` to `path`, and return warnings about what the format cannot hold."""
        raise TypeError(f"{type(self).__name__} cannot be written")
