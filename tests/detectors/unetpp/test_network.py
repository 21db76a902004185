"""The network of ``unetpp``, and encoder weights from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("segmentation_models_pytorch")

from safetensors.torch import save_file  # noqa: E402

from defectscope.core.errors import FormatError  # noqa: E402
from defectscope.detectors.unetpp.architecture import Architecture  # noqa: E402
from defectscope.detectors.unetpp.network import (  # noqa: E402
    FIRST_LOGIT,
    UnetppNetwork,
    load_encoder,
)

SMALL = {"encoder": "mobilenet_v2", "masks": 3, "decoder_channels": (8, 8, 8, 8, 8)}


@pytest.fixture(scope="module")
def rgb_encoder(tmp_path_factory):
    """Weights of an encoder for three colours, as ImageNet's are."""
    import segmentation_models_pytorch as smp

    torch.manual_seed(4)
    encoder = smp.encoders.get_encoder("mobilenet_v2", in_channels=3, weights=None)
    path = tmp_path_factory.mktemp("encoder") / "rgb.safetensors"
    save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, path)
    return path, encoder.eval()


@pytest.mark.parametrize("coordinates", [False, True])
def test_grey_images_give_what_the_encoder_gives_of_grey_colours(rgb_encoder, coordinates):
    path, encoder = rgb_encoder
    network = UnetppNetwork(Architecture(**SMALL, coordinates=coordinates)).eval()
    load_encoder(network, path)
    grey = torch.randn(1, 1, 64, 64)
    # The places of pixels, whatever they are, change nothing yet.
    seen = torch.cat([grey, torch.randn(1, 2, 64, 64)], dim=1) if coordinates else grey
    with torch.no_grad():
        expected, found = encoder(grey.expand(-1, 3, -1, -1)), network.net.encoder(seen)
    for a, b in zip(expected[1:], found[1:], strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-4)


def test_weights_of_another_encoder_are_refused(rgb_encoder):
    network = UnetppNetwork(Architecture(**{**SMALL, "encoder": "resnet18"}))
    with pytest.raises(FormatError):
        load_encoder(network, rgb_encoder[0])


def test_outputs_begin_dark():
    network = UnetppNetwork(Architecture(**SMALL)).eval()
    with torch.no_grad():
        (logits,) = network(torch.zeros(1, 1, 64, 64))
    assert logits.shape == (1, 3, 64, 64)
    assert float(logits.mean()) == pytest.approx(FIRST_LOGIT, abs=1.0)
