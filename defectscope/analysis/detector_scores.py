"""What is known of the detector, carried into the numbers: options and notes of analyses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from defectscope import Options, Tables
from defectscope.analysis.counting import detection_factor, detection_spread
from defectscope.core.fields import counted_fields
from defectscope.core.options import set_in_vain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from defectscope.core.fields import Fields

__all__ = ["DetectorScoreOptions", "detector_note", "field_note"]


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

    def source(self, tables: Tables) -> str:
        """Return where precision and recall come from, as a clause."""
        given = [name for name in ("precision", "recall") if getattr(self, name) is not None]
        if len(given) == 2 or not tables.detector_scores:
            return "as given" if given else ""
        if given:
            return f"{given[0]} as given, the other {tables.detector_source}"
        return tables.detector_source


def detector_note(
    scores: Mapping[str, float],
    source: str,
    for_counts: bool = True,
    of: str = "mean sizes",
    counts: str = "Numbers",
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
    """
    if not {"precision", "recall"} & set(scores):
        return ""

    def shown(name: str) -> str:
        error = scores.get(f"{name}_error", 0.0)
        return f"{name} {scores.get(name, 1.0):.3f}" + (f" ± {error:.3f}" if error else "")

    # The spread below holds no errors of precision and recall.
    origin = source + (_gap(scores) if for_counts else "")
    text = f"{shown('precision')} and {shown('recall')} of the detector ({origin})"
    if not for_counts:
        share = detection_spread(scores)
        if not share:
            return ""
        return (
            f"Errors of {of} hold {share:.3f} times the spread, s·hypot(1 − p, 1 − r), for {text}; "
            "assumed is that missed and invented defects differ from those found by at most the "
            "spread s."
        )
    factor = detection_factor(scores)[0]
    return f"{counts} are multiplied by {factor:.3f} for {text}."


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
