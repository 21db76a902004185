"""Network, loss and crops of ``yolov3``, beside ultralytics itself."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch")
# Not imported here: it would patch what other tests use.
if find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

from defectscope import Instances  # noqa: E402
from defectscope.detectors.yolov3.architecture import STRIDES, Architecture  # noqa: E402
from defectscope.detectors.yolov3.crops import CropMaker  # noqa: E402
from defectscope.detectors.yolov3.loss import YoloLoss, counted_cells  # noqa: E402
from defectscope.detectors.yolov3.module import relative_rate  # noqa: E402
from defectscope.detectors.yolov3.network import YoloNetwork  # noqa: E402
from defectscope.detectors.yolov3.options import YoloTrainingOptions  # noqa: E402


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return YoloNetwork(Architecture(variant="yolov3-tiny", width=0.05, classes=2))


@pytest.mark.parametrize("variant", list(STRIDES))
@pytest.mark.parametrize("channels", [1, 3])
def test_variants_and_channels(variant, channels):
    architecture = Architecture(variant=variant, channels=channels, width=0.05, classes=3)
    network = YoloNetwork(architecture).eval()
    assert network.net.model[0].conv.weight.shape[1] == channels
    assert network.head.stride.tolist() == list(STRIDES[variant])
    with torch.inference_mode():
        maps = network(torch.zeros(2, 1, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (2, 67, 64 // stride, 96 // stride) for stride in STRIDES[variant]
    ]


def test_the_usual_width_is_that_of_the_yaml_file():
    network = YoloNetwork(Architecture(variant="yolov3-tiny", classes=80, channels=3))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(12.17e6, rel=0.01)


def test_parts_for_freezing(small):
    def names(part):
        held = {id(p) for module in small.part(part) for p in module.parameters()}
        return {n for n, p in small.named_parameters() if id(p) not in held}

    def layers(found):
        return {int(name.split(".")[2]) for name in found}

    assert layers(names("backbone")) == {13, 14, 15, 16, 19, 20}
    assert layers(names("all-but-head")) == {20}
    left = {n for n in names("all-but-outputs") if "dfl" not in n}
    assert len(left) == 8
    assert all(n.endswith((".2.weight", ".2.bias")) for n in left)


def test_reordered_classes_swap_their_logits(small):
    torch.manual_seed(1)
    network = YoloNetwork(small.architecture).eval()
    with torch.inference_mode():
        given = torch.randn(1, 1, 64, 64)
        before = network(given)
        network.reorder([1, 0])
        after = network(given)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other[:, :64], one[:, :64])
        torch.testing.assert_close(other[:, 64:], one[:, [65, 64]])


class TestLoss:
    def test_it_is_that_of_ultralytics(self, small):
        boxes = torch.tensor([[0, 1, 0.5, 0.5, 0.3, 0.2], [1, 0, 0.2, 0.7, 0.2, 0.2]])
        pixels = torch.randn(2, 1, 128, 128)
        found = YoloLoss(small)(small(pixels), boxes, torch.zeros(0, 5))
        small.net.train()
        truth = {"batch_idx": boxes[:, 0], "cls": boxes[:, 1], "bboxes": boxes[:, 2:]}
        expected, _ = small.net.init_criterion()(small.net(pixels), truth)
        assert float(sum(found.values()).detach()) == pytest.approx(
            float(expected.sum().detach()) / 2, rel=1e-4
        )

    def test_the_order_of_boxes_is_no_matter(self, small):
        pixels = torch.randn(3, 1, 64, 64)
        rows = torch.tensor([[k % 3, 0, 0.2 + 0.1 * k, 0.5, 0.3, 0.3] for k in range(6)])
        levels, none = [level.detach() for level in small(pixels)], torch.zeros(0, 5)
        one = YoloLoss(small)(levels, rows, none)
        other = YoloLoss(small)(levels, rows[[0, 3, 1, 4, 2, 5]], none)
        for name, value in one.items():
            torch.testing.assert_close(other[name], value)

    def test_without_boxes_it_is_finite_and_has_a_gradient(self, small):
        losses = YoloLoss(small)(small(torch.randn(1, 1, 64, 64)), torch.zeros(0, 6),
                                 torch.zeros(0, 5))  # fmt: skip
        total = sum(losses.values())
        total.backward()
        assert torch.isfinite(total)

    def test_300_boxes(self, small):
        rng = np.random.default_rng(0)
        rows = np.concatenate([np.zeros((300, 2)), rng.uniform(0.1, 0.9, (300, 2)),
                               np.full((300, 2), 0.05)], axis=1)  # fmt: skip
        losses = YoloLoss(small)(small(torch.randn(1, 1, 256, 256)),
                                 torch.tensor(rows, dtype=torch.float32),
                                 torch.zeros(0, 5))  # fmt: skip
        assert all(torch.isfinite(value) for value in losses.values())

    def test_nothing_is_learned_of_types_in_ignored_boxes(self, small):
        levels = [level.detach() for level in small(torch.randn(1, 1, 64, 64))]
        levels[0][:, 64:] = levels[1][:, 64:] = -30
        levels[0][0, 64, 1, 1] = 30
        none, boxes = torch.zeros(0, 5), torch.zeros(0, 6)
        assert float(YoloLoss(small)(levels, boxes, none)["loss_types"]) > 10
        ignored = torch.tensor([[0, 16.0, 16, 32, 32]])
        assert float(YoloLoss(small)(levels, boxes, ignored)["loss_types"]) < 1e-6

    def test_cells_that_count(self):
        ignored = torch.tensor([[1, 0.0, 0, 20, 40]])
        found = counted_cells(ignored, 2, [(4, 4), (2, 2)], torch.tensor([16, 32]))
        assert found[0].sum() == 20
        assert (found[1] == 0).nonzero().flatten().tolist() == [0, 4, 16]


class Data:
    length = 2

    def load(self, number):
        pixels = np.random.default_rng(number).integers(0, 4096, (80, 90)).astype(np.uint16)
        boxes = [(10, 20, 30, 44), (60, 5, 80, 25), (40, 40, 60, 60)][: 3 - number]
        return pixels, Instances(
            (80, 90), boxes, defect_types=["b", "a", "other"][: 3 - number],
            ignore=[False, False, True][: 3 - number],
        )  # fmt: skip


class TestCrops:
    def make(self, **options):
        chosen = YoloTrainingOptions(
            crop_px=128, crops_per_frame=1, rotate=False, brightness=0, contrast=0, **options
        )
        return CropMaker(chosen, ("a", "b"), Architecture(classes=2, enlarge=1.25))

    def test_boxes_of_all_crops_in_a_list(self):
        batch = self.make()(Data(), [0, 1], np.random.default_rng(0))
        assert batch["pixels"].shape == (2, 1, 128, 128)
        # 90 × 80 px enlarged by 1.25 fit into the crop: nothing is cut off.
        assert batch["boxes"][:, :2].tolist() == [[0, 1], [0, 0], [1, 1], [1, 0]]
        np.testing.assert_allclose(
            batch["boxes"][0, 2:] * 128, np.array([20, 32, 20, 24]) * 1.25, atol=0.6
        )
        assert batch["ignored"].shape == (1, 5)
        np.testing.assert_allclose(batch["ignored"][0], [0, 50, 50, 75, 75], atol=0.6)

    def test_twelve_bits_reach_the_network(self):
        pixels, truth = Data().load(0)
        # One high byte, which is all that ultralytics' own training would see of both.
        pixels[4, 4], pixels[4, 5] = 1024, 1025
        maker = CropMaker(self.make().options, ("a", "b"), Architecture(classes=2))
        found = maker.crop(pixels, truth, np.random.default_rng(0))["pixels"][0]
        assert found[4, 5] > found[4, 4]

    def test_crops_for_converted_weights_have_the_grey_levels_of_detection(self):
        # Of a weak contrast, as frames of a dim beam are.
        pixels = np.random.default_rng(0).integers(90, 140, (128, 128)).astype(np.uint8)
        architecture = Architecture(classes=2, levels="unit")
        maker = CropMaker(self.make(noise=0, jpeg=0).options, ("a", "b"), architecture)
        truth = Instances(pixels.shape, [(10, 20, 30, 44)], defect_types="a")
        found = maker.crop(pixels, truth, np.random.default_rng(0))["pixels"][0]
        np.testing.assert_allclose(found, architecture.given(pixels), atol=1e-6)
        spoilt = CropMaker(self.make(noise=0.1, blur_px=1, jpeg=1).options, ("a",), architecture)
        found = spoilt.crop(pixels, truth, np.random.default_rng(0))["pixels"][0]
        assert abs(found.mean() - pixels.mean() / 255) < 0.01

    def test_brightness_and_contrast(self):
        pixels, truth = Data().load(0)
        plain = self.make().crop(pixels, truth, np.random.default_rng(0))["pixels"]
        options = YoloTrainingOptions(crop_px=128, rotate=False, brightness=0.3, contrast=0.3)
        maker = CropMaker(options, ("a", "b"), Architecture(classes=2, enlarge=1.25))
        lit = maker.crop(pixels, truth, np.random.default_rng(0))["pixels"]
        slope, offset = np.polyfit(plain.ravel(), lit.ravel(), 1)
        assert 0.7 <= slope <= 1.3
        assert abs(offset) <= 0.3
        assert (slope, offset) != pytest.approx((1, 0), abs=1e-3)


def test_the_learning_rate_of_the_paper_falls_to_a_tenth():
    options = YoloTrainingOptions(warm_up_steps=0)
    assert (options.optimiser, options.learning_rate) == ("adam", 1e-4)
    assert options.frames_per_step * options.crops_per_frame == 4
    rates = [relative_rate(step, 100, options) for step in (0, 49, 50, 99)]
    assert rates == [1, 1, 0.1, 0.1]
    options = YoloTrainingOptions(warm_up_steps=10, schedule="cosine")
    rates = [relative_rate(step, 100, options) for step in (0, 9, 50, 100)]
    assert rates == pytest.approx([0.1, 0.98, 0.51, 0.02], abs=0.01)
