"""What is known of the best state, from the curve that validations leave."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope.core.errors import FormatError  # noqa: E402
from defectscope.detectors.learning.curves import CurveRecorder  # noqa: E402
from defectscope.detectors.learning.trainer import _best  # noqa: E402

SCORES = {"score": 0.7, "f1": 0.75, "threshold": 0.3}
DETECTION = {"precision": 0.8, "precision_error": 0.02, "recall": 0.7, "recall_error": 0.03}


def best_of(folder, *validations):
    """Record validations, every one at a step of its own, and return the state of the first."""
    recorder = CurveRecorder(folder / "curve.csv")
    for number, logged in enumerate(validations):
        metrics = {name: torch.tensor(value) for name, value in logged.items()}
        trainer = SimpleNamespace(callback_metrics=metrics, global_step=10 * (number + 1))
        recorder.on_validation_end(trainer, None)
    torch.save({"global_step": 10, "state_dict": {}}, folder / "best.ckpt")
    return _best(folder)


def test_precision_and_recall_of_the_best_state_are_those_of_its_step(tmp_path):
    best = best_of(tmp_path, SCORES | DETECTION, SCORES | dict.fromkeys(DETECTION, 0.1))
    assert (best.score, best.f1, best.threshold) == pytest.approx((0.7, 0.75, 0.3))
    assert best.detection == DETECTION


def test_those_of_single_types_stand_by_their_names(tmp_path):
    own = {f"{name}/loop, faint": value for name, value in DETECTION.items()}
    best = best_of(tmp_path, SCORES | DETECTION | own, SCORES)
    assert best.detection == DETECTION | {"by_type": {"loop, faint": DETECTION}}


def test_what_a_detector_does_not_measure_is_left_out(tmp_path):
    assert best_of(tmp_path, SCORES | {"precision": 0.8}).detection == {"precision": 0.8}
    # A training that was begun before precision was recorded, and resumed.
    assert best_of(tmp_path, SCORES, SCORES | DETECTION).detection == {}


def test_the_curve_has_the_same_bytes_on_every_system(tmp_path, monkeypatch):
    monkeypatch.setattr("os.linesep", "\r\n")
    best_of(tmp_path, SCORES)
    assert b"\r" not in (tmp_path / "curve.csv").read_bytes()


def test_a_state_without_scores_is_explained(tmp_path):
    best_of(tmp_path, SCORES)
    torch.save({"global_step": 7, "state_dict": {}}, tmp_path / "best.ckpt")
    with pytest.raises(FormatError, match="the state of step 7, but not the scores"):
        _best(tmp_path)
