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


def test_grey_images_give_what_the_encoder_gives_of_grey_colours(rgb_encoder):
    path, encoder = rgb_encoder
    network = UnetppNetwork(Architecture(**SMALL)).eval()
    load_encoder(network, path)
    grey = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        expected, found = encoder(grey.expand(-1, 3, -1, -1)), network.net.encoder(grey)
    for a, b in zip(expected[1:], found[1:], strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=1e-4)


def test_weights_of_another_encoder_are_refused(rgb_encoder):
    network = UnetppNetwork(Architecture(**{**SMALL, "encoder": "resnet18"}))
    with pytest.raises(FormatError, match="has no tensor"):
        load_encoder(network, rgb_encoder[0])


def test_weights_that_lack_a_part_are_refused(rgb_encoder, tmp_path):
    tensors = dict(rgb_encoder[1].state_dict())
    del tensors["features.3.conv.0.0.weight"]
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / "part.safetensors")
    with pytest.raises(FormatError, match="has no tensor"):
        load_encoder(UnetppNetwork(Architecture(**SMALL)), tmp_path / "part.safetensors")


def test_outputs_begin_dark():
    network = UnetppNetwork(Architecture(**SMALL)).eval()
    with torch.no_grad():
        (logits,) = network(torch.zeros(1, 1, 64, 64))
    assert logits.shape == (1, 3, 64, 64)
    assert float(logits.mean()) == pytest.approx(FIRST_LOGIT, abs=1.0)


def test_outputs_with_places_show_what_is_near_them():
    torch.manual_seed(0)
    network = UnetppNetwork(Architecture(**{**SMALL, "masks": 4}, places=True, tile_px=128)).eval()
    with torch.no_grad():
        torch.nn.init.zeros_(network.places.way.weight)
        torch.nn.init.zeros_(network.places.head[0].weight)
        logits, middles = network.reduced(torch.zeros(1, 1, 128, 128))
    # Nothing known yet: the middle of each pixel's line is the pixel itself.
    assert middles[0, 0, :, 0].tolist() == pytest.approx([(k + 0.5) / 128 for k in range(128)])
    assert middles[0, 1, 0].tolist() == pytest.approx([(k + 0.5) / 128 for k in range(128)])
    nearest = logits[0].argmax(dim=0)
    assert [int(nearest[y, x]) for y, x in [(9, 9), (9, 99), (99, 9), (99, 99)]] == [0, 1, 2, 3]
    # At a place itself nothing is taken away; at the next one the logit is lower by 3.
    assert float(logits[0, 0, 31, 31]) == pytest.approx(FIRST_LOGIT, abs=0.01)
    assert float(logits[0, 0, 31, 95]) == pytest.approx(FIRST_LOGIT - 3, abs=0.1)


def test_smaller_frames_have_the_places_of_a_tile():
    network = UnetppNetwork(Architecture(**SMALL, places=True, reduce=2, tile_px=256)).eval()
    torch.nn.init.zeros_(network.places.way.weight)
    with torch.no_grad():
        _, middles = network.reduced(torch.zeros(1, 1, 64, 64))
    assert float(middles[0, 0, -1, 0]) == pytest.approx(31.5 * 2 / 256)
