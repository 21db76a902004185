"""Whatever computes a network, the numbers are the same; whatever cannot says why."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from defectscope import Runtime, WeightFiles
from defectscope.core.errors import FormatError, InputError, MissingPackageError, OptionError
from defectscope.detectors.heatmap.detector import Heatmap, HeatmapOptions
from defectscope.detectors.learning.engines import open_engine
from defectscope.detectors.learning.networks import expect_shapes

torch = pytest.importorskip("torch")


def engine(name, weights, **runtime):
    detector = Heatmap(HeatmapOptions(weights=str(weights), engine=name), Runtime(**runtime))
    return open_engine(name, detector.files, detector.runtime, detector.network)


def batch(count=2, height=96, width=64):
    return np.random.default_rng(0).standard_normal((count, 1, height, width), dtype=np.float32)


@pytest.fixture
def copy(tiny_weights, tmp_path):
    """Return weights that may be damaged."""
    files = WeightFiles.open(tiny_weights)
    for path in (files.tensors, files.onnx, files.stem.with_suffix(".json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return WeightFiles.open(tmp_path / "tiny.safetensors")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_engines_agree(tiny_weights, name):
    if name == "openvino":
        pytest.importorskip("openvino")
    for given in (batch(), batch(1, 32, 128)):
        expected = engine("torch", tiny_weights)(given)
        found = engine(name, tiny_weights)(given)
        n, _, height, width = given.shape
        assert [out.shape for out in found] == [
            (n, 2, height // 2, width // 2), (n, 4, height // 2, width // 2),
        ]  # fmt: skip
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == np.float32
            np.testing.assert_allclose(one, other, atol=1e-4)
        assert 1 < np.ptp(found[0]) < 100


@pytest.mark.parametrize("name", ["onnx", "openvino", "torch"])
def test_threads_change_nothing(tiny_weights, name):
    if name == "openvino":
        pytest.importorskip("openvino")
    one, two = (engine(name, tiny_weights, threads=n)(batch())[0] for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_onnx_runtime_uses_the_threads_it_is_given(tiny_weights, monkeypatch):
    import onnxruntime

    seen = []
    start = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda *a, **k: seen.append(a[1]) or start(*a, **k)
    )
    engine("onnx", tiny_weights, threads=3)
    assert seen[0].intra_op_num_threads == 3
    engine("onnx", tiny_weights, threads=0)
    # Zero would let it take all cores.
    assert seen[1].intra_op_num_threads == 1


def test_torch_gets_its_threads_back(tiny_weights):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for _ in range(2):
            opened = engine("torch", tiny_weights, threads=2)
            assert torch.get_num_threads() == 2
            opened.close()
            assert torch.get_num_threads() == 3
        options = HeatmapOptions(weights=str(tiny_weights), engine="torch")
        with Heatmap(options, Runtime(threads=2)) as detector:
            detector.open()  # Once more.
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3
        with pytest.raises(RuntimeError, match="no network"):
            open_engine("torch", detector.files, Runtime(threads=2), broken)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def broken():
    raise RuntimeError("no network")


class TestSixteenBits:
    @pytest.fixture
    def processor(self, monkeypatch):
        """Return how OpenVINO is set up for a processor of some abilities."""
        openvino, settings = pytest.importorskip("openvino"), {}

        class Core:
            abilities = ("FP32",)

            def get_property(self, device, name):
                assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
                return self.abilities

            def compile_model(self, path, device, given):
                settings.update(given)
                return lambda batch: {0: batch, 1: 2 * batch}

        monkeypatch.setattr(openvino, "Core", Core)
        return Core, settings

    @pytest.mark.parametrize(
        ("abilities", "numbers"),
        [(["FP32", "INT8", "BF16"], "bf16"), (["FP32", "FP16"], "f16"),
         (["FP32", "FP16", "BF16"], "bf16")],
    )  # fmt: skip
    def test_what_the_processor_has_is_used(self, tiny_weights, processor, abilities, numbers):
        core, settings = processor
        core.abilities = abilities
        one, other = engine("openvino-16bit", tiny_weights)(batch())
        np.testing.assert_array_equal(other, 2 * one)
        assert settings["INFERENCE_PRECISION_HINT"] == numbers

    def test_never_unless_asked_for(self, tiny_weights, processor):
        core, settings = processor
        core.abilities = ["FP32", "BF16"]
        engine("openvino", tiny_weights)
        assert settings["INFERENCE_PRECISION_HINT"] == "f32"

    def test_a_processor_without(self, tiny_weights, processor):
        with pytest.raises(OptionError, match=r'no 16-bit numbers .*; use engine = "openvino"'):
            engine("openvino-16bit", tiny_weights)


class TestCuda:
    def test_onnx_runtime_without_it(self, tiny_weights):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this ONNX Runtime has CUDA")
        with pytest.raises(OptionError, match=r"runs on the CPU only; install onnxruntime-gpu"):
            engine("onnx", tiny_weights, device="cuda")

    def test_onnx_runtime_whose_cuda_does_not_start(self, tiny_weights, monkeypatch):
        import onnxruntime

        start = onnxruntime.InferenceSession
        both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
        # Without its libraries it goes on with the CPU, and says so in its log alone.
        monkeypatch.setattr(
            onnxruntime, "InferenceSession",
            lambda path, options, providers: start(path, options, providers=both[1:]),
        )  # fmt: skip
        with pytest.raises(OptionError, match=r"cannot use it here and would take the CPU"):
            engine("onnx", tiny_weights, device="cuda")

    def test_onnx_runtime_does_not_turn_to_the_cpu_later(self, tiny_weights):
        assert not engine("onnx", tiny_weights)._session._enable_fallback

    @pytest.mark.parametrize("name", ["openvino", "openvino-16bit"])
    def test_openvino_has_none(self, tiny_weights, name):
        with pytest.raises(OptionError, match=f"'{name}' has no CUDA"):
            engine(name, tiny_weights, device="cuda")

    def test_torch_without_a_device(self, tiny_weights):
        if torch.cuda.is_available():
            pytest.skip("this machine has CUDA")
        with pytest.raises(OptionError, match="torch finds no CUDA device here"):
            engine("torch", tiny_weights, device="cuda")


class TestDamage:
    @pytest.mark.parametrize("name", ["onnx", "openvino"])
    @pytest.mark.parametrize("content", [b"", b"no network at all", b"\x08\x08\x12\x07pytorch"])
    def test_another_file_instead_of_the_network(self, copy, name, content):
        if name == "openvino":
            pytest.importorskip("openvino")
        copy.onnx.write_bytes(content)
        with pytest.raises(FormatError, match="is damaged or another file"):
            engine(name, copy.tensors)
        # As a card without digests lets it through.
        free = WeightFiles(copy.stem, copy.card.model_copy(update={"sha256": {}}))
        with pytest.raises(FormatError, match="is no network that"):
            open_engine(name, free, Runtime(), lambda: None)

    @pytest.mark.parametrize("name", ["onnx", "openvino"])
    def test_without_the_twin(self, copy, name):
        pytest.importorskip("openvino" if name == "openvino" else "onnxruntime")
        copy.onnx.unlink()
        with pytest.raises(InputError, match=r"cannot read .*tiny\.onnx"):
            engine(name, copy.tensors)

    def test_prediction_needs_the_twin_only(self, copy):
        copy.tensors.unlink()
        assert len(engine("onnx", copy.onnx)(batch())) == 2
        with pytest.raises(InputError, match=r"cannot read .*tiny\.safetensors"):
            engine("torch", copy.onnx)

    def test_a_card_of_another_network(self, copy):
        wide = copy.card.model_copy(update={"architecture": {"channels": [8, 99], "blocks": [1, 1],
                                                             "classes": 2}})  # fmt: skip
        detector = Heatmap(HeatmapOptions(weights=str(copy.tensors)))
        detector.files = WeightFiles(copy.stem, wide)
        with pytest.raises(FormatError, match=r"tensor 'encoder\.1.* must have the shape \(99,"):
            detector.network()
        detector.files = WeightFiles(copy.stem, wide.model_copy(update={"architecture": {"a": 1}}))
        with pytest.raises(FormatError, match="describes no network of heatmap"):
            detector.network()


def test_a_missing_tensor_is_named():
    with pytest.raises(FormatError, match=r"a\.safetensors has no tensor 'y'"):
        expect_shapes("a.safetensors", {"x": np.zeros(2)}, {"x": np.zeros(2), "y": np.zeros(3)})


@pytest.mark.parametrize(("name", "extra"), [("openvino", "openvino"), ("torch", "torch")])
def test_a_package_that_is_not_installed(tiny_weights, monkeypatch, name, extra):
    whole = builtins.__import__

    def without(module, *args, **more):
        if module == name:
            raise ImportError(module)
        return whole(module, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackageError, match=rf"defectscope\[{extra}\]"):
        engine(name, tiny_weights)
