"""ultralytics' ``.pt`` files come in, their code does not."""

from __future__ import annotations

import os
from importlib.util import find_spec

import numpy as np
import pytest

torch = pytest.importorskip("torch")
# Not imported here: it would patch what other tests use.
if find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

from defectscope import Frame, WeightFiles  # noqa: E402
from defectscope.core.errors import FormatError, InputError  # noqa: E402
from defectscope.detectors.yolov3.detector import YoloOptions, YoloV3  # noqa: E402
from defectscope.detectors.yolov3.offline import offline_ultralytics, own_yaml  # noqa: E402


@pytest.fixture(scope="module")
def model():
    """A narrow model as its training leaves it."""
    layout = own_yaml("yolov3-tiny") | {"width_multiple": 0.05, "nc": 2}
    torch.manual_seed(0)
    made = offline_ultralytics().nn.tasks.DetectionModel(layout, ch=3, verbose=False)
    made.names = {0: "loop", 1: "dot"}
    return made.half()


def saved(folder, content):
    torch.save(content, folder / "best.pt")
    return folder / "best.pt"


def test_a_model_becomes_weights_that_find_what_ultralytics_finds(model, tmp_path):
    source = saved(tmp_path, {"model": model, "ema": None, "train_args": {"imgsz": 640}})
    files = YoloV3.convert(source, tmp_path / "w.safetensors", [])
    assert files.card.defect_types == ("loop", "dot")
    assert files.card.licence == "AGPL-3.0-only"
    assert files.card.architecture["channels"] == 3
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)
    detector = YoloV3(YoloOptions(weights=str(files.tensors), score=1e-6, overlap=1))
    (found,) = detector.detect([Frame(pixels, 0)])
    with torch.inference_mode():
        given = torch.from_numpy(pixels / np.float32(255)).expand(1, 3, -1, -1)
        expected = model.float().eval()(given)[0][0, 4:].amax(dim=0).numpy()
    assert len(found) > 10
    assert found.scores[0] == pytest.approx(expected.max(), rel=1e-3)


def test_names_can_be_given(model, tmp_path):
    source = saved(tmp_path, {"ema": model.half()})
    files = YoloV3.convert(source, tmp_path / "w.safetensors", ["a", "b"])
    assert WeightFiles.open(files.tensors).card.defect_types == ("a", "b")
    with pytest.raises(FormatError, match=r"knows 2 classes \(loop, dot\), found 1 names .*\(a\)"):
        YoloV3.convert(source, tmp_path / "w.safetensors", ["a"])


def test_another_network(tmp_path):
    layout = own_yaml("yolov3-tiny") | {"width_multiple": 0.05, "nc": 1}
    layout["head"] = [*layout["head"][:-1], [[15], 1, "Detect", ["nc"]]]
    other = offline_ultralytics().nn.tasks.DetectionModel(layout, ch=1, verbose=False)
    with pytest.raises(FormatError, match="holds the network of another YAML file; yolov3 can use"):
        YoloV3.convert(saved(tmp_path, {"model": other}), tmp_path / "w.safetensors", [])


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_what_could_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=r"more than layers .*mkdir.* could run code"):
        YoloV3.convert(saved(tmp_path, {"model": Evil()}), tmp_path / "w.safetensors", [])
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, InputError, "there is no file"),
        (b"", FormatError, "damaged, or no torch checkpoint"),
        (b"PK nonsense", FormatError, "damaged, or no torch checkpoint"),
        ({"a": torch.zeros(2)}, FormatError, "holds no model of ultralytics"),
        ([1, 2], FormatError, "holds no model of ultralytics"),
    ],
)
def test_other_files(tmp_path, content, error, message):
    path = tmp_path / "best.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(error, match=message):
        YoloV3.convert(path, tmp_path / "w.safetensors", [])
