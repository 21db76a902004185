"""What is known of the detector, carried into the numbers: options and notes of analyses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from defectscope import Options, Tables
from defectscope.analysis.counting import detection_factor, detection_spread
from defectscope.core.fields import counted_fields
from defectscope.core.options import set_in_vain

if TYPE_CHECKING:
    from typing import Self

    from defectscope.core.fields import Fields

__all__ = [
    "DetectorScoreOptions",
    "ScoresByType",
    "detector_note",
    "field_note",
    "scores_of",
    "spread_of",
]

# Precision, recall and their errors of each type; empty where all types have the same.
ScoresByType = Mapping[str, Mapping[str, float]]


class DetectorScoreOptions(Options):
    """Precision and recall of the detector, over what its card says."""

    precision: float | None = Field(
        None, gt=0, le=1, description="precision of the detector; else as its weights' card says"
    )
    precision_error: float = Field(0.0, ge=0, le=1, description="standard error of the precision")
    recall: float | None = Field(
        None, gt=0, le=1, description="recall of the detector; else as its weights' card says"
    )
    recall_error: float = Field(0.0, ge=0, le=1, description="standard error of the recall")

    @model_validator(mode="after")
    def _errors_have_values(self) -> Self:
        for name in ("precision", "recall"):
            error = set_in_vain(self, f"{name}_error")
            if getattr(self, name) is None and error:
                raise ValueError(f"{error} is that of {name}, which is not given; set {name} too")
        return self

    def scores(self, known: Mapping[str, float]) -> dict[str, float]:
        """Return precision, recall and their errors, over those that the detector is known by."""
        merged = dict(known)
        for name in ("precision", "recall"):
            value = getattr(self, name)
            if value is not None:
                merged |= {name: value, f"{name}_error": getattr(self, f"{name}_error")}
        return merged

    def scores_by_type(self, known: ScoresByType) -> ScoresByType:
        """Return those of each type, over those known; both given are those of all types.

        One given alone says nothing of a type of which the other is not known.
        """
        if None not in (self.precision, self.recall):
            return {}
        return {name: self.scores(own) if own else {} for name, own in known.items()}

    def common_scores(
        self, names: Iterable[str], scores: Mapping[str, float] | None, by_type: ScoresByType | None
    ) -> Mapping[str, float]:
        """Return the scores whose errors all types have in common: not those of each type."""
        if not by_type:
            return scores or {}
        # What is given stands in for that of each type.
        return self.scores({}) if all(by_type.get(name) for name in names) else {}

    def source(self, tables: Tables) -> str:
        """Return where precision and recall come from, as a clause."""
        given = [name for name in ("precision", "recall") if getattr(self, name) is not None]
        if len(given) == 2 or not tables.detector_scores:
            return "as given" if given else ""
        if given:
            return f"{given[0]} as given, the other {tables.detector_source}"
        return tables.detector_source


def scores_of(
    name: str, scores: Mapping[str, float] | None, by_type: ScoresByType | None
) -> Mapping[str, float]:
    """Return by what numbers of a type are corrected; nothing where only those of all are known.

    Parameters
    ----------
    name
        The type.
    scores
        Precision, recall and their errors of all types together.
    by_type
        Those of each type of a detector of several.
    """
    return by_type.get(name, {}) if by_type else scores or {}


def spread_of(name: str, scores: Mapping[str, float] | None, by_type: ScoresByType | None) -> float:
    """Return by how many spreads limits of a type are widened; by those of all rather than none."""
    return detection_spread(scores_of(name, scores, by_type) or scores or {})


def detector_note(
    scores: Mapping[str, float],
    source: str,
    for_counts: bool = True,
    of: str = "mean sizes",
    counts: str = "Numbers",
    by_type: ScoresByType | None = None,
    names: Iterable[str] = (),
) -> str:
    """Return what a reader must know about precision and recall in the numbers; or nothing.

    Parameters
    ----------
    scores, source
        Precision, recall and their errors, and where they come from.
    for_counts
        Whether numbers are multiplied; else limits of means are widened.
    of
        What these are means of.
    counts
        What is multiplied.
    by_type, names
        Those of each type of a detector of several, and the types that were found.
    """
    if by_type and for_counts:
        return _note_of_types(scores, source, counts, {n: by_type.get(n, {}) for n in names})
    if not {"precision", "recall"} & set(scores):
        return ""

    if not for_counts:
        return _spread_note(scores, source, of, by_type, names)
    factor = detection_factor(scores)[0]
    return f"{counts} are multiplied by {factor:.3f} for {_said(scores, source + _gap(scores))}."


def _spread_note(
    scores: Mapping[str, float],
    source: str,
    of: str,
    by_type: ScoresByType | None,
    names: Iterable[str],
) -> str:
    """Return by what the limits of means are widened; errors of precision and recall do not."""
    shares = {name: spread_of(name, scores, by_type) for name in names} if by_type else {}
    if not any((by_type or {}).get(name) for name in shares):
        shares = {"": detection_spread(scores)}
    if not any(shares.values()):
        return ""
    held = ", ".join(f"{share:.3f}" + (f" ({n})" if n else "") for n, share in shares.items())
    together = " of all types together" if by_type else ""
    known = (
        f"precision and recall of each type ({source}){_of_others(by_type or {}, shares)}"
        if "" not in shares
        else _said(scores, source) + together
    )
    return (
        f"Errors of {of} hold {held} times the spread, s·hypot(1 − p, 1 − r), for {known}; "
        "assumed is that missed and invented defects differ from those found by at most the "
        "spread s."
    )


def _of_others(by_type: ScoresByType, names: Iterable[str]) -> str:
    """Return for which types those of all together stand in, as a clause; or nothing."""
    others = ", ".join(name for name in names if not by_type.get(name))
    return f", of all types together for {others}" if others else ""


def _said(scores: Mapping[str, float], source: str) -> str:
    return f"{_values_said(scores)} of the detector ({source})"


def _values_said(scores: Mapping[str, float]) -> str:
    def shown(name: str) -> str:
        error = scores.get(f"{name}_error", 0.0)
        return f"{name} {scores.get(name, 1.0):.3f}" + (f" ± {error:.3f}" if error else "")

    return f"{shown('precision')} and {shown('recall')}"


def _note_of_types(
    scores: Mapping[str, float], source: str, counts: str, found: ScoresByType
) -> str:
    """Return what the numbers of each type are multiplied by, and which are left as they are."""
    own = {name: known for name, known in found.items() if known}
    others = [name for name in found if name not in own]
    parts = [
        f"{counts} of {name} are multiplied by {detection_factor(known)[0]:.3f} for "
        f"{_said(known, source + _gap(known))}."
        for name, known in own.items()
    ]
    if others and scores:
        parts.append(
            f"{_said(scores, source)} are of all types together: {counts.lower()} of "
            f"{', '.join(others)} are not multiplied by them, and their limits hold no errors of "
            "the detector."
        )
        parts[-1] = parts[-1][0].upper() + parts[-1][1:]
    return " ".join(parts)


def _gap(scores: Mapping[str, float]) -> str:
    """Return whose errors are not known, to stand behind the source; 0 is one that is."""
    names = [name for name in ("precision", "recall") if name in scores]
    unknown = [name for name in names if f"{name}_error" not in scores]
    if not unknown:
        return ""
    return "; errors not known" if unknown == names else f"; error of {unknown[0]} not known"


def field_note(tables: Tables) -> str:
    """Return what a reader must know about the field that is counted in; or nothing."""
    fields = counted_fields(tables)
    whole = "frame" if tables.roi is None else "region"
    return " ".join(filter(None, (_common_note(fields, whole), _mask_note(fields))))


def _common_note(fields: Fields, whole: str) -> str:
    """Return which part of registered frames counts, where they do not all show the same."""
    if fields.shared is None or fields.shared == 1:
        return ""
    share = f"{100 * fields.shared:.1f} % of the {whole}"
    if fields.common:
        return f"Counted is the part of the specimen that every frame shows, {share}."
    return (
        f"Every frame shows the same {share} only, too little to count in: whole {whole}s are "
        "counted, so that what the stage brings in or takes out changes the numbers."
    )


def _mask_note(fields: Fields) -> str:
    """Return that masked parts are left out, where there are any."""
    if fields.masked is None:
        return ""
    which = "common field" if fields.common else "area"
    return f"Masked parts ({100 * fields.masked_share:.1f} %) are left out of the {which}."
