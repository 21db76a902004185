"""The licence that cards of trained weights name."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from defectscope import TrainingJob
from defectscope.core.weights import WeightFiles
from defectscope.detectors.heatmap.detector import Heatmap
from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
from defectscope.detectors.learning.training import Facts, _licence


@pytest.mark.parametrize(
    ("own", "begun_with", "licence"),
    [
        ("MIT", None, "MIT"),
        ("MIT", "MIT", "MIT"),
        ("MIT", "MIT AND Apache-2.0", "MIT AND Apache-2.0"),
        ("AGPL-3.0-only", "AGPL-3.0-only", "AGPL-3.0-only"),
        ("AGPL-3.0-only", "MIT", "AGPL-3.0-only AND MIT"),
    ],
)
def test_fine_tuned_weights_keep_the_licence_of_those_they_began_with(
    monkeypatch, own, begun_with, licence
):
    facts = Facts(("out",), "best F1", lambda fitted: {}, {}, licence=own)
    card = SimpleNamespace(licence=begun_with)
    monkeypatch.setattr(WeightFiles, "open", lambda path: SimpleNamespace(card=card))
    job = SimpleNamespace(init=None if begun_with is None else "x.safetensors")
    assert _licence(job, facts) == licence


def test_a_card_names_it_even_where_those_were_moved_meanwhile(tmp_path, tiny_weights, squares):
    start = tmp_path / "start"
    start.mkdir()
    for suffix in (".safetensors", ".onnx", ".json"):
        file = tiny_weights.with_suffix(suffix)
        (start / file.name).write_bytes(file.read_bytes())
    card = start / f"{tiny_weights.stem}.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"licence": "Apache-2.0"}))

    def move(what, done, total):
        if (what, done) == ("train", 1):
            start.rename(tmp_path / "elsewhere")

    options = HeatmapTrainingOptions(
        crop_px=64, crops_per_frame=1, frames_per_step=1, validate_every=1, validation_frames=1
    )
    files = Heatmap().train(
        TrainingJob(
            squares(),
            tmp_path / "new.safetensors",
            options,
            init=start / tiny_weights.name,
            steps=1,
            workers=0,
            progress=move,
            say=lambda text: None,
        )
    )
    assert not start.exists()
    assert files.card.licence == "MIT AND Apache-2.0"
