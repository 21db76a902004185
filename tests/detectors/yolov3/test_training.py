"""``train yolov3`` as real processes that are cut off from the network: a few steps."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from defectscope.core.weights import WeightFiles, read_tensors

# Not imported here: it would patch what other tests use.
if find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

RECIPE = """
title = "a few loops"
defect_types = {types}
[[source]]
background = "texture"
generators = ["in-situ-loops"]
size = 72
options.in-situ-loops.count = 4
"""
OPTIONS = {
    "variant": "yolov3-tiny", "width": 0.05, "crop_px": 64, "frames_per_step": 2,
    "validation_frames": 2, "validate_every": 2, "warm_up_steps": 0, "learning_rate": 0.001,
}  # fmt: skip
# Nobody can be asked or called from here on; what tries is told, and fails.
ALONE = """
import socket
def refused(*given, **more):
    raise AssertionError(f"somebody was called: {given}")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refused)
for name in ("getaddrinfo", "gethostbyname", "create_connection", "gethostbyname_ex"):
    setattr(socket, name, refused)
"""
KEEP = "from defectscope.detectors.learning import keeping; keeping.EVERY_S = 0\n"
STOP = """
import os, signal
from defectscope.detectors.yolov3.module import YoloModule
done, calls = YoloModule.training_step, 0
def doing(self, *given):
    global calls
    calls += 1
    if calls == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return done(self, *given)
YoloModule.training_step = doing
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "loops.toml"
    path.write_text(RECIPE.format(types='["dislocation-loop"]'))
    return path


def arguments(data, *more, options=OPTIONS, steps=4, out="x.safetensors"):
    sets = [part for name, value in options.items() for part in ("--set", f"yolov3.{name}={value}")]
    return ["train", "yolov3", data, "--out", out, "--steps", steps, "--workers", 0,
            "--threads", 1, *sets, *more]  # fmt: skip


@pytest.fixture(scope="module")
def whole(preloaded, recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    done = preloaded.call(*arguments(recipe), before=ALONE, folder=folder)
    assert done.returncode == 0, done.stderr
    assert "ultralytics" not in done.stderr.lower()
    return folder


def test_it_learns_and_finds_without_calling_anybody(preloaded, whole):
    files = WeightFiles.open(whole / "x.safetensors", "yolov3")
    files.checked(".onnx")
    card = files.card
    assert card.architecture == {
        "variant": "yolov3-tiny", "channels": 1, "width": 0.05, "classes": 1, "enlarge": 1.0,
        "levels": "spread",
    }  # fmt: skip
    assert "ultralytics-opencv-headless" in card.versions
    assert card.licence == "AGPL-3.0-only"
    assert {str(v.dtype) for v in read_tensors(files.tensors).values() if v.ndim == 4} == {
        "float16"
    }
    made = preloaded.call(
        "generate", "in-situ-loops", "--count", 1, "--size", 64, "--out", "set", folder=whole
    )
    assert made.returncode == 0, made.stderr
    for engine in ("onnx", "torch"):
        done = preloaded.call(
            "run", "set/images", "--detector", "yolov3", "--set", "yolov3.weights=x.safetensors",
            "--set", f"yolov3.engine={engine}", "--set", "yolov3.score=0.001",
            "--out", f"run-{engine}", before=ALONE, folder=whole,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(preloaded, recipe, whole, tmp_path):
    stopped = preloaded.call(*arguments(recipe), before=KEEP + STOP, folder=tmp_path)
    assert stopped.returncode != 0
    assert "go on with --resume" in stopped.stderr
    done = preloaded.call(*arguments(recipe, "--resume"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "from step" in done.stderr
    one, two = (f / "x.safetensors" for f in (tmp_path, whole))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("freeze", ["backbone", "all-but-outputs"])
def test_what_is_frozen_stays(preloaded, recipe, whole, tmp_path, freeze):
    options = OPTIONS | {"freeze": freeze}
    done = preloaded.call(
        *arguments(recipe, "--init", whole / "x.safetensors", options=options, steps=1),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    before, after = (read_tensors(f / "x.safetensors") for f in (whole, tmp_path))
    changed = {name for name in before if (before[name] != after[name]).any()}
    layers = {int(name.split(".")[2]) for name in changed}
    assert changed
    if freeze == "backbone":
        assert min(layers) > 12
    else:
        assert layers == {20}
        assert all(name.endswith((".2.weight", ".2.bias")) for name in changed)


def failed(done, message, code=1):
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


class TestBadInput:
    def test_another_variant(self, preloaded, recipe, whole, tmp_path):
        init = ("--init", whole / "x.safetensors")
        options = OPTIONS | {"variant": "yolov3-spp"}
        done = preloaded.call(*arguments(recipe, *init, options=options), folder=tmp_path)
        failed(done, "variant = yolov3-spp does not fit", 2)
        options = OPTIONS | {"variant": "yolov8n.yaml"}
        done = preloaded.call(*arguments(recipe, options=options), folder=tmp_path)
        failed(done, "'yolov3', 'yolov3-spp' or 'yolov3-tiny'", 2)

    def test_names_that_the_weights_do_not_know(self, preloaded, whole, tmp_path):
        other = tmp_path / "other.toml"
        other.write_text(RECIPE.format(types='["dislocation-loop", "black dot"]'))
        init = ("--init", whole / "x.safetensors")
        done = preloaded.call(*arguments(other, *init), folder=tmp_path)
        failed(done, "knows 1 defect type (dislocation-loop), the data has 2")

    def test_freezing_without_weights(self, preloaded, recipe, tmp_path):
        options = OPTIONS | {"freeze": "backbone"}
        done = preloaded.call(*arguments(recipe, options=options), folder=tmp_path)
        failed(done, "keeps the weights of --init", 2)

    def test_a_file_that_is_not_there(self, preloaded, recipe, tmp_path):
        done = preloaded.call(
            *arguments(recipe, "--init", "yolov3-tiny.safetensors"), before=ALONE, folder=tmp_path
        )
        failed(done, "there are no weights 'yolov3-tiny.safetensors'", 2)


def test_listing_plugins_imports_neither_torch_nor_ultralytics(preloaded, tmp_path):
    program = (
        "import sys\nfor name in ('torch', 'ultralytics'): sys.modules.pop(name, None)\n"
        "import atexit\natexit.register(lambda: print('ultralytics' in sys.modules, "
        "file=sys.stderr))\n"
    )
    done = preloaded.call("plugins", "list", "--json", before=program, folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr.strip().endswith("False")
    assert "yolov3" in json.dumps(json.loads(done.stdout))
