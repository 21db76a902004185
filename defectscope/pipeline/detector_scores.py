"""Precision and recall of a run's detector, as its weights' card gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from defectscope.core.errors import DefectscopeError
from defectscope.core.weights import WeightFiles, find_weights

if TYPE_CHECKING:
    from defectscope.core.components import ComponentSpec
    from defectscope.core.findings import Tables
    from defectscope.core.weights import WeightsCard
    from defectscope.pipeline.results import Result

__all__ = ["DetectorScores", "detector_scores", "known_by", "threshold_of", "unequal_scores"]

NAMES = ("precision", "recall")
# Where a card has them of single types.
BY_TYPE = "by_type"
# Thresholds in cards are rounded.
SAME = 1e-3
# Options that say which card it is, what computes, or are compared with the card themselves.
NO_REASON = {"weights", "engine", "score", "device", "threads", "batch_size"}


class DetectorScores(NamedTuple):
    """What is known of a detector.

    Parameters
    ----------
    values
        ``precision``, ``recall``, and their errors as ``precision_error`` and ``recall_error``;
        empty where they are not known.
    source
        Where they come from, as a clause.
    by_type
        The values of each type of a detector of several; empty for one of which they are not known.
    warning
        Why those of the card are not those of the run, or nothing.
    """

    values: dict[str, float]
    source: str = ""
    warning: str = ""
    by_type: Mapping[str, Mapping[str, float]] = MappingProxyType({})


def detector_scores(result: Result, weights: Mapping[str, ComponentSpec]) -> DetectorScores:
    """Return precision and recall of the detector of a run, by the card of its weights.

    Nothing is known where its options name no weights, these are not found any more, or their card
    does not give both. What holds at the card's threshold does not hold at another one, nor with
    other options, after a post-processor that leaves instances out, or after a vote over time.
    """
    detector, named = _detector(result)
    card = _card(named, weights)
    if card is None:
        return DetectorScores({})
    scores = _scores_side_by_side(card.scores)
    if scores is None:
        return DetectorScores({})
    if _has_changed(detector, card):
        return DetectorScores(
            {}, "", f"precision and recall by the card of {named!r} are left out: these weights "
            "are not those that the run used",
        )  # fmt: skip
    reason = "" if detector is None else _reason(detector, card, result.info["plan"])
    if reason:
        return DetectorScores(
            {}, "", f"precision and recall by the card of {named!r} are left out: {reason}"
        )
    where = str(scores.get("on", ""))
    source = f"by the card of its weights {Path(named).name!r}" + (f", on {where}" if where else "")
    return DetectorScores(_values(scores), source, by_type=_by_type(scores, card.defect_types))


def _reason(detector: Mapping[str, Any], card: WeightsCard, plan: Mapping[str, Any]) -> str:
    """Return why the card's scores do not hold for a run, as a clause; empty where they do."""
    options = detector["options"]
    score = options.get("score")
    if score is not None and card.threshold is not None and abs(score - card.threshold) > SAME:
        return f"the least score was {score:g}, and they hold at {card.threshold:g}"
    # Runs of earlier versions recorded neither what was changed nor what drops.
    changed = [name for name in detector.get("changed", ()) if name not in NO_REASON]
    if changed:
        values = ", ".join(f"{detector['alias']}.{name} is {options[name]}" for name in changed)
        return f"{values}, and they hold with the defaults"
    dropping = [c["alias"] for c in plan["components"] if c.get("drops")]
    if dropping:
        return f"{' and '.join(dropping)} may have left out some of what it found"
    return f"the vote {plan['vote']} changes them" if plan.get("vote") else ""


def threshold_of(result: Result, weights: Mapping[str, ComponentSpec]) -> float | None:
    """Return the least score of detections by the card of a run's weights, where it is known."""
    detector, named = _detector(result)
    card = _card(named, weights)
    return None if card is None or _has_changed(detector, card) else card.threshold


def _has_changed(detector: Mapping[str, Any] | None, card: WeightsCard) -> bool:
    """Return whether a run used weights of the same name, and others."""
    now = card.sha256.get("safetensors")
    used = (detector or {}).get("depends_on", {}).get("weights_sha256")
    # Runs of earlier versions recorded none, and so may cards that somebody wrote.
    return None not in (used, now) and used != now


def _detector(result: Result) -> tuple[Mapping[str, Any] | None, str]:
    """Return the detector of a run, and the name of its weights; empty where it has none."""
    components = result.info["plan"].get("components", [])
    detector = next((c for c in components if c["family"] == "detectors"), None)
    named = None if detector is None else detector["options"].get("weights")
    return detector, named if isinstance(named, str) else ""


def _card(named: str, weights: Mapping[str, ComponentSpec]) -> WeightsCard | None:
    try:
        # A name alone that several have now was that of the shipped ones: of the default.
        found = find_weights(named, weights, shipped=True) if named else None
        return None if found is None else WeightFiles.open(found).card
    except (DefectscopeError, OSError):
        return None


def known_by(known: DetectorScores, tables: Tables) -> Tables:
    """Return tables with what is known of their detector."""
    return replace(
        tables, detector_scores=known.values, detector_source=known.source,
        detector_scores_by_type=known.by_type,
    )  # fmt: skip


def unequal_scores(
    analyses: Mapping[str, Any],
    known: Mapping[str, float],
    by_type: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> list[str]:
    """Return what to say where analyses whose numbers stand together take different scores.

    Parameters
    ----------
    analyses
        Options by alias; those without `precision` and `recall` take none.
    known
        What the detector is known by, where nothing is given.
    by_type
        What one of several types is known by, instead: what is given is that of all types.
    """
    alike: dict[tuple[float | None, ...], list[str]] = {}
    given = False
    for alias, options in analyses.items():
        if all(isinstance(getattr(options, n, ""), int | float | None) for n in NAMES):
            own = [getattr(options, name) for name in NAMES]
            given = given or own != [None, None]
            usual = [None if by_type else known.get(name, 1.0) for name in NAMES]
            taken = (u if v is None else v for u, v in zip(usual, own, strict=True))
            alike.setdefault(tuple(taken), []).append(alias)
    if not given or len(alike) < 2:
        return []
    groups = "; ".join(
        f"{_said(taken, any(by_type.values()))} in {', '.join(aliases)}"
        for taken, aliases in alike.items()
    )
    return [
        f"precision and recall of the detector differ between analyses ({groups}), so that their "
        "numbers do not fit together; give all the same, with --set NAME.precision and "
        "--set NAME.recall"
    ]


def _said(taken: Sequence[float | None], known: bool) -> str:
    """Return precision and recall in words; None is that of each type, if `known` at all."""
    if set(taken) == {None}:
        return "those of each type" if known else "none"
    own = "that of each type" if known else "none"
    return " and ".join(own if value is None else f"{value:.3g}" for value in taken)


def _scores_side_by_side(scores: Any) -> Mapping[str, Any] | None:
    """Return the first part of a card's scores that gives precision and recall of all types."""
    if not isinstance(scores, Mapping):
        return None
    if _values(scores):
        return scores
    parts = (_scores_side_by_side(part) for name, part in scores.items() if name != BY_TYPE)
    return next((found for found in parts if found is not None), None)


def _values(scores: Any) -> dict[str, float]:
    """Return precision, recall and their errors; nothing without both, or where nothing is true."""
    if not isinstance(scores, Mapping):
        return {}
    if not all(isinstance(scores.get(n), int | float) and 0 < scores[n] <= 1 for n in NAMES):
        return {}
    names = [*NAMES, *(f"{name}_error" for name in NAMES)]
    return {n: float(scores[n]) for n in names if isinstance(scores.get(n), int | float)}


def _by_type(scores: Mapping[str, Any], types: Sequence[str]) -> dict[str, dict[str, float]]:
    own = scores.get(BY_TYPE)
    known = own if isinstance(own, Mapping) else {}
    return {name: _values(known.get(name)) for name in types} if len(types) > 1 else {}
