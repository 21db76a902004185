"""A training for which Lightning starts the same command again, as for several GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope.detectors.heatmap.detector import Heatmap
from defectscope.detectors.learning.trainer import first_step
from defectscope.pipeline.training import train

RECIPE = """
defect_types = ["dislocation-loop"]
[[source]]
background = "texture"
generators = ["in-situ-loops"]
size = 72
"""

QUICK = {
    "channels": "[8, 8]", "blocks": "[1, 1]", "crop_px": 64, "crops_per_frame": 1,
    "frames_per_step": 1, "validation_frames": 2, "validate_every": 2,
}  # fmt: skip

# Two CPU processes in the place of two GPUs.
SCRIPT = """
import sys
from defectscope.detectors.learning import trainer, training
from defectscope.cli.main import main

made = trainer.Trainer
trainer.Trainer = lambda **options: made(**{**options, "devices": 2})
training.expect_device = lambda *_: None
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture
def follower(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")


@pytest.mark.parametrize(("rank", "refused"), [("0", True), ("1", False)])
def test_what_the_first_process_began_is_not_in_the_way(tmp_path, monkeypatch, rank, refused):
    monkeypatch.setenv("LOCAL_RANK", rank)
    out = tmp_path / "a.safetensors"
    (tmp_path / "a.training").mkdir()
    seen = []
    monkeypatch.setattr(Heatmap, "train", lambda self, job: seen.append(job))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE)
    with pytest.raises(Exception, match=r"exists; go on" if refused else r"must return WeightF"):
        train("heatmap", recipe, out)
    assert len(seen) == (not refused)


def test_the_first_process_alone_prepares_the_folder(tmp_path, follower):
    folder = tmp_path / "a.training"
    folder.mkdir()
    (folder / "plan.json").write_text("{}")
    job = SimpleNamespace(out=tmp_path / "a.safetensors", resume=False)
    assert first_step(job, {"steps": 2}) == 0
    assert (folder / "plan.json").read_text() == "{}"


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "script.py").write_text(SCRIPT)
    quick = [f"heatmap.{name}={value}" for name, value in QUICK.items()]
    arguments = ["recipe.toml", "--out", "a.safetensors", "--steps", "2", "--threads", "1",
                 "--workers", "0"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "script.py", "train", "heatmap", *arguments,
         *(part for one in quick for part in ("--set", one))],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("weights are in") == 1
    assert {path.name for path in tmp_path.iterdir()} >= {"a.safetensors", "a.onnx", "a.json"}
