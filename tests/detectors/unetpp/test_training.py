"""Training of ``unetpp``: its first state, what it learns from, what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("segmentation_models_pytorch")
pytest.importorskip("lightning")

from defectscope.core.errors import OptionError  # noqa: E402
from defectscope.detectors.unetpp.architecture import Architecture  # noqa: E402
from defectscope.detectors.unetpp.module import UnetppModule  # noqa: E402
from defectscope.detectors.unetpp.network import FIRST_LOGIT, UnetppNetwork  # noqa: E402
from defectscope.detectors.unetpp.options import UnetppTrainingOptions  # noqa: E402
from defectscope.detectors.unetpp.training import _network  # noqa: E402


def network(**size):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return UnetppNetwork(
            Architecture(
                encoder="mobilenet_v2", masks=3, decoder_channels=(16, 16, 16, 16, 8), **size
            )
        )


def test_outputs_begin_dark():
    with torch.inference_mode():
        (logits,) = network().eval()(torch.zeros(1, 1, 64, 64))
    assert float(logits.mean()) == pytest.approx(FIRST_LOGIT, abs=0.5)


@pytest.mark.parametrize("reduce", [1, 2])
def test_nothing_is_learned_on_ignored_lines(reduce):
    rng = np.random.default_rng(1)
    masks = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    masks[0, 0, 10:14, 5:60] = 1
    counted = torch.ones(1, 1, 64, 64, dtype=torch.uint8)
    counted[..., 30:50, :] = 0
    batch = {
        "pixels": torch.tensor(rng.random((1, 1, 64, 64)), dtype=torch.float32),
        "masks": masks,
        "real": torch.tensor([[True, False, False]]),
        "counted": counted,
    }
    options = UnetppTrainingOptions(masks=3, union_weight=1, empty_weight=1)
    losses = []
    for shown in (-5.0, 5.0):
        module = UnetppModule(_Fixed(reduce, shown), options, 1, 32, [])
        module.log_dict = lambda values: None
        losses.append(float(module.training_step(batch, 0)))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


class _Fixed(torch.nn.Module):
    """Shows the same in every output, in the rows that do not count."""

    def __init__(self, reduce, shown):
        super().__init__()
        self.reduce, self.shown = reduce, shown

    def reduced(self, pixels):
        logits = torch.full((1, 3, 64 // self.reduce, 64 // self.reduce), -4.0)
        logits[:, :, 30 // self.reduce : 50 // self.reduce] = self.shown
        return logits, None


def test_two_places_to_start_from_are_refused(tmp_path):
    options = UnetppTrainingOptions(encoder_weights=tmp_path / "any.safetensors")
    job = SimpleNamespace(options=options, init=tmp_path / "other.safetensors")
    with pytest.raises(OptionError, match="both say what to start from"):
        _network(job)
