"""Precision and recall of a detector by the validation frames of its recipe, as training has them.

    python benchmarks/card_scores.py WEIGHTS.safetensors RECIPE.toml [--frames 48]
        [--enlarge 0.85 --write]

Prints what training writes into the scores of a card, for weights of a detector of boxes. With
``--enlarge``, frames are enlarged by this before the network ``heatmap`` sees them; ``--write``
makes that, the threshold that goes with it and the scores part of the card.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from defectscope import Frame, Runtime, WeightFiles
from defectscope.core.files import write_json
from defectscope.detectors.learning.box_training import LEAST_SCORE, THRESHOLD_FROM
from defectscope.detectors.learning.scoring import BestThreshold, Scored, best_threshold
from defectscope.detectors.learning.validating import VALIDATION_FROM
from defectscope.pipeline.training import open_training_data
from defectscope.plugins.host import default_host


def write(path: Path, enlarge: float, best: BestThreshold) -> None:
    """Put the enlargement, the threshold and the scores into a card."""
    content = json.loads(path.read_text())
    if enlarge != content["architecture"].get("enlarge", 1.0):
        content["architecture"]["enlarge"] = enlarge
    content["threshold"] = best.threshold
    on = content["scores"]["validation"]["on"]
    content["threshold_from"] = f"{THRESHOLD_FROM} on {on}"
    content["scores"]["validation"] |= {
        "f1_iou_0.15": round(best.f1, 4),
        "mean_f1": round(best.score, 4),
        "precision": round(best.precision, 4),
        "precision_error": round(best.precision_error, 4),
        "recall": round(best.recall, 4),
        "recall_error": round(best.recall_error, 4),
    }
    write_json(path, content)


def main() -> None:
    """Score the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--enlarge", type=float)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    host, card = default_host(), WeightFiles.open(given.weights).card
    former = float(card.architecture.get("enlarge", 1.0))
    enlarge = former if given.enlarge is None else given.enlarge
    known = {name: k for k, name in enumerate(card.defect_types)}
    options = {"weights": str(given.weights), "score": LEAST_SCORE}
    if enlarge != former:
        options["scale"] = enlarge / former
    scored = []
    with (
        open_training_data(given.recipe, host) as data,
        host.build("detectors", card.detector, options, Runtime(threads=1)) as detector,
    ):
        for number in range(VALIDATION_FROM, VALIDATION_FROM + given.frames):
            pixels, truth = data.load(number)
            (found,) = detector.detect([Frame(pixels)])
            kinds = (
                np.array([known.get(str(t), -1) for t in side.defect_types], np.intp)
                for side in (found, truth)
            )
            mine, theirs = kinds
            scored.append(
                Scored(found.boxes, found.scores, mine, truth.boxes, theirs, truth.ignore)
            )
    best = best_threshold(scored)
    print(f"the card has the threshold {card.threshold}")
    if given.write:
        write(given.weights.with_suffix(".json"), enlarge, best)
    print(json.dumps({name: round(value, 4) for name, value in best.logged.items()}, indent=1))


if __name__ == "__main__":
    main()
