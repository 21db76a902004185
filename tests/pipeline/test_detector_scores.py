"""What a run knows of its detector."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from defectscope import Frame, Pipeline, Runtime
from defectscope.detectors.heatmap.detector import Heatmap
from defectscope.pipeline.detector_scores import detector_scores, unequal_scores
from defectscope.plugins.host import default_host


def known(score=None, vote=None, weights="loops", changed=(), post=(), **depends_on):
    options = {"weights": weights, "score": score, "scale": 0.5, "engine": "torch"}
    detector = {"family": "detectors", "alias": "mine", "options": options}
    if changed:
        detector["changed"] = list(changed)
    if depends_on:
        detector["depends_on"] = depends_on
    plan = {"components": [detector, *post], "vote": vote}
    return detector_scores(SimpleNamespace(info={"plan": plan}), default_host().weights())


def test_the_card_says_precision_and_recall_and_on_what():
    found = known()
    assert set(found.values) == {"precision", "precision_error", "recall", "recall_error"}
    assert all(0 < value < 1 for value in found.values.values())
    assert found.source.startswith("by the card of its weights 'loops', on synthetic")
    assert found.warning == ""
    assert known(score=0.225) == found
    assert known(changed=["weights", "score", "engine"]) == found


def test_the_weights_of_the_run_are_those_of_the_card():
    depends_on = Heatmap(None, Runtime(weights=default_host().weights())).depends_on()
    assert re.fullmatch("[0-9a-f]{64}", depends_on["weights_sha256"])
    assert known(**depends_on) == known()
    # As runs of earlier versions recorded it.
    assert known(weights_sha256=None) == known()


def test_analyses_that_take_other_scores_than_others_are_named():
    def options(precision=None, recall=None):
        return SimpleNamespace(precision=precision, recall=recall)

    card, without = {"precision": 0.9123, "recall": 0.8}, SimpleNamespace(rows="tracks")
    plain = {"density": options(), "types": options(), "growth": without}
    assert unequal_scores(plain, card) == unequal_scores(plain, {}) == []
    (text,) = unequal_scores({**plain, "density": options(0.85, 0.9)}, card)
    assert "(0.85 and 0.9 in density; 0.912 and 0.8 in types), so that their numbers" in text
    assert unequal_scores({**plain, "density": options(recall=0.9)}, {})
    same = {"density": options(0.85, 0.9), "types": options(0.85, 0.9), "growth": without}
    assert unequal_scores(same, card) == []


def test_scores_of_each_type_are_others_than_those_given_for_all():
    def options(precision=None, recall=None):
        return SimpleNamespace(precision=precision, recall=recall)

    card = {"precision": 0.85, "recall": 0.9}
    by_type = {"loop": {"precision": 0.9, "recall": 0.6}, "dot": {}}
    plain = {"density": options(), "types": options()}
    assert unequal_scores(plain, card, by_type) == []
    # Those of the card for all types together are no exception.
    (text,) = unequal_scores({**plain, "density": options(0.85, 0.9)}, card, by_type)
    assert "(0.85 and 0.9 in density; those of each type in types)" in text
    (text,) = unequal_scores({**plain, "density": options(0.85)}, card, by_type)
    assert "(0.85 and that of each type in density; those of each type in types)" in text
    (text,) = unequal_scores({**plain, "density": options(0.85, 0.9)}, card, {"loop": {}})
    assert "(0.85 and 0.9 in density; none in types)" in text
    same = {"density": options(0.85, 0.9), "types": options(0.85, 0.9)}
    assert unequal_scores(same, card, by_type) == []


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"score": 0.5}, "the least score was 0.5, and they hold at 0.225"),
        ({"vote": "2/3"}, "the vote 2/3"),
        ({"changed": ["weights", "scale"]}, "mine.scale is 0.5, and they hold with the defaults"),
        ({"post": [{"family": "postprocessors", "alias": "fewer", "drops": True}]},
         "fewer may have left out some of what it found"),
        ({"weights_sha256": "0123"}, "these weights are not those that the run used"),
    ],
)  # fmt: skip
def test_what_does_not_hold_for_the_run_is_left_out(changed, text):
    found = known(**changed)
    assert found.values == {}
    assert text in found.warning


def test_a_run_records_what_was_changed_and_who_drops(tmp_path):
    options = {"dark-blobs": {"blur_px": 1.5}, "deduplicate": {"dice_loss": 0.5}}
    pipeline = Pipeline("dark-blobs", ["watershed-ellipse", "deduplicate"], options=options)
    frames = [Frame(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), 0, source="a.png")]
    result = pipeline.run(frames, tmp_path / "run", overlay=False, figures=False)
    detector, ellipses, dropping = result.info["plan"]["components"][:3]
    assert detector["changed"] == ["blur_px"]
    assert "changed" not in ellipses
    assert "changed" not in dropping
    assert ("drops" in detector, "drops" in ellipses, dropping["drops"]) == (False, False, True)


@pytest.mark.parametrize("weights", [None, "", "no-such-weights"])
def test_weights_that_are_not_there_say_nothing(weights):
    assert known(weights=weights).values == {}


@pytest.mark.parametrize(
    ("scores", "values", "source"),
    [
        ({"validation": {"f1": 0.7}, "test": {"precision": 0.9, "recall": 0.8, "on": "x"}},
         {"precision": 0.9, "recall": 0.8}, "by the card of its weights 'mine.safetensors', on x"),
        ({"precision": 0.9}, {}, ""),
        ({}, {}, ""),
    ],
)  # fmt: skip
def test_precision_and_recall_stand_side_by_side_in_a_card(scores, values, source, tmp_path):
    card = {"detector": "it", "defect_types": ["loop"], "architecture": {}, "threshold": 0.5,
            "data": "drawn", "scores": scores}  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(card))
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    found = known(weights=str(weights))
    assert (found.values, found.source) == (values, source)


@pytest.mark.parametrize("types", [["loop"], ["loop", "dot"]])
def test_a_card_of_several_types_may_know_them_by_type(types, tmp_path):
    own = {"precision": 0.7, "precision_error": 0.1, "recall": 0.6, "recall_error": 0.2}
    by_type = {"loop": own, "dot": {"precision": 0.0, "recall": 0.0}}
    scores = {"validation": {"precision": 0.9, "recall": 0.8, "by_type": by_type}}
    card = {"detector": "it", "defect_types": types, "architecture": {}, "threshold": 0.5,
            "data": "drawn", "scores": scores}  # fmt: skip
    (tmp_path / "mine.json").write_text(json.dumps(card))
    weights = tmp_path / "mine.safetensors"
    weights.touch()
    found = known(weights=str(weights))
    assert found.values == {"precision": 0.9, "recall": 0.8}
    assert found.by_type == ({} if len(types) == 1 else {"loop": own, "dot": {}})
    # Where nothing is known of all types, one of them does not stand for all.
    del scores["validation"]["recall"]
    (tmp_path / "mine.json").write_text(json.dumps(card))
    assert known(weights=str(weights)).values == {}


def test_types_of_a_card_that_knows_all_together_alone():
    found = known(weights="types")
    assert len(found.by_type) == 3
    assert set(map(len, found.by_type.values())) == {0}
