"""The network of ``line-tracer``: what options build, what cards of former weights describe."""

from __future__ import annotations

from pathlib import Path

import pytest

from defectscope import WeightFiles

torch = pytest.importorskip("torch")

from defectscope.detectors.learning.networks import with_weights  # noqa: E402
from defectscope.detectors.line_tracer.network import (  # noqa: E402
    Architecture,
    LineNetwork,
)

SMALL = {"stem": 4, "channels": (8, 8), "blocks": (1, 1), "head": 8}


@pytest.mark.parametrize("fine", [0, 1, 3])
def test_answers_come_at_half_the_resolution(fine: int) -> None:
    network = LineNetwork(Architecture(**SMALL, bins=12, fine=fine)).eval()
    with torch.no_grad():
        presence, offsets, ends = network(torch.rand(2, 1, 32, 48))
    assert presence.shape == offsets.shape == (2, 12, 16, 24)
    assert ends.shape == (2, 1, 16, 24)


def test_blocks_at_half_the_resolution_change_nothing_until_they_have_learned() -> None:
    plain, fine = (LineNetwork(Architecture(**SMALL, fine=n)).eval() for n in (0, 2))
    added = set(fine.state_dict()) - set(plain.state_dict())
    assert added
    assert all(name.startswith("head.") for name in added)
    with torch.no_grad():
        fine.load_state_dict(plain.state_dict() | {name: fine.state_dict()[name] for name in added})
        for name in added:
            if name.endswith("norm.weight"):
                fine.state_dict()[name].zero_()
        pixels = torch.rand(1, 1, 32, 32)
        for one, other in zip(plain(pixels), fine(pixels), strict=True):
            torch.testing.assert_close(one, other)


def test_cards_that_do_not_name_these_blocks_have_none(line_weights: Path) -> None:
    files = WeightFiles.open(line_weights)
    described = {k: v for k, v in files.card.architecture.items() if k != "fine"}
    older = files.card.model_copy(update={"architecture": described})
    network, architecture = with_weights(WeightFiles(files.stem, older), Architecture, LineNetwork)
    assert architecture.fine == 0
    assert len(network.head) == 3
