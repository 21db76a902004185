"""Precision and recall of a run's detector, as its weights' card gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import DefectscopeError
from defectscope.core.weights import WeightFiles, find_weights

if TYPE_CHECKING:
    from defectscope.core.components import ComponentSpec
    from defectscope.pipeline.results import Result

__all__ = ["detector_scores", "scores_of_card"]

NAMES = ("precision", "recall")


def detector_scores(result: Result, weights: Mapping[str, ComponentSpec]) -> dict[str, float]:
    """Return ``precision``, ``recall`` and their errors of the detector of a run.

    Empty where its options name no weights, these are not found any more, or their card does not
    give both.
    """
    components = result.info["plan"].get("components", [])
    detector = next((c for c in components if c["family"] == "detectors"), None)
    named = None if detector is None else detector["options"].get("weights")
    if not isinstance(named, str) or not named:
        return {}
    try:
        files = WeightFiles.open(Path(find_weights(named, weights)))
    except (DefectscopeError, OSError):
        return {}
    return scores_of_card(files.card.scores)


def scores_of_card(scores: Any) -> dict[str, float]:
    """Return the first precision and recall that stand side by side in the scores of a card."""
    if not isinstance(scores, Mapping):
        return {}
    if all(isinstance(scores.get(name), int | float) and 0 < scores[name] <= 1 for name in NAMES):
        names = [*NAMES, *(f"{name}_error" for name in NAMES)]
        return {n: float(scores[n]) for n in names if isinstance(scores.get(n), int | float)}
    return next((found for part in scores.values() if (found := scores_of_card(part))), {})
