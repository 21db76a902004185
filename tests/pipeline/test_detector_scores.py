"""What a run knows of its detector."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from defectscope.pipeline.detector_scores import detector_scores
from defectscope.plugins.host import default_host


def known(score=None, vote=None, weights="loops", digest=None):
    detector = {"family": "detectors", "options": {"weights": weights, "score": score}}
    if digest is not None:
        detector["depends_on"] = {"weights_sha256": digest}
    plan = {"components": [detector], "vote": vote}
    return detector_scores(SimpleNamespace(info={"plan": plan}), default_host().weights())


def test_the_card_says_precision_and_recall_and_on_what():
    found = known()
    assert set(found.values) == {"precision", "precision_error", "recall", "recall_error"}
    assert all(0 < value < 1 for value in found.values.values())
    assert found.source.startswith("by the card of its weights 'loops', on synthetic")
    assert found.warning == ""
    assert known(score=0.25) == found


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"score": 0.5}, "the least score was 0.5, and they hold at 0.25"),
        ({"vote": "2/3"}, "the vote 2/3"),
        ({"digest": "0123"}, "these weights are not those that the run used"),
    ],
)
def test_what_does_not_hold_for_the_run_is_left_out(changed, text):
    found = known(**changed)
    assert found.values == {}
    assert text in found.warning


@pytest.mark.parametrize("weights", [None, "", "no-such-weights"])
def test_weights_that_are_not_there_say_nothing(weights):
    assert known(weights=weights).values == {}
