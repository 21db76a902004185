"""What detectors with a network have alike: weights with a card, an engine, a scale."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from defectscope import Frame, Options, TrainableDetector, WeightFiles
from defectscope.core.weights import find_weights
from defectscope.detectors.learning.engines import Engine, EngineName, open_engine
from defectscope.detectors.learning.normalisation import normalised
from defectscope.detectors.learning.packages import expect_torch
from defectscope.detectors.learning.plans import check_ahead, complete_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import TrainingJob

__all__ = ["LearnedDetector", "LearnedOptions", "enlarged", "scaled_input", "scaled_shape"]


class LearnedOptions(Options):
    """Options of every detector with a network."""

    weights: str = Field(
        description="a registered name ('defectscope weights list'), or a .safetensors path"
    )
    score: float | None = Field(
        None, gt=0, lt=1, description="least score; left out: the threshold of the weights' card"
    )
    engine: EngineName = Field(
        "onnx",
        description="what computes: onnx (base install), openvino, torch; openvino-16bit is up to "
        "twice as fast on processors made for it, and moves scores of heatmap and yolov3 by up to "
        "0.01, of faster-rcnn by up to 0.3",
    )


class LearnedDetector(TrainableDetector):
    """A detector whose network an engine computes.

    Attributes
    ----------
    name
        The detector that cards of its weights name.
    """

    name: ClassVar[str]
    options: LearnedOptions
    uses_device = True

    def __init__(self, options: Any = None, runtime: Any = None) -> None:
        super().__init__(options, runtime)
        self._engine: Engine | None = None

    @cached_property
    def files(self) -> WeightFiles:
        """The weights that the option names."""
        default = "weights" not in self.options.model_fields_set
        path = find_weights(self.options.weights, self.runtime.weights, shipped=default)
        return WeightFiles.open(path, self.name)

    def depends_on(self) -> dict[str, Any]:
        """Return digest and threshold of the weights."""
        card = self.files.card
        return {"weights_sha256": card.sha256.get("safetensors"), "threshold": card.threshold}

    @property
    def defect_types(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the card of the weights lists."""
        return self.files.card.defect_types

    @property
    def least_score(self) -> float:
        """Score from which a detection counts."""
        given = self.options.score
        return self.files.card.threshold if given is None else given

    @property
    def engine(self) -> Engine:
        """What computes the network; made when it is first needed."""
        if self._engine is None:
            self.open()
        assert self._engine is not None
        return self._engine

    def before_training(self, job: TrainingJob) -> WeightFiles | None:
        """Return the weights of a training that is complete; refuse what cannot work."""
        check_ahead(job, self.name)
        return complete_weights(job, self.name)

    def open(self) -> None:
        """Read the weights and prepare the engine."""
        self.close()
        self._engine = open_engine(self.options.engine, self.files, self.runtime, self.network)

    def close(self) -> None:
        """Drop the engine."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None

    def network(self) -> Any:
        """Return the torch module with these weights in it.

        Raises
        ------
        MissingPackageError
            torch is not installed.
        FormatError
            The file does not hold this network.
        """
        expect_torch()
        return self.load_network()

    @abstractmethod
    def load_network(self) -> Any:
        """Return the torch module of ``files``; torch is there."""


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (height, width) of a frame that is enlarged by `scale`, whole px."""
    height, width = (max(1, round(side * scale)) for side in shape)
    return height, width


def scaled_input(frame: Frame, scale: float) -> NDArray[np.float32]:
    """Return the normalised grey levels of a frame, enlarged by `scale`."""
    return enlarged(normalised(frame.pixels), scale)


def enlarged(values: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Return an (H, W) image enlarged by `scale`."""
    if scale == 1:
        return values
    import cv2

    height, width = scaled_shape((values.shape[0], values.shape[1]), scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(values, (width, height), interpolation=how), np.float32)
