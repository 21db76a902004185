"""``weights``, as real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from defectscope import WeightFiles, WeightsCard
from defectscope.core.weights import read_tensors


def call(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "defectscope", "weights", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **more,
    )


@pytest.fixture
def saved(tmp_path):
    """Weights without a network."""
    card = WeightsCard(
        detector="heatmap", title="Mine [1]", defect_types=("black dot",), threshold=0.25,
        architecture={"channels": [8]}, data="eleven images",
    )  # fmt: skip
    return WeightFiles.save(tmp_path / "mine.safetensors", card, {"a": np.zeros(3)}, b"x").tensors


class TestInfo:
    def test_everything_on_the_card_is_shown(self, saved):
        done = call("info", saved)
        assert done.returncode == 0
        for text in (str(saved), "Mine [1]", "black dot", "0.25", "eleven images", "MIT"):
            assert text in done.stdout

    def test_json_is_the_card(self, saved):
        values = json.loads(call("info", saved, "--json").stdout)
        assert WeightsCard.model_validate(values) == WeightFiles.open(saved).card

    def test_a_damaged_file_is_named_after_the_card(self, saved):
        saved.with_suffix(".onnx").write_bytes(b"y")
        done = call("info", saved)
        assert done.returncode == 1
        assert "eleven images" in done.stdout
        assert "mine.onnx is damaged" in done.stderr

    def test_what_cannot_be_shown(self, saved, tmp_path):
        for name, code, message in (
            (saved.with_suffix(".pt"), 1, "defectscope weights convert"),
            ("lops", 2, "there are no weights 'lops'"),
        ):
            done = call("info", name)
            assert done.returncode == code
            assert message in done.stderr
            assert done.stdout == ""
        # Each name once, and not again with the distribution that offers it.
        assert "unetpp-lines" in done.stderr
        assert "defectscope/unetpp-lines" not in done.stderr


def provider(folder, *files):
    """Install a distribution that registers weights."""
    specs = ", ".join(f"ComponentSpec('{f.stem}', 'Of {f.stem}.', 'mine:{f.stem}')" for f in files)
    functions = "".join(f"def {f.stem}(): return {str(f)!r}\n" for f in files)
    (folder / "mine.py").write_text(
        "from defectscope import ComponentSpec, hookimpl\n"
        f"@hookimpl\ndef defectscope_weights():\n    return [{specs}]\n{functions}"
    )
    info = folder / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[defectscope]\nmine = mine\n")
    return {"env": {**os.environ, "PYTHONPATH": str(folder)}}


class TestList:
    def test_those_of_plugins_stand_beside_the_shipped_ones(self, saved, tmp_path):
        broken = tmp_path / "broken.safetensors"
        more = provider(tmp_path, saved, broken)
        rows = {row["name"]: row for row in json.loads(call("list", "--json", **more).stdout)}
        assert rows["mine"]["distribution"] == "mine"
        assert rows["mine"]["defect_types"] == ["black dot"]
        assert rows["mine"]["licence"] == "MIT"
        assert rows["yolov3-tiny-loops"]["licence"] == "AGPL-3.0-only"
        assert rows["mine"]["path"] == str(saved)
        assert "cannot be used without its card" in rows["broken"]["cannot_be_used"]
        done = call("list", **more)
        assert done.returncode == 0
        assert "Of mine." in done.stdout
        assert re.search(r"yolov3-tiny-loops +yolov3 +AGPL-3.0-only +dislocation-loop", done.stdout)
        assert "cannot be used" in done.stdout

    def test_those_without_a_card_have_a_path(self, tmp_path):
        bare = tmp_path / "bare.safetensors"
        bare.write_bytes(b"of a detector that needs no card")
        more = provider(tmp_path, bare)
        rows = {row["name"]: row for row in json.loads(call("list", "--json", **more).stdout)}
        assert rows["bare"] == {
            "name": "bare", "distribution": "mine", "summary": "Of bare.", "path": str(bare),
            "no_card": True,
        }  # fmt: skip
        assert "no card" in call("list", **more).stdout

    def test_one_that_fails_leaves_the_others_listed(self, saved, tmp_path):
        names = ("raises", "ends", "nothing", "prints")
        more = provider(tmp_path, *(saved.with_stem(name) for name in names))
        module = (tmp_path / "mine.py").read_text().partition("def raises")[0]
        (tmp_path / "mine.py").write_text(
            f"{module}"
            "def raises(): raise RuntimeError('no\\nlicence')\n"
            "def ends(): raise SystemExit(3)\n"
            "def nothing(): return None\n"
            f"def prints():\n    print('hello')\n    return {str(saved)!r}\n"
        )
        done = call("list", "--json", **more)
        rows = {row["name"]: row for row in json.loads(done.stdout)}
        assert {name: rows[name].get("cannot_be_used") for name in names} == {
            "raises": "the weights 'raises' cannot be had: mine:raises raised RuntimeError: "
            "no licence",
            "ends": "the weights 'ends' cannot be had: mine:ends raised SystemExit: 3",
            "nothing": "the weights 'nothing' cannot be had: mine:nothing must return a "
            "pathlib.Path, found NoneType",
            "prints": None,
        }
        assert "hello" in done.stderr
        assert "loops" in rows
        assert json.loads(call("info", "prints", "--json", **more).stdout)["title"] == "Mine [1]"
        failed = call("info", "raises", **more)
        assert failed.returncode == 1
        assert failed.stderr.startswith("error: the weights 'raises' cannot be had")

    def test_the_shipped_ones(self):
        rows = json.loads(call("list", "--json").stdout)
        assert "loops" in {row["name"] for row in rows}
        assert all(row["distribution"] == "defectscope" for row in rows)


class TestConvert:
    def test_tensors_come_in_and_replace_others_on_request_only(self, preloaded, tmp_path):
        torch = pytest.importorskip("torch")
        content = {"state_dict": {"a.weight": torch.arange(6.0).reshape(2, 3)}, "epoch": 3}
        torch.save(content, tmp_path / "foreign.ckpt")
        out = tmp_path / "mine.safetensors"
        out.write_text("mine")
        arguments = ["weights", "convert", tmp_path / "foreign.ckpt", out]
        done = preloaded.call(*arguments)
        assert done.returncode == 1
        assert "replace it with --overwrite" in done.stderr
        assert out.read_text() == "mine"
        done = preloaded.call(*arguments, "--overwrite")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        assert "1 tensors with 0.00 million numbers" in done.stderr
        assert "files of other programs can be read for: yolov3 (--detector" in done.stderr
        found = read_tensors(out)
        np.testing.assert_array_equal(found["a.weight"], np.arange(6.0).reshape(2, 3))
        assert not list(tmp_path.glob(".*"))

    def test_requests_that_are_refused(self, tmp_path):
        for source, out, code, message in (
            ("a.pt", "b.pt", 2, "the result must be a .safetensors file, found b.pt"),
            ("no.pt", "b.safetensors", 1, "there is no file"),
            (
                "a.pt",
                "b.safetensors --detector heatmap",
                2,
                "weights of other programs cannot be read for 'heatmap', only for: yolov3; train",
            ),
        ):
            done = call("convert", source, *out.split(), cwd=tmp_path)
            assert done.returncode == code
            assert message in done.stderr
            assert "Traceback" not in done.stderr
        assert not list(tmp_path.iterdir())
