"""The least score and the overlap at which F1 is best, of those that are tried (P3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.metrics import Counts, count_matches

if TYPE_CHECKING:
    from defectscope.core.instances import Instances

__all__ = ["SWEEP_IOUS", "SWEEP_SCORES", "known_threshold", "score_sweep"]

Pairs = Sequence[tuple["Instances", "Instances"]]

# P3 searched 15 scores and 9 overlaps for the best F1.
SWEEP_SCORES = tuple(round(float(s), 4) for s in np.linspace(0.05, 0.95, 15))
SWEEP_IOUS = tuple(round(k / 10, 1) for k in range(1, 10))


def score_sweep(pairs: Pairs, warnings: list[str]) -> dict[str, Any]:
    """Return F1 at each least score and overlap, and the best point.

    Parameters
    ----------
    pairs
        (predicted, true) of each frame.
    warnings
        Gains a line where the best is to keep all: what was dropped might have made it better.
    """
    grid = [
        [
            sum((count_matches(p[p.scores >= score], t, cut) for p, t in pairs), Counts()).f1
            for cut in SWEEP_IOUS
        ]
        for score in SWEEP_SCORES
    ]
    known = [
        (f1, score, cut)
        for score, row in zip(SWEEP_SCORES, grid, strict=True)
        for cut, f1 in zip(SWEEP_IOUS, row, strict=True)
        if f1 is not None
    ]
    f1, score, cut = max(known, key=lambda point: point[0], default=(None, None, None))
    if score is not None:
        tried, score = score, known_threshold(score, pairs)
        if score > tried and len({float(s) for p, _ in pairs for s in p.scores}) > 1:
            warnings.append(
                f"F1 is best with all that was found: nothing with a score below {score:.3g} was "
                "kept; detect with a lower least score to know whether that is better still"
            )
    return {
        "scores": list(SWEEP_SCORES),
        "ious": list(SWEEP_IOUS),
        "f1": grid,
        "best": {"f1": f1, "score": score, "iou": cut},
    }


def known_threshold(score: float, pairs: Pairs) -> float:
    """Return `score`, or the least score of a prediction where `score` is below all of them.

    There the detector itself would find more than it handed on, so that the F1 is not known.
    """
    least = min((float(p.scores.min()) for p, _ in pairs if len(p)), default=score)
    return max(score, least)
