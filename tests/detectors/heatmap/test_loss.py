"""Losses and network of ``heatmap``, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from defectscope.detectors.heatmap import decoding  # noqa: E402
from defectscope.detectors.heatmap.architecture import Architecture  # noqa: E402
from defectscope.detectors.heatmap.loss import focal_loss, giou_loss, sides_px  # noqa: E402
from defectscope.detectors.heatmap.network import HeatmapNetwork  # noqa: E402


def cells(values, channels=1):
    """Return (1, channels, 1, w) from rows of numbers."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, channels, 1, -1)


def logit(p):
    return math.log(p / (1 - p))


def counted(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1)


class TestFocal:
    def test_one_centre_and_two_others(self):
        logits = cells([logit(0.8), logit(0.3), logit(0.1)])
        wanted = cells([1, 0.5, 0])
        expected = (
            -math.log(0.8) * 0.2**2
            - math.log(0.7) * 0.3**2 * 0.5**4
            - math.log(0.9) * 0.1**2
        )  # fmt: skip
        found = focal_loss(logits, wanted, counted(1, 1, 1))
        assert float(found) == pytest.approx(expected, rel=1e-5)

    def test_it_is_by_the_number_of_centres(self):
        logits, wanted = cells([logit(0.6)] * 4), cells([1, 1, 1, 1])
        expected = -math.log(0.6) * 0.4**2
        assert float(focal_loss(logits, wanted, counted(1, 1, 1, 1))) == pytest.approx(expected)

    def test_without_centres_the_alarms_are_left(self):
        found = focal_loss(cells([logit(0.5)] * 2), cells([0, 0]), counted(1, 1))
        assert float(found) == pytest.approx(2 * math.log(2) / 4)

    def test_what_is_not_counted_counts_only_as_a_centre(self):
        logits, wanted = cells([logit(0.5)] * 2), cells([1, 0])
        found = focal_loss(logits, wanted, counted(0, 0))
        assert float(found) == pytest.approx(math.log(2) / 4)

    def test_next_to_a_centre_is_not_a_centre(self):
        # The closeness of the next cell comes near 1 for large boxes.
        logits = cells([20.0, -20.0])
        assert float(focal_loss(logits, cells([1, 0.9995]), counted(1, 1))) < 1e-6

    def test_wanted_outputs_are_the_best(self):
        wanted = cells([1, 0.6, 0.2, 0])
        best = focal_loss(cells([30, -30, -30, -30]), wanted, counted(1, 1, 1, 1))
        worse = focal_loss(cells([-30, 30, 30, 30]), wanted, counted(1, 1, 1, 1))
        assert float(best) == pytest.approx(0, abs=1e-6)
        assert float(worse) > 30

    @pytest.mark.parametrize("value", [-1e4, -80.0, 0.0, 80.0, 1e4])
    def test_the_gradient_is_finite_at_the_extremes(self, value):
        logits = cells([value] * 3).requires_grad_()
        result = focal_loss(logits, cells([1, 0.5, 0]), counted(1, 1, 1))
        result.backward()
        assert torch.isfinite(result)
        assert torch.isfinite(logits.grad).all()


def logarithms(*sides):
    return cells([[math.log(s / decoding.SIDE_UNIT_PX)] for s in sides], 4)


class TestGiou:
    @pytest.mark.parametrize(
        ("predicted", "wanted", "expected"),
        [
            ((8, 8, 8, 8), (8, 8, 8, 8), 1.0),
            # 8 × 16 of 16 × 16: IoU 1/2, and the box around both is the larger one.
            ((4, 8, 4, 8), (8, 8, 8, 8), 0.5),
            # Crossed bars: 16 in common, 64 + 64 - 16 together, 256 around.
            ((2, 8, 2, 8), (8, 2, 8, 2), 16 / 112 - (256 - 112) / 256),
        ],
    )
    def test_by_hand(self, predicted, wanted, expected):
        found = giou_loss(logarithms(*predicted), cells([[s] for s in wanted], 4), counted(1))
        assert float(found) == pytest.approx(1 - expected, rel=1e-5, abs=1e-6)

    def test_a_cell_outside_of_its_box_has_negative_sides(self):
        # The wanted box lies at 2 to 10 px to the right of the cell; 4 to both sides is predicted.
        wanted = cells([[-2], [4], [10], [4]], 4)
        common, around = 2 * 8, 14 * 8
        union = 8 * 8 + 8 * 8 - common
        expected = common / union - (around - union) / around
        found = giou_loss(logarithms(4, 4, 4, 4), wanted, counted(1))
        assert float(found) == pytest.approx(1 - expected, rel=1e-5)

    def test_it_is_a_weighted_mean(self):
        given_ = torch.cat([logarithms(8, 8, 8, 8), logarithms(4, 8, 4, 8)], dim=3)
        wanted = torch.full((1, 4, 1, 2), 8.0)
        assert float(giou_loss(given_, wanted, counted(1, 0.25))) == pytest.approx(0.125 / 1.25)
        assert float(giou_loss(given_, wanted, counted(1, 0))) == pytest.approx(0, abs=1e-6)

    def test_without_boxes_it_is_0_and_has_a_gradient(self):
        given_ = torch.zeros((1, 4, 1, 2), requires_grad=True)
        result = giou_loss(given_, torch.zeros((1, 4, 1, 2)), counted(0, 0))
        result.backward()
        assert float(result.detach()) == 0
        assert not given_.grad.any()

    @settings(max_examples=40)
    @given(
        values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4),
        sides=st.lists(st.floats(-4, 3000, width=32), min_size=4, max_size=4),
    )
    def test_it_is_between_0_and_2_and_its_gradient_finite(self, values, sides):
        given_ = cells([[v] for v in values], 4).requires_grad_()
        wanted = cells([[max(s, 0.01)] for s in sides], 4)
        result = giou_loss(given_, wanted, counted(1))
        result.backward()
        assert -1e-5 <= float(result.detach()) <= 2
        assert torch.isfinite(given_.grad).all()


def test_decoding_and_loss_mean_the_same_by_an_output():
    values = np.array([-9, -1, 0, 0.5, 9], np.float32)
    for value in values:
        found = decoding.decoded(
            np.full((1, 1, 1), 3, np.float32), np.full((4, 1, 1), value, np.float32), 0.5
        )
        half = float(sides_px(torch.tensor(value)))
        np.testing.assert_allclose(
            found.boxes[0], [1 - half, 1 - half, 1 + half, 1 + half], rtol=1e-5
        )


class TestNetwork:
    @pytest.mark.parametrize("channels", [(8,), (8, 12), (8, 8, 8)])
    def test_outputs_have_half_the_side(self, channels):
        architecture = Architecture(channels=channels, blocks=(1,) * len(channels), classes=3)
        network = HeatmapNetwork(architecture).eval()
        side = architecture.multiple_px
        assert side == 4 * 2 ** (len(channels) - 1)
        with torch.inference_mode():
            centres, sides = network(torch.zeros(2, 1, 2 * side, 3 * side))
        assert centres.shape == (2, 3, side, 3 * side // 2)
        assert sides.shape == (2, 4, side, 3 * side // 2)

    def test_untrained_it_expects_next_to_nothing(self):
        network = HeatmapNetwork(Architecture(channels=(8,), blocks=(1,))).eval()
        with torch.inference_mode():
            centres, _ = network(torch.randn(1, 1, 32, 32))
        assert float(torch.sigmoid(centres).mean()) == pytest.approx(0.01, rel=0.5)

    def test_reordered_classes_swap_their_maps_and_nothing_else(self):
        torch.manual_seed(0)
        network = HeatmapNetwork(Architecture(channels=(8,), blocks=(1,), classes=3)).eval()
        with torch.inference_mode():
            network.out.weight.normal_()
            given_ = torch.randn(1, 1, 32, 32)
            before, sides = network(given_)
            network.reorder([2, 0, 1])
            after, same = network(given_)
        np.testing.assert_allclose(after, before[:, [2, 0, 1]], atol=1e-5)
        np.testing.assert_allclose(same, sides, atol=1e-5)

    def test_parts_for_freezing(self):
        network = HeatmapNetwork(Architecture(channels=(8, 8), blocks=(1, 1)))

        def names(part):
            held = {id(p) for module in network.part(part) for p in module.parameters()}
            return {n.partition(".")[0] for n, p in network.named_parameters() if id(p) in held}

        assert names("encoder") == {"stem", "encoder", "down"}
        every = {n.partition(".")[0] for n, _ in network.named_parameters()}
        assert every - names("all-but-head") == {"head", "out"}

    @pytest.mark.parametrize(
        "values", [{"channels": (8, 8), "blocks": (1,)}, {"classes": 0}, {"colour": 1}]
    )
    def test_impossible_ones(self, values):
        with pytest.raises(ValueError, match=r"blocks|greater than or equal|not permitted"):
            Architecture(**values)
